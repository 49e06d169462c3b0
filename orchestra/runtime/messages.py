"""What users hold as messages, read into canonical ones: strings, values, OpenAI-style dicts, LangChain messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count
from operator import attrgetter
from typing import Any, TypeAlias, cast

from orchestra.errors import ConfigError
from orchestra.runtime.langchain_messages import from_langchain
from orchestra.types import Document, Image, Json, Message, Part, Role, Text, ToolCall, ToolResult

Messages: TypeAlias = str | Message | Mapping[str, Any] | Sequence[Any]

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "AIMessageChunk": "assistant",  # LangChain's name for a message that was streamed
    "tool": "tool",
}


def canonical(messages: Messages) -> tuple[Message, ...]:
    """The messages as canonical values; one message may stand alone.

    Raises ConfigError for an empty list, for messages that say nothing, and for anything that is none of the four
    forms, naming its place.
    """
    alone = isinstance(messages, str | bytes) or not isinstance(messages, Sequence)
    found = messages_of([messages] if alone else cast("Sequence[Any]", messages))
    if not found:
        raise ConfigError("messages: the list is empty; give a string or at least one message")
    if not any(map(_says, chain.from_iterable(map(_PARTS, found)))):
        raise ConfigError("messages: every text is blank; give a prompt that says something")
    return found


def messages_of(items: Sequence[Any]) -> tuple[Message, ...]:
    """Each of the items as `canonical` has it, even where they say nothing."""
    return tuple(map(_message, items, count()))


_PARTS = attrgetter("parts")


def _says(part: Part) -> bool:
    return not isinstance(part, Text) or part.text.strip() != ""


def _message(item: Any, at: int) -> Message:
    if isinstance(item, Message):
        return item
    if isinstance(item, str):
        return Message.user(item)
    if isinstance(item, Mapping):
        return _from_dict(cast("Mapping[str, Any]", item), at)
    if hasattr(item, "type") and hasattr(item, "content"):
        return from_langchain(item, _role(_spoken_by(item), at), at)
    raise ConfigError(
        f"messages[{at}]: {type(item).__name__} is no message; "
        "known: str, orchestra.Message, {'role': …, 'content': …}, LangChain messages"
    )


def _spoken_by(item: Any) -> Any:
    """LangChain's name for the role; its ChatMessage has one in a word of the caller's, but no call that it answers."""
    return item.role if item.type == "chat" and item.role != "tool" else item.type


def _from_dict(item: Mapping[str, Any], at: int) -> Message:
    role = _role(item.get("role"), at)
    content = item.get("content")
    if role == "tool":
        if not isinstance(call_id := item.get("tool_call_id"), str):
            raise ConfigError(f"messages[{at}]: a tool's message needs the 'tool_call_id' it answers, got {call_id!r}")
        return _tool_result(call_id, str(item.get("name", "")), content, at)
    parts = _parts(content, at)
    if calls := item.get("tool_calls"):
        parts += tuple(_openai_call(call, at) for call in _listed(calls))
    return Message(role, parts)


def _role(role: Any, at: int) -> Role:
    if not isinstance(role, str) or role not in _ROLES:
        raise ConfigError(f"messages[{at}]: role {role!r} is unknown; known: {', '.join(_ROLES)}")
    return _ROLES[role]


def _tool_result(call_id: str, name: str, content: Any, at: int) -> Message:
    parts = tuple(part for part in _parts(content, at) if isinstance(part, Text | Image | Document))
    return Message("tool", (ToolResult(call_id, name, parts),))


def _listed(calls: Any) -> Iterable[Any]:
    return cast("Iterable[Any]", calls) if isinstance(calls, list | tuple) else (calls,)


def _openai_call(call: Any, at: int) -> ToolCall:
    try:
        raw, name, call_id = call["function"]["arguments"], call["function"]["name"], call["id"]
    except (KeyError, TypeError):
        raise ConfigError(
            f"messages[{at}].tool_calls: expected {{'id': …, 'function': {{'name': …, 'arguments': …}}}}, got {call!r}"
        ) from None
    return ToolCall(call_id, name, _arguments(raw), raw if isinstance(raw, str) else json.dumps(raw))


def _arguments(raw: Any) -> Mapping[str, Json] | None:
    try:
        value = json.loads(raw or "{}") if isinstance(raw, str) else raw
    except ValueError:
        return None
    return cast("Mapping[str, Json]", value) if isinstance(value, Mapping) else None


def _parts(content: Any, at: int) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),) if content else ()
    if not isinstance(content, Sequence):
        raise ConfigError(f"messages[{at}].content: expected text or a list of parts, got {type(content).__name__}")
    return tuple(part for block in cast("Sequence[Any]", content) for part in _part(block, at))


def _part(block: Any, at: int) -> tuple[Part, ...]:
    if isinstance(block, str):
        return (Text(block),)
    fields = cast("dict[str, Any]", block if isinstance(block, dict) else {})
    match fields, fields.get("type"):
        case {"text": str(text)}, "text":
            return (Text(text),) if text else ()
        case {"image_url": {"url": str(url)} | str(url)}, "image_url":
            return (_image(url),)
        case _, "tool_use" | "reasoning" | "thinking" | "redacted_thinking":
            return ()  # calls are listed apart; another model's reasoning is shown to no one
        case _, kind:
            raise ConfigError(f"messages[{at}].content: a part of type {kind!r} is unknown; known: text, image_url")


def _image(url: str) -> Image:
    if url.startswith("data:") and ";base64," in url:
        head, data = url.removeprefix("data:").split(";base64,", 1)
        return Image(head, data=data)
    return Image("image/*", url=url)
