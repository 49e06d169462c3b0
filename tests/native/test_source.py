"""Where things stand in a translated module, and what is said of one that cannot be."""

from __future__ import annotations

import ast
import sys
import traceback
from pathlib import Path

import pytest

import native.support
from native.package import Package
from native.source import translate
from native.syntax import Untranslatable
from tests.native.conftest import Load, Translated

LINES = '''"""A module — of all kinds."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from dataclasses import (
    dataclass,
    field,
)
from functools import cached_property


@dataclass(
    frozen=True,
    slots=True,
)
class Wide:
    """Its mark has lines of its own."""

    names: tuple[
        str, ...
    ] = ()  # “many”
    held: dict[str, int] = field(
        default_factory=dict[str, int],
    )

    # what is counted

    @property
    def count(self) -> int:
        """How many."""
        return len(self.names)


class Kept:
    """It keeps a value."""

    @cached_property
    def found(
        self,
    ) -> int:
        """It is looked for once."""
        return 3


def down(
    count: int,
    names: dict[
        str, int
    ],
) -> list[int]:
    if not count:
        raise ValueError(
            count,
        ) from None
    return [count, *down(count - 1, names)]


async def each() -> AsyncIterator[int]:
    yield 1

    yield 2


def last() -> None:
    raise KeyError("last")
'''


def test_every_line_keeps_its_number_and_what_is_added_stands_behind_the_last(translated: Translated) -> None:
    given, made = LINES.split("\n"), translated(LINES).split("\n")
    assert len(given) - 1 == given.index("def last() -> None:") + 2
    for text in ("class Wide", "    # what is", "def down(", "    if not count", "        return len", "def last()"):
        place = next(at for at, line in enumerate(given) if line.startswith(text))
        assert made[place].startswith(text)
    assert made[len(given) - 2] == '    raise KeyError("last")'
    assert all(line.startswith("_native_") for line in made[len(given) - 1 : -1])


def test_statements_that_stay_keep_their_lines(translated: Translated) -> None:
    made = {ast.unparse(one): one.lineno for one in ast.walk(ast.parse(translated(LINES))) if isinstance(one, ast.stmt)}
    for one in ast.walk(ast.parse(LINES)):
        if isinstance(one, ast.Return) and "down" not in ast.unparse(one):
            assert made[ast.unparse(one)] == one.lineno


def test_with_their_own_types_lines_keep_their_numbers_too(translated: Translated) -> None:
    given, made = LINES.split("\n"), translated(LINES, typed=True).split("\n")
    assert made.index('    raise KeyError("last")') == given.index('    raise KeyError("last")')


@pytest.mark.parametrize(("called", "line"), [("last", "raise KeyError"), ("down", "raise ValueError(")])
def test_a_traceback_names_the_line_of_the_file(load: Load, called: str, line: str) -> None:
    module = load(LINES)
    with pytest.raises((KeyError, ValueError)) as raised:
        getattr(module, called)(*([] if called == "last" else [1, {}]))
    found = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert (Path(found.filename).name, line in LINES.split("\n")[(found.lineno or 0) - 1]) == (
        "translated_here.py",
        True,
    )


def test_support_is_imported_on_the_line_of_the_future_import(translated: Translated) -> None:
    line = translated(LINES).split("\n")[2]
    assert line.startswith("from __future__ import annotations; from orchestra._native import ")
    assert line.endswith("from orchestra._native_value import Value as _native_Value")


def test_support_is_imported_on_the_docstrings_line_where_no_future_import_stands(translated: Translated) -> None:
    assert translated('"""It."""\n\nX = 1\n').split("\n")[0].startswith('"""It."""; from orchestra._native import ')


def test_names_of_dataclasses_come_from_support_which_the_compiler_knows_no_dataclass_by(load: Load) -> None:
    module = load(LINES)
    assert module.dataclasses.__name__ in {"native.support", "orchestra._native"}
    assert module.dataclass is native.support.dataclass
    assert module.dataclasses.replace(module.Wide(), names=("a",)).count == 1


NESTED = '''"""A value within a function."""

from dataclasses import dataclass


def make() -> object:
    @dataclass
    class Inner:
        x: int

    return Inner
'''
CROWDED = '''"""A value with no room."""
from dataclasses import dataclass
@dataclass
class Full:
    x: int
    def shown(self) -> int:
        return self.x
X = 1
'''
UNSPACED = '''"""It."""

from functools import cached_property


class Full:
    """It."""
    @cached_property
    def x(self) -> int:
        return 1
'''
BASES = """@dataclass
class Base:
    x: int


"""
AMBIGUOUS = '''"""Which of them?"""

from dataclasses import dataclass

from elsewhere import Base


@dataclass
class Made(Base):
    y: int
'''


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (NESTED, "line 8: dataclass Inner is defined inside another block"),
        (CROWDED, "line 4: Full has no blank line for its constructor"),
        (
            UNSPACED,
            "line 9: x needs a blank line before it",
        ),
        ('"""It."""\nclass Full(dict):\n    """It."""\n', "line 2: Full needs a blank line before it"),
        ("X = 1\n", "a module needs a docstring, or `from __future__ import annotations`"),
    ],
)
def test_a_module_that_is_written_in_another_way_is_refused_with_the_place(
    translated: Translated, text: str, said: str
) -> None:
    with pytest.raises(Untranslatable) as raised:
        translated(text)
    assert str(raised.value) == said


def test_a_base_that_may_be_one_of_several_dataclasses_is_refused() -> None:
    mark = "from dataclasses import dataclass\n\n\n"
    package = Package([AMBIGUOUS, mark + BASES, mark + BASES])
    with pytest.raises(Untranslatable, match=r"^Made: the package has 2 dataclasses Base, and one of"):
        translate(AMBIGUOUS, package)
    assert "self.x = x; self.y = y" in translate(AMBIGUOUS, Package([AMBIGUOUS, mark + BASES]))
    assert "elsewhere" not in sys.modules
