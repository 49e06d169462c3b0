"""Reading JSON that strangers wrote: a missing or wrongly typed field reads as an empty one."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, TypeGuard, cast


def parse(text: str | bytes) -> Any:
    """The JSON value; raises ValueError for anything else, NaN, 1e999, endless nesting and invalid UTF-8 included."""
    try:
        return _DECODER.decode(text.decode(json.detect_encoding(text)) if isinstance(text, bytes) else text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object, or None where the text is anything else."""
    try:
        value = parse(text)
    except ValueError:
        return None
    return value if is_object(value) else None


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """True for a JSON object."""
    return isinstance(value, dict)


def mapping(value: object) -> dict[str, Any]:
    """The object, or an empty one."""
    return value if is_object(value) else {}


def sequence(value: object) -> list[Any]:
    """The array, or an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


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


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _no_json(number)


# json.loads would build one for every event of a stream.
_DECODER = json.JSONDecoder(parse_constant=_no_json, parse_float=_finite)
