"""A dataclass that was made a plain class, and at import given what it had: all is expected of it as before."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from tests.native.conftest import Load

POINT = '''"""Points."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Unit:
    """What it is counted in."""

    name: str = "m"


@dataclass(frozen=True, order=True)
class Point:
    """A place."""

    x: int
    y: int = 2
    unit: Unit = Unit("km")
    names: list[str] = field(default_factory=list, compare=False)
    seen: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def moved(self, by: int) -> Point:
        return Point(self.x + by, self.y)


@dataclass(frozen=True)
class Named(Point):
    """A place with a name."""

    y: int = 3
    name: str = "here"


@dataclass
class Tally:
    """It counts."""

    count: int = 0
    double: int = field(init=False)
    notes: dict[str, int] = field(default_factory=lambda: {"made": 1})

    def __post_init__(self) -> None:
        self.double = 2 * self.count


@dataclass
class Later(Tally):
    """It counts with a name."""

    name: str = ""


@dataclass(eq=False)
class Alone:
    """Equal to itself alone."""

    x: int


@dataclass(frozen=True)
class Own:
    """It says itself what it equals."""

    x: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own) and self.x % 10 == other.x % 10

    def __hash__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return "<own>"


@dataclass
class Nothing:
    """It has no field."""


class Late:
    """It has none of it."""
'''


@pytest.fixture
def made(either: Load) -> Any:
    return either(POINT)


def test_a_constructor_takes_fields_by_place_and_by_name_and_knows_their_defaults(made: Any) -> None:
    point = made.Point(1)
    assert (point.x, point.y, point.unit.name, point.names, point.seen) == (1, 2, "km", [], ())
    point = made.Point(1, 5, names=["a"], seen=("b",), unit=made.Unit())
    assert (point.y, point.unit.name, point.names, point.seen) == (5, "m", ["a"], ("b",))
    with pytest.raises(TypeError, match="x"):
        made.Point()
    assert made.Nothing() == made.Nothing()


def test_a_default_is_made_once_and_what_a_factory_makes_each_time(made: Any) -> None:
    one, other = made.Point(1), made.Point(1)
    assert one.unit is other.unit
    assert one.names is not other.names
    assert made.Tally().notes == {"made": 1}
    assert made.Tally().notes is not made.Tally().notes
    assert made.Tally(notes={}).notes == {}


def test_what_follows_the_constructor_is_called_also_where_it_is_inherited(made: Any) -> None:
    assert made.Tally(4).double == 8
    assert made.Later(5, name="a").double == 10
    with pytest.raises(TypeError, match="double"):
        made.Tally(double=3)


def test_inherited_fields_keep_their_order_and_take_the_later_default(made: Any) -> None:
    named = made.Named(1)
    assert [one.name for one in dataclasses.fields(named)] == ["x", "y", "unit", "names", "seen", "name"]
    assert (named.y, named.name) == (3, "here")
    assert isinstance(named, made.Point)
    assert made.Named.__annotations__ == {"y": "int", "name": "str"}


def test_values_are_equal_by_their_fields_within_one_class(made: Any) -> None:
    assert made.Point(1) == made.Point(1, names=["not compared"])
    assert made.Point(1) != made.Point(2)
    assert made.Point(1, 3) != made.Named(1)
    assert made.Point(1) != 1
    assert made.Point(1) in [0, made.Point(1)]
    assert made.Alone(1) != made.Alone(1)


def test_a_frozen_value_has_a_hash_and_another_has_none(made: Any) -> None:
    assert len({made.Unit("a"), made.Unit("a"), made.Unit("b")}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(made.Tally())
    assert hash(made.Alone(1))


def test_what_a_class_says_of_itself_by_hand_stays(made: Any) -> None:
    assert (made.Own(1) == made.Own(11), hash(made.Own(1)), repr(made.Own(1))) == (True, 7, "<own>")


def test_a_value_is_shown_with_its_fields(made: Any) -> None:
    assert repr(made.Point(1)) == "Point(x=1, y=2, unit=Unit(name='km'), names=[])"
    assert repr(made.Named(1)) == "Named(x=1, y=3, unit=Unit(name='km'), names=[], name='here')"


def test_values_with_an_order_are_sorted_and_others_are_not(made: Any) -> None:
    one, two = made.Point(1, 9), made.Point(2)
    assert one < two
    assert (one <= one, two > one, two >= two) == (True, True, True)
    with pytest.raises(TypeError):
        _ = made.Unit("a") < made.Unit("b")


def test_dataclasses_own_functions_know_the_class(made: Any) -> None:
    point = made.Point(1, names=["a"])
    assert dataclasses.replace(point, y=7) == made.Point(1, 7)
    assert dataclasses.asdict(point)["names"] == ["a"]
    assert dataclasses.is_dataclass(made.Point)
    assert not dataclasses.is_dataclass(made.Late)
    names = dataclasses.fields(made.Point)[3]
    assert (names.type, names.default_factory, names.compare) == ("list[str]", list, False)
    assert made.Point.__dataclass_params__.frozen


def test_a_frozen_value_says_which_field_was_to_be_changed(made: Any) -> None:
    point = made.Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.other = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.Named(1).name = "there"
    assert point.x == 1
    tally = made.Tally()
    tally.count = 3
    assert tally.count == 3


def test_a_class_made_from_a_frozen_one_may_set_what_is_no_field(made: Any) -> None:
    class Marked(made.Point):
        def __init__(self, x: int) -> None:
            super().__init__(x)
            self.mark = "set"

    marked = Marked(1)
    marked.mark = "again"
    assert (marked.x, marked.mark) == (1, "again")
    del marked.mark
    with pytest.raises(dataclasses.FrozenInstanceError):
        marked.x = 2


def test_values_are_pickled_and_copied(made: Any) -> None:
    for value in (made.Point(1, names=["a"]), made.Named(1), made.Tally(3)):
        for again in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
            assert again == value
            assert again is not value
            assert again.__class__ is value.__class__
    point = made.Point(1, names=["a"])
    assert copy.copy(point).names is point.names
    assert copy.deepcopy(point).names is not point.names


def test_a_value_is_matched_by_place(made: Any) -> None:
    match made.Point(1, 4):
        case made.Point(1, y):
            assert y == 4
        case _:
            pytest.fail("it was not matched")
    assert made.Named.__match_args__ == ("x", "y", "unit", "names", "seen", "name")


def test_a_class_keeps_its_text_and_says_that_it_has_slots(made: Any) -> None:
    assert made.Point.__doc__ == "A place."
    assert made.Unit.__slots__ == ("name",)
    assert made.Point.__module__ == made.__name__


def test_a_class_others_are_made_from_has_no_slots(load: Load) -> None:
    translated = load(POINT)
    assert not hasattr(translated.Point, "__slots__")
    assert translated.Named.__slots__ == ("y", "name")
