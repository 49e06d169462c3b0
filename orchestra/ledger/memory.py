"""What a ledger without a file holds: the journals and leases of this process, and no event at all."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable

from orchestra.errors import LedgerError
from orchestra.ledger.lease import Lease, another_task, owned
from orchestra.ledger.redact import Redactor
from orchestra.ledger.sparse import text
from orchestra.ledger.store import CLOSED
from orchestra.types import Json


class MemoryJournal:
    """As Journal. Values are held as they are, and become plain JSON without secrets when somebody asks for them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._redactor = Redactor(secrets)
        self._entries: defaultdict[str, dict[tuple[str, str], object]] = defaultdict(dict)
        self._open = True

    def hide(self, secrets: Iterable[str]) -> None:
        """As `Journal.hide`."""
        self._redactor.learn(secrets)

    def keep(self, run: str, step: str, key: str, value: object) -> None:
        """As `Journal.keep`."""
        if not self._open:
            raise LedgerError(f"cannot keep {key!r} in the ledger in memory: {CLOSED}")
        self._entries[run][step, key] = value

    def kept(self, run: str, step: str) -> dict[str, Json]:
        """As `Journal.kept`."""
        found = self._entries.get(run, {}).items()
        try:
            plain = {key: json.loads(text(value)) for (its, key), value in found if its == step}
        except (TypeError, ValueError, RecursionError) as error:
            raise LedgerError(f"journal: an entry of step {step!r} is not plain JSON: {error}") from None
        return {self._redactor.known(key): self._redactor.known_in(value) for key, value in plain.items()}

    def forget(self, run: str) -> None:
        """As `Journal.forget`."""
        self._entries.pop(run, None)

    def close(self) -> None:
        """Keep nothing any more."""
        self._open = False
        self._entries.clear()


class MemoryLeases:
    """As Leases, among the tasks of one process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: dict[str, tuple[Lease, float]] = {}

    def claim(self, run: str) -> Lease:
        """As `Leases.claim`."""
        lease = Lease(run, "", self)
        holder, since = self._held.setdefault(run, (lease, self._clock()))
        if holder is not lease:
            raise owned(run, another_task(os.getpid(), since))
        return lease

    def release(self, lease: Lease) -> None:
        """As `Leases.release`."""
        if self._held.get(lease.run, (None,))[0] is lease:
            del self._held[lease.run]

    def close(self) -> None:
        """Release all that is held."""
        self._held.clear()
