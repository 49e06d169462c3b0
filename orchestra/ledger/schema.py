"""The file's tables, and how a database comes to have them: a new one, an older ledger's, or none at all."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from orchestra.errors import LedgerError

VERSION = 1
BUSY = 10.0


def connect(path: Path | None) -> sqlite3.Connection:
    """A connection to the ledger at `path`, made with its folder where there is none; None: in memory.

    Raises LedgerError for what is no ledger or of another version, sqlite3.Error and OSError for what cannot be opened.
    """
    if path is not None:
        _prepare(path)
    db = sqlite3.connect(path or ":memory:", timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        _claim(db, path)
    except BaseException:
        db.close()
        raise
    return db


_EVENTS = """
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

# What a ledger that was made earlier lacks. Entries of a journal can be large, so it keeps its row ids.
_LATER = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS journal (
    run TEXT NOT NULL, step TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, step, key)
);
CREATE TABLE IF NOT EXISTS leases (
    run TEXT PRIMARY KEY, token TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL,
    node TEXT NOT NULL, since REAL NOT NULL, beat REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cards (name TEXT PRIMARY KEY, facts TEXT NOT NULL) WITHOUT ROWID;
COMMIT;
"""


def _prepare(path: Path) -> None:
    if path.name == ":memory:":
        raise LedgerError("a ledger is a file: name one, or give None to keep nothing; ':memory:' is neither")
    if path.is_dir():
        raise LedgerError(f"cannot open the ledger {path}: it is a folder; name a file, such as {path / 'ledger.db'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)  # what models and tools said is the owner's; SQLite's own files take this mode over


def _claim(db: sqlite3.Connection, path: Path | None) -> None:
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "orchestra_ledger" not in tables:
        found = ", ".join(sorted(tables)[:3])
        raise LedgerError(f"{path} is not a ledger but another SQLite database (tables: {found}); give another path")
    if tables:
        _check_version(db, path)
    into_wal(db)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA secure_delete = ON")  # a journal holds content: what is deleted must not linger in free pages
    if not tables:
        db.executescript(_EVENTS)
    if not {"journal", "leases", "cards"} <= tables:
        db.executescript(_LATER)


def into_wal(db: sqlite3.Connection) -> None:
    """For this SQLite waits for nobody, and processes that start together all make the same new file."""
    until = time.monotonic() + BUSY
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
        time.sleep(_AGAIN)


_AGAIN = 0.005  # seconds; it takes a process less to make the file


def _check_version(db: sqlite3.Connection, path: Path | None) -> None:
    row = db.execute("SELECT version FROM orchestra_ledger").fetchone()
    if row is None or row[0] != VERSION:
        found = row and row[0]
        raise LedgerError(
            f"the ledger {path} has schema version {found!r}, this orchestra reads {VERSION}: "
            "use the orchestra that wrote it or a newer one, or give another path"
        )
