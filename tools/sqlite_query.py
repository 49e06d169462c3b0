"""sqlite_query: one SELECT against a CSV or SQLite file, read-only, with limits on rows and time."""

from __future__ import annotations

import re

from orchestra.toolbox import Tool, ToolRejected, tool
from orchestra.toolbox.data import Data, Selection, in_words, terms
from orchestra.types import Json

ROWS = 50
SECONDS = 5.0
CELL = 500
COUNTED = 5  # rows that a model can count by itself

_ABOUT = """Run one SELECT (SQLite dialect) and get its rows. Only reading is allowed.
Let SQL do counting, averages, rounding and sorting.

{tables}"""

_NO_ROWS = "no rows: nothing matches; text must be spelled exactly as in the table, capitals too (see describe_table)"
_ONLY_NULL = "the result is NULL: nothing matches, or there are no values; check the spelling of text values"
_NULL_FIRST = "the first row is NULL, for ORDER BY puts NULL first: add WHERE column IS NOT NULL, or use MIN or MAX"
_SORTED = re.compile(r"\border\s+by\b", re.IGNORECASE)


def sqlite_query(data: Data) -> Tool:
    """The tool for `data`. At most ROWS rows within SECONDS; a text cell is cut at CELL characters."""

    @tool(read_only=True, description=_ABOUT.format(tables=in_words(data)), terms=terms(data))
    def sqlite_query(sql: str) -> dict[str, Json]:
        """Run one SELECT.

        Args:
            sql: a single SELECT statement
        """
        selection = data.select(sql, rows=ROWS, seconds=SECONDS)
        if _only_null(selection) and _SORTED.search(sql):
            raise ToolRejected(_NULL_FIRST)  # as a result, models take it for "there are no values"
        return _answer(selection, _total(data, sql) if selection.more else "")

    return sqlite_query


def _total(data: Data, sql: str) -> str:
    """How many rows there are in all, where SQLite can say so in a fifth of the time."""
    try:
        counted = data.select(f"SELECT COUNT(*) FROM ({sql.strip().rstrip(';')}\n)", seconds=SECONDS / 5)  # noqa: S608  # the same SELECT has just run, read-only
    except ToolRejected:
        return ""
    return f"{counted.rows[0][0]} rows in all, "


def _answer(selection: Selection, total: str) -> dict[str, Json]:
    rows = [{name: _cell(cell) for name, cell in zip(selection.columns, row, strict=True)} for row in selection.rows]
    note = _note(selection, total)
    return {"rows": rows, "note": note} if note else {"rows": rows}


def _note(selection: Selection, total: str) -> str:
    if selection.more:
        return f"{total}only the first {len(selection.rows)} rows are shown: aggregate, filter, or use LIMIT and OFFSET"
    if not selection.rows:
        return _NO_ROWS
    if len(selection.rows) > COUNTED:
        return f"{len(selection.rows)} rows"
    return _ONLY_NULL if _only_null(selection) else ""


def _only_null(selection: Selection) -> bool:
    return len(selection.rows) == 1 and set(selection.rows[0]) == {None}


def _cell(cell: object) -> Json:
    """Floats to 12 significant digits: what lies beyond is noise of binary fractions that models stumble over."""
    if isinstance(cell, float):
        return float(f"{cell:.12g}")
    if isinstance(cell, bytes):
        return f"<{len(cell):,} bytes>"
    if isinstance(cell, str) and len(cell) > CELL:
        return f"{cell[:CELL]}... ({len(cell) - CELL:,} more characters)"
    return cell if isinstance(cell, int | str) else None
