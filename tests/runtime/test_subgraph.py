"""planner_executor as a part of a hand-written graph: shared keys, the parent's checkpoints, streams and questions."""

from __future__ import annotations

import asyncio
import json
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send

from orchestra import Orchestra, StepPolicy, tool
from orchestra.errors import ConfigError
from orchestra.ledger import Row, RunEnded, RunStarted, ToolEnded, ToolStarted
from orchestra.testing import CallTool, ScriptedModel, scripted_app
from orchestra.toolbox import Tool

BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])
STEPS = [{"id": "s1", "goal": "pay it", "needs": [], "tools": ["pay"], "difficulty": "easy"}]
THREAD: Any = {"configurable": {"thread_id": "outer"}}


class Order(TypedDict, total=False):
    customer: str
    task: str
    answer: str | None
    run: str
    state: str
    receipt: str


def paying(paid: list[int], *, asks: bool = False) -> Tool:
    @tool(needs_approval=asks)
    def pay(cents: int) -> str:
        """Pay an invoice.

        Args:
            cents: how many
        """
        paid.append(cents)
        return f"paid {cents}"

    return pay


def small(request: dict[str, Any]) -> Any:
    last = request["messages"][-1]
    return last["content"] if last["role"] == "tool" else CallTool("pay", cents=7)


def planner(request: dict[str, Any]) -> str:
    """Plans; at anything else it is at a loss."""
    return json.dumps({"steps": STEPS}) if "split a task" in request["messages"][0]["content"] else ""


def app_of(folder: Any, small: Any = small) -> Orchestra:
    strong = ScriptedModel("strong", planner, tier="capable")
    return scripted_app(ScriptedModel("small", small), strong, policies=[BOTH], ledger=folder / "l.db", content=True)


def asking(state: Order) -> Order:
    return {"task": f"Pay what {state['customer']} owes"}


def filing(state: Order) -> Order:
    return {"receipt": f"filed: {state.get('answer')}"}


def graph_of(agent: Any, saver: Any = None) -> Any:
    """ask → agent → file."""
    graph = StateGraph(Order).add_node("ask", asking).add_node("agent", agent).add_node("file", filing)
    graph = graph.add_edge(START, "ask").add_edge("ask", "agent").add_edge("agent", "file").add_edge("file", END)
    return graph.compile(checkpointer=InMemorySaver() if saver is None else saver)


def rows(app: Orchestra, kind: type) -> list[Any]:
    """Events of this kind, the oldest run first."""
    found = [row for run in sorted(one.run for one in app.ledger.runs(100)) for row in app.ledger.events(run)]
    return [row.event for row in found if isinstance(row.event, kind)]


async def test_task_goes_in_and_the_answer_comes_out_by_the_names_both_graphs_share(tmp_path):
    async with app_of(tmp_path) as app:
        final = await graph_of(app.planner_executor([paying([])])).ainvoke({"customer": "Åse"}, THREAD)
        assert [one.task for one in rows(app, RunStarted)] == ["Pay what Åse owes"]
        assert [one.state for one in rows(app, RunEnded)] == ["done"]
    assert (final["answer"], final["receipt"], final["state"]) == ("paid 7", "filed: paid 7", "done")
    assert final["run"]


async def test_a_second_turn_of_the_parents_thread_is_a_run_of_its_own(tmp_path):
    async with app_of(tmp_path) as app:
        graph = graph_of(app.planner_executor([paying([])]))
        first = await graph.ainvoke({"customer": "Åse"}, THREAD)
        second = await graph.ainvoke({"customer": "Bo"}, THREAD)
        assert [one.task for one in rows(app, RunStarted)] == ["Pay what Åse owes", "Pay what Bo owes"]
    assert first["answer"] == second["answer"] == "paid 7"


async def test_a_failed_agent_is_a_state_that_the_parent_can_go_on_with(tmp_path):
    async with app_of(tmp_path, small=lambda _: "") as app:
        final = await graph_of(app.planner_executor([paying([])])).ainvoke({"customer": "Åse"}, THREAD)
    assert (final["state"], final["answer"], final["receipt"]) == ("failed", None, "filed: None")


async def test_the_parents_stream_tells_of_the_agents_nodes_and_of_its_rows(tmp_path):
    async with app_of(tmp_path) as app:
        graph = graph_of(app.planner_executor([paying([])]))
        options: Any = {"stream_mode": ["updates", "custom"], "subgraphs": True}
        found = [one async for one in graph.astream({"customer": "Åse"}, THREAD, **options)]
    inner = [chunk for place, mode, chunk in found if place and mode == "updates"]
    assert [name for chunk in inner for name in chunk if name in ("plan", "execute", "finish")] == [
        "plan",
        "execute",
        "finish",
    ]
    told = [chunk for _, mode, chunk in found if mode == "custom"]
    assert all(isinstance(row, Row) for row in told)
    assert isinstance(told[0].event, RunStarted)
    assert isinstance(told[-1].event, RunEnded)
    assert [name for place, mode, chunk in found if not place and mode == "updates" for name in chunk] == [
        "ask",
        "agent",
        "file",
    ]


async def test_agents_that_run_at_once_in_one_graph_are_runs_of_their_own(tmp_path):
    async with app_of(tmp_path) as app:
        paid: list[int] = []
        graph = StateGraph(Order).add_node("agent", app.planner_executor([paying(paid)]).with_config(tags=["many"]))
        many = [Send("agent", {"task": f"Pay {n}"}) for n in range(10)]
        graph.add_conditional_edges(START, lambda _: many, ["agent"])

        class Last(TypedDict, total=False):
            task: str

        compiled = graph.compile(checkpointer=InMemorySaver())
        with pytest.raises(Exception, match="one value per step"):
            await compiled.ainvoke({}, THREAD)
        assert sorted(one.task for one in rows(app, RunStarted)) == [f"Pay {n}" for n in range(10)]
    assert len(paid) == 10


async def test_a_question_within_goes_up_and_its_answer_comes_back_through_the_parent(tmp_path):
    async with app_of(tmp_path) as app:
        paid: list[int] = []
        graph = graph_of(app.planner_executor([paying(paid, asks=True)]))
        waiting = await graph.ainvoke({"customer": "Åse"}, THREAD)
        (question,) = waiting["__interrupt__"]
        assert (question.value["kind"], question.value["tool"], question.value["arguments"]) == (
            "approval",
            "pay",
            {"cents": 7},
        )
        assert paid == []
        final = await graph.ainvoke(Command(resume=True), THREAD)
        assert (final["answer"], final["receipt"], paid) == ("paid 7", "filed: paid 7", [7])
        assert len(rows(app, RunStarted)) == 1
        assert [one.state for one in rows(app, RunEnded)] == ["interrupted", "done"]


async def test_a_refusal_through_the_parent_pays_nothing(tmp_path):
    def obeys(request: dict[str, Any]) -> Any:
        last = request["messages"][-1]
        return "not paid" if last["role"] == "tool" or "tools" not in request else CallTool("pay", cents=7)

    async with app_of(tmp_path, small=obeys) as app:
        paid: list[int] = []
        graph = graph_of(app.planner_executor([paying(paid, asks=True)]))
        await graph.ainvoke({"customer": "Åse"}, THREAD)
        final = await graph.ainvoke(Command(resume={"decision": "reject", "text": "too dear"}), THREAD)
        assert (paid, rows(app, ToolEnded)) == ([], [])
    assert final["receipt"].startswith("filed: ")


async def test_a_question_is_answered_through_the_parent_in_another_process_by_the_same_run(tmp_path):
    paid: list[int] = []
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "parent.db")) as saver:
        async with app_of(tmp_path) as app:
            await graph_of(app.planner_executor([paying(paid, asks=True)]), saver).ainvoke({"customer": "Åse"}, THREAD)
            (asked,) = app.ledger.runs()
        async with app_of(tmp_path, small=lambda request: request["messages"][-1]["content"]) as app:
            graph = graph_of(app.planner_executor([paying(paid, asks=True)]), saver)
            final = await graph.ainvoke(Command(resume="approve"), THREAD)
            (ended,) = app.ledger.runs()
            assert len(rows(app, ToolStarted)) == 1
    assert (final["answer"], paid) == ("paid 7", [7])
    assert final["run"] == ended.run == asked.run


async def test_the_parents_state_shows_the_question_that_waits_within(tmp_path):
    async with app_of(tmp_path) as app:
        graph = graph_of(app.planner_executor([paying([], asks=True)]))
        await graph.ainvoke({"customer": "Åse"}, THREAD)
        state = await graph.aget_state(THREAD, subgraphs=True)
    assert state.next == ("agent",)
    assert [one.value["tool"] for one in state.interrupts] == ["pay"]
    assert state.tasks[0].state.values["plan"]["steps"][0]["id"] == "s1"


async def test_two_agents_that_ask_at_once_are_answered_together_through_the_parent(tmp_path):
    class Both(TypedDict, total=False):
        left: str
        right: str

    async with app_of(tmp_path) as app:
        paid: list[int] = []
        agent = app.planner_executor([paying(paid, asks=True)])

        def side(name: str) -> Any:
            async def run(state: Both, config: RunnableConfig) -> Any:
                return {name: (await agent.ainvoke({"task": f"Pay {name}"}, config))["answer"]}

            return run

        graph = StateGraph(Both).add_node("l", side("left")).add_node("r", side("right"))
        compiled = graph.add_edge(START, "l").add_edge(START, "r").compile(checkpointer=InMemorySaver())
        waiting = await compiled.ainvoke({}, THREAD)
        answers = {one.id: True for one in waiting["__interrupt__"]}
        assert len(answers) == 2
        final = await compiled.ainvoke(Command(resume=answers), THREAD)
        assert len(rows(app, RunStarted)) == 2
    assert final == {"left": "paid 7", "right": "paid 7"}
    assert paid == [7, 7]


async def test_an_agent_invoked_without_the_nodes_config_has_a_thread_and_questions_of_its_own(tmp_path):
    async with app_of(tmp_path) as app:
        paid: list[int] = []
        agent = app.planner_executor([paying(paid, asks=True)])

        async def run(state: Order) -> Order:
            waiting = await agent.ainvoke({"task": "Pay"})
            assert [one.value["tool"] for one in waiting["__interrupt__"]] == ["pay"]
            found = await agent.ainvoke(Command(resume=True), {"configurable": {"thread_id": waiting["run"]}})
            return {"answer": found["answer"]}

        graph = StateGraph(Order).add_node("run", run).add_edge(START, "run")
        assert await graph.compile(checkpointer=InMemorySaver()).ainvoke({}, THREAD) == {"answer": "paid 7"}
    assert paid == [7]


async def test_without_checkpoints_anywhere_nobody_can_be_asked_and_nothing_is_done(tmp_path):
    models = ScriptedModel("small", small), ScriptedModel("strong", planner, tier="capable")
    async with scripted_app(*models, policies=[BOTH]) as app:
        paid: list[int] = []
        graph = StateGraph(Order).add_node("agent", app.planner_executor([paying(paid, asks=True)]))
        final = await graph.add_edge(START, "agent").compile().ainvoke({"task": "Pay"})
    assert (final["state"], paid) == ("failed", [])


async def test_an_agent_within_an_app_node_keeps_a_run_of_its_own_and_the_nodes_calls_theirs(tmp_path):
    async with app_of(tmp_path) as app:
        agent = app.planner_executor([paying([])])

        async def check(state: Order) -> Order:
            found = await agent.ainvoke({"task": "Pay"})
            return {"answer": found["answer"], "run": found["run"]}

        graph = StateGraph(Order).add_node("check", app.node(check, step="checking")).add_edge(START, "check")
        final = await graph.compile(checkpointer=InMemorySaver()).ainvoke({}, THREAD)
        names = {one.agent: one.run for one in app.ledger.runs()}
    assert final["answer"] == "paid 7"
    assert names.keys() == {"checking", "planner_executor"}
    assert final["run"] == names["planner_executor"]


async def test_a_misspelt_limit_in_the_parents_state_is_refused(tmp_path):
    async with app_of(tmp_path) as app:
        agent = app.planner_executor([paying([])])
        with pytest.raises(ConfigError, match="did you mean 'deadline'"):
            await graph_of(agent).ainvoke({"customer": "Åse"}, THREAD) and await agent.ainvoke(
                {"task": "x", "dedline": 1}
            )


async def test_cancelling_the_parent_cancels_the_run_within(tmp_path):
    inside = asyncio.Event()

    @tool
    async def pay(cents: int) -> str:
        """Pay.

        Args:
            cents: how many
        """
        inside.set()
        await asyncio.Event().wait()
        return "never"

    async with app_of(tmp_path) as app:
        running = asyncio.create_task(graph_of(app.planner_executor([pay])).ainvoke({"customer": "Åse"}, THREAD))
        await inside.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert [one.state for one in rows(app, RunEnded)] == ["cancelled"]
