"""What a tool returns, as the JSON a model reads."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from orchestra.toolbox.result import cut, show, to_plain
from orchestra.types import Text


@dataclass
class Point:
    x: int
    when: dt.date


class Model(BaseModel):
    price: Decimal
    at: dt.datetime


class Level(enum.Enum):
    high = 3


class Pair(NamedTuple):
    a: int
    b: int


class Array:
    def tolist(self) -> list[float]:
        return [1.0, math.nan]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Point(1, dt.date(2026, 2, 1)), {"x": 1, "when": "2026-02-01"}),
        (
            Model(price=Decimal("1.10"), at=dt.datetime(2026, 2, 1, tzinfo=dt.UTC)),
            {"price": "1.10", "at": "2026-02-01T00:00:00+00:00"},
        ),
        (Level.high, 3),
        ({Level.high, Level.high}, [3]),
        ({"b", "a"}, ["a", "b"]),
        (frozenset(), []),
        ((1, (2,)), [1, [2]]),
        (Pair(1, 2), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        ({1: "a", None: "b", dt.date(2026, 2, 1): "c"}, {"1": "a", "None": "b", "2026-02-01": "c"}),
        (dt.time(1, 2), "01:02:00"),
        (dt.timedelta(hours=1), "1:00:00"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (PurePosixPath("a/b"), "a/b"),
        (Array(), [1.0, "nan"]),
        ([math.inf, -math.inf], ["inf", "-inf"]),
        (None, None),
        (True, True),
    ],
)
def test_common_values_become_plain_json(value: object, plain: object) -> None:
    assert to_plain(value) == plain
    json.dumps(to_plain(value), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (object(), "result is object, which JSON cannot say"),
        ([1, b""], r"result\[1\] is bytes"),
        ({"a": {"b": len}}, r"result.a.b is builtin_function_or_method"),
        (Model, "result is ModelMetaclass"),
        (Point, "result is type"),
        ({(1, 2): 3}, r"result has the key \(1, 2\); JSON keys are text"),
        (iter([]), "result is list_iterator"),
    ],
)
def test_what_json_cannot_say_is_named_with_its_place(value: object, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        to_plain(value)


plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(deadline=None, max_examples=50)
@given(plain_json)
def test_plain_json_stays_as_it_is(value: Any) -> None:
    assert to_plain(value) == value


@settings(deadline=None)
@given(st.text(st.characters(), max_size=60), st.integers(1, 40))
def test_a_cut_text_keeps_its_beginning_and_says_what_is_missing(text: str, limit: int) -> None:
    shown = cut(text, limit)
    clean = text.encode(errors="replace").decode()
    shown.encode()
    if len(clean) <= limit:
        assert shown == clean
    else:
        assert shown.startswith(clean[:limit])
        assert f"[cut: {len(clean) - limit} of {len(clean)} characters" in shown


def test_an_empty_list_is_json_not_nothing() -> None:
    assert show([], 10).value == []
    assert show("", 10).value == ""


def test_texts_that_end_a_line_are_no_further_line_apart() -> None:
    shown = show([Text("a\n"), Text(""), Text("bcd")], 4, "s1.1")
    assert (shown.value, shown.whole) == ("a\nbcd", "a\nbcd")
    assert [part.text.partition("\n[cut")[0] for part in shown.content if isinstance(part, Text)] == ["a\n", "", "bc"]
