from orchestra.cli.progress import Progress, lines, progress
from orchestra.ledger import (
    AttemptEnded,
    AttemptStarted,
    Event,
    HumanAnswered,
    HumanAsked,
    Judged,
    Planned,
    Row,
    RunEnded,
    RunResumed,
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


ASKED = rows(
    ("s", StepStarted("send", "act")),
    ("s", HumanAsked("s.1", "approval", "send")),
    ("", RunEnded("interrupted")),
)


def test_a_step_that_asks_a_person_says_so_and_its_clock_stands() -> None:
    (step,) = progress(ASKED, 1e9)
    assert (step.state, step.seconds) == ("asking", 1.0)


def test_the_days_that_a_person_takes_are_not_the_steps() -> None:
    answered = [
        *ASKED,
        Row(4, "r", "s", 1e9, HumanAnswered("s.1", "approve")),
        Row(5, "r", "", 1e9 + 1, RunResumed("a", "process 1")),
    ]
    (step,) = progress(answered, 1e9 + 3)
    assert (step.state, step.seconds) == ("running", 4.0)  # two before the question was left, two since


def test_a_decision_and_what_was_adapted_are_told() -> None:
    told = rows(
        ("s", HumanAnswered("s.1", "reject", "no")), ("", RunResumed("a", "process 1", ("tool 'x' is new", "y")))
    )
    assert lines(told[0], told) == ["s: answered: reject: no"]
    assert lines(told[1], told) == ["tool 'x' is new", "y"]


def test_a_plan_that_was_made_anew_says_why_and_takes_the_place_of_the_one_before() -> None:
    new = Plan("t", (Step("first", "find"), Step("other", "look", needs=("first",))))
    told = [*BEGUN, Row(9, "r", "plan2", 9.0, Planned(new, 2, kept=("first",), reason="it failed"))]
    assert lines(told[-1], told)[0] == "plan2: 2 steps, made anew: it failed"
    assert [step.id for step in progress(told, 9)] == ["plan", "plan2", "first", "other"]


def test_a_step_that_failed_and_is_tried_again_runs() -> None:
    failed = rows(("s", StepStarted("find", "act")), ("s", StepEnded("failed")))
    again = [*failed, Row(3, "r", "s", 3.0, AttemptStarted("a", "small"))]
    assert [progress(told, 3)[0].state for told in (failed, again)] == ["failed", "running"]
