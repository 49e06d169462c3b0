"""Counts of the last so many seconds, in constant time and memory however many calls there are."""

from __future__ import annotations

from operator import add

SLICES = 10
"""A window moves on by a tenth of itself: between nine tenths of its length and all of it are counted."""


class Window:
    """Sums over the last `seconds` of one or more columns that are counted together.

    `now` is seconds on one clock that does not run backwards; a time of long ago counts as the newest slice's.
    """

    __slots__ = ("_newest", "_slice", "_slices", "_sums")

    def __init__(self, seconds: float, columns: int) -> None:
        self._slice = seconds / SLICES
        self._slices = [[0] * columns for _ in range(SLICES)]
        self._sums = [0] * columns
        self._newest = 0  # slices since the clock's zero

    def add(self, now: float, *counts: int) -> list[int]:
        """Count these, one a column, and give the sums."""
        sums = self.sums(now)
        newest = self._slices[self._newest % SLICES]
        newest[:], sums[:] = map(add, newest, counts), map(add, sums, counts)
        return sums

    def sums(self, now: float) -> list[int]:
        """What was counted in the window that ends now, one sum a column; not to be changed."""
        place = int(now / self._slice)
        if place > self._newest:
            self._move_to(place)
        return self._sums

    def _move_to(self, place: int) -> None:
        for passed in range(max(self._newest, place - SLICES) + 1, place + 1):
            old = self._slices[passed % SLICES]
            for column, count in enumerate(old):
                self._sums[column] -= count
                old[column] = 0
        self._newest = place
