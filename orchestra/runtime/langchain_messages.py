"""LangChain's messages as canonical ones, in whatever form their content is; read without LangChain itself."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from orchestra.errors import ConfigError
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
    content = tuple(_returned(item, at))
    failed = getattr(item, "status", None) == "error"
    yield ToolResult(item.tool_call_id, getattr(item, "name", None) or "", content, failed)


def _returned(item: Any, at: int) -> Iterator[Text | Image | Document]:
    """What a tool returned: its text, media that can be carried, and as JSON all else, such as rows of a table."""
    if isinstance(item.content, str):
        if item.content:
            yield Text(item.content)
        return
    for block in _rows(item):
        row = _row(block)
        kind, short = row.get("type"), row.get("image_url")
        if kind in ("text", "text-plain") and isinstance(row.get("text"), str) and _own(row) <= _OF_TEXT:
            if row["text"]:
                yield Text(row["text"])
        elif kind == "image_url" and isinstance(short, str) and _is_medium({"url": short}):
            yield _media("image", {"url": short})  # OpenAI's, in short
        elif kind in ("image", "file", "text-plain") and _is_medium(row):
            yield _media(kind, row)
            if beside := _own(row) - _OF_MEDIA:
                yield _as_json({name: row[name] for name in row if name in beside})
        elif kind in _UNREAD and (_is_base64(row.get("base64")) or _is_base64(row.get("data"))):
            raise ConfigError(f"messages[{at}].content: a part of type {kind!r} is unknown; {_KNOWN}")
        else:
            yield _as_json(row)


def _as_json(row: Any) -> Text:
    return Text(json.dumps(row, ensure_ascii=False, default=str) + "\n")


def _rows(item: Any) -> Iterable[Mapping[str, Any]]:
    """The parts as LangChain reads them; as they are where it cannot."""
    try:
        return item.content_blocks
    except (AttributeError, KeyError, TypeError, ValueError):
        return [{"type": "text", "text": one} if isinstance(one, str) else one for one in item.content]


def _row(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """What LangChain does not know it wraps."""
    value = block.get("value") if block.get("type") == "non_standard" else None
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else block


def _own(row: Mapping[str, Any]) -> set[str]:
    """The keys that say something and are not LangChain's own."""
    made_up = str(row.get("id", "")).startswith("lc_")
    return {name for name, value in row.items() if value not in (None, [], {}) and not (made_up and name == "id")}


def _is_medium(row: Mapping[str, Any]) -> bool:
    """Whether it surely is one that a model can be given: its bytes, or where they are."""
    url = row.get("url")
    return _is_base64(row.get("base64")) or (isinstance(url, str) and url.startswith(("http://", "https://", "data:")))


def _is_base64(data: Any) -> bool:
    try:
        return isinstance(data, str) and bool(b64decode(data.replace("\n", ""), validate=True))
    except ValueError:
        return False


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
                yield _media(kind, block)
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
            f"messages[{at}].content: LangChain cannot read its parts, {type(error).__name__}: {error}; {_KNOWN}"
        ) from error


def _unusual(block: Mapping[str, Any], at: int) -> Part:
    """OpenAI's image in short, which LangChain takes for nobody's."""
    said = _row(block)
    kind = said.get("type", block.get("type"))
    if kind == "image_url" and isinstance(url := said.get("image_url"), str):
        return _media("image", {"url": url})
    raise ConfigError(f"messages[{at}].content: a part of type {kind!r} is unknown; {_KNOWN}")


def _media(kind: str, block: Mapping[str, Any]) -> Image | Document:
    media_type, data, url = block.get("mime_type"), block.get("base64"), block.get("url")
    if url and url.startswith("data:") and ";base64," in url:
        head, data = url.removeprefix("data:").split(";base64,", 1)
        media_type, url = media_type or head, None
    url = None if data else url
    if kind == "image":
        return Image(media_type or "image/*", data=data, url=url)
    extras: Mapping[str, Any] = block.get("extras") or {}
    name = block.get("filename") or block.get("title") or extras.get("filename") or extras.get("name") or ""
    return Document(media_type or "application/pdf", str(name), data=data, url=url)


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


_KNOWN = "known: text, image, file, each with its text, base64 or url"
_UNREAD = frozenset({"audio", "video", "media"})
_OF_TEXT = frozenset({"type", "text", "mime_type", "cache_control"})
_OF_MEDIA = frozenset(
    {"type", "mime_type", "base64", "url", "filename", "title", "extras", "detail", "source_type", "cache_control"}
)
