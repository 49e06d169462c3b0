"""How an event is stored: plain JSON that is read back as the same event, without what was not asked to be kept.

What people and models wrote (a class's `content`) is dropped unless content is kept. Null is left out: SQL reads a
missing key as null too.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, get_args

from orchestra.errors import LedgerError
from orchestra.ledger.events import Decided, Event, Planned
from orchestra.ledger.sparse import given, row_text, sparse
from orchestra.ledger.weighed import Cards
from orchestra.types import from_json


def encode(event: Event, cards: Cards, *, content: bool = True) -> str:
    """The event's JSON text, with what people and models wrote if `content`.

    Raises LedgerError for values that are not plain JSON.
    """
    values = given(event)
    if not content:
        for name in event.content:
            values.pop(name, None)
    try:
        if isinstance(event, Decided):
            values["context"] = _context(event, content=content)
            values["decision"] = sparse(event.decision) | cards.pack(event.decision.candidates)
        elif isinstance(event, Planned) and not content:
            values["plan"] = dataclasses.replace(event.plan, task="")
        return row_text(values)
    except (TypeError, ValueError, RecursionError) as error:
        raise LedgerError(f"ledger: event {event.type!r} holds something that is not plain JSON: {error}") from None


def decode(kind: str, text: str, cards: Cards) -> Event:
    """The event of type `kind`; what was not stored is at its default. Raises ValueError saying what does not fit."""
    if kind not in _EVENTS:
        raise ValueError(f"event type {kind!r} is unknown; known: {', '.join(_EVENTS)}")
    values: Any = json.loads(text)
    if kind == Decided.type:
        values["decision"] = cards.unpack(values["decision"])
    return from_json(_EVENTS[kind], values)


def _context(event: Decided, *, content: bool) -> dict[str, Any]:
    values = sparse(event.context)
    if not content:
        values.pop("text", None)
    return values


_EVENTS: dict[str, type[Event]] = {cls.type: cls for cls in get_args(Event)}
