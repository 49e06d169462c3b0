"""describe_table: columns, types, ranges and the exact spelling of values, so that a model can write right SQL."""

from __future__ import annotations

import difflib

from orchestra.toolbox import Tool, ToolRejected, tool
from orchestra.toolbox.data import Data, described
from orchestra.types import Json


def describe_table(data: Data) -> Tool:
    """The tool for `data`."""
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
        return described(data, found)

    return describe_table
