"""Threads: one run at a time is at work on a thread, for a second one would hide the first there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Self, cast

from orchestra.errors import RunOwned
from orchestra.ledger import Lease, Ledger
from orchestra.ledger.lease import owned
from orchestra.ledger.memory import MemoryLeases

PATIENCE = 5.0
"""Seconds that a run which is being left has to come to its end before the next one on its thread is refused."""


class Thread:
    """A thread that is one run's until the block ends."""

    def __init__(self, name: str, lease: Lease) -> None:
        self._name, self._lease = name, lease

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lease.release()
        _left.discard(self._name)

    @contextmanager
    def watched(self) -> Generator[None]:
        """Whoever is left within this block, by an exception, is about to give the thread back."""
        try:
            yield
        except BaseException:
            _left.add(self._name)
            raise


async def claim(ledger: Ledger, thread: str, saver: Any) -> Thread:
    """The thread, in the ledger beside whose file its checkpoints lie. Raises RunOwned while a run is at work there.

    Where they lie in a `saver` of the caller's own it is this process's: nobody knows whose else that saver is.
    """
    name = f"of thread {thread}"
    try:
        return Thread(name, _lease(ledger, name, saver))
    except RunOwned:
        await _end_of(name)
        return Thread(name, _lease(ledger, name, saver))


async def _end_of(name: str) -> None:
    """Wait while the run that has the thread is being left, so that who breaks out of its stream may go on at once."""
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
    until = time.monotonic() + PATIENCE
    while name in _left and time.monotonic() < until:  # noqa: ASYNC110  # it may end in another event loop
        await asyncio.sleep(_PAUSE)


def _lease(ledger: Ledger, name: str, saver: Any) -> Lease:
    if saver is None:
        return ledger.claim(name)
    try:
        return _own.claim(f"{id(saver)} {name}")
    except RunOwned as held:
        raise owned(cast("str", ledger.without_secrets(name)), held.owner) from None


_own = MemoryLeases(time.time)
_left: set[str] = set()
_ROUNDS = 3  # of the event loop, within which it begins to close a generator that was dropped
_PAUSE = 0.005
