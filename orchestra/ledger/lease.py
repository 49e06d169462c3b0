"""Lease: at most one task of one process is at work on a run.

A lease ends with its process: on the same host at once (its process id is gone, or belongs to a process that started
at another time), elsewhere when its heartbeat has been silent for 30 s. Containers on one machine are hosts of their
own, for they do not see each other's processes; their clocks must agree.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, Self

from orchestra.errors import LedgerError, RunOwned
from orchestra.ledger.process import Process, here, lives
from orchestra.ledger.store import Store

BEAT = 10.0
SILENCE = 30.0

_log = logging.getLogger("orchestra.ledger")


class Releasing(Protocol):
    """Whoever has given a lease takes it back."""

    def release(self, lease: Lease) -> None:
        """As `Lease.release`."""
        ...


@dataclass(frozen=True, slots=True)
class Lease:
    """A run that is ours until it is released; a context manager does that at its end."""

    run: str
    token: str
    leases: Releasing

    def release(self) -> None:
        """Let others claim the run. Twice is once; a forked child does not release what its parent holds."""
        self.leases.release(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Leases:
    """Who is at work on which run. Claiming and closing raise LedgerError."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock
        self._held: set[str] = set()
        self._heart: threading.Thread | None = None
        self._stop = threading.Event()

    def claim(self, run: str) -> Lease:
        """The run's lease. Raises RunOwned while another live process, or another task of this one, holds it."""
        lease = Lease(run, secrets.token_hex(8), self)
        _working.add(lease.token)  # before the row is there: another thread may look at it at once
        try:
            if owner := self._store.within("claim a run in", lambda db: self._take(db, lease)):
                raise owned(run, owner)
        except BaseException:
            _working.discard(lease.token)
            raise
        self._held.add(lease.token)
        if self._heart is None or not self._heart.is_alive():  # two at once would only renew twice
            self._heart = threading.Thread(target=_beat, args=(weakref.ref(self), self._stop), daemon=True)
            self._heart.start()
        return lease

    def release(self, lease: Lease) -> None:
        """As `Lease.release`. A failure is logged, so that it hides nothing: this process can claim the run again."""
        if lease.token not in self._held:
            return
        _working.discard(lease.token)
        try:
            self._store.use("release a run in", lambda db: db.execute(_RELEASE, (lease.run, lease.token, here().pid)))
        except LedgerError as error:
            _log.warning("%s; for other processes run %s is at work here until this one ends", error, lease.run)
            return
        self._held.discard(lease.token)

    def renew(self) -> None:
        """Tell other hosts that this process lives. A failure is logged: the next beat may succeed."""
        if not self._held:
            return
        me = here()
        try:
            self._store.use("renew leases in", lambda db: db.execute(_RENEW, (self._clock(), me.host, me.pid)))
        except LedgerError as error:
            _log.warning("%s", error)

    def close(self) -> None:
        """Release all that is held here and end the heartbeat."""
        self._stop.set()
        if self._heart is not None and self._heart.is_alive():
            self._heart.join()
        mine = [(token, here().pid) for token in self._held]
        _working.difference_update(self._held)
        self._held.clear()
        if mine:
            self._store.within("release runs in", lambda db: db.executemany(_RELEASE_ALL, mine))

    def _take(self, db: sqlite3.Connection, lease: Lease) -> str:
        """Who holds the run; "" where it is now this lease."""
        now, me = self._clock(), here()
        row = db.execute(_HOLDER, (lease.run,)).fetchone()
        if row and (owner := _owner(*row, now=now)):
            return owner
        db.execute(_TAKE, (lease.run, lease.token, me.host, me.pid, me.started, me.node, now, now))
        return ""


_working: set[str] = set()
"""The tokens that tasks of this process hold, in whichever ledger: a row whose release failed is nobody's."""


def _owner(token: str, host: str, pid: int, started: str, node: str, since: float, beat: float, *, now: float) -> str:
    """The process that holds a lease, in words; "" where it has lost it."""
    process = Process(host, pid, started, node)
    if process == here():
        return another_task(pid, since) if token in _working else ""
    when = _when(since)
    living = lives(process)
    if living is None and now - beat < SILENCE:
        return f"{process} {when}, heard of {max(0.0, now - beat):.0f} s ago"
    return f"{process} {when}" if living else ""


def another_task(pid: int, since: float) -> str:
    """The owner of a run that is at work in this very process."""
    return f"{_TASK} ({pid}) {_when(since)}"


def owned(run: str, owner: str) -> RunOwned:
    """What a claim in vain raises."""
    way = "cancel that task" if owner.startswith(_TASK) else "end that process and resume again"
    text = f"run {run} is at work in {owner}; wait for its end, or {way}"
    return RunOwned(text, owner=owner)


_TASK = "another task of this process"


def _when(since: float) -> str:
    return f"since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M:%S} UTC"


_HOLDER = "SELECT token, host, pid, started, node, since, beat FROM leases WHERE run = ?"
_TAKE = "INSERT OR REPLACE INTO leases (run, token, host, pid, started, node, since, beat) VALUES (?,?,?,?,?,?,?,?)"
_RELEASE = "DELETE FROM leases WHERE run = ? AND token = ? AND pid = ?"
_RELEASE_ALL = "DELETE FROM leases WHERE token = ? AND pid = ?"
_RENEW = "UPDATE leases SET beat = ? WHERE host = ? AND pid = ?"


def _beat(leases: weakref.ref[Leases], stop: threading.Event) -> None:
    """Renew until told to stop, or until nobody holds the ledger any more."""
    while not stop.wait(BEAT):
        living = leases()
        if living is None:
            return
        living.renew()
        del living
