"""Reading JSON that strangers wrote: a missing or wrongly typed field reads as an empty one."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, TypeGuard

from orchestra.checks.strict import DEPTH


def parse(text: str | bytes, levels: int = 128) -> Any:
    """The JSON value.

    Raises ValueError for anything else: NaN, 1e999, more `levels` of nesting than any provider has, invalid UTF-8.
    """
    try:
        text = text.decode(json.detect_encoding(text)) if isinstance(text, bytes) else text
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.count("{") + text.count("[") > levels and _deeper(value, levels):
        raise ValueError("nested too deeply")
    return value


def parse_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object, or None where the text is anything else, or deeper than any call's arguments may be."""
    try:
        value = parse(text, DEPTH)
    except ValueError:
        return None
    return value if is_object(value) else None


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """True for a JSON object."""
    return isinstance(value, dict)


def mapping(value: object) -> dict[str, Any]:
    """The object, or an empty one."""
    found: Any = value  # a cast would cost as much as the rest, and every event of a stream comes here a dozen times
    return found if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    """The array, or an empty one."""
    found: Any = value
    return found if isinstance(value, list) else []


def string(value: object) -> str:
    """The string, or an empty one."""
    return value if isinstance(value, str) else ""


def count(value: object) -> int:
    """The number of tokens, or 0; a number written as 1e999 reads as infinite, which is none."""
    return int(value) if isinstance(value, int | float) and 0 <= value < math.inf else 0


def scalars(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates replaced, so that it can be written as UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _deeper(value: object, levels: int) -> bool:
    """Whether anything stands below so many levels; level by level, since Python's own recursion ends soon after."""
    level = [value]
    for _ in range(levels + 1):
        level = [item for each in level for item in mapping(each).values() or sequence(each)]
        if not level:
            return False
    return True


def json_text(value: object) -> str:
    """The value as JSON. Raises ValueError for NaN and infinities."""
    return _ENCODER.encode(value)


def written(value: object) -> bytes:
    """The value as JSON in UTF-8, lone surrogates replaced. Raises ValueError for NaN and infinities."""
    return scalars(json_text(value)).encode()


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _no_json(number)


# json.dumps and json.loads would build one for every request, and for every event of a stream.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_DECODER = json.JSONDecoder(parse_constant=_no_json, parse_float=_finite)
