"""Rows as structured log lines: the event's type is the line's event, its fields are keys, content stays out."""

from __future__ import annotations

from typing import Any

from orchestra.ledger.events import Decided, Planned, Row
from orchestra.types import to_json


class StructlogSink:
    """Logs each row to `logger` (by default structlog's "orchestra"): failures as warnings, the rest as info."""

    def __init__(self, logger: Any = None) -> None:
        if logger is None:
            import structlog

            logger = structlog.get_logger("orchestra")
        self._logger = logger

    def __call__(self, row: Row, /) -> None:
        """Log the row."""
        log = self._logger.warning if _failed(row) else self._logger.info
        log(row.event.type, run=row.run, step=row.step, seq=row.seq, **_keys(row))


def _failed(row: Row) -> bool:
    return getattr(row.event, "trigger", None) is not None or getattr(row.event, "state", "") == "failed"


def _keys(row: Row) -> dict[str, Any]:
    event = row.event
    if isinstance(event, Decided):
        decision = event.decision
        return {
            "model": decision.model,
            "tier": decision.tier,
            "mode": decision.mode,
            "ladder": list(decision.ladder),
            "cost": decision.cost,
            "latency": decision.latency,
            "reasons": [f"{reason.policy}: {reason.text}" for reason in decision.reasons],
        }
    if isinstance(event, Planned):
        return {"steps": [step.id for step in event.plan.steps], "version": event.version, "faults": list(event.faults)}
    names = [name for name in type(event).__slots__ if name not in event.content]
    return {name: to_json(getattr(event, name)) for name in names}
