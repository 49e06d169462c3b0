"""Questions: lines of JSON, each with the SQL whose rows are the right answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from benchmarks.agents.expected import Cell, Expected, expected
from orchestra.errors import ConfigError
from orchestra.toolbox import ToolRejected
from orchestra.toolbox.data import Data, open_data, quoted

ROWS = 50  # of a right answer; more would be no answer in words
SECONDS = 30.0
_NAMES = 1_000  # values of a column that are known as rivals of its right one


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its level, the file it is about, and what its SQL found there."""

    id: str
    level: str
    text: str
    data: Path
    expected: Expected
    digest: str

    @property
    def right(self) -> list[list[Cell]]:
        """The right answer as rows of JSON."""
        return [[*row.names, *row.numbers] for row in self.expected.rows]


def read_questions(path: Path, locate: Callable[[str], Path]) -> list[Question]:
    """The questions of a file of lines {"question", "sql"}, with "id", "level" and "data" where they are given.

    `locate` gives the data file for a line's "data" ("" where it names none). Raises ConfigError naming the file and
    line that cannot be used, or every question whose SQL fails.
    """
    opened: dict[Path, Data] = {}
    questions, faults = list[Question](), list[str]()
    for number, line in list(_lines(path)):
        where = f"{path}, line {number}: question {line['id']!r}"
        try:
            file = locate(line["data"])
        except ConfigError as fault:
            raise ConfigError(f"{where}: {fault}") from None
        data = opened.get(file) or opened.setdefault(file, open_data(file))
        try:
            right = _right(data, line["sql"])
        except ToolRejected as fault:
            faults.append(f"{where}: its SQL fails: {fault}")
            continue
        questions.append(_question(line, file, right))
    if faults:
        raise ConfigError("\n".join(faults))
    return questions


def _question(line: Mapping[str, str], file: Path, right: Expected) -> Question:
    said = json.dumps([line["question"], line["sql"], repr(right.rows)])
    return Question(line["id"], line["level"], line["question"], file, right, sha256(said.encode()).hexdigest()[:16])


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    seen: dict[str, int] = {}
    for number, text in enumerate(_read(path).split("\n"), 1):
        if not text.strip():
            continue
        line = {"id": f"q{number}", "level": "unrated", "data": ""} | _line(text, f"{path}, line {number}")
        if (earlier := seen.setdefault(line["id"], number)) != number:
            raise ConfigError(
                f"{path}, line {number}: question {line['id']!r} stands in line {earlier} too; rename one"
            )
        yield number, line
    if not seen:
        raise ConfigError(f'{path}: holds no question; expected lines like {{"question": "…", "sql": "SELECT …"}}')


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: the questions cannot be read: {error.strerror}; give --questions FILE") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8") from None


def _line(text: str, where: str) -> dict[str, str]:
    try:
        line = cast("dict[str, Any]", json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: is not JSON: {error}; one object a line is expected") from None
    if not isinstance(line, dict):  # pyright: ignore[reportUnnecessaryIsInstance]  # a file may hold anything
        raise ConfigError(f'{where}: is {type(line).__name__}, not an object with "question" and "sql"')
    given = {key: str(line[key]) for key in ("id", "level", "data") if line.get(key) is not None}
    for key in ("question", "sql"):
        value = line.get(key)
        if not isinstance(value, str) or not value.strip():
            known = ", ".join(map(str, line)) or "nothing"
            raise ConfigError(f"{where}: needs {key!r} as a text; it has {known}")
        given[key] = value.strip()
    return given


def _right(data: Data, sql: str) -> Expected:
    found = data.select(sql, rows=ROWS, seconds=SECONDS)
    if found.more:
        raise ToolRejected(f"it gives more than {ROWS} rows; ask for fewer")
    right = expected(found.rows)
    return expected(found.rows, _rivals(data, right.names)) if right.names else right


def _rivals(data: Data, names: Sequence[str]) -> Iterator[str]:
    """The other values of the text columns in which a name stands; a single letter would be found anywhere."""
    wanted = {name.casefold() for name in names}
    for table in data.tables:
        for column in table.columns:
            name = quoted(column.name)
            sql = f"SELECT DISTINCT {name} FROM {quoted(table.name)} WHERE typeof({name}) = 'text'"
            values = [str(row[0]) for row in data.select(sql, rows=_NAMES, seconds=SECONDS).rows]
            if any(value.casefold() in wanted for value in values):
                yield from (value for value in values if len(value.strip()) > 1)
