"""Arguments of a Gemini call that arrived value by value, each under its JSON path (Vertex AI only)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias, cast

from orchestra.dialects.loose import is_object, parse, string

Step: TypeAlias = str | int

DEEPEST = 64
"""Steps of a path: what lies deeper is no argument of a tool."""


def assembled(pieces: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The arguments that a call's `partialArgs` say: the last value of a path counts, but texts come in pieces.

    The paths are the singular queries of RFC 9535 (`$.a.b[0]['c d']`). Raises ValueError for what fits nowhere.
    """
    root: dict[Step, Any] = {}
    texts: dict[tuple[Step, ...], list[str]] = {}
    for piece in pieces:
        steps = tuple(_steps(string(piece.get("jsonPath"))))
        if isinstance(text := piece.get("stringValue"), str):
            texts.setdefault(steps, []).append(text)
            _put(root, steps, "")  # its place among the others is where it began
        else:
            texts.pop(steps, None)
            _put(root, steps, _value(piece))
    for steps, parts in texts.items():
        _put(root, steps, "".join(parts))
    arguments = _plain(root)
    if not is_object(arguments):
        raise ValueError("arguments are an object")
    return arguments


_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]'"\s]+)|\[(?P<index>\d{1,6})\]|\[(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]"""
)


def _put(root: dict[Step, Any], steps: tuple[Step, ...], value: object) -> None:
    for step in steps[:-1]:
        inner: object = root.setdefault(step, {})
        if not isinstance(inner, dict):
            raise ValueError(f"{steps!r} lies in what is no object or array")
        root = cast("dict[Step, Any]", inner)
    root[steps[-1]] = value


def _steps(path: str) -> Iterator[Step]:
    place, number = 1, 0
    while (found := _STEP.match(path, place)) and number < DEEPEST:
        place, number = found.end(), number + 1
        if found["index"] is not None:
            yield int(found["index"])
        else:
            yield found["name"] or _unquoted(found["quoted"])
    if not path.startswith("$") or not number or place < len(path):
        raise ValueError(f"{path[:60]!r} is no path to a value")


def _unquoted(name: str) -> str:
    if name.startswith("'"):
        name = '"' + name[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'
    return string(parse(name))


def _value(piece: dict[str, Any]) -> float | bool | None:
    number, flag = piece.get("numberValue"), piece.get("boolValue")
    if isinstance(flag, bool):
        return flag
    if isinstance(number, int | float) and not isinstance(number, bool):
        return number
    if "nullValue" in piece:
        return None
    raise ValueError("a partial argument without a value")


def _plain(value: object) -> object:
    """What was collected as objects and arrays: arrays are kept by index so that no path can ask for a huge one."""
    if not isinstance(value, dict):
        return value
    held = {key: _plain(inner) for key, inner in cast("dict[Step, object]", value).items()}
    if all(isinstance(key, str) for key in held):
        return held
    if set(held) != set(range(len(held))):
        raise ValueError("an array with gaps, or an object and an array at one place")
    return [held[index] for index in range(len(held))]
