"""Tools in whatever form users have them."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import StructuredTool
from langchain_core.tools import tool as langchain_tool

from orchestra.errors import ToolError
from orchestra.toolbox import Tool, as_tools, execute, tool
from orchestra.types import Text, ToolCall, Trigger


def add(a: int, b: int = 1) -> int:
    """Add two numbers.

    Args:
        a: first
    """
    return a + b


async def test_a_plain_function_becomes_a_tool() -> None:
    (made,) = as_tools([add])
    assert (made.name, made.description, await made.call({"a": 1})) == ("add", "Add two numbers.", 2)


def test_a_tool_stays_what_it_is_and_order_is_kept() -> None:
    first, second = tool(add), tool(name="plus")(add)
    assert as_tools((second, first)) == (second, first)
    assert as_tools([]) == ()


def test_a_list_of_tools_that_has_grown_is_read_anew() -> None:
    tools = [tool(add)]
    assert [one.name for one in as_tools(tools)] == ["add"]
    tools.append(tool(name="plus")(add))
    assert [one.name for one in as_tools(tools)] == ["add", "plus"]


@pytest.mark.parametrize(
    "theirs",
    [
        langchain_tool(add, parse_docstring=False),
        StructuredTool.from_function(add),
        StructuredTool(
            name="add",
            description="Add two numbers.",
            func=add,
            args_schema={
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                "required": ["a"],
            },
        ),
    ],
)
async def test_a_langchain_tool_is_validated_and_executed_like_our_own(theirs: Any) -> None:
    (made,) = as_tools([theirs])
    assert made.name == "add"
    assert "Add two numbers." in made.description
    assert made.validate({"a": "1"}) != []
    outcome = await execute(made, ToolCall("1", "add", {"a": 1, "b": 4}))
    assert (outcome.trigger, outcome.result.content) == (None, (Text("5"),))


async def test_a_langchain_tool_that_fails_is_an_outcome() -> None:
    def fail(a: int) -> int:
        """Fail."""
        raise ValueError("no")

    (made,) = as_tools([StructuredTool.from_function(fail)])
    outcome = await execute(made, ToolCall("1", "fail", {"a": 1}))
    assert (outcome.trigger, outcome.result.content) == (Trigger.tool_error, (Text("ValueError: no"),))


class Mute:
    name, description, args_schema = "mute", "", None

    async def ainvoke(self, arguments: Any) -> None: ...


class OldSchema:
    @staticmethod
    def schema() -> dict[str, Any]:
        return {"type": "object", "properties": {"x": {"type": "string"}}}


class Old(Mute):
    name, description, args_schema = "old", None, OldSchema


def test_a_tool_of_an_older_pydantic_is_read_too() -> None:
    (made,) = as_tools([Old()])
    assert (made.description, made.schema) == ("", OldSchema.schema())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([add, Tool.from_schema("add", "", {})], "two tools are named 'add'; rename one"),
        ([tool(name="one")(add), add, Tool.from_schema("add", "", {})], "two tools are named 'add'; rename one"),
        (["add"], "'add' is no tool; give a function"),
        ([Tool], "is no tool"),
        ([Mute()], "LangChain tool 'mute' tells no argument schema"),
        (add, r"expected a list of tools, got function; write tools=\[...\]"),
        ("add", "expected a list of tools, got str"),
    ],
)
def test_what_is_no_tool_is_refused(given: Any, told: str) -> None:
    with pytest.raises(ToolError, match=told):
        as_tools(given)
