"""Candidate and Decision: what routing weighs, and what it chose with every reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestra.types.context import Mode
from orchestra.types.model import ModelCard


@dataclass(frozen=True, slots=True)
class Settings:
    """Call settings that routing decides: output tokens at most, reasoning effort (`low`, `medium`, `high`)."""

    max_tokens: int | None = None
    reasoning_effort: str | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: which policy says it, and what."""

    policy: str
    text: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """A model that may not serve this step, which gate or policy refused it, and why."""

    model: str
    gate: str
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may serve the step. USD, seconds; quality and health in [0, 1]; None is unknown.

    Policies return candidates with another `score` (higher is better) or `preference` (beats any
    score), other `settings`, an escalation order (`escalate`: tiers or names), or with `rejected` set.
    """

    card: ModelCard
    rank: int
    quality: float
    cost: float | None
    latency: float
    health: float = 1.0
    score: float = 0.0
    preference: float = 0.0
    settings: Settings = Settings()
    escalate: tuple[str, ...] | None = None
    reasons: tuple[Reason, ...] = ()
    rejected: Reason | None = None
    sources: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Decision:
    """The chosen model with everything that led to it.

    `ladder`: models upwards, in order. `siblings`: models sideways, the same tier first, then lower
    tiers (degraded). `cost` USD and `latency` seconds are expectations; None is unknown.
    """

    model: str
    tier: str
    mode: Mode
    ladder: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    quality: float = 0.0
    cost: float | None = None
    latency: float = 0.0
    settings: Settings = Settings()
    reasons: tuple[Reason, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    candidates: tuple[Candidate, ...] = ()
