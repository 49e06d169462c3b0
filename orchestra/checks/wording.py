"""How faults are worded: a value as the model wrote it, a place in it, the nearest known spelling."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

LIMIT = 80
LISTED = 20
_KINDS = {"NoneType": "null", "bool": "boolean", "int": "integer", "float": "number", "str": "string"} | dict.fromkeys(
    ("list", "tuple"), "array"
)


def shown(value: object, limit: int = LIMIT) -> str:
    """The value as JSON on one line, cut to `limit` characters."""
    return cut(json.dumps(value, ensure_ascii=False, default=_plain), limit)


def cut(text: str, limit: int = LIMIT) -> str:
    """The text on one line, its end replaced by … where it is longer than `limit` characters."""
    line = " ".join(text[: 4 * limit].split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def place(path: Iterable[str | int]) -> str:
    """A path such as `filters[0].op`; "the value" for the whole."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{cut(key)}" for key in path)
    return text.removeprefix(".") or "the value"


def kind(value: object) -> str:
    """The JSON type's name."""
    if isinstance(value, Mapping):
        return "object"
    name = type(value).__name__
    return _KINDS.get(name, name)


def known(name: str, names: Sequence[str]) -> str:
    """The nearest spelling of `name` where one is near, and what is known: `nearest: rows; known: rows, count`."""
    folded = {candidate.casefold(): candidate for candidate in names}
    near = difflib.get_close_matches(name[:LIMIT].casefold(), folded, n=1)
    return "; ".join([f"nearest: {folded[found]}" for found in near] + [f"known: {listing(names)}"])


def listing(names: Sequence[str]) -> str:
    """The names with commas, at most 20 of them."""
    more = [f"… ({len(names) - LISTED} more)"] if len(names) > LISTED else []
    return ", ".join([cut(name) for name in names[:LISTED]] + more) or "none"


def _plain(value: object) -> object:
    return dict(cast("Mapping[str, object]", value)) if isinstance(value, Mapping) else repr(value)
