"""Answers questions over the tables of a CSV or SQLite file, with real SQL: --data FILE."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestra.errors import AgentError
from orchestra.toolbox import load_tools
from orchestra.toolbox.data import open_data

if TYPE_CHECKING:
    from orchestra import Orchestra
    from orchestra.runtime.agent import Agent

PROMPT = Path(__file__).with_suffix(".md")
DESCRIBED = 4_000  # characters of table descriptions that every step carries


def build(app: Orchestra, *, data: Path | None = None) -> Agent:
    """The analyst over `data`. Raises AgentError without a file, ConfigError for a file that holds no table."""
    if data is None:
        raise AgentError("agent 'analyst' needs a table to read: give --data FILE (.csv, .tsv, .sqlite or .db)")
    source = open_data(data)
    describe = load_tools("describe_table").describe_table(source)
    tables = "\n".join(_in_words(describe(table.name)) for table in source.tables)
    background = PROMPT.read_text(encoding="utf-8").format(tables=tables[:DESCRIBED])
    tools = [load_tools("sqlite_query").sqlite_query(source), load_tools("calculator").calculator]
    if len(tables) > DESCRIBED:  # what fits is told; a tool to ask again would only tempt a small model
        tools.append(describe)
    return app.planner_executor(tools, name="analyst", max_steps=6, background=background)


def _in_words(described: dict[str, Any]) -> str:
    columns = "; ".join(_column(column) for column in described["columns"])
    return f"Table {described['table']} ({described['rows']} rows): {columns}"


def _column(column: dict[str, Any]) -> str:
    about = f"{column['name']} {column['type']}"
    if listed := column.get("values") or column.get("examples"):
        about += f" ({', '.join(map(str, listed))}{'' if 'values' in column else ', ...'})"
    elif "min" in column:
        about += f" ({column['min']} to {column['max']})"
    return about + (f", {column['missing']} missing" if "missing" in column else "")
