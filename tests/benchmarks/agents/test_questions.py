"""Questions: read with their answers, and refused with the line that is wrong."""

from __future__ import annotations

import json
import re
import runpy
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks.agents import command
from benchmarks.agents.questions import Question, read_questions
from benchmarks.agents.shop import write_shop
from orchestra.errors import ConfigError
from orchestra.toolbox.data import open_data

OWN = command.HERE / "questions.jsonl"
PENGUINS = command.ROOT / "examples" / "data" / "penguins.csv"
SHOP = "cbb63c38b40b2636"  # sha256 of its rows
GENTOO = {"question": "How many Gentoo?", "sql": "SELECT count(*) FROM penguins WHERE species = 'Gentoo'"}


def written(folder: Path, *lines: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines), encoding="utf-8")
    return path


def read(path: Path, data: Path = PENGUINS) -> list[Question]:
    return read_questions(path, lambda name: data)


def own(tmp_path: Path) -> list[Question]:
    sets = {"penguins": PENGUINS, "shop": write_shop(tmp_path / "shop.sqlite")}
    return read_questions(OWN, sets.__getitem__)


def test_the_benchmark_asks_at_least_sixty_questions_from_easy_to_hard_over_two_sources(tmp_path):
    questions = own(tmp_path)
    assert len(questions) == len({one.text for one in questions}) >= 60
    assert Counter((one.level, one.data.stem) for one in questions) == {
        (level, source): 12 for level in ("easy", "medium", "hard") for source in ("penguins", "shop")
    }


def test_every_question_of_the_benchmark_has_one_answer(tmp_path):
    for one in own(tmp_path):
        assert one.expected.rows, one.id
        assert all(number >= 0 for number in one.expected.numbers), one.id  # no sign to argue about


def test_no_first_place_of_the_benchmark_is_shared(tmp_path):
    """A question for the most or the least has no tie at the edge of its LIMIT."""
    sets = {"penguins": open_data(PENGUINS), "shop": open_data(write_shop(tmp_path / "shop.sqlite"))}
    seen = 0
    for line in map(json.loads, OWN.read_text(encoding="utf-8").splitlines()):
        if ranked := re.search(r"ORDER BY (.+?)( DESC)? LIMIT (\d+)$", line["sql"]):
            by, last = ranked[1], int(ranked[3])
            more = f"SELECT {by}, {line['sql'][7 : ranked.start(3)]}{last + 1}".replace("GROUP BY 1", "GROUP BY 2")
            rows = sets[line["data"]].select(more).rows
            assert rows[last - 1][0] != rows[last][0], line["id"]
            seen += 1
    assert seen >= 10


def test_the_shop_is_the_same_whenever_and_wherever_it_is_made(tmp_path):
    with closing(sqlite3.connect(write_shop(tmp_path / "shop.sqlite"))) as connection:
        tables = ["customers", "products", "orders", "items"]
        rows = [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]
    assert [len(one) for one in rows] == [60, 18, 420, 1060]
    assert sha256(repr(rows).encode()).hexdigest().startswith(SHOP), "recorded answers and the docs rest on it"


def test_the_shop_is_written_by_its_script(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["shop.py", str(tmp_path / "shop.sqlite")])
    runpy.run_path(str(command.HERE / "shop.py"), run_name="__main__")
    assert (tmp_path / "shop.sqlite").stat().st_size > 0


def test_a_line_needs_only_a_question_and_its_sql(tmp_path):
    one, other = read(written(tmp_path, GENTOO, "", GENTOO | {"id": "second", "level": "easy"}))
    assert (one.id, one.level, one.text, one.right) == ("q1", "unrated", "How many Gentoo?", [[124]])
    assert (other.id, other.level, other.digest) == ("second", "easy", one.digest)


def test_the_other_names_of_a_column_contradict(tmp_path):
    sql = "SELECT species FROM penguins GROUP BY species ORDER BY count(*) DESC LIMIT 1"
    (one,) = read(written(tmp_path, {"question": "Which species has most?", "sql": sql}))
    assert one.expected.names == ("Adelie",)
    assert one.expected.rivals == {"Chinstrap", "Gentoo"}


def test_a_single_letter_does_not_contradict_for_it_stands_anywhere(tmp_path):
    (tmp_path / "marks.csv").write_text("grade,n\na,1\nB2,5\n", encoding="utf-8")
    line = {"question": "Which grade is most frequent?", "sql": "SELECT grade FROM marks ORDER BY n DESC LIMIT 1"}
    (one,) = read(written(tmp_path, line), tmp_path / "marks.csv")
    assert one.expected.rivals == frozenset()


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path):
    (one,) = read(written(tmp_path, json.dumps(GENTOO | {"question": "How\u2028many?"}, ensure_ascii=False)))
    assert one.text == "How\u2028many?"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["{"], "mine.jsonl, line 1: is not JSON: .*; one object a line is expected"),
        ([GENTOO, "[1]"], "line 2: is list, not an object"),
        ([{"question": "Why?"}], "line 1: needs 'sql' as a text; it has question"),
        ([{"sql": " ", "question": "Why?"}], "line 1: needs 'sql' as a text"),
        ([{}], "line 1: needs 'question' as a text; it has nothing"),
        (["", " "], "holds no question; expected lines like"),
        ([GENTOO | {"id": "a"}, GENTOO | {"id": "a"}], "line 2: question 'a' stands in line 1 too; rename one"),
        ([GENTOO | {"sql": "SELECT specie FROM penguins"}], "line 1: question 'q1': its SQL fails: .*specie"),
        ([GENTOO | {"sql": "DROP TABLE penguins"}], "question 'q1': its SQL fails"),
        ([GENTOO | {"sql": "SELECT * FROM penguins"}], "question 'q1': its SQL fails: it gives more than 50 rows"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(lines, fault, tmp_path):
    with pytest.raises(ConfigError, match=fault):
        read(written(tmp_path, *lines))


def test_every_question_whose_sql_fails_is_told_at_once(tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)question 'q1'.*question 'q3'"):
        read(written(tmp_path, GENTOO | {"sql": "SELECT a"}, GENTOO, GENTOO | {"sql": "SELECT b"}))


def test_files_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(ConfigError, match="jsonl: the questions cannot be read: No such file"):
        read(tmp_path / "none.jsonl")
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b'{"question": "\xff"}')
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 14; save it as UTF-8"):
        read(latin)
    with pytest.raises(ConfigError, match="db: there is no such file"):
        read(written(tmp_path, GENTOO), tmp_path / "none.db")
