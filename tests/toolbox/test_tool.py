"""Declaring a tool: schema from the signature, texts from the docstring, faults at once and by name."""

from __future__ import annotations

import datetime as dt
import enum
import functools
import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict

import pytest
from jsonschema import Draft202012Validator
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from orchestra.errors import ToolError
from orchestra.toolbox import Tool, ToolRejected, tool
from orchestra.toolbox.typed import typed


class Colour(enum.Enum):
    red = "r"
    blue = "b"


@dataclass
class Point:
    x: int
    y: float = 0.5


class Customer(BaseModel):
    name: str
    spots: list[Point] = []


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    day: dt.date
    colour: Colour
    span: tuple[int, int]


class Row(TypedDict):
    id: int
    note: NotRequired[str]


class Loose(TypedDict, total=False):
    id: Required[int]
    rows: list[Row]


@tool(read_only=True)
def rows(sql: str) -> list[dict]:
    """Run one SELECT against the sales database.

    Args:
        sql: a single SELECT statement
    """
    return [{"sql": sql}]


def test_a_tool_is_declared_by_its_signature_and_docstring() -> None:
    assert isinstance(rows, Tool)
    assert (rows.name, rows.description) == ("rows", "Run one SELECT against the sales database.")
    assert rows.schema == {
        "type": "object",
        "properties": {"sql": {"description": "a single SELECT statement", "type": "string"}},
        "required": ["sql"],
        "additionalProperties": False,
    }


def test_flags_are_what_the_decorator_says() -> None:
    @tool(idempotent=True, needs_approval=True, timeout=3, name="send it", description="Sends.", max_result=7)
    def send() -> None: ...

    assert (rows.read_only, rows.idempotent, rows.needs_approval, rows.timeout) == (True, False, False, None)
    assert (send.read_only, send.idempotent, send.needs_approval, send.timeout) == (False, True, True, 3)
    assert (send.name, send.description, send.max_result) == ("send it", "Sends.", 7)
    assert (send.spec.idempotent, send.spec.needs_approval) == (True, True)


def test_a_bare_decorator_is_enough_and_a_tool_without_parameters_takes_nothing() -> None:
    @tool
    def now() -> str:
        return "12:00"

    assert now.schema == {"type": "object", "properties": {}, "additionalProperties": False}
    assert now.description == ""
    assert now.validate({}) == []
    assert len(now.validate({"zone": "UTC"})) == 1


def test_calling_a_tool_calls_its_function_as_it_was() -> None:
    assert rows("SELECT 1") == [{"sql": "SELECT 1"}]
    assert rows(sql="SELECT 1") == [{"sql": "SELECT 1"}]


def test_docstring_sections_are_told_apart() -> None:
    @tool
    def f(a: int, b: str = "x", c: int = 0) -> str:
        """Does things.

        In two paragraphs: with a colon.

        Args:
            a (int): first,
                on two lines
            b: second: with a colon

        Returns:
            what was done

        Raises:
            ValueError: never
        """

    properties = f.schema["properties"]
    assert properties["a"]["description"] == "first, on two lines"
    assert properties["b"]["description"] == "second: with a colon"
    assert "description" not in properties["c"]
    assert f.description == ("Does things.\n\nIn two paragraphs: with a colon.\n\nReturns:\n    what was done")


def test_a_docstring_that_describes_no_parameter_is_no_fault() -> None:
    @tool
    def f(a: int) -> str:
        """Does things.

        Args:
            as you would expect
            b: not there
        """

    assert f.schema["properties"] == {"a": {"type": "integer"}}


ACCEPTED: list[tuple[Any, Any, Any]] = [
    (str, "ü\U0001f600", "ü\U0001f600"),
    (int, 3, 3),
    (int, 3.0, 3),
    (float, 3, 3.0),
    (bool, True, True),
    (list[int], [1, 2], [1, 2]),
    (list, [1, "a"], [1, "a"]),
    (dict, {"a": 1}, {"a": 1}),
    (dict[str, float], {"a": 1}, {"a": 1.0}),
    (tuple[int, str], [1, "a"], (1, "a")),
    (set[int], [1, 2], {1, 2}),
    (Literal["a", "b"], "b", "b"),
    (int | None, None, None),
    (int | str, "5", "5"),
    (int | str, 5, 5),
    (Colour, "b", Colour.blue),
    (Point, {"x": 1}, Point(1)),
    (Customer, {"name": "Zoë", "spots": [{"x": 1}]}, Customer(name="Zoë", spots=[Point(1)])),
    (Row, {"id": 1}, {"id": 1}),
    (list[Row] | None, [{"id": 1, "note": "n"}], [{"id": 1, "note": "n"}]),
    (Annotated[Loose, "meta"], {"id": 1, "rows": [{"id": 2}]}, {"id": 1, "rows": [{"id": 2}]}),
    (dt.date, "2026-02-01", dt.date(2026, 2, 1)),
    (Decimal, "1.10", Decimal("1.10")),
    (Annotated[int, Field(ge=0)], 0, 0),
    (Any, {"x": [None]}, {"x": [None]}),
]
REFUSED: list[tuple[Any, Any]] = [
    (str, 1),
    (int, "1"),
    (int, 1.5),
    (int, True),
    (float, "1"),
    (bool, 1),
    (bool, "true"),
    (list[int], ["1"]),
    (list[int], 1),
    (dict[str, int], {"a": "1"}),
    (tuple[int, str], [1]),
    (Literal["a", "b"], "c"),
    (int | str, None),
    (Colour, "green"),
    (Point, {"y": 1}),
    (Customer, {"name": None}),
    (Row, {}),
    (list[Row], [{"id": 1, "note": 2}]),
    (Loose, {"rows": []}),
    (dt.date, "tomorrow"),
    (Annotated[int, Field(ge=0)], -1),
]


def taking(hint: Any) -> Tool:
    def f(value: Any) -> Any:
        return value

    f.__annotations__["value"] = hint
    return tool(f)


@pytest.mark.parametrize(("hint", "given", "seen"), ACCEPTED)
async def test_a_fitting_argument_arrives_as_the_annotated_type(hint: Any, given: Any, seen: Any) -> None:
    made = taking(hint)
    Draft202012Validator.check_schema(made.schema)
    assert made.validate({"value": given}) == []
    value = await made.call({"value": given})
    assert (type(value), value) == (type(seen), seen)


@pytest.mark.parametrize(("hint", "given"), REFUSED)
async def test_a_wrong_json_type_is_never_coerced_but_named(hint: Any, given: Any) -> None:
    made = taking(hint)
    (fault,) = made.validate({"value": given})
    assert fault.startswith("value")
    with pytest.raises(ToolRejected, match="value"):
        await made.call({"value": given})


def test_what_is_no_json_is_refused_for_what_the_type_says_of_it() -> None:
    class Few(BaseModel):
        text: Any
        count: Annotated[int, Field(le=3)]

    with pytest.raises(ValidationError, match="less than or equal to 3"):
        typed({"text": "\ud800", "count": 9}, Few.model_validate, Few.model_validate_json)


async def test_a_strict_type_takes_what_json_can_say_of_it() -> None:
    made = taking(Strict)
    given = {"day": "2024-01-02", "colour": "b", "span": [1, 2]}
    assert await made.call({"value": given}) == Strict(day=dt.date(2024, 1, 2), colour=Colour.blue, span=(1, 2))
    (fault,) = made.validate({"value": given | {"day": "soon"}})
    assert fault.startswith("value.day: Input should be a valid date in the format YYYY-MM-DD")


def test_what_a_type_refuses_of_a_value_that_json_cannot_say_is_a_fault_too() -> None:
    def none(value: object) -> object:
        raise ValueError("too many")

    made = taking(Annotated[Any, AfterValidator(none)])
    assert made.validate({"value": {1}}) == ["value: Value error, too many, got {1}"]


async def test_what_only_the_type_itself_can_refuse_is_a_fault_too() -> None:
    def even(number: int) -> int:
        if number % 2:
            raise ValueError("not even")
        return number

    made = taking(Annotated[int, AfterValidator(even)])
    assert made.validate({"value": 3}) == ["value: Value error, not even, got 3"]
    assert made.validate({"value": 4}) == []


def test_every_fault_of_a_call_is_told_at_once() -> None:
    faults = rows.validate({"sq": 1})
    assert len(faults) == 2
    assert any("sql" in fault for fault in faults)
    assert rows.validate(None) == ["expected an object of arguments, got NoneType"]
    assert rows.validate(["SELECT 1"]) == ["expected an object of arguments, got list"]


async def test_defaults_are_the_functions_own_and_shown_where_json_can_say_them() -> None:
    @tool
    def f(
        a: Colour = Colour.red,
        b: int | None = None,
        c: Any = field,
        d: int = 5,
        e: float = math.inf,
        g: bytes = b"\xff",
    ) -> tuple[Any, ...]:
        return a, b, c, d, e, g

    shown = {name: facts.get("default", "-") for name, facts in f.schema["properties"].items()}
    assert shown == {"a": "r", "b": "-", "c": "-", "d": 5, "e": "-", "g": "-"}
    assert "required" not in f.schema
    assert await f.call({}) == (Colour.red, None, field, 5, math.inf, b"\xff")


def test_types_defined_where_the_tool_is_may_be_used() -> None:
    class Local(BaseModel):
        x: int

    @tool
    def f(value: Local) -> None: ...

    assert f.validate({"value": {"x": "1"}}) != []


def test_two_types_of_one_name_are_kept_apart() -> None:
    def local(kind: type) -> Any:
        class Same(BaseModel):
            x: kind

        return Same

    def f(a: Any, b: Any) -> None: ...

    f.__annotations__ |= {"a": local(int), "b": local(str)}
    made = tool(f)
    assert made.validate({"a": {"x": 1}, "b": {"x": "1"}}) == []
    assert len(made.validate({"a": {"x": "1"}, "b": {"x": 1}})) == 2


class Desk:
    factor = 3

    def times(self, n: int) -> int:
        """Multiply."""
        return self.factor * n

    async def __call__(self, n: int) -> int:
        return self.factor * n


async def test_what_a_partial_has_bound_is_no_models_to_see_or_to_change() -> None:
    def fetch(page: int, token: str, limit: int = 5) -> str:
        """Fetch a page."""
        return f"{page} {token} {limit}"

    made = tool(functools.partial(fetch, token="mine"))
    assert list(made.schema["properties"]) == ["page", "limit"]
    assert "mine" not in str(made.schema)
    assert await made.call({"page": 1, "limit": 2}) == "1 mine 2"
    assert made.validate({"page": 1, "token": "yours"}) != []


async def test_what_a_named_partial_within_a_partial_has_bound_is_not_told_either() -> None:
    def fetch(page: int, token: str, limit: int = 5) -> str:
        """Fetch a page."""
        return f"{page} {token} {limit}"

    inner = functools.partial(fetch, token="mine")
    inner.__name__ = "fetch"  # type: ignore[attr-defined]  # with an attribute it is not flattened
    made = tool(name="fetch")(functools.partial(inner, limit=3))
    assert list(made.schema["properties"]) == ["page"]
    assert await made.call({"page": 1}) == "1 mine 3"


@pytest.mark.parametrize(
    "made", [tool(Desk().times), tool(name="desk")(Desk()), tool(functools.partial(Desk.times, Desk()))]
)
async def test_bound_methods_callable_objects_and_partials_are_tools(made: Tool) -> None:
    assert made.validate({"n": "2"}) != []
    assert await made.call({"n": 2}) == 6


def no_annotation(a, b: int = 1) -> None: ...
def star(*items: int) -> None: ...
def stars(**items: int) -> None: ...
def by_place(a: int, /) -> None: ...
def unknown_type(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def no_schema(a: Desk) -> None: ...
def in_default(a: int = Field(3)) -> None: ...
def generator() -> Iterator[int]:
    yield 1


async def agenerator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("fn", "told"),
    [
        (no_annotation, "tool 'no_annotation': parameter 'a' has no type annotation; write 'a: str'"),
        (Desk.times, "parameter 'self' has no type annotation; decorate the bound method"),
        (star, r"parameter '\*items' \(variadic positional\)"),
        (stars, r"parameter '\*\*items' \(variadic keyword\)"),
        (by_place, r"positional-only"),
        (unknown_type, "'Nowhere' is not defined; define the type before the tool"),
        (no_schema, "parameter 'a': no JSON Schema for .*Desk.*; use str, int"),
        (in_default, r"parameter 'a': write Annotated"),
        (generator, "is a generator; return a list"),
        (agenerator, "is a generator; return a list"),
        (lambda: 1, r"no name a model could call; give it one: tool\(name=...\)"),
        (getattr, "tells no signature; declare it with Tool.from_schema"),
    ],
)
def test_what_no_model_can_be_told_is_refused_when_declared(fn: Any, told: str) -> None:
    with pytest.raises(ToolError, match=told):
        tool(fn)


@pytest.mark.parametrize(
    ("given", "told"),
    [({"timeout": 0}, "give seconds above 0"), ({"max_result": 0}, "above 0"), ({"name": "  "}, "empty name")],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ToolError, match=told):
        tool(**{"name": "f"} | given)(lambda: 1)


async def test_a_tool_of_raw_schema_keeps_it_as_it_is() -> None:
    schema = {"type": "object", "properties": {"user-id": {"type": "integer"}}, "x-vendor": 1, "required": ["user-id"]}

    def fn(**arguments: Any) -> Any:
        return arguments

    made = Tool.from_schema("files.read", "Reads.", schema, fn, read_only=True, idempotent=True, needs_approval=True)
    assert made.schema is schema
    assert (made.read_only, made.idempotent, made.needs_approval) == (True, True, True)
    assert made.validate({"user-id": "1"}) != []
    assert await made.call({"user-id": 1}) == {"user-id": 1}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("{}", "the schema is str; expected an object"),
        ({"type": "array"}, "not valid at #/type: 'array'; arguments are always an 'object'"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, r"not valid at #/properties/a/type: 'text'"),
    ],
)
def test_a_raw_schema_that_is_none_is_refused(schema: Any, told: str) -> None:
    with pytest.raises(ToolError, match=told):
        Tool.from_schema("f", "", schema)


async def test_a_declaration_without_function_can_be_judged_but_not_called() -> None:
    made = Tool.from_schema("f", "", {"type": "object"})
    assert made.validate({"x": 1}) == []
    with pytest.raises(ToolError, match="only a declaration"):
        made()
    with pytest.raises(ToolError, match="only a declaration"):
        await made.call({})
