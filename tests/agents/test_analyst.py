"""The analyst: real tables, real SQL, and models that are told what they need to know."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestra import StepPolicy
from orchestra.errors import AgentError, ConfigError
from orchestra.runtime.catalog import load_agent
from orchestra.testing import CallTool, ScriptedModel, scripted_app

PENGUINS = Path(__file__).parents[2] / "examples" / "data" / "penguins.csv"
BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])
SQL = "SELECT count(*) AS n FROM penguins WHERE species = 'Gentoo'"


def plan(tool: str = "sqlite_query") -> str:
    return json.dumps(
        {"steps": [{"id": "s1", "goal": "count Gentoo", "needs": [], "tools": [tool], "difficulty": "easy"}]}
    )


def models(*small: Any, tool: str = "sqlite_query") -> tuple[ScriptedModel, ScriptedModel]:
    return ScriptedModel("small", list(small)), ScriptedModel("strong", [plan(tool)], tier="capable")


async def asked(given: tuple[ScriptedModel, ScriptedModel], data: Path) -> dict[str, Any]:
    async with scripted_app(*given, policies=[BOTH]) as app:
        return await load_agent("analyst").build(app, data=data).ainvoke({"task": "How many Gentoo are there?"})


def database(path: Path, *tables: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(";".join(tables))
    return path


def results(model: ScriptedModel) -> list[str]:
    """What the tools answered, as the model was shown it last."""
    return [message["content"] for message in model.requests[-1]["messages"] if message["role"] == "tool"]


async def test_a_question_over_a_csv_file_is_answered_from_its_rows():
    small, strong = models(
        CallTool("sqlite_query", sql=SQL), lambda body: f"There are {body['messages'][-1]['content']}"
    )
    answer = await asked((small, strong), PENGUINS)
    assert answer["state"] == "done"
    assert '"n": 124' in results(small)[0]
    assert "124" in answer["answer"]


async def test_the_planner_is_told_tables_columns_and_values_and_the_step_what_its_tool_tells():
    small, strong = models(CallTool("sqlite_query", sql=SQL), "124")
    await asked((small, strong), PENGUINS)
    told = json.dumps(strong.requests[0], ensure_ascii=False)
    assert all(word in told for word in ("penguins", "body_mass_g", "Adelie, Chinstrap, Gentoo"))
    assert "body_mass_g" in json.dumps(small.requests[0])


async def test_sql_that_is_wrong_comes_back_with_what_is_known_and_may_be_mended():
    wrong = CallTool("sqlite_query", sql="SELECT count(*) FROM pengins WHERE species = 'Gentoo'")
    small, strong = models(wrong, CallTool("sqlite_query", sql=SQL), "124")
    answer = await asked((small, strong), PENGUINS)
    assert answer["answer"] == "124"
    assert "penguins" in results(small)[0]


async def test_nothing_can_be_changed(tmp_path):
    path = database(tmp_path / "a.db", "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (1)")
    small, strong = models(
        CallTool("sqlite_query", sql="DELETE FROM t"), CallTool("sqlite_query", sql="SELECT x FROM t"), "1"
    )
    await asked((small, strong), path)
    assert "SELECT" in results(small)[0]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)


async def test_every_table_of_a_database_is_told(tmp_path):
    path = database(tmp_path / "a.sqlite", *(f"CREATE TABLE part_{i} (größe REAL)" for i in range(5)))
    small, strong = models(CallTool("sqlite_query", sql="SELECT count(*) FROM part_4"), "0")
    assert (await asked((small, strong), path))["answer"] == "0"
    told = json.dumps(strong.requests[0], ensure_ascii=False)
    assert all(f"part_{i}" in told for i in range(5))
    assert "describe_table" not in told


async def test_what_is_too_wide_to_be_told_may_be_asked_for(tmp_path):
    columns = ", ".join(f"a_rather_long_column_name_{i} INTEGER" for i in range(110))
    path = database(tmp_path / "a.db", f"CREATE TABLE wide ({columns})")
    small, strong = models(CallTool("describe_table", table="wide"), "110 columns", tool="describe_table")
    assert (await asked((small, strong), path))["answer"] == "110 columns"
    assert "a_rather_long_column_name_109" in results(small)[0]
    assert len(json.dumps(strong.requests[0])) < 12_000


async def test_without_a_file_it_says_what_to_give():
    async with scripted_app(*models()) as app:
        with pytest.raises(AgentError, match=r"needs a table to read: give --data FILE \(\.csv"):
            load_agent("analyst").build(app)


@pytest.mark.parametrize(("name", "content"), [("none.csv", None), ("a.db", b"no database"), ("empty.csv", b"")])
async def test_a_file_that_holds_no_table_is_told_by_its_path(name, content, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    async with scripted_app(*models()) as app:
        with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
            load_agent("analyst").build(app, data=path)
