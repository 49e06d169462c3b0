"""A run as a tree of what happened and why, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from orchestra.ledger.events import AttemptStarted, Decided, Judged, Planned, Row, ToolStarted
from orchestra.ledger.runs import summary
from orchestra.ledger.totals import totals
from orchestra.ledger.views import AttemptView, StepView, ToolView, attempts, steps, tools
from orchestra.ledger.wording import cost, count, money, plain, seconds, tokens
from orchestra.types import Decision

Kind: TypeAlias = Literal["run", "step", "plan", "decision", "attempt", "verdict", "tool"]


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
        notes=_said(plain(run.task), took, plain(run.reason)),
        children=tuple(_step(view, [row for row in rows if row.step == view.id]) for view in steps(rows)),
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
    ran = iter(tools(rows))  # in the order of their starts, as the rows are
    later = [verdict for view in tried.values() for verdict in view.later]
    for row in rows:
        match row.event:
            case Planned() as event:
                title = f"plan {event.version}: {', '.join(step.id for step in event.plan.steps)}"
                refused = tuple(f"refused before: {plain(fault)}" for fault in event.faults)
                yield TraceNode("plan", title, notes=(*event.plan.flags, *refused))
            case Decided() as event:
                yield _decision(event.decision)
            case AttemptStarted() as event:
                yield _attempt(tried[event.attempt])
            case ToolStarted():
                yield _tool(next(ran))
            case Judged() as event if event.attempt not in tried or any(event is verdict for verdict in later):
                yield TraceNode("verdict", "verdict on what its tools showed", notes=_verdict(event))
            case _:
                pass


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
    took = f"{seconds(view.seconds)}, {tokens(view.usage)}, {cost(view.cost)}" if view.sent != "unknown" else ""
    return TraceNode(
        kind="attempt",
        title=f"attempt {view.id} {view.model}{climbed}{', degraded' if view.degraded else ''}",
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


def _verdict(view: AttemptView | Judged) -> tuple[str, ...]:
    action = f"then {view.action}{f' to {view.to_model}' if view.to_model else ''}" if view.action else ""
    failed = f"{view.trigger}{': ' if view.evidence else ''}{_joined(view.evidence)}" if view.trigger else ""
    return _said(failed, f"{action}{': ' if view.reason else ''}{plain(view.reason)}" if action else "")


def _tool(view: ToolView) -> TraceNode:
    took = f"{seconds(view.seconds)}, {view.size:,} characters" if view.state != "open" else "its end is not recorded"
    return TraceNode("tool", f"tool {view.tool}", view.state, _said(took, str(view.trigger or ""), plain(view.result)))


def _joined(texts: Sequence[str]) -> str:
    return "; ".join(plain(text) for text in texts)


def _said(*notes: str) -> tuple[str, ...]:
    return tuple(note for note in notes if note)
