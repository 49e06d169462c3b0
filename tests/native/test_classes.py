"""How classes are marked for the compiler, and properties that keep their value without a `__dict__`."""

from __future__ import annotations

import ast

import pytest

from tests.native.conftest import Load, Translated

CLASSES = '''"""Classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


class Names(dict[str, int]):
    """A dict."""

    @cached_property
    def most(self) -> int:
        """The most."""
        return max(self.values())


# a comment above it
class Watched:
    """Weak references are made to it."""


class Open:
    """It may hold anything."""

    __slots__ = ["a", "__dict__"]


class Closed:
    """A tuple of slots is known to the compiler."""

    __slots__ = ("a",)


class Plain:
    """It is compiled."""


@dataclass(frozen=True)
class Base:
    """Another is made from it."""

    x: int


@dataclass(frozen=True)
class Last(Base):
    """None is made from it."""

    y: int


class Shown:
    """No value."""


@dataclass
class Both(Shown):
    """A value with a base that is none."""

    z: int
'''


def test_classes_the_compiler_cannot_hold_are_marked_interpreted(translated: Translated) -> None:
    tree = ast.parse(translated(CLASSES, weak=["Watched"]))
    marks = {one.name: list(map(ast.unparse, one.decorator_list)) for one in tree.body if isinstance(one, ast.ClassDef)}
    interpreted = ["_native_attr(native_class=False)"]
    assert {name for name, found in marks.items() if found == interpreted} == {"Names", "Watched", "Open"}
    assert marks["Plain"] == marks["Closed"] == marks["Base"] == []
    assert marks["Last"] == ["_native_final"]


def test_a_value_comes_from_the_class_that_compares_as_it_finds_at_import(translated: Translated) -> None:
    tree = ast.parse(translated(CLASSES))
    bases = {one.name: list(map(ast.unparse, one.bases)) for one in tree.body if isinstance(one, ast.ClassDef)}
    assert bases["Base"] == bases["Shown"][:1] == ["_native_Value"]
    assert (bases["Last"], bases["Both"], bases["Plain"]) == (["Base"], ["Shown"], [])


def test_an_interpreted_class_keeps_its_cached_property(load: Load) -> None:
    module = load(CLASSES, weak=["Watched"])
    names = module.Names(a=1, b=4)
    assert names.most == 4
    assert vars(names) == {"most": 4}


KEPT = '''"""A property that is worked out once."""

from __future__ import annotations

from functools import cached_property


class Counted:
    """It counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = [0]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Its names."""
        self.asked.append(1)
        return ("a", "b")

    @cached_property
    def first(
        self,
    ) -> str:
        """The first of them."""
        return self.names[0]
'''


def test_a_cached_property_is_worked_out_once_for_each_object(either: Load) -> None:
    module = either(KEPT)
    one, other = module.Counted(), module.Counted()
    assert one.asked == [0]
    assert (one.first, one.names, one.names is one.names) == ("a", ("a", "b"), True)
    assert (one.asked, other.asked) == ([0, 1], [0])
    assert other.names == ("a", "b")


def test_a_cached_property_is_a_property_for_the_compiler(load: Load) -> None:
    module = load(KEPT)
    assert isinstance(module.Counted.names, property)
    with pytest.raises(AttributeError):
        module.Counted().names = ()
    assert module.Counted._work_first.__code__.co_firstlineno == KEPT.split("\n").index("    def first(") + 1
