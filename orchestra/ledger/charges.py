"""Charges: what attempts hold and cost, read from the events of a file that several processes may write."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from orchestra.ledger.events import AttemptEnded
from orchestra.ledger.store import Store
from orchestra.types import Labels


@dataclass(frozen=True, slots=True)
class Charge:
    """An attempt that began, with what it holds until it ends, or one that ended, with what it cost.

    `usd` is None where nothing was held, or where the cost is unknown. `time` is in Unix seconds. `holder` says in
    whose budgets the money of an attempt that began is counted already; what an end is booked to, its beginning says.
    """

    attempt: str
    time: float
    ended: bool
    usd: float | None
    labels: Labels
    holder: str = ""


class Charges:
    """Reads charges in the order in which they were written. Everything raises LedgerError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._version: int | None = None  # of the file, as SQLite counts what other connections write
        self._seen = 0

    def anew(self) -> Charges:
        """A reader of the same file that has read nothing yet."""
        return Charges(self._store)

    def of(self, run: str) -> list[Charge]:
        """All charges of a run."""
        return self._read(lambda db: db.execute(_OF_RUN, (run,)).fetchall())

    def new(self, since: float) -> list[Charge]:
        """The charges since `since`, Unix seconds; from the second call on those that were added, if others added any.

        They hold what this process wrote itself as well. Costs some microseconds where nobody else has written.
        """
        return self._read(lambda db: self._added(db, since))

    def _added(self, db: sqlite3.Connection, since: float) -> Iterable[Any]:
        (version,) = db.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            return ()
        if self._version is None:
            db.execute(_INDEX)
            (self._seen,) = db.execute(_BEFORE_FIRST, (since,)).fetchone()
        rows = db.execute(_AFTER, (self._seen,)).fetchall()
        self._version, self._seen = version, rows[-1][0] if rows else self._seen
        return [row for row in rows if row[2] >= since]

    def _read(self, work: Callable[[sqlite3.Connection], Iterable[Any]]) -> list[Charge]:
        return [_charge(*row[1:]) for row in self._store.use("read", work)]


_CHARGES = """
SELECT e.seq, e.run, e.time, e.type, json_extract(e.data, '$.attempt', '$.model', '$.key', '$.holder', '$.reserved',
    '$.cost.usd'), (
    SELECT json_extract(d.data, '$.context.tenant', '$.context.feature', '$.context.step.name', '$.context.step.id')
    FROM events d WHERE d.run = e.run AND d.step = e.step AND d.type = 'decided' AND d.seq < e.seq
    ORDER BY d.seq DESC LIMIT 1
)
FROM events e WHERE e.type IN ('attempt_started', 'attempt_ended') AND {} ORDER BY e.seq"""
_OF_RUN, _AFTER = _CHARGES.format("e.run = ?"), _CHARGES.format("e.seq > ?")

# Rows are in the order of their times only as long as nobody sets the clock back, so they are looked for by time.
_INDEX = "CREATE INDEX IF NOT EXISTS attempts_by_time ON events (time) WHERE type = 'attempt_started'"
_BEFORE_FIRST = """
SELECT coalesce(min(+seq) - 1, (SELECT max(seq) FROM events), 0) FROM events INDEXED BY attempts_by_time
WHERE type = 'attempt_started' AND time >= ?"""


def _charge(run: str, time: float, kind: str, facts: str, decided: str | None) -> Charge:
    attempt, model, key, holder, reserved, cost = json.loads(facts)
    tenant, feature, name, step = json.loads(decided) if decided else (None,) * 4
    labels = Labels(run, tenant or "", feature or "", name or step or "", model, key or "")
    ended = kind == AttemptEnded.type
    return Charge(attempt, time, ended, cost if ended else reserved, labels, holder or "")
