"""A circuit breaker: a target that keeps failing is left alone for a while, then tried with a few probes.

After Nygard, "Release It!" (2007): closed → open → half-open → closed. Opening by rates over a rolling window with a
minimum volume, and slow calls beside failed ones, are resilience4j's terms.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from orchestra.dispatch.window import Window
from orchestra.fleet import BreakerPolicy

__all__ = ["Breaker", "BreakerPolicy", "BreakerState"]

BreakerState: TypeAlias = Literal["closed", "open", "half_open"]

PROBE_WAIT = 1.0
"""Seconds that `wait` says while every probe's place is taken: about when one may be free."""


class Breaker:
    """One target's breaker. Pure: `now` is seconds on the caller's clock; callers take turns, there is no lock.

    Every call that goes out enters first and leaves once, with the pass that `enter` gave it:

        entered = breaker.enter(now)
        …
        changed = breaker.leave(now, entered, failed=False, seconds=1.2)
    """

    __slots__ = ("_calls", "_period", "_policy", "_probes", "_streak", "_turn", "_until")

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._turn = 0  # one more with every opening and closing; a pass is the turn in which it was given
        self._until: float | None = None
        self._period = 0.0  # seconds it was last opened for without being asked to
        self._calls = Window(policy.window, 3)  # calls, failed, slow
        self._streak = 0  # while closed: failures in a row; else successes
        self._probes = 0  # places taken
        self._close()

    def state(self, now: float) -> BreakerState:
        """Whether calls pass: all (closed), none (open), or a few probes (half_open)."""
        if self._until is None:
            return "closed"
        return "open" if now < self._until else "half_open"

    def wait(self, now: float) -> float:
        """Seconds until a call may pass; 0.0: now."""
        if self._until is None:
            return 0.0
        if now < self._until:
            return self._until - now
        return 0.0 if self._probes < self._policy.probes else PROBE_WAIT

    def enter(self, now: float) -> int:
        """A pass for one call, to be handed to `leave`; 0 where it may not pass.

        A call that is made all the same, because no other target is any better, leaves with 0.
        """
        if self._until is not None:
            if now < self._until or self._probes >= self._policy.probes:
                return 0
            self._probes += 1
        return self._turn

    def leave(
        self,
        now: float,
        entered: int,
        *,
        failed: bool | None,
        seconds: float = 0.0,
        retry_after: float | None = None,
    ) -> BreakerState | None:
        """What came of a call that took `seconds`; the new state where this changed it.

        `failed`: by the provider's fault; None where that cannot be said (cancelled, a request nobody could serve).
        `retry_after`: seconds the provider asks for; it opens for as long the first time, and never for less.
        """
        if self._until is None:
            # A call from before the last change says nothing of now; one that times out late would open it again.
            if entered != self._turn or failed is None:
                return None
            return self._count(now, failed=failed, slow=self._slow(seconds), retry_after=retry_after)
        if entered not in (0, self._turn):
            return None
        if entered:
            self._probes -= 1
        if failed is None:
            return None
        if failed or self._slow(seconds):
            return self._open(now, retry_after) if entered else None
        self._streak += 1
        return self._close() if self._streak >= self._policy.probes else None

    def _count(self, now: float, *, failed: bool, slow: bool, retry_after: float | None) -> BreakerState | None:
        policy = self._policy
        calls, failures, slow_ones = self._calls.add(now, 1, failed, slow)
        self._streak = self._streak + 1 if failed else 0
        # A busy target's window is full of successes: without the streak an outage is noticed after half a window.
        if self._streak >= policy.minimum:
            return self._open(now, retry_after)
        if calls >= policy.minimum and (failures >= policy.error_rate * calls or slow_ones >= policy.slow_rate * calls):
            return self._open(now, retry_after)
        return None

    def _open(self, now: float, retry_after: float | None) -> BreakerState:
        if self._until is None and retry_after is not None:
            seconds = retry_after
        else:
            self._period = min(self._policy.longest, 2 * self._period or self._policy.opens)
            seconds = max(self._period, retry_after or 0.0)
        self._until = now + seconds
        self._begin()
        return "open"

    def _close(self) -> BreakerState:
        self._until = None
        self._period = 0.0
        self._calls = Window(self._policy.window, 3)
        self._begin()
        return "closed"

    def _begin(self) -> None:
        self._turn += 1
        self._streak = 0
        self._probes = 0

    def _slow(self, seconds: float) -> bool:
        return self._policy.slow is not None and seconds > self._policy.slow
