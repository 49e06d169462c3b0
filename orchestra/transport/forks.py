"""Forks: what a child must not share with its parent begins anew there."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """Holds what belongs to one process: connections, a thread, a name, a lock."""

    def after_fork(self) -> None:
        """Begin anew, in a child; the parent's is not to be touched."""
        ...


def begins_anew(one: Forked) -> None:
    """Call its `after_fork` in every child that is forked from now on, as long as anybody holds it."""
    _ALL.add(one)


_ALL: WeakSet[Forked] = WeakSet()


def _after_fork() -> None:
    for one in tuple(_ALL):
        one.after_fork()


if hasattr(os, "register_at_fork"):  # where there is none, nothing forks
    os.register_at_fork(after_in_child=_after_fork)
