"""A provider's prompt cache holds the longest beginning two requests share: a step's turns only append to it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from orchestra.dialects import codec
from orchestra.planning import step_messages
from orchestra.types import (
    Capabilities,
    Message,
    ModelCard,
    Origin,
    Plan,
    Reasoning,
    Request,
    Step,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolSpec,
)

HERE = Origin("lab", "openai-chat", "m")
ROWS = ToolSpec("rows", "Run a query.", {"type": "object", "properties": {"sql": {"type": "string"}}})
PLAN = Plan(
    "Who had more rain, Oslo or Bergen?",
    (
        Step("s1", "Find the rain in Oslo", tools=("rows",)),
        Step("s2", "Find the rain in Bergen", tools=("rows",)),
        Step("s3", "Compare them", needs=("s1", "s2"), kind="answer"),
    ),
)
TURNS = [
    Message(
        "assistant",
        (
            Reasoning("hm", HERE, provider_state="sealed"),
            Text("I look."),
            ToolCall("a", "rows", {"sql": "1"}, origin=HERE),
            ToolCall("b", "rows", {"sql": "2"}, origin=HERE),
        ),
    ),
    Message("tool", (ToolResult("a", "rows", (Text("7 mm"),)), ToolResult("b", "rows", (Text("bad"),), is_error=True))),
    Message("assistant", (ToolCall("c", "rows", {"sql": "3"}, origin=HERE),)),
    Message("tool", (ToolResult("c", "rows", (Text("8 mm"),)),)),
    Message("assistant", (Text("7 and 8 mm"),)),
    Message.user("Say it in one sentence."),
]


def sent(messages: list[Message], tools: Any, choice: ToolChoice = "auto") -> dict[str, Any]:
    card = ModelCard("m", "m", "lab", "openai-chat", "efficient", capabilities=Capabilities(tools=tools))
    request = Request(tuple(messages), (ROWS,), tool_choice=choice)
    return json.loads(codec("openai-chat").encode(request, card).body)


@pytest.mark.parametrize("tools", ["native", "json"])
def test_each_turns_request_begins_with_the_one_before(tools: str) -> None:
    first = list(step_messages(PLAN, PLAN.steps[0], {}))
    requests = [sent(first + TURNS[:turn], tools) for turn in (0, 2, 4, 6)]
    for before, after in pairwise(requests):
        assert after["messages"][: len(before["messages"])] == before["messages"]
        assert len(after["messages"]) > len(before["messages"])
        assert {**after, "messages": None} == {**before, "messages": None}


def test_what_a_native_turn_must_do_does_not_change_what_was_said_before() -> None:
    first = list(step_messages(PLAN, PLAN.steps[0], {}))
    required, free, none = (sent(first + TURNS[:2], "native", choice) for choice in ("required", "auto", "none"))
    assert required["messages"] == free["messages"] == none["messages"]
    assert required["tools"] == free["tools"] == none["tools"]


def test_steps_of_one_run_share_the_rules_and_the_task() -> None:
    one, two = (step_messages(PLAN, step, {}) for step in PLAN.steps[:2])
    assert one[0] == two[0]
    shared = f"Task (for orientation):\n{PLAN.task}\n\n"
    assert one[1].text.startswith(shared)
    assert two[1].text.startswith(shared)
    assert one[1].text != two[1].text


def test_what_a_step_alone_is_told_comes_last() -> None:
    results = {"s1": "7 mm", "s2": "8 mm"}
    told = step_messages(PLAN, PLAN.steps[2], results)[1].text
    places = [told.index(part) for part in (PLAN.task, "7 mm", "8 mm", "Compare them")]
    assert places == sorted(places)
