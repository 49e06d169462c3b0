"""The file: one SQLite database to which rows are only ever added, shared by threads and processes.

WAL with synchronous NORMAL: a row survives the death of its process as soon as `add` has returned; a power cut may
cost the last rows, never the file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

from orchestra.errors import LedgerError

VERSION = 1
BUSY = 10.0

Stored: TypeAlias = tuple[int, str, str, float, str, str]
T = TypeVar("T")


class Store:
    """The rows in a file, which is created with its folder where it does not exist. Everything raises LedgerError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def add(self, run: str, step: str, time: float, kind: str, data: str) -> int:
        """Append one row, safe when this returns; its sequence number."""
        if not self.path.exists():  # SQLite would go on writing into the removed file without a word
            raise LedgerError(f"cannot append to the ledger {self.path}: it was removed while it was open; run again")
        return self._use("append to", lambda db: db.execute(_INSERT, (run, step, time, kind, data)).lastrowid or 0)

    def rows(self, run: str) -> list[Stored]:
        """The rows of a run in order: sequence number, run, step, Unix seconds, type, JSON."""
        return self._use("read", lambda db: db.execute(_ROWS, (run,)).fetchall())

    def latest(self, limit: int) -> list[str]:
        """The ids of the runs last written to, newest first."""
        return self._use("read", lambda db: _latest(db, limit))

    def starting(self, prefix: str, limit: int) -> list[str]:
        """The ids of runs that begin with `prefix`."""
        span = (prefix, prefix + "\U0010ffff", limit)
        return self._use("read", lambda db: [run for (run,) in db.execute(_STARTING, span)])

    def close(self) -> None:
        """Give the file back. Twice is once."""
        with self._lock:
            self._db.close()

    def _open(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        try:
            self._db = _connect(self.path)
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise LedgerError(f"cannot open the ledger {self.path}: {_explain(error)}") from error

    def _use(self, doing: str, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._pid != os.getpid():  # an SQLite connection must not cross a fork
            self._open()
        try:
            with self._lock:
                return work(self._db)
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise LedgerError(f"cannot {doing} the ledger {self.path}: {_explain(error)}") from error


_INSERT = "INSERT INTO events (run, step, time, type, data) VALUES (?, ?, ?, ?, ?)"
_ROWS = "SELECT seq, run, step, time, type, data FROM events WHERE run = ? ORDER BY seq"
_STARTING = "SELECT DISTINCT run FROM events WHERE run >= ? AND run < ? ORDER BY run LIMIT ?"
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS orchestra_ledger (version INTEGER NOT NULL);
INSERT INTO orchestra_ledger SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM orchestra_ledger);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, run TEXT NOT NULL, step TEXT NOT NULL, time REAL NOT NULL,
    type TEXT NOT NULL, data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_run ON events (run);
CREATE TRIGGER IF NOT EXISTS events_never_change BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: rows are never changed'); END;
CREATE TRIGGER IF NOT EXISTS events_never_go BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: rows are never deleted'); END;
CREATE TRIGGER IF NOT EXISTS events_never_replaced BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: rows are never replaced'); END;
COMMIT;
"""  # INSERT OR REPLACE deletes without asking a delete trigger, hence the third


def _connect(path: Path) -> sqlite3.Connection:
    if path.name == ":memory:":
        raise LedgerError("a ledger is a file: name one, or give None to keep nothing; ':memory:' is neither")
    if path.is_dir():
        raise LedgerError(f"cannot open the ledger {path}: it is a folder; name a file, such as {path / 'ledger.db'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)  # what models and tools said is the owner's; SQLite's own files take this mode over
    db = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        _claim(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _claim(db: sqlite3.Connection, path: Path) -> None:
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "orchestra_ledger" not in tables:
        found = ", ".join(sorted(tables)[:3])
        raise LedgerError(f"{path} is not a ledger but another SQLite database (tables: {found}); give another path")
    if tables:
        _check_version(db, path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    if not tables:
        db.executescript(_SCHEMA)


def _check_version(db: sqlite3.Connection, path: Path) -> None:
    row = db.execute("SELECT version FROM orchestra_ledger").fetchone()
    if row is None or row[0] != VERSION:
        found = row and row[0]
        raise LedgerError(
            f"the ledger {path} has schema version {found!r}, this orchestra reads {VERSION}: "
            "use the orchestra that wrote it or a newer one, or give another path"
        )


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
    return str(error) if "closed" in str(error) else f"{error}; check the file, {_ELSEWHERE}"
