"""Time travel through LangGraph's own history: look back, go on from an older state, change one and go on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from langgraph.types import Command

from orchestra import Orchestra, StepPolicy, tool
from orchestra.errors import ConfigError, RunOwned
from orchestra.ledger import Planned, RunEnded, RunStarted, StepEnded
from orchestra.testing import CallTool, Error, ScriptedModel, scripted_app
from orchestra.toolbox import Replan, Tool
from tests.runtime import scripts
from tests.runtime.scripts import plan, plans

BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])
STEPS = [
    {"id": "s1", "goal": "count apples", "needs": [], "tools": ["count"], "difficulty": "easy"},
    {"id": "s2", "goal": "count pears", "needs": [], "tools": ["count"], "difficulty": "easy"},
    {"id": "s3", "goal": "add them up", "needs": ["s1", "s2"], "tools": [], "difficulty": "easy"},
]
THREAD: Any = {"configurable": {"thread_id": "t"}}


def small(request: dict[str, Any]) -> Any:
    text = next(m["content"] for m in reversed(request["messages"]) if m["role"] == "user")
    goal = text.rpartition("Your step:")[2]
    results = [m["content"] for m in request["messages"] if m["role"] == "tool"]
    if "add" in goal:
        return "seven"
    return results[-1] if results else CallTool("count", fruit="apples" if "apples" in goal else "pears")


def counting(counted: list[str]) -> Tool:
    @tool(read_only=True)
    def count(fruit: str) -> str:
        """Count fruit.

        Args:
            fruit: which
        """
        counted.append(fruit)
        return {"apples": "3", "pears": "4"}[fruit]

    return count


def app_of(folder: Any) -> Orchestra:
    strong = ScriptedModel("strong", lambda _: json.dumps({"steps": STEPS}), tier="capable")
    return scripted_app(ScriptedModel("small", small), strong, policies=[BOTH], ledger=folder / "l.db")


async def history(agent: Any) -> list[Any]:
    """The thread's states, the newest first."""
    return [state async for state in agent.aget_state_history(THREAD)]


async def at(agent: Any, node: str) -> Any:
    """The newest state from which this node comes next."""
    return next(state for state in await history(agent) if state.next == (node,))


def ends(app: Orchestra, run: str) -> list[str]:
    return [row.event.state for row in app.ledger.events(run) if isinstance(row.event, RunEnded)]


async def test_the_history_of_a_run_is_its_states_in_plain_json_newest_first(tmp_path):
    async with app_of(tmp_path) as app:
        agent = app.planner_executor([counting([])])
        await agent.ainvoke({"task": "How many?"}, THREAD)
        found = await history(agent)
    assert [state.next for state in found] == [(), ("finish",), ("execute",), ("plan",), ("__start__",)]
    assert found[0].values["answer"] == "seven"
    assert found[2].values["steps"] == {}
    assert json.loads(json.dumps([state.values for state in found])) == [state.values for state in found]


async def test_going_on_from_an_older_state_is_a_run_of_its_own_and_leaves_the_first_as_it_was(tmp_path):
    async with app_of(tmp_path) as app:
        counted: list[str] = []
        agent = app.planner_executor([counting(counted)])
        first = await agent.ainvoke({"task": "How many?"}, THREAD)
        before = app.ledger.events(first["run"])
        again = await agent.ainvoke(None, (await at(agent, "execute")).config)
        assert app.ledger.events(first["run"]) == before
        assert ends(app, again["run"]) == ["done"]
    assert again["run"] != first["run"]
    assert (again["answer"], again["plan"]) == ("seven", first["plan"])
    assert sorted(counted) == ["apples", "apples", "pears", "pears"]


async def test_what_was_finished_in_the_older_state_is_kept(tmp_path):
    async with app_of(tmp_path) as app:
        counted: list[str] = []
        agent = app.planner_executor([counting(counted)])
        first = await agent.ainvoke({"task": "How many?"}, THREAD)
        again = await agent.ainvoke(None, (await at(agent, "finish")).config)
        ran = [row.step for row in app.ledger.events(again["run"]) if isinstance(row.event, StepEnded)]
    assert again["run"] != first["run"]
    assert (again["answer"], again["steps"]) == ("seven", first["steps"])
    assert (ran, sorted(counted)) == ([], ["apples", "pears"])


async def test_the_newest_state_is_where_its_own_run_goes_on(tmp_path):
    async with app_of(tmp_path) as app:
        agent = app.planner_executor([counting([])])
        first = await agent.ainvoke({"task": "How many?"}, THREAD)
        newest = (await history(agent))[0].config
        same = await agent.ainvoke(None, newest)
        assert ends(app, first["run"]) == ["done"]
    assert (same["run"], same["answer"]) == (first["run"], "seven")


async def test_a_changed_plan_is_what_goes_on(tmp_path):
    async with app_of(tmp_path) as app:
        counted: list[str] = []
        agent = app.planner_executor([counting(counted)])
        first = await agent.ainvoke({"task": "How many?", "plan_only": True}, THREAD)
        plan = first["plan"] | {"steps": [step for step in first["plan"]["steps"] if step["id"] == "s2"]}
        await agent.aupdate_state(THREAD, {"plan": plan, "plan_only": False, "answer": None}, as_node="plan")
        answer = await agent.ainvoke(None, THREAD)
    assert (answer["answer"], answer["state"], counted) == ("4", "done", ["pears"])


async def test_a_changed_result_is_what_later_steps_see(tmp_path):
    seen: list[str] = []

    def watching(request: dict[str, Any]) -> Any:
        seen.append(request["messages"][-1]["content"])
        return small(request)

    strong = ScriptedModel("strong", lambda _: json.dumps({"steps": STEPS}), tier="capable")
    models = ScriptedModel("small", watching), strong
    async with scripted_app(*models, policies=[BOTH], ledger=tmp_path / "l.db") as app:
        agent = app.planner_executor([counting([])])
        first = await agent.ainvoke({"task": "How many?"}, THREAD)
        kept = {sid: first["steps"][sid] for sid in ("s1", "s2")}
        kept["s1"] |= {"text": "three hundred"}
        older = (await at(agent, "execute")).config
        config = await agent.aupdate_state(older, {"steps": kept}, as_node="plan")
        seen.clear()
        answer = await agent.ainvoke(None, config)
    assert answer["answer"] == "seven"
    assert len(seen) == 1
    assert "three hundred" in seen[0]


async def test_a_new_task_on_a_thread_with_a_history_begins_anew(tmp_path):
    async with app_of(tmp_path) as app:
        counted: list[str] = []
        agent = app.planner_executor([counting(counted)])
        first = await agent.ainvoke({"task": "How many?"}, THREAD)
        second = await agent.ainvoke({"task": "And now?"}, THREAD)
        tasks = {state.values.get("task") for state in await history(agent)}
    assert first["run"] != second["run"]
    assert len(counted) == 4
    assert tasks >= {"How many?", "And now?"}


async def test_forks_of_one_state_are_runs_of_their_own_each(tmp_path):
    async with app_of(tmp_path) as app:
        agent = app.planner_executor([counting([])])
        first = await agent.ainvoke({"task": "How many?"}, THREAD)
        older = (await at(agent, "execute")).config
        forks = [await agent.ainvoke(None, older) for _ in range(3)]
        assert {tuple(ends(app, fork["run"])) for fork in forks} == {("done",)}
    assert len({first["run"], *(fork["run"] for fork in forks)}) == 4


async def test_an_older_state_is_gone_on_from_in_another_process(tmp_path):
    async with app_of(tmp_path) as app:
        first = await app.planner_executor([counting([])]).ainvoke({"task": "How many?"}, THREAD)
    async with app_of(tmp_path) as app:
        agent = app.planner_executor([counting([])])
        again = await agent.ainvoke(None, (await at(agent, "execute")).config)
        assert ends(app, first["run"]) == ends(app, again["run"]) == ["done"]
    assert (again["answer"], again["run"] != first["run"]) == ("seven", True)


async def test_an_answer_to_a_question_of_an_older_state_is_refused_with_the_way_out(tmp_path):
    async with app_of(tmp_path) as app:
        agent = app.planner_executor([counting([])])
        await agent.ainvoke({"task": "How many?"}, THREAD)
        with pytest.raises(ConfigError, match="older checkpoint's questions are asked anew"):
            await agent.ainvoke(Command(resume=True), (await at(agent, "execute")).config)


class Slow:
    """A tool that waits until it is let go, once a person has said so."""

    def __init__(self, *, needs_approval: bool) -> None:
        self.in_use, self.go = asyncio.Event(), asyncio.Event()

        @tool(needs_approval=needs_approval)
        async def count(fruit: str) -> str:
            """Count fruit.

            Args:
                fruit: which
            """
            self.in_use.set()
            await self.go.wait()
            return "3"

        self.tool: Tool = count


async def test_a_run_that_waits_for_a_person_ends_as_cancelled_when_another_is_forked_from_it(tmp_path):
    async with app_of(tmp_path) as app:
        agent = app.planner_executor([Slow(needs_approval=True).tool])
        first = await agent.ainvoke({"task": "How many?"}, THREAD)
        assert first["state"] == "interrupted"
        fork = await agent.ainvoke(None, (await at(agent, "execute")).config)
        (*_, last) = [one.event for one in app.ledger.events(first["run"]) if isinstance(one.event, RunEnded)]
        assert (last.state, last.reason) == ("cancelled", f"a fork, run {fork['run']}, was begun on its thread")
        assert ends(app, fork["run"]) == ["interrupted"]
    assert (fork["state"], fork["forked"]) == ("interrupted", first["run"])


@pytest.mark.parametrize("thread", ["t", "r"])
async def test_nothing_is_forked_from_a_run_that_is_at_work(thread, tmp_path):
    config: Any = {"configurable": {"thread_id": thread}}
    async with app_of(tmp_path) as app:
        slow = Slow(needs_approval=False)
        agent = app.planner_executor([slow.tool])
        given = {"task": "How many?", "run": "r"}
        run = asyncio.create_task(agent.ainvoke(given, config) if thread == "t" else agent.ainvoke(given))
        await slow.in_use.wait()
        states = [state async for state in agent.aget_state_history(config)]
        with pytest.raises(RunOwned, match="run r is at work in another task of this process"):
            await agent.ainvoke(None, states[-1].config)
        slow.go.set()
        assert ((await run)["state"], ends(app, "r")) == ("done", ["done"])
        assert len(app.ledger.runs()) == 1


async def test_a_fork_says_what_it_does_with_which_plan_wherever_it_begins(tmp_path):
    async with app_of(tmp_path) as app:
        agent = app.planner_executor([counting([])])
        first = await agent.ainvoke({"task": "How many?"}, THREAD)
        for node in ("execute", "finish"):
            fork = (await agent.ainvoke(None, (await at(agent, node)).config))["run"]
            started, planned, *_ = [row.event for row in app.ledger.events(fork)]
            assert isinstance(started, RunStarted)
            assert isinstance(planned, Planned)
            assert planned.reason.startswith("forked from run ")
            assert len(planned.kept) == (0 if node == "execute" else 3)
        assert first["run"] in {one.run for one in app.ledger.runs()}


async def test_a_fork_that_begins_with_a_new_plan_names_the_old_one_first_and_once(tmp_path):
    @tool(read_only=True)
    def crack(item: str) -> str:
        """Crack.

        Args:
            item: what
        """
        raise Replan("gone")

    later = iter([plan((f"s{number}", [], [])) for number in (2, 2, 3)])
    strong = plans(plan(("s1", [], ["crack"])), lambda: next(later))
    async with scripts.app_of(tmp_path, strong) as app:
        agent = app.planner_executor([crack])
        await agent.ainvoke({"task": "?"}, THREAD)
        fork = (await agent.ainvoke(None, (await at(agent, "replan")).config))["run"]
        await agent.ainvoke({"run": fork, "changed": "all"}, THREAD)  # it is done, and its journal is gone
        assert len(scripts.events(app, fork, RunStarted)) == 1
        assert [one.version for one in scripts.events(app, fork, Planned)] == [1, 2, 3]


async def test_a_fork_from_a_state_without_a_plan_says_that_it_began(tmp_path):
    async with scripts.app_of(tmp_path, lambda _: Error(400), lambda _: Error(400)) as app:
        agent = app.planner_executor()
        await agent.ainvoke({"task": "?"}, THREAD)
        fork = (await agent.ainvoke(None, (await at(agent, "finish")).config))["run"]
        assert [row.event.type for row in app.ledger.events(fork)] == ["run_started", "run_ended"]
