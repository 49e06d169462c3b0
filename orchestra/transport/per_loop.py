"""One client per event loop: a pool's connections die with the loop that opened them."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Generic, TypeVar

C = TypeVar("C")


class PerLoop(Generic[C]):
    """Makes a client for each event loop on first use, so that repeated `asyncio.run` calls may share a transport."""

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._clients: dict[AbstractEventLoop, C] = {}

    def get(self) -> C:
        """The running loop's client."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            self._forget_closed_loops()
            client = self._clients[loop] = self._make()
        return client

    def pop(self) -> C | None:
        """The running loop's client, no longer kept; None where there is none."""
        self._forget_closed_loops()
        return self._clients.pop(asyncio.get_running_loop(), None)

    def _forget_closed_loops(self) -> None:
        for loop in [loop for loop in self._clients if loop.is_closed()]:
            del self._clients[loop]
