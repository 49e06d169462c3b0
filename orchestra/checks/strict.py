"""JSON read strictly: what two parsers would understand differently is refused, not guessed."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NoReturn, cast

from orchestra.checks.wording import cut, kind, shown
from orchestra.types import Json

DEPTH = 64


class NotJson(ValueError):
    """The text is not JSON in the strict sense; the exception's text says why, for the model to read."""


class GivenTwice(NotJson):
    """An object has the same key more than once."""


def read_json(text: str) -> Json:
    """The value the text stands for.

    Raises NotJson for a syntax error, a key given twice, NaN and infinities, half a surrogate pair, and more than 64
    levels of nesting.
    """
    if text.startswith("\ufeff"):
        raise NotJson("a byte order mark stands before it")
    try:
        value = cast(Json, _STRICT.decode(text))
    except json.JSONDecodeError as error:
        raise NotJson(_syntax(error)) from None
    except RecursionError:
        raise NotJson(f"nested deeper than {DEPTH} levels") from None
    except NotJson:
        raise
    except ValueError:  # Python's guard against numbers of more than 4,300 digits
        raise NotJson("a number has too many digits") from None
    if (fault := value_fault(value)) is not None:
        raise NotJson(fault)
    return value


def value_fault(value: Json) -> str | None:
    """What keeps an already decoded value from being strict JSON; None where nothing does."""
    pending: list[tuple[Json, int]] = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if depth > DEPTH:
            return f"nested deeper than {DEPTH} levels"
        if isinstance(item, str):
            if (fault := _text_fault(item)) is not None:
                return fault
        elif isinstance(item, Mapping):
            pending.extend((part, depth + 1) for pair in item.items() for part in pair)
        elif isinstance(item, Sequence):
            pending.extend((part, depth + 1) for part in item)
        elif isinstance(item, float) and not math.isfinite(item):
            return f"{item} is not a JSON number"
    return None


def _text_fault(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"\\u{ord(text[error.start]):04x} is half a character"
    return None


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = next(name for name in times if times[name] > 1)
        raise GivenTwice(f"{shown(twice)} is given more than once")
    return found


def _refuse(constant: str) -> NoReturn:
    raise NotJson(f"{constant} is not a JSON number")


ONCE = json.JSONDecoder(object_pairs_hook=_unique)  # raises GivenTwice; json.loads would build one for every text
_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)


def _syntax(error: json.JSONDecodeError) -> str:
    near = error.doc[max(0, error.pos - 20) : error.pos + 20]
    return f"{error.msg} at character {error.pos + 1}" + (f", near {cut(near)}" if near else "")


def object_fault(value: Json) -> str:
    """Why a value cannot stand where an object must."""
    return f"expected a JSON object, got {kind(value)} {shown(value)}"
