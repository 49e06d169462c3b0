"""The deadlines of one exchange: whole, first token, silence between chunks."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestra.transport import TransportFault
from orchestra.types import Timeouts, Trigger

T = TypeVar("T")
GRACE = 0.25
"""Seconds for which a wait goes on behind its deadline, once: where something held up the event loop, what came in time
lies there unread. As long for the end of a body whose reply is whole: a new connection costs less than a longer wait.
"""
_TICK = 1e-3  # seconds; an event loop rings within its clock's resolution of the time


class Deadlines:
    """Bounds each wait of an exchange that begins now, with one timer for all of them: most waits are short.

    `deadline` is on `clock`'s scale, in seconds. `streamed`: the first-token and chunk deadlines apply.
    `first_token` is when the reply began, in seconds after the start. `paused` is for how long nobody asked for more.
    """

    def __init__(self, timeouts: Timeouts, deadline: float, clock: Callable[[], float], *, streamed: bool) -> None:
        self.timeouts, self._clock, self._streamed = timeouts, clock, streamed
        self._started = self._since = clock()
        self._deadline = deadline
        self._ends = min(deadline, self._started + timeouts.total)
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[object] | None = None
        self._expired = False
        self._spared = -math.inf  # until when the last deadline that passed was not declared so
        self._heard = b"\n\n"  # what came last of events
        self.first_token: float | None = None
        self.paused = 0.0

    async def within(self, work: Awaitable[T]) -> T:
        """The result of `work` within the deadline that applies now; raises TransportFault with `timeout` else."""
        task = asyncio.current_task()
        assert task is not None
        cancelled = task.cancelling()
        self._waiting = task
        if self._timer is None:
            self._arm()
        try:
            return await work
        except asyncio.CancelledError:
            if self._expired and task.uncancel() <= cancelled:
                raise TransportFault(Trigger.timeout, self._passed(), sent="unknown") from None
            raise
        finally:
            self._waiting = None

    def hear(self, chunk: bytes) -> None:
        """A chunk came; one that only keeps the connection alive is no sign of the model."""
        if chunk[:1] in _BLANK:
            if self._keeps_alive(chunk):
                return
            chunk = self._heard[-2:] + chunk
        self._heard, self._since = chunk, self._clock()
        if self.first_token is None:
            self.first_token = self._since - self._started

    def wait_anew(self) -> None:
        """Silence counts from now: until now it was not the model that was slow."""
        now = self._clock()
        pause = now - self._since
        self.paused += pause
        self._ends = min(self._deadline, self._ends + pause)
        self._spared = min(self._deadline, self._spared + pause)
        self._since = now

    def end_soon(self) -> None:
        """Nothing that still comes is worth more than the wait between two chunks."""
        self._ends = min(self._ends, self._clock() + self.timeouts.chunk)

    def end_at_once(self) -> None:
        """The reply is whole: its body's end, with which the connection may be used again, has GRACE and no more."""
        self._ends, self._spared = min(self._ends, self._clock()), -math.inf
        asyncio.get_running_loop().call_soon(self._hasten)  # most have it at hand and are done by then

    def close(self) -> None:
        """The exchange is over: nothing is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _due(self) -> float:
        """When the model has to have given its next sign, or ended."""
        if not self._streamed:
            return self._ends
        wait = self.timeouts
        sign = self._started + wait.first_token if self.first_token is None else self._since + wait.chunk
        return min(self._ends, sign)

    def _arm(self) -> None:
        """The timer rings when this wait has to end, or before: the next one may be as short as that of a chunk."""
        seconds = min(max(self._due, self._spared) - self._clock(), self.timeouts.chunk)
        self._timer = asyncio.get_running_loop().call_later(seconds, self._ring)

    def _hasten(self) -> None:
        if self._timer is not None and self._waiting is not None:
            self._timer.cancel()
            self._arm()

    def _ring(self) -> None:
        self._timer = None
        if self._waiting is None:
            return
        soon, due = self._clock() + _TICK, self._due
        if self._spared < due <= soon:  # whether anything held up the loop, a timer that rings in time cannot tell
            self._spared = min(soon + GRACE, self._deadline)
        if max(due, self._spared) > soon:
            self._arm()
        else:
            self._expired = True
            self._waiting.cancel()

    def _passed(self) -> str:
        """What it means that the deadline has passed."""
        wait = self.timeouts
        if self._ends <= self._due:
            return f"no complete reply within {self._ends - self._started:.3g} s"
        if self.first_token is None:
            return f"no first token within {wait.first_token:g} s"
        return f"silent for {wait.chunk:g} s in the middle of the reply"

    def _keeps_alive(self, chunk: bytes) -> bool:
        """True for comments, and for blank lines between events, which some gateways send while they wait.

        What begins alike in the middle of a line is of the reply, and so is a blank line that ends an event (WHATWG
        HTML, section 9.2), also behind a comment. Of a comment that is split, only the first piece is known for one.
        """
        if self._heard.endswith(_EVENT_ENDS):
            return bool(_COMMENTS_AND_BLANKS.fullmatch(chunk))
        return not chunk or (self._heard.endswith(_LINE_ENDS) and bool(_COMMENTS.fullmatch(chunk)))


_BLANK = b": \t\r\n"  # how such a chunk begins; the empty one too
_LINE_ENDS = (b"\n", b"\r")
_EVENT_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")
_COMMENTS = re.compile(rb"(?::[^\r\n]*(?:\r\n|[\r\n]|$))*")
_COMMENTS_AND_BLANKS = re.compile(rb"(?::[^\r\n]*(?:[\r\n]|$)|[ \t]*[\r\n])*[ \t]*")
