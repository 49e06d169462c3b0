"""Ledger: every event is redacted, stored, and then told to whoever listens.

Beside the events it holds what a run must not lose before its end: its journal and who is at work on it.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import coroutine
from typing import cast

from orchestra.errors import LedgerError
from orchestra.ledger.charges import Charges
from orchestra.ledger.events import (
    AttemptEnded,
    AttemptStarted,
    Decided,
    Event,
    Judged,
    Row,
    RunEnded,
    RunStarted,
    StepStarted,
)
from orchestra.ledger.journal import Journal
from orchestra.ledger.lease import Lease, Leases
from orchestra.ledger.listeners import Listeners
from orchestra.ledger.memory import MemoryJournal, MemoryLeases
from orchestra.ledger.redact import Redactor
from orchestra.ledger.rows import Rows
from orchestra.ledger.runs import RunSummary, summary
from orchestra.ledger.sinks import Sink
from orchestra.ledger.store import Store
from orchestra.types import Json

MAY_WAIT = frozenset({RunStarted, StepStarted, Decided, AttemptEnded, Judged})
"""Events that another row of their run follows before anything leaves the process: a request, a tool's call, a reply.

A transaction takes six times as long as a row in it.
"""


class Ledger:
    """The append-only record of all runs; threads and processes may share it.

    `path` None keeps no event and still feeds listeners and sinks; journals and leases are then this process's own.
    `content` also keeps what people and models wrote. `secrets` are replaced wherever they stand, and so is what looks
    like a key. Every method raises LedgerError where the file cannot be read or written, so that no run goes on
    unrecorded.
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
        secrets = tuple(secrets)
        self._redactor = Redactor(secrets)
        self._store = None if self.path is None else Store(self.path)
        self._rows = self._store and Rows(self._store, self._redactor, content=content)
        self._journal = Journal(self._store, secrets) if self._store else MemoryJournal(secrets)
        self._leases = Leases(self._store, clock) if self._store else MemoryLeases(clock)
        self._listeners = Listeners(sinks, self._redactor)
        self._clock = clock
        self._unstored = itertools.count(1)

    def hide(self, secrets: Iterable[str]) -> None:
        """Replace these secrets too, from now on."""
        secrets = tuple(secrets)
        if self._redactor.learn(secrets):
            self._journal.hide(secrets)
            if self._rows:
                self._rows.look_again()

    def append(self, run: str, step: str, event: Event, *, keep: tuple[str, object] | None = None) -> None:
        """Record an event of a run's step ("" for the run itself).

        `keep` is an entry for the step's journal, key and value: it and the event are written both or neither.

        The row is in the file when this returns, but for those on which nothing outside rests yet (`MAY_WAIT`), where
        nobody listens: they are written with the next row, and never later than in the event loop's next turn.
        """
        if keep or type(event) not in MAY_WAIT or not self._hold(run, step, event):
            self._append(run, step, event, keep)

    async def write(self, run: str, step: str, event: Event) -> None:
        """Record an event as `append` does; it is in the file when this is done.

        All that tasks write so in one turn of their event loop shares a transaction.
        """
        if self._store is None or not self._hold(run, step, event):
            self._append(run, step, event)
            return
        held = self._store.held
        await _others()  # they add theirs, and then the turn ends
        if self._store.held is held:  # that failed, or another thread's turn lasts
            self.settle()

    def settle(self) -> None:
        """See that every row is in the file, those that may wait too."""
        if self._store:
            self._store.write_held()

    def keep(self, run: str, step: str, key: str, value: object) -> None:
        """Write an entry into a step's journal, over an earlier one of that key; content whether asked for or not.

        `value` is plain JSON, or a value of this package that `from_json` reads back.
        """
        self._journal.keep(*self._place(run, step), key, value)

    def kept(self, run: str, step: str) -> dict[str, Json]:
        """The entries of a step's journal, in the order in which their keys were first kept."""
        return self._journal.kept(*self._place(run, step))

    def without_secrets(self, value: Json) -> Json:
        """Plain JSON as a journal gives it back: without the known secrets."""
        return self._redactor.known_in(value)

    def forget(self, run: str) -> None:
        """Delete the journals of a run's steps; for when it has ended."""
        self._journal.forget(self._redactor.text(run))

    def claim(self, run: str) -> Lease:
        """The lease without which nobody works on a run. Raises RunOwned where it is held, and says by whom."""
        return self._leases.claim(self._redactor.text(run))

    def events(self, run: str) -> list[Row]:
        """The rows of a run in order, as they were stored; none where the run is not known."""
        return self._rows.of(self._redactor.text(run)) if self._rows else []

    def runs(self, limit: int = 20) -> list[RunSummary]:
        """The runs that were active last, newest first."""
        return [summary(self.events(run)) for run in self._store.latest(limit)] if self._store else []

    def resolve(self, prefix: str) -> str:
        """The run whose id begins with `prefix`. Raises LedgerError where there is none, or more than one."""
        prefix = prefix.strip()
        found = self._store.starting(prefix, _SHOWN) if prefix and self._store else []
        if len(found) == 1 or prefix in found:
            return found[0]  # in order of length: an id that begins others comes first
        raise LedgerError(self._unresolved(prefix, found))

    def subscribe(self, run: str, listener: Sink) -> Callable[[], None]:
        """Call `listener` with each row of `run` from now on, in the thread that appends it; returns what ends it.

        Listeners see content whether or not it is stored. One that raises is logged and stops nothing.
        """
        return self._listeners.add(self._redactor.text(run), listener)

    def charges(self) -> Charges | None:
        """A reader of what attempts hold and cost, those of other processes too; None where nothing is kept."""
        return Charges(self._store) if self._store else None

    def close(self) -> None:
        """Release what is claimed and close the file; nothing can be recorded afterwards. Twice is once."""
        try:
            self._leases.close()
        finally:
            self._journal.close()

    def _place(self, run: str, step: str) -> tuple[str, str]:
        return self._redactor.text(run), self._redactor.text(step)

    def _append(self, run: str, step: str, event: Event, keep: tuple[str, object] | None = None) -> None:
        heard, now = self._listeners.heard(run), self._clock()
        run, step = self._place(run, step)
        if heard:
            event = self._redactor.value(event)
        seq = self._write(run, step, event, now, keep)
        if heard:
            self._listeners.tell(Row(seq, run, step, now, event))

    def _hold(self, run: str, step: str, event: Event) -> bool:
        """Whether nobody hears the row and it waits for the end of this turn of an event loop, if it is one."""
        if self._rows is None or self._listeners.heard(run):
            return False
        if not (run.isascii() and step.isascii()):  # the file may refuse such a name
            return False
        if (asyncio := sys.modules.get("asyncio")) is None:  # it is heavy, and who runs an event loop has it loaded
            return False
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._rows.hold(run, step, self._clock(), event):
            loop.call_soon(self._end_turn)
        return True

    def _end_turn(self) -> None:
        with suppress(LedgerError):  # it is held on, and the run's next row that may not wait raises it
            self.settle()

    def _write(self, run: str, step: str, event: Event, now: float, keep: tuple[str, object] | None) -> int:
        journal = self._journal
        if self._rows and isinstance(journal, Journal):
            return self._rows.add(run, step, now, event, *([journal.entry(run, step, *keep)] if keep else ()))
        if keep:
            journal.keep(run, step, *keep)
        return next(self._unstored)

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


@coroutine
def _others() -> Generator[None]:
    """Let the other tasks of this turn of the event loop go first."""
    yield


@dataclass(frozen=True, slots=True)
class Recorder:
    """What a running call holds: a ledger and its own run."""

    ledger: Ledger
    run: str

    def record(self, step: str, event: Event, *, keep: tuple[str, object] | None = None) -> None:
        """Record an event of a step ("" for the run itself), with an entry of its journal. Raises LedgerError."""
        self.ledger.append(self.run, step, event, keep=keep)

    async def write(self, step: str, event: AttemptStarted | RunEnded) -> None:
        """Record an event and wait until it is in the file: something follows outside. Raises LedgerError."""
        await self.ledger.write(self.run, step, event)

    def without_secrets(self, text: str) -> str:
        """A text for whoever reads an error: without the known secrets."""
        return cast("str", self.ledger.without_secrets(text))
