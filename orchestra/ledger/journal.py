"""Journal: what a run has done and must not do twice, kept from the moment it is done until the run ends.

A resume needs what was said and found, so entries hold content whether or not the ledger keeps any; therefore they go
when the run ends. What is executed after a resume is read from here, so only the known secrets are taken out: a word
that merely looks like one, or stands under such a name, has to come back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from orchestra.errors import LedgerError
from orchestra.ledger.redact import Redactor
from orchestra.ledger.sparse import text
from orchestra.ledger.store import Statement, Store
from orchestra.types import Json


class Journal:
    """The entries of runs' steps by key: plain JSON, and values of this package. Everything raises LedgerError."""

    def __init__(self, store: Store, secrets: Iterable[str]) -> None:
        self._store = store
        self._redactor = Redactor(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Replace these secrets too, from now on."""
        self._redactor.learn(secrets)

    def keep(self, run: str, step: str, key: str, value: object) -> None:
        """Write an entry."""
        self._store.write(self.entry(run, step, key, value))

    def entry(self, run: str, step: str, key: str, value: object) -> Statement:
        """What writes an entry, over an earlier one of the same key."""
        try:
            entry = text(value)
            if self._redactor.known(entry) is not entry:  # most hold nothing; to look at each string costs far more
                entry = text(self._redactor.known_in(json.loads(entry)))
        except (TypeError, ValueError, RecursionError) as error:
            raise LedgerError(f"journal: entry {key!r} of step {step!r} is not plain JSON: {error}") from None
        return _KEEP, (run, step, self._redactor.known(key), entry)

    def kept(self, run: str, step: str) -> dict[str, Json]:
        """A step's entries in the order in which their keys were first kept."""
        rows = self._store.use("read", lambda db: db.execute(_KEPT, (run, step)).fetchall())
        return {key: json.loads(value) for key, value in rows}

    def forget(self, run: str) -> None:
        """Delete the entries of a run."""
        self._store.write((_FORGET, (run,)))

    def close(self) -> None:
        """Give the file back."""
        self._store.close()


_KEEP = """INSERT INTO journal (run, step, key, value) VALUES (?, ?, ?, ?)
ON CONFLICT (run, step, key) DO UPDATE SET value = excluded.value"""
_KEPT = "SELECT key, value FROM journal WHERE run = ? AND step = ? ORDER BY rowid"
_FORGET = "DELETE FROM journal WHERE run = ?"
