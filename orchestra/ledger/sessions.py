"""Sessions: a run's stretches of work, between which it waits for a person or its process is dead."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from orchestra.ledger.events import HumanAnswered, Row, RunEnded, RunResumed, RunStarted


def active_seconds(rows: Sequence[Row]) -> float:
    """Seconds a run was at work: the days a person took to answer, or until it was resumed, do not count."""
    return working_times(rows)[-1] if rows else 0.0


def working_times(rows: Sequence[Row]) -> list[float]:
    """For each row the seconds that its run had been at work when it was written."""
    times = [0.0] if rows else []
    for before, row in pairwise(rows):
        times.append(times[-1] + (0.0 if _idle(before, row) else max(0.0, row.time - before.time)))
    return times


def _idle(before: Row, row: Row) -> bool:
    """An answer may be written before the row that says the run goes on."""
    return isinstance(before.event, RunEnded) or isinstance(row.event, RunStarted | RunResumed | HumanAnswered)
