"""What a run that was left does when it is gone on with: after a death, a failure, its end, with another agent."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command

from orchestra import RecoveryPolicy, Tool, tool
from orchestra.errors import ConfigError, RunOwned
from orchestra.ledger import Planned, RunEnded, RunResumed, StepEnded, ToolStarted
from orchestra.testing import CallTool, Error, Silence
from orchestra.toolbox import ToolFailed
from tests.runtime.scripts import THREAD, app_of, asked, events, obedient, plan, plans

TASK = {"task": "?", "run": "r"}
PAYS = plan(("s1", [], ["pay"]))


class Till:
    """A tool that pays and then hangs until it is let go: whoever is killed there has paid."""

    def __init__(self, *, keyed: bool = False, **kind: bool) -> None:
        self.paid: list[str] = []
        self.in_use, self.go = asyncio.Event(), asyncio.Event()
        self.pay = tool(**kind)(self._keyed if keyed else self._plain)

    async def _plain(self, item: str) -> str:
        self.paid.append(item)
        self.in_use.set()
        await self.go.wait()
        return "paid"

    async def _keyed(self, item: str, idempotency_key: str) -> str:
        return await self._plain(idempotency_key)

    _plain.__name__ = _keyed.__name__ = "pay"
    _plain.__doc__ = _keyed.__doc__ = "Pay.\n\nArgs:\n    item: for what"


@asynccontextmanager
async def cut_short(folder: Path, till: Till, strong: Any = None, **options: Any) -> AsyncIterator[None]:
    """A run that was left while the till was in use; the block is the time after."""
    async with app_of(folder, strong or plans(PAYS), **options) as app:
        run = asyncio.create_task(_all(app.planner_executor([till.pay]), TASK))
        await till.in_use.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    till.go.set()
    yield


async def _all(agent: Any, given: Any) -> None:
    async for _ in agent.astream(given, THREAD):
        pass


@pytest.mark.parametrize(
    ("decision", "paid", "answer"),
    [
        ({"decision": "done", "text": "receipt 7"}, 1, "s1: receipt 7"),
        ("done", 1, "s1: done, as a person confirmed"),
        (True, 1, "s1: done, as a person confirmed"),
        ("repeat", 2, "s1: paid"),
        ("fail", 1, None),
    ],
)
async def test_of_an_act_that_was_cut_short_a_person_says_whether_it_was_done(decision, paid, answer, tmp_path):
    till = Till()
    async with cut_short(tmp_path, till), app_of(tmp_path, plans(PAYS)) as app:
        agent = app.planner_executor([till.pay])
        out = await agent.ainvoke({"run": "r"}, THREAD)
        value = asked(out)["s1"].value
        assert (value["kind"], value["tool"], value["arguments"]) == ("unknown", "pay", {"item": "s1"})
        assert value["decisions"] == ["done", "repeat", "fail"]
        out = await agent.ainvoke(Command(resume=decision), THREAD)
    assert (len(till.paid), out["answer"]) == (paid, answer)
    if answer is None:
        assert "what it did before the run was interrupted is not known; a person ended the step" in out["reason"]


async def test_a_repetition_that_is_cut_short_too_is_asked_about_again(tmp_path):
    till = Till()
    async with cut_short(tmp_path, till), app_of(tmp_path, plans(PAYS)) as app:
        agent = app.planner_executor([till.pay])
        first = asked(await agent.ainvoke(None, THREAD))["s1"].value
        till.in_use.clear()
        till.go.clear()
        run = asyncio.create_task(_all(agent, Command(resume="repeat")))
        await till.in_use.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        out = await agent.ainvoke(None, THREAD)
        second = asked(out)["s1"].value
        assert (second["kind"], second["question"] != first["question"]) == ("unknown", True)
        out = await agent.ainvoke(Command(resume="done"), THREAD)
    assert (out["state"], len(till.paid)) == ("done", 2)


async def test_a_tool_that_takes_a_key_is_called_again_under_the_same_one_and_nobody_is_asked(tmp_path):
    till = Till(keyed=True)
    async with cut_short(tmp_path, till), app_of(tmp_path, plans(PAYS)) as app:
        out = await app.planner_executor([till.pay]).ainvoke({"run": "r"}, THREAD)
    assert out["answer"] == "s1: paid"
    assert len(till.paid) == 2
    assert len(set(till.paid)) == 1


async def test_every_other_call_has_a_key_of_its_own_also_the_same_one_made_again_on_purpose(tmp_path):
    till = Till(keyed=True)
    till.go.set()

    def small(body: Mapping[str, Any]) -> Any:
        made = sum(one["role"] == "tool" for one in body["messages"])
        return CallTool("pay", item=("a", "b", "a")[made]) if made < 3 else "thrice"

    async with app_of(tmp_path, plans(PAYS), small) as app:
        for run in ("r", "r2"):
            out = await app.planner_executor([till.pay]).ainvoke({"task": "?", "run": run})
            assert out["answer"] == "thrice"
    assert len(set(till.paid)) == len(till.paid) == 6


async def test_a_run_that_died_before_its_first_step_keeps_its_task_and_takes_a_new_limit(tmp_path):
    asked_of: list[str] = []

    def hangs(body: Mapping[str, Any]) -> Any:
        asked_of.append("plan")
        return Silence()

    async with app_of(tmp_path, hangs) as app:
        agent = app.planner_executor()
        run = asyncio.create_task(_all(agent, TASK))
        while not asked_of:
            await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    async with app_of(tmp_path, plans(plan(("s1", [], [])))) as app:
        out = await app.planner_executor().ainvoke({"run": "r", "budget": 1.0}, THREAD)
        assert len(events(app, "r", RunEnded)) == 2
    assert (out["task"], out["budget"], out["answer"], out["run"]) == ("?", 1.0, "s1: ok", "r")


async def test_a_run_that_failed_tries_what_failed_again_and_keeps_what_was_done(tmp_path):
    looked: list[str] = []
    locked = [True]

    @tool(read_only=True)
    def look(item: str) -> str:
        """Look.

        Args:
            item: at what
        """
        looked.append(item)
        if item == "s2" and locked:
            raise ToolFailed("the drawer is locked")
        return f"{item} seen"

    def small(body: Mapping[str, Any]) -> Any:
        results = [one["content"] for one in body["messages"] if one["role"] == "tool"]
        said = obedient(body)
        return CallTool("look", item="s2") if "locked" in (results or [""])[-1] else said

    strong = plans(plan(("s1", [], ["look"]), ("s2", [], ["look"]), ("s3", ["s1", "s2"], [])))
    options: Any = {"recovery": RecoveryPolicy(repairs=0, max_rungs=0, max_replans=0)}
    async with app_of(tmp_path, strong, small, **options) as app:
        out = await app.planner_executor([look]).ainvoke(TASK, THREAD)
        assert (out["state"], looked) == ("failed", ["s1", "s2"])
        assert out["partial"].startswith("Known:\n- s1 (do s1.): s1: s1 seen\nMissing:\n- s2 (do s2.): ")
    async with app_of(tmp_path, strong, small, **options) as app:
        out = await app.planner_executor([look]).ainvoke({"run": "r"}, THREAD)
        assert (out["state"], looked) == ("failed", ["s1", "s2", "s2"])
    locked.clear()
    async with app_of(tmp_path, strong, small, **options) as app:
        out = await app.planner_executor([look]).ainvoke({"run": "r"}, THREAD)
        assert [one.state for one in events(app, "r", RunEnded)] == ["failed", "failed", "done"]
    assert (out["answer"], looked) == ("s3: ok", ["s1", "s2", "s2", "s2"])
    assert (out["reason"], out["missing"], out["partial"]) == ("", [], "")


async def test_a_run_that_failed_because_no_model_answered_goes_on_when_they_do(tmp_path):
    down = [True]

    def small(body: Mapping[str, Any]) -> Any:
        return Error(400, {"error": {"message": "down"}}) if down else obedient(body)

    strong = plans(plan(("s1", [], []), ("s2", ["s1"], [])))
    async with app_of(tmp_path, strong, small, recovery=RecoveryPolicy(max_rungs=0)) as app:
        assert (await app.planner_executor().ainvoke(TASK, THREAD))["state"] == "failed"
        down.clear()
        out = await app.planner_executor().ainvoke({"run": "r"}, THREAD)
        ended = [row.step for row in app.ledger.events("r") if isinstance(row.event, StepEnded)]
    assert (out["answer"], ended) == ("s2: ok", ["plan", "s1", "s2", "s1", "s2"])


async def test_a_person_who_ended_a_step_is_asked_again_when_the_run_is_resumed(tmp_path):
    till = Till()
    async with cut_short(tmp_path, till), app_of(tmp_path, plans(PAYS)) as app:
        agent = app.planner_executor([till.pay])
        await agent.ainvoke(None, THREAD)
        assert (await agent.ainvoke(Command(resume="fail"), THREAD))["state"] == "failed"
        assert list(asked(await agent.ainvoke({"run": "r"}, THREAD))) == ["s1"]
        out = await agent.ainvoke(Command(resume="done"), THREAD)
    assert (out["state"], len(till.paid)) == ("done", 1)


async def test_a_run_that_is_done_gives_its_answer_again_and_does_nothing(tmp_path):
    till = Till()
    till.go.set()
    async with app_of(tmp_path, plans(PAYS)) as app:
        first = await app.planner_executor([till.pay]).ainvoke(TASK, THREAD)
        rows = app.ledger.events("r")
        assert not app.ledger.kept("r", "s1")
    async with app_of(tmp_path, plans(PAYS)) as app:
        again = await app.planner_executor([till.pay]).ainvoke({"run": "r"}, THREAD)
        assert app.ledger.events("r") == rows
    assert (again["answer"], len(till.paid)) == (first["answer"], 1)


@pytest.mark.parametrize(
    ("given", "config", "said"),
    [
        ({"run": "q"}, None, "run q cannot be resumed: no checkpoint of it is kept here"),
        ({"run": "q"}, THREAD, "run q cannot be resumed: the run of this thread is r; give the thread_id it had"),
        ({"task": "x", "changed": "y"}, None, "changed: it goes with the 'run' that is to go on"),
    ],
)
async def test_what_cannot_be_resumed_is_refused_with_what_is_there(given, config, said, tmp_path):
    async with app_of(tmp_path, plans(plan(("s1", [], [])))) as app:
        await app.planner_executor().ainvoke(TASK, THREAD)
        with pytest.raises(ConfigError, match=said):
            await app.planner_executor().ainvoke(given, config)
        assert not app.ledger.events("q")


async def test_without_checkpoints_a_run_cannot_be_resumed():
    async with app_of(None, plans(plan(("s1", [], [])))) as app:
        with pytest.raises(ConfigError, match="run r cannot be resumed: no checkpoint of it is kept here"):
            await app.planner_executor().ainvoke({"run": "r"})


def named(name: str, words: str = "Look.") -> Tool:
    def look(item: str) -> str:
        return f"{name} saw {item}"

    look.__name__, look.__doc__ = name, f"{words}\n\nArgs:\n    item: at what"
    return tool(read_only=True)(look)


async def interrupted(folder: Path, strong: Any, *tools: Tool) -> None:
    """A run that waits with its step `s1`, which pays."""
    pay = _approved()
    async with app_of(folder, strong) as app:
        assert list(asked(await app.planner_executor([pay, *tools]).ainvoke(TASK, THREAD))) == ["s1"]


def _approved() -> Tool:
    @tool(needs_approval=True)
    def pay(item: str) -> str:
        """Pay.

        Args:
            item: for what
        """
        return "paid"

    return pay


LATER = plan(("s1", [], ["pay"]), ("s2", ["s1"], ["look"]))


async def test_a_run_whose_next_step_needs_a_tool_that_is_gone_is_refused_with_both_ways_out(tmp_path):
    await interrupted(tmp_path, plans(LATER), named("look"))
    async with app_of(tmp_path, plans(LATER)) as app:
        with pytest.raises(ConfigError) as refused:
            await app.planner_executor([_approved()]).ainvoke(Command(resume=True), THREAD)
    assert str(refused.value) == (
        "run r needs tools that this version of the agent does not have: 'look' (step 's2'); its tools: pay. "
        "Give them back, or resume with `changed`, a text that says what is different: the rest is planned anew"
    )
    async with app_of(tmp_path, plans(LATER)) as app:
        out = await app.planner_executor([_approved(), named("look")]).ainvoke(Command(resume=True), THREAD)
    assert out["answer"] == "s2: look saw s2"


async def test_with_changed_the_rest_is_planned_for_the_tools_that_are_left(tmp_path):
    await interrupted(tmp_path, plans(LATER), named("look"))
    strong = plans(LATER, plan(("s3", [], ["gaze"])))
    async with app_of(tmp_path, strong) as app:
        out = await app.planner_executor([named("gaze")]).ainvoke({"run": "r", "changed": "no look any more"}, THREAD)
        assert events(app, "r", Planned)[-1].reason == "the world has changed: no look any more"
    assert (out["answer"], out["version"], out["replans"]) == ("s3: gaze saw s3", 2, 0)


async def test_how_the_agent_has_changed_is_recorded_where_it_goes_on(tmp_path):
    await interrupted(tmp_path, plans(LATER), named("look"), named("old"))
    async with app_of(tmp_path, plans(LATER)) as app:
        tools = [_approved(), named("look", "Look closely."), named("fresh")]
        out = await app.planner_executor(tools).ainvoke(Command(resume=True), THREAD)
        (resumed,) = events(app, "r", RunResumed)
    assert out["state"] == "done"
    assert resumed.notes == (
        "tool 'fresh' is new",
        "tool 'old' is gone; no step that is left needs it",
        "tool 'look' has changed; it is used as it is now",
    )


async def test_of_two_that_resume_one_goes_on_and_the_other_is_told_who_does(tmp_path):
    till = Till(read_only=True)
    async with cut_short(tmp_path, till):
        till.in_use.clear()
        till.go.clear()
    async with app_of(tmp_path, plans(PAYS)) as app, app_of(tmp_path, plans(PAYS)) as other:
        till.go.clear()
        run = asyncio.create_task(app.planner_executor([till.pay]).ainvoke({"run": "r"}, THREAD))
        await till.in_use.wait()
        for given in ({"run": "r"}, None, TASK):
            with pytest.raises(RunOwned, match="run r is at work in another task of this process") as refused:
                await other.planner_executor([till.pay]).ainvoke(given, THREAD)
        assert "another task of this process" in refused.value.owner
        till.go.set()
        assert (await run)["answer"] == "s1: paid"
        (resumed,) = events(app, "r", RunResumed)
    assert resumed.agent == "planner_executor"


CLAIM = """
import sys
from orchestra.ledger import Ledger
ledger = Ledger(sys.argv[1])
ledger.claim("r")
print("claimed", flush=True)
sys.stdin.read()
"""


async def test_another_process_is_named_and_when_it_is_killed_the_run_is_free(tmp_path):
    till = Till(read_only=True)
    async with cut_short(tmp_path, till), app_of(tmp_path, plans(PAYS)) as app:
        agent = app.planner_executor([till.pay])
        with subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(tmp_path / "l.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout
            assert other.stdout.readline() == b"claimed\n"
            with pytest.raises(RunOwned, match=str(other.pid)):
                await agent.ainvoke({"run": "r"}, THREAD)
            other.kill()
        assert (await agent.ainvoke({"run": "r"}, THREAD))["state"] == "done"


async def test_a_fork_that_is_left_goes_on_as_itself_and_repeats_nothing(tmp_path):
    till, hung = Till(), asyncio.Event()
    till.go.set()
    strong = plans(plan(("s1", [], ["pay"]), ("s2", ["s1"], [])))

    def small(body: Mapping[str, Any]) -> Any:
        if len(till.paid) < 2 or hung.is_set() or not isinstance(said := obedient(body), str):
            return obedient(body)
        hung.set()
        return Silence()

    async with app_of(tmp_path, strong, small) as app:
        agent = app.planner_executor([till.pay])
        await agent.ainvoke(TASK, THREAD)
        (old,) = [one.config async for one in agent.aget_state_history(THREAD) if one.next == ("execute",)]
        run = asyncio.create_task(agent.ainvoke(None, old))
        await hung.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    async with app_of(tmp_path, strong, small) as app:
        fork = next(one.run for one in app.ledger.runs() if one.run != "r")
        out = await app.planner_executor([till.pay]).ainvoke({"run": fork}, THREAD)
        assert events(app, fork, Planned)[0].reason == "forked from run r"
        assert [one.tool for one in events(app, fork, ToolStarted)] == ["pay"]
    assert (out["run"], out["answer"], till.paid) == (fork, "s2: ok", ["s1", "s1"])


async def test_another_task_under_the_id_of_a_run_that_was_left_is_not_given_its_plan(tmp_path):
    till = Till()
    async with cut_short(tmp_path, till), app_of(tmp_path, plans(plan(("s1", [], [])))) as app:
        out = await app.planner_executor([till.pay]).ainvoke({"task": "another", "run": "r"}, THREAD)
    assert (out["answer"], len(till.paid)) == ("s1: ok", 1)
