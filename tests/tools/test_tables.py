"""sqlite_query and describe_table on real data: what a small model gets to read."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestra.toolbox import Tool, ToolRejected, execute, load_tools
from orchestra.toolbox.data import Data, open_data
from orchestra.types import Text, ToolCall, Trigger

PENGUINS = Path(__file__).parents[2] / "examples" / "data" / "penguins.csv"
queries = load_tools("sqlite_query")
descriptions = load_tools("describe_table")


@pytest.fixture(scope="module")
def penguins() -> Data:
    return open_data(PENGUINS)


def database(path: Path, script: str) -> Data:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return open_data(path)


async def asked(tool: Tool, **arguments: Any) -> Any:
    outcome = await execute(tool, ToolCall("1", tool.name, arguments))
    (part,) = outcome.result.content
    assert isinstance(part, Text)
    assert outcome.trigger is None, part.text
    return json.loads(part.text)


async def test_a_select_brings_its_rows_by_name(penguins: Data) -> None:
    sql = "SELECT species, COUNT(*) AS n, AVG(body_mass_g) AS mass FROM penguins GROUP BY species ORDER BY 1"
    assert await asked(queries.sqlite_query(penguins), sql=sql) == {
        "rows": [
            {"species": "Adelie", "n": 152, "mass": 3700.66225166},
            {"species": "Chinstrap", "n": 68, "mass": 3733.08823529},
            {"species": "Gentoo", "n": 124, "mass": 5076.01626016},
        ]
    }


def test_the_query_tool_tells_models_the_tables_and_changes_nothing(penguins: Data) -> None:
    tool = queries.sqlite_query(penguins)
    assert "Table penguins (344 rows): species TEXT (Adelie, Chinstrap, Gentoo); island TEXT" in tool.description
    assert (tool.name, tool.read_only) == ("sqlite_query", True)
    assert tool.schema["required"] == ["sql"]


def test_of_many_tables_only_the_first_are_listed(tmp_path: Path) -> None:
    tables = ";".join(f"CREATE TABLE table_{i:03}(a, b)" for i in range(400))
    data = database(tmp_path / "a.db", f"BEGIN; {tables}; COMMIT")
    assert len(queries.sqlite_query(data).description) < 2_300
    assert queries.sqlite_query(data).description.endswith("... (see describe_table)")


async def test_more_rows_than_the_limit_are_said_to_be_left_out(penguins: Data) -> None:
    tool = queries.sqlite_query(penguins)
    found = await asked(tool, sql="SELECT year FROM penguins")
    assert len(found["rows"]) == queries.ROWS
    assert found["note"].startswith("344 rows in all, only the first 50 rows are shown: aggregate")
    commented = await asked(tool, sql="SELECT year FROM penguins -- all of them")
    assert commented["note"].startswith("344 rows in all, only the first 50 rows are shown")
    assert (await asked(tool, sql="SELECT year FROM penguins LIMIT 50"))["note"] == "50 rows"
    assert "note" not in await asked(tool, sql="SELECT year FROM penguins LIMIT 5")


async def test_rows_without_end_are_shown_without_a_count(penguins: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "SECONDS", 0.5)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    found = await asked(queries.sqlite_query(penguins), sql=endless)
    assert len(found["rows"]) == queries.ROWS
    assert found["note"].startswith("only the first 50 rows are shown")


async def test_no_rows_and_no_values_are_explained(penguins: Data) -> None:
    tool = queries.sqlite_query(penguins)
    none = await asked(tool, sql="SELECT year FROM penguins WHERE species = 'adelie'")
    null = await asked(tool, sql="SELECT AVG(year) AS y FROM penguins WHERE species = 'adelie'")
    assert none["rows"] == []
    assert none["note"].startswith("no rows: nothing matches; text must be spelled exactly")
    assert null["rows"] == [{"y": None}]
    assert null["note"].startswith("the result is NULL: nothing matches")


async def test_a_null_that_only_stands_first_in_the_order_is_no_result_but_sent_back_with_the_way_out(
    penguins: Data,
) -> None:
    tool = queries.sqlite_query(penguins)
    smallest = "SELECT bill_length_mm AS mm FROM penguins{} ORDER BY bill_length_mm LIMIT 1"
    outcome = await execute(tool, ToolCall("1", tool.name, {"sql": smallest.format("")}))
    assert outcome.trigger is Trigger.tool_rejected
    assert "ORDER BY puts NULL first: add WHERE column IS NOT NULL" in outcome.result.content[0].text
    found = await asked(tool, sql=smallest.format(" WHERE bill_length_mm IS NOT NULL"))
    assert found == {"rows": [{"mm": 32.1}]}


async def test_cells_are_shown_short(tmp_path: Path) -> None:
    data = database(tmp_path / "a.db", "CREATE TABLE t(a, b, c, d)")
    sql = "SELECT x'00ff' AS blob, 0.1 + 0.2 AS sum, printf('%10000000c', 'x') AS long, 9e999 AS big, 7 AS n"
    (row,) = (await asked(queries.sqlite_query(data), sql=sql))["rows"]
    assert (row["blob"], row["sum"], row["big"], row["n"]) == ("<2 bytes>", 0.3, "inf", 7)
    assert row["long"] == " " * 500 + "... (9,999,500 more characters)"


async def test_a_table_is_described_with_ranges_and_the_spelling_of_values(penguins: Data) -> None:
    found = await asked(descriptions.describe_table(penguins))
    columns = {column.pop("name"): column for column in found["columns"]}
    assert (found["table"], found["rows"]) == ("penguins", 344)
    assert columns["species"] == {"type": "TEXT", "values": ["Adelie", "Chinstrap", "Gentoo"]}
    assert columns["body_mass_g"] == {"type": "INTEGER", "missing": 2, "min": 2700, "max": 6300}
    assert columns["sex"] == {"type": "TEXT", "missing": 11, "values": ["female", "male"]}
    assert "notes" not in found
    assert "other_tables" not in found


async def test_many_values_are_shown_by_example_and_long_ones_cut(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text(
        "Full Name;note\n" + "".join(f"name {i};{'x' * 100}\n" for i in range(30)), encoding="utf-8"
    )
    found = await asked(descriptions.describe_table(open_data(tmp_path / "names.csv")), table="NAMES")
    assert found["columns"] == [
        {"name": "Full_Name", "type": "TEXT", "distinct": 30, "examples": [f"name {i}" for i in range(5)]},
        {"name": "note", "type": "TEXT", "values": ["x" * 60 + "..."]},
    ]
    assert found["notes"] == ["cells are separated by semicolon", "column 'Full Name' is named Full_Name"]


async def test_an_empty_table_and_its_neighbours_are_described(tmp_path: Path) -> None:
    script = "CREATE TABLE a(x INTEGER, y BLOB); CREATE TABLE b(z); INSERT INTO b VALUES (x'00'), (x'01ff')"
    tool = descriptions.describe_table(database(tmp_path / "a.db", script))
    assert await asked(tool) == {
        "table": "a",
        "rows": 0,
        "columns": [{"name": "x", "type": "INTEGER"}, {"name": "y", "type": "BLOB"}],
        "other_tables": ["b"],
    }
    found = await asked(tool, table="b")
    assert found["columns"] == [{"name": "z", "type": "", "min": "<1 bytes>", "max": "<2 bytes>"}]


async def test_ranges_of_a_large_table_are_those_of_its_first_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["orchestra.toolbox.data.described"], "SAMPLED", 3)
    data = database(tmp_path / "a.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1), (2), (3), (9)")
    found = await asked(descriptions.describe_table(data))
    assert (found["rows"], found["columns"][0]["max"]) == (4, 3)
    assert found["notes"] == ["ranges and values are those of the first 3 rows"]


def test_an_unknown_table_is_told_with_the_nearest(penguins: Data) -> None:
    tool = descriptions.describe_table(penguins)
    with pytest.raises(ToolRejected, match=r"no table 'pengins'; did you mean penguins. known: penguins"):
        tool(table="pengins")
    with pytest.raises(ToolRejected, match="no table 'x'; known: penguins"):
        tool(table="x")
