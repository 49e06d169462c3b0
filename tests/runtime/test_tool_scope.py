"""What a tool of an agent asks models for is bound by the agent's limits, in a run of its own."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from langgraph.types import Command

from orchestra import Orchestra, StepPolicy, tool
from orchestra.fleet import Fleet
from orchestra.ledger import Decided, RunStarted
from orchestra.runtime.runs import Runs
from orchestra.runtime.scope import Limits
from orchestra.runtime.tool_scope import a_tool_of
from orchestra.testing import CallTool, ScriptedModel, scripted_transport
from orchestra.types import Budget, Price

RULES = StepPolicy(
    [
        {"match": {"kind": "plan"}, "prefer": ["strong"]},
        {"match": {"name": "inner"}, "prefer": ["dear", "small"]},
        {"prefer": ["small"]},
    ]
)
PLAN = json.dumps({"steps": [{"id": "s1", "goal": "g", "needs": [], "tools": ["asking"], "difficulty": "easy"}]})


def app_of(
    inner: Any,
    *,
    price: Price | None = Price(0.0, 1_000.0),  # noqa: B008  # frozen
    budgets: tuple[Budget, ...] = (),
    **options: Any,
) -> Any:
    """The planner is strong, the agent's step on small calls `asking`; what that asks, dear answers for money."""

    def small(request: dict[str, Any]) -> Any:
        if not request.get("tools"):
            return "for nothing"
        return "done" if any(each["role"] == "tool" for each in request["messages"]) else CallTool("asking")

    models = (
        ScriptedModel("small", small, tags=("pii", "eu")),
        ScriptedModel("dear", lambda _: inner, tags=("pii", "eu"), price=price),
        ScriptedModel("strong", lambda _: PLAN, tier="capable", tags=("pii", "eu")),
    )
    fleet = replace(Fleet.from_cards([one.card() for one in models]), budgets=budgets)
    return Orchestra(fleet, transport=scripted_transport(*models), policies=[RULES], **({"ledger": None} | options))


def asking_of(app: Any, seen: list[Any], *, times: int = 1, **options: Any) -> Any:
    @tool(read_only=True)
    async def asking() -> str:
        """Ask."""
        replies = [await app.complete("what?", step="inner", max_tokens=70, **options) for _ in range(times)]
        seen.extend(replies)
        return "asked"

    return asking


def contexts(app: Any, step: str) -> list[Any]:
    runs = [one.run for one in app.ledger.runs()]
    rows = [row for run in runs for row in app.ledger.events(run)]
    return [row.event.context for row in rows if isinstance(row.event, Decided) and row.event.context.step.id == step]


async def test_data_tags_tenant_and_the_rest_of_the_agent_hold_for_what_its_tools_ask(tmp_path):
    seen: list[Any] = []
    async with app_of("fine", ledger=tmp_path / "l.db") as app:
        asking = asking_of(app, seen, data_tags=["eu"])
        bound: Any = {"tenant": "acme", "feature": "desk", "priority": "high", "mode": "cost"}
        agent = app.planner_executor([asking], data_tags=["pii"], **bound)
        await agent.ainvoke({"task": "?"})
        (context,) = contexts(app, "inner")
        runs = [row.event for one in app.ledger.runs() for row in app.ledger.events(one.run)]
    assert set(context.data_tags) == {"pii", "eu"}
    assert (context.tenant, context.feature, context.priority) == ("acme", "desk", "high")
    assert {event.mode for event in runs if isinstance(event, RunStarted)} == {"cost"}
    assert {event.agent for event in runs if isinstance(event, RunStarted)} == {"planner_executor", "complete"}


async def test_what_its_tools_ask_is_paid_from_what_the_agent_has_left(tmp_path):
    seen: list[Any] = []
    async with app_of("seven words " * 20, ledger=tmp_path / "l.db") as app:
        asking = asking_of(app, seen, budget=1_000.0, times=9)
        state = await app.planner_executor([asking], budget=0.2).ainvoke({"task": "?"})
        spent = sum(one.cost.usd for one in app.ledger.runs())
    assert state["state"] == "done"
    assert 0 < spent <= 0.2
    assert [one.model for one in seen] == ["dear"] * 3 + ["small"] * 6


@pytest.mark.interpreted
async def test_a_deadline_of_the_agent_holds_for_what_its_tools_ask():
    scopes: list[float] = []
    async with app_of("fine") as app:

        @tool(read_only=True)
        async def asking() -> str:
            """Ask."""
            return str([event async for event in app.stream("what?", step="inner", deadline=9_999.0)])

        taken = type(app.engine).scope

        def scope(engine: Any, limits: Any, **given: Any) -> Any:
            found = taken(engine, limits, **given)
            scopes.append(found.deadline - engine.clock())
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(app.engine), "scope", scope)
            await app.planner_executor([asking], deadline=50.0).ainvoke({"task": "?"})
    assert len(scopes) == 2
    assert all(seconds <= 50.0 for seconds in scopes)


async def test_a_tool_cannot_leave_the_limits_by_naming_a_model(tmp_path):
    seen: list[Any] = []
    async with app_of("seven words " * 20, ledger=tmp_path / "l.db") as app:
        asking = asking_of(app, seen, times=9, model="dear")
        await app.planner_executor([asking], budget=0.2, data_tags=["pii"]).ainvoke({"task": "?"})
        told = contexts(app, "inner")
        spent = sum(one.cost.usd for one in app.ledger.runs())
    assert {one.data_tags for one in told} == {("pii",)}
    assert 0 < spent <= 0.2


@pytest.mark.parametrize(
    ("agent", "own", "model"),
    [
        ({"budget": 9.0, "allow_unknown_price": True}, {}, "dear"),
        ({"budget": 9.0}, {"allow_unknown_price": True}, "small"),
        ({"budget": 9.0, "allow_unknown_price": True}, {"budget": 1.0}, "small"),
        ({}, {"budget": 1.0, "allow_unknown_price": True}, "dear"),
    ],
)
async def test_an_unknown_price_is_allowed_where_every_cap_allows_it(agent, own, model):
    seen: list[Any] = []
    async with app_of("fine", price=None) as app:
        await app.planner_executor([asking_of(app, seen, **own)], **agent).ainvoke({"task": "?"})
    assert [one.model for one in seen] == [model]


async def test_what_a_tool_leaves_at_work_keeps_tags_and_cap_and_has_its_own_time(tmp_path):
    begun: list[asyncio.Task[Any]] = []
    over = asyncio.Event()
    later_by = [0.0]
    async with app_of("seven words " * 20, ledger=tmp_path / "l.db") as app:
        object.__setattr__(app.engine, "clock", lambda: time.monotonic() + later_by[0])

        async def later() -> list[Any]:
            await over.wait()
            return [await app.complete("what?", step="inner", max_tokens=70, budget=9.0) for _ in range(9)]

        @tool(read_only=True)
        async def asking() -> str:
            """Begin it."""
            begun.append(asyncio.create_task(later()))
            return "begun"

        agent = app.planner_executor([asking], data_tags=["pii"], deadline=60.0, budget=0.2)
        await agent.ainvoke({"task": "?"})
        later_by[0] = 1_000.0
        over.set()
        replies = await begun[0]
        told = contexts(app, "inner")
    assert [one.model for one in replies] == ["dear"] * 3 + ["small"] * 6
    assert {one.data_tags for one in told} == {("pii",)}
    assert min(one.deadline for one in told) > 500


async def test_a_cap_for_each_run_is_kept_by_the_run_that_the_ledger_has(tmp_path):
    """Within `app.node` a tool's calls are the node's; elsewhere they are a run of their own."""
    seen: list[Any] = []
    async with app_of("seven words " * 20, budgets=(Budget(0.1, "run"),), ledger=tmp_path / "l.db") as app:
        agent = app.planner_executor([asking_of(app, seen, times=2)])

        async def work(state: dict[str, Any]) -> dict[str, Any]:
            for _ in range(3):
                await agent.ainvoke({"task": "?"})
            return state

        await app.node(work, step="n")({})
        costs = {one.agent: one.cost.usd for one in app.ledger.runs()}
        assert costs["n"] == pytest.approx(0.06)
        await agent.ainvoke({"task": "?"})
        assert [one.cost.usd for one in app.ledger.runs() if one.agent == "complete"] == pytest.approx([0.06, 0.06])


async def test_money_that_a_tool_asks_for_within_a_node_is_held_once(tmp_path):
    async with app_of("seven words " * 20, ledger=tmp_path / "l.db") as app:
        held: list[float | None] = []

        async def work(state: dict[str, Any]) -> dict[str, Any]:
            reply = await app.complete("what?", step="inner", max_tokens=70)
            held.append(reply.cost.usd)
            return state

        inner = app.node(work, step="n", budget=5.0)

        @tool(read_only=True)
        async def asking() -> str:
            """Ask."""
            return str([await inner({}) for _ in range(9)])

        await app.planner_executor([asking], budget=0.2).ainvoke({"task": "?"})
    assert held == pytest.approx([0.06] * 3 + [0.0] * 6)  # held twice, only two would fit


async def test_an_agent_that_goes_on_within_a_tool_keeps_its_own_time_and_the_cap_around(tmp_path):
    async with app_of("seven words " * 20, ledger=tmp_path / "l.db") as app:
        spent: list[Any] = []

        @tool(needs_approval=True)
        async def asking() -> str:
            """Ask."""
            return str(spent)

        inner = app.planner_executor([asking], deadline=600.0)
        config: Any = {"configurable": {"thread_id": "inner"}}
        await inner.ainvoke({"task": "INNER"}, config)
        ((row, began),) = [
            (row, row.time)
            for one in app.ledger.runs()
            for row in app.ledger.events(one.run)
            if isinstance(row.event, RunStarted)
        ]
        scope = app.engine.scope(Limits(deadline=60.0, budget=0.2))
        with a_tool_of(app.engine.dispatcher, scope):
            taken = Runs._spent_before
            scopes: list[Any] = []

            def before(runs: Any, own: Any, state: Any, entered: Any, rows: Any) -> Any:
                entered.before = 500.0
                scopes.append(taken(runs, own, state, entered, rows))
                return scopes[-1]

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Runs, "_spent_before", before)
                await inner.ainvoke(Command(resume="approve"), config)
        assert (row.run, began) == (scopes[0].run, row.time)
        left = scopes[0].deadline - app.engine.clock()
    assert 40.0 < left <= 60.0
    assert scope.purse.own in scopes[0].purse.accounts


async def test_a_node_and_an_agent_in_a_tool_are_bound_alike(tmp_path):
    async with app_of("fine", ledger=tmp_path / "l.db") as app:

        async def work(state: dict[str, Any]) -> dict[str, Any]:
            reply = await app.complete("what?")
            return {"answer": reply.text}

        inner = app.node(work, step="inner")

        @tool(read_only=True)
        async def asking() -> str:
            """Ask."""
            return (await inner({}))["answer"]

        await app.planner_executor([asking], data_tags=["pii"], tenant="acme").ainvoke({"task": "?"})
        (context,) = contexts(app, "inner")
    assert (context.data_tags, context.tenant) == (("pii",), "acme")


async def test_another_app_and_what_stands_outside_of_tools_are_not_bound(tmp_path):
    async with app_of("fine", ledger=tmp_path / "l.db") as app, app_of("other", ledger=tmp_path / "m.db") as other:

        @tool(read_only=True)
        async def asking() -> str:
            """Ask the other app."""
            return (await other.complete("what?", step="inner")).text

        await app.planner_executor([asking], data_tags=["pii"]).ainvoke({"task": "?"})
        await app.complete("what?", step="inner")
        assert [one.data_tags for one in contexts(other, "inner")] == [()]
        assert [one.data_tags for one in contexts(app, "inner")] == [()]
