"""What is written otherwise within functions: their annotations, names bound again, causes of errors, drafts."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest

from tests.native.conftest import Load, Translated

HINTS = '''"""Annotations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, TypeGuard

from elsewhere import Other

Kind: TypeAlias = Literal["a", "b"]
Kinds: TypeAlias = Iterable[Kind]
Again: TypeAlias = "Iterable[Again]"


class Own:
    """A class of the package."""


def builtin(a: int, b: dict[str, Own], *c: str, d: bool | None = None, **e: float) -> list[Own]: ...
def quoted(a: "int", b: "Own") -> "str": ...
def behind(a: Kind, b: Kinds, c: Mapping[Kind, Own]) -> Kinds: ...
def stays(a: Own, b: Other | None, c: Iterable[Own], d: Again, e: object) -> Own: ...
def says(a: object) -> TypeGuard[int]: ...
def pair(a: Own) -> tuple[Own, int]: ...
def many(a: Own) -> tuple[Own, ...]: ...
def both(a: int, /, b: Own, *, c: bytes) -> None: ...
'''
ANY = "_native_any"


def hints(text: str) -> dict[str, list[str]]:
    """The annotations of each function, the result's last."""
    found: dict[str, list[str]] = {}
    for one in ast.parse(text).body:
        if isinstance(one, ast.FunctionDef):
            given = one.args
            rest = [each for each in (given.vararg, given.kwarg) if each]
            arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest]
            noted = [*(each.annotation for each in arguments), one.returns]
            found[one.name] = [ast.unparse(each) for each in noted if each]
    return found


def test_built_in_types_are_opened_and_others_stay(translated: Translated) -> None:
    found = hints(translated(HINTS))
    assert (found["builtin"], found["behind"]) == ([ANY] * 6, [ANY] * 4)
    assert found["quoted"] == [ANY, "'Own'", ANY]
    assert found["stays"] == ["Own", "Other | None", "Iterable[Own]", "Again", "object", "Own"]
    assert found["both"] == [ANY, "Own", ANY, "None"]


def test_a_pair_keeps_how_many_it_has_and_a_guard_what_it_says(translated: Translated) -> None:
    found = hints(translated(HINTS))
    assert (found["pair"][1], found["many"][1]) == (f"tuple[{ANY}, {ANY}]", ANY)
    assert found["says"][1] == "TypeGuard[int]"


def test_loose_types_are_opened_like_built_in_ones(translated: Translated) -> None:
    assert hints(translated(HINTS, loose=["Other"]))["stays"][:3] == ["Own", ANY, "Iterable[Own]"]


def test_typed_keeps_all_annotations_as_they_are_written(translated: Translated) -> None:
    assert hints(translated(HINTS, typed=True, loose=["Other"])) == hints(HINTS)


FIELDS = '''"""Fields."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Own:
    """A class of the package."""

    count: int
    next: Own | None = None
'''


def test_fields_are_opened_as_arguments_are(translated: Translated) -> None:
    made, kept = translated(FIELDS), translated(FIELDS, typed=True)
    assert "count: _native_any, next: Own | None = None" in made
    assert "\n    count: _native_any\n    next: Own | None\n" in made
    assert "count: int, next: Own | None = None" in kept
    assert "\n    count: int\n    next: Own | None\n" in kept


BOUND = '''"""Names."""

from __future__ import annotations


def bound(given: int, names: list[str]) -> object:
    once = 1
    twice = ""
    twice = 2
    looped = None
    for looped in names:
        pass
    given = 3
    known: int = 1
    known = 2
    counted = 0
    counted += 1
    taken = names
    taken = 3
    left, right = 1, 2
    left = None

    def within() -> object:
        once = None
        once = 3
        return once

    return (twice, looped, given, known, counted, taken, left, right, within())
'''


def widened(text: str) -> list[tuple[str, int]]:
    found = [one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.AnnAssign)]
    noted = [(ast.unparse(one.target), one.lineno) for one in found if ast.unparse(one.annotation) == ANY]
    return sorted(noted, key=lambda one: one[1])


def test_a_name_that_is_bound_again_is_of_any_type_from_its_first_value_on(translated: Translated) -> None:
    assert widened(translated(BOUND)) == [("twice", 8), ("looped", 10), ("once", 24)]
    assert widened(translated(BOUND, typed=True)) == widened(translated(BOUND))


def test_names_bound_again_have_their_last_values(either: Load) -> None:
    assert either(BOUND).bound(0, ["a"]) == (2, "a", 3, 2, 1, 3, None, 2, 3)


RAISED = '''"""Causes."""

from __future__ import annotations


def caused(first: Exception) -> None:
    raise ValueError("second") from first


def made(first: Exception) -> None:
    raise ValueError from first


def hidden() -> None:
    try:
        raise KeyError("first")
    except KeyError:
        raise ValueError(
            "second",
        ) from None


def again() -> None:
    try:
        raise KeyError("first")
    except KeyError:
        raise


def plain() -> None:
    try:
        raise KeyError("first")
    except KeyError:
        raise ValueError("second")
'''


def raised(call: Callable[..., None], *given: object) -> BaseException:
    with pytest.raises((KeyError, ValueError)) as found:
        call(*given)
    return found.value


def test_an_error_keeps_its_cause(either: Load) -> None:
    module, first = either(RAISED), KeyError("first")
    for call in (module.caused, module.made):
        error = raised(call, first)
        assert (type(error), error.__cause__) == (ValueError, first)


def test_an_error_from_none_hides_what_it_was_raised_in(either: Load) -> None:
    module = either(RAISED)
    hidden, plain = raised(module.hidden), raised(module.plain)
    assert (hidden.__cause__, hidden.__suppress_context__) == (None, True)
    assert (plain.__suppress_context__, type(plain.__context__), type(raised(module.again))) == (
        False,
        KeyError,
        KeyError,
    )


def test_a_cause_is_set_before_the_error_is_raised_which_the_compiler_leaves_out(translated: Translated) -> None:
    raising = [one for one in ast.walk(ast.parse(translated(RAISED))) if isinstance(one, ast.Raise)]
    assert all(one.cause is None for one in raising)
    assert "raise _native_caused(ValueError('second'), first)" in map(ast.unparse, raising)


DRAFT = '''"""A draft becomes a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A place."""

    x: int
    y: int = 0


class _Draft:
    """Its fields, set one by one."""


def point(x: int) -> Point:
    double = 2 * x
    draft = _Draft()
    draft.x = x
    draft.y = double
    draft.__class__ = Point
    return draft
'''


def test_a_draft_whose_class_is_set_is_made_by_the_constructor(either: Load) -> None:
    module = either(DRAFT)
    point = module.point(2)
    assert (point, type(point)) == (module.Point(2, 4), module.Point)


def test_a_draft_keeps_its_lines(translated: Translated) -> None:
    given, made = DRAFT.split("\n"), translated(DRAFT).split("\n")
    assert made[given.index("    draft = _Draft()")] == "    return Point("
    assert made[given.index("    draft.y = double")] == "    y=double,"
    assert made[given.index("    return draft")].strip() == ""
