"""How an event is stored: plain JSON that `from_json` reads back, without what was not asked to be kept.

What people and models wrote (a class's `content`) is dropped unless content is kept. A decision's bulk is always
sparse: fields at their defaults are left out, and of a candidate's card only the facts that name and price it stay.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, cast, get_args

from orchestra.errors import LedgerError
from orchestra.ledger.events import Decided, Event, Planned
from orchestra.types import Candidate, Decision, ModelCard, Plan, Step, StepContext, from_json


def encode(event: Event) -> str:
    """The event's JSON text. Raises LedgerError for values that are not plain JSON."""
    try:
        return _JSON.encode({name: getattr(event, name) for name, _ in _fields(type(event))})
    except (TypeError, ValueError, RecursionError) as error:
        raise LedgerError(f"ledger: event {event.type!r} holds something that is not plain JSON: {error}") from None


def decode(kind: str, text: str) -> Event:
    """The event of type `kind`; what was not stored is at its default. Raises ValueError saying what does not fit."""
    if kind not in _EVENTS:
        raise ValueError(f"event type {kind!r} is unknown; known: {', '.join(_EVENTS)}")
    return from_json(_EVENTS[kind], json.loads(text))


def bare(event: Event) -> Event:
    """The event without what people and models wrote: `content` fields, a plan's task, a context's text."""
    if isinstance(event, Decided):
        return dataclasses.replace(event, context=dataclasses.replace(event.context, text=""))
    if isinstance(event, Planned):
        return dataclasses.replace(event, plan=dataclasses.replace(event.plan, task=""))
    if not event.content:
        return event
    defaults = dict(_fields(type(event)))
    return dataclasses.replace(event, **{name: defaults[name] for name in event.content})


_EVENTS: dict[str, type[Event]] = {cls.type: cls for cls in get_args(Event)}
_CARD = ("name", "model", "provider", "dialect", "tier", "price")
# A changed default of these changes what old rows mean: raise the schema's version with it.
_SPARSE = frozenset({StepContext, Decision, Candidate, ModelCard, Plan, Step})


def _plain(value: Any) -> Any:
    cls = value.__class__
    if dataclasses.is_dataclass(cls):
        fields = _fields(cls)
        if cls not in _SPARSE:
            return {name: getattr(value, name) for name, _ in fields}
        return {
            name: item
            for name, default in fields
            if (item := getattr(value, name)) is not default and item != default  # most are the default itself
        }
    if isinstance(value, Mapping):
        return dict(cast("Mapping[Any, Any]", value))
    raise TypeError(f"{cls.__name__} is no value of orchestra")


@cache
def _fields(cls: Any) -> tuple[tuple[str, Any], ...]:
    fields = [field for field in dataclasses.fields(cls) if cls is not ModelCard or field.name in _CARD]
    return tuple((field.name, _default(field)) for field in fields)


def _default(field: dataclasses.Field[Any]) -> Any:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


_JSON = json.JSONEncoder(default=_plain, separators=(",", ":"))
