"""The agent is a LangGraph graph: run from anywhere, watched, left, resumed, put into another graph."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import aclosing, closing
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph

from orchestra import StepPolicy, tool
from orchestra.errors import ConfigError, PolicyError
from orchestra.ledger import Ledger, RunEnded, RunStarted, StepEnded, StepStarted, ToolStarted
from orchestra.testing import CallTool, ScriptedModel, Slow, scripted_app
from orchestra.toolbox import Tool

BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])
STEPS = [
    {"id": "s1", "goal": "count apples", "needs": [], "tools": ["count"], "difficulty": "easy"},
    {"id": "s2", "goal": "count pears", "needs": [], "tools": ["count"], "difficulty": "easy"},
    {"id": "s3", "goal": "add them up", "needs": ["s1", "s2"], "tools": [], "difficulty": "easy"},
]


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


def app_of(small: Any = small, **options: Any) -> Any:
    strong = ScriptedModel("strong", lambda _: json.dumps({"steps": STEPS}), tier="capable")
    return scripted_app(ScriptedModel("small", small), strong, **({"policies": [BOTH]} | options))


def states(ledger: Ledger, run: str) -> list[str]:
    return [row.event.state for row in ledger.events(run) if isinstance(row.event, RunEnded)]


def test_an_agent_works_without_an_event_loop_and_remembers_its_thread(tmp_path):
    app = app_of(ledger=tmp_path / "l.db")
    agent = app.planner_executor([counting([])])
    config = {"configurable": {"thread_id": "t"}}
    assert agent.invoke({"task": "How many?"}, config)["answer"] == "seven"

    async def remembered() -> Any:
        return (await agent.aget_state(config)).values["answer"]

    assert asyncio.run(remembered()) == "seven"
    app.close()


async def test_the_state_of_a_thread_is_read_by_another_app_on_the_same_file(tmp_path):
    config = {"configurable": {"thread_id": "t"}}
    async with app_of(ledger=tmp_path / "l.db") as first:
        await first.planner_executor([counting([])]).ainvoke({"task": "How many?"}, config)
    async with app_of(ledger=tmp_path / "l.db") as second:
        state = await second.planner_executor([counting([])]).aget_state(config)
    assert (state.values["state"], state.values["answer"], state.next) == ("done", "seven", ())


async def test_two_apps_may_write_to_one_file_at_the_same_time(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as one, app_of(ledger=tmp_path / "l.db") as two:
        agents = [app.planner_executor([counting([])]) for app in (one, two)]
        answers = await asyncio.gather(*(agent.ainvoke({"task": "?"}) for agent in agents * 5))
        assert {answer["answer"] for answer in answers} == {"seven"}
        assert len(one.ledger.runs()) == 10


def test_outside_of_an_event_loop_no_checkpoints_are_opened(tmp_path):
    app = app_of(ledger=tmp_path / "l.db")
    assert app.planner_executor().checkpointer is None
    app.close()
    assert not (tmp_path / "checkpoints.db").exists()


async def test_without_a_ledger_there_are_no_checkpoints_unless_a_saver_is_set():
    async with app_of() as app:
        agent = app.planner_executor([counting([])])
        config = {"configurable": {"thread_id": "t"}}
        with pytest.raises(ValueError, match="checkpointer"):
            await agent.aget_state(config)
        agent.checkpointer = InMemorySaver()
        await agent.ainvoke({"task": "?"}, config)
        assert (await agent.aget_state(config)).values["answer"] == "seven"


@pytest.mark.parametrize("bad", ["folder", "garbage"])
async def test_a_checkpoint_file_that_cannot_be_used_is_told_before_anything_runs(bad, tmp_path):
    path = tmp_path / "checkpoints.db"
    path.mkdir() if bad == "folder" else path.write_bytes(b"no database " * 100)
    async with app_of([], ledger=tmp_path / "l.db") as app:
        with pytest.raises(ConfigError, match=r"checkpoints '.*checkpoints\.db' cannot be used.*another path"):
            await app.planner_executor().ainvoke({"task": "?"})
        assert app.ledger.runs() == []


async def test_a_run_that_broke_goes_on_where_it_was_and_repeats_no_finished_step(tmp_path):
    broken = {"s2"}
    counted: list[str] = []
    config = {"configurable": {"thread_id": "t"}}
    strong = ScriptedModel("strong", lambda _: json.dumps({"steps": STEPS}), tier="capable")
    models = ScriptedModel("small", small), strong

    def tearing(context: Any, candidates: Any) -> Any:
        if context.step.id in broken:
            raise LookupError("a policy breaks while s2 is decided")
        return candidates

    async with scripted_app(*models, policies=[BOTH, tearing], ledger=tmp_path / "l.db") as app:
        agent = app.planner_executor([counting(counted)])
        with pytest.raises(PolicyError, match="while s2"):
            await agent.ainvoke({"task": "?", "run": "r"}, config)
        assert (counted, states(app.ledger, "r")) == (["apples"], ["failed"])
    broken.clear()
    async with scripted_app(*models, policies=[BOTH, tearing], ledger=tmp_path / "l.db") as app:
        answer = await app.planner_executor([counting(counted)]).ainvoke(None, config)
        assert (answer["answer"], answer["run"]) == ("seven", "r")
        assert counted == ["apples", "pears"]
        found = app.ledger.events("r")
    assert len(strong.requests) == 1
    ended = [row.step for row in found if isinstance(row.event, StepEnded)]
    assert ended.count("s1") == 1
    ends = [(row.event.state, row.event.reason) for row in found if isinstance(row.event, RunEnded)]
    assert [state for state, _ in ends] == ["failed", "done"]
    assert "LookupError for step 's2': a policy breaks while s2 is decided" in ends[0][1]


async def test_a_thread_may_be_set_back_and_only_what_is_missing_runs_again(tmp_path):
    counted: list[str] = []
    config = {"configurable": {"thread_id": "t"}}
    async with app_of(ledger=tmp_path / "l.db") as app:
        agent = app.planner_executor([counting(counted)])
        steps = (await agent.ainvoke({"task": "?"}, config))["steps"]
        await agent.aupdate_state(config, {"steps": {"s1": steps["s1"]}, "answer": None}, as_node="plan")
        answer = await agent.ainvoke(None, config)
    assert answer["answer"] == "seven"
    assert sorted(counted) == ["apples", "pears", "pears"]


async def test_an_agent_with_a_config_of_its_own_keeps_the_checkpointer_that_was_set():
    async with app_of() as app:
        agent = app.planner_executor([counting([])])
        agent.checkpointer = InMemorySaver()
        tagged = agent.with_config({"configurable": {"thread_id": "t"}})
        await tagged.ainvoke({"task": "How many?"})
        state = await agent.aget_state({"configurable": {"thread_id": "t"}})
    assert state.values["answer"] == "seven"


async def test_a_copy_may_have_a_checkpointer_of_its_own():
    async with app_of() as app:
        saver = InMemorySaver()
        agent = app.planner_executor([counting([])]).copy({"checkpointer": saver})
        await agent.ainvoke({"task": "How many?"}, {"configurable": {"thread_id": "t"}})
    assert len(list(saver.list({"configurable": {"thread_id": "t"}}))) == 5


async def test_every_stream_mode_of_langgraph_works():
    async with app_of() as app:
        agent = app.planner_executor([counting([])])
        values = [chunk async for chunk in agent.astream({"task": "?"}, stream_mode="values")]
        updates = [chunk async for chunk in agent.astream({"task": "?"}, stream_mode="updates")]
        mixed = [mode async for mode, _ in agent.astream({"task": "?"}, stream_mode=["custom", "updates"])]
    assert values[-1]["answer"] == "seven"
    nodes = [name for chunk in updates for name in chunk if name != "step"]
    assert nodes == ["plan", "execute", "finish"]
    assert mixed[0] == "custom"
    assert mixed[-1] == "updates"


async def test_a_stream_that_is_left_ends_the_run_as_cancelled(tmp_path):
    def slow_at_last(request: dict[str, Any]) -> Any:
        said = small(request)
        return Slow(60) if said == "seven" else said

    async with app_of(slow_at_last, ledger=tmp_path / "l.db") as app:
        agent = app.planner_executor([counting([])])
        async with aclosing(agent.astream({"task": "?", "run": "r"}, stream_mode="custom")) as stream:
            async for row in stream:
                if isinstance(row.event, StepStarted) and row.step == "s3":
                    break
        assert states(app.ledger, "r") == ["cancelled"]
        assert "s3" not in {row.step for row in app.ledger.events("r") if isinstance(row.event, StepEnded)}


async def test_a_stream_that_is_left_after_its_last_event_leaves_the_run_as_it_ended(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:
        agent = app.planner_executor([counting([])])
        async with aclosing(agent.astream({"task": "?", "run": "r"}, stream_mode="custom")) as stream:
            async for row in stream:
                if isinstance(row.event, RunEnded):
                    break
        assert states(app.ledger, "r") == ["done"]


async def test_an_input_that_is_refused_leaves_no_run_behind(tmp_path):
    async with app_of([], ledger=tmp_path / "l.db") as app:
        for bad in ({"task": " "}, {"task": "x", "deadline": "soon"}):
            with pytest.raises(ConfigError):
                await app.planner_executor().ainvoke(bad)
        assert app.ledger.runs() == []


class Order(TypedDict, total=False):
    customer: str
    task: str
    answer: str | None
    run: str


@pytest.mark.parametrize("ledger", [True, False])
async def test_an_agent_may_be_a_node_of_another_graph(ledger, tmp_path):
    def ask(state: Order) -> Order:
        return {"task": f"How much fruit for {state['customer']}?"}

    async with app_of(ledger=tmp_path / "l.db" if ledger else None) as app:
        graph = StateGraph(Order).add_node("ask", ask).add_node("agent", app.planner_executor([counting([])]))
        graph = graph.add_edge(START, "ask").add_edge("ask", "agent").add_edge("agent", END)
        compiled = graph.compile(checkpointer=InMemorySaver())
        config = {"configurable": {"thread_id": "outer"}}
        answer = await compiled.ainvoke({"customer": "Åse"}, config)
        nested = [
            row async for _, row in compiled.astream({"customer": "Bo"}, config, stream_mode="custom", subgraphs=True)
        ]
        tasks = [row.event.task for row in nested if isinstance(row.event, RunStarted)]
    assert answer["answer"] == "seven"
    assert tasks == ["How much fruit for Bo?"]


async def test_with_config_keeps_it_an_agent(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:
        bound = app.planner_executor([counting([])]).with_config(tags=["nightly"])
        assert (await bound.ainvoke({"task": "?"}))["answer"] == "seven"


async def test_checkpoints_hold_plain_json(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:
        agent = app.planner_executor([counting([])])
        await agent.ainvoke({"task": "?"}, {"configurable": {"thread_id": "t"}})
        history = [state.values async for state in agent.aget_state_history({"configurable": {"thread_id": "t"}})]
    assert json.loads(json.dumps(history)) == history
    with closing(sqlite3.connect(tmp_path / "checkpoints.db")) as stored:
        assert stored.execute("SELECT count(*) FROM checkpoints").fetchone()[0] > 0


async def test_the_graph_is_drawn_as_it_runs():
    async with app_of() as app:
        assert {"plan", "execute", "finish"} <= set(app.planner_executor(name="mine").get_graph().nodes)
        assert app.planner_executor(name="mine").name == "mine"


async def test_tools_run_only_in_the_steps_that_named_them(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:
        answer = await app.planner_executor([counting([])]).ainvoke({"task": "?"})
        steps = [row.step for row in app.ledger.events(answer["run"]) if isinstance(row.event, ToolStarted)]
    assert sorted(steps) == ["s1", "s2"]
