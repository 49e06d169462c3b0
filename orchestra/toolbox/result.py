"""A tool's return value as what a model reads: text as it is, anything else as JSON."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import uuid
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import cast

from orchestra.types import Document, Image, Json, Text
from orchestra.types.message import apart

_AS_TEXT = (decimal.Decimal, dt.timedelta, uuid.UUID, pathlib.PurePath)


@dataclass(frozen=True, slots=True)
class Shown:
    """A result for a model: its parts, the JSON value behind them, and its size in characters before any cut.

    `whole` is all of its text where some was cut: notes give their offsets in it.
    """

    content: tuple[Text | Image | Document, ...]
    value: Json
    size: int
    whole: str | None = None


def show(value: object, limit: int, handle: str = "") -> Shown:
    """The value for a model, text cut at `limit` characters with a note that says how much is missing.

    With a `handle` the note says how to read on: whoever gives one keeps `whole` for `read_result`.
    Text, Image and Document parts pass through. Decimals, UUIDs and paths become text, dates ISO 8601, sets sorted
    arrays, NaN and infinities their names. Raises TypeError naming the place of what JSON cannot say.
    """
    if parts := _parts(value):
        return _show_parts(parts, limit, handle)
    plain = to_plain(value)
    text = scalars(plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False))
    if len(text) <= limit:
        return Shown((Text(text),), plain, len(text))
    return Shown((Text(cut(text, limit, handle)),), plain, len(text), text)


def cut(text: str, limit: int, handle: str = "") -> str:
    """The first `limit` characters, and a note where that is not all; with a `handle` it says how to read on."""
    text = scalars(text)
    return text if len(text) <= limit else text[:limit] + _note(limit, len(text), handle)


def _note(shown: int, size: int, handle: str) -> str:
    more = f'read_result(handle="{handle}", offset={shown}) shows more' if handle else "ask for less"
    return f"\n[cut: {size - shown:,} of {size:,} characters left out; {more}]"


def scalars(text: str) -> str:
    """The text with question marks for lone surrogates, as in odd file names: they would break every wire format."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def to_plain(value: object, path: str = "result") -> Json:
    """The value as plain JSON. Raises TypeError naming the path of what JSON cannot say."""
    if isinstance(value, enum.Enum):
        return to_plain(value.value, path)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, _AS_TEXT):
        return str(value)
    return _container(value, path)


def _container(value: object, path: str) -> Json:
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value)
        return {_key(key, path): to_plain(item, f"{path}.{key}") for key, item in items.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item, f"{path}[{i}]") for i, item in enumerate(cast("Sequence[object]", value))]
    if isinstance(value, AbstractSet):
        return [to_plain(item, path) for item in sorted(cast("AbstractSet[object]", value), key=repr)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name), f"{path}.{f.name}") for f in dataclasses.fields(value)}
    for dump in ("model_dump", "tolist"):  # pydantic models; numpy and pandas values
        if callable(method := getattr(value, dump, None)) and not isinstance(value, type):
            return to_plain(method(), path)
    raise TypeError(f"{path} is {type(value).__name__}, which JSON cannot say; return text, numbers, lists or dicts")


def _key(key: object, path: str) -> str:
    if isinstance(key, str | int | float | dt.date | uuid.UUID) or key is None:
        return str(to_plain(key))
    raise TypeError(f"{path} has the key {key!r:.60}; JSON keys are text")


def _parts(value: object) -> list[Text | Image | Document]:
    items: list[object] = list(cast("Sequence[object]", value)) if isinstance(value, list | tuple) else [value]
    parts = [item for item in items if isinstance(item, Text | Image | Document)]
    return parts if len(parts) == len(items) else []


def _show_parts(parts: Sequence[Text | Image | Document], limit: int, handle: str) -> Shown:
    """The parts, their texts cut where all of them together, a line apart, reach the limit."""
    whole, start, noted = scalars(apart(parts)), 0, False
    content: list[Text | Image | Document] = []
    for part in parts:
        if not isinstance(part, Text) or not part.text:
            content.append(part)
            continue
        end = start + len(part.text)
        if end <= limit:
            content.append(Text(whole[start:end]))
        elif not noted:
            noted, shown = True, max(start, limit)
            content.append(Text(whole[start:shown] + _note(shown, len(whole), handle)))
        start = end if part.text.endswith("\n") else end + 1
    size = sum(len(part.text) for part in parts if isinstance(part, Text))
    return Shown(tuple(content), whole, size, whole if noted else None)


def one_line(error: BaseException, limit: int = 1000) -> str:
    """An exception for a model: type and message on one line; a group as what it holds."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return "; ".join(one_line(inner, limit) for inner in group.exceptions)
    said = " ".join(message(error).split())
    return cut(f"{type(error).__name__}: {said}" if said else type(error).__name__, limit)


def message(error: BaseException) -> str:
    """What an exception says; "" where it cannot."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # a broken `__str__` must not hide what the tool did
        return ""
