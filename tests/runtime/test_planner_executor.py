"""planner_executor on scripted models: plan, route, execute, recover, answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from orchestra import Orchestra, RecoveryPolicy, StepPolicy, Tool, ToolRejected, tool
from orchestra.errors import ConfigError
from orchestra.ledger import AttemptEnded, Decided, Judged, Planned, RunEnded, StepEnded, ToolStarted
from orchestra.testing import CallTool, Error, ScriptedModel, scripted_app
from orchestra.types import Message, Origin, Price, Text

BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"match": {"kind": "act"}, "tier": "efficient"}])


@tool(read_only=True)
def rain(city: str) -> float:
    """Millimetres of rain in a city.

    Args:
        city: the city's name
    """
    return {"Oslo": 800.5, "Bergen": 2250.0}[city]


def plan(*steps: tuple[str, str, list[str], list[str]]) -> str:
    keys = ("id", "goal", "needs", "tools")
    return json.dumps({"steps": [dict(zip(keys, one, strict=True)) | {"difficulty": "easy"} for one in steps]})


TWO_AND_JOIN = plan(
    ("s1", "rain in Oslo", [], ["rain"]),
    ("s2", "rain in Bergen", [], ["rain"]),
    ("s3", "compare", ["s1", "s2"], []),
)


def last_user_text(request: dict[str, Any]) -> str:
    return next(m["content"] for m in reversed(request["messages"]) if m["role"] == "user")


def by_step(request: dict[str, Any]) -> Any:
    """An obedient small model: looks up the city its step names, repeats results, joins."""
    text = last_user_text(request)
    results = [m["content"] for m in request["messages"] if m["role"] == "tool"]
    if "rain in Oslo" in text and "compare" not in text:
        return f"Oslo has {results[-1]} mm" if results else CallTool("rain", city="Oslo")
    if "rain in Bergen" in text and "compare" not in text:
        return f"Bergen has {results[-1]} mm" if results else CallTool("rain", city="Bergen")
    return "Bergen, by 1449.5 mm"


def app_of(small: Any, strong: Any, **options: Any) -> Orchestra:
    models = ScriptedModel("small", small, tier="efficient"), ScriptedModel("strong", strong, tier="capable")
    return scripted_app(*models, policies=[BOTH], **options)


def events(app: Orchestra, run: str, kind: type) -> list[Any]:
    return [row.event for row in app.ledger.events(run) if isinstance(row.event, kind)]


async def test_a_task_is_planned_by_one_model_and_executed_by_another(tmp_path):
    async with app_of(by_step, [TWO_AND_JOIN], ledger=tmp_path / "l.db") as app:
        answer = await app.planner_executor([rain]).ainvoke({"task": "Oslo or Bergen?"})
        assert (answer["state"], answer["answer"]) == ("done", "Bergen, by 1449.5 mm")
        served = {
            row.step: row.event.model for row in app.ledger.events(answer["run"]) if isinstance(row.event, AttemptEnded)
        }
        assert served == {"plan": "strong", "s1": "small", "s2": "small", "s3": "small"}
        assert json.loads(json.dumps(answer)) == answer


async def test_independent_steps_run_at_once_and_a_step_sees_only_what_it_needs(tmp_path):
    together = asyncio.Barrier(2)
    seen: list[str] = []

    @tool(read_only=True)
    async def rain(city: str) -> str:
        """Rain.

        Args:
            city: name
        """
        await together.wait()  # passes only where both steps are running
        return f"{city}-mm"

    def small(request: dict[str, Any]) -> Any:
        seen.append(last_user_text(request))
        return by_step(request)

    async with app_of(small, [TWO_AND_JOIN]) as app:
        answer = await asyncio.wait_for(app.planner_executor([rain]).ainvoke({"task": "?"}), 10)
    assert answer["state"] == "done"
    last = next(text for text in seen if "compare" in text)
    assert "Oslo-mm" in last
    assert "Bergen-mm" in last
    assert not any("Bergen-mm" in text for text in seen if "compare" not in text and "rain in Oslo" in text)


async def test_a_wrong_tool_call_never_executes_goes_back_then_up_and_the_next_step_starts_low_again(tmp_path):
    one = plan(("s1", "rain in Oslo", [], ["rain"]), ("s2", "say it", ["s1"], []))
    small = [CallTool("rian", city="Oslo"), CallTool("rain", town="Oslo"), "the small one says it"]
    strong = [one, CallTool("rain", city="Oslo"), "800.5"]
    async with app_of(small, strong, ledger=tmp_path / "l.db") as app:
        answer = await app.planner_executor([rain]).ainvoke({"task": "?"})
        run = answer["run"]
        judged = [(e.model, str(e.trigger), str(e.action)) for e in events(app, run, Judged) if e.trigger]
        assert judged == [("small", "unknown_tool", "repair"), ("small", "schema_violation", "escalate")]
        assert [e.tool for e in events(app, run, ToolStarted)] == ["rain"]
        ended = {row.step: row.event.model for row in app.ledger.events(run) if isinstance(row.event, StepEnded)}
        assert ended == {
            "plan": "strong",
            "s1": "strong",
            "s2": "small",
        }
        assert answer["answer"] == "the small one says it"


async def test_a_plan_with_faults_goes_back_once_with_the_exact_faults():
    bad = plan(("s1", "x", ["s2"], ["rain"]), ("s2", "y", ["s1"], []))
    strong = ScriptedModel("strong", [bad, plan(("s1", "rain in Oslo", [], ["rain"]))], tier="capable")
    app = scripted_app(ScriptedModel("small", by_step), strong, policies=[BOTH])
    async with app:
        answer = await app.planner_executor([rain]).ainvoke({"task": "?"})
    assert answer["state"] == "done"
    feedback = last_user_text(strong.requests[1])
    assert "wait for each other" in feedback


async def test_a_planner_that_cannot_plan_escalates_and_then_the_task_is_one_flagged_step():
    policies = [StepPolicy([{"match": {"kind": "plan"}, "tier": "efficient"}])]
    small = ScriptedModel("small", ["{}", "no plan", by_step])
    strong = ScriptedModel("strong", ["none either", "still none", "the answer"], tier="capable")
    app = scripted_app(small, strong, policies=policies)
    async with app:
        answer = await app.planner_executor([]).ainvoke({"task": "?"})
    assert answer["plan"]["flags"] == ["single_step"]
    assert len(strong.requests) >= 1


async def test_an_outage_while_planning_ends_the_run_and_says_why():
    app = app_of([Error(503)] * 9, [Error(503)] * 9)
    async with app:
        answer = await app.planner_executor([rain]).ainvoke({"task": "?"})
    assert (answer["state"], answer["answer"]) == ("failed", None)
    assert "planning failed" in answer["reason"]


async def test_a_tool_error_is_shown_to_the_model_which_may_mend_its_call():
    calls: list[str] = []

    @tool
    def pay(amount: int) -> str:
        """Pay.

        Args:
            amount: cents
        """
        calls.append(str(amount))
        if amount > 10:
            raise ToolRejected("at most 10 cents")
        return "paid"

    small = ScriptedModel("small", [CallTool("pay", amount=11), CallTool("pay", amount=10), "done"])
    app = scripted_app(
        small, ScriptedModel("strong", [plan(("s1", "pay", [], ["pay"]))], tier="capable"), policies=[BOTH]
    )
    async with app:
        answer = await app.planner_executor([pay]).ainvoke({"task": "?"})
    assert answer["answer"] == "done"
    assert calls == ["11", "10"]
    assert any("at most 10 cents" in str(m["content"]) for m in small.requests[1]["messages"])


async def test_a_stronger_model_is_not_shown_what_the_weaker_one_got_wrong_unless_it_may_have_had_an_effect():
    @tool
    def pay(amount: int) -> str:
        """Pay.

        Args:
            amount: cents
        """
        raise ToolRejected("no") if amount > 10 else OSError("the line broke")

    async def strong_saw(amounts: tuple[int, int]) -> str:
        small = ScriptedModel("small", [CallTool("pay", amount=amounts[0]), CallTool("pay", amount=amounts[1])])
        gave_up = ["gave up"] * 8
        strong = ScriptedModel("strong", [plan(("s1", "pay", [], ["pay"])), *gave_up], tier="capable")
        async with scripted_app(small, strong, policies=[BOTH]) as app:
            await app.planner_executor([pay]).ainvoke({"task": "?"})
        return json.dumps(strong.requests[1]["messages"])

    assert "tool_call" not in await strong_saw((11, 12))
    assert "the line broke" in await strong_saw((1, 2))


async def test_a_failed_critical_step_fails_the_run_skips_what_needs_it_and_keeps_the_rest():
    def small(request: dict[str, Any]) -> Any:
        return "" if "rain in Oslo" in last_user_text(request) else by_step(request)

    def strong(request: dict[str, Any]) -> Any:
        return TWO_AND_JOIN if "split a task" in request["messages"][0]["content"] else ""

    async with app_of(small, strong) as app:
        answer = await app.planner_executor([rain]).ainvoke({"task": "?"})
    assert answer["state"] == "failed"
    assert {sid: one["state"] for sid, one in answer["steps"].items()} == {
        "s1": "failed",
        "s2": "done",
        "s3": "skipped",
    }
    assert "s1" in answer["reason"]


async def test_plan_only_plans_and_executes_nothing():
    async with app_of([], [TWO_AND_JOIN]) as app:
        answer = await app.planner_executor([rain]).ainvoke({"task": "?", "plan_only": True})
    assert [step["id"] for step in answer["plan"]["steps"]] == ["s1", "s2", "s3"]
    assert (answer["state"], answer["steps"]) == ("done", {})


@pytest.mark.parametrize(
    "bad", [{}, {"task": ""}, {"task": 3}, {"task": "x", "mode": "chaep"}, {"task": "x", "budget": -1}]
)
async def test_an_input_that_makes_no_sense_is_refused_with_what_is_expected(bad):
    async with app_of([], []) as app:
        with pytest.raises(ConfigError, match=r"task|mode|budget"):
            await app.planner_executor([rain]).ainvoke(bad)


async def test_typed_events_arrive_while_the_run_goes_on():
    async with app_of(by_step, [TWO_AND_JOIN]) as app:
        agent = app.planner_executor([rain])
        kinds = [row.event.type async for row in agent.astream({"task": "?"}, stream_mode="custom")]
    assert kinds[:4] == ["run_started", "step_started", "decided", "attempt_started"]
    assert kinds[-1] == "run_ended"
    assert kinds.count("tool_ended") == 2


async def test_a_cancelled_run_says_so_in_the_ledger_and_stops_its_tools(tmp_path):
    started, stopped = asyncio.Event(), asyncio.Event()

    @tool(read_only=True)
    async def rain(city: str) -> str:
        """Rain.

        Args:
            city: name
        """
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    async with app_of(by_step, [TWO_AND_JOIN], ledger=tmp_path / "l.db") as app:
        running = asyncio.create_task(app.planner_executor([rain]).ainvoke({"task": "?", "run": "r1"}))
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.wait_for(stopped.wait(), 5)
        assert [e.state for e in events(app, "r1", RunEnded)] == ["cancelled"]


async def test_a_hundred_runs_at_once_do_not_mix():
    async with app_of(by_step, lambda _: TWO_AND_JOIN) as app:
        agent = app.planner_executor([rain])
        answers = await asyncio.gather(*(agent.ainvoke({"task": f"task {i} ñ"}) for i in range(100)))
    assert len({one["run"] for one in answers}) == 100
    assert {one["answer"] for one in answers} == {"Bergen, by 1449.5 mm"}


async def test_a_second_task_on_the_same_thread_starts_afresh(tmp_path):
    config = {"configurable": {"thread_id": "t"}}
    async with app_of(by_step, lambda _: TWO_AND_JOIN, ledger=tmp_path / "l.db") as app:
        agent = app.planner_executor([rain])
        first = await agent.ainvoke({"task": "a"}, config)
        second = await agent.ainvoke({"task": "b"}, config)
        assert first["run"] != second["run"]
        assert len(events(app, second["run"], StepEnded)) == 4
        history = [state async for state in agent.aget_state_history(config)]
    assert len(history) >= 6


async def test_a_tool_that_needs_approval_never_runs_where_nobody_can_be_asked():
    ran: list[int] = []

    @tool(needs_approval=True)
    def wire(amount: int) -> str:
        """Wire money.

        Args:
            amount: cents
        """
        ran.append(amount)
        return "ok"

    small = [CallTool("wire", amount=1), "not approved"]
    async with app_of(small, [plan(("s1", "wire", [], ["wire"]))]) as app:
        answer = await app.planner_executor([wire]).ainvoke({"task": "?"})
    assert ran == []
    assert answer["state"] == "failed"
    assert "may wire be called" in answer["reason"]
    assert "it keeps no checkpoints; give the app a ledger file" in answer["reason"]


async def test_a_run_over_its_budget_fails_and_says_so():
    models = (
        ScriptedModel("small", by_step, price=Price(1.0, 2.0)),
        ScriptedModel("strong", [TWO_AND_JOIN], tier="capable", price=Price(5.0, 15.0)),
    )
    async with scripted_app(*models, policies=[BOTH]) as app:
        answer = await app.planner_executor([rain]).ainvoke({"task": "?", "budget": 0.000001})
    assert answer["state"] == "failed"


async def test_decisions_of_a_run_carry_the_context_they_were_made_in(tmp_path):
    async with app_of(by_step, [TWO_AND_JOIN], ledger=tmp_path / "l.db") as app:
        answer = await app.planner_executor([rain]).ainvoke({"task": "?"})
        contexts = {e.context.step.id: e.context for e in events(app, answer["run"], Decided)}
    assert contexts["s3"].upstream[0].step == "s1"
    assert contexts["s1"].tools == ("rain",)
    assert contexts["plan"].structured


async def test_a_tool_from_raw_json_schema_takes_part(tmp_path):
    echo = Tool.from_schema(
        "echo",
        "Echo.",
        {"type": "object", "properties": {"x": {"const": 1}}, "required": ["x"]},
        lambda x: x,
        read_only=True,
    )
    small = [CallTool("echo", x=2), CallTool("echo", x=1), "1"]
    async with app_of(small, [plan(("s1", "echo", [], ["echo"]))], ledger=tmp_path / "l.db") as app:
        answer = await app.planner_executor([echo]).ainvoke({"task": "?"})
        assert answer["answer"] == "1"
        assert [e.faults for e in events(app, answer["run"], Planned)] == [()]


async def test_a_read_only_step_is_asked_to_look_up_and_where_no_model_will_its_words_are_taken():
    async with app_of(lambda _: "hello", [plan(("s1", "greet", [], ["rain"])), "hello", "hello"]) as app:
        answer = await app.planner_executor([rain]).ainvoke({"task": "?"})
    assert (answer["state"], answer["answer"]) == ("done", "hello")


async def test_after_an_escalation_the_stronger_model_looks_up_too_rather_than_guess():
    @tool(read_only=True)
    def rows(sql: str) -> str:
        """Rows.

        Args:
            sql: a SELECT
        """
        if sql != "right":
            raise ToolRejected("no such column")
        return "42"

    small = ScriptedModel("small", [CallTool("rows", sql="wrong"), CallTool("rows", sql="wronger")])
    strong = ScriptedModel(
        "strong", [plan(("s1", "look", [], ["rows"])), "I guess 7", CallTool("rows", sql="right"), "42"], tier="capable"
    )
    async with scripted_app(small, strong, policies=[BOTH]) as app:
        answer = await app.planner_executor([rows]).ainvoke({"task": "?"})
    assert (answer["state"], answer["answer"]) == ("done", "42")


async def test_a_step_that_calls_on_and_on_has_made_no_progress():
    numbers = iter(range(100))

    @tool(read_only=True)
    def count(n: int) -> int:
        """Count.

        Args:
            n: a number
        """
        return n

    small = ScriptedModel("small", lambda _: CallTool("count", n=next(numbers)))
    strong = ScriptedModel("strong", [plan(("s1", "count", [], ["count"]))], tier="capable")
    once = RecoveryPolicy(max_replans=0)
    async with scripted_app(small, strong, policies=[BOTH], recovery=once) as app:
        answer = await app.planner_executor([count], max_turns=3).ainvoke({"task": "?"})
    assert "3 turns without a result" in answer["reason"]


@pytest.mark.parametrize("key", ["budgett", "dead_line", "moed"])
async def test_a_misspelt_limit_is_refused_rather_than_no_limit(key):
    async with app_of([], []) as app:
        with pytest.raises(ConfigError, match=r"did you mean '(budget|deadline|mode)'"):
            await app.planner_executor([rain]).ainvoke({"task": "?", key: 1})


async def test_steps_at_once_wait_for_money_that_comes_back_rather_than_fail():
    models = (
        ScriptedModel("small", by_step, price=Price(1.0, 4.0)),
        ScriptedModel("strong", [TWO_AND_JOIN], tier="capable", price=Price(2.0, 8.0)),
    )
    async with scripted_app(*models, policies=[BOTH]) as app:
        answer = await app.planner_executor([rain]).ainvoke({"task": "?", "budget": 0.05})
    assert (answer["state"], answer["reason"]) == ("done", "")


async def test_a_conversation_stays_with_the_model_whose_prompt_cache_it_would_lose():
    dear = Price(10.0, 10.0, cached_input=0.1)
    models = (
        ScriptedModel("first", lambda _: "hello", price=dear),
        ScriptedModel("other", lambda _: "hello", price=Price(9.0, 9.0)),
    )
    long = "word " * 4_000
    async with scripted_app(*models, mode="cost") as app:
        cold = await app.complete(long)
        said = Message("assistant", (Text("hello", Origin("scripted", "openai-chat", "first")),))
        warm = await app.complete([Message.user(long), said, Message.user("And now?")])
    assert (cold.model, warm.model) == ("other", "first")
    assert any("cache" in reason.text for reason in warm.decisions[0].reasons)
