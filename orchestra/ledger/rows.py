"""Rows: the events in the file, written and read back."""

from __future__ import annotations

from orchestra.errors import LedgerError
from orchestra.ledger.events import AttemptEnded, Event, Row
from orchestra.ledger.harmless import Harmless
from orchestra.ledger.redact import Redactor
from orchestra.ledger.store import Fresh, Statement, Store, Stored, event_row
from orchestra.ledger.stored import decode, encode
from orchestra.ledger.weighed import Cards


class Rows:
    """The events of a store; `content` also keeps what people and models wrote. Everything raises LedgerError.

    What is written is looked through by `redactor` first.
    """

    def __init__(self, store: Store, redactor: Redactor, *, content: bool) -> None:
        self._store, self._redactor, self._content = store, redactor, content
        self._cards = Cards(store, redactor)
        self._harmless = Harmless(content=content)

    def add(self, run: str, step: str, time: float, event: Event, *others: Statement) -> int:
        """Write an event, and `others` with it or neither; its sequence number."""
        return self._store.write(event_row(self._fresh(run, step, time, event)), *others)

    def hold(self, run: str, step: str, time: float, event: Event) -> bool:
        """Write an event with the next that is added; whether no other is held yet."""
        return self._store.hold(self._fresh(run, step, time, event))

    def look_again(self) -> None:
        """At what was taken to hold no secret: others are known now."""
        self._cards.look_again()
        self._harmless.clear()

    def of(self, run: str) -> list[Row]:
        """The rows of a run in order."""
        return [self._row(one) for one in self._store.rows(run)]

    def _fresh(self, run: str, step: str, time: float, event: Event) -> Fresh:
        data = encode(event, self._cards, content=self._content)
        memory = self._harmless.memory
        if self._harmless.known(run, step, event):
            return run, step, time, event.type, data
        shown = data.replace(_OWN_NAME, "", 1) if isinstance(event, AttemptEnded) else data
        if self._redactor.suspects(f"{run}\n{step}\n{shown}"):
            run, step = self._redactor.text(run), self._redactor.text(step)
            data = encode(self._redactor.value(event), self._cards, content=self._content)
        elif len(data) <= _SHORT:
            self._harmless.add(memory, run, step, event)
        return run, step, time, event.type, data

    def _row(self, stored: Stored) -> Row:
        seq, run, step, when, kind, data = stored
        try:
            return Row(seq, run, step, when, decode(kind, data, self._cards))
        except (ValueError, LookupError) as error:
            raise LedgerError(
                f"{self._store} has a row {seq} that this orchestra cannot read: {error}; "
                "use the orchestra that wrote it or a newer one"
            ) from error


_SHORT = 1000  # characters of a row whose strings are worth remembering
_OWN_NAME = '"first_token":'  # a number; in a mapping, of which this event has none, it would name a secret
