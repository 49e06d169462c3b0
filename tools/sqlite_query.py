"""sqlite_query: one SELECT against a CSV or SQLite file, read-only, with limits on rows and time."""

from __future__ import annotations

from orchestra.toolbox import Tool, tool
from orchestra.toolbox.data import Data, Selection, in_words
from orchestra.types import Json

ROWS = 50
SECONDS = 5.0
CELL = 500

_ABOUT = """Run one SELECT (SQLite dialect) and get its rows. Only reading is allowed.
Let SQL do counting, averages, rounding and sorting.

{tables}"""

_NO_ROWS = "no rows: nothing matches; text must be spelled exactly as in the table, capitals too (see describe_table)"
_ONLY_NULL = (
    "the result is NULL: nothing matches, or there are no values; check the spelling of text values. "
    "ORDER BY puts NULL first: add WHERE column IS NOT NULL, or use MIN or MAX"
)


def sqlite_query(data: Data) -> Tool:
    """The tool for `data`. At most ROWS rows within SECONDS; a text cell is cut at CELL characters."""

    @tool(read_only=True, description=_ABOUT.format(tables=in_words(data)))
    def sqlite_query(sql: str) -> dict[str, Json]:
        """Run one SELECT.

        Args:
            sql: a single SELECT statement
        """
        return _answer(data.select(sql, rows=ROWS, seconds=SECONDS))

    return sqlite_query


def _answer(selection: Selection) -> dict[str, Json]:
    rows = [{name: _cell(cell) for name, cell in zip(selection.columns, row, strict=True)} for row in selection.rows]
    note = _note(selection)
    return {"rows": rows, "note": note} if note else {"rows": rows}


def _note(selection: Selection) -> str:
    if selection.more:
        return f"only the first {len(selection.rows)} rows; there are more: aggregate, filter, or use LIMIT and OFFSET"
    if not selection.rows:
        return _NO_ROWS
    return _ONLY_NULL if len(selection.rows) == 1 and set(selection.rows[0]) == {None} else ""


def _cell(cell: object) -> Json:
    """Floats to 12 significant digits: what lies beyond is noise of binary fractions that models stumble over."""
    if isinstance(cell, float):
        return float(f"{cell:.12g}")
    if isinstance(cell, bytes):
        return f"<{len(cell):,} bytes>"
    if isinstance(cell, str) and len(cell) > CELL:
        return f"{cell[:CELL]}... ({len(cell) - CELL:,} more characters)"
    return cell if isinstance(cell, int | str) else None
