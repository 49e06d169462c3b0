"""Steps that a new plan drops: what they did is told and not repeated, and the ledger says how they ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestra import RecoveryPolicy, Tool, tool
from orchestra.ledger import HumanAsked, Planned, StepEnded, questions, steps
from orchestra.testing import CallTool
from orchestra.toolbox import Replan, ask_human
from tests.runtime.scripts import THREAD, app_of, asked, events, obedient, plan
from tests.runtime.test_replan import Watched, failing, looking
from tests.runtime.till import TASK, Till, cut_short

CHANGED = {"run": "r", "changed": "the bank has moved"}
MAY_BE = 'pay({"item": "s1"}): it was started and its end was never recorded: it may have been done, nobody knows'


def writing(**kind: bool) -> Tool:
    @tool(**kind)
    def write(item: str) -> str:
        """Write.

        Args:
            item: what
        """
        return f"written {item}"

    return write


def done_before(strong: Watched) -> list[str]:
    """What the planner was told last that it must not do again."""
    _, found, rest = strong.asked[-1].partition("Already done, never do it again:\n")
    return rest.partition("\n\n")[0].splitlines() if found else []


async def planned_anew(strong: Watched, tools: list[Any], folder: Path | None = None) -> dict[str, Any]:
    """A run that is left with a question, and then with a changed world."""
    async with app_of(folder, strong) as app:
        agent = app.planner_executor(tools)
        await agent.ainvoke(TASK, THREAD)
        return await agent.ainvoke(CHANGED, THREAD)


async def test_what_a_step_did_before_it_waited_for_a_person_is_told_when_the_world_has_changed(tmp_path):
    strong = Watched(plan(("s1", [], ["look", "write", "ask_human"])), plan(("s2", [], [])))
    out = await planned_anew(strong, [looking([]), writing(), ask_human], tmp_path)
    assert (out["state"], out["answer"]) == ("done", "s2: ok")
    assert done_before(strong) == ['write({"item": "s1"}): written s1']  # neither what was looked up, nor the question


async def test_of_calls_that_people_were_asked_about_those_are_told_that_were_made_and_as_they_were_made(tmp_path):
    @tool(needs_approval=True)
    def pay(item: str) -> str:
        """Pay.

        Args:
            item: for what
        """
        return f"{item} is paid"

    strong = Watched(plan(("s1", [], ["pay", "ask_human"]), ("s2", [], ["pay", "ask_human"])), plan(("s3", [], [])))
    async with app_of(tmp_path, strong) as app:
        agent = app.planner_executor([pay, ask_human])
        first = asked(await agent.ainvoke(TASK, THREAD))
        edit = {"decision": "edit", "arguments": {"item": "rent"}}
        answers = {first["s1"].value["question"]: False, first["s2"].value["question"]: edit}
        await agent.ainvoke({"run": "r", "answers": answers}, THREAD)
        await agent.ainvoke(CHANGED, THREAD)
    assert done_before(strong) == ['pay({"item": "rent"}): rent is paid']


async def test_a_call_that_the_tool_rejected_is_no_act(tmp_path):
    def small(body: Mapping[str, Any]) -> Any:
        calls = sum(one["role"] == "tool" for one in body["messages"])
        return CallTool("pick", item=f"no {calls}") if body.get("tools") and calls < 2 else obedient(body)

    @tool
    def pick(item: str) -> str:
        """Pick.

        Args:
            item: which
        """
        from orchestra.toolbox import ToolRejected

        if item == "no 0":
            raise ToolRejected("there is none")
        return "picked"

    strong = Watched(plan(("s1", [], ["pick", "ask_human"])), plan(("s2", [], [])))
    async with app_of(tmp_path, strong, small) as app:
        agent = app.planner_executor([pick, ask_human])
        await agent.ainvoke(TASK, THREAD)
        await agent.ainvoke(CHANGED, THREAD)
    assert done_before(strong) == ['pick({"item": "no 1"}): picked']


async def test_the_second_new_plan_is_told_of_what_was_done_before_the_first_without_a_ledger_too():
    strong = Watched(plan(("s1", [], ["write", "crack"])), lambda: next(later))
    later = iter([plan(("s2", [], ["write", "crack"])), plan(("s3", [], []))])
    async with app_of(None, strong, recovery=RecoveryPolicy(repairs=0, max_rungs=0, max_replans=2)) as app:
        tools = [writing(), failing(Replan("gone"), read_only=True)]
        out = await app.planner_executor(tools).ainvoke({"task": "?"})
    told = ['write({"item": "s1"}): written s1', 'write({"item": "s2"}): written s2']
    assert (out["answer"], out["acts"], done_before(strong)) == ("s3: ok", told, told)


async def test_a_run_that_was_done_still_knows_what_a_failed_step_of_it_did(tmp_path):
    first = plan(("s1", [], ["write", "crack"]), ("s2", ["s1"], []), optional=("s1",))
    strong = Watched(first, plan(("s3", ["s2"], [])))
    async with app_of(tmp_path, strong) as app:
        agent = app.planner_executor([writing(), failing(Replan("gone"), read_only=True)])
        assert (await agent.ainvoke(TASK, THREAD))["state"] == "done"
        await agent.ainvoke(CHANGED, THREAD)
    assert done_before(strong) == ['write({"item": "s1"}): written s1']


async def left_in_a_call(folder: Path, strong: Watched, answer: Any, **options: Any) -> dict[str, Any]:
    """A run that was left while it paid, and then with a changed world; what people say to that."""
    till = Till()
    async with cut_short(folder, till, strong), app_of(folder, strong, **options) as app:
        agent = app.planner_executor([till.pay])
        out = await agent.ainvoke(CHANGED, THREAD)
        if answer is None:
            return out
        (question,) = out["__interrupt__"]
        assert (question.value["kind"], question.value["tool"], out["state"]) == ("unknown", "pay", "interrupted")
        out = await agent.ainvoke({"run": "r", "answers": {question.value["question"]: answer}}, THREAD)
        assert (len(till.paid), out["answer"]) == (1, "s2: ok")
        assert len(events(app, "r", HumanAsked)) == 1
        return out


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("done", ['pay({"item": "s1"}): done, as a person confirmed']),
        ({"decision": "done", "text": "receipt 7"}, ['pay({"item": "s1"}): receipt 7']),
        ("repeat", []),
        ("fail", [MAY_BE]),
    ],
)
async def test_of_a_call_that_nobody_saw_end_a_person_is_asked_before_the_rest_is_planned_anew(answer, told, tmp_path):
    strong = Watched(plan(("s1", [], ["pay"])), plan(("s2", [], [])))
    await left_in_a_call(tmp_path, strong, answer)
    assert done_before(strong) == told


async def test_where_nobody_is_to_be_asked_the_planner_is_told_that_it_may_have_been_done(tmp_path):
    strong = Watched(plan(("s1", [], ["pay"])), plan(("s2", [], [])))
    policy = RecoveryPolicy(overrides={"tool_unknown": ["fail"]})
    assert (await left_in_a_call(tmp_path, strong, None, recovery=policy))["answer"] == "s2: ok"
    assert done_before(strong) == [MAY_BE]


async def test_a_person_is_asked_of_a_call_of_a_tool_that_is_gone(tmp_path):
    strong, till = Watched(plan(("s1", [], ["pay"])), plan(("s2", [], []))), Till(idempotent=True)
    async with cut_short(tmp_path, till, strong), app_of(tmp_path, strong) as app:
        out = await app.planner_executor([]).ainvoke(CHANGED, THREAD)
    assert [one.value["kind"] for one in out["__interrupt__"]] == ["unknown"]


async def test_dropped_steps_end_as_skipped_once_and_nobody_waits_for_an_answer_to_them(tmp_path):
    strong = Watched(plan(("s1", [], ["ask_human"]), ("s2", ["s1"], [])), plan(("s3", [], [])))
    out = await planned_anew(strong, [ask_human], tmp_path)
    async with app_of(tmp_path, strong) as app:
        rows = app.ledger.events("r")
    ended = [(row.step, row.event.evidence) for row in rows if row.event == StepEnded("skipped", evidence=EVIDENCE)]
    assert (out["answer"], ended) == ("s3: ok", [("s1", EVIDENCE)])  # s2 was never begun
    assert [(one.step, one.state) for one in questions(rows)] == [("s1", "withdrawn")]
    assert {one.id: one.state for one in steps(rows)} == {
        "plan": "done",
        "s1": "skipped",
        "plan2": "done",
        "s3": "done",
    }


EVIDENCE = ("planned anew",)


async def test_a_step_that_has_ended_does_not_end_again_when_it_is_dropped(tmp_path):
    strong = Watched(plan(("s1", [], ["crack"])), plan(("s2", [], [])))
    async with app_of(tmp_path, strong) as app:
        await app.planner_executor([failing(Replan("gone"))]).ainvoke(TASK, THREAD)
        ended = [
            row.event.state for row in app.ledger.events("r") if row.step == "s1" and row.event.type == "step_ended"
        ]
    assert ended == ["failed"]


async def test_a_stream_that_is_left_early_leaves_nothing_in_the_log(tmp_path, caplog):
    begun = asyncio.Event()
    async with app_of(tmp_path, Watched(plan(("s1", [], ["look"])))) as app:
        rows = app.planner_executor([looking([])]).astream(TASK, THREAD, stream_mode="custom")
        async for row in rows:
            if row.event.type == "step_started":
                begun.set()
                break
        await rows.aclose()
        assert app.ledger.events("r")[-1].event.state == "cancelled"
    assert begun.is_set()
    assert caplog.messages == []


async def left_beside(folder: Path, strong: Watched, looked: list[str]) -> Till:
    """A run that was left in its second step when the first, which only looks, was done."""
    till, seen = Till(read_only=True), asyncio.Event()
    async with app_of(folder, strong) as app:
        agent = app.planner_executor([looking(looked), till.pay])
        app.ledger.subscribe(
            "r", lambda row: seen.set() if row.event.type == "step_ended" and row.step == "s1" else None
        )
        run = asyncio.create_task(agent.ainvoke(TASK, THREAD))
        await till.in_use.wait()
        await seen.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    till.go.set()
    return till


BESIDE = plan(("s1", [], ["look"]), ("s2", [], ["pay"]), ("s3", ["s1", "s2"], []))


async def test_a_step_that_a_cancelled_run_had_finished_is_kept_when_the_world_has_changed(tmp_path):
    looked, strong = list[str](), Watched(BESIDE, plan(("s4", ["s1"], [])))
    till = await left_beside(tmp_path, strong, looked)
    async with app_of(tmp_path, strong) as app:
        out = await app.planner_executor([looking(looked), till.pay]).ainvoke(CHANGED, THREAD)
        assert [one.kept for one in events(app, "r", Planned)] == [(), ("s1",)]
    assert "Finished:\n[s1] do s1.\ns1: s1 seen" in strong.asked[-1]
    assert (out["answer"], list(out["steps"]), looked) == ("s4: ok", ["s1", "s4"], ["s1"])


async def test_what_a_cancelled_run_had_finished_is_known_too_where_no_new_plan_comes(tmp_path):
    looked, strong = list[str](), Watched(BESIDE, '{"steps": []}')
    till = await left_beside(tmp_path, strong, looked)
    async with app_of(tmp_path, strong) as app:
        out = await app.planner_executor([looking(looked), till.pay]).ainvoke(CHANGED, THREAD)
    assert (out["state"], list(out["steps"])) == ("failed", ["s1"])
    assert out["missing"] == ["s2 (do s2.): it was not done", "s3 (do s3.): it was not done"]
