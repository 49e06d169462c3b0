"""Every value of the package survives the way to JSON text and back, built from its own annotations."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestra.ledger.events
import orchestra.types
from orchestra.ledger.events import Event, Row, ToolStarted
from orchestra.types import (
    Action,
    Cost,
    Image,
    JsonMismatch,
    Message,
    ModelCard,
    ModelReply,
    Part,
    Plan,
    Price,
    Request,
    Settings,
    Step,
    Text,
    ToolCall,
    ToolSpec,
    Trigger,
    Usage,
    from_json,
    to_json,
)

MODULES = [orchestra.ledger.events, *(m for m in vars(orchestra.types).values() if isinstance(m, types.ModuleType))]
VALUES = sorted(
    {v for m in MODULES for v in vars(m).values() if isinstance(v, type) and dataclasses.is_dataclass(v)},
    key=lambda cls: cls.__qualname__,
)

text = st.text(max_size=8)
finite = st.floats(allow_nan=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=4,
)
SCALARS = {str: text, int: st.integers(), float: finite, bool: st.booleans(), type(None): st.none(), Any: plain}


def values(hint: Any) -> st.SearchStrategy[Any]:
    if hint in SCALARS:
        return SCALARS[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values, args))
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        if args[-1] is Ellipsis:
            return st.lists(values(args[0]), max_size=2).map(tuple)
        return st.tuples(*map(values, args))
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(text, values(args[1]), max_size=2)
    if issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    return instances(hint)


def instances(cls: type) -> st.SearchStrategy[Any]:
    of = typing.get_type_hints(cls)
    hints = {field.name: of[field.name] for field in dataclasses.fields(cls)}
    built = st.builds(lambda **given: given, **{name: values(hint) for name, hint in hints.items()})
    if {"data", "url"} <= hints.keys():  # exactly one of them is allowed
        built = built.map(lambda given: given | {"url": None, "data": given["data"] or ""})
    if cls is Request:  # senseless settings are refused
        sensible = {"settings": Settings(1, "low"), "temperature": 0.5, "stop": ("END",)}
        built = built.map(lambda given: given | sensible)
    return built.map(lambda given: cls(**given))


def through_text(value: object) -> object:
    return json.loads(json.dumps(to_json(value), allow_nan=False))


def test_the_list_of_value_types_is_complete() -> None:
    exported = {v for name in orchestra.types.__all__ if dataclasses.is_dataclass(v := getattr(orchestra.types, name))}
    assert exported <= set(VALUES)
    assert set(get_args(Event)) | {Row} <= set(VALUES)


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)
def test_every_value_type_comes_back_from_json_text_as_it_was(cls: type) -> None:
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(instances(cls))
    def round_trip(value: object) -> None:
        assert from_json(cls, through_text(value)) == value

    round_trip()


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)
def test_every_value_type_is_frozen_slotted_and_refuses_unknown_keys(cls: type) -> None:
    assert cls.__dataclass_params__.frozen
    assert "__slots__" in vars(cls)
    with pytest.raises(JsonMismatch, match="nonsense"):
        from_json(cls, {"nonsense": 1})


def test_a_union_is_read_back_by_its_type() -> None:
    for part in (Text("a"), ToolCall("1", "f", None, raw="{"), Image("image/png", url="u")):
        assert from_json(Part, through_text(part)) == part


@pytest.mark.parametrize("number", [math.inf, -math.inf])
def test_an_infinite_number_comes_back(number: float) -> None:
    assert from_json(Price, through_text(Price(number, 1.0))) == Price(number, 1.0)


def test_not_a_number_comes_back() -> None:
    usd = from_json(Cost, through_text(Cost(math.nan))).usd
    assert usd is not None
    assert math.isnan(usd)


def test_not_a_number_inside_free_json_becomes_its_name() -> None:
    assert through_text(ToolCall("1", "f", {"x": [math.nan]}))["arguments"] == {"x": ["nan"]}


def test_a_whole_number_is_good_where_a_float_is_expected() -> None:
    price = from_json(Price, {"input": 1, "output": 2})
    assert price == Price(1.0, 2.0)
    assert isinstance(price.input, float)


def test_enums_are_written_as_their_value() -> None:
    assert to_json(Action.wider_window) == "wider_window"
    assert type(to_json(Trigger.empty)) is str


def test_keys_left_out_take_their_defaults() -> None:
    assert from_json(Plan, {"task": "t", "steps": [{"id": "a"}]}) == Plan("t", (Step("a"),))


def test_the_type_tag_may_be_left_out_where_only_one_type_fits() -> None:
    assert from_json(Text, {"text": "a"}) == Text("a")


@pytest.mark.parametrize(
    ("cls", "data", "told"),
    [
        (Plan, [], r"Plan: expected an object, got \[\]"),
        (Plan, {"task": "t"}, "Plan: missing or unknown keys steps; known: task, steps, flags"),
        (Plan, {"task": "t", "steps": {}}, "Plan.steps: expected an array, got {}"),
        (Plan, {"task": "t", "steps": [{"id": 1}]}, r"Plan.steps\[0\].id: expected str, got 1"),
        (Step, {"id": "a", "critical": 1}, "Step.critical: expected bool, got 1"),
        (Step, {"id": "a", "metadata": []}, "Step.metadata: .* fits none|Step.metadata: expected an object"),
        (Step, {"id": "a", "difficulty": "tough"}, "Step.difficulty: .*'tough'"),
        (ModelReply, {"parts": [{"type": "noise"}], "finish": "stop"}, r"parts\[0\]: .*told apart by type: text, "),
        (ModelReply, {"parts": [], "finish": "stop", "usage": {"input": True}}, "usage.input: expected int, got True"),
        (Price, {"input": 10**400, "output": 1}, "Price.input: expected float"),
        (Price, {"input": "1", "output": 1}, "Price.input: expected float, got '1'"),
        (Price, {"input": True, "output": 1}, "Price.input: expected float, got True"),
        (Trigger, "emtpy", "Trigger: 'emtpy' is not one of .*empty"),
        (Text, {"type": "image", "text": ""}, "Text: expected type 'text', got 'image'"),
        (Image, {"media_type": "image/png"}, "Image: Image: give exactly one of data .* and url"),
        (tuple[str, str], ["a"], "expected 2 items, got 1"),
        (Message, {"role": ["user"], "parts": []}, "Message.role: expected one of 'system', 'user'"),
        (ModelCard, {"x" * 80: 1}, "missing or unknown keys base|missing or unknown keys"),
        (Part, "x" * 100, r"value: 'x{56}\.\.\. fits none"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(cls: Any, data: object, told: str) -> None:
    with pytest.raises(JsonMismatch, match=told):
        from_json(cls, data)


def test_what_is_no_value_is_refused_on_the_way_out() -> None:
    with pytest.raises(TypeError, match="to_json: set is not a value"):
        to_json({"a": {1}})
    with pytest.raises(TypeError, match="type is not a value"):
        to_json(ToolSpec)


def test_types_that_no_value_uses_are_refused_on_the_way_in() -> None:
    with pytest.raises(TypeError, match="cannot read values of type bytes"):
        from_json(bytes, b"")
    with pytest.raises(TypeError, match="cannot read values annotated list"):
        from_json(list[str], [])


def test_of_several_plain_types_the_one_that_fits_is_read() -> None:
    assert from_json(int | str | None, "a") == "a"
    assert from_json(int | str | None, None) is None


def test_a_ledger_row_keeps_the_kind_of_its_event() -> None:
    row = Row(1, "run", "step", 0.5, ToolStarted("c", "t", arguments={"sql": "SELECT 'ü'"}))
    data = through_text(row)
    assert data["event"]["type"] == "tool_started"
    assert from_json(Row, data) == row


def test_usage_written_before_cache_writes_were_counted_is_still_read() -> None:
    old = {"input": 9, "output": 2, "cached_input": 4, "reasoning": 1}
    assert from_json(Usage, old) == Usage(9, 2, 4, 1, cache_write=0)
    assert Usage(9, cache_write=3) + Usage(1, cache_write=4) == Usage(10, cache_write=7)
