"""A step that failed is tried again when its run is resumed, whatever ended it; what it did and was told stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from orchestra import RecoveryPolicy, Tool, ToolRejected, tool
from orchestra.ledger import ToolStarted
from orchestra.recovery import Ladder
from orchestra.runtime.ask import Ask, KeptReply
from orchestra.runtime.conversation import Conversation
from orchestra.runtime.journal import ANEW
from orchestra.runtime.scope import Limits
from orchestra.testing import CallTool, Error
from orchestra.toolbox import Replan, ToolFailed
from orchestra.types import Message, Step, ToolCall, Trigger, Verdict, to_json
from tests.runtime.scripts import THREAD, app_of, events, obedient, plan, plans
from tests.runtime.till import TASK

RESUME = {"run": "r"}
ONE = plan(("s1", [], ["peek"]))
NEVER: Any = {"recovery": RecoveryPolicy(max_replans=0)}
FIRST_FAILURE: Any = {"recovery": RecoveryPolicy(max_replans=0, max_rungs=0, repairs=0)}


def peeking(says: Callable[[str], str], **kind: bool) -> Tool:
    @tool(**({"read_only": True} | kind))
    def peek(item: str) -> str:
        """Peek.

        Args:
            item: at what
        """
        return says(item)

    return peek


class Drawer:
    """Locked the first time."""

    def __init__(self) -> None:
        self.looked: list[str] = []

    def __call__(self, item: str) -> str:
        self.looked.append(item)
        if len(self.looked) == 1:
            raise Replan("the drawer is locked")
        return "a key"


def again(body: Mapping[str, Any]) -> Any:
    """A model that calls until nothing is an error."""
    results = [one["content"] for one in body["messages"] if one["role"] == "tool"]
    return results[-1] if results and "Error" not in results[-1] else CallTool("peek", item="s1")


@pytest.mark.parametrize("options", [NEVER, FIRST_FAILURE])
async def test_a_step_whose_tool_wanted_another_plan_is_tried_again_though_none_is_allowed(options, tmp_path):
    drawer = Drawer()
    async with app_of(tmp_path, plans(ONE), again, **options) as app:
        agent = app.planner_executor([peeking(drawer)])
        out = await agent.ainvoke(TASK, THREAD)
        assert (out["state"], out["reason"][-21:]) == ("failed", " the drawer is locked")
        out = await agent.ainvoke(RESUME, THREAD)
    assert (out["state"], out["answer"], drawer.looked) == ("done", "a key", ["s1", "s1"])


async def test_an_act_that_wanted_another_plan_is_approved_anew_before_it_is_made_again(tmp_path):
    drawer = Drawer()
    async with app_of(tmp_path, plans(ONE), again, **NEVER) as app:
        agent = app.planner_executor([peeking(drawer, needs_approval=True, read_only=False)])
        out = await agent.ainvoke(TASK, THREAD)
        assert (await agent.ainvoke({**RESUME, "answers": _yes(out)}, THREAD))["state"] == "failed"
        out = await agent.ainvoke(RESUME, THREAD)
        assert (len(drawer.looked), len(_yes(out))) == (1, 1)
        out = await agent.ainvoke({**RESUME, "answers": _yes(out)}, THREAD)
    assert (out["answer"], len(drawer.looked)) == ("a key", 2)


def _yes(out: Mapping[str, Any]) -> dict[str, bool]:
    return {one.value["question"]: True for one in out["__interrupt__"]}


class Counting:
    """A model that looks so often before it answers, at something else each time."""

    def __init__(self, looks: int) -> None:
        self.requests: list[dict[str, Any]] = []
        self._looks = looks

    def __call__(self, body: dict[str, Any]) -> Any:
        self.requests.append(body)
        number = len(self.requests)
        return CallTool("peek", item=f"{number}") if number <= self._looks else f"found after {number}"


async def test_a_step_that_took_all_its_turns_has_as_many_again_and_keeps_what_it_found(tmp_path):
    small = Counting(5)
    async with app_of(tmp_path, plans(ONE), small, **NEVER) as app:
        agent = app.planner_executor([peeking(str)], max_turns=2)
        for number in (2, 4):
            out = await agent.ainvoke(TASK if number == 2 else RESUME, THREAD)
            assert (out["state"], out["reason"]) == ("failed", "step 's1' failed: 2 turns without a result")
            assert len(small.requests) == number
        out = await agent.ainvoke(RESUME, THREAD)
        assert len(events(app, "r", ToolStarted)) == 5
    roles = [one["role"] for one in small.requests[-1]["messages"]]
    assert (out["state"], out["answer"], roles.count("tool")) == ("done", "found after 6", 5)


async def test_a_step_that_had_gone_up_begins_at_its_own_tier_again(tmp_path):
    stuck, asked = [True], list[str]()

    def says(item: str) -> str:
        if stuck:
            raise ToolFailed("it is stuck")
        return "a key"

    def small(body: Mapping[str, Any]) -> Any:
        asked.append("small")
        return again(body)

    def strong(body: Mapping[str, Any]) -> Any:
        if body.get("response_format"):
            return ONE
        asked.append("strong")
        return Error(400)

    async with app_of(tmp_path, strong, small, **NEVER) as app:
        agent = app.planner_executor([peeking(says)])
        await agent.ainvoke(TASK, THREAD)
        assert asked == ["small", "small", "strong"]
        stuck.clear()
        out = await agent.ainvoke(RESUME, THREAD)
    assert (out["answer"], asked[3:]) == ("a key", ["small", "small"])


async def test_a_resumed_step_need_not_look_up_again_what_it_knows(tmp_path):
    down, looked = [True], list[str]()

    def small(body: Mapping[str, Any]) -> Any:
        known = any(one["role"] == "tool" for one in body["messages"])
        return Error(400) if down and known else obedient(body)

    async with app_of(tmp_path, plans(ONE), small, **NEVER) as app:
        agent = app.planner_executor([peeking(lambda item: looked.append(item) or item)])
        assert (await agent.ainvoke(TASK, THREAD))["state"] == "failed"
        down.clear()
        out = await agent.ainvoke(RESUME, THREAD)
    assert (out["answer"], looked) == ("s1: s1", ["s1"])


async def test_after_another_try_a_call_under_the_id_of_an_earlier_one_gets_another(tmp_path):
    journal: Any = {"1.move": ANEW}
    step, call = Step("s1"), ToolCall("0", "peek", {"item": "s1"})
    kept: Any = to_json(KeptReply((call,), "tool_calls", None, None, Ladder("small"), degraded=False))
    async with app_of(tmp_path, plans(ONE)) as app:
        talk = Conversation(app.engine, app.engine.scope(Limits()), Ask(step, (Message.user("go"),)), journal)
        talk.recall(kept)
        talk.recover(Verdict(Trigger.tool_error, ("it is stuck",)))
        assert talk.calls == []  # to make the call again is no circle
        (again,) = talk.recall(kept).tool_calls
    assert again.id == "0-2"


ASKS: Any = {"recovery": RecoveryPolicy(max_replans=0, overrides={"tool_rejected": "ask_human"})}


async def test_what_a_person_advised_is_still_known_when_the_step_they_then_ended_is_resumed(tmp_path):
    heard: list[str] = []

    def refusing(item: str) -> str:
        if item != "mass":
            raise ToolRejected(f"no {item}")
        return "6300"

    def small(body: Mapping[str, Any]) -> Any:
        heard.append(json.dumps(body["messages"]))
        results = [one["content"] for one in body["messages"] if one["role"] == "tool"]
        return results[-1] if "6300" in results else CallTool("peek", item=["a", "b", "mass"][len(heard) - 1])

    async with app_of(tmp_path, plans(ONE), small, **ASKS) as app:
        agent = app.planner_executor([peeking(refusing)])
        out = await agent.ainvoke(TASK, THREAD)
        for said in ({"decision": "repeat", "text": "WEIGHTS ARE CALLED mass"}, "fail"):
            out = await agent.ainvoke({**RESUME, "answers": dict.fromkeys(_yes(out), said)}, THREAD)
        assert out["state"] == "failed"
        out = await agent.ainvoke(RESUME, THREAD)  # who ended the step is asked again
        assert out["__interrupt__"][0].value["kind"] == "stuck"
        out = await agent.ainvoke({**RESUME, "answers": dict.fromkeys(_yes(out), "repeat")}, THREAD)
    assert (out["answer"], len(heard)) == ("6300", 4)
    assert all("WEIGHTS ARE CALLED mass" in one for one in heard[1:])
