"""One client per event loop: a pool's connections die with the loop that opened them."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread, current_thread
from typing import Generic, TypeAlias, TypeVar
from weakref import WeakMethod

from orchestra.transport.forks import begins_anew

C = TypeVar("C")


class PerLoop(Generic[C]):
    """Makes a client for each event loop on first use, so that repeated `asyncio.run` calls may share a transport.

    A client is closed in its loop when that shuts down, by `aclose` or by itself, as at the end of `asyncio.run`: then
    `close` is awaited. `drop` is for one whose loop is closed, or left open by a thread that has ended, or the parent's
    of a forked child: it must let go of its connections without a word and without the loop, and leave `close` nothing
    to do.
    """

    def __init__(self, make: Callable[[], C], close: Callable[[C], Awaitable[None]], drop: Callable[[C], None]) -> None:
        self._make, self._close, self._drop = make, close, drop
        self._kept: dict[AbstractEventLoop, _Kept[C]] = {}
        begins_anew(self)

    def get(self) -> C:
        """The running loop's client."""
        loop = asyncio.get_running_loop()
        kept = self._kept.get(loop)
        if kept is None:
            self._drop_left()
            client = self._make()
            forget = WeakMethod(self._forget)  # an app that nobody holds any more is gone at once, its client closed
            kept = self._kept[loop] = _Kept(client, _until_shutdown(client, self._close, loop, forget))
            _run_to_its_next_stop(anext(kept.shutdown))
        kept.thread = current_thread()  # a loop may be run by one thread after the other
        return kept.client

    async def aclose(self) -> None:
        """Close the running loop's client, if it has one."""
        self._drop_left()
        if kept := self._kept.pop(asyncio.get_running_loop(), None):
            await kept.shutdown.aclose()

    def after_fork(self) -> None:
        """A parent's connections are not the child's, and to close them here would take them from the parent's loop."""
        self._drop_those_of(tuple(self._kept))

    def __del__(self) -> None:
        self._drop_left()

    def _drop_left(self) -> None:
        """Frameworks that run synchronously leave a loop with each thread, and what is kept here keeps it open."""
        kept = [(loop, self._kept.get(loop)) for loop in tuple(self._kept)]  # another thread may be here as well
        self._drop_those_of([loop for loop, one in kept if one and _is_left(loop, one.thread)])

    def _drop_those_of(self, loops: Iterable[AbstractEventLoop]) -> None:
        for loop in loops:
            if kept := self._kept.pop(loop, None):  # another thread may have been here
                self._drop(kept.client)
                _run_to_its_next_stop(kept.shutdown.aclose())

    def _forget(self, loop: AbstractEventLoop) -> None:
        self._kept.pop(loop, None)


@dataclass(slots=True)
class _Kept(Generic[C]):
    """A client, what ends with its loop, and the thread that asked for it last."""

    client: C
    shutdown: AsyncGenerator[None]
    thread: Thread = field(default_factory=current_thread)


def _is_left(loop: AbstractEventLoop, thread: Thread) -> bool:
    return loop.is_closed() or not (thread.is_alive() or loop.is_running())


async def _until_shutdown(
    client: C, close: Callable[[C], Awaitable[None]], loop: AbstractEventLoop, forget: WeakMethod[_Forget]
) -> AsyncGenerator[None]:
    """Ends where the event loop shuts down, which closes the asynchronous generators that were begun in it."""
    try:
        yield
    finally:
        if forget_it := forget():
            forget_it(loop)
        await close(client)


def _run_to_its_next_stop(step: Awaitable[None]) -> None:
    """Without an event loop, as nothing in it waits."""
    with suppress(StopIteration, RuntimeError):  # it is being run already, where a fork came in between
        next(step.__await__())


_Forget: TypeAlias = Callable[[AbstractEventLoop], None]
