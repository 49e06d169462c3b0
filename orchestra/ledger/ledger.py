"""Ledger: every event is redacted, stored, and then told to whoever listens."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from orchestra.errors import LedgerError
from orchestra.ledger.events import Event, Row
from orchestra.ledger.listeners import Listeners
from orchestra.ledger.redact import Redactor
from orchestra.ledger.runs import RunSummary, summary
from orchestra.ledger.sinks import Sink
from orchestra.ledger.store import Store, Stored
from orchestra.ledger.stored import bare, decode, encode


class Ledger:
    """The append-only record of all runs; threads and processes may share it.

    `path` None keeps nothing and still feeds listeners and sinks. `content` also keeps what people and models wrote.
    `secrets` are replaced wherever they stand, and so is what looks like a key. Every method raises LedgerError where
    the file cannot be read or written, so that no run goes on unrecorded.
    """

    def __init__(
        self,
        path: str | Path | None,
        *,
        content: bool = False,
        secrets: Iterable[str] = (),
        sinks: Iterable[Sink] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = None if path is None else Path(path).expanduser().absolute()
        self._store = None if self.path is None else Store(self.path)
        self._content = content
        self._redactor = Redactor(secrets)
        self._listeners = Listeners(sinks, self._redactor)
        self._clock = clock
        self._unstored = itertools.count(1)

    def hide(self, secrets: Iterable[str]) -> None:
        """Replace these secrets too, from now on."""
        self._redactor.learn(secrets)

    def append(self, run: str, step: str, event: Event) -> Row:
        """Record an event of a run's step ("" for the run itself); the row as listeners see it, content included."""
        clean = self._redactor
        run, step, event, now = clean.text(run), clean.text(step), clean.value(event), self._clock()
        row = Row(self._store_row(run, step, event, now), run, step, now, event)
        self._listeners.tell(row)
        return row

    def events(self, run: str) -> list[Row]:
        """The rows of a run in order, as they were stored; none where the run is not known."""
        stored = self._store.rows(self._redactor.text(run)) if self._store else []
        return [self._row(one) for one in stored]

    def runs(self, limit: int = 20) -> list[RunSummary]:
        """The runs that were active last, newest first."""
        return [summary(self.events(run)) for run in self._store.latest(limit)] if self._store else []

    def resolve(self, prefix: str) -> str:
        """The run whose id begins with `prefix`. Raises LedgerError where there is none, or more than one."""
        prefix = prefix.strip()
        found = self._store.starting(prefix, _SHOWN) if self._store and prefix else []
        if len(found) == 1 or prefix in found:
            return found[0]  # in order of length: an id that begins others comes first
        raise LedgerError(self._unresolved(prefix, found))

    def subscribe(self, run: str, listener: Sink) -> Callable[[], None]:
        """Call `listener` with each row of `run` from now on, in the thread that appends it; returns what ends it.

        Listeners see content whether or not it is stored. One that raises is logged and stops nothing.
        """
        return self._listeners.add(self._redactor.text(run), listener)

    def close(self) -> None:
        """Close the file; nothing can be recorded afterwards."""
        if self._store:
            self._store.close()

    def _store_row(self, run: str, step: str, event: Event, now: float) -> int:
        if self._store is None:
            return next(self._unstored)
        return self._store.add(run, step, now, event.type, encode(event if self._content else bare(event)))

    def _row(self, stored: Stored) -> Row:
        seq, run, step, when, kind, data = stored
        try:
            return Row(seq, run, step, when, decode(kind, data))
        except ValueError as error:
            raise LedgerError(
                f"the ledger {self.path} has a row {seq} that this orchestra cannot read: {error}; "
                "use the orchestra that wrote it or a newer one"
            ) from error

    def _unresolved(self, prefix: str, found: list[str]) -> str:
        if self._store is None:
            return f"no run {prefix!r}: this ledger keeps nothing (path None); give it a path"
        if found:
            more = ", …" if len(found) == _SHOWN else ""
            return f"{prefix!r} begins {len(found)} runs in {self.path}: {', '.join(found)}{more}; give more of the id"
        known = self._store.latest(200)
        if not known:
            return f"no run {prefix!r}: the ledger {self.path} has no runs yet"
        near = get_close_matches(prefix, known, n=1, cutoff=0.5)
        nearest = f"nearest: {near[0]}; " if near else ""
        return f"no run begins with {prefix!r} in {self.path}; {nearest}latest: {known[0]}"


_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Recorder:
    """What a running call holds: a ledger and its own run."""

    ledger: Ledger
    run: str

    def record(self, step: str, event: Event) -> Row:
        """Record an event of a step ("" for the run itself). Raises LedgerError."""
        return self.ledger.append(self.run, step, event)
