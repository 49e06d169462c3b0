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

    `sums` are the USD of those that are over, each with the Unix second in which the attempts' hour began; `open` are
    the others.
    """

    sums: tuple[tuple[float, Labels, float], ...]
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
        is what was held. Takes as much memory as there are sums and open attempts, however many rows are read.
        """
        span = {"begins": begins, "ends": ends}
        decided = not _OF_DECISION.isdisjoint(by)
        return self._read(lambda db: _taken(db.execute(_WITHIN[decided], span), by))

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


_HOUR = 3_600.0
_OF_DECISION = frozenset(("tenant", "feature", "step"))
_DECIDED = """(
    SELECT json_extract(d.data, '$.context.tenant', '$.context.feature', '$.context.step.name', '$.context.step.id')
    FROM events d WHERE d.run = e.run AND d.step = e.step AND d.type = 'decided' AND d.seq < e.seq
    ORDER BY d.seq DESC LIMIT 1
)"""
_UNDECIDED = """
SELECT e.seq, e.run, e.time, e.type, json_extract(e.data, '$.attempt', '$.model', '$.key', '$.holder', '$.reserved'),
    NULL
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
_IN_TIME = "FROM events WHERE type = 'attempt_started' AND time >= :begins AND time < :ends"
_WITHIN = [
    f"""{started} e.time >= :begins AND e.time < :ends
    UNION ALL {_ENDED} e.run IN (SELECT run {_IN_TIME}) AND e.seq > (SELECT min(+seq) {_IN_TIME}) ORDER BY 1"""
    for started in (_UNDECIDED, _STARTED)
]


def _taken(rows: Iterable[Any], by: Collection[str]) -> Taken:
    which = [place for place, name in enumerate(LABELS) if name in by]
    began, sums, until = dict[str, Any](), dict[tuple[Any, ...], float](), 0
    for row in rows:  # most are of attempts that are over: of these no charge is made
        until, _, time, kind, facts, decided = row
        attempt, model, key, _, usd = json.loads(facts)
        if kind != AttemptEnded.type:
            labels = (*_labels(decided), model, key or "")
            began[attempt] = usd or 0.0, (time // _HOUR * _HOUR, *[labels[place] for place in which]), row
        elif start := began.pop(attempt, None):
            held, place, _ = start
            sums[place] = sums.get(place, 0.0) + (held if usd is None else usd)
    names = [LABELS[place] for place in which]
    over = ((hour, Labels(**dict(zip(names, values, strict=True))), usd) for (hour, *values), usd in sums.items())
    return Taken(tuple(over), tuple(_charge(*row) for _, _, row in began.values()), until)


def _charge(seq: int, run: str, time: float, kind: str, facts: str, decided: str | None) -> Charge:
    attempt, model, key, holder, usd = json.loads(facts)
    tenant, feature, step = _labels(decided)
    labels = Labels(run, tenant, feature, step, model, key or "")
    return Charge(attempt, time, kind == AttemptEnded.type, usd, labels, holder or "", seq)


def _labels(decided: str | None) -> tuple[str, str, str]:
    """Tenant, feature and step of a decision."""
    tenant, feature, name, step = json.loads(decided) if decided else (None,) * 4
    return tenant or "", feature or "", name or step or ""
