"""Takes tools in whatever form users have them: Tools, plain functions, LangChain tools."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, cast

from orchestra.errors import ToolError
from orchestra.toolbox.faults import ToolFailed
from orchestra.toolbox.langchain_results import is_declared, is_held, returned, shows_media
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
    asked = item if in_messages else _telling(item)

    async def call(**arguments: Json) -> object:
        if in_messages:
            call_id = f"call_{uuid.uuid4().hex}"
            whole = {"type": "tool_call", "id": call_id, "name": item.name, "args": arguments}
            return _answer(await item.ainvoke(whole), item, call_id)
        value = await asked.ainvoke(arguments)
        if isinstance(value, _Failure):
            raise ToolFailed(value)
        return _plain(value, item.name)

    return Tool.from_schema(item.name, item.description or "", schema, call)


def _plain(value: Any, name: str) -> object:
    """What a tool that declares no parts returned: as it is, but for media whose bytes are there."""
    return list(returned(SimpleNamespace(content=value), _place(name), is_held)) if shows_media(value) else value


def _answers_in_messages(item: Any) -> bool:
    """Whether it is to be given a whole call: it returns parts, as MCP's do, or takes the call's id."""
    return _declares_parts(item) or _takes_call_id(item)


def _declares_parts(item: Any) -> bool:
    return getattr(item, "response_format", "content") == "content_and_artifact"


def _takes_call_id(item: Any) -> bool:
    """Whether it has a parameter for the call's id, which LangChain fills in where it is given a whole call."""
    fields: Mapping[str, Any] = getattr(item.args_schema, "model_fields", {})
    marks = (mark for field in fields.values() for mark in field.metadata)
    return any(getattr(mark, "__name__", type(mark).__name__) == "InjectedToolCallId" for mark in marks)


class _Failure(str):
    """The words in which a tool tells an error: LangChain hands them on as if they were a value."""

    __slots__ = ()


_UNTOLD = {"handle_tool_error": "Tool execution error", "handle_validation_error": "Tool input validation error"}
"""What LangChain says of an error where the tool leaves the words to it."""


def _telling(item: Any) -> Any:
    """The tool with its errors told from its values; a copy where it words them, for the tool is the user's."""
    words = {flag: said for flag in _UNTOLD if (said := getattr(item, flag, False))}
    if not words or not hasattr(item, "model_copy"):
        return item
    return item.model_copy(update={flag: _failing(item.name, flag, said) for flag, said in words.items()})


def _failing(name: str, flag: str, words: Any) -> Callable[[Exception], _Failure]:
    def fail(error: Exception) -> _Failure:
        if callable(words):
            content = words(error)
        elif isinstance(words, str):
            content = words
        else:
            content = error.args[0] if flag == "handle_tool_error" and error.args else _UNTOLD[flag]
        if not isinstance(content, list):
            return _Failure(content)
        return _Failure(apart(returned(SimpleNamespace(content=content), _place(name), is_declared)))

    return fail


def _answer(message: Any, item: Any, call_id: str) -> object:
    """What a message says; a tool may answer in something else. Raises ToolFailed where it tells an error."""
    message = _within(message, call_id)
    if not _is_message(message):
        return message
    if message.status != "error" and not _declares_parts(item):
        return _plain(message.content, item.name)
    parts = list(returned(message, _place(item.name), is_declared))
    if message.status == "error":
        raise ToolFailed(apart(parts))
    return parts or ""


def _within(answer: Any, call_id: str) -> Any:
    """The message for this call that a Command puts into a graph's state; without one, the answer itself."""
    update = getattr(answer, "update", None)
    messages: Any = cast("Mapping[str, Any]", update).get("messages") if isinstance(update, Mapping) else None
    found = cast("list[Any]", messages) if isinstance(messages, list) else []
    return next((one for one in found if _is_message(one) and one.tool_call_id == call_id), answer)


def _is_message(value: Any) -> bool:
    return all(hasattr(value, key) for key in ("content", "status", "tool_call_id"))


def _place(name: str) -> str:
    return f"tool {name!r}"


def _schema(name: str, declared: Any) -> Mapping[str, Json]:
    for method in ("model_json_schema", "schema"):  # pydantic 2, pydantic 1
        if callable(found := getattr(declared, method, None)):
            return cast("Mapping[str, Json]", found())
    raise ToolError(f"tools: LangChain tool {name!r} tells no argument schema")
