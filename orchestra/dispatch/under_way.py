"""Calls under way: what tasks wait for at this moment, so that an app that is closed does not leave them waiting."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

from orchestra.errors import LedgerError

PATIENCE = 5.0
"""Seconds that calls have to come to their end; to close a connection takes none."""


class UnderWay:
    """The waits of all calls, each of which is `with` one of these for as long as its task waits."""

    def __init__(self) -> None:
        self._waits: set[Waiting] = set()

    def waiting(self, step: str) -> Waiting:
        """A wait of the running task, for a call of this step."""
        return Waiting(self._waits, step)

    async def end(self) -> None:
        """End the running loop's with a LedgerError each, and wait until they have said so to the ledger."""
        loop = asyncio.get_running_loop()
        mine = [one for one in tuple(self._waits) if one.task.get_loop() is loop]
        left = [one.end() for one in mine]
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                for each in left:
                    await each.wait()


class Waiting:
    """A task that waits; LedgerError where it is ended from without: what it brought could not be recorded."""

    __slots__ = ("_all", "_before", "_left", "_step", "task")
    task: asyncio.Task[object]

    def __init__(self, among: set[Waiting], step: str) -> None:
        self._all, self._step = among, step
        self._left: asyncio.Event | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        self.task, self._before = task, task.cancelling()
        self._all.add(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._all.discard(self)
        if self._left is None:
            return
        self._left.set()
        own = self.task.uncancel() <= self._before  # else somebody else wants the task to end, too
        if own and isinstance(error, asyncio.CancelledError):
            raise LedgerError(f"step {self._step!r}: the app was closed while the call was under way") from None

    def end(self) -> asyncio.Event:
        """Cancel the wait; what is set once it has ended."""
        if self._left is None:
            self._left = asyncio.Event()
            self.task.cancel("the app was closed")
        return self._left
