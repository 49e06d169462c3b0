"""What a target's latency history says: no answers, a trend upwards, jitter.

The idea is SONAR's (NetMCP, arXiv:2510.13467): route by a network score of the latency history, not by function alone.
Outage, trend and jitter are its signals. The formula is ours, because replies of language models differ in length by
orders of magnitude: everything is logarithmic, and a target is compared with its own past.
"""

from __future__ import annotations

import math

NOW, JITTER, USUAL = 1 / 8, 1 / 16, 1 / 512
"""Gains of the moving averages: of what latency is now (RFC 6298's), of its deviation, and of what is usual."""

TOLERATED = math.log(2)
"""Twice the usual latency, and a mean deviation by a factor of two, are nothing to speak of."""

STEP = 0.01
"""Seconds; what happens within one step fades together."""

OUTAGE = 8.0  # calls without an answer, one after the other, that are one for certain


class LatencyHistory:
    """Moving averages of the logarithm of seconds, and calls lost in a row. Pure, constant memory.

    What is out of the ordinary loses all but 1/e of its weight in `fades` seconds without a call: a target that is
    avoided gets its next chance.
    """

    __slots__ = ("_at", "_count", "_deviation", "_fades", "_lost", "_now", "_usual")

    def __init__(self, fades: float = 60.0) -> None:
        self._fades = fades
        self._count = 0
        self._now = self._usual = self._deviation = self._lost = self._at = 0.0

    def answered(self, now: float, seconds: float) -> None:
        """An answer began after `seconds`."""
        self._fade(now)
        self._lost = 0.0
        value = math.log(max(seconds, 1e-3))
        self._count += 1
        if self._count == 1:
            self._now = self._usual = value
        self._deviation += JITTER * (abs(value - self._now) - self._deviation)
        # The first few count alike, so that what happens to come first is not taken for what is usual.
        self._now += max(NOW, 1 / self._count) * (value - self._now)
        self._usual += max(USUAL, 1 / self._count) * (value - self._usual)

    def lost(self, now: float) -> None:
        """No answer came."""
        self._fade(now)
        self._lost += 1.0

    def score(self, now: float) -> float:
        """exp(-(outage + trend + jitter)) in (0, 1]; each is 0 where a target is as it usually is. 1.0 unknown."""
        self._fade(now)
        outage = min(1.0, self._lost / OUTAGE) ** 2
        trend = max(0.0, self._now - self._usual - TOLERATED)
        jitter = max(0.0, self._deviation - TOLERATED)
        return math.exp(-(outage + trend + jitter))

    def _fade(self, now: float) -> None:
        if now - self._at >= STEP:
            left = math.exp((self._at - now) / self._fades)
            self._lost *= left
            self._deviation *= left
            self._now = self._usual + left * (self._now - self._usual)
            self._at = now
