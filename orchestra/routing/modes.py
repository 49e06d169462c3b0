"""Modes: one number from quality, cost and latency, weighed as the user asked."""

from __future__ import annotations

import math
from collections.abc import Mapping

from orchestra.fleet.candidates import Scorer
from orchestra.fleet.estimates import Facts
from orchestra.types import Mode

# Weights of quality, cost, latency. The small ones only break ties. In `balanced` a tenth of quality (one tier of
# three) is worth twice the price or 1.6 times the wait: steps start low, and recovery climbs where that was too low.
WEIGHTS: Mapping[Mode, tuple[float, float, float]] = {
    "quality": (1.0, 0.001, 0.001),
    "balanced": (0.2, 0.4, 0.4),
    "cost": (0.0001, 1.0, 0.001),  # between free models time is the cost
    "latency": (0.001, 0.001, 1.0),
}
FREE = 1e-6  # USD: what costs this little counts as nearly free
DECADES_OF_COST = 6.0  # from there to a dollar
INSTANT = 0.1  # seconds
DECADES_OF_LATENCY = 4.0  # from there to a quarter of an hour
LAST = 2.0  # more than any known cost weighs


def scorer(mode: Mode) -> Scorer:
    """The mode's score: wq·quality - wc·log10(1 + USD/1e-6)/6 - wl·log10(1 + seconds/0.1)/4 - lost; higher is better.

    Logarithms make ratios count: ten times the price weighs the same from a tenth of a cent as from a dime. A
    score rests on one model alone, so adding a model to the fleet never reorders the others. An unknown price is
    scored as a price usual for the tier, and in mode `cost` it comes after every known one.
    """
    of_quality, of_cost, of_latency = WEIGHTS[mode]
    of_cost /= DECADES_OF_COST
    of_latency /= DECADES_OF_LATENCY
    unknown = LAST if mode == "cost" else 0.0
    log10 = math.log10

    def score(known: Facts, cost: float | None, latency: float, health: float) -> float:
        penalty = 0.0 if health == 1.0 else lost(mode, known.quality, health)
        if cost is None:
            cost = usual_cost(known.rank)
            penalty += unknown
        return (
            of_quality * known.quality
            - of_cost * log10(1.0 + cost / FREE)
            - of_latency * log10(1.0 + latency / INSTANT)
            - penalty
        )

    return score


def lost(mode: Mode, quality: float, health: float) -> float:
    """What a model of less than full health loses of its score: wq·quality·(1 - health) + (1 - health)².

    The first is the quality to expect where a part of the replies is none. The second counts in every mode: the
    cheapest model is not cheap while it is down. It grows slowly, so that a few faults do not reorder a fleet.
    """
    gone = 1.0 - health
    return WEIGHTS[mode][0] * quality * gone + gone * gone


def usual_cost(rank: int) -> float:
    """USD a call of a tier usually costs, for ranking unknown prices only: a fifth of a cent, times four a tier."""
    return 0.002 * 4.0**rank


SCORERS: Mapping[Mode, Scorer] = {mode: scorer(mode) for mode in WEIGHTS}
