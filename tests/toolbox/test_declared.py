from __future__ import annotations

import math
from typing import Any

import pytest

from orchestra.errors import ToolError
from orchestra.toolbox.declared import Declaration, declared


def schema(kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"key": {"type": kind, **more}}, "required": ["key"]}


def test_what_is_declared_again_is_the_same_tool_alone_and_among_others() -> None:
    look, ask = Declaration("look", "Looks.", schema()), Declaration("ask", "Asks.", schema())
    first = declared([look, ask])
    assert [tool.name for tool in first] == ["look", "ask"]
    assert declared([look._replace(schema=schema()), ask]) == first
    assert declared([ask]) == first[1:]


@pytest.mark.parametrize(
    "other",
    [
        Declaration("look2", "Looks.", schema("number", default=1)),
        Declaration("look", "Sees.", schema("number", default=1)),
        Declaration("look", "Looks.", schema("string", default="1")),
        Declaration("look", "Looks.", schema("number", default=1.0)),
        Declaration("look", "Looks.", schema("number", default=True)),
        Declaration("look", "Looks.", schema("number", default=1), all_required=True),
    ],
)
def test_what_says_anything_else_is_another_tool(other: Declaration) -> None:
    assert declared([other]) != declared([Declaration("look", "Looks.", schema("number", default=1))])


def test_a_schema_that_is_changed_where_it_stands_makes_another_tool_and_leaves_the_first_as_it_was() -> None:
    changing = schema()
    (before,) = declared([Declaration("look", "", changing)])
    changing["properties"]["key"]["type"] = "number"
    (after,) = declared([Declaration("look", "", changing)])
    assert (before.schema, after.schema) == (schema(), schema("number"))


def test_a_tool_told_without_description_and_schema_has_an_empty_one_and_takes_no_arguments() -> None:
    (tool,) = declared([Declaration("look", None, None)])
    assert (tool.description, tool.schema) == ("", {"type": "object", "properties": {}})


def test_where_all_is_written_as_required_what_has_a_default_is_not() -> None:
    told = schema(default="x")
    (kept,), (read,) = (declared([Declaration("look", "", told, one)]) for one in (False, True))
    assert (kept.schema["required"], read.schema["required"]) == (["key"], [])


def nested(depth: int) -> dict[str, Any]:
    return {"type": "object", "properties": {"key": nested(depth - 1)}} if depth else {"type": "string"}


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        (schema(default={1}), "#/properties/key/default"),
        (schema(default=math.nan), "#/properties/key/default"),
        (nested(400), "too deeply"),
        ({"type": "array"}, "#/type"),
    ],
)
def test_what_is_no_schema_of_arguments_is_refused_each_time_with_its_place(wrong: Any, where: str) -> None:
    for _ in range(2):
        with pytest.raises(ToolError, match=where):
            declared([Declaration("look", "", wrong)])
