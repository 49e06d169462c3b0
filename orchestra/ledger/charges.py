"""Charges: what attempts hold and cost, read from the events of a file that several processes may write."""

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
"""What attempts that are over are told apart by; a run's own charges are few, and given one by one."""


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
class Taken:
    """What attempts took that began in a span of time, as the file stood at row `until`.

    `sums` are the USD of those that are over, `open` are the others.
    """

    sums: tuple[tuple[Labels, float], ...]
    open: tuple[Charge, ...]
    until: int


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
        return self._charges(lambda db: db.execute(_OF_RUN, (run,)))

    def within(self, begins: float, ends: float, by: Collection[str] = LABELS) -> Taken:
        """What attempts took that began from `begins` until before `ends`, Unix seconds, whenever they ended.

        Only labels that `by` names are told apart, and need be looked for; others may be "". A cost that nobody knows
        is what was held. Takes as much memory as there are sums and open attempts, however many rows are read. For a
        thread: it may take long, and nobody who reads or writes waits for it.
        """
        return self._store.beside("read", lambda db: _taken(db, (begins, ends), by))

    def after(self, seq: int) -> list[Charge]:
        """The charges after this row."""
        return self._charges(lambda db: db.execute(_AFTER, (seq,)))

    def new(self) -> list[Charge]:
        """The charges that were added since the last call, if others added any; none at the first.

        They hold what this process wrote itself as well. Costs some microseconds where nobody else has written.
        """
        return self._charges(self._added)

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

    def _charges(self, work: Callable[[sqlite3.Connection], Iterable[Any]]) -> list[Charge]:
        return [_charge(*row) for row in self._read(lambda db: list(work(db)))]

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return self._store.use("read", work)


_OF_DECISION = frozenset(("tenant", "feature", "step"))
_DECIDED = """(
    SELECT json_extract(d.data, '$.context.tenant', '$.context.feature', '$.context.step.name', '$.context.step.id')
    FROM events d WHERE d.run = e.run AND d.step = e.step AND d.type = 'decided' AND d.seq < e.seq
    ORDER BY d.seq DESC LIMIT 1
)"""
_UNDECIDED = """
SELECT e.seq, e.run, e.time, e.type, json_extract(e.data, '$.attempt', '$.model', '$.key', '$.holder', '$.reserved')
        AS facts,
    NULL AS decided
FROM events e WHERE e.type = 'attempt_started' AND """
_STARTED = _UNDECIDED.replace("NULL", _DECIDED)
_ENDED = """
SELECT e.seq, e.run, e.time, e.type, json_extract(e.data, '$.attempt', '$.model', '$.key', '$.holder', '$.cost.usd'),
    NULL
FROM events e WHERE e.type = 'attempt_ended' AND """
_OF_RUN = f"{_STARTED} e.run = ?1 UNION ALL {_ENDED} e.run = ?1 ORDER BY 1"
_AFTER = f"{_STARTED} e.seq > ?1 UNION ALL {_ENDED} e.seq > ?1 ORDER BY 1"
_LAST = "SELECT coalesce(max(seq), 0) FROM events"

# Rows are in the order of their times only as long as nobody sets the clock back, so they are looked for by time.
_INDEX = "CREATE INDEX IF NOT EXISTS attempts_by_time ON events (time) WHERE type = 'attempt_started'"
_END = """(
    SELECT coalesce(json_extract(n.data, '$.cost.usd'), '')
    FROM events n WHERE n.run = e.run AND n.seq > e.seq AND n.type = 'attempt_ended'
    AND json_extract(n.data, '$.attempt') = json_extract(e.data, '$.attempt') ORDER BY n.seq LIMIT 1
)"""
_ATTEMPTS = [started.replace("FROM events e", f", {_END} AS end FROM events e") for started in (_UNDECIDED, _STARTED)]
_PLACES = {
    "tenant": "json_extract(decided, '$[0]')",
    "feature": "json_extract(decided, '$[1]')",
    "step": "json_extract(decided, '$[2]'), json_extract(decided, '$[3]')",
    "model": "json_extract(facts, '$[1]')",
    "key": "json_extract(facts, '$[2]')",
}


def _within(by: Collection[str]) -> str:
    """A row for each attempt that is not over, and for all others one for each of their labels, with what they cost.

    SQLite adds them up, for as long as it does no other thread of Python has to wait; nor is the same decision looked
    for again as often as its labels are named, as it would be without the LIMIT.
    """
    attempts = _ATTEMPTS[not _OF_DECISION.isdisjoint(by)]
    places = ", ".join(("CASE WHEN end IS NULL THEN seq END", *(_PLACES[name] for name in by)))
    return f"""
SELECT seq, run, time, type, facts, decided, CASE WHEN end IS NOT NULL THEN
    total(CASE end WHEN '' THEN json_extract(facts, '$[4]') ELSE end END) END
FROM ({attempts} e.time >= ? AND e.time < ? LIMIT -1) GROUP BY {places} ORDER BY seq
"""  # noqa: S608  # of our own texts above


def _taken(db: sqlite3.Connection, span: tuple[float, float], by: Collection[str]) -> Taken:
    sums, begun = dict[Labels, float](), list[Charge]()
    db.execute("BEGIN")  # both are of one state of the file
    (until,) = db.execute(_LAST).fetchone()
    for *row, usd in db.execute(_within(by), span):
        charge = _charge(*row)
        if usd is None:
            begun.append(charge)
        else:
            labels = Labels(**{name: getattr(charge.labels, name) for name in by})
            sums[labels] = sums.get(labels, 0.0) + usd
    return Taken(tuple(sums.items()), tuple(begun), until)


def _charge(seq: int, run: str, time: float, kind: str, facts: str, decided: str | None) -> Charge:
    attempt, model, key, holder, usd = json.loads(facts)
    tenant, feature, step = _labels(decided)
    labels = Labels(run, tenant, feature, step, model, key or "")
    return Charge(attempt, time, kind == AttemptEnded.type, usd, labels, holder or "", seq)


def _labels(decided: str | None) -> tuple[str, str, str]:
    """Tenant, feature and step of a decision."""
    tenant, feature, name, step = json.loads(decided) if decided else (None,) * 4
    return tenant or "", feature or "", name or step or ""
