"""Charges: what attempts hold and cost, read from the events of a file that several processes may write.

What is long over is summed up beside the events, once for all who share the file: whoever comes new reads the sums, and
only the last few rows one by one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from orchestra.errors import LedgerError
from orchestra.ledger.events import AttemptEnded
from orchestra.ledger.store import Store
from orchestra.types import Labels

T = TypeVar("T")
LABELS = ("tenant", "feature", "step", "model", "key")
"""What sums are kept by; a run's own charges are few, and read one by one."""


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


@dataclass(frozen=True, slots=True)
class Spending:
    """What attempts that began in a span of time took.

    `sums` are USD of attempts whose end was written until row `until`; all others are in `charges`.
    """

    sums: tuple[tuple[Labels, float], ...]
    until: int
    charges: tuple[Charge, ...]


class Charges:
    """Reads charges in the order in which they were written. Everything raises LedgerError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._version: int | None = None  # of the file, as SQLite counts what other connections write
        self._seen = 0

    def anew(self) -> Charges:
        """A reader of the same file that has read nothing yet."""
        return Charges(self._store)

    def sum_up(self) -> None:
        """Sum up all that is written, so that `within` has little to read.

        Takes some 30 µs for an attempt, once for a file. Where that cannot be written, the rows themselves are read.
        """
        with suppress(LedgerError):
            while self._store.within("write", lambda db: _sum_up(db, _AT_START)):
                pass

    def keep_up(self) -> None:
        """Sum up some of what was written since, some milliseconds' worth; to be called about every fifty attempts."""
        self._read(self._pass_over)
        with suppress(LedgerError):
            self._store.within("write", lambda db: _sum_up(db, _AT_TIMES))

    def of(self, run: str) -> list[Charge]:
        """All charges of a run."""
        return self._charges(lambda db: db.execute(_OF_RUN, (run,)))

    def within(self, begins: float, ends: float, by: Collection[str] = LABELS) -> Spending:
        """What attempts took that began from `begins` until before `ends`, whole hours in Unix seconds.

        The sums tell apart only the labels that `by` names; the others are "" there. Ends of other attempts may be
        among the charges.
        """
        names = [name for name in LABELS if name in by]
        return self._read(lambda db: _at_once(db, lambda: _within(db, begins, ends, names)))

    def new(self) -> list[Charge]:
        """The charges that were added since the last call, if others added any; none at the first.

        They may hold what this process wrote itself as well. Costs some microseconds where nobody else has written.
        """
        return self._charges(self._added)

    def _added(self, db: sqlite3.Connection) -> Iterable[Any]:
        (version,) = db.execute(_VERSION).fetchone()
        if version == self._version:
            return ()
        if self._version is None:
            rows, (self._seen,) = [], db.execute(_LAST).fetchone()
        else:
            rows = db.execute(_AFTER, (self._seen,)).fetchall()
        self._version, self._seen = version, rows[-1][0] if rows else self._seen
        return rows

    def _pass_over(self, db: sqlite3.Connection) -> None:
        """What is new need not be looked for among rows that nobody but this process can have written."""
        (last,) = db.execute(_LAST).fetchone()
        if db.execute(_VERSION).fetchone() == (self._version,):
            self._seen = last

    def _charges(self, work: Callable[[sqlite3.Connection], Iterable[Any]]) -> list[Charge]:
        return [_charge(*row) for row in self._read(lambda db: list(work(db)))]

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return self._store.use("read", work)


_AT_START, _AT_TIMES = 10_000, 500
"""How many rows are summed up in one transaction, for which other processes wait: about 80 ms, and 4."""

_VERSION = "PRAGMA data_version"
_LAST = "SELECT coalesce(max(seq), 0) FROM events"
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
_UNSETTLED = f"{_STARTED} e.seq IN unsettled ORDER BY 1"
_UNTIL = f"{_STARTED} e.seq > ?1 AND e.seq <= ?2 UNION ALL {_ENDED} e.seq > ?1 AND e.seq <= ?2 ORDER BY 1"

# Rows are in the order of their times only as long as nobody sets the clock back, so each is booked to its own hour.
_ADD = "INSERT INTO spent (hour, tenant, feature, step, model, key, usd) VALUES (?, ?, ?, ?, ?, ?, ?)"


def _sum_up(db: sqlite3.Connection, most: int) -> bool:
    """Sum up the oldest `most` rows that are not yet, and see whether there were as many. In a transaction."""
    (after,), (last,) = db.execute("SELECT seq FROM summed").fetchone(), db.execute(_LAST).fetchone()
    if last - after < most:
        return False
    began = {one.attempt: one for one in map(_row, db.execute(_UNSETTLED))}
    before, sums = {one.seq for one in began.values()}, dict[tuple[Any, ...], float]()
    for one in map(_row, db.execute(_UNTIL, (after, after + most))):
        if not one.ended:
            began[one.attempt] = one
        elif start := began.pop(one.attempt, None):
            usd = start.usd if one.usd is None else one.usd
            place = (start.time // _HOUR, *(getattr(start.labels, name) for name in LABELS))
            sums[place] = sums.get(place, 0.0) + (usd or 0.0)
    left = {one.seq for one in began.values()}
    db.executemany(_ADD, [(*place, usd) for place, usd in sums.items()])
    db.executemany("DELETE FROM unsettled WHERE seq = ?", [(seq,) for seq in before - left])
    db.executemany("INSERT INTO unsettled VALUES (?)", [(seq,) for seq in left - before])
    db.execute("UPDATE summed SET seq = ?", (after + most,))
    return True


_HOUR = 3_600


def _within(db: sqlite3.Connection, begins: float, ends: float, names: list[str]) -> Spending:
    (until,) = db.execute("SELECT seq FROM summed").fetchone()
    hours = (begins // _HOUR, ends // _HOUR)
    shown = ", ".join(names) or "''"
    sums = db.execute(f"SELECT sum(usd), {shown} FROM spent WHERE hour >= ? AND hour < ? GROUP BY {shown}", hours)  # noqa: S608  # of LABELS
    by_labels = tuple((Labels(**dict(zip(names, values, strict=False))), usd) for usd, *values in sums)
    rest = [*map(_row, db.execute(_UNSETTLED)), *map(_row, db.execute(_AFTER, (until,)))]
    return Spending(by_labels, until, tuple(one for one in rest if one.ended or begins <= one.time < ends))


def _at_once(db: sqlite3.Connection, work: Callable[[], T]) -> T:
    """What `work` reads while it sees nothing that is written meanwhile."""
    db.execute("BEGIN")
    try:
        return work()
    finally:
        db.execute("COMMIT")


def _row(row: Any) -> Charge:
    return _charge(*row)


def _charge(seq: int, run: str, time: float, kind: str, facts: str, decided: str | None) -> Charge:
    attempt, model, key, holder, usd = json.loads(facts)
    tenant, feature, name, step = json.loads(decided) if decided else (None,) * 4
    labels = Labels(run, tenant or "", feature or "", name or step or "", model, key or "")
    return Charge(attempt, time, kind == AttemptEnded.type, usd, labels, holder or "", seq)
