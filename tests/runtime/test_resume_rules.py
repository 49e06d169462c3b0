"""What a resume may rely on, and what it must look at anew: gates, limits, threads, ids."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from orchestra import Tool, tool
from orchestra.errors import ConfigError, LedgerError, RunOwned
from orchestra.ledger import AttemptStarted, RunEnded
from orchestra.testing import ScriptedModel, scripted_app
from orchestra.types import Price
from tests.runtime.scripts import PLANNER_IS_STRONG, THREAD, app_of, asked, events, obedient, plan, plans


def sending(sent: list[str]) -> Tool:
    @tool(needs_approval=True)
    def send(item: str) -> str:
        """Send.

        Args:
            item: what
        """
        sent.append(item)
        return "gone"

    return send


ONE = plans(plan(("s1", [], ["send"])))


async def test_a_model_that_a_gate_now_refuses_serves_a_resumed_step_no_more(tmp_path):
    sent: list[str] = []
    async with app_of(tmp_path, ONE) as app:
        await app.planner_executor([sending(sent)]).ainvoke({"task": "t", "run": "r"}, THREAD)
    models = (
        ScriptedModel("small", obedient),
        ScriptedModel("tagged", obedient, tags=("pii",)),
        ScriptedModel("strong", obedient, tier="capable"),
    )
    async with scripted_app(*models, ledger=tmp_path / "l.db", policies=[PLANNER_IS_STRONG]) as app:
        agent = app.planner_executor([sending(sent)], data_tags=("pii",))
        out = await agent.ainvoke(Command(resume=True), THREAD)
        served = [row.event.model for row in app.ledger.events("r") if isinstance(row.event, AttemptStarted)]
    assert (out["state"], sent, served) == ("done", ["s1"], ["strong", "small", "tagged"])


async def test_a_model_that_has_left_the_fleet_is_not_asked_again(tmp_path):
    sent: list[str] = []
    async with app_of(tmp_path, ONE) as app:
        await app.planner_executor([sending(sent)]).ainvoke({"task": "t", "run": "r"}, THREAD)
    models = ScriptedModel("nano", obedient), ScriptedModel("strong", obedient, tier="capable")
    async with scripted_app(*models, ledger=tmp_path / "l.db", policies=[PLANNER_IS_STRONG]) as app:
        out = await app.planner_executor([sending(sent)]).ainvoke(Command(resume=True), THREAD)
        served = [row.event.model for row in app.ledger.events("r") if isinstance(row.event, AttemptStarted)]
    assert (out["state"], served) == ("done", ["strong", "small", "nano"])


async def test_a_plan_that_was_only_looked_at_is_carried_out_when_its_run_goes_on(tmp_path):
    async with app_of(tmp_path, plans(plan(("s1", [], [])))) as app:
        agent = app.planner_executor([])
        looked = await agent.ainvoke({"task": "t", "run": "r", "plan_only": True})
        done = await agent.ainvoke({"run": "r"})
    assert (looked["answer"], looked["reason"], done["answer"]) == (None, "plan only", "s1: ok")


@pytest.mark.parametrize("more", [{"budget": 0.5}, {"changed": "all"}])
async def test_answers_go_by_themselves_rather_than_swallow_what_is_given_with_them(more, tmp_path):
    async with app_of(tmp_path, ONE) as app:
        agent = app.planner_executor([sending([])])
        out = await agent.ainvoke({"task": "t", "run": "r"})
        name = asked(out)["s1"].value["question"]
        with pytest.raises(
            ConfigError, match=f"answers go by themselves; give {next(iter(more))} in a call of its own"
        ):
            await agent.ainvoke({"run": "r", "answers": {name: True}, **more})
        out = await agent.ainvoke({"run": "r", "answers": {name: True}})
    assert out["state"] == "done"


async def test_one_answer_for_several_questions_is_refused_with_their_names(tmp_path):
    two = plans(plan(("s1", [], ["send"]), ("s2", [], ["send"])))
    async with app_of(tmp_path, two) as app:
        agent = app.planner_executor([sending(sent := [])])
        await agent.ainvoke({"task": "t", "run": "r"}, THREAD)
        with pytest.raises(ConfigError, match=r"2 questions are pending: s1\.0\.0\.\w+ \(\w+\), s2\.0\.0"):
            await agent.ainvoke(Command(resume=True), THREAD)
        out = await agent.aget_state(THREAD)
        await agent.ainvoke(Command(resume={one.id: True for one in out.interrupts}), THREAD)
    assert sorted(sent) == ["s1", "s2"]


async def test_a_new_task_on_a_thread_ends_the_run_that_waits_there(tmp_path):
    async with app_of(tmp_path, ONE) as app:
        agent = app.planner_executor([sending([])])
        await agent.ainvoke({"task": "first", "run": "a"}, THREAD)
        await agent.ainvoke({"task": "second", "run": "b"}, THREAD)
        ends = [(one.state, one.reason) for one in events(app, "a", RunEnded)]
    assert ends[-1] == ("cancelled", "a new task, run b, was begun on its thread")


@pytest.mark.parametrize("own", [False, True])
async def test_of_two_tasks_begun_at_once_on_one_thread_the_second_is_refused_and_the_first_goes_on(own, tmp_path):
    async with app_of(tmp_path, ONE) as app:
        agent = app.planner_executor([sending(sent := [])])
        if own:
            agent.checkpointer = InMemorySaver()
        tasks = (agent.ainvoke({"task": name, "run": name}, THREAD) for name in "ab")
        first, second = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(second, RunOwned)
        assert str(second).startswith("run a is at work in another task of this process (")
        assert "another task of this process" in second.owner
        name = asked(first)["s1"].value["question"]
        out = await agent.ainvoke({"run": "a", "answers": {name: True}}, THREAD)
        assert events(app, "b", RunEnded) == []
        assert (out["state"], sent) == ("done", ["s1"])
        out = await agent.ainvoke({"task": "b", "run": "b"}, THREAD)  # the thread is free again
    assert (out["run"], out["state"]) == ("b", "interrupted")


@pytest.mark.parametrize("begun", [{"task": "a", "run": "t"}, {"run": "t"}])
async def test_a_run_on_its_own_thread_is_not_hidden_by_a_task_begun_there_at_once(begun, tmp_path):
    async with app_of(tmp_path, ONE) as app:
        agent = app.planner_executor([sending(sent := [])])
        if "task" not in begun:
            await agent.ainvoke({"task": "a", "run": "t"})
            begun = {**begun, "budget": 1.0}
        tasks = agent.ainvoke(begun), agent.ainvoke({"task": "b", "run": "b"}, THREAD)
        first, second = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(second, RunOwned)
        name = asked(first)["s1"].value["question"]
        out = await agent.ainvoke({"run": "t", "answers": {name: True}})
        assert (out["state"], sent, events(app, "b", RunEnded)) == ("done", ["s1"], [])


async def test_a_thread_that_was_bound_to_an_agent_is_its_runs_thread(tmp_path):
    async with app_of(tmp_path, ONE) as app:
        agent = app.planner_executor([sending(sent := [])]).with_config(THREAD)
        first, second = await asyncio.gather(*(agent.ainvoke({"task": name}) for name in "ab"), return_exceptions=True)
        assert isinstance(second, RunOwned)
        name = asked(first)["s1"].value["question"]
        out = await agent.ainvoke({"run": first["run"], "answers": {name: True}})
        assert (await agent.aget_state(THREAD)).values["run"] == first["run"]
    assert (out["state"], sent) == ("done", ["s1"])


async def test_agents_with_savers_of_their_own_do_not_share_threads(tmp_path):
    async with app_of(tmp_path, ONE) as app:
        agents = [app.planner_executor([sending([])]) for _ in range(2)]
        for agent in agents:
            agent.checkpointer = InMemorySaver()
        outs = await asyncio.gather(*(agent.ainvoke({"task": "?"}, THREAD) for agent in agents))
    assert [out["state"] for out in outs] == ["interrupted"] * 2


async def test_a_thread_in_a_saver_of_ones_own_is_claimed_in_this_process_alone(tmp_path):
    def leases(_: Any) -> Any:
        with closing(sqlite3.connect(tmp_path / "l.db")) as db:
            held.extend(run for (run,) in db.execute("SELECT run FROM leases"))
        return plan(("s1", [], []))

    held: list[str] = []
    async with app_of(tmp_path, lambda body: (leases if body.get("response_format") else obedient)(body)) as app:
        agent = app.planner_executor()
        agent.checkpointer = InMemorySaver()
        await agent.ainvoke({"task": "?", "run": "r"}, THREAD)
    assert held == ["r"]  # what another process may not claim


async def test_an_agent_in_another_graph_has_a_run_and_a_budget_of_its_own_for_each_task(tmp_path):
    class Parent(TypedDict, total=False):
        task: str
        run: str
        state: str

    async with app_of(tmp_path, plans(plan(("s1", [], []))), price=Price(1.0, 1.0)) as app:
        graph = StateGraph(Parent).add_node("agent", app.planner_executor([], budget=0.0028))
        compiled: Any = graph.add_edge(START, "agent").add_edge("agent", END).compile(checkpointer=InMemorySaver())
        outs = [await compiled.ainvoke({"task": f"t{number}"}, THREAD) for number in range(4)]
    assert [out["state"] for out in outs] == ["done"] * 4
    assert len({out["run"] for out in outs}) == 4


@pytest.mark.parametrize("run", [5, ["r"]])
async def test_a_run_id_is_a_text(run, tmp_path):
    async with app_of(tmp_path, ONE) as app:
        with pytest.raises(ConfigError, match="run: expected a run's id, a text, got"):
            await app.planner_executor([sending([])]).ainvoke({"run": run})


async def test_money_that_is_asked_for_in_the_middle_of_a_new_plan_does_not_carry_the_old_one_out(tmp_path):
    done: list[str] = []

    @tool
    def write(item: str) -> str:
        """Write.

        Args:
            item: what
        """
        done.append(item)
        return "written"

    old, new = plan(("s1", [], ["send"]), ("s2", ["s1"], ["write"])), plan(("s3", [], []))
    async with app_of(tmp_path, plans(old, new), price=Price(1.0, 1.0)) as app:
        agent = app.planner_executor([sending([]), write], at_cap="pause", budget=1.0)
        await agent.ainvoke({"task": "t", "run": "r"}, THREAD)
        waiting = await agent.ainvoke({"run": "r", "changed": "nothing may be sent any more", "budget": 0.001}, THREAD)
        assert [one.value["kind"] for one in waiting["__interrupt__"]] == ["budget"]
        out = await agent.ainvoke(Command(resume={"decision": "budget", "usd": 1.0}), THREAD)
    assert (out["answer"], done) == ("s3: ok", [])


@pytest.mark.interpreted
async def test_a_ledger_that_is_full_for_a_moment_does_not_keep_the_run_from_going_on(tmp_path, monkeypatch):
    async with app_of(tmp_path, ONE) as app:
        agent, append = app.planner_executor([sending([])]), app.ledger.append

        def full(run: str, step: str, event: Any, **options: Any) -> Any:
            if isinstance(event, RunEnded):
                raise LedgerError("the disk is full")
            return append(run, step, event, **options)

        monkeypatch.setattr(app.ledger, "append", full)
        with pytest.raises(LedgerError):
            await agent.ainvoke({"task": "t", "run": "r"}, THREAD)
        monkeypatch.undo()
        out = await agent.ainvoke(Command(resume=True), THREAD)
    assert out["state"] == "done"
