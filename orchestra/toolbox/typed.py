"""JSON values as the types that annotations and models name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar, cast

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


def json_reader(model: Any) -> Callable[[str], Any] | None:
    """The `read_json` of a pydantic model; None where it reads values in its own way, which would be passed by."""
    from pydantic import BaseModel

    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return None
    own = cast("Any", model.model_validate).__func__ is not cast("Any", BaseModel.model_validate).__func__
    return None if own else model.model_validate_json


def _written(value: Any) -> str | None:
    """As JSON text that pydantic can read; None where there is none."""
    try:
        text = json.dumps(value, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError):  # not from JSON after all, or half of a character
        return None
    return text
