from orchestra.cli.progress import Progress, lines, progress
from orchestra.ledger import (
    AttemptEnded,
    AttemptStarted,
    Event,
    Judged,
    Planned,
    Row,
    StepEnded,
    StepStarted,
    ToolEnded,
)
from orchestra.types import Action, Plan, Step, Trigger, Usage

PLAN = Plan("t", (Step("last", "join", needs=("first",)), Step("first", "find")), flags=("single_step",))


def rows(*events: tuple[str, Event]) -> list[Row]:
    """These events of steps, one a second from second 1 on."""
    return [Row(at, "r", step, float(at), event) for at, (step, event) in enumerate(events, 1)]


BEGUN = rows(
    ("plan", StepStarted("t", "plan")),
    ("plan", Planned(PLAN)),
    ("plan", StepEnded("done", "strong")),
    ("first", StepStarted("find", "act")),
    ("first", AttemptStarted("a", "small")),
    ("first", AttemptEnded("a", "small", usage=Usage(1200, 34))),
    ("first", Judged("a", "small", Trigger.empty, ("nothing said",), action=Action.escalate, to_model="strong")),
    ("first", AttemptStarted("b", "strong")),
)


def test_the_planner_comes_first_and_then_the_steps_as_they_may_run() -> None:
    assert [(step.id, step.state) for step in progress(BEGUN, 10)] == [
        ("plan", "done"),
        ("first", "running"),
        ("last", "waiting"),
    ]


def test_a_step_that_runs_shows_its_newest_model_all_its_tokens_and_the_time_until_now() -> None:
    assert progress(BEGUN, 9.5)[1] == Progress(
        id="first",
        goal="find",
        state="running",
        model="strong",
        attempts=2,
        tokens=1234,
        seconds=5.5,
        trouble=("small: empty (nothing said) → escalate to strong",),
    )
    assert progress(BEGUN, 9.5)[1].figures == "strong · 2 attempts · 1,234 tokens · 5.5 s"


def test_a_step_that_has_ended_keeps_its_time() -> None:
    assert progress(BEGUN, 99)[0].seconds == 2.0


def test_a_step_that_waits_has_no_figures() -> None:
    assert progress(BEGUN, 99)[2] == Progress("last", "join", ("first",))
    assert progress(BEGUN, 99)[2].figures == ""


def test_a_plan_is_told_in_the_order_in_which_it_may_run() -> None:
    assert lines(BEGUN[1], BEGUN[:2]) == ["plan: 2 steps (single_step)", "  first: find", "  last: join (needs first)"]
    one = rows(("plan", Planned(Plan("t", (Step("s", "g"),)))))
    assert lines(one[0], one) == ["plan: 1 step", "  s: g"]


def test_what_went_wrong_is_told_where_it_went_wrong() -> None:
    told = rows(
        ("s", AttemptEnded("a", "small", trigger=Trigger.timeout)),
        ("s", ToolEnded("c", "rain", Trigger.tool_error, result="KeyError: 'Rome'")),
        ("s", ToolEnded("c", "rain", Trigger.tool_timeout)),
        ("s", StepEnded("failed", "small", evidence=("nothing said",))),
    )
    assert [line for at, row in enumerate(told, 1) for line in lines(row, told[:at])] == [
        "s: small: timeout",
        "s: rain: tool_error: KeyError: 'Rome'",
        "s: rain: tool_timeout",
        "s: nothing said",
        "s: failed: small · 1 attempt · 3.0 s",
    ]


def test_what_went_well_is_not_worth_a_line() -> None:
    assert lines(BEGUN[5], BEGUN[:6]) == []
