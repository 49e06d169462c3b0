"""The file: one SQLite database, shared by threads and processes; its events are only ever added.

WAL with synchronous NORMAL: what was written survives the death of its process as soon as the call has returned; a
power cut may cost the last rows, never the file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from orchestra.errors import LedgerError
from orchestra.ledger.schema import BUSY, connect

Stored: TypeAlias = tuple[int, str, str, float, str, str]
Fresh: TypeAlias = tuple[str, str, float, str, str]
Statement: TypeAlias = tuple[str, tuple[Any, ...]]
T = TypeVar("T")

CLOSED = "the app was closed; make a new one for further calls"
"""Why nothing can be read or written any more: an app closes its ledger."""

_LOOKS = 10_000
"""Instructions of SQLite's after which a long reading looks whether it is still wanted: about a millisecond's."""

MOST = 1_000
"""Rows that are held at a time, a megabyte or two; each write in vain looks at all of them."""


_reading = threading.Lock()
"""Held by a reading beside the ledger's own connection, and by a fork: a child must not inherit locks of SQLite's."""

if hasattr(os, "register_at_fork"):  # where there is none, nothing forks
    os.register_at_fork(before=_reading.acquire, after_in_parent=_reading.release, after_in_child=_reading.release)


class Store:
    """A ledger's tables, in a file that is made where it does not exist, or in memory where `path` is None.

    Everything raises LedgerError.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._open()

    def write(self, *statements: Statement) -> int:
        """Execute what is held and all of these, or none, safe when this returns; the row id the first of these made.

        What cannot be written is held on, for the next write.
        """
        self._open_after_fork()
        if self.path and _file(self.path) != self._file:  # SQLite would go on writing into the removed one
            how = "replaced by another file" if self.path.exists() else "removed"
            raise LedgerError(f"cannot append to the ledger {self.path}: it was {how} while it was open; run again")
        return self.use("append to", lambda db: self._written(db, statements))

    @property
    def held(self) -> Sequence[Fresh]:
        """What is held; another list once that is written."""
        return self._held

    def hold(self, event: Fresh) -> bool:
        """Write an event with what is written next; whether nothing else is held yet.

        Where `MOST` are held, it is written at once: a file that nobody can write must not fill the memory.
        """
        if self._closed:
            self.write(event_row(event))  # says so
        self._open_after_fork()
        with self._lock:
            if len(self._held) < MOST:
                self._held.append(event)
                return len(self._held) == 1
        self.write(event_row(event))
        return False

    def write_held(self) -> None:
        """Write what is held, if anything is."""
        if self._held:
            self.write()

    def rows(self, run: str) -> list[Stored]:
        """The events of a run in order: sequence number, run, step, Unix seconds, type, JSON."""
        self.write_held()
        return self.use("read", lambda db: db.execute(_ROWS, (run,)).fetchall())

    def latest(self, limit: int) -> list[str]:
        """The ids of the runs last written to, newest first."""
        self.write_held()
        return self.use("read", lambda db: _latest(db, limit))

    def starting(self, prefix: str, limit: int) -> list[str]:
        """The ids of runs that begin with `prefix`."""
        self.write_held()
        span = (prefix, prefix + "\U0010ffff", limit)
        return self.use("read", lambda db: [run for (run,) in db.execute(_STARTING, span)])

    def beside(self, doing: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `use`, with a connection that reads alone, and for which nobody waits: for what takes long, in a thread.

        It ends with an error where the store is closed meanwhile. A fork waits until it has ended.
        """
        if self.path is None or self._closed:
            return self.use(doing, work)
        try:
            with _reading, closing(_reader(self.path)) as db:
                db.set_progress_handler(lambda: self._closed, _LOOKS)
                return work(db)
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(f"cannot {doing} {self}: {CLOSED if self._closed else _explain(error)}") from error

    def use(self, doing: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` makes of the connection; no other thread uses it meanwhile. `doing` is for the error's text."""
        self._open_after_fork()
        try:
            with self._lock:
                return work(self._db)
        except (sqlite3.Error, OSError, UnicodeError, OverflowError) as error:
            raise LedgerError(f"cannot {doing} {self}: {CLOSED if self._closed else _explain(error)}") from error

    def within(self, doing: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `use`, in one transaction: what `work` wrote before it raised is undone, and no other process writes."""
        return self.use(doing, lambda db: _within(db, work))

    def close(self) -> None:
        """Give the file back. Twice is once."""
        try:
            self.write_held()
        finally:
            with self._lock:
                self._closed = True
                self._held.clear()
                self._db.close()

    def __str__(self) -> str:
        return f"the ledger {self.path}" if self.path else "the ledger in memory"

    def _open_after_fork(self) -> None:
        if self._pid != os.getpid():  # an SQLite connection must not cross a fork
            self._open()

    def _open(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._held: list[Fresh] = []  # what a parent process holds, it writes
        self._pid = os.getpid()
        try:
            self._db = connect(self.path)
            self._file = self.path and _file(self.path)
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise LedgerError(f"cannot open {self}: {_explain(error)}") from error

    def _written(self, db: sqlite3.Connection, statements: tuple[Statement, ...]) -> int:
        if not self._held and len(statements) < 2:  # a transaction of its own; or another thread wrote what was held
            return _executed(db, statements)
        made = _within(db, lambda db: _executed(db, statements, self._held))
        self._held = []
        return made


def _file(path: Path) -> tuple[int, int] | None:
    """Which file that is; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  # quick, as each write asks
    except OSError:
        return None
    return found.st_dev, found.st_ino


def event_row(event: Fresh) -> Statement:
    """What adds an event: its run, step, Unix seconds, type, JSON."""
    return _INSERT, event


_INSERT = "INSERT INTO events (run, step, time, type, data) VALUES (?, ?, ?, ?, ?)"
_ROWS = "SELECT seq, run, step, time, type, data FROM events WHERE run = ? ORDER BY seq"
_STARTING = "SELECT DISTINCT run FROM events WHERE run >= ? AND run < ? ORDER BY run LIMIT ?"


def _executed(db: sqlite3.Connection, statements: tuple[Statement, ...], held: Sequence[Fresh] = ()) -> int:
    """The row id that the first of the statements made."""
    if held:
        db.executemany(_INSERT, held)
    made = [db.execute(sql, values).lastrowid or 0 for sql, values in statements]
    return made[0] if made else 0


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY, isolation_level=None)


def _within(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    try:
        db.execute("BEGIN IMMEDIATE")
        made = work(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite undoes some failures, such as a full disk, by itself
            db.execute("ROLLBACK")
        raise
    return made


def _latest(db: sqlite3.Connection, limit: int) -> list[str]:
    found: dict[str, None] = {}
    for (run,) in db.execute("SELECT run FROM events ORDER BY seq DESC"):
        if len(found) >= limit:
            break
        found[run] = None
    return list(found)


_ELSEWHERE = "or give another path"
_EXPLAINED = {
    "SQLITE_FULL": f"the disk is full; free some space, {_ELSEWHERE}",
    "SQLITE_READONLY": f"it may not be written; change its permissions and its folder's, {_ELSEWHERE}",
    "SQLITE_CANTOPEN": f"it cannot be opened; check that it and its folder may be written, {_ELSEWHERE}",
    "SQLITE_NOTADB": f"it is not an SQLite database; move it away, {_ELSEWHERE}",
    "SQLITE_CORRUPT": f"it is damaged; move it away (SQLite's .recover may save its rows), {_ELSEWHERE}",
    "SQLITE_BUSY": f"another process has kept it locked for {BUSY:g} s; end that process, {_ELSEWHERE}",
    "SQLITE_IOERR": f"the disk does not answer as it should; check it, {_ELSEWHERE}",
}


def _explain(error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", "")
    known = next((text for start, text in _EXPLAINED.items() if name.startswith(start)), None)
    if known:
        return f"{known} ({error})"
    return f"{error}; check the file, {_ELSEWHERE}"
