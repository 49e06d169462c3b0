"""Tools that ask for an idempotency key, that fail in their own words, that say the plan no longer fits."""

from __future__ import annotations

from typing import Any

import pytest

from orchestra.errors import ToolError
from orchestra.toolbox import Replan, Tool, ToolFailed, ToolOutcome, execute, tool
from orchestra.types import Text, ToolCall, Trigger


@tool
def pay(amount: int, idempotency_key: str) -> list[object]:
    """Pay."""
    return [amount, idempotency_key]


async def outcome_of(made: Tool, **arguments: Any) -> ToolOutcome:
    return await execute(made, ToolCall("c1", made.name, arguments), idempotency_key="run/step/1")


def text(outcome: ToolOutcome) -> str:
    (part,) = outcome.result.content
    assert isinstance(part, Text)
    return part.text


async def test_the_key_is_handed_over_and_no_model_sees_it() -> None:
    assert list(pay.schema["properties"]) == ["amount"]
    assert pay.schema["required"] == ["amount"]
    assert (await outcome_of(pay, amount=3)).value == [3, "run/step/1"]


def test_a_tool_that_wants_a_key_is_idempotent() -> None:
    assert (pay.wants_key, pay.idempotent, pay.read_only) == (True, True, False)

    @tool
    def plain(amount: int) -> None: ...

    assert (plain.wants_key, plain.idempotent) == (False, False)


async def test_a_model_cannot_set_the_key() -> None:
    outcome = await outcome_of(pay, amount=3, idempotency_key="mine")
    assert outcome.trigger is Trigger.tool_rejected
    assert text(outcome) == "idempotency_key: no such property; known: amount"


async def test_without_a_key_every_call_gets_one_of_its_own() -> None:
    keys = {(await execute(pay, ToolCall("c1", "pay", {"amount": 1}))).value[1] for _ in range(3)}
    assert len(keys) == 3
    assert "" not in keys


async def test_a_default_of_the_key_stays_the_functions_own_business() -> None:
    @tool
    async def book(idempotency_key: str = "") -> str:
        return idempotency_key

    assert book.schema["properties"] == {}
    assert "required" not in book.schema
    assert (await outcome_of(book)).value == "run/step/1"


def test_a_key_of_another_type_is_refused_at_the_decorator() -> None:
    with pytest.raises(ToolError, match=r"parameter 'idempotency_key' is <class 'int'>; write 'idempotency_key: str'"):

        @tool
        def odd(idempotency_key: int) -> None: ...


async def test_a_tool_without_the_parameter_is_not_given_a_key() -> None:
    raw = Tool.from_schema("raw", "", {}, lambda **given: list(given))
    assert (await outcome_of(raw)).value == []


@pytest.mark.parametrize(
    ("reason", "told"),
    [("the shop has moved", "the shop has moved"), ("", "the world is no longer what the plan assumed")],
)
async def test_a_tool_says_that_the_plan_no_longer_fits(reason: str, told: str) -> None:
    @tool
    def look() -> None:
        raise Replan(reason)

    outcome = await outcome_of(look)
    assert (outcome.trigger, outcome.replan, outcome.result.is_error) == (Trigger.tool_error, told, True)
    assert text(outcome) == told


@pytest.mark.parametrize(
    ("reason", "told"),
    [("2 of 3 failed\n  line 4", "2 of 3 failed\n  line 4"), ("", "test failed and did not say why")],
)
async def test_a_failure_in_the_tools_own_words_keeps_its_lines(reason: str, told: str) -> None:
    @tool(name="test")
    def run_tests() -> None:
        raise ToolFailed(reason)

    outcome = await outcome_of(run_tests)
    assert (outcome.trigger, outcome.replan) == (Trigger.tool_error, None)
    assert text(outcome) == told


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("x" * 1000, "x" * 1000),
        ("x" * 5_001_000, "x" * 1000 + " [cut: 5,000,000 of 5,001,000 characters left out]"),
        ("gone \ud800", "gone ?"),
    ],
)
async def test_of_a_long_reason_to_plan_anew_the_begin_is_kept_and_how_much_is_missing(text, kept):
    @tool
    def look() -> str:
        """Look."""
        raise Replan(text)

    assert (await execute(look, ToolCall("1", "look", {}))).replan == kept
