"""Runs a tool's function with its arguments: async on the loop, sync in a thread, both within a time."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from queue import SimpleQueue
from typing import Any, cast

from orchestra.toolbox.faults import ToolTimeout


async def run(fn: Callable[..., Any], arguments: Mapping[str, Any], *, timeout: float | None) -> object:  # noqa: ASYNC109  # the tool's own limit
    """What `fn(**arguments)` returns, awaited where it is awaitable. `timeout` in seconds, None: no limit.

    Raises ToolTimeout, or what the function raises. An async function is cancelled at its timeout. A thread
    cannot be stopped: a sync function is only no longer waited for, and may still finish its work.
    """
    scope = asyncio.timeout(timeout)
    try:
        async with scope:
            work = functools.partial(fn, **arguments)
            value = work() if _is_async(fn) else await _in_thread(work)
            return await cast("Awaitable[object]", value) if inspect.isawaitable(value) else value
    except TimeoutError:
        if not scope.expired():
            raise
        raise ToolTimeout(f"did not finish within {timeout:g} seconds") from None


def _is_async(fn: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(type(fn), "__call__", None))  # noqa: B004  # what __call__ is, not whether there is one


async def _in_thread(work: Callable[[], object]) -> object:
    """Not the loop's own executor: its few threads would be used up by hung tools, and hold the process at exit."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[object, BaseException | None]] = loop.create_future()
    context = contextvars.copy_context()

    def settle(value: object, error: BaseException | None) -> None:
        if not done.done():
            done.set_result((value, error))

    def body() -> None:
        value, error = None, None
        try:
            value = context.run(work)
        except BaseException as raised:  # noqa: BLE001  # it belongs to whoever awaits the tool
            error = raised
        if not loop.is_closed():  # nobody waits any more where the loop is gone
            loop.call_soon_threadsafe(settle, value, error)

    _hand_to_thread(body)
    value, error = await done
    if error is not None:
        raise error
    return value


_MOST_IDLE = 16
_idle: list[SimpleQueue[Callable[[], None]]] = []
"""The inboxes of threads that wait for work: a thread that hangs is not among them, and is not missed."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # threads do not come along


def _hand_to_thread(work: Callable[[], None]) -> None:
    try:
        inbox = _idle.pop()
    except IndexError:
        inbox = SimpleQueue[Callable[[], None]]()
        threading.Thread(target=_serve, args=(inbox,), daemon=True, name="tool").start()
    inbox.put(work)


def _serve(inbox: SimpleQueue[Callable[[], None]]) -> None:
    inbox.get()()
    while len(_idle) < _MOST_IDLE:
        _idle.append(inbox)
        inbox.get()()
