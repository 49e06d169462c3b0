"""LangChain's messages as canonical ones, in whatever form their content is; read without LangChain itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestra.errors import ConfigError
from orchestra.toolbox.langchain_results import KNOWN, medium, returned, row_of
from orchestra.types import (
    Document,
    Image,
    Json,
    Message,
    Origin,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    from_json,
)
from orchestra.types.json import JsonMismatch

STATE = "orchestra"
"""The key in `additional_kwargs` of what LangChain has no place for: who wrote a message, and its opaque state."""


def from_langchain(item: Any, role: Role, at: int) -> Message:
    """The canonical message, with all that was kept of it under STATE, as far as nobody has changed it since.

    Reasoning without such state is left out: no other model may see it. Raises ConfigError, naming the place, for a
    block that cannot be said in canonical parts.
    """
    parts = tuple(_result(item, at) if role == "tool" else _said(item, role, at))
    beside: Mapping[str, Any] = getattr(item, "additional_kwargs", None) or {}
    kept = beside.get(STATE)
    return Message(role, parts if kept is None else tuple(_restored(parts, kept, at)))


def _result(item: Any, at: int) -> Iterator[Part]:
    content = tuple(returned(item, f"messages[{at}].content"))
    failed = getattr(item, "status", None) == "error"
    yield ToolResult(item.tool_call_id, getattr(item, "name", None) or "", content, failed)


def _said(item: Any, role: Role, at: int) -> Iterator[Part]:
    yield from _content(item, role, at)
    calls: Iterable[Any] = getattr(item, "tool_calls", None) or ()
    for i, call in enumerate(calls):
        yield ToolCall(call["id"] or f"call_{i}", call["name"], call["args"], json.dumps(call["args"]))
    unread: Iterable[Any] = getattr(item, "invalid_tool_calls", None) or ()
    for i, call in enumerate(unread):
        yield ToolCall(call["id"] or f"unread_{i}", call["name"] or "", None, call["args"] or "")


def _content(item: Any, role: Role, at: int) -> Iterator[Part]:
    """What another provider's model wrote for itself alone is left out."""
    if isinstance(item.content, str):
        if item.content:
            yield Text(item.content)
        return
    for block in _blocks(item, at):
        match block.get("type"):
            case "text" | "text-plain" if isinstance(block.get("text"), str):
                if block["text"]:
                    yield Text(block["text"])
            case "image" | "file" | "text-plain" as kind if block.get("base64") or block.get("url"):
                yield medium(kind, block)
            case "tool_call" | "invalid_tool_call" | "tool_call_chunk" | "reasoning":
                continue  # calls are listed apart
            case _ if role == "assistant":
                continue
            case _:
                yield _unusual(block, at)


def _blocks(item: Any, at: int) -> Sequence[Mapping[str, Any]]:
    try:
        return item.content_blocks
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"messages[{at}].content: LangChain cannot read its parts, {type(error).__name__}: {error}; {KNOWN}"
        ) from error


def _unusual(block: Mapping[str, Any], at: int) -> Part:
    """OpenAI's image in short, which LangChain takes for nobody's."""
    said = row_of(block)
    kind = said.get("type", block.get("type"))
    if kind == "image_url" and isinstance(url := said.get("image_url"), str):
        return medium("image", {"url": url})
    raise ConfigError(f"messages[{at}].content: a part of type {kind!r} is unknown; {KNOWN}")


def _restored(parts: Sequence[Part], kept: Any, at: int) -> Iterable[Part]:
    try:
        if "parts" not in kept:
            origin = from_json(Origin, kept["origin"])
            return [replace(part, origin=origin) for part in parts]
        known = from_json(tuple[Part, ...], kept["parts"])
    except (JsonMismatch, KeyError, TypeError) as error:
        raise ConfigError(
            f"messages[{at}].additional_kwargs[{STATE!r}] cannot be read: {error}; leave it as it was, or remove it"
        ) from None
    text, *others = _visible(known)  # `shown`: a text that stands for the message's own
    same = (kept.get("shown", text), *others) == _visible(parts)
    return known if same else _changed(parts, known)


def _changed(parts: Iterable[Part], known: Iterable[Part]) -> Iterator[Part]:
    """Of a message that was changed: its thoughts, and the calls that are as they were, with their state."""
    thoughts = (part for part in known if isinstance(part, Reasoning))
    yield from thoughts
    calls = {part.id: part for part in known if isinstance(part, ToolCall)}
    for part in parts:
        same = calls.get(part.id) if isinstance(part, ToolCall) else None
        yield same if same and _visible([same]) == _visible([part]) else part


def _visible(parts: Iterable[Part]) -> tuple[Json, ...]:
    """What of the parts a LangChain message shows: its text, calls, those nobody could read, media and results."""
    texts: list[str] = []
    calls: list[Any] = []
    unread: list[Any] = []
    others: list[Any] = []
    for part in parts:
        match part:
            case Text():
                texts.append(part.text)
            case ToolCall(arguments=None):
                unread.append((part.id, part.name, part.raw))
            case ToolCall():
                calls.append((part.id, part.name, part.arguments))
            case ToolResult():
                others.append((part.call_id, part.name, _visible(part.content), part.is_error))
            case Image() | Document():
                others.append(replace(part, origin=None, provider_state=None))
            case _:
                continue  # reasoning, which nobody can change there
    return "".join(texts), calls, unread, others
