"""What a policy is told of a step, and what a step's turns are held against."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

import pytest

from orchestra import Orchestra, RecoveryPolicy, StepPolicy, tool
from orchestra.errors import BudgetExceeded, ConfigError
from orchestra.fleet import Fleet
from orchestra.ledger import AttemptStarted, Judged, ToolEnded
from orchestra.testing import CallTool, Say, ScriptedModel, scripted_app, scripted_transport
from orchestra.types import Budget, Candidate, Capabilities, Earlier, Price, StepContext, Trigger

BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])
TWO = [("s1", [], ["look"]), ("s2", ["s1"], [])]


class Watching:
    """A policy that decides nothing and remembers what it was told, by step."""

    def __init__(self) -> None:
        self.told: dict[str, StepContext] = {}

    def __call__(self, context: StepContext, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        self.told[context.step.id] = context
        return candidates


@tool(read_only=True)
def look(at: int) -> str:
    """Look.

    Args:
        at: where
    """
    return f"seen {at}"


def plan(*steps: tuple[str, list[str], list[str]]) -> str:
    with_tools = any(tools for _, _, tools in steps)  # an agent without tools is not asked for any
    return json.dumps(
        {
            "steps": [
                {"id": sid, "goal": f"do {sid}", "needs": needs, "difficulty": "medium"}
                | ({"tools": tools} if with_tools else {})
                for sid, needs, tools in steps
            ]
        }
    )


def app_of(small: Any, strong: Any, watching: Watching | None = None, **options: Any) -> Orchestra:
    models = ScriptedModel("small", small), ScriptedModel("strong", strong, tier="capable")
    return scripted_app(*models, policies=[BOTH, *([watching] if watching else [])], **options)


def at_a_standstill(app: Orchestra) -> Callable[[float], None]:
    """Stop the engine's clock; the function given back moves it on."""
    now = [time.monotonic()]
    app.engine = replace(app.engine, clock=lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def tools_used(app: Orchestra, run: str) -> list[Trigger | None]:
    return [row.event.trigger for row in app.ledger.events(run) if isinstance(row.event, ToolEnded)]


async def test_a_policy_sees_for_whom_a_call_is_and_what_it_may_take():
    watching = Watching()
    async with scripted_app(ScriptedModel("small", ["hi"]), policies=[watching]) as app:
        at_a_standstill(app)
        await app.complete("?", tenant="acme", feature="search", priority="high", deadline=40, budget=0.5)
    told = watching.told["call"]
    assert (told.tenant, told.feature, told.priority, told.money_left) == ("acme", "search", "high", 0.5)
    assert told.deadline == pytest.approx(40)


async def test_policies_see_for_whom_an_agent_works_in_its_plan_and_in_every_step():
    watching = Watching()
    async with app_of(["one", "two"], [plan(("s1", [], []), ("s2", ["s1"], []))], watching) as app:
        agent = app.planner_executor(tenant="acme", priority="low", data_tags=[])
        answer = await agent.ainvoke({"task": "?"})
    assert answer["state"] == "done"
    assert {sid: (told.tenant, told.priority) for sid, told in watching.told.items()} == dict.fromkeys(
        ("plan", "s1", "s2"), ("acme", "low")
    )


@pytest.mark.parametrize(("given", "seen"), [({}, "reports"), ({"feature": "search"}, "search")])
async def test_a_run_is_for_the_feature_of_its_input_else_for_the_agents(given, seen):
    watching = Watching()
    async with app_of(["one"], [plan(("s1", [], []))], watching) as app:
        await app.planner_executor(feature="reports").ainvoke({"task": "?", **given})
    assert {told.feature for told in watching.told.values()} == {seen}


async def test_a_tenant_that_is_no_text_is_refused_for_no_budget_would_match_it():
    async with scripted_app(ScriptedModel("small", ["hi"])) as app:
        with pytest.raises(ConfigError, match=r"^tenant: expected a text, got 7; a budget that names it"):
            await app.complete("?", tenant=7)


async def test_a_budget_of_the_fleet_for_a_tenant_stops_that_tenants_calls_and_no_others():
    dear = ScriptedModel("small", ["one", "two", "three"], price=Price(1.0, 1_000.0))
    fleet = Fleet.from_cards([dear.card()], budgets=[Budget(1e-6, "day", {"tenant": ("acme",), "step": ("ask",)})])
    async with Orchestra(fleet, ledger=None, transport=scripted_transport(dear)) as app:
        with pytest.raises(BudgetExceeded, match="the budget of"):
            await app.complete("?", step="ask", tenant="acme")
        assert (await app.complete("?", step="ask", tenant="other")).text == "one"
        assert (await app.complete("?", step="tell", tenant="acme")).text == "two"


async def test_a_tenant_whose_calls_hold_all_slots_leaves_another_its_turn():
    model = ScriptedModel("small", lambda _: "ok")
    async with scripted_app(model, concurrency=1) as app:
        await asyncio.gather(*(app.complete("?", tenant="a") for _ in range(20)), app.complete("b", tenant="b"))
    assert [body["messages"][-1]["content"] for body in model.requests].index("b") <= 2


class Mine(str, Enum):  # noqa: UP042  # written in a text it is no StrEnum
    look = "look"


class Yours(str, Enum):  # noqa: UP042  # likewise
    look = "look"


@pytest.mark.parametrize("step", [Mine.look, Yours.look, "look"])
async def test_a_policy_sees_the_step_by_the_name_that_was_given_even_where_another_says_the_same(step):
    watching = Watching()
    async with scripted_app(ScriptedModel("small", ["one"]), policies=[watching]) as app:
        await app.complete("?", step=step)
    assert type(watching.told["look"].step.id) is type(step)


async def test_a_policy_sees_the_seconds_left_of_the_run_or_of_the_step_whichever_are_fewer():
    watching = Watching()

    def answers(request: dict[str, Any]) -> Any:
        advance(80)
        return "done"

    async with app_of(answers, [plan(("s1", [], []), ("s2", ["s1"], []))], watching) as app:
        advance = at_a_standstill(app)
        await app.planner_executor(deadline=100, step_deadline=30).ainvoke({"task": "?"})
    assert [watching.told[sid].deadline for sid in ("plan", "s1", "s2")] == pytest.approx([100, 30, 20])


async def test_a_policy_sees_the_money_that_earlier_steps_have_left():
    watching = Watching()
    models = (
        ScriptedModel("small", [Say("one", usage=(1000, 100)), "two"], price=Price(1, 10)),
        ScriptedModel("strong", [Say(plan(("s1", [], []), ("s2", ["s1"], [])), usage=(1000, 100))], tier="capable"),
    )
    async with scripted_app(*models, policies=[BOTH, watching]) as app:
        answer = await app.planner_executor(budget=1.0).ainvoke({"task": "?"})
    assert answer["state"] == "done"
    assert [watching.told[sid].money_left for sid in ("plan", "s1", "s2")] == pytest.approx([1.0, 1.0, 0.998])


async def test_a_policy_sees_which_models_failed_in_earlier_steps_at_answering_and_at_their_tools():
    @tool(read_only=True)
    def look(at: int) -> str:
        """Look.

        Args:
            at: where
        """
        raise RuntimeError("it is dark")

    watching = Watching()
    small = ["", CallTool("look", at=1), "nothing to see", "so be it"]
    async with app_of(small, [plan(*TWO)], watching, recovery=RecoveryPolicy(repairs=2)) as app:
        answer = await app.planner_executor([look]).ainvoke({"task": "?"})
    assert answer["answer"] == "so be it"
    assert watching.told["s1"].history == ()
    assert watching.told["s2"].history == (
        Earlier("s1", "small", Trigger.empty),
        Earlier("s1", "small", Trigger.tool_error),
    )


async def test_a_policy_sees_how_the_steps_before_it_ended_and_on_which_model():
    watching = Watching()
    async with app_of(["one", "two"], [plan(("s1", [], []), ("s2", ["s1"], []))], watching) as app:
        await app.planner_executor().ainvoke({"task": "?"})
    assert watching.told["s1"].upstream == ()
    (before,) = watching.told["s2"].upstream
    assert (before.step, before.state, before.model) == ("s1", "done", "small")


async def test_a_model_past_its_end_of_service_is_not_chosen():
    gone = ScriptedModel("a", lambda _: "old", tier="capable", deprecated="2020-01-01")
    async with scripted_app(gone, ScriptedModel("b", lambda _: "new")) as app:
        reply = await app.complete("?")
    assert (reply.model, gone.requests) == ("b", [])
    assert [one.model for one in reply.decisions[0].rejections] == ["a"]


async def test_data_under_a_tag_goes_only_to_models_that_have_it():
    def answers(request: dict[str, Any]) -> str:
        return plan(("s1", [], [])) if "split a task" in request["messages"][0]["content"] else "fine"

    anywhere, here = ScriptedModel("a", answers), ScriptedModel("z", answers, tags=("eu",))
    async with scripted_app(anywhere, here) as app:
        assert (await app.complete("?")).model == "a"
        assert (await app.complete("?", data_tags=["eu"])).model == "z"
        answer = await app.planner_executor(data_tags="eu").ainvoke({"task": "?"})
    assert (answer["answer"], answer["steps"]["s1"]["model"]) == ("fine", "z")
    assert len(anywhere.requests) == 1


async def test_the_same_call_is_not_made_a_third_time():
    asked: list[int] = []

    @tool(read_only=True)
    def look(at: int) -> str:
        """Look.

        Args:
            at: where
        """
        asked.append(at)
        return f"seen {at}"

    again = [CallTool("look", at=1)] * 3
    small = ScriptedModel("small", [*again, "seen it twice"])
    strong = ScriptedModel("strong", [plan(("s1", [], ["look"]))], tier="capable")
    async with scripted_app(small, strong, policies=[BOTH]) as app:
        answer = await app.planner_executor([look]).ainvoke({"task": "?"})
    assert (answer["answer"], asked) == ("seen it twice", [1, 1])
    assert "You repeated a tool call" in small.requests[3]["messages"][-1]["content"]


@pytest.mark.parametrize(("least", "served"), [(-1.0, "strong"), (-5.0, "small"), (None, "small")])
async def test_a_call_that_its_model_was_unsure_of_goes_up(least, served):
    unsure = Say("I look", calls=(CallTool("look", at=1),), logprob=-3.0)
    small = ScriptedModel("small", [unsure], capabilities=Capabilities(logprobs=True))
    strong = ScriptedModel("strong", [CallTool("look", at=1)], tier="capable")
    async with scripted_app(small, strong, policies=[BOTH], min_logprob=least) as app:
        reply = await app.complete("?", tools=[look])
    assert reply.model == served


@pytest.mark.parametrize(
    ("asked", "wanted"), [({}, False), ({"tools": [look]}, True), ({"output": {"type": "object"}}, True)]
)
async def test_log_probabilities_are_asked_for_only_where_they_are_judged(asked, wanted):
    model = ScriptedModel("small", ["{}"], capabilities=Capabilities(logprobs=True))
    async with scripted_app(model) as app:
        await app.complete("?", **asked)
    assert ("logprobs" in model.requests[0]) is wanted


async def test_a_fleet_without_log_probabilities_is_not_told_at_every_attempt_that_it_has_none(tmp_path):
    model = ScriptedModel("small", ["{}"])
    async with scripted_app(model, ledger=tmp_path / "ledger.db") as app:
        reply = await app.complete("?", output={"type": "object"})
        (started,) = [one.event for one in app.ledger.events(reply.run) if isinstance(one.event, AttemptStarted)]
    assert not any("logprobs" in note for note in started.notes)


@tool(read_only=True)
def query(table: str) -> str:
    """Query.

    Args:
        table: its name
    """
    return "Error: no such table"


def tables(*names: str) -> list[CallTool]:
    return [CallTool("query", table=name) for name in names]


async def test_a_model_that_gets_nowhere_is_told_so_and_goes_on():
    small = ScriptedModel("small", [*tables("a", "b", "c"), "there is no table"])
    strong = ScriptedModel("strong", [plan(("s1", [], ["query"]))], tier="capable")
    async with scripted_app(small, strong, policies=[BOTH]) as app:
        answer = await app.planner_executor([query]).ainvoke({"task": "?"})
    assert answer["answer"] == "there is no table"
    said = [[m["content"] for m in request["messages"] if m["role"] == "user"][-1] for request in small.requests]
    assert ["led nowhere" in text for text in said] == [False, False, False, True]
    assert "the same error 3 times in a row" in said[-1]


async def test_a_stronger_model_does_not_answer_for_the_circles_of_a_weaker_one(tmp_path):
    small = ScriptedModel("small", tables("a", "b", "c"))
    strong = ScriptedModel("strong", [plan(("s1", [], ["query"])), *tables("d", "e"), "none"], tier="capable")
    options = {"recovery": RecoveryPolicy(repairs=0), "ledger": tmp_path / "l.db"}
    async with scripted_app(small, strong, policies=[BOTH], **options) as app:
        answer = await app.planner_executor([query]).ainvoke({"task": "?"})
        judged = [row.event for row in app.ledger.events(answer["run"]) if isinstance(row.event, Judged)]
    assert (answer["state"], answer["answer"]) == ("done", "none")
    assert [(e.model, e.trigger) for e in judged if e.trigger] == [("small", Trigger.no_progress)]


async def test_a_stronger_model_is_not_shown_a_look_up_that_failed_and_may_make_it_itself():
    asked: list[int] = []

    @tool(read_only=True)
    def look(at: int) -> str:
        """Look.

        Args:
            at: where
        """
        asked.append(at)
        if len(asked) < 3:
            raise RuntimeError("it is dark")
        return "dawn"

    small = ScriptedModel("small", [CallTool("look", at=1)] * 2)
    strong = ScriptedModel("strong", [plan(("s1", [], ["look"])), CallTool("look", at=1), "it dawns"], tier="capable")
    async with scripted_app(small, strong, policies=[BOTH]) as app:
        answer = await app.planner_executor([look]).ainvoke({"task": "?"})
    assert (answer["answer"], asked) == ("it dawns", [1, 1, 1])
    assert strong.requests[1]["messages"] == small.requests[0]["messages"]


async def test_a_tool_has_no_more_time_than_its_step(tmp_path):
    @tool(read_only=True)
    async def look(at: int) -> str:
        """Look.

        Args:
            at: where
        """
        for _ in range(20):
            await asyncio.sleep(0)  # gives the loop its turn, as any tool that waits does
        return "too late"

    def slow_to_call(_: dict[str, Any]) -> CallTool:
        advance(31)
        return CallTool("look", at=1)

    async with app_of([slow_to_call, "not seen"], [plan(("s1", [], ["look"]))], ledger=tmp_path / "l.db") as app:
        advance = at_a_standstill(app)
        answer = await app.planner_executor([look], step_deadline=30).ainvoke({"task": "?"})
        assert tools_used(app, answer["run"]) == [Trigger.tool_timeout]
    assert answer["answer"] == "not seen"


async def test_acts_of_one_reply_are_done_one_at_a_time_in_the_order_written():
    done: list[str] = []

    @tool
    async def pay(cents: int) -> str:
        """Pay.

        Args:
            cents: how many
        """
        done.append(f"pay {cents}")
        for _ in range(10 - cents):
            await asyncio.sleep(0)  # gives the loop its turn, as any tool that waits does
        done.append(f"paid {cents}")
        return "ok"

    @tool(read_only=True)
    async def look(at: int) -> str:
        """Look.

        Args:
            at: where
        """
        done.append("look")
        return "ok"

    both = Say(calls=(CallTool("pay", cents=1), CallTool("look", at=1), CallTool("pay", cents=2)))
    async with app_of([both, "paid"], [plan(("s1", [], ["pay", "look"]))]) as app:
        answer = await app.planner_executor([pay, look]).ainvoke({"task": "?"})
    assert answer["answer"] == "paid"
    assert done == ["pay 1", "paid 1", "look", "pay 2", "paid 2"]


async def test_look_ups_of_one_reply_are_made_at_once():
    together = asyncio.Barrier(2)

    @tool(read_only=True)
    async def look(at: int) -> str:
        """Look.

        Args:
            at: where
        """
        await together.wait()  # passes only where both are running
        return f"seen {at}"

    both = Say(calls=(CallTool("look", at=1), CallTool("look", at=2)))
    small = ScriptedModel("small", [both, "seen both"])
    strong = ScriptedModel("strong", [plan(("s1", [], ["look"]))], tier="capable")
    async with scripted_app(small, strong, policies=[BOTH]) as app:
        answer = await asyncio.wait_for(app.planner_executor([look]).ainvoke({"task": "?"}), 5)
    assert answer["answer"] == "seen both"
    assert [m["content"] for m in small.requests[1]["messages"] if m["role"] == "tool"] == ["seen 1", "seen 2"]


async def test_the_apps_mode_decides_where_neither_the_call_nor_a_rule_says_one():
    async with scripted_app(ScriptedModel("small", ["one", "two"]), policies=[], mode="cost") as app:
        assert (await app.complete("?")).decisions[0].mode == "cost"
        assert (await app.complete("?", mode="latency")).decisions[0].mode == "latency"


async def test_a_calls_own_max_tokens_leave_the_effort_that_a_rule_sets():
    thinking = ScriptedModel("small", ["one"], capabilities=Capabilities(reasoning_effort=True))
    rule = StepPolicy([{"reasoning_effort": "low", "max_tokens": 50}])
    async with scripted_app(thinking, policies=[rule]) as app:
        await app.complete("?", max_tokens=20)
    (body,) = thinking.requests
    assert (body["reasoning_effort"], body["max_completion_tokens"]) == ("low", 20)
