"""Values of this package as JSON text that `from_json` reads back, short where they are bulky.

Of a decision's parts fields at their defaults are left out, and of a model's card all but what names and prices it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import cache
from itertools import compress, repeat
from operator import attrgetter, is_not
from typing import Any

import orjson

from orchestra.types import Candidate, Decision, ModelCard, Plan, Step, StepContext


def text(value: Any) -> str:
    """The value's JSON text, as it is read back. Raises TypeError, ValueError or RecursionError for what is none."""
    return _JSON.encode(value)


def row_text(value: Any) -> str:
    """As `text`, in a third of the time: a UUID is no error but its text, and what is not ASCII stands as it is."""
    try:
        quick = orjson.dumps(value, _plain, _AS_JSON_DOES)
    except TypeError:  # a huge number, half a character, a key that is no text, or what is refused below
        return _JSON.encode(value)
    written = quick.decode()
    return _JSON.encode(value) if "null" in written else written  # it writes infinities as null too


def given(value: Any) -> dict[str, Any]:
    """The value's fields that are not None."""
    names, _, values = _stored(value.__class__)
    items = values(value)
    return dict(compress(zip(names, items, strict=False), map(is_not, items, _NONES)))


def sparse(value: Any) -> dict[str, Any]:
    """The value's fields that are not at their defaults."""
    names, defaults, values = _stored(value.__class__)
    items = values(value)
    others = compress(zip(names, items, defaults, strict=False), map(is_not, items, defaults))  # most are their default
    return {name: item for name, item, default in others if item != default}


_NONES = repeat(None)
_CARD = ("name", "model", "provider", "dialect", "tier", "price")
# A changed default of these changes what old rows mean: raise the schema's version with it.
_SPARSE = frozenset({StepContext, Decision, Candidate, ModelCard, Plan, Step})


def _plain(value: Any) -> Any:
    return _made_plain(value.__class__)(value)


@cache
def _made_plain(cls: Any) -> Callable[[Any], dict[str, Any]]:
    """What makes plain JSON of a value of the class, but for what is within."""
    if issubclass(cls, Mapping):
        return dict[str, Any]
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls.__name__} is no value of orchestra")
    tag, fields = _tag(cls), sparse if cls in _SPARSE else _all
    return (lambda value: tag | fields(value)) if tag else fields


def _all(value: Any) -> dict[str, Any]:
    names, _, values = _stored(value.__class__)
    return dict(zip(names, values(value), strict=False))


def _tag(cls: Any) -> dict[str, str]:
    """What tells the members of a union apart when they are read back."""
    tag = getattr(cls, "type", None)
    return {"type": tag} if isinstance(tag, str) else {}


@cache
def _stored(cls: Any) -> tuple[tuple[str, ...], tuple[Any, ...], Callable[[Any], tuple[Any, ...]]]:
    """Of the fields that are stored the names, the defaults, and what gives their values, and one value more."""
    kept = [field for field in dataclasses.fields(cls) if cls is not ModelCard or field.name in _CARD]
    names = tuple(field.name for field in kept)
    return names, tuple(map(_default, kept)), attrgetter(*names, "__class__")  # of one name it would give no tuple


def _default(field: dataclasses.Field[Any]) -> Any:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


_AS_JSON_DOES = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
# A circle ends in a RecursionError; to look for one in everything that has none takes longer.
_JSON = json.JSONEncoder(default=_plain, separators=(",", ":"), check_circular=False)
