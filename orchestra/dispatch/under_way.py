"""What is under way: what tasks wait for at this moment, so that an app that is closed does not leave them waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Literal, Self

from orchestra.errors import ConfigError, LedgerError
from orchestra.ledger.store import CLOSED

PATIENCE = 5.0
"""Seconds that calls and runs have to come to their end; to close a connection takes none, a tool may take its time."""

_TURNS = 10
"""Turns of the event loop within which streams that were left by `break` begin to be closed, by tasks of the loop's."""


class UnderWay:
    """The waits of all calls and runs, each of which is `with` one of these for as long as its task waits."""

    def __init__(self) -> None:
        self._waits: set[Leaving] = set()
        self._closed = False

    def waiting(self, name: str, what: Literal["step", "run"] = "step") -> Waiting:
        """A wait of the running task, for a call of this step or for a run. Raises LedgerError once none may begin."""
        if self._closed:
            raise LedgerError(f"{what} {name!r}: {CLOSED}")
        return Waiting(self._waits, name, what)

    def leaving(self) -> Leaving:
        """A wait that is not ended but waited for: what is over gives back what it held, and tells the ledger."""
        return Leaving(self._waits)

    def each(self, pieces: AsyncIterator[Any], run: str) -> AsyncIterator[Any]:
        """What a run yields, with a wait for each piece."""
        return _Each(self, pieces, run)

    def refuse(self) -> None:
        """Let no wait begin until `admit`."""
        self._closed = True

    def admit(self) -> None:
        """Let waits begin again: what an app cannot do once it is closed, the ledger says."""
        self._closed = False

    async def end(self) -> None:
        """End the running loop's with a LedgerError each, and wait until they have said so to the ledger."""
        self.refuse()
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while mine := await self._waits_of(loop):
                    for left in [one.end() for one in mine]:
                        await left.wait()

    async def _waits_of(self, loop: asyncio.AbstractEventLoop) -> list[Leaving]:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        return [one for one in tuple(self._waits) if one.task.get_loop() is loop]


def running_task() -> asyncio.Task[object]:
    """The task that asks. Raises ConfigError where it is none of asyncio's."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    if task is None:
        raise ConfigError(
            "orchestra runs on asyncio, and this is no task of it: call from asyncio.run(…) or anyio's asyncio "
            "backend, or from trio with the sync twins in a thread (trio.to_thread.run_sync)"
        )
    return task


class Leaving:
    """A task that gives back what it held."""

    __slots__ = ("_all", "_before", "_left", "task")
    task: asyncio.Task[object]

    def __init__(self, among: set[Leaving]) -> None:
        self._all = among
        self._left: asyncio.Event | None = None

    def __enter__(self) -> Self:
        task = running_task()
        self.task, self._before = task, task.cancelling()
        self._all.add(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._all.discard(self)
        if self._left is not None:
            self._left.set()
            self._ended(error)

    def end(self) -> asyncio.Event:
        """What is set once it has ended."""
        if self._left is None:
            self._left = asyncio.Event()
            self._end()
        return self._left

    def _end(self) -> None:
        """It ends by itself."""

    def _ended(self, error: BaseException | None) -> None:
        """As it would have."""


class Waiting(Leaving):
    """A task that waits; LedgerError where it is ended from without: what it brought could not be recorded."""

    __slots__ = ("_name", "_what")

    def __init__(self, among: set[Leaving], name: str, what: str) -> None:
        super().__init__(among)
        self._name, self._what = name, what

    def _end(self) -> None:
        self.task.cancel("the app was closed")

    def _ended(self, error: BaseException | None) -> None:
        own = self.task.uncancel() <= self._before  # else somebody else wants the task to end, too
        if own and isinstance(error, asyncio.CancelledError):
            raise LedgerError(f"{self._what} {self._name!r}: the app was closed while it was under way") from None


class _Each:
    """An iterator, not a generator: what is left by `async for` is dropped, and closed, before its reader goes on."""

    def __init__(self, under_way: UnderWay, pieces: AsyncIterator[Any], run: str) -> None:
        self._under_way, self._pieces, self._run = under_way, pieces, run

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        with self._under_way.waiting(self._run, "run"):
            return await anext(self._pieces)
