"""One SELECT on a read-only connection: nothing else is authorized, rows and time are limited."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from orchestra.toolbox.data.faults import explain, misquoted
from orchestra.toolbox.data.table import Cell, Selection, Table
from orchestra.toolbox.faults import ToolRejected

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_LONGEST_VALUE = 64_000_000  # bytes; an expression may not build more, however it repeats itself
_STEPS_BETWEEN_LOOKS = 10_000


def connect(file: Path) -> sqlite3.Connection:
    """A read-only connection; text that is not UTF-8 is read with replacement characters."""
    connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
    connection.text_factory = _text
    return connection


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def select(
    file: Path, tables: Sequence[Table], sql: str, values: Sequence[Cell], *, rows: int, seconds: float
) -> Selection:
    """What Data.select promises."""
    if fault := misquoted(sql, tables):
        raise ToolRejected(fault)
    try:
        with closing(connect(file)) as connection:
            _guard(connection, seconds)
            cursor = connection.execute(sql, values)
            if cursor.description is None:
                raise ToolRejected("there is no SELECT in it; write one SELECT statement")
            found = cursor.fetchmany(rows + 1)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:  # ValueError: a NUL or a lone surrogate in the text
        raise ToolRejected(explain(str(error), tables, seconds)) from None
    columns = _distinct([column[0] for column in cursor.description])
    return Selection(columns, tuple(found[:rows]), more=len(found) > rows)


def _guard(connection: sqlite3.Connection, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
    connection.set_authorizer(_authorize)


def _authorize(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    distinct: list[str] = []
    for name in names:
        count, candidate = 1, name
        while candidate in distinct:
            count += 1
            candidate = f"{name}_{count}"
        distinct.append(candidate)
    return tuple(distinct)
