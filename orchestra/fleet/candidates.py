"""Candidates are built and revised 20 to 60 times in a decision, so both are written for speed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import cast

from orchestra.fleet.estimates import Facts
from orchestra.types import Candidate, Reason, Settings

# The __init__ of a frozen dataclass looks every attribute up again; setting the slots directly halves the time
# (benchmarks/decision.py prints both). The unpacking below fails at import should Candidate gain a field.
_SLOTS = cast(
    "list[Callable[[Candidate, object], None]]",
    [Candidate.__dict__[field.name].__set__ for field in fields(Candidate)],
)
(
    _card,
    _rank,
    _quality,
    _cost,
    _latency,
    _health,
    _score,
    _preference,
    _settings,
    _escalate,
    _reasons,
    _rejected,
    _sources,
) = _SLOTS
_new = cast("Callable[[type[Candidate]], Candidate]", object.__new__)
NO_SETTINGS = Settings()  # one value, so that `is` tells untouched candidates


def build(known: Facts, cost: float | None, latency: float, score: float) -> Candidate:
    """A fresh candidate, before any policy."""
    made = _new(Candidate)
    _card(made, known.card)
    _rank(made, known.rank)
    _quality(made, known.quality)
    _cost(made, cost)
    _latency(made, latency)
    _health(made, 1.0)
    _score(made, score)
    _preference(made, 0.0)
    _settings(made, NO_SETTINGS)
    _escalate(made, None)
    _reasons(made, known.reasons)
    _rejected(made, None)
    _sources(made, known.sources)
    return made


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
    made = _new(Candidate)
    _card(made, candidate.card)
    _rank(made, candidate.rank)
    _quality(made, candidate.quality)
    _cost(made, candidate.cost)
    _latency(made, candidate.latency)
    _health(made, candidate.health)
    _score(made, candidate.score if score is None else score)
    _preference(made, candidate.preference if preference is None else preference)
    _settings(made, candidate.settings if settings is None else settings)
    _escalate(made, candidate.escalate if escalate is None else escalate)
    _reasons(made, candidate.reasons + reasons)
    _rejected(made, candidate.rejected if rejected is None else rejected)
    _sources(made, candidate.sources)
    return made
