"""ContextPolicy: what has happened so far moves the start up or down a tier, or sinks models that break a limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import ClassVar, TypeAlias

from orchestra.errors import PolicyError
from orchestra.fleet import revise
from orchestra.fleet.prices import in_words
from orchestra.routing.policy import LIMIT, MOVED, STAY, TIER
from orchestra.types import Candidate, Fault, Reason, StepContext

Shift: TypeAlias = tuple[int, str]  # +1 up, -1 down, and why
_Signal: TypeAlias = "Callable[[ContextPolicy, StepContext], Shift | None]"
_STANDING, _PLACE = attrgetter("preference", "score"), attrgetter("rank", "score")
_SECONDS = attrgetter("latency")
GIVEN_UP = 0.05  # of the mode's score: what a move down may cost; in mode `quality` a tier costs more


@dataclass(frozen=True, slots=True)
class ContextPolicy:
    """What has happened so far, as reasons to start a tier higher or lower.

    Up: a hard step, high priority, `long_context` tokens or more, `fan_in` upstream results or more, upstream results
    that conflict (by their texts or `signals["conflict"]`) or failed, models of the starting tier that failed in
    `failures` other steps of this run, images or
    documents to look at, `documents` documents or more. Down: an easy step, low priority; never below the tier that
    a rule set, nor where the mode's score gives up more than 0.05 by it, as in `quality`. Signals add up; the start
    moves one tier at most.

    Limits sink a model below those that keep them: slower than the deadline allows, dearer than `money_share` of
    the money left, or last seen failing by its provider's fault. A step that has begun keeps its model; where a rule
    names models in `prefer`, signals move nothing. Raises PolicyError for a threshold that is not positive.
    """

    name: ClassVar[str] = "context"
    long_context: int = 32_000
    fan_in: int = 3
    failures: int = 2
    documents: int = 3
    money_share: float = 0.25
    fingerprint: str = field(init=False, repr=False, compare=False)  # the thresholds

    def __post_init__(self) -> None:
        for name, value in self._thresholds():
            if not value > 0:
                raise PolicyError(f"ContextPolicy: {name} must be positive, got {value!r}")
        object.__setattr__(self, "fingerprint", repr(self))

    def _thresholds(self) -> Iterable[tuple[str, float]]:
        return [(one.name, getattr(self, one.name)) for one in fields(self) if one.init]

    def __call__(self, context: StepContext, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The candidates as the context moves them."""
        if _has_begun(context, candidates):
            return [_staying(one) if one.card.name == context.current_model else one for one in candidates]
        sunk = _limits(self, context, candidates)
        if sunk:
            candidates = [_sunk(one, sunk) for one in candidates]
        return _shifted(self, context, candidates, sunk)


def _has_begun(context: StepContext, candidates: Sequence[Candidate]) -> bool:
    current = context.current_model
    if current is None or not any(earlier.step == context.step.id for earlier in context.history):
        return False
    return any(candidate.card.name == current for candidate in candidates)


def _staying(candidate: Candidate) -> Candidate:
    reason = Reason("context", "the step has begun on it; only recovery moves a step")
    return revise(candidate, reason, preference=candidate.preference + STAY)


# Limits: name of the model → why it sinks.


def _limits(policy: ContextPolicy, context: StepContext, candidates: Sequence[Candidate]) -> Mapping[str, str]:
    sunk: dict[str, str] = {}
    if context.history:
        sunk |= _ailing(context, candidates)
    if (left := context.deadline) is not None:
        for one in _over(candidates, _SECONDS, left):
            sunk[one.card.name] = f"needs about {one.latency:.1f} s, {left:.1f} s are left"
    if (money := context.money_left) is not None:
        for one in _over(candidates, _usd, policy.money_share * money):
            sunk[one.card.name] = f"{in_words(one.cost)}, over {policy.money_share:.0%} of the ${money:.6f} left"
    return sunk


def _over(candidates: Sequence[Candidate], measure: Callable[[Candidate], float], limit: float) -> list[Candidate]:
    """Those over the limit; where all are, all but the least."""
    over = [one for one in candidates if measure(one) > limit]
    if not over or len(over) < len(candidates):
        return over
    least = min(map(measure, over))
    return [one for one in over if measure(one) > least]


def _usd(candidate: Candidate) -> float:
    return math.inf if candidate.cost is None else candidate.cost


def _ailing(context: StepContext, candidates: Sequence[Candidate]) -> dict[str, str]:
    """Models whose last attempt in this run failed by their provider's fault; none where that is all of them."""
    last = {earlier.model: earlier.trigger for earlier in context.history}
    ailing = {
        one.card.name: f"its last attempt in this run ended with {trigger}"
        for one in candidates
        if (trigger := last.get(one.card.name)) is not None and trigger.fault is Fault.provider
    }
    return ailing if len(ailing) < len(candidates) else {}


def _sunk(candidate: Candidate, sunk: Mapping[str, str]) -> Candidate:
    text = sunk.get(candidate.card.name)
    if text is None:
        return candidate
    return revise(candidate, Reason("context", f"sinks: {text}"), preference=candidate.preference - LIMIT)


# The shift: signals added up, one tier up or down from where the step would start.


def _shifted(
    policy: ContextPolicy, context: StepContext, candidates: Sequence[Candidate], sunk: Mapping[str, str]
) -> Sequence[Candidate]:
    signals = _signals(policy, context)
    if not (signals or context.history) or not candidates:
        return candidates
    start = max(candidates, key=_STANDING)
    signals += _failures(policy, context, {one.card.name for one in candidates if one.rank == start.rank})
    shift = sum(shift for shift, _ in signals)
    eligible = [one for one in candidates if one.card.name not in sunk]
    target = _target(start, shift, eligible)
    if target is None:
        return candidates
    moved = "raised" if shift > 0 else "lowered"
    reasons = [Reason("context", f"{moved} a tier: {text}") for way, text in signals if way * shift > 0]
    return [
        revise(one, *reasons, preference=one.preference + MOVED)
        if one.rank == target and one.card.name not in sunk
        else one
        for one in candidates
    ]


def _target(start: Candidate, shift: int, eligible: Sequence[Candidate]) -> int | None:
    """The rank to start at instead; None where the start stays."""
    if start.preference > MOVED:  # a model that a rule names
        return None
    if shift > 0:
        return min((one.rank for one in eligible if one.rank > start.rank), default=None)
    if shift < 0 and start.preference < TIER:
        lower = max((one for one in eligible if one.rank < start.rank), key=_PLACE, default=None)
        return None if lower is None or start.score - lower.score > GIVEN_UP else lower.rank
    return None


def _failures(policy: ContextPolicy, context: StepContext, starting: Collection[str]) -> list[tuple[int, str]]:
    """Steps, not attempts, are counted: one step's failure never keeps the next from its own tier."""
    steps = {
        earlier.step
        for earlier in context.history
        if earlier.trigger is not None and earlier.trigger.fault is Fault.model and earlier.model in starting
    }
    steps.discard(context.step.id)
    if len(steps) < policy.failures:
        return []
    return [(1, f"models of the starting tier failed in {len(steps)} other steps of this run")]


def _signals(policy: ContextPolicy, context: StepContext) -> list[Shift]:
    """What speaks for another tier, in the order in which it is told."""
    signals: list[Shift] = []
    if (difficulty := context.step.difficulty) not in (None, "medium"):
        signals.append((1 if difficulty == "hard" else -1, f"the planner calls the step {difficulty}"))
    if (priority := context.priority) != "normal":
        signals.append((1 if priority == "high" else -1, f"its priority is {priority}"))
    if context.tokens >= policy.long_context:
        signals.append((1, f"{context.tokens:,} tokens in context"))
    if context.upstream or "conflict" in context.signals:
        signals += _said(_OF_RESULTS, policy, context)
    if context.modalities != _TEXT or context.documents:
        signals += _said(_OF_MEDIA, policy, context)
    return signals


def _said(signals: Iterable[_Signal], policy: ContextPolicy, context: StepContext) -> list[Shift]:
    return [said for signal in signals if (said := signal(policy, context)) is not None]


def _fan_in(policy: ContextPolicy, context: StepContext) -> Shift | None:
    return (1, f"{len(context.upstream)} upstream results meet") if len(context.upstream) >= policy.fan_in else None


def _conflict(_: ContextPolicy, context: StepContext) -> Shift | None:
    if context.signals.get("conflict"):
        return 1, "what upstream results say conflicts"
    digests: dict[str, str] = {}
    for outcome in context.upstream:
        if outcome.name and outcome.digest and digests.setdefault(outcome.name, outcome.digest) != outcome.digest:
            return 1, f"upstream results of {outcome.name!r} conflict"
    return None


def _upstream(_: ContextPolicy, context: StepContext) -> Shift | None:
    for outcome in context.upstream:
        if outcome.state != "done":
            return 1, f"upstream step {outcome.step!r} {outcome.state}"
    return None


def _modality(_: ContextPolicy, context: StepContext) -> Shift | None:
    others = [modality for modality in context.modalities if modality != "text"]
    return (1, f"there is more than text to read: {', '.join(others)}") if others else None


def _documents(policy: ContextPolicy, context: StepContext) -> Shift | None:
    return (1, f"{context.documents} documents in context") if context.documents >= policy.documents else None


_TEXT = ("text",)
_OF_RESULTS: tuple[_Signal, ...] = (_fan_in, _conflict, _upstream)
_OF_MEDIA: tuple[_Signal, ...] = (_modality, _documents)
