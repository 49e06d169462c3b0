"""The deadlines of one exchange: whole, first token, silence between chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestra.transport import TransportFault
from orchestra.types import Timeouts, Trigger

T = TypeVar("T")


class Deadlines:
    """Bounds each wait of an exchange that begins now.

    `deadline` is on `clock`'s scale, in seconds. `streamed`: the first-token and chunk deadlines apply.
    `first_token` is when the reply began, in seconds after the start.
    """

    def __init__(self, timeouts: Timeouts, deadline: float, clock: Callable[[], float], *, streamed: bool) -> None:
        self._timeouts, self._clock, self._streamed = timeouts, clock, streamed
        self._started = self._heard = clock()
        self._ends = min(deadline, self._started + timeouts.total)
        self.first_token: float | None = None

    async def within(self, work: Awaitable[T]) -> T:
        """The result of `work` within the deadline that applies now; raises TransportFault with `timeout` else."""
        limit, text = self._limit()
        scope = asyncio.timeout(limit - self._clock())
        try:
            async with scope:
                return await work
        except TimeoutError:
            if not scope.expired():
                raise
            raise TransportFault(Trigger.timeout, text, sent="unknown") from None

    def hear(self, chunk: bytes) -> None:
        """A chunk came; one that only keeps the connection alive is no sign of the model."""
        if not _keeps_alive(chunk):
            self._heard = self._clock()
            if self.first_token is None:
                self.first_token = self._heard - self._started

    def wait_anew(self) -> None:
        """Silence counts from now: until now it was not the model that was slow."""
        self._heard = self._clock()

    def end_soon(self) -> None:
        """Nothing that still comes is worth more than the wait between two chunks."""
        self._ends = min(self._ends, self._clock() + self._timeouts.chunk)

    def _limit(self) -> tuple[float, str]:
        """The deadline that applies now, on the clock's scale, and what passing it means."""
        wait = self._timeouts
        limits = [(self._ends, f"no complete reply within {self._ends - self._started:.3g} s")]
        if self._streamed and self.first_token is None:
            limits.append((self._started + wait.first_token, f"no first token within {wait.first_token:g} s"))
        elif self._streamed:
            limits.append((self._heard + wait.chunk, f"silent for {wait.chunk:g} s in the middle of the reply"))
        return min(limits)


def _keeps_alive(chunk: bytes) -> bool:
    """True for comments and blank lines of server-sent events, which some gateways send while they wait."""
    return all(not line.strip() or line.startswith(b":") for line in chunk.splitlines())
