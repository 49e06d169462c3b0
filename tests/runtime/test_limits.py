"""Turns, seconds and money: what a run may take, and what it says when that is spent."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from orchestra import RecoveryPolicy, StepPolicy, tool
from orchestra.errors import ConfigError
from orchestra.ledger import Judged, RunEnded, StepEnded, totals
from orchestra.testing import CallTool, Say, ScriptedModel, Silence, scripted_app
from orchestra.types import Price, Reason

BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])


def plan(*ids: str, tools: tuple[str, ...] = (), needs: tuple[str, ...] = ()) -> str:
    steps = [
        {"id": i, "goal": f"do {i}", "needs": list(needs), "difficulty": "easy"}
        | ({"tools": list(tools)} if tools else {})
        for i in ids
    ]
    return json.dumps({"steps": steps})


def app_of(small: Any, planned: str, **options: Any) -> Any:
    strong = ScriptedModel("strong", [planned], tier="capable")
    return scripted_app(ScriptedModel("small", small), strong, policies=[BOTH], **options)


@tool(read_only=True)
def look(at: int) -> int:
    """Look.

    Args:
        at: where
    """
    return at


async def test_the_last_turn_must_answer_and_a_step_without_an_answer_fails():
    looks = (CallTool("look", at=at) for at in range(99))
    model = ScriptedModel("small", lambda _: next(looks))
    strong = ScriptedModel("strong", [plan("s1", tools=("look",)), "nothing", "nothing"], tier="capable")
    async with scripted_app(model, strong, policies=[BOTH]) as app:
        await app.planner_executor([look], max_turns=3).ainvoke({"task": "?"})
    assert [request.get("tool_choice") for request in model.requests[:3]] == ["required", None, "none"]


async def test_turns_without_a_result_fail_the_step_and_say_how_many(tmp_path):
    stubborn = ScriptedModel("small", lambda r: CallTool("look", at=len(r["messages"])))
    strong = ScriptedModel(
        "strong", [plan("s1", tools=("look",))] + [CallTool("look", at=i) for i in range(9)], tier="capable"
    )
    options: Any = {"policies": [BOTH], "recovery": RecoveryPolicy(max_replans=0), "ledger": tmp_path / "l.db"}
    async with scripted_app(stubborn, strong, **options) as app:
        answer = await app.planner_executor([look], max_turns=2).ainvoke({"task": "?"})
        (failed,) = [e for e in events(app, answer["run"], StepEnded) if e.state == "failed"]
    assert answer["state"] == "failed"
    assert answer["reason"].startswith("step 's1' failed: ")
    assert failed.trigger is not None


def events(app: Any, run: str, kind: type) -> list[Any]:
    return [row.event for row in app.ledger.events(run) if isinstance(row.event, kind)]


async def test_a_tool_that_keeps_failing_fails_the_step_with_what_it_said(tmp_path):
    @tool
    def pay(cents: int) -> str:
        """Pay.

        Args:
            cents: how many
        """
        raise RuntimeError("the till is locked")

    options = {"ledger": tmp_path / "l.db", "recovery": RecoveryPolicy(repairs=0, max_rungs=0, max_replans=0)}
    async with app_of([CallTool("pay", cents=1)], plan("s1", tools=("pay",)), **options) as app:
        answer = await app.planner_executor([pay]).ainvoke({"task": "?"})
        last = events(app, answer["run"], Judged)[-1]
    assert (last.trigger, last.action) == ("tool_error", "fail")
    assert "the till is locked" in answer["reason"]


async def test_a_step_past_its_deadline_fails_and_the_others_go_on(tmp_path):
    def small(request: dict[str, Any]) -> Any:
        return Silence() if "do s1" in request["messages"][-1]["content"].rpartition("Your step")[2] else "fine"

    async with app_of(small, plan("s1", "s2"), ledger=tmp_path / "l.db") as app:
        answer = await app.planner_executor(step_deadline=0.2).ainvoke({"task": "?"})
    assert {sid: one["state"] for sid, one in answer["steps"].items()} == {
        "s1": "failed",
        "s2": "done",
        "answer": "skipped",
    }
    assert "step 's1' failed" in answer["reason"]
    assert "deadline" in answer["reason"]


async def test_a_tool_past_the_steps_deadline_is_stopped():
    stopped = asyncio.Event()

    @tool(read_only=True)
    async def hang() -> str:
        """Hang."""
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    async with app_of([CallTool("hang")], plan("s1", tools=("hang",))) as app:
        answer = await app.planner_executor([hang], step_deadline=0.2).ainvoke({"task": "?"})
    assert stopped.is_set()
    assert answer["state"] == "failed"


@pytest.mark.parametrize("where", ["agent", "input"])
async def test_a_run_past_its_deadline_fails_as_a_value(where, tmp_path):
    async with app_of([Silence()] * 9, plan("s1"), ledger=tmp_path / "l.db") as app:
        given = ({"deadline": 0.2}, {}) if where == "agent" else ({}, {"deadline": 0.2})
        answer = await app.planner_executor(**given[0]).ainvoke({"task": "?"} | given[1])
        (ended,) = events(app, answer["run"], RunEnded)
    assert (answer["state"], ended.state) == ("failed", "failed")
    assert "deadline" in answer["reason"]


async def test_steps_that_run_at_once_share_one_budget(tmp_path):
    ids = [f"s{i}" for i in range(1, 7)]
    small = ScriptedModel("small", [Say("done", usage=(600, 60))] * 9, price=Price(2, 4))
    strong = ScriptedModel("strong", [Say(plan(*ids), usage=(1000, 60))], tier="capable", price=Price(3, 6))
    async with scripted_app(small, strong, policies=[BOTH], ledger=tmp_path / "l.db") as app:
        answer = await app.planner_executor(budget=0.01).ainvoke({"task": "?"})
        spent = totals(app.ledger.events(answer["run"])).cost
    assert answer["state"] == "failed"
    assert spent.usd <= 0.01
    assert not spent.estimated
    ended = [answer["steps"][sid]["state"] for sid in ids]
    assert set(ended) == {"done", "failed"}
    assert len(small.requests) == ended.count("done")


async def test_an_unknown_price_under_a_budget_is_refused_unless_the_agent_allows_it():
    for allowed, state in ((False, "failed"), (True, "done")):
        small, strong = ScriptedModel("small", ["ok"], price=None), ScriptedModel("strong", [plan("s1")], "capable")
        async with scripted_app(small, strong, policies=[BOTH, without_strong]) as app:
            agent = app.planner_executor(budget=1.0, allow_unknown_price=allowed)
            answer = await agent.ainvoke({"task": "?"})
        assert (answer["state"], len(small.requests)) == (state, allowed)


def without_strong(context: Any, candidates: Any) -> Any:
    """Nobody but the planner may have the strong model."""
    no = Reason("without_strong", "for plans only")
    keep = context.step.kind == "plan"
    return [one if keep or one.card.name == "small" else replace(one, rejected=no) for one in candidates]


async def test_the_mode_of_a_run_is_written_down(tmp_path):
    async with app_of(["ok"], plan("s1"), ledger=tmp_path / "l.db") as app:
        answer = await app.planner_executor(mode="quality").ainvoke({"task": "?", "mode": "cost"})
        assert app.ledger.events(answer["run"])[0].event.mode == "cost"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_steps": 0}, "max_steps: expected a whole number, 1 or more, got 0"),
        ({"max_turns": 1.5}, "max_turns: expected a whole number, 1 or more, got 1.5"),
        ({"max_turns": True}, "max_turns: expected a whole number"),
        ({"step_deadline": -1}, "step_deadline: expected a number of seconds that is not negative, got -1"),
        ({"deadline": float("inf")}, "deadline: expected a number of seconds"),
        ({"temperature": 3}, "temperature: expected a number from 0 to 2, got 3"),
        ({"budget": "5"}, "budget: expected a number of USD"),
        ({"mode": "fast"}, "mode 'fast' is unknown; known: quality, balanced, cost, latency"),
        ({"step_output": {"type": "nope"}}, "step_output: the JSON Schema is not valid at #/type: 'nope' is no type"),
        ({"step_output": dict}, "step_output: expected a JSON Schema, such as Model.model_json_schema"),
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused_when_the_agent_is_built(options, said):
    async with app_of([], plan("s1")) as app:
        with pytest.raises(ConfigError, match=said):
            app.planner_executor(**options)
