"""A call that is made again is the call that was made, and no other call passes for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from langgraph.types import Command

from orchestra import Tool, tool
from orchestra.ledger import Ledger, Recorder
from orchestra.runtime.begun import Begun, begun
from orchestra.runtime.journal import Journal
from orchestra.testing import CallTool, Say
from tests.runtime.scripts import THREAD, app_of, plan, plans
from tests.runtime.till import TASK, Till, cut_short

PAYS = plan(("s1", [], ["pay"]))
EDITED = {"decision": "edit", "arguments": {"item": "less"}}
SECRET = "planted-exact-secret"


class Shop:
    """A tool that takes a key, and what it was called with; each text of `fails` fails so often."""

    def __init__(self, fails: Mapping[str, int] | None = None, **kind: bool) -> None:
        self.made: list[tuple[str, str]] = []
        left = dict(fails or {})

        @tool(**kind)
        def pay(item: str, idempotency_key: str) -> str:
            """Pay.

            Args:
                item: for what
            """
            self.made.append((item, idempotency_key))
            if left.get(item, 0) > 0:
                left[item] -= 1
                raise ValueError("no answer")
            return "paid"

        self.pay: Tool = pay

    @property
    def keys(self) -> list[int]:
        """The keys it was given, numbered in the order of their first use."""
        seen = list(dict.fromkeys(key for _, key in self.made))
        return [seen.index(key) for _, key in self.made]


def says(*replies: Any) -> Any:
    """A small model that writes these replies one after the other."""
    return lambda body: replies[sum(one["role"] == "assistant" for one in body["messages"])]


def pays(*items: str) -> Say:
    return Say(calls=tuple(CallTool("pay", item=item) for item in items))


async def cut_short_after(folder: Any, till: Till, answer: Any) -> None:
    """A run that was left while a call was made after a person's answer."""
    async with app_of(folder, plans(PAYS)) as app:
        await app.planner_executor([till.pay]).ainvoke(TASK, THREAD)
    async with cut_short(folder, till, given=Command(resume=answer)):
        pass


async def test_a_yes_to_a_call_is_none_to_the_same_call_of_another_definition_of_its_step(tmp_path):
    shop = Shop(needs_approval=True)
    async with app_of(tmp_path, plans(plan(("s1", [], ["pay"]), ("s2", ["s1"], ["pay"])))) as app:
        agent = app.planner_executor([shop.pay])
        await agent.ainvoke(TASK, THREAD)
        await agent.ainvoke(Command(resume=True), THREAD)
        edited = (await agent.aget_state(THREAD)).values["plan"]
        edited["steps"][0]["goal"] = "do s1. For another account"
        await agent.aupdate_state(THREAD, {"plan": edited, "steps": {}, "questions": []}, as_node="plan")
        (question,) = (await agent.ainvoke(None, THREAD))["__interrupt__"]
    assert (question.value["kind"], question.value["step"]) == ("approval", "s1")
    assert [item for item, _ in shop.made] == ["s1"]


async def test_an_edited_call_that_was_cut_short_is_asked_about_and_repeated_as_it_was_edited(tmp_path):
    till = Till(needs_approval=True)
    await cut_short_after(tmp_path, till, EDITED)
    told: list[str] = []

    def small(body: Mapping[str, Any]) -> Any:
        told.extend(one["content"] for one in body["messages"] if one["role"] == "tool")
        return "paid"

    async with app_of(tmp_path, plans(PAYS), small) as app:
        agent = app.planner_executor([till.pay])
        (one,) = (await agent.ainvoke({"run": "r"}, THREAD))["__interrupt__"]
        assert (one.value["kind"], one.value["arguments"]) == ("unknown", {"item": "less"})
        out = await agent.ainvoke(Command(resume="repeat"), THREAD)
    assert (out["state"], till.paid) == ("done", ["less", "less"])
    assert told == ['(a person changed the arguments to {"item": "less"})\npaid']


async def test_an_edited_call_that_takes_a_key_is_repeated_under_it_and_nobody_is_asked(tmp_path):
    till = Till(keyed=True, needs_approval=True)
    await cut_short_after(tmp_path, till, EDITED)
    async with app_of(tmp_path, plans(PAYS)) as app:
        out = await app.planner_executor([till.pay]).ainvoke({"run": "r"}, THREAD)
    assert out["state"] == "done"
    assert len(till.paid) == 2
    assert len(set(till.paid)) == 1


@pytest.mark.parametrize(
    ("replies", "fails", "keys"),
    [
        ((pays("a", "a"), "done"), {}, [0, 1]),
        ((pays("a", "b", "a"), "done"), {}, [0, 1, 2]),
        ((pays("a"), pays("a"), "done"), {"a": 1}, [0, 0]),
        ((pays("a", "a"), "done"), {"a": 1}, [0, 0]),
        ((pays("a"), pays("b"), pays("a"), "done"), {}, [0, 1, 2]),
    ],
)
@pytest.mark.parametrize("kind", [{}, {"read_only": True}])
async def test_a_key_is_the_same_after_a_failure_and_another_for_one_more_of_the_same(
    replies, fails, keys, kind, tmp_path
):
    shop = Shop(fails, **kind)
    async with app_of(tmp_path, plans(PAYS), says(*replies)) as app:
        await app.planner_executor([shop.pay]).ainvoke(TASK, THREAD)
    at_once = kind and fails and len(replies) == 2  # look-ups do not wait for one another's failure
    assert shop.keys == ([0, 1] if at_once else keys)


async def test_what_a_tool_does_to_its_arguments_makes_no_other_call_of_them(tmp_path):
    made: list[tuple[dict[str, Any], str]] = []
    history: list[str] = []

    @tool
    def pay(order: Any, idempotency_key: str) -> str:
        """Pay.

        Args:
            order: for what
        """
        made.append((dict(order), idempotency_key))
        order["vat"] = 19
        if len(made) == 1:
            raise ValueError("no answer")
        return "paid"

    def small(body: dict[str, Any]) -> Any:
        history.extend(c["function"]["arguments"] for m in body["messages"] for c in m.get("tool_calls") or ())
        return says(CallTool("pay", order={"item": "a"}), CallTool("pay", order={"item": "a"}), "done")(body)

    async with app_of(tmp_path, plans(PAYS), small) as app:
        await app.planner_executor([pay]).ainvoke(TASK, THREAD)
    first, second = made
    assert first == second
    assert {*history} == {'{"order": {"item": "a"}}'}


async def test_an_edited_call_and_a_later_one_with_the_same_arguments_are_two(tmp_path):
    shop = Shop(needs_approval=True)
    async with app_of(tmp_path, plans(PAYS), says(pays("more"), pays("less"), "done")) as app:
        agent = app.planner_executor([shop.pay])
        await agent.ainvoke(TASK, THREAD)
        await agent.ainvoke(Command(resume=EDITED), THREAD)
        out = await agent.ainvoke(Command(resume=True), THREAD)
    assert (out["state"], [item for item, _ in shop.made], shop.keys) == ("done", ["less", "less"], [0, 1])


async def test_a_person_approves_exactly_what_is_then_executed_however_much_it_looks_like_a_secret(tmp_path):
    got: list[dict[str, str]] = []

    @tool(needs_approval=True)
    def send(text: str, page_token: str) -> str:
        """Send it.

        Args:
            text: what
            page_token: where to go on
        """
        got.append({"text": text, "page_token": page_token})
        return "sent"

    meant = {"text": "Your reset token: 4711-ABCD", "page_token": "CAUQAA"}
    model = says(CallTool("send", **meant), "done")
    async with app_of(tmp_path, plans(plan(("s1", [], ["send"]))), model) as app:
        agent = app.planner_executor([send])
        (one,) = (await agent.ainvoke(TASK, THREAD))["__interrupt__"]
        assert one.value["arguments"] == meant
        (again,) = (await agent.ainvoke({"run": "r"}, THREAD))["__interrupt__"]
        assert again.value == one.value
        await agent.ainvoke(Command(resume=True), THREAD)
    assert got == [meant]


async def test_a_known_secret_is_asked_about_as_it_would_be_executed_and_may_be_given_again(tmp_path):
    shop = Shop(needs_approval=True)
    async with app_of(tmp_path, plans(PAYS), says(pays(f"with {SECRET}"), "done")) as app:
        app.ledger.hide([SECRET])
        agent = app.planner_executor([shop.pay])
        (one,) = (await agent.ainvoke(TASK, THREAD))["__interrupt__"]
        assert one.value["arguments"] == {"item": "with [redacted]"}
        assert "a secret was taken out where [redacted] stands" in one.value["text"]
        (again,) = (await agent.ainvoke({"run": "r"}, THREAD))["__interrupt__"]
        assert again.value == one.value
        whole = {"decision": "edit", "arguments": {"item": f"with {SECRET}"}}
        await agent.ainvoke(Command(resume=whole), THREAD)
    assert [item for item, _ in shop.made] == [f"with {SECRET}"]


@pytest.mark.parametrize("answer", [True, {"decision": "edit", "arguments": {"item": f"with {SECRET}"}}])
async def test_a_call_that_lost_a_secret_is_not_repeated_in_silence_and_keeps_its_key(answer, tmp_path):
    till, given = Till(keyed=True), says(pays(f"with {SECRET}"), "done")
    async with cut_short(tmp_path, till, small=given, secret=SECRET), app_of(tmp_path, plans(PAYS), given) as app:
        app.ledger.hide([SECRET])
        agent = app.planner_executor([till.pay])
        (one,) = (await agent.ainvoke({"run": "r"}, THREAD))["__interrupt__"]
        assert (one.value["kind"], one.value["arguments"]) == ("approval", {"item": "with [redacted]"})
        assert len(till.paid) == 1
        out = await agent.ainvoke(Command(resume=answer), THREAD)
    assert out["state"] == "done"
    assert len(till.paid) == 2
    assert len(set(till.paid)) == 1


async def test_a_call_that_lost_a_secret_before_it_was_made_is_not_made_in_silence(tmp_path):
    shop, sent = Shop(), list[str]()

    @tool(needs_approval=True)
    def send(item: str) -> str:
        """Send it.

        Args:
            item: what
        """
        sent.append(item)
        return "sent"

    both = Say(calls=(CallTool("send", item="a"), CallTool("pay", item=f"with {SECRET}")))
    async with app_of(tmp_path, plans(plan(("s1", [], ["pay", "send"]))), says(both, "done")) as app:
        app.ledger.hide([SECRET])
        agent = app.planner_executor([shop.pay, send])
        await agent.ainvoke(TASK, THREAD)
        (one,) = (await agent.ainvoke(Command(resume=True), THREAD))["__interrupt__"]
        assert (one.value["tool"], sent, shop.made) == ("pay", [], [])
        await agent.ainvoke(Command(resume={"decision": "edit", "arguments": {"item": SECRET}}), THREAD)
    assert (sent, [item for item, _ in shop.made]) == (["a"], [SECRET])


def test_what_an_earlier_version_kept_of_a_call_is_its_count():
    with_count = {"d.0.0.start": 2, "d.0.1.start": {"times": 1, "arguments": {"a": 1}, "ordinal": 3}}
    journal = Journal(Recorder(Ledger(None), "r"), "s", "d", with_count)
    assert begun(journal, "0.0") == Begun(2)
    assert begun(journal, "0.1") == Begun(1, {"a": 1}, 3)
    assert begun(journal, "0.2") is None
