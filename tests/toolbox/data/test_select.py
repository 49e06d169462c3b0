"""One SELECT, read-only: what is refused, what is limited, and how a fault is told."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from orchestra.toolbox import ToolRejected
from orchestra.toolbox.data import Data, open_data


@pytest.fixture
def data(tmp_path: Path) -> Data:
    path = tmp_path / "zoo.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE penguins(species TEXT, body_mass INTEGER, "odd name" TEXT);
            INSERT INTO penguins VALUES ('Adelie', 3700, 'a'), ('Gentoo', 5076, 'b'), (NULL, NULL, NULL);
            CREATE TABLE islands(island TEXT);
            """
        )
    return open_data(path)


def refused(data: Data, sql: str, **limits: float) -> str:
    with pytest.raises(ToolRejected) as caught:
        data.select(sql, **limits)
    return str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE penguins",
        "INSERT INTO penguins VALUES ('x', 1, 'y')",
        "UPDATE penguins SET body_mass = 0",
        "DELETE FROM penguins",
        "CREATE TEMP TABLE x(y)",
        "ATTACH DATABASE 'other.db' AS other",
        "PRAGMA table_info(penguins)",
        "PRAGMA writable_schema = 1",
        "SELECT * FROM pragma_database_list",
        "SELECT load_extension('x')",
        "VACUUM INTO 'copy.db'",
        "BEGIN",
        "WITH x AS (SELECT 1) DELETE FROM penguins",
    ],
)
def test_nothing_but_reading_is_allowed(data: Data, sql: str) -> None:
    before = data.file.read_bytes()
    assert refused(data, sql).startswith("only reading is allowed: write one SELECT")
    assert data.file.read_bytes() == before
    assert [item.name for item in data.file.parent.iterdir()] == ["zoo.sqlite"]


@pytest.mark.parametrize("sql", ["", "-- nothing", ";"])
def test_a_text_without_select_is_told(data: Data, sql: str) -> None:
    assert refused(data, sql) == "there is no SELECT in it; write one SELECT statement"


def test_a_second_statement_is_refused(data: Data) -> None:
    assert refused(data, "SELECT 1; SELECT 2").startswith("only one statement at a time")
    assert data.select("SELECT 1;").rows == ((1,),)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT weight FROM penguins", "SQL error: no such column: weight; known: "),
        ("SELECT body_mas FROM penguins", "no such column: body_mas; nearest: body_mass; known: "),
        ("SELECT p.Specie FROM penguins p", "no such column: p.Specie; nearest: species; known: "),
        (
            "SELECT species FROM (SELECT 1)",
            "no such column: species; species is a column of penguins: name it in FROM or JOIN, under its own alias; ",
        ),
        (
            "SELECT p.Species FROM (SELECT 1) p",
            "no such column: p.Species; Species is a column of penguins: name it in FROM or JOIN, ",
        ),
        (
            "SELECT YEAR(species) FROM penguins",
            "no such function: YEAR; SQLite has strftime('%Y', day) for it; known: ",
        ),
        ("SELECT MOOD(species) FROM penguins", "no such function: MOOD; known: "),
        (
            "SELECT species FROM penguins ORDER BY COUNT(*)",
            "misuse of aggregate: COUNT(); to filter or sort by it, GROUP BY a column first; ",
        ),
        ("SELECT * FROM penguin", "no such table: penguin; nearest: penguins; known: "),
        ("SELEC 1", 'SQL error: near "SELEC": syntax error; known: '),
        ("SELECT '\0'", "SQL error: the query contains a null character; known: "),
        ("SELECT hex(zeroblob(60000000))", "SQL error: string or blob too big"),
    ],
)
def test_a_fault_is_told_with_the_nearest_name_and_all_that_is_known(data: Data, sql: str, told: str) -> None:
    text = refused(data, sql)
    assert told in text
    assert "penguins(species TEXT, body_mass INTEGER, odd name TEXT)" in text


def test_a_lone_surrogate_in_the_query_is_refused(data: Data) -> None:
    assert "SQL error: " in refused(data, "SELECT '\ud800'")


def test_what_is_known_of_a_wide_table_is_kept_short(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"column_{i}" for i in range(500)) + "\n")
    assert len(refused(open_data(path), "SELECT nothing_like_it FROM wide")) < 1_700


@pytest.mark.parametrize(
    ("sql", "near"),
    [
        ('SELECT AVG("body mas") FROM penguins', "; nearest: body_mass; text goes into single quotes"),
        ("SELECT COUNT(*) FROM penguins WHERE \"specis\" = 'Adelie'", "; nearest: species; "),
        ("SELECT 1 WHERE 'Adelie' IN (\"Adelie\")", "; text goes into single quotes"),
    ],
)
def test_an_unknown_name_in_double_quotes_is_not_taken_for_text(data: Data, sql: str, near: str) -> None:
    text = refused(data, sql)
    assert "in double quotes must be a column or table, and there is none" + near in text


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ('SELECT COUNT(*) FROM penguins WHERE species = "Adelie"', ((1,),)),
        ('SELECT COUNT(*) FROM penguins WHERE species LIKE"ad%"', ((1,),)),
        ('SELECT COUNT("odd name"), SUM("BODY_MASS") FROM "penguins"', ((2, 8776),)),
        ('SELECT COUNT(*) AS "how many" FROM penguins ORDER BY "how many"', ((3,),)),
        ('SELECT \'"nobody"\' -- "knows"', (('"nobody"',),)),
        ("SELECT /* \"this\" */ 'it''s \"fine\"'", (('it\'s "fine"',),)),
    ],
)
def test_double_quotes_are_good_for_names_and_compared_text(data: Data, sql: str, rows: object) -> None:
    assert data.select(sql).rows == rows


def test_rows_are_limited_and_said_to_be(data: Data) -> None:
    assert data.select("SELECT species FROM penguins", rows=2).more
    whole = data.select("SELECT species FROM penguins", rows=3)
    assert (len(whole.rows), whole.more) == (3, False)


def test_time_is_limited(data: Data) -> None:
    endless = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT COUNT(*) FROM r"
    assert refused(data, endless, seconds=0.05).startswith("the query took longer than 0.05 seconds and was stopped")


def test_values_are_bound(data: Data) -> None:
    assert data.select("SELECT body_mass FROM penguins WHERE species = ?", ["Gentoo"]).rows == ((5076,),)


def test_columns_of_one_name_are_told_apart(data: Data) -> None:
    sql = "SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a"
    assert data.select(sql).columns == ("a", "a_2", "a_2_2", "a_3")


def test_text_that_is_not_utf8_is_read_with_marks(data: Data) -> None:
    assert data.select("SELECT CAST(x'61ff' AS TEXT)").rows == (("a\ufffd",),)


def test_many_threads_may_read_at_once(data: Data) -> None:
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda n: data.select("SELECT ? + COUNT(*) FROM penguins", [n]).rows[0][0], range(100)))
    assert found == [n + 3 for n in range(100)]


def test_a_file_that_has_gone_is_told(data: Data) -> None:
    data.file.unlink()
    assert "unable to open database file" in refused(data, "SELECT 1")
