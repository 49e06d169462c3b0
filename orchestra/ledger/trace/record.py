"""A run as one JSON object; its keys are documented in docs/ledger.md and stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from orchestra.ledger.events import Decided, Planned, Row, RunEnded, RunResumed, RunStarted
from orchestra.ledger.runs import summary
from orchestra.ledger.totals import totals
from orchestra.ledger.views import StepView, steps
from orchestra.types import Candidate, Json, to_json

FORMAT = 1


def trace_json(rows: Sequence[Row]) -> dict[str, Json]:
    """The run as plain JSON; `rows` are all of one run, at least one."""
    run = summary(rows)
    start = next((row.event for row in rows if isinstance(row.event, RunStarted)), None)
    end = next((row.event for row in reversed(rows) if isinstance(row.event, RunEnded)), None)
    return {
        "format": FORMAT,
        "run": run.run,
        "agent": run.agent,
        "task": run.task,
        "state": run.state,
        "reason": run.reason,
        "answer": end.answer if end else "",
        "mode": run.mode,
        "fleet": start.fleet if start else "",
        "started": run.started,
        "seconds": run.seconds,
        "waiting": run.waiting,
        "resumes": [to_json(row.event) for row in rows if isinstance(row.event, RunResumed)],
        "plan": _plan(rows),
        "steps": [_step(view) for view in steps(rows)],
        "totals": to_json(totals(rows)),
    }


def _plan(rows: Sequence[Row]) -> Json:
    planned = [row.event for row in rows if isinstance(row.event, Planned)]
    if not planned:
        return None
    last = planned[-1]
    names = [step.id for step in last.plan.steps]
    return {
        "version": last.version,
        "steps": names,
        "flags": list(last.plan.flags),
        "faults": list(last.faults),
        "kept": list(last.kept),
        "reason": last.reason,
    }


def _step(view: StepView) -> Json:
    plain = cast("dict[str, Json]", to_json(view))
    return plain | {"decisions": [_decision(decided) for decided in view.decisions]}


def _decision(decided: Decided) -> Json:
    decision = decided.decision
    return {
        "model": decision.model,
        "tier": decision.tier,
        "mode": decision.mode,
        "ladder": list(decision.ladder),
        "siblings": list(decision.siblings),
        "expected": {"quality": decision.quality, "cost": decision.cost, "latency": decision.latency},
        "settings": to_json(decision.settings),
        "reasons": to_json(decision.reasons),
        "rejections": to_json(decision.rejections),
        "candidates": [_candidate(candidate) for candidate in decision.candidates],
        "policies": decided.policies,
    }


def _candidate(candidate: Candidate) -> Json:
    facts = {"model": candidate.card.name, "tier": candidate.card.tier, "price": to_json(candidate.card.price)}
    names = ("quality", "cost", "latency", "health", "score", "preference", "rejected", "reasons", "sources")
    return facts | {name: to_json(getattr(candidate, name)) for name in names}
