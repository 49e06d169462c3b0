"""Sync twins: one background event loop per app, so that its connections live in one loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from orchestra.errors import SyncInLoop
from orchestra.transport.forks import begins_anew

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that cancelled work has to come to its end; a tool may take its time."""


class Portal:
    """Runs coroutines for synchronous callers on a thread of its own, started at the first call."""

    def __init__(self) -> None:
        self._begin()
        begins_anew(self)

    def _begin(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._shutting = threading.RLock()
        self._streams: set[Any] = set()

    def after_fork(self) -> None:
        """The thread has stayed with the parent, and so has whoever held the lock."""
        self._begin()

    def run(self, name: str, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The coroutine's result. Raises SyncInLoop inside a running event loop; `name` is the sync method's.

        Whoever leaves by Ctrl-C finds the coroutine at rest, unless it takes longer than `PATIENCE` to be cancelled.
        """
        refuse_in_loop(name)
        at_rest = threading.Event()

        async def work() -> T:
            try:
                return await make()
            finally:
                at_rest.set()

        future = asyncio.run_coroutine_threadsafe(work(), self._running())
        try:
            return future.result()
        except BaseException:
            if future.cancel():
                at_rest.wait(PATIENCE)  # it gives back what it holds: its run, its thread
            raise

    def iterate(self, name: str, make: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """The async iterator's items, one by one; closing the generator closes the iterator."""
        refuse_in_loop(name)
        items: Any = make()  # every stream of ours is a generator
        self._streams.add(items)

        async def following() -> tuple[bool, Any]:
            _refuse_closed(items)
            try:
                return True, await anext(items)
            except StopAsyncIteration:
                return False, None

        async def end() -> None:
            if not items.ag_running:  # what does not let itself be cancelled cannot be closed either
                await items.aclose()

        try:
            while (item := self.run(name, following))[0]:
                yield item[1]
                _refuse_closed(items)
        finally:
            self._streams.discard(items)
            if items.ag_frame is not None:  # it has not come to its end yet
                self.run(name, end)

    async def drain(self, aclose: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel what other threads wait for, while it can still say so to the ledger.

        From another loop: run `aclose` in this one, whose connections nobody else can close, and stop.
        """
        if self._loop is asyncio.get_running_loop():
            await _cancel_others()
            for stream in tuple(self._streams):  # its reader is at work on a piece
                if not stream.ag_running:
                    await stream.aclose()
        elif self._loop is not None:
            await asyncio.to_thread(self.run, "close", aclose)
            await asyncio.to_thread(self.close)

    def shut(self, aclose: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `aclose` and stop. Whoever else is closing goes first. Raises SyncInLoop."""
        refuse_in_loop("close")
        with self._shutting:
            self.run("close", aclose)
            self.close()

    def close(self) -> None:
        """Stop the thread; a later call starts a new one."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="orchestra-sync", daemon=True)
                self._thread.start()
            return self._loop


def _refuse_closed(items: Any) -> None:
    """Raises CancelledError where the app was closed between two items: what had come must not pass for all."""
    if items.ag_frame is None:
        raise CancelledError("the app was closed")


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for one in others:
        one.cancel()
    if others:
        await asyncio.wait(others, timeout=PATIENCE)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    with asyncio.Runner(loop_factory=lambda: loop):  # at the end it cancels what other threads still wait for
        loop.run_forever()


_INSTEAD = {
    "complete_sync": "await complete(...)",
    "stream_sync": "iterate over stream(...) with async for",
    "close": "await aclose()",
    "invoke": "await ainvoke(...)",
    "call": "await acall(...)",
    "stream": "iterate over astream(...) with async for",
    "get_state": "await aget_state(...)",
    "get_state_history": "iterate over aget_state_history(...) with async for",
    "update_state": "await aupdate_state(...)",
}


def refuse_in_loop(name: str) -> None:
    """Raises SyncInLoop where an event loop is running: blocking it would block everything it serves."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise SyncInLoop(f"{name} was called inside a running event loop; {_INSTEAD[name]} instead")
