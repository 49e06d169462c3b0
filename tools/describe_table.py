"""describe_table: columns, types, ranges and the exact spelling of values, so that a model can write right SQL."""

from __future__ import annotations

import difflib

from orchestra.toolbox import Tool, ToolRejected, tool
from orchestra.toolbox.data import Column, Data, Table, quoted
from orchestra.types import Json

SAMPLED = 100_000
LISTED = 12
EXAMPLES = 5
CELL = 60


def describe_table(data: Data) -> Tool:
    """The tool for `data`. Statistics come from the first SAMPLED rows of a table."""
    tables = {table.name: table for table in data.tables}

    @tool(read_only=True)
    def describe_table(table: str = data.tables[0].name) -> dict[str, Json]:
        """Describe a table: its columns with type, range or values, and how many rows it has.

        Args:
            table: name of the table
        """
        found = next((known for name, known in tables.items() if name.lower() == table.lower()), None)
        if found is None:
            near = difflib.get_close_matches(table, tables, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ToolRejected(f"there is no table {table!r:.100}; {hint}known: {', '.join(tables)}")
        return _describe(data, found)

    return describe_table


def _describe(data: Data, table: Table) -> dict[str, Json]:
    name = quoted(table.name)
    (count,) = data.select(f"SELECT COUNT(*) FROM {name}").rows[0]  # noqa: S608
    notes = list(data.notes)
    if isinstance(count, int) and count > SAMPLED:
        notes.append(f"ranges and values are those of the first {SAMPLED:,} rows")
    others = [other.name for other in data.tables if other is not table]
    return {
        "table": table.name,
        "rows": count if isinstance(count, int) else None,
        "columns": [_column(data, name, column) for column in table.columns],
        **({"other_tables": others} if others else {}),
        **({"notes": notes} if notes else {}),
    }


def _column(data: Data, table: str, column: Column) -> dict[str, Json]:
    name = quoted(column.name)
    source = f"(SELECT {name} FROM {table} LIMIT {SAMPLED})"  # noqa: S608
    totals = f"SELECT COUNT(*) - COUNT({name}), COUNT(DISTINCT {name}), MIN({name}), MAX({name}) FROM {source}"  # noqa: S608
    missing, distinct, low, high = data.select(totals).rows[0]
    facts: dict[str, Json] = {"name": column.name, "type": column.type}
    if missing:
        facts["missing"] = _cell(missing)
    if isinstance(high, str):
        values = data.select(f"SELECT DISTINCT {name} FROM {source} WHERE {name} IS NOT NULL", rows=LISTED)  # noqa: S608
        shown: list[Json] = [_cell(row[0]) for row in values.rows]
        facts |= (
            {"distinct": distinct, "examples": shown[:EXAMPLES]} if values.more else {"values": sorted(shown, key=str)}
        )
    elif high is not None:
        facts |= {"min": _cell(low), "max": _cell(high)}
    return facts


def _cell(cell: object) -> Json:
    if isinstance(cell, bytes):
        return f"<{len(cell):,} bytes>"
    if isinstance(cell, str):
        return cell if len(cell) <= CELL else cell[:CELL] + "..."
    return cell if isinstance(cell, int | float) else None
