"""Listeners: who hears the rows of which run, as they come."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from orchestra.ledger.events import Row
from orchestra.ledger.redact import Redactor
from orchestra.ledger.sinks import Sink

_log = logging.getLogger("orchestra.ledger")


class Listeners:
    """The sinks that hear every run, and the listeners of single runs."""

    def __init__(self, sinks: Iterable[Sink], redactor: Redactor) -> None:
        self._sinks = tuple(sinks)
        self._of_run: dict[str, dict[object, Sink]] = {}
        self._lock = threading.Lock()
        self._redactor = redactor

    def add(self, run: str, listener: Sink) -> Callable[[], None]:
        """Let `listener` hear the rows of `run`; returns what ends that. Ending twice is ending once."""
        token = object()
        with self._lock:
            self._of_run.setdefault(run, {})[token] = listener

        def remove() -> None:
            with self._lock:
                left = self._of_run.get(run, {})
                left.pop(token, None)
                if not left:
                    self._of_run.pop(run, None)

        return remove

    def heard(self, run: str) -> bool:
        """Whether anybody hears the rows of `run`, a name that may hold a secret."""
        return bool(self._sinks) or (bool(self._of_run) and self._redactor.text(run) in self._of_run)

    def tell(self, row: Row) -> None:
        """Hand the row to all who want it. One that raises is logged, redacted, and stops nobody else."""
        with self._lock:
            of_run = tuple(self._of_run.get(row.run, {}).values())
        for sink in of_run + self._sinks:
            try:
                sink(row)
            except Exception as error:  # noqa: BLE001  # what listens must not decide what a run does
                text = self._redactor.text(f"{type(error).__name__}: {error}")
                _log.error("%r failed on %s %d: %s", sink, row.event.type, row.seq, text)
