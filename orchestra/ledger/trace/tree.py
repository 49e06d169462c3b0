"""A run as a tree of what happened and why, in order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from orchestra.ledger.events import (
    AttemptStarted,
    BreakerChanged,
    ContextShrunk,
    Decided,
    HumanAsked,
    Judged,
    Planned,
    Row,
    RunResumed,
    ToolStarted,
    Waited,
)
from orchestra.ledger.runs import summary
from orchestra.ledger.totals import totals
from orchestra.ledger.views import AttemptView, QuestionView, StepView, ToolView, attempts, questions, steps, tools
from orchestra.ledger.wording import cost, count, money, plain, seconds, target, tokens
from orchestra.types import Decision, to_json

Kind: TypeAlias = Literal[
    "run", "resume", "step", "plan", "decision", "wait", "attempt", "verdict", "breaker", "tool", "question", "context"
]


@dataclass(frozen=True, slots=True)
class TraceNode:
    """One thing that happened: what, how it ended (`state`), why (`notes`), and what happened within it.

    `state` is a view's state, "" where there is none (a plan, a decision).
    """

    kind: Kind
    title: str
    state: str = ""
    notes: tuple[str, ...] = ()
    children: tuple[TraceNode, ...] = ()


def tree(rows: Sequence[Row]) -> TraceNode:
    """The run as a tree; `rows` are all of one run, at least one."""
    run, total = summary(rows), totals(rows)
    took = f"{seconds(run.seconds)}, {count(total.attempts, 'attempt')}, {tokens(total.usage)}, {cost(total.cost)}"
    return TraceNode(
        kind="run",
        title=f"{run.agent or 'run'} {run.run}",
        state=run.state,
        notes=_said(plain(run.task), took, plain(run.reason), _waiting(run.waiting)),
        children=tuple(_of_run(rows)),
    )


def trace_lines(rows: Sequence[Row]) -> list[str]:
    """The tree as plain lines, two spaces a level; notes are marked with a dot."""
    return list(_lines(tree(rows), 0))


def _lines(node: TraceNode, depth: int) -> Iterator[str]:
    indent = "  " * depth
    yield f"{indent}{plain(node.title, _LINE)}" + (f" [{node.state}]" if node.state else "")
    yield from (f"{indent}  · {plain(note, _LINE)}" for note in node.notes)
    for child in node.children:
        yield from _lines(child, depth + 1)


_LINE = 1200  # characters; ids and names come from models too


def _waiting(number: int) -> str:
    return f"waits for a person: {count(number, 'question')} open" if number else ""


def _of_run(rows: Sequence[Row]) -> Iterator[TraceNode]:
    """Its steps in the order in which they began, and between them what belongs to none."""
    begun = {view.id: view for view in steps(rows)}
    of_run = [row for row in rows if not row.step]
    asked = {view.id: view for view in questions(of_run)}
    for row in rows:
        if view := begun.pop(row.step, None):
            yield _step(view, [row for row in rows if row.step == view.id])
        elif row.step:
            continue
        elif isinstance(row.event, RunResumed):
            notes = tuple(plain(note) for note in row.event.notes)
            yield TraceNode("resume", f"resumed by {plain(row.event.process)}", notes=notes)
        elif isinstance(row.event, HumanAsked) and (question := asked.pop(row.event.question, None)):
            yield _question(question)


def _step(view: StepView, rows: Sequence[Row]) -> TraceNode:
    failed = f"{view.trigger or 'because'}: {_joined(view.evidence)}" if view.evidence else str(view.trigger or "")
    served = f"{view.model}, {count(view.turns, 'turn')}, {seconds(view.seconds)}" if view.model else ""
    return TraceNode(
        kind="step",
        title=" ".join(_said(view.id, f"({view.kind})" if view.kind else "", plain(view.goal, 120))),
        state=view.state,
        notes=_said(
            f"after {', '.join(view.needs)}" if view.needs else "",
            served,
            "degraded: served by a lower tier" if view.degraded else "",
            failed,
        ),
        children=tuple(_children(rows)),
    )


def _children(rows: Sequence[Row]) -> Iterator[TraceNode]:
    tried = {view.id: view for view in attempts(rows)}
    asked = {view.id: view for view in questions(rows)}  # each is told once, where it was first asked
    ran = iter(tools(rows))  # in the order of their starts, as the rows are
    later = [verdict for view in tried.values() for verdict in view.later]
    for row in rows:
        match row.event:
            case Planned() as event:
                yield _plan(event)
            case Decided() as event:
                yield _decision(event.decision)
            case Waited() | BreakerChanged() as event:
                yield _traffic(event)
            case AttemptStarted() as event:
                yield _attempt(tried[event.attempt])
            case ToolStarted():
                yield _tool(next(ran))
            case HumanAsked() as event if event.question in asked:
                yield _question(asked.pop(event.question))
            case ContextShrunk() as event:
                yield _shrunk(event)
            case Judged() as event if event.attempt not in tried or any(event is verdict for verdict in later):
                yield TraceNode("verdict", "verdict on what its tools showed", notes=_verdict(event))
            case _:
                pass


def _plan(event: Planned) -> TraceNode:
    return TraceNode(
        kind="plan",
        title=f"plan {event.version}: {', '.join(step.id for step in event.plan.steps)}",
        notes=_said(
            f"made anew: {plain(event.reason)}" if event.reason else "",
            f"kept: {', '.join(event.kept)}" if event.kept else "",
            *event.plan.flags,
            *(f"refused before: {plain(fault)}" for fault in event.faults),
        ),
    )


def _decision(decision: Decision) -> TraceNode:
    expected = f"quality {decision.quality:.2f}, {money(decision.cost)}, {seconds(decision.latency)}"
    return TraceNode(
        kind="decision",
        title=f"decided {decision.model} ({decision.tier}, {decision.mode})",
        notes=_said(
            *(f"{reason.policy}: {plain(reason.text)}" for reason in decision.reasons),
            f"expected: {expected}",
            f"then up: {', '.join(decision.ladder)}" if decision.ladder else "",
            f"or sideways: {', '.join(decision.siblings)}" if decision.siblings else "",
            *(f"not {refused.model}: {refused.gate}: {plain(refused.text)}" for refused in decision.rejections),
        ),
    )


def _attempt(view: AttemptView) -> TraceNode:
    climbed = f", rung +{view.rung}" if view.rung else ""
    reached = target(view.model, view.key, view.place)
    held = f"its end is not recorded; {money(view.reserved)} was held for it" if view.reserved else ""
    took = f"{seconds(view.seconds)}, {tokens(view.usage)}, {cost(view.cost)}" if view.sent != "unknown" else held
    return TraceNode(
        kind="attempt",
        title=f"attempt {view.id} {reached}{climbed}{', degraded' if view.degraded else ''}",
        state=view.state,
        notes=_said(
            *(plain(note) for note in view.notes),
            took,
            f"mended: {_joined(view.mended)}" if view.mended else "",
            *_verdict(view),
            f"raw reply sha256 {view.raw_sha256}" if view.raw_sha256 and view.trigger else "",
            f"raw reply: {plain(view.raw, 1000)}" if view.raw and view.trigger else "",
        ),
    )


def _traffic(event: Waited | BreakerChanged) -> TraceNode:
    reached = target(event.model, event.key, event.place)
    if isinstance(event, Waited):
        return TraceNode("wait", f"waited {seconds(event.seconds)} for {reached}", notes=(event.why,))
    lasts = f"for {seconds(event.wait)}" if event.wait else ""
    return TraceNode("breaker", f"breaker of {reached}", event.state, _said(lasts, plain(event.reason)))


def _verdict(view: AttemptView | Judged) -> tuple[str, ...]:
    action = f"then {view.action}{f' to {view.to_model}' if view.to_model else ''}" if view.action else ""
    failed = f"{view.trigger}{': ' if view.evidence else ''}{_joined(view.evidence)}" if view.trigger else ""
    return _said(failed, f"{action}{': ' if view.reason else ''}{plain(view.reason)}" if action else "")


def _tool(view: ToolView) -> TraceNode:
    took = f"{seconds(view.seconds)}, {view.size:,} characters" if view.state != "open" else "its end is not recorded"
    return TraceNode("tool", f"tool {view.tool}", view.state, _said(took, str(view.trigger or ""), plain(view.result)))


def _question(view: QuestionView) -> TraceNode:
    about = f" about {view.tool}" if view.tool else ""
    arguments = json.dumps(to_json(view.arguments), ensure_ascii=False) if view.arguments else ""
    answer = f"{view.decision}{': ' if view.answer else ''}{plain(view.answer)}" if view.decision else ""
    said = _said(plain(view.text), plain(arguments), f"answered: {answer}" if answer else "")
    return TraceNode("question", f"asked a person{about} ({view.kind})", view.state, said)


def _shrunk(event: ContextShrunk) -> TraceNode:
    counted = "" if event.exact else "about "
    by = f" by {event.model}" if event.model else ""
    return TraceNode(
        kind="context",
        title=f"context shrunk from {counted}{event.before:,} to {counted}{event.after:,} tokens",
        notes=_said(
            f"{count(event.pruned, 'tool result')} cut" if event.pruned else "",
            f"{count(event.summarised, 'message')} summarised{by}" if event.summarised else "",
        ),
    )


def _joined(texts: Sequence[str]) -> str:
    return "; ".join(plain(text) for text in texts)


def _said(*notes: str) -> tuple[str, ...]:
    return tuple(note for note in notes if note)
