"""Reads a CSV file, whatever its encoding and delimiter, into a SQLite table with typed columns."""

from __future__ import annotations

import csv
import re
import sqlite3
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestra.errors import ConfigError
from orchestra.toolbox.data.names import identifiers
from orchestra.toolbox.data.table import Cell

_NULLS = frozenset({"", "NA", "N/A", "NaN", "NULL", "null"})
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")  # 007 is a code, not a number
_REAL = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_LONGEST_CELL = 100_000_000
_NO_CELLS: list[str] = []
_limit = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Form:
    """How the file is to be read."""

    path: Path
    encoding: str
    delimiter: str = ","

    def rows(self) -> Iterator[list[str]]:
        """Every row that is not blank; raises ConfigError naming the line that is broken."""
        with self.path.open(encoding=self.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=self.delimiter, strict=True, skipinitialspace=True)
            try:
                yield from filter(None, reader)
            except csv.Error as error:
                raise ConfigError(f"{self.path}: line {reader.line_num}: {error}") from None


def load_csv(path: Path, target: Path) -> tuple[str, ...]:
    """Write the file's table to the new SQLite file `target`; what was changed on the way.

    Raises ConfigError for what is no text, has no header, or has a row of another length than the header.
    """
    with _long_cells():
        form = _form(path)
        header = next(form.rows(), None)
        if header is None:
            raise ConfigError(f"{path}: the file is blank; expected a header line and rows")
        (table,), columns = identifiers([path.stem], "table"), identifiers(header, "column")
        kinds = _kinds(form, header)
        _write(form, target, table, columns, kinds)
    return (*_form_notes(form), *_renamed(header, columns))


def _form(path: Path) -> _Form:
    encoding = _encoding(path)
    forms = [_Form(path, encoding, delimiter) for delimiter in _DELIMITERS]
    return max(forms, key=_header_width)


def _header_width(form: _Form) -> int:
    try:
        return len(next(form.rows(), _NO_CELLS))
    except ConfigError:  # a quote that another delimiter explains
        return 0


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(65_536)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        candidates = ["utf-16"]
    elif broken := re.search(rb"[\x00-\x08\x0e-\x1f]", head):
        raise ConfigError(f"{path}: is no text table: control byte 0x{head[broken.start()]:02x} at {broken.start()}")
    else:
        candidates = ["utf-8-sig", "cp1252"]
    for encoding in candidates:
        try:
            with path.open(encoding=encoding) as file:
                while file.read(1_000_000):
                    pass
        except UnicodeError:
            continue
        return encoding
    raise ConfigError(f"{path}: the text is neither UTF-8, UTF-16 nor Windows-1252; save it as UTF-8")


def _kinds(form: _Form, header: Sequence[str]) -> list[str]:
    kinds = [""] * len(header)
    rows = form.rows()
    next(rows)
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ConfigError(
                f"{form.path}: row {number} has {len(row)} cells, the header has {len(header)} "
                f"({', '.join(header):.200}); mend the row, or quote cells that hold a {_DELIMITERS[form.delimiter]}"
            )
        for index, cell in enumerate(row):
            if kinds[index] != "TEXT" and cell.strip() not in _NULLS:
                kinds[index] = _wider(kinds[index], cell.strip())
    return [kind or "TEXT" for kind in kinds]


def _wider(kind: str, cell: str) -> str:
    if _INTEGER.fullmatch(cell):
        if len(cell) > 18:  # an id that neither a 64-bit integer nor a float would keep exactly
            return "TEXT"
        return kind or "INTEGER"
    return "REAL" if _REAL.fullmatch(cell) else "TEXT"


def _write(form: _Form, target: Path, table: str, columns: Sequence[str], kinds: Sequence[str]) -> None:
    rows = form.rows()
    next(rows)
    declared = ", ".join(f"{name} {kind}" for name, kind in zip(columns, kinds, strict=True))
    marks = ", ".join("?" * len(columns))
    with closing(sqlite3.connect(target)) as connection, connection:
        try:
            connection.execute(f"CREATE TABLE {table}({declared})")
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", (_values(row, kinds) for row in rows))  # noqa: S608  # quoted
        except sqlite3.Error as error:
            raise ConfigError(f"{form.path}: does not fit into a table: {error}") from None


def _values(row: Sequence[str], kinds: Sequence[str]) -> list[Cell]:
    return [_value(cell, kind) for cell, kind in zip(row, kinds, strict=True)]


def _value(cell: str, kind: str) -> Cell:
    if cell.strip() in _NULLS:
        return None
    if kind == "TEXT":
        return cell
    return int(cell) if kind == "INTEGER" else float(cell)


def _form_notes(form: _Form) -> list[str]:
    notes = [] if form.encoding == "utf-8-sig" else [f"read as {form.encoding}, since it is not UTF-8"]
    return notes if form.delimiter == "," else [*notes, f"cells are separated by {_DELIMITERS[form.delimiter]}"]


def _renamed(header: Sequence[str], columns: Sequence[str]) -> list[str]:
    pairs = zip(header, columns, strict=True)
    return [f"column {text!r} is named {name}" for text, name in pairs if text != name]


@contextmanager
def _long_cells() -> Generator[None]:
    with _limit:  # the csv module has one limit for the whole process
        before = csv.field_size_limit(_LONGEST_CELL)
        try:
            yield
        finally:
            csv.field_size_limit(before)
