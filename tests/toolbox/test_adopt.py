"""Tools in whatever form users have them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.messages.content import create_file_block, create_image_block, create_text_block
from langchain_core.tools import InjectedToolCallId, StructuredTool, ToolException
from langchain_core.tools import tool as langchain_tool
from langgraph.types import Command

from orchestra.errors import ToolError
from orchestra.toolbox import Tool, as_tools, execute, tool
from orchestra.types import Image, Text, ToolCall, Trigger


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


def served(content: list[Any], *, fails: bool = False) -> StructuredTool:
    """A tool as langchain-mcp-adapters makes one of a server's: parts, and an error that stands in them."""

    async def call() -> tuple[list[Any], None]:
        if fails:
            raise ToolException
        return content, None

    return StructuredTool(
        name="served",
        description="",
        args_schema={"type": "object", "properties": {}},
        coroutine=call,
        response_format="content_and_artifact",
        handle_tool_error=lambda _: content,
    )


async def test_the_parts_of_a_langchain_tools_result_are_what_the_model_reads() -> None:
    content = [create_text_block("a chart"), create_image_block(base64="aGk=", mime_type="image/png")]
    (made,) = as_tools([served(content)])
    outcome = await execute(made, ToolCall("1", "served", {}))
    assert outcome.result.content == (Text("a chart"), Image("image/png", data="aGk="))
    assert (outcome.trigger, outcome.value) == (None, "a chart")


async def test_an_image_among_the_parts_that_a_plain_langchain_tool_returns_is_one() -> None:
    @langchain_tool
    def chart(kind: str) -> list[Any]:
        """Draw."""
        return ["a chart", {"type": "image", "base64": "aGk=", "mime_type": "image/png"}, {"kind": kind}]

    (made,) = as_tools([chart])
    outcome = await execute(made, ToolCall("1", "chart", {"kind": "bars"}))
    assert outcome.result.content == (Text("a chart"), Image("image/png", data="aGk="), Text('{"kind": "bars"}\n'))


@pytest.mark.parametrize(
    "rows",
    [
        [{"type": "image", "base64": "no"}],
        [{"type": "text", "text": "x"}],
        ["x"],
        [],
        [{"name": "README.md", "type": "file", "url": "https://api.x.org/README.md"}],
        [{"type": "image", "url": "https://x.org/cat.png", "title": "a cat"}],
    ],
)
async def test_rows_that_a_langchain_tool_returns_are_rows(rows: list[Any]) -> None:
    @langchain_tool
    def look() -> list[Any]:
        """Look."""
        return rows

    (made,) = as_tools([look])
    assert (await execute(made, ToolCall("1", "look", {}))).value == rows


async def test_a_langchain_tool_that_takes_the_calls_id_is_given_one() -> None:
    @langchain_tool
    def noted(text: str, call: Annotated[str, InjectedToolCallId]) -> str:
        """Note."""
        return f"{text} noted, {bool(call)}"

    (made,) = as_tools([noted])
    assert list(made.schema["properties"]) == ["text"]
    assert (await execute(made, ToolCall("1", "noted", {"text": "it"}))).value == "it noted, True"


async def test_each_call_of_a_langchain_tool_that_takes_its_id_has_another() -> None:
    @langchain_tool
    def noted(call: Annotated[str, InjectedToolCallId]) -> str:
        """Note."""
        return call

    (made,) = as_tools([noted])
    assert await made.call({}) != await made.call({})


async def test_what_a_langchain_tool_answers_within_a_command_is_its_result() -> None:
    @langchain_tool
    def saved(x: int, call: Annotated[str, InjectedToolCallId]) -> Any:
        """Save."""
        return Command(update={"messages": [ToolMessage(f"saved {x}", tool_call_id=call)], "saved": x})

    (made,) = as_tools([saved])
    assert (await execute(made, ToolCall("1", "saved", {"x": 1}))).value == "saved 1"


@pytest.mark.parametrize("value", [[], ["a", "b"], [{"a": 1}], {"n": 5}, 5, None, "5"])
async def test_what_a_langchain_tool_that_words_its_errors_returns_stays_what_it_is(value: Any) -> None:
    theirs = StructuredTool.from_function(lambda: value, name="look", description="Look.", handle_tool_error=True)
    (made,) = as_tools([theirs])
    outcome = await execute(made, ToolCall("1", "look", {}))
    assert (outcome.trigger, outcome.value) == (None, value)
    assert outcome.result.content == (Text(value if isinstance(value, str) else json.dumps(value)),)
    assert theirs.handle_tool_error is True


@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        (True, ToolException("locked"), "locked"),
        (True, ToolException(), "Tool execution error"),
        ("try later", ToolException("locked"), "try later"),
        (lambda error: f"sorry, {error}", ToolException("locked"), "sorry, locked"),
        (lambda error: [create_text_block(f"sorry, {error}")], ToolException("locked"), "sorry, locked"),
    ],
)
async def test_an_error_in_a_langchain_tools_own_words_is_a_failed_call(words: Any, error: Any, told: str) -> None:
    def fail() -> None:
        raise error

    (made,) = as_tools([StructuredTool.from_function(fail, name="f", description="Fail.", handle_tool_error=words)])
    outcome = await execute(made, ToolCall("1", "f", {}))
    assert (outcome.trigger, outcome.result.content) == (Trigger.tool_error, (Text(told),))


@pytest.mark.parametrize("link", ["https://x.org/page.html", "https://x.org/issue/1"])
async def test_a_link_among_the_parts_of_a_langchain_tools_result_stays_readable(link: str) -> None:
    (made,) = as_tools([served([create_file_block(url=link, mime_type="text/html")])])
    outcome = await execute(made, ToolCall("1", "served", {}))
    assert link in outcome.result.content[0].text  # type: ignore[union-attr]


async def test_what_stands_beside_the_bytes_of_an_image_is_told() -> None:
    image = {"type": "image", "base64": "aGk=", "mime_type": "image/png", "title": "a cat"}
    (made,) = as_tools([drawn(image)])
    outcome = await execute(made, ToolCall("1", "drawn", {}))
    assert outcome.result.content == (Image("image/png", data="aGk="), Text('{"title": "a cat"}\n'))


def drawn(image: Any) -> StructuredTool:
    return StructuredTool.from_function(lambda: [image], name="drawn", description="Draw.")


async def test_what_langchain_makes_up_with_each_result_is_not_told() -> None:
    link = create_file_block(url="file:///a.txt", mime_type="text/plain")
    (made,) = as_tools([served([link])])
    outcome = await execute(made, ToolCall("1", "served", {}))
    assert outcome.result.content == (Text('{"type": "file", "url": "file:///a.txt", "mime_type": "text/plain"}\n'),)


async def test_a_langchain_tool_that_returns_nothing_returns_no_text() -> None:
    (made,) = as_tools([served([])])
    outcome = await execute(made, ToolCall("1", "served", {}))
    assert (outcome.trigger, outcome.result.content) == (None, (Text(""),))


async def test_an_error_that_a_langchain_tool_words_itself_is_a_failed_call() -> None:
    (made,) = as_tools([served([create_text_block("the database is locked")], fails=True)])
    outcome = await execute(made, ToolCall("1", "served", {}))
    assert (outcome.trigger, outcome.result.is_error) == (Trigger.tool_error, True)
    assert outcome.result.content == (Text("the database is locked"),)


async def test_a_langchain_tool_that_answers_in_no_message_is_taken_as_it_answers() -> None:
    class Own(Mute):
        name, args_schema, response_format = "own", {"type": "object", "properties": {}}, "content_and_artifact"

        async def ainvoke(self, arguments: Any) -> Any:
            return {"asked": arguments["name"]}

    (made,) = as_tools([Own()])
    assert (await execute(made, ToolCall("1", "own", {}))).value == {"asked": "own"}


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
