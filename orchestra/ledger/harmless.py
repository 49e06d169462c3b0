"""Harmless: strings that were looked through once and hold no secret; a row of nothing else needs no second look."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, get_type_hints

from orchestra.ledger.events import Event
from orchestra.ledger.redact import text_fields


class Harmless:
    """Remembers the strings of events; `content`: what people and models wrote is stored, and counts."""

    def __init__(self, *, content: bool) -> None:
        self._content = content
        self._known: set[object] = set()

    def known(self, run: str, step: str, event: Event) -> bool:
        """Whether all strings that are stored of the event, its run and step among them, were added before."""
        if (strings := _strings(event.__class__, content=self._content)) is None:
            return False
        try:
            return run in self._known and step in self._known and self._known.issuperset(strings(event))
        except TypeError:  # a list where a tuple should be
            return False

    @property
    def memory(self) -> set[object]:
        """What is remembered as of now; to be asked for before a row is looked through."""
        return self._known

    def add(self, memory: set[object], run: str, step: str, event: Event) -> None:
        """Its row was looked through, and there was nothing in it; `memory` is from before that."""
        if (strings := _strings(event.__class__, content=self._content)) is None:
            return
        if len(memory) > _MOST:
            memory.clear()
        try:
            memory.update((run, step), strings(event))
        except TypeError:
            return

    def clear(self) -> None:
        """Forget all: other secrets are known now, and a row that another thread looks through is none of it."""
        self._known = set()


@cache
def _strings(cls: type[Event], *, content: bool) -> Callable[[Event], tuple[Any, ...]] | None:
    """What gives the strings of such an event, but for our own digest; None where some stand within other values."""
    names = [name for name in text_fields(cls) if name != "raw_sha256" and (content or name not in cls.content)]
    hints = get_type_hints(cls)
    if any(hints[name] not in _STRINGS for name in names):
        return None
    return attrgetter(*names, names[0])  # of one name alone it gives no tuple


_STRINGS = (str, str | None, tuple[str, ...])
_MOST = 4096
