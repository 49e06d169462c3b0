"""What a run that was left does when it is gone on with: after a death, a failure, a question, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from langgraph.types import Command

from orchestra import RecoveryPolicy, tool
from orchestra.errors import ConfigError
from orchestra.ledger import RunEnded, StepEnded
from orchestra.testing import CallTool, Error, Silence
from orchestra.toolbox import ToolFailed
from tests.runtime.scripts import THREAD, app_of, asked, events, obedient, plan, plans
from tests.runtime.till import PAYS, TASK, Till, cut_short, to_its_end


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
        run = asyncio.create_task(to_its_end(agent, Command(resume="repeat")))
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
    hung = asyncio.Event()

    def hangs(body: Mapping[str, Any]) -> Any:
        hung.set()
        return Silence()

    async with app_of(tmp_path, hangs) as app:
        agent = app.planner_executor()
        run = asyncio.create_task(to_its_end(agent, TASK))
        await hung.wait()
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
        assert (out["state"], sorted(looked)) == ("failed", ["s1", "s2"])
        assert out["partial"].startswith("Known:\n- s1 (do s1.): s1: s1 seen\nMissing:\n- s2 (do s2.): ")
    async with app_of(tmp_path, strong, small, **options) as app:
        out = await app.planner_executor([look]).ainvoke({"run": "r"}, THREAD)
        assert (out["state"], sorted(looked)) == ("failed", ["s1", "s2", "s2"])
    locked.clear()
    async with app_of(tmp_path, strong, small, **options) as app:
        out = await app.planner_executor([look]).ainvoke({"run": "r"}, THREAD)
        assert [one.state for one in events(app, "r", RunEnded)] == ["failed", "failed", "done"]
    assert (out["answer"], sorted(looked)) == ("s3: ok", ["s1", "s2", "s2", "s2"])
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
