"""Rows as structured log lines: the event's type is the line's event, its fields are keys, content stays out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.ledger.events import Decided, Event, Planned, Row
from orchestra.types import Json, to_json

LINE: tuple[str, ...] = ("run", "step", "seq")
"""The keys of every line."""


class StructlogSink:
    """Logs each row to `logger` (by default structlog's "orchestra"): failures as warnings, the rest as info."""

    def __init__(self, logger: Any = None) -> None:
        if logger is None:
            import structlog

            logger = structlog.get_logger("orchestra")
        self._logger = logger

    def __call__(self, row: Row, /) -> None:
        """Log the row."""
        log = self._logger.warning if _failed(row.event) else self._logger.info
        log(row.event.type, run=row.run, step=row.step, seq=row.seq, **_values(row.event))


def keys(cls: type[Event]) -> tuple[str, ...]:
    """The keys of an event's line beside `LINE`: its fields without content, and the gist of what is bulky."""
    return _GIST.get(cls) or tuple(name for name in cls.__slots__ if name not in cls.content)


_GIST: Mapping[type[Event], tuple[str, ...]] = {
    Decided: ("model", "tier", "mode", "ladder", "siblings", "cost", "latency", "reasons", "policies"),
    Planned: ("steps", "version", "faults", "kept", "reason"),
}


def _failed(event: Event) -> bool:
    return getattr(event, "trigger", None) is not None or getattr(event, "state", "") in ("failed", "open")


def _values(event: Event) -> dict[str, Json]:
    return {name: _value(event, name) for name in keys(type(event))}


def _value(event: Event, name: str) -> Json:
    match event, name:
        case Decided(decision=decision), "reasons":
            return [f"{reason.policy}: {reason.text}" for reason in decision.reasons]
        case Decided(decision=decision), _ if name != "policies":
            return to_json(getattr(decision, name))
        case Planned(plan=plan), "steps":
            return [step.id for step in plan.steps]
        case _:
            return to_json(getattr(event, name))
