"""Intervals for shares and for paired differences of shares, 95 % where nothing else is said."""

from __future__ import annotations

import math

Interval = tuple[float, float]
Z = 1.959963984540054  # the normal quantile of 97.5 %


def wilson(correct: int, total: int, z: float = Z) -> Interval:
    """The score interval of a share (Wilson 1927). Raises ValueError for a total below 1."""
    if total < 1:
        raise ValueError(f"an interval needs at least one trial, got {total}")
    share, spread = correct / total, z * z / total
    half = z * math.sqrt((share * (1 - share) + spread / 4) / total)
    centre = share + spread / 2
    return max(0.0, (centre - half) / (1 + spread)), min(1.0, (centre + half) / (1 + spread))


def paired_difference(both: int, first: int, second: int, neither: int, z: float = Z) -> tuple[float, Interval]:
    """How much larger the first share is than the second one over the same trials, and the interval of that.

    `first` and `second` count trials that only the one, only the other got right. The score interval of Newcombe
    (Statistics in Medicine 17, 1998, method 10), which also holds where the two never differ.
    """
    total = both + first + second + neither
    one, other = (both + first) / total, (both + second) / total
    (low, high), (other_low, other_high) = wilson(both + first, total, z), wilson(both + second, total, z)
    phi = _phi(both, first, second, neither)
    below = _distance(one - low, other_high - other, phi)
    above = _distance(high - one, other - other_low, phi)
    return one - other, (one - other - below, one - other + above)


def _distance(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))


def _phi(both: int, first: int, second: int, neither: int) -> float:
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    if not margins:
        return 0.0
    product = both * neither - first * second
    corrected = max(0.0, product - (both + first + second + neither) / 2) if product > 0 else product
    return corrected / math.sqrt(margins)
