"""What a table holds, so that a model can write right SQL: columns, types, ranges, the exact spelling of values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.toolbox.data.names import quoted
from orchestra.toolbox.data.source import Data
from orchestra.toolbox.data.table import Column, Table
from orchestra.types import Json

SAMPLED = 100_000
LISTED = 12
EXAMPLES = 5
CELL = 60
MORE = "... (see describe_table)"


def described(data: Data, table: Table) -> dict[str, Json]:
    """The table as JSON: name, rows, a row per column. Statistics come from the first SAMPLED rows."""
    name = quoted(table.name)
    (count,) = data.select(f"SELECT COUNT(*) FROM {name}").rows[0]  # noqa: S608  # names are quoted
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
    source = f"(SELECT {name} FROM {table} LIMIT {SAMPLED})"  # noqa: S608  # names are quoted
    totals = f"SELECT COUNT(*) - COUNT({name}), COUNT(DISTINCT {name}), MIN({name}), MAX({name}) FROM {source}"  # noqa: S608  # names are quoted
    missing, distinct, low, high = data.select(totals).rows[0]
    facts: dict[str, Json] = {"name": column.name, "type": column.type}
    if missing:
        facts["missing"] = _cell(missing)
    if isinstance(high, str):
        values = data.select(f"SELECT DISTINCT {name} FROM {source} WHERE {name} IS NOT NULL", rows=LISTED)  # noqa: S608  # names are quoted
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


def in_words(data: Data, limit: int = 2_000) -> str:
    """The tables, one a line, for a prompt: at most `limit` characters, then MORE where anything was left out."""
    text = ""
    for table in data.tables:
        if len(text) > limit:
            break
        text += f"{_line(described(data, table))}\n"
    whole = len(text) <= limit and text.count("\n") >= len(data.tables)
    return text.rstrip() if whole else text[:limit] + MORE


def terms(data: Data) -> tuple[str, ...]:
    """The names by which the data goes: tables, columns, and text values as far as `described` lists them."""
    names = [name for table in data.tables for name in (table.name, *(column.name for column in table.columns))]
    for table in data.tables[:LISTED]:
        columns: Any = described(data, table)["columns"]
        names += [value for column in columns for value in column.get("values") or column.get("examples") or ()]
    return tuple(dict.fromkeys(names))


def _line(table: Mapping[str, Any]) -> str:
    columns = "; ".join(_about(column) for column in table["columns"])
    return f"Table {table['table']} ({table['rows']} rows): {columns}"


def _about(column: Mapping[str, Any]) -> str:
    text = f"{column['name']} {column['type']}".strip()
    if listed := column.get("values") or column.get("examples"):
        text += f" ({', '.join(map(str, listed))}{'' if 'values' in column else ', ...'})"
    elif "min" in column:
        text += f" ({column['min']} to {column['max']})"
    return text + (f", {column['missing']} missing" if "missing" in column else "")
