"""JSON values as the types that annotations and models name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def typed(value: Any, read: Callable[[Any], T], read_json: Callable[[str], T] | None) -> T:
    """A JSON value as pydantic's `read` makes it, else as its `read_json` does. Raises pydantic's ValidationError.

    A strict type takes a text for a date, an enum's member or a UUID, and an array for a tuple, from JSON alone.
    """
    from pydantic import ValidationError

    try:
        return read(value)
    except ValidationError:
        if read_json is None or (text := _written(value)) is None:
            raise
        return read_json(text)


def _written(value: Any) -> str | None:
    try:
        return json.dumps(value)
    except (TypeError, ValueError):  # not from JSON after all
        return None
