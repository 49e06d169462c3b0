"""The trace: the same story as a tree, as lines, as JSON and as a diagram."""

from __future__ import annotations

import json

from orchestra.ledger import (
    AttemptEnded,
    AttemptStarted,
    BreakerChanged,
    Judged,
    Ledger,
    Row,
    RunStarted,
    StepEnded,
    StepStarted,
    ToolStarted,
    TraceNode,
    Waited,
    mermaid,
    trace_json,
    trace_lines,
    tree,
)
from orchestra.types import Action, Cost, Trigger
from tests.ledger.stories import Story, agent_story, call_story, write


def rows_of(story: Story) -> list[Row]:
    return write(Ledger(None), "run", story)


def _shape(node: TraceNode) -> object:
    return (node.kind, node.state, [_shape(child) for child in node.children])


def test_the_tree_tells_what_happened_in_its_order(rows: list[Row]) -> None:
    run = tree(rows)
    assert (run.kind, run.title, run.state) == ("run", "analyst run-1", "done")
    assert [step.title for step in run.children] == [
        "plan (plan) make a plan",
        "count (act) count rows",
        "tell (answer) tell it",
    ]
    assert [(child.kind, child.state) for child in run.children[1].children] == [
        ("decision", ""),
        ("attempt", "refused"),
        ("attempt", "accepted"),
        ("tool", "failed"),
        ("verdict", ""),
        ("attempt", "accepted"),
        ("tool", "done"),
    ]
    assert [child.kind for child in run.children[0].children] == ["decision", "attempt", "plan"]


def test_every_choice_and_failure_has_its_reason(rows: list[Row]) -> None:
    told = "\n".join(trace_lines(rows))
    for reason in (
        "step: the rule for kind 'act'",
        "not cloud: tags: the data demands 'eu'",
        "expected: quality 0.60, free, 1.2 s",
        "then up: strong",
        "schema_violation: sqlite_query.sql: expected string, got 3",
        "then escalate to strong: feedback was given before",
        "tool_error: no such table: t",
        "mended: a trailing comma",
        "refused before: step 'x' needs 'y', which is no step",
        "17.5 s, 5 attempts, 890 tokens in, 122 out, free",
        "after count",
        f"raw reply sha256 {'ab' * 32}",
        "raw reply: raw of a2",
    ):
        assert f"· {reason}" in told


def test_lines_are_indented_by_depth(rows: list[Row]) -> None:
    lines = trace_lines(rows)
    assert lines[0] == "analyst run-1 [done]"
    assert "  count (act) count rows [done]" in lines
    assert "    attempt a2 small [refused]" in lines
    assert "      · 1.0 s, 100 tokens in, 10 out, free" in lines


def test_a_run_that_is_still_going_is_told_as_far_as_it_went() -> None:
    story: Story = [
        ("", RunStarted("analyst")),
        ("s", StepStarted("go", "act")),
        ("s", AttemptStarted("a", "m", rung=2, degraded=True, notes=("images dropped",))),
        ("s", ToolStarted("c", "send")),
    ]
    lines = trace_lines(rows_of(story))
    assert lines[0] == "analyst run [running]"
    assert "    attempt a m, rung +2, degraded [open]" in lines
    assert "      · images dropped" in lines
    assert "      · its end is not recorded" in lines


def test_a_step_that_failed_says_why() -> None:
    ended = StepEnded("failed", None, degraded=True, evidence=("needs count, which did not succeed",))
    other = StepEnded("failed", "m", 1, trigger=Trigger.empty, evidence=("no text", "no call"))
    told = "\n".join(trace_lines(rows_of([("a", ended), ("b", other)])))
    assert "because: needs count, which did not succeed" in told
    assert "degraded: served by a lower tier" in told
    assert "empty: no text; no call" in told


def test_a_verdict_on_a_step_without_an_attempt_is_told_too() -> None:
    judged = Judged("", "m", Trigger.tool_unknown, action=Action.ask_human, reason="send is not idempotent")
    lines = trace_lines(rows_of([("s", judged), ("s", StepEnded("failed", trigger=Trigger.tool_unknown))]))
    assert lines[2:] == [
        "  s [failed]",
        "    · tool_unknown",
        "    verdict on what its tools showed",
        "      · tool_unknown",
        "      · then ask_human: send is not idempotent",
    ]


def test_foreign_text_cannot_command_the_terminal_or_break_the_lines() -> None:
    nasty = "\x1b[2J\x1b]0;owned\x07 line\nbreak\r\u202eevil"
    story: Story = [
        (nasty, StepStarted(nasty, nasty, (nasty,))),
        ("s", AttemptStarted("a", "m", notes=(nasty,))),
        ("s", AttemptEnded("a", "m", trigger=Trigger.bad_reply, raw=nasty)),
        ("s", Judged("a", "m", Trigger.bad_reply, (nasty * 100,))),
    ]
    rows = rows_of(story)
    for text in (*trace_lines(rows), *mermaid(rows).splitlines()):
        assert text.isprintable()
    assert max(map(len, trace_lines(rows))) < 300


def test_costs_are_said_with_their_doubts() -> None:
    assert "cost unknown" in "\n".join(trace_lines(rows_of(call_story(usd=None))))
    cut = AttemptEnded("a", "m", cost=Cost(1234.5, estimated=True), seconds=0.0421)
    told = "\n".join(trace_lines(rows_of([("s", AttemptStarted("a", "m")), ("s", cut)])))
    assert "0.042 s, tokens unknown, about $1,234.50" in told


def test_json_has_the_documented_keys_and_is_plain(rows: list[Row]) -> None:
    found = json.loads(json.dumps(trace_json(rows)))
    assert list(found) == [
        "format", "run", "agent", "task", "state", "reason", "answer", "mode", "fleet", "started", "seconds", "waiting",
        "resumes", "plan", "steps", "totals",
    ]  # fmt: skip
    assert found["plan"] == {
        "version": 1,
        "steps": ["count", "tell"],
        "flags": [],
        "faults": ["step 'x' needs 'y', which is no step"],
        "kept": [],
        "reason": "",
    }
    assert (found["waiting"], found["resumes"]) == (0, [])
    count = found["steps"][1]
    assert list(count) == [
        "id", "goal", "kind", "needs", "state", "model", "degraded", "turns", "trigger", "evidence", "result",
        "started", "seconds", "decisions", "attempts", "tools", "questions",
    ]  # fmt: skip
    assert [(one["model"], one["state"], one["trigger"]) for one in count["attempts"]] == [
        ("small", "refused", "schema_violation"),
        ("strong", "accepted", None),
        ("strong", "accepted", None),
    ]
    assert count["attempts"][1]["later"][0]["trigger"] == "tool_error"
    assert found["totals"]["models"]["small"]["usage"]["input"] == 150


def test_json_tells_a_decision_with_all_that_was_weighed(rows: list[Row]) -> None:
    steps = trace_json(rows)["steps"]
    (decision,) = steps[1]["decisions"]
    assert decision["expected"] == {"quality": 0.6, "cost": 0.0, "latency": 1.2}
    assert decision["rejections"] == [{"model": "cloud", "gate": "tags", "text": "the data demands 'eu'"}]
    assert decision["candidates"][1] == {
        "model": "strong",
        "tier": "capable",
        "price": {"input": 0.0, "output": 0.0, "cached_input": None, "cache_write": None},
        "quality": 0.8,
        "cost": 0.0,
        "latency": 3.4,
        "health": 1.0,
        "score": 0.7,
        "preference": 0.0,
        "rejected": {"policy": "step", "text": "tier efficient is enough"},
        "reasons": [],
        "sources": {},
    }


def test_a_single_call_and_an_empty_start_have_json_too() -> None:
    call = trace_json(rows_of(call_story()))
    assert (call["agent"], call["plan"], len(call["steps"])) == ("complete", None, 1)
    bare = trace_json(rows_of([("s", StepStarted("go", "act"))]))
    assert (bare["agent"], bare["state"], bare["answer"], bare["fleet"]) == ("", "running", "", "")


def test_json_from_storage_differs_only_in_content(ledger: Ledger) -> None:
    live = trace_json(write(ledger, "run", agent_story()))
    stored = trace_json(ledger.events("run"))
    assert stored["totals"] == live["totals"]
    assert (stored["task"], live["task"]) == ("", "how many rows?")


def test_the_diagram_shows_steps_needs_and_the_way_of_the_attempts(rows: list[Row]) -> None:
    text = mermaid(rows)
    assert text.startswith("flowchart TD\n")
    assert '    run(["analyst<br/>run-1<br/>done<br/>17.5 s"])\n' in text
    assert "✗ small schema_violation → escalate<br/>✓ strong<br/>✓ strong<br/>tool sqlite_query: tool_error" in text
    assert "    s1 --> s2\n" in text
    assert "    run --> s1\n" in text
    assert ":::done" in text


def test_no_text_of_a_step_can_break_out_of_its_box() -> None:
    goal = 'end"] --> evil["<b>; #quot; `x` {a|b}'
    text = mermaid(rows_of([("end\n", StepStarted(goal, "act", ("gone",)))]))
    (line,) = [line for line in text.splitlines() if line.startswith("    s0[")]
    inner = line.removeprefix('    s0["').removesuffix('"]:::running')
    assert not set('"[]<>{}|`') & set(inner)
    assert "    run --> s0" in text


def test_usage_that_was_never_reported_is_not_zero() -> None:
    assert "tokens unknown" in "\n".join(trace_lines(rows_of(call_story(metered=False))))
    assert "0.9 s, 1 attempt, 80 tokens in, 8 out, free" in trace_lines(rows_of(call_story()))[2]


def test_waits_and_breakers_stand_between_the_attempts_and_say_with_which_key_and_where() -> None:
    story: Story = [
        ("s", Waited("m", 2.5, "rate_limit", "p", "KEY", "eu")),
        ("s", AttemptStarted("a", "m", key="KEY", place="eu", call="c")),
        ("s", BreakerChanged("m", "open", 30.0, "5 of 8 failed", key="KEY")),
        ("s", BreakerChanged("m", "closed")),
    ]
    assert trace_lines(rows_of(story))[2:] == [
        "  s [running]",
        "    waited 2.5 s for m with KEY at eu",
        "      · rate_limit",
        "    attempt a m with KEY at eu [open]",
        "    breaker of m with KEY [open]",
        "      · for 30.0 s",
        "      · 5 of 8 failed",
        "    breaker of m [closed]",
    ]
    (attempt,) = trace_json(rows_of(story))["steps"][0]["attempts"]
    assert (attempt["key"], attempt["place"], attempt["call"]) == ("KEY", "eu", "c")
