"""A run that asked a person, was left, was taken up again and planned anew: how it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from orchestra.ledger import (
    AttemptEnded,
    AttemptStarted,
    ContextShrunk,
    HumanAnswered,
    HumanAsked,
    Invoked,
    Judged,
    Ledger,
    Planned,
    Row,
    RunEnded,
    RunResumed,
    RunStarted,
    StepEnded,
    StepStarted,
    StructlogSink,
    ToolEnded,
    ToolStarted,
    active_seconds,
    mermaid,
    questions,
    steps,
    totals,
    trace_json,
    trace_lines,
)
from orchestra.ledger.runs import summary
from orchestra.types import Cost, Plan, Step
from tests.ledger.stories import Story, write

DAY = 86_400.0
PLAN = Plan("refund it", (Step("look", "look it up"), Step("pay", "pay it back", needs=("look",))))
ASKED = HumanAsked("q1", "approval", "refund", "May 40 euros be paid?", {"amount": 40, "to": "Zoë"})

INTERRUPTED: Story = [
    ("", RunStarted("triage", "refund it")),
    ("", Invoked("agents/triage.py", "tickets.csv")),
    ("plan", Planned(PLAN)),
    ("pay", StepStarted("pay it back", "act", ("look",))),
    ("pay", AttemptStarted("a1", "small")),
    ("pay", AttemptEnded("a1", "small", cost=Cost(0.25))),
    ("pay", Judged("a1", "small")),
    ("pay", ASKED),
    ("", RunEnded("interrupted", 7.0, "a person is asked")),
]
RESUMED: Story = [
    ("pay", ASKED),  # asked again by a process that found no answer
    ("pay", HumanAnswered("q1", "edit", "30 are enough")),
    ("", RunResumed("triage", "process 7 on box", ("tool refund has changed",))),
]
ENDED: Story = [
    ("pay", ToolStarted("c", "refund", arguments={"amount": 30})),
    ("pay", ContextShrunk(1, 9_000, 3_000, 2, 1, exact=False, model="small")),
    ("pay", StepEnded("failed", evidence=("no such account",))),
    ("plan", Planned(PLAN, 2, kept=("look",), reason="the account is closed")),
    ("plan", StepEnded("done")),
    ("pay", ToolEnded("c", "refund")),
    ("pay", StepEnded("done", "small", 2)),
    ("", RunEnded("done", 3.0)),
]


def told(*parts: Story) -> list[Row]:
    """The rows of a run whose parts lie days apart; within a part a second passes from row to row."""
    times: Iterator[float] = (DAY * day + second for day, part in enumerate(parts) for second in range(len(part)))
    ledger = Ledger(None, clock=lambda: next(times))
    return write(ledger, "run", [said for part in parts for said in part])


def test_a_run_that_was_left_for_a_person_is_interrupted_and_waits() -> None:
    run = summary(told(INTERRUPTED))
    assert (run.state, run.reason, run.waiting, run.resumes, run.replans) == (
        "interrupted",
        "a person is asked",
        1,
        0,
        0,
    )


def test_a_run_that_was_taken_up_again_runs_until_its_next_last_word() -> None:
    run = summary(told(INTERRUPTED, RESUMED[2:]))
    assert (run.state, run.reason, run.waiting, run.resumes) == ("running", "", 1, 1)
    run = summary(told(INTERRUPTED, RESUMED, ENDED))
    assert (run.state, run.waiting, run.resumes, run.replans) == ("done", 0, 1, 1)


def test_a_call_that_ends_beside_the_one_that_left_the_run_does_not_take_it_up_again() -> None:
    left: Story = [("pay", ToolStarted("a", "ask")), ("", RunEnded("interrupted")), ("pay", ToolStarted("b", "rows"))]
    assert summary(told(left)).state == "running"
    assert summary(told([*left, ("pay", ToolEnded("b", "rows"))])).state == "interrupted"
    assert summary(told([*left, ("pay", ToolEnded("b", "rows")), ("pay", ToolStarted("a", "ask"))])).state == "running"


def test_a_call_that_was_left_and_is_made_once_more_takes_the_run_up_again_until_its_next_last_word() -> None:
    start, end, left = ToolStarted("a", "ask"), ToolEnded("a", "ask"), RunEnded("interrupted")
    beside: Story = [("pay", ToolStarted("b", "rows")), ("pay", ToolEnded("b", "rows"))]
    again: Story = [("pay", start), ("", left), *beside, ("pay", start)]
    assert summary(told(again)).state == "running"
    assert summary(told([*again, ("pay", end)])).state == "running"  # and nobody knows what came then
    assert summary(told([*again, ("", left), *beside])).state == "interrupted"
    assert summary(told([*again, ("", left), ("pay", start), ("pay", end), ("", RunEnded("done"))])).state == "done"


def test_a_call_that_failed_and_is_made_once_more_beside_the_one_that_left_the_run_does_not_take_it_up_again() -> None:
    made: Story = [("pay", ToolStarted("b", "rows")), ("pay", ToolEnded("b", "rows"))]
    left: Story = [("pay", ToolStarted("a", "ask")), made[0], ("", RunEnded("interrupted")), made[1]]
    assert summary(told([*left, *made])).state == "interrupted"


def test_what_was_left_before_a_run_was_resumed_is_forgotten() -> None:
    left: Story = [("pay", ToolStarted("a", "ask")), ("", RunEnded("cancelled")), ("", RunResumed("triage", "p"))]
    beside: Story = [("pay", ToolStarted("a", "ask")), ("pay", ToolEnded("a", "ask"))]
    other: Story = [("pay", ToolStarted("c", "ask")), ("", RunEnded("interrupted"))]
    assert summary(told([*left, *other, *beside])).state == "interrupted"


def test_a_run_that_goes_on_without_saying_so_was_not_at_work_while_it_was_left() -> None:
    again: Story = [("pay", ToolStarted("a", "ask")), ("pay", ToolEnded("a", "ask")), ("", RunEnded("done", DAY))]
    run = summary(told(INTERRUPTED, again))
    assert (run.state, run.seconds) == ("done", len(INTERRUPTED) - 1 + len(again) - 1)


def test_a_question_that_nobody_will_answer_any_more_is_not_waited_for() -> None:
    assert summary(told([*INTERRUPTED[:-1], ("", RunEnded("failed"))])).waiting == 0
    assert summary(told(INTERRUPTED[:-1])).waiting == 1


def test_days_in_which_nobody_worked_do_not_count() -> None:
    rows = told(INTERRUPTED, RESUMED, ENDED)
    assert rows[-1].time > 2 * DAY
    assert active_seconds(rows[:9]) == 8.0
    assert active_seconds(rows[:10]) == 8.0  # asked again a day later, by whom does not matter
    assert active_seconds(rows[:12]) == 8.0
    assert summary(rows).seconds == active_seconds(rows) == pytest.approx(DAY - 2 + 8.0 + 7.0)
    assert active_seconds([]) == 0.0


def test_what_lies_between_a_last_word_and_the_next_does_not_count_however_the_run_goes_on() -> None:
    later: Story = [("pay", HumanAnswered("q1", "approve")), ("pay", ToolStarted("c", "refund"))]
    assert active_seconds(told(INTERRUPTED, later)) == 9.0
    assert active_seconds(told(INTERRUPTED[:-1], [("", RunResumed("triage", "p"))])) == 7.0  # killed, without a word
    backwards = told(INTERRUPTED[:2])[::-1]
    assert active_seconds(backwards) == 0.0


def test_a_step_that_asked_waits_until_the_answer_is_there_and_tells_of_both() -> None:
    (waiting,) = [step for step in steps(told(INTERRUPTED)) if step.id == "pay"]
    assert (waiting.state, waiting.seconds) == ("waiting", 4.0)
    (running,) = [step for step in steps(told(INTERRUPTED, RESUMED)) if step.id == "pay"]
    (question,) = running.questions
    assert (running.state, question.state, question.decision, question.answer) == (
        "running",
        "answered",
        "edit",
        "30 are enough",
    )
    assert (question.text, question.arguments, question.kind) == (ASKED.text, ASKED.arguments, "approval")
    assert (question.asked, question.answered) == (7.0, DAY + 1)
    (done,) = [step for step in steps(told(INTERRUPTED, RESUMED, ENDED)) if step.id == "pay"]
    assert (done.state, done.model) == ("done", "small")


def test_an_answer_to_a_question_that_is_not_known_is_left_out() -> None:
    assert questions(told([("s", HumanAnswered("q9", "approve"))])) == ()


def test_an_open_question_is_withdrawn_when_its_step_is_skipped_and_open_again_when_it_is_asked_again() -> None:
    other = HumanAsked("q2", "budget", text="more?")
    story: Story = [("a", ASKED), ("b", other), ("a", HumanAnswered("q1", "approve")), ("b", StepEnded("skipped"))]
    assert [(one.id, one.state) for one in questions(told(story))] == [("q1", "answered"), ("q2", "withdrawn")]
    again = questions(told([*story, ("c", other)]))[1]
    assert (again.step, again.state, again.asked) == ("c", "open", 4.0)
    failed: Story = [("a", ASKED), ("a", StepEnded("failed"))]  # it asks again when it is tried again
    assert [one.state for one in questions(told(failed))] == ["open"]


def test_several_questions_are_told_apart_and_each_once() -> None:
    ask = HumanAsked("q2", "question", text="Which one?")
    rows = told(
        [("a", ASKED), ("b", ask), ("a", ASKED), ("b", HumanAnswered("q2", "answer", "the first")), ("a", ASKED)]
    )
    assert [(one.id, one.step, one.state) for one in questions(rows)] == [("q1", "a", "open"), ("q2", "b", "answered")]
    assert sum("asked a person" in line for line in trace_lines(rows)) == 2


def test_the_trace_tells_it_in_its_order() -> None:
    lines = trace_lines(told(INTERRUPTED, RESUMED, ENDED))
    titles = [line.strip() for line in lines if "·" not in line]
    assert titles == [
        "triage run [done]",
        "plan [done]",
        "plan 1: look, pay",
        "plan 2: look, pay",
        "pay (act) pay it back [done]",
        "attempt a1 small [accepted]",
        "asked a person about refund (approval) [answered]",
        "tool refund [done]",
        "context shrunk from about 9,000 to about 3,000 tokens",
        "resumed by process 7 on box",
    ]
    notes = {line.strip().removeprefix("· ") for line in lines if "·" in line}
    assert {
        "May 40 euros be paid?",
        '{"amount": 40, "to": "Zoë"}',
        "answered: edit: 30 are enough",
        "made anew: the account is closed",
        "kept: look",
        "2 tool results cut",
        "1 message summarised by small",
        "tool refund has changed",
    } <= notes


def test_the_trace_of_a_run_that_waits_says_so_first() -> None:
    lines = trace_lines(told(INTERRUPTED))
    assert lines[0] == "triage run [interrupted]"
    assert "  · waits for a person: 1 question open" in lines
    assert "    asked a person about refund (approval) [open]" in lines


def test_a_question_of_the_run_itself_stands_beside_its_steps() -> None:
    ask = HumanAsked("q3", "budget", text="$0.02 is spent; more?")
    lines = trace_lines(told([("", RunStarted("a")), ("", ask), ("", HumanAnswered("q3", "budget")), ("", ask)]))
    assert [line for line in lines if "asked" in line] == ["  asked a person (budget) [answered]"]
    assert "    · answered: budget" in lines


def test_counts_by_the_models_own_tokenizer_are_not_called_estimates() -> None:
    rows = told([("s", ContextShrunk(0, 100, 60, 0, 0, exact=True))])
    assert trace_lines(rows)[-1] == "    context shrunk from 100 to 60 tokens"


def test_json_and_diagram_tell_it_too() -> None:
    rows = told(INTERRUPTED, RESUMED[2:])
    found = json.loads(json.dumps(trace_json(rows)))
    assert (found["state"], found["waiting"]) == ("running", 1)
    assert found["resumes"] == [
        {
            "type": "run_resumed",
            "agent": "triage",
            "process": "process 7 on box",
            "notes": ["tool refund has changed"],
        }
    ]
    (pay,) = [step for step in found["steps"] if step["id"] == "pay"]
    assert (pay["state"], pay["questions"][0]["state"], pay["questions"][0]["tool"]) == ("waiting", "open", "refund")
    assert "? approval refund: open" in mermaid(rows)
    assert ":::waiting" in mermaid(rows)
    assert "classDef waiting" in mermaid(rows)
    plan = trace_json(told(INTERRUPTED, RESUMED, ENDED))["plan"]
    assert isinstance(plan, dict)
    assert (plan["version"], plan["kept"], plan["reason"]) == (2, ["look"], "the account is closed")


def test_an_attempt_that_never_ended_counts_with_what_was_held_for_it() -> None:
    begun: Story = [("s", AttemptStarted("a", "m", reserved=1.5)), ("s", AttemptStarted("b", "m"))]
    assert totals(told(begun)).cost == Cost(1.5, estimated=True)
    ended = totals(told([*begun, ("s", AttemptEnded("a", "m", cost=Cost(0.125)))]))
    assert ended.cost == Cost(0.125, estimated=True)  # nothing was held for b, and nobody knows what it took
    free: Story = [("s", AttemptStarted("a", "m", reserved=0.0))]
    assert totals(told(free)).cost == Cost(0.0)
    assert trace_lines(told(free))[1].endswith(", free")
    assert trace_lines(told([("s", AttemptStarted("b", "m"))]))[1].endswith(", about $0")
    assert "      · its end is not recorded; $1.50 was held for it" in trace_lines(told(begun))


def test_what_was_asked_and_answered_is_content(ledger: Ledger) -> None:
    for step, event in (*INTERRUPTED, *RESUMED):
        ledger.append("run", step, event)
    stored = repr(ledger.events("run"))
    assert "q1" in stored
    for said in ("May 40 euros", "Zoë", "30 are enough"):
        assert said not in stored


def test_the_new_events_are_log_lines_without_content() -> None:
    from structlog.testing import capture_logs

    with capture_logs() as lines:
        ledger = Ledger(None, sinks=[StructlogSink()])
        for step, event in (*INTERRUPTED, *RESUMED, *ENDED):
            ledger.append("run", step, event)
    asked = next(line for line in lines if line["event"] == "human_asked")
    assert (asked["question"], asked["kind"], asked["tool"]) == ("q1", "approval", "refund")
    assert "text" not in asked
    assert "arguments" not in asked
