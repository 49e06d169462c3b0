"""Which of a model's targets gets a call: the one where its prompt is cached, else the one with the least to do."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from typing import TypeVar

from orchestra.dispatch.target import Target

T = TypeVar("T")

BOUND = 1.25
"""Times its share of the load that a target takes for prompts of one beginning (Mirrokni et al., arXiv:1608.01350)."""

STICKY_BOUND = 2.0
"""The same for a conversation that was there before: all of it is cached there, and nowhere else."""

FEW = 4
"""Calls at a time that no target feels: a cached prompt is worth more than to spread them."""


def pick(
    usable: Sequence[tuple[Target, int]], *, affinity: str = "", sticky: Target | None = None, draw: float
) -> Target | None:
    """Of the targets that may be used now, each with its calls in flight, the one for one more; None of none.

    `affinity` names the beginning of the prompt, `sticky` is the one of them where the conversation was before, `draw`
    a random number in [0, 1).

    A target's share is that of its weight in all calls in flight, this one included. A conversation stays where it was.
    For a new one the weights decide first, by the draw; among targets of one weight it is the one where prompts of this
    beginning go, without `affinity` the one with the least to do. What is full, by the bounds above, is passed over.
    """
    if len(usable) < 2:
        return usable[0][0] if usable else None
    share = (sum([calls for _, calls in usable]) + 1) / sum([target.weight for target, _ in usable])
    for target, calls in usable:
        if target is sticky and calls < max(FEW, STICKY_BOUND * share * target.weight):
            return sticky
    free = [(target, calls) for target, calls in usable if calls < max(FEW, BOUND * share * target.weight)]
    drawn = _drawn([target for target, _ in free], draw)
    alike = [(target, calls) for target, calls in free if target.weight == drawn.weight]
    if affinity:
        return max(alike, key=lambda one: _rank(affinity, one[0].key, one[0].place))[0]
    return min(alike, key=lambda one: (one[1], one[0] is not drawn))[0]


def least_bad(targets: Sequence[T], *, wait: Callable[[T], float]) -> T | None:
    """Where none may be used now, the one that may be soonest; None where none ever may."""
    waits = [(wait(target), target) for target in targets]
    seconds, target = min(waits, key=lambda one: one[0], default=(math.inf, None))
    return target if seconds < math.inf else None


def _drawn(targets: Sequence[Target], draw: float) -> Target:
    sums = list(accumulate([target.weight for target in targets]))
    return targets[bisect(sums, draw * sums[-1])]


@lru_cache(maxsize=4096)
def _rank(affinity: str, key: str, place: str) -> bytes:
    """Rendezvous hashing (Thaler and Ravishankar 1998), the same in every process.

    Of a ring it keeps what matters, that a target's coming or going moves no other's prompts, and is better where one
    is full: its prompts are spread over all the others, not heaped upon its neighbour.
    """
    return blake2b(f"{affinity}\0{key}\0{place}".encode(), digest_size=8).digest()
