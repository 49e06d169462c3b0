"""Answers questions over the tables of a CSV or SQLite file, with real SQL: --data FILE."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestra.errors import AgentError
from orchestra.toolbox import load_tools
from orchestra.toolbox.data import MORE, in_words, open_data

if TYPE_CHECKING:
    from orchestra import Orchestra
    from orchestra.runtime.agent import Agent

PROMPT = Path(__file__).with_suffix(".md")


def build(app: Orchestra, *, data: Path | None = None) -> Agent:
    """The analyst over `data`. Raises AgentError without a file, ConfigError for a file that holds no table."""
    if data is None:
        raise AgentError("agent 'analyst' needs a table to read: give --data FILE (.csv, .tsv, .sqlite or .db)")
    source = open_data(data)
    tables = in_words(source)
    tools = [load_tools("sqlite_query").sqlite_query(source), load_tools("calculator").calculator]
    if tables.endswith(MORE):  # what fits is told; a tool to ask again would only tempt a small model
        tools.append(load_tools("describe_table").describe_table(source))
    background = PROMPT.read_text(encoding="utf-8").format(tables=tables)
    return app.planner_executor(tools, name="analyst", max_steps=6, background=background)
