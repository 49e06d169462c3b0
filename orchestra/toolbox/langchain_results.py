"""What LangChain's tools return, as parts that models can be given; read without LangChain itself."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from orchestra.errors import ConfigError
from orchestra.types import Document, Image, Text


def is_carried(_: str, row: Mapping[str, Any]) -> bool:
    """Whether a row with a medium's type is one in a history: its bytes, or where they are."""
    return is_held("", row) or _is_address(row.get("url"))


def is_declared(kind: str, row: Mapping[str, Any]) -> bool:
    """Whether it is one among the parts that a tool declares: an address is an image's there, a file's is a link."""
    return is_held("", row) or (kind == "image" and _is_address(row.get("url")))


def is_held(_: str, row: Mapping[str, Any]) -> bool:
    """Whether its bytes are there: what has but an address may be a row of data, such as a folder's file."""
    head, inline, data = str(row.get("url", "")).partition(";base64,")
    return _is_base64(row.get("base64")) or (head.startswith("data:") and bool(inline) and _is_base64(data))


def returned(
    item: Any, place: str, is_medium: Callable[[str, Mapping[str, Any]], bool] = is_carried
) -> Iterator[Text | Image | Document]:
    """What a tool returned: its text, media that can be carried, and as JSON all else, such as rows of a table.

    `item` is a ToolMessage, or has its `content`; `is_medium` tells of a type and a row whether it is one. Raises
    ConfigError, naming the `place`, for what no model takes.
    """
    if isinstance(item.content, str):
        if item.content:
            yield Text(item.content)
        return
    for block in _rows(item):
        row = row_of(block)
        kind, short = row.get("type"), row.get("image_url")
        if kind in ("text", "text-plain") and isinstance(row.get("text"), str) and _own(row) <= _OF_TEXT:
            if row["text"]:
                yield Text(row["text"])
        elif kind == "image_url" and isinstance(short, str) and is_medium("image", {"url": short}):
            yield medium("image", {"url": short})  # OpenAI's, in short
        elif kind in ("image", "file", "text-plain") and is_medium(kind, row):
            yield (carried := medium(kind, row))
            if beside := _own(row) - (_OF_IMAGE if isinstance(carried, Image) else _OF_FILE):
                yield _as_json({name: row[name] for name in row if name in beside})
        elif kind in _UNREAD and (_is_base64(row.get("base64")) or _is_base64(row.get("data"))):
            raise ConfigError(f"{place}: a part of type {kind!r} is unknown; {KNOWN}")
        else:
            yield _as_json({name: value for name, value in row.items() if name != "id" or not _has_made_up_id(row)})


def shows_media(value: Any) -> bool:
    """Whether a value is a list of LangChain's parts, with the bytes of an image or a file among them."""
    rows = cast("list[Any]", value) if isinstance(value, list) else []
    return any(isinstance(row, dict) and _shows_medium(cast("dict[str, Any]", row)) for row in rows)


def _shows_medium(row: Mapping[str, Any]) -> bool:
    return row.get("type") in ("image", "file") and is_held("", row)


def _as_json(row: Any) -> Text:
    return Text(json.dumps(row, ensure_ascii=False, default=str) + "\n")


def _rows(item: Any) -> Iterable[Mapping[str, Any]]:
    """The parts as LangChain reads them; as they are where it cannot."""
    try:
        return item.content_blocks
    except (AttributeError, KeyError, TypeError, ValueError):
        return [{"type": "text", "text": one} if isinstance(one, str) else one for one in item.content]


def row_of(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part as it was given: what LangChain does not know it wraps."""
    value = block.get("value") if block.get("type") == "non_standard" else None
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else block


def _own(row: Mapping[str, Any]) -> set[str]:
    """The keys that say something and are not LangChain's own."""
    made_up = _has_made_up_id(row)
    return {name for name, value in row.items() if value not in (None, [], {}) and not (made_up and name == "id")}


def _has_made_up_id(row: Mapping[str, Any]) -> bool:
    """Whether LangChain gave it an id, which is another one each time."""
    return str(row.get("id", "")).startswith("lc_")


def _is_address(url: Any) -> bool:
    return isinstance(url, str) and url.startswith(("http://", "https://", "data:"))


def _is_base64(data: Any) -> bool:
    try:
        return isinstance(data, str) and bool(b64decode(data.replace("\n", ""), validate=True))
    except ValueError:
        return False


def medium(kind: str, block: Mapping[str, Any]) -> Image | Document:
    """A part of LangChain's with bytes or an address as ours."""
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


KNOWN = "known: text, image, file, each with its text, base64 or url"
_UNREAD = frozenset({"audio", "video", "media"})
_OF_TEXT = frozenset({"type", "text", "mime_type", "cache_control"})
_OF_IMAGE = frozenset({"type", "mime_type", "base64", "url", "extras", "detail", "source_type", "cache_control"})
_OF_FILE = _OF_IMAGE | {"filename", "title"}
