"""Views and totals: what the rows say of attempts, tools, steps and sums."""

from __future__ import annotations

import pytest

from orchestra.ledger import (
    AttemptEnded,
    AttemptStarted,
    Judged,
    Ledger,
    Planned,
    Row,
    StepEnded,
    ToolEnded,
    ToolStarted,
    Totals,
    attempts,
    steps,
    tools,
    totals,
)
from orchestra.types import Action, Cost, Plan, Step, Trigger, Usage
from tests.ledger.stories import Story, agent_story, call_story, write


def rows_of(story: Story) -> list[Row]:
    return write(Ledger(None), "run", story)


def test_attempts_come_in_order_each_with_its_verdict_and_what_followed(rows: list[Row]) -> None:
    found = {view.id: view for view in attempts(rows)}
    assert [(view.id, view.model, view.state) for view in found.values()] == [
        ("a1", "strong", "accepted"),
        ("a2", "small", "refused"),
        ("a3", "strong", "accepted"),
        ("a4", "strong", "accepted"),
        ("a5", "small", "accepted"),
    ]
    bad = found["a2"]
    assert (bad.step, bad.trigger, bad.action, bad.to_model) == (
        "count",
        Trigger.schema_violation,
        Action.escalate,
        "strong",
    )
    assert (bad.usage, bad.seconds, bad.first_token, bad.wire_model) == (Usage(100, 10), 1.0, 0.5, "small-wire")
    assert bad.evidence == ("sqlite_query.sql: expected string, got 3",)
    assert found["a4"].mended == ("a trailing comma",)


def test_a_verdict_after_the_tools_ran_stands_beside_the_first_one(rows: list[Row]) -> None:
    view = next(view for view in attempts(rows) if view.id == "a3")
    assert (view.state, view.trigger) == ("accepted", None)
    assert [(verdict.trigger, verdict.action) for verdict in view.later] == [(Trigger.tool_error, Action.repair)]


def test_a_second_verdict_on_a_refused_attempt_does_not_overwrite_the_first() -> None:
    first = Judged("a", "m", Trigger.empty, action=Action.repair)
    second = Judged("a", "m", Trigger.no_progress, action=Action.fail)
    (view,) = attempts(rows_of([("s", AttemptStarted("a", "m")), ("s", first), ("s", second)]))
    assert (view.trigger, view.action, view.later) == (Trigger.empty, Action.repair, (second,))


def test_a_provider_fault_is_refused_before_and_after_its_verdict() -> None:
    fault = AttemptEnded("a", "m", trigger=Trigger.overloaded, status=529, sent="no")
    story: Story = [("s", AttemptStarted("a", "m", rung=1, degraded=True, notes=("no images",))), ("s", fault)]
    (view,) = attempts(rows_of(story))
    assert (view.state, view.trigger, view.action) == ("refused", Trigger.overloaded, None)
    (view,) = attempts(rows_of([*story, ("s", Judged("a", "m", action=Action.sibling, to_model="n"))]))
    assert (view.state, view.trigger, view.action, view.to_model) == (
        "refused",
        Trigger.overloaded,
        Action.sibling,
        "n",
    )
    assert (view.rung, view.degraded, view.notes, view.status, view.sent) == (1, True, ("no images",), 529, "no")


def test_what_has_not_ended_is_open() -> None:
    story: Story = [("s", AttemptStarted("a", "m")), ("s", ToolStarted("c", "t")), ("s", AttemptStarted("b", "m"))]
    rows = rows_of([*story, ("s", AttemptEnded("b", "m", usage=Usage(1, 1)))])
    assert [view.state for view in attempts(rows)] == ["open", "open"]
    assert [view.state for view in tools(rows)] == ["open"]
    assert [view.state for view in steps(rows)] == ["running"]


def test_the_same_attempt_id_in_two_steps_is_two_attempts() -> None:
    rows = rows_of([("s", AttemptStarted("a", "m")), ("t", AttemptStarted("a", "n")), ("s", Judged("a", "m"))])
    assert [(view.step, view.model, view.state) for view in attempts(rows)] == [
        ("s", "m", "accepted"),
        ("t", "n", "open"),
    ]


def test_a_verdict_without_an_attempt_makes_none_and_an_end_without_a_start_does() -> None:
    rows = rows_of([("s", Judged("", "m", Trigger.tool_unknown)), ("s", AttemptEnded("a", "m", seconds=2.0))])
    assert [(view.id, view.seconds) for view in attempts(rows)] == [("a", 2.0)]


def test_calls_with_the_same_id_in_two_turns_are_two_runs_of_the_tool(rows: list[Row]) -> None:
    assert [(view.call, view.turn, view.state, view.trigger, view.result) for view in tools(rows)] == [
        ("call_0", 0, "failed", Trigger.tool_error, "no such table: t"),
        ("call_0", 1, "done", None, "344"),
    ]
    assert tools(rows)[0].arguments == {"sql": "select 1 from t"}


def test_an_end_of_a_tool_that_never_began_is_left_out() -> None:
    assert tools(rows_of([("s", ToolEnded("c", "t"))])) == ()


def test_steps_come_in_order_with_all_that_belongs_to_them(rows: list[Row]) -> None:
    plan, count, tell = steps(rows)
    assert (plan.id, plan.kind, plan.goal, plan.model) == ("plan", "plan", "make a plan", "strong")
    assert (count.state, count.model, count.turns, count.result) == ("done", "strong", 3, "344 rows")
    assert [view.id for view in count.attempts] == ["a2", "a3", "a4"]
    assert len(count.tools) == 2
    assert [event.decision.model for event in count.decisions] == ["small"]
    assert (count.started, count.seconds) == (1008.0, 16.0)
    assert (tell.needs, [view.id for view in tell.attempts]) == (("count",), ["a5"])


def test_a_single_call_is_a_step_told_by_its_decision() -> None:
    (step,) = steps(rows_of(call_story()))
    assert (step.id, step.kind, step.goal, step.state) == ("summarise", "act", "goal of summarise", "running")


def test_a_failed_step_says_why() -> None:
    (step,) = steps(
        rows_of([("s", StepEnded("failed", "m", 2, degraded=True, trigger=Trigger.empty, evidence=("e",)))])
    )
    assert (step.state, step.trigger, step.evidence, step.degraded) == ("failed", Trigger.empty, ("e",), True)


def test_the_plan_that_a_fork_begins_with_is_done() -> None:
    planned = Planned(Plan("a task", (Step("s1", "look"),)), 1, reason="forked from run r")
    [view] = steps(rows_of([("plan", planned)]))
    assert (view.id, view.state) == ("plan", "done")


def test_totals_add_up_in_all_and_per_model(rows: list[Row]) -> None:
    found = totals(rows)
    assert (found.attempts, found.accepted, found.refused, found.open, found.escalations) == (5, 4, 1, 0, 1)
    assert (found.usage, found.seconds, found.cost) == (Usage(890, 122), 15.8, Cost(0.0))
    assert found.triggers == {"schema_violation": 1, "tool_error": 1}
    assert list(found.models) == ["strong", "small"]
    small, strong = found.models["small"], found.models["strong"]
    assert (small.attempts, small.refused, small.escalations, small.usage) == (2, 1, 1, Usage(150, 22))
    assert (strong.attempts, strong.escalations, strong.triggers, strong.seconds) == (3, 0, {"tool_error": 1}, 14.0)
    assert small.models == {}


def test_totals_of_nothing_are_nothing() -> None:
    assert totals([]) == Totals()


def test_an_unknown_cost_makes_the_sum_unknown_never_zero() -> None:
    ends: Story = [("s", AttemptEnded(str(usd), "m", cost=Cost(usd, estimated=True))) for usd in (0.25, 0.5, None)]
    assert totals(rows_of(ends[:2])).cost == Cost(0.75, estimated=True)
    assert totals(rows_of(ends)).cost == Cost(None, estimated=True)


@pytest.mark.parametrize(("metered", "unmetered"), [(False, 1), (True, 0)])
def test_attempts_whose_tokens_nobody_reported_are_counted_as_such(metered: bool, unmetered: int) -> None:
    story = call_story(metered=metered)
    assert totals(rows_of(story)).unmetered == unmetered
    assert totals(rows_of(story[:3])).unmetered == 0  # it has not ended yet


def test_views_read_the_same_from_storage(ledger: Ledger) -> None:
    live = write(ledger, "run", agent_story())
    stored = ledger.events("run")
    assert totals(stored) == totals(live)
    assert [(view.id, view.state, view.later) for view in attempts(stored)] == [
        (view.id, view.state, view.later) for view in attempts(live)
    ]
