"""Charges: what attempts hold and cost, read from the events of a file that several processes may write."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from orchestra.errors import LedgerError
from orchestra.ledger.events import AttemptEnded
from orchestra.ledger.store import Store
from orchestra.types import Labels


@dataclass(frozen=True, slots=True)
class Charge:
    """An attempt that began, with what it holds until it ends, or one that ended, with what it cost.

    `usd` is None where nothing was held, or where the cost is unknown. `time` is in Unix seconds. `holder` says in
    whose budgets the money of an attempt that began is counted already; what an end is booked to, its beginning says.
    `seq` is the number of its row, which grows.
    """

    attempt: str
    time: float
    ended: bool
    usd: float | None
    labels: Labels
    holder: str = ""
    seq: int = field(default=0, compare=False)


class Charges:
    """Reads charges in the order in which they were written. Everything raises LedgerError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._version: int | None = None  # of the file, as SQLite counts what other connections write
        self._seen = 0

    def anew(self) -> Charges:
        """A reader of the same file that has read nothing yet."""
        return Charges(self._store)

    def index(self) -> None:
        """See that `within` need not look at every row; takes about half a second for 200,000 calls, once for a file.

        Where the file cannot have an index, reading goes on without it.
        """
        with suppress(LedgerError):
            self._store.use("write", lambda db: db.execute(_INDEX))

    def of(self, run: str) -> list[Charge]:
        """All charges of a run."""
        return self._read(lambda db: db.execute(_OF_RUN, (run,)))

    def within(self, begins: float, ends: float) -> list[Charge]:
        """The charges of attempts that began from `begins` until before `ends`, Unix seconds, whenever they ended.

        Ends of other attempts may be among them.
        """
        return self._read(lambda db: db.execute(_WITHIN, {"begins": begins, "ends": ends}))

    def new(self) -> list[Charge]:
        """The charges that were added since the last call, if others added any; none at the first.

        They hold what this process wrote itself as well. Costs some microseconds where nobody else has written.
        """
        return self._read(self._added)

    def _added(self, db: sqlite3.Connection) -> Iterable[Any]:
        (version,) = db.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            return ()
        if self._version is None:
            rows, (self._seen,) = [], db.execute(_LAST).fetchone()
        else:
            rows = db.execute(_AFTER, (self._seen,)).fetchall()
        self._version, self._seen = version, rows[-1][0] if rows else self._seen
        return rows

    def _read(self, work: Callable[[sqlite3.Connection], Iterable[Any]]) -> list[Charge]:
        return [_charge(*row) for row in self._store.use("read", lambda db: list(work(db)))]


_STARTED = """
SELECT e.seq, e.run, e.time, e.type, json_extract(e.data, '$.attempt', '$.model', '$.key', '$.holder', '$.reserved'), (
    SELECT json_extract(d.data, '$.context.tenant', '$.context.feature', '$.context.step.name', '$.context.step.id')
    FROM events d WHERE d.run = e.run AND d.step = e.step AND d.type = 'decided' AND d.seq < e.seq
    ORDER BY d.seq DESC LIMIT 1
)
FROM events e WHERE e.type = 'attempt_started' AND """
_ENDED = """
SELECT e.seq, e.run, e.time, e.type, json_extract(e.data, '$.attempt', '$.model', '$.key', '$.holder', '$.cost.usd'),
    NULL
FROM events e WHERE e.type = 'attempt_ended' AND """
_OF_RUN = f"{_STARTED} e.run = ?1 UNION ALL {_ENDED} e.run = ?1 ORDER BY 1"
_AFTER = f"{_STARTED} e.seq > ?1 UNION ALL {_ENDED} e.seq > ?1 ORDER BY 1"
_LAST = "SELECT coalesce(max(seq), 0) FROM events"

# Rows are in the order of their times only as long as nobody sets the clock back, so they are looked for by time.
_INDEX = "CREATE INDEX IF NOT EXISTS attempts_by_time ON events (time) WHERE type = 'attempt_started'"
_IN_TIME = "FROM events WHERE type = 'attempt_started' AND time >= :begins AND time < :ends"
_WITHIN = f"""{_STARTED} e.time >= :begins AND e.time < :ends
UNION ALL {_ENDED} e.run IN (SELECT run {_IN_TIME}) AND e.seq > (SELECT min(+seq) {_IN_TIME}) ORDER BY 1"""


def _charge(seq: int, run: str, time: float, kind: str, facts: str, decided: str | None) -> Charge:
    attempt, model, key, holder, usd = json.loads(facts)
    tenant, feature, name, step = json.loads(decided) if decided else (None,) * 4
    labels = Labels(run, tenant or "", feature or "", name or step or "", model, key or "")
    return Charge(attempt, time, kind == AttemptEnded.type, usd, labels, holder or "", seq)
