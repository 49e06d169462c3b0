"""Data: a source of tables, opened once, read by many tools at the same time."""

from __future__ import annotations

import difflib
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from orchestra.errors import ConfigError
from orchestra.toolbox.data.csv_file import load_csv
from orchestra.toolbox.data.names import quoted
from orchestra.toolbox.data.select import connect, select
from orchestra.toolbox.data.table import Cell, Column, Selection, Table

_CSV = (".csv", ".tsv", ".tab", ".txt")
_SQLITE = (".sqlite", ".sqlite3", ".db")
_NAMES = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT GLOB 'sqlite_*' ORDER BY name"


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Data:
    """Tables of a SQLite file, or the one table of a CSV file; `notes` say what was changed to read it.

    `file` is the SQLite file that is read: for a CSV file a private copy, removed together with this value.
    """

    file: Path
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()

    def select(self, sql: str, values: Sequence[Cell] = (), *, rows: int = 50, seconds: float = 5.0) -> Selection:
        """The first `rows` rows of one SELECT, within `seconds`; on a connection of its own, so from any thread.

        Raises ToolRejected with a text a model can act on: SQLite's message, known names, the nearest spelling.
        """
        return select(self.file, self.tables, sql, values, rows=rows, seconds=seconds)


def open_data(path: Path | str) -> Data:
    """The tables of a CSV (.csv, .tsv, .tab, .txt) or SQLite (.sqlite, .sqlite3, .db) file.

    A CSV file becomes one table named after the file, columns typed INTEGER, REAL or TEXT by their cells; empty
    cells, NA, N/A, NaN and null are NULL. Raises ConfigError saying what is wrong with the file, and where.
    """
    path = Path(path).expanduser().absolute()
    _check_readable(path)
    if path.suffix.lower() in _SQLITE or _head(path).startswith(b"SQLite format 3\0"):
        return Data(path, _tables(path, path))
    if path.suffix.lower() not in _CSV:
        raise ConfigError(f"{path}: no table this knows; expected one of {' '.join(_CSV + _SQLITE)}")
    folder = Path(tempfile.mkdtemp(prefix="orchestra-data-"))
    try:
        notes = load_csv(path, folder / "table.sqlite")
        data = Data(folder / "table.sqlite", _tables(folder / "table.sqlite", path), notes)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(data, shutil.rmtree, folder, ignore_errors=True)
    return data


def _check_readable(path: Path) -> None:
    if not path.exists():
        siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, siblings, 1)
        hint = f"did you mean {near[0]}?" if near else f"give a file that ends in {' '.join(_CSV + _SQLITE)}"
        raise ConfigError(f"{path}: there is no such file; {hint}")
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; give one file in it")
    if not path.is_file():
        raise ConfigError(f"{path}: is no ordinary file; give a file that ends in {' '.join(_CSV + _SQLITE)}")
    if not _head(path):
        raise ConfigError(f"{path}: the file is empty; expected a table with a header line, or a SQLite database")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _tables(file: Path, origin: Path) -> tuple[Table, ...]:
    try:
        with closing(connect(file)) as connection:
            names = [row[0] for row in connection.execute(_NAMES)]
            tables = [Table(name, _columns(connection, name)) for name in names]
    except sqlite3.Error as error:
        raise ConfigError(f"{origin}: is no SQLite database that can be read: {error}") from None
    if not any(table.columns for table in tables):
        raise ConfigError(f"{origin}: the database has no tables")
    return tuple(table for table in tables if table.columns)


def _columns(connection: sqlite3.Connection, table: str) -> tuple[Column, ...]:
    try:
        found = connection.execute(f"PRAGMA table_info({quoted(table)})")
    except sqlite3.OperationalError:  # a view of what is there no more can be listed but not read
        return ()
    return tuple(Column(row[1], row[2]) for row in found)
