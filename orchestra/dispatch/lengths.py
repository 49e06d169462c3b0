"""Output lengths that do not belong to a model: the one sign of nonsense that passes every check."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

HISTORY, ENOUGH = 256, 32  # replies that are remembered; replies before anything is called odd
EVERY = 16  # replies between two looks at the whole history

APART = 1.0
"""Seconds between two replies that are remembered: under load, nonsense would be the usual thing within moments."""

ODD = 3.5
"""Modified z-scores beyond it are outliers (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993)."""

NARROWEST = math.log(1.5)
"""A model that always writes the same length has no deviation; half as much again is never odd."""


class Lengths:
    """A target's own history of output lengths, on a logarithmic scale. Pure, bounded memory."""

    __slots__ = ("_bound", "_centre", "_count", "_last", "_seen")

    def __init__(self) -> None:
        self._seen: deque[float] = deque(maxlen=HISTORY)
        self._count = 0
        self._last = -math.inf
        self._centre, self._bound = 0.0, math.inf

    def odd(self, now: float, tokens: int) -> bool:
        """True where a reply of `tokens` is an outlier among those before it; it is remembered for those after it."""
        value = math.log(1 + tokens)
        odd = abs(value - self._centre) > self._bound
        if now - self._last >= APART:
            self._remember(now, value)
        return odd

    def _remember(self, now: float, value: float) -> None:
        self._last = now
        self._seen.append(value)
        self._count += 1
        if self._count >= ENOUGH and self._count % EVERY == 0:
            self._centre = median(self._seen)
            deviation = median(abs(value - self._centre) for value in self._seen)
            # 0.6745 makes the median deviation of a normal distribution its standard deviation.
            self._bound = max(ODD * deviation / 0.6745, NARROWEST)
