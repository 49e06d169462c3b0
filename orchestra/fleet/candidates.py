"""Candidates are built and revised 20 to 60 times in a decision, so both are written for speed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeAlias

from orchestra.fleet.estimates import Facts
from orchestra.types import Candidate, Reason, Settings

NO_SETTINGS = Settings()  # one value, so that `is` tells an untouched candidate


Scorer: TypeAlias = Callable[[Facts, float | None, float, float], float]
"""The score by a model's facts, expected USD (None: unknown), seconds and health."""


def build(known: Facts, cost: float | None, latency: float, health: float | None, score: Scorer) -> Candidate:
    """A fresh candidate, before any policy; `health` None: not measured."""
    fit = 1.0 if health is None else health
    draft = _draft()
    draft.card = known.card
    draft.rank = known.rank
    draft.quality = known.quality
    draft.cost = cost
    draft.latency = latency
    draft.health = fit
    draft.score = score(known, cost, latency, fit)
    draft.preference = 0.0
    draft.settings = NO_SETTINGS
    draft.escalate = None
    draft.reasons = known.reasons
    draft.rejected = None
    draft.sources = known.sources if health is None else known.measured
    draft.__class__ = Candidate
    return draft


def revise(
    candidate: Candidate,
    *reasons: Reason,
    score: float | None = None,
    preference: float | None = None,
    settings: Settings | None = None,
    escalate: tuple[str, ...] | None = None,
    rejected: Reason | None = None,
) -> Candidate:
    """The candidate with these reasons added and what is given replaced: how a policy speaks."""
    draft = _draft()
    draft.card = candidate.card
    draft.rank = candidate.rank
    draft.quality = candidate.quality
    draft.cost = candidate.cost
    draft.latency = candidate.latency
    draft.health = candidate.health
    draft.score = candidate.score if score is None else score
    draft.preference = candidate.preference if preference is None else preference
    draft.settings = candidate.settings if settings is None else settings
    draft.escalate = candidate.escalate if escalate is None else escalate
    draft.reasons = candidate.reasons + reasons
    draft.rejected = candidate.rejected if rejected is None else rejected
    draft.sources = candidate.sources
    draft.__class__ = Candidate
    return draft


class _Draft:
    """A candidate before it is frozen.

    The __init__ of a frozen dataclass looks each attribute up by name and takes several times as long as these plain
    assignments (benchmarks/decision.py prints both). With the same slots, a draft can become the real class.
    """

    __slots__ = tuple(one.name for one in fields(Candidate))


_draft: Callable[[], Any] = _Draft  # Any: no type checker knows of an object that changes its class
