"""Reading JSON that strangers wrote: a missing or wrongly typed field reads as an empty one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NoReturn, TypeGuard

from orchestra.checks.strict import DEPTH


def parse(text: str | bytes, levels: int = 128) -> Any:
    """The JSON value.

    Raises ValueError for anything else: NaN, 1e999, more `levels` of nesting than any provider has, invalid UTF-8.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text))
        value, end = _DECODER.raw_decode(text) if text.startswith(("{", "[")) else (None, -1)
        if end < 0 or text[end:].strip(_SPACE):  # `decode` looks for white space before and behind every value
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


def is_count(value: object) -> TypeGuard[int | float]:
    """True for a whole number of tokens that a reply can have: not below 0, nor so large that it is a mistake."""
    number: Any = value
    return type(value) in _NUMBERS and 0 <= number <= _MOST_TOKENS and number == int(number)


def count(value: object) -> int:
    """The number of tokens, or 0 where that is none."""
    return int(value) if value and is_count(value) else 0


def logprobs(found: Iterable[object]) -> list[float]:
    """Those that are log-probabilities of a token, of however strange numbers."""
    numbers = (one for one in found if isinstance(one, int | float) and not isinstance(one, bool))
    return [float(one) for one in numbers if _IMPROBABLE < one <= 0]


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


class Written(list[Any]):
    """A list that no longer changes, so that it has to be written only once."""

    @cached_property
    def text(self) -> str:
        """It as JSON. Raises as `json_text` does."""
        return json_text(self)


def object_text(members: Mapping[str, Any]) -> str:
    """The object as `json_text` gives it, without writing again the first of its members that is `Written`."""
    kinds = list(map(type, members.values()))
    if Written not in kinds:
        return json_text(members)
    items, at = list(members.items()), kinds.index(Written)
    name, held = items[at]
    before = json_text({**dict(items[:at]), name: None}).removesuffix("null}")
    after = json_text(dict(items[at + 1 :])).removeprefix("{")
    return f"{before}{held.text}{', ' * (after != '}')}{after}"


def written(value: object) -> bytes:
    """The value as JSON in UTF-8, lone surrogates replaced. Raises ValueError for NaN and infinities."""
    return scalars(object_text(value) if is_object(value) else json_text(value)).encode()


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _no_json(number)


_SPACE = " \t\r\n"
_NUMBERS = (int, float)  # and no bool
_MOST_TOKENS = 2**40
_IMPROBABLE = -1e6  # servers write -9999 for what cannot be; what lies far below is no logarithm, but a mistake
# json.dumps and json.loads would build one for every request, and for every event of a stream.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_DECODER = json.JSONDecoder(parse_constant=_no_json, parse_float=_finite)
