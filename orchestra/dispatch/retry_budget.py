"""The retry budget of a provider: retries add a little to its load, never double it while it is down.

As in Finagle and linkerd: a token bucket that a share of the requests fills, and a trickle for those who send few.
"""

from __future__ import annotations


class RetryBudget:
    """At most `ratio` retries a first attempt, `per_second` beside them, and `most` saved up; it starts full.

    Pure: `now` is seconds on the caller's clock. Moves to another provider are no retries.
    """

    __slots__ = ("_most", "_now", "_per_second", "_ratio", "_tokens")

    def __init__(self, ratio: float = 0.1, most: float = 10.0, per_second: float = 0.1) -> None:
        self._ratio, self._most, self._per_second = ratio, most, per_second
        self._tokens = most
        self._now = 0.0

    def earn(self) -> None:
        """A first attempt is made."""
        self._tokens = min(self._most, self._tokens + self._ratio)

    def spend(self, now: float) -> bool:
        """Take one retry; False where the budget is used up."""
        self._tokens = min(self._most, self._tokens + self._per_second * (now - self._now))
        self._now = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
