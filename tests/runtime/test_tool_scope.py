"""What a tool of an agent asks models for is bound by the agent's limits, in a run of its own."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from orchestra import StepPolicy, tool
from orchestra.ledger import Decided, RunStarted
from orchestra.testing import CallTool, ScriptedModel, scripted_app
from orchestra.types import Price

RULES = StepPolicy(
    [
        {"match": {"kind": "plan"}, "prefer": ["strong"]},
        {"match": {"name": "inner"}, "prefer": ["dear", "small"]},
        {"prefer": ["small"]},
    ]
)
PLAN = json.dumps({"steps": [{"id": "s1", "goal": "g", "needs": [], "tools": ["asking"], "difficulty": "easy"}]})


def app_of(inner: Any, **options: Any) -> Any:
    """The planner is strong, the agent's step on small calls `asking`; what that asks, dear answers for money."""

    def small(request: dict[str, Any]) -> Any:
        if not request.get("tools"):
            return "for nothing"
        return "done" if any(each["role"] == "tool" for each in request["messages"]) else CallTool("asking")

    models = (
        ScriptedModel("small", small, tags=("pii", "eu")),
        ScriptedModel("dear", lambda _: inner, tags=("pii", "eu"), price=Price(0.0, 1_000.0)),
        ScriptedModel("strong", [PLAN], tier="capable", tags=("pii", "eu")),
    )
    return scripted_app(*models, policies=[RULES], **options)


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


async def test_data_tags_and_tenant_of_the_agent_hold_for_what_its_tools_ask(tmp_path):
    seen: list[Any] = []
    async with app_of("fine", ledger=tmp_path / "l.db") as app:
        asking = asking_of(app, seen, data_tags=["eu"])
        agent = app.planner_executor([asking], data_tags=["pii"], tenant="acme", feature="desk", priority="high")
        await agent.ainvoke({"task": "?"})
        (context,) = contexts(app, "inner")
        runs = [row.event for one in app.ledger.runs() for row in app.ledger.events(one.run)]
    assert set(context.data_tags) == {"pii", "eu"}
    assert (context.tenant, context.priority) == ("acme", "high")
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


async def test_what_a_tool_leaves_at_work_pays_for_itself_and_keeps_the_tags(tmp_path):
    begun: list[asyncio.Task[Any]] = []
    over = asyncio.Event()
    async with app_of("fine", ledger=tmp_path / "l.db") as app:

        async def later() -> Any:
            await over.wait()
            return await app.complete("what?", step="inner", budget=100.0)

        @tool(read_only=True)
        async def asking() -> str:
            """Begin it."""
            begun.append(asyncio.create_task(later()))
            return "begun"

        agent = app.planner_executor([asking], data_tags=["pii"], deadline=60.0, budget=100.0)
        await agent.ainvoke({"task": "?"})
        over.set()
        assert (await begun[0]).text == "fine"
        (context,) = contexts(app, "inner")
    assert context.data_tags == ("pii",)


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
