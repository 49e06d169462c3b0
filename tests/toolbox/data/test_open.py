"""Opening a CSV or SQLite file: typed columns, usable names, and a clear word on what cannot be read."""

from __future__ import annotations

import gc
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import ConfigError
from orchestra.toolbox.data import Data, open_data
from orchestra.toolbox.data.names import identifiers


def csv(folder: Path, content: str | bytes, name: str = "things.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def opened(folder: Path, content: str | bytes, name: str = "things.csv") -> Data:
    return open_data(csv(folder, content, name))


def rows(data: Data, sql: str = "SELECT * FROM things") -> list[tuple[object, ...]]:
    return list(data.select(sql).rows)


def columns(data: Data) -> list[str]:
    return [str(column) for column in data.tables[0].columns]


def test_a_csv_file_becomes_a_typed_table_named_after_it(tmp_path: Path) -> None:
    data = opened(tmp_path, "name,n,x\nZoë,1,1.5\n\nBo,-2,3\n")
    assert str(data.tables[0]) == "things(name TEXT, n INTEGER, x REAL)"
    assert rows(data) == [("Zoë", 1, 1.5), ("Bo", -2, 3.0)]
    assert data.notes == ()


@pytest.mark.parametrize(
    ("cells", "kind", "seen"),
    [
        (["1", "2.5"], "REAL", [1.0, 2.5]),
        (["2.5", "1", "1e3", ".5", "-7."], "REAL", [2.5, 1.0, 1000.0, 0.5, -7.0]),
        (["007", "12"], "TEXT", ["007", "12"]),
        (["1234567890123456789"], "TEXT", ["1234567890123456789"]),
        (["1", "two", "3"], "TEXT", ["1", "two", "3"]),
        (["NA", "", "N/A", "NaN", "null", "4"], "INTEGER", [None, None, None, None, None, 4]),
        (["NA", "NULL"], "TEXT", [None, None]),
        (["1.2.3"], "TEXT", ["1.2.3"]),
        (["٣"], "TEXT", ["٣"]),
        (["inf"], "TEXT", ["inf"]),
        (["-"], "TEXT", ["-"]),
    ],
)
def test_a_column_is_of_the_narrowest_type_that_loses_nothing(
    tmp_path: Path, cells: list[str], kind: str, seen: list[object]
) -> None:
    data = opened(tmp_path, "k,v\n" + "".join(f"x,{cell}\n" for cell in cells))
    assert columns(data)[1] == f"v {kind}"
    assert [row[1] for row in rows(data)] == seen


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("a;b\n1;x, y\n", "cells are separated by semicolon"),
        ("a\tb\n1\tx, y\n", "cells are separated by tab"),
        ("a|b\n1|x, y\n", "cells are separated by bar"),
        ('a,b\n1,"x, y"\n', None),
        ('\ufeffa,b\r\n1,"x, y"\r\n', None),
        ('a,b\n1,"x, y"\n'.encode("utf-16"), "read as utf-16, since it is not UTF-8"),
        ('a, b\r1, "x, y"\r', None),
    ],
)
def test_delimiters_encodings_and_line_ends_are_found_out_and_told(
    tmp_path: Path, content: str | bytes, note: str | None
) -> None:
    data = opened(tmp_path, content)
    assert rows(data) == [(1, "x, y")]
    assert data.notes == ((note,) if note else ())


def test_windows_text_is_read_and_told(tmp_path: Path) -> None:
    data = opened(tmp_path, "name\ncafé €\n".encode("cp1252"))
    assert rows(data) == [("café €",)]
    assert data.notes == ("read as cp1252, since it is not UTF-8",)


def test_column_names_become_usable_and_every_change_is_told(tmp_path: Path) -> None:
    data = opened(tmp_path, 'Body Mass (g),order,,x,X,2020,größe,"a\nb"\n1,2,3,4,5,6,7,8\n', "my file (1).csv")
    names = ["Body_Mass_g", "order_", "column_3", "x", "X_2", "_2020", "größe", "a_b"]
    assert data.tables[0].name == "my_file_1"
    assert [column.name for column in data.tables[0].columns] == names
    assert "column 'Body Mass (g)' is named Body_Mass_g" in data.notes
    assert "column '' is named column_3" in data.notes
    assert len(data.notes) == 6
    assert data.select(f"SELECT {', '.join(names)} FROM my_file_1").rows == ((1, 2, 3, 4, 5, 6, 7, 8),)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.text(max_size=6) | st.sampled_from(["select", "from", "a", "A", "a_2", "sqlite_x", "1", "_"]), max_size=6
    )
)
def test_any_names_become_bare_identifiers_all_different(raw: list[str]) -> None:
    names = identifiers(raw, "column")
    assert len({name.casefold() for name in names}) == len(raw)
    if names:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(f"CREATE TABLE t({', '.join(names)})")
            connection.execute(f"SELECT {', '.join(names)} FROM t")


def test_a_table_without_rows_is_a_table(tmp_path: Path) -> None:
    data = opened(tmp_path, "a,b\n")
    assert columns(data) == ["a TEXT", "b TEXT"]
    assert rows(data) == []


def test_a_cell_of_ten_megabytes_is_read(tmp_path: Path) -> None:
    data = opened(tmp_path, "k,v\n1," + "x" * 10_000_000 + "\n")
    assert rows(data, "SELECT LENGTH(v) FROM things") == [(10_000_000,)]


def test_a_file_may_be_called_like_an_sql_word_or_like_nothing(tmp_path: Path) -> None:
    assert opened(tmp_path, "a\n1\n", "select.csv").tables[0].name == "select_"
    assert opened(tmp_path, "a\n1\n", "(-).csv").tables[0].name == "table_1"
    assert opened(tmp_path, "a\n1\n", "sqlite_master.csv").tables[0].name == "_sqlite_master"


def database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def test_a_sqlite_file_is_read_where_it_lies_whatever_its_ending(tmp_path: Path) -> None:
    script = "CREATE TABLE b(x INTEGER, y); CREATE VIEW a AS SELECT x FROM b; CREATE TABLE sqliteish(z TEXT)"
    for name in ("one.sqlite", "one.data"):
        path = database(tmp_path / name, script)
        data = open_data(str(path))
        assert [str(table) for table in data.tables] == ["a(x INTEGER)", "b(x INTEGER, y)", "sqliteish(z TEXT)"]
        assert data.file == path


def test_a_view_of_what_is_gone_is_left_out(tmp_path: Path) -> None:
    script = "CREATE TABLE t(x); CREATE TABLE u(x); CREATE VIEW v AS SELECT x FROM u; DROP TABLE u"
    assert [table.name for table in open_data(database(tmp_path / "a.db", script)).tables] == ["t"]


def test_the_private_copy_of_a_csv_file_goes_with_its_data(tmp_path: Path) -> None:
    data = opened(tmp_path, "a\n1\n")
    file = data.file
    assert file.exists()
    del data
    gc.collect()
    assert not file.parent.exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"", "a.csv: the file is empty; expected a table with a header line"),
        ("a.csv", b"\n\n  \n"[:2], "a.csv: the file is blank; expected a header line and rows"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", r"row 3 has 3 cells, the header has 2 \(a, b\); mend the row"),
        ("a.csv", b"a,b\n1\n", "row 2 has 1 cells, the header has 2"),
        ("a.csv", b'a,b\n"1,2\n', "a.csv: line 2: unexpected end of data"),
        ("a.csv", b'"a,b\n1,2\n', "a.csv: line 2: unexpected end of data"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "is no text table: control byte 0x1a at 6"),
        ("a.csv", b"a,b\n\x81\x8d,1\n", "neither UTF-8, UTF-16 nor Windows-1252; save it as UTF-8"),
        ("a.csv", b"\xff\xfea", "neither UTF-8, UTF-16 nor Windows-1252"),
        ("a.db", b"garbage" * 100, "a.db: is no SQLite database that can be read: file is not a database"),
        ("a.sqlite", b"SQLite format 3\0" + b"\xff" * 200, "a.sqlite: is no SQLite database"),
        ("a.xlsx", b"PK\x03\x04", "a.xlsx: no table this knows; expected one of .csv .tsv"),
        ("a.csv", ",".join(f"c{i}" for i in range(2_500)).encode(), "does not fit into a table: too many columns"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_the_place(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        opened(tmp_path, content, name)


def test_a_file_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    csv(tmp_path, "a\n", "penguins.csv")
    with pytest.raises(ConfigError, match=r"pengins.csv: there is no such file; did you mean penguins.csv\?"):
        open_data(tmp_path / "pengins.csv")
    with pytest.raises(ConfigError, match=r"there is no such file; give a file that ends in .csv"):
        open_data(tmp_path / "nowhere" / "x.csv")
    with pytest.raises(ConfigError, match="is a folder; give one file in it"):
        open_data(tmp_path)


def test_a_database_without_tables_is_told(tmp_path: Path) -> None:
    path = database(tmp_path / "a.db", "CREATE TABLE t(x); DROP TABLE t")
    with pytest.raises(ConfigError, match=r"a.db: the database has no tables"):
        open_data(path)


def test_a_file_that_cannot_be_opened_is_told_with_the_systems_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = csv(tmp_path, "a\n1\n")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        open_data(path)
