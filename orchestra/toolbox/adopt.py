"""Takes tools in whatever form users have them: Tools, plain functions, LangChain tools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, cast

from orchestra.errors import ToolError
from orchestra.toolbox.faults import ToolFailed
from orchestra.toolbox.langchain_results import returned, shows_media
from orchestra.toolbox.tool import Tool, tool
from orchestra.types import Json
from orchestra.types.message import apart


def as_tools(objects: Iterable[object]) -> tuple[Tool, ...]:
    """The objects as Tools, in order. Raises ToolError for what is no tool, and for a name given twice."""
    if not isinstance(objects, Iterable) or isinstance(objects, str):  # type: ignore[redundant-expr]  # strangers call it
        raise ToolError(f"tools: expected a list of tools, got {type(objects).__name__}; write tools=[...]")
    tools = tuple(map(_as_tool, objects))
    if len(set(map(_NAME, tools))) < len(tools):
        raise ToolError(f"tools: two tools are named {_twice(tools)!r}; rename one: @tool(name=...)")
    return tools


_NAME = attrgetter("spec.name")


def _twice(tools: Sequence[Tool]) -> str:
    names = [tool.name for tool in tools]
    return next(name for at, name in enumerate(names) if name in names[:at])


def _as_tool(item: object) -> Tool:
    if isinstance(item, Tool):
        return item
    if isinstance(inner := getattr(item, "orchestra_tool", None), Tool):  # as another framework sees one of ours
        return inner
    if all(hasattr(item, name) for name in ("name", "description", "args_schema", "ainvoke")):
        return _from_langchain(item)
    if callable(item) and not isinstance(item, type):
        return tool(item)
    raise ToolError(f"tools: {item!r:.80} is no tool; give a function, @tool, Tool.from_schema or a LangChain tool")


def _from_langchain(item: Any) -> Tool:
    # tool_call_schema leaves out what LangChain injects itself; args_schema is a model class or already JSON Schema
    declared = getattr(item, "tool_call_schema", None) or item.args_schema
    schema = cast("Mapping[str, Json]", declared) if isinstance(declared, Mapping) else _schema(item.name, declared)

    in_messages = _answers_in_messages(item)

    async def call(**arguments: Json) -> object:
        if in_messages:
            asked = {"type": "tool_call", "id": item.name, "name": item.name, "args": arguments}
            return _answer(await item.ainvoke(asked), item.name)
        value = await item.ainvoke(arguments)
        if shows_media(value):
            return list(returned(SimpleNamespace(content=value), f"tool {item.name!r}"))
        return value

    return Tool.from_schema(item.name, item.description or "", schema, call)


def _answers_in_messages(item: Any) -> bool:
    """Whether a call's end shows in a message alone: of a tool that words its errors or returns parts, as MCP's do."""
    words_errors = getattr(item, "handle_tool_error", False) or getattr(item, "handle_validation_error", False)
    in_parts = getattr(item, "response_format", "content") == "content_and_artifact"
    return bool(words_errors) or in_parts or _takes_call_id(item)


def _takes_call_id(item: Any) -> bool:
    """Whether it has a parameter for the call's id, which LangChain fills in where it is given a whole call."""
    fields: Mapping[str, Any] = getattr(item.args_schema, "model_fields", {})
    marks = (mark for field in fields.values() for mark in field.metadata)
    return any(getattr(mark, "__name__", type(mark).__name__) == "InjectedToolCallId" for mark in marks)


def _answer(message: Any, name: str) -> object:
    """What a message says; a tool may answer in something else. Raises ToolFailed where it tells an error."""
    if not all(hasattr(message, key) for key in ("content", "status", "tool_call_id")):
        return message
    parts = list(returned(message, f"tool {name!r}"))
    if message.status == "error":
        raise ToolFailed(apart(parts))
    return parts or ""


def _schema(name: str, declared: Any) -> Mapping[str, Json]:
    for method in ("model_json_schema", "schema"):  # pydantic 2, pydantic 1
        if callable(found := getattr(declared, method, None)):
            return cast("Mapping[str, Json]", found())
    raise ToolError(f"tools: LangChain tool {name!r} tells no argument schema")
