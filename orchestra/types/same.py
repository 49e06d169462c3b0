"""Values that hold dicts, as keys of a cache."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Same(tuple[int, ...], Generic[T]):  # noqa: SLOT001  # Python allows a kind of tuple none
    """Equal for the very same objects in the same order; it holds them, so that no other takes the place of one."""

    held: tuple[T, ...]

    def __new__(cls, held: Iterable[T]) -> Same[T]:
        """Of values that do not change: what is kept under it would be of what they were."""
        values = tuple(held)
        made = super().__new__(cls, map(id, values))
        made.held = values
        return made
