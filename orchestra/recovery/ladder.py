"""The ladder: where a step stands, and where each action would take it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain

from orchestra.recovery.policy import RecoveryPolicy
from orchestra.types import Action, Decision


@dataclass(frozen=True, slots=True)
class Ladder:
    """Where a step stands: its model, rungs climbed, and what has been used up.

    `repairs` and `retries` count at this model, `sideways` over the whole step. `tried` are all models so far.
    `degraded`: this model is of a lower tier than was decided. Every step starts its own ladder at its own tier.
    `shrinks` and `replans` are how often whoever runs the step may still make its context smaller or its run plan anew:
    never for a single call.
    """

    model: str
    rung: int = 0
    repairs: int = 0
    retries: int = 0
    sideways: int = 0
    tried: tuple[str, ...] = ()
    degraded: bool = False
    shrinks: int = 0
    replans: int = 0

    @staticmethod
    def start(decision: Decision, *, shrinks: int = 0, replans: int = 0) -> Ladder:
        """The ladder's foot: the model that routing chose."""
        return _foot(decision.model, shrinks, replans)


@lru_cache(maxsize=256)  # most calls begin at the foot of a model that others began at, and end there
def _foot(model: str, shrinks: int, replans: int) -> Ladder:
    return Ladder(model, tried=(model,), shrinks=shrinks, replans=replans)


def after(action: Action, policy: RecoveryPolicy, decision: Decision, ladder: Ladder) -> Ladder | None:
    """The ladder once `action` is taken; None where its target does not exist or its allowance is used up."""
    match action:
        case Action.shrink_context:
            return replace(ladder, shrinks=ladder.shrinks - 1) if ladder.shrinks else None
        case Action.replan:
            return ladder if ladder.replans else None
        case Action.repair:
            return replace(ladder, repairs=ladder.repairs + 1) if ladder.repairs < policy.repairs else None
        case Action.retry:
            return replace(ladder, retries=ladder.retries + 1) if ladder.retries < policy.retries else None
        case Action.sibling:
            return _sideways(decision, ladder) if ladder.sideways < policy.sideways else None
        case Action.escalate:
            return next(_upwards(policy, decision, ladder), None)
        case Action.wider_window:
            return _wider(policy, decision, ladder)
        case _:  # ask_human and fail end the step where it stands
            return ladder


def _sideways(decision: Decision, ladder: Ladder) -> Ladder | None:
    return next((replace(there, sideways=ladder.sideways + 1) for there in _siblings(decision, ladder)), None)


def _siblings(decision: Decision, ladder: Ladder) -> Iterator[Ladder]:
    ranks = {candidate.card.name: candidate.rank for candidate in decision.candidates}
    here = ranks.get(ladder.model)
    # The decision's siblings are those of its foot; after a climb a model's equals are found among the candidates.
    equals = [name for name, rank in ranks.items() if rank == here] if ladder.rung else []
    for name in dict.fromkeys((*equals, *decision.siblings)):
        if name not in ladder.tried:
            # Nothing is degraded silently: a sibling counts as lower unless the decision shows that it is not.
            lower = name not in ranks or here is None or ranks[name] < here
            yield replace(_moved(ladder, name), degraded=ladder.degraded or lower)


def _upwards(policy: RecoveryPolicy, decision: Decision, ladder: Ladder) -> Iterator[Ladder]:
    ranks = {candidate.card.name: candidate.rank for candidate in decision.candidates}
    decided = ranks.get(decision.model, 0)
    for rung, name in enumerate(decision.ladder[: policy.max_rungs], 1):
        if rung > ladder.rung and name not in ladder.tried:
            lower = ranks.get(name, decided) < decided  # a rule's own order may lead there
            yield replace(_moved(ladder, name), rung=rung, degraded=lower)


def _wider(policy: RecoveryPolicy, decision: Decision, ladder: Ladder) -> Ladder | None:
    windows = {candidate.card.name: candidate.card.window for candidate in decision.candidates}
    places = chain(_siblings(decision, ladder), _upwards(policy, decision, ladder))
    here = windows.get(ladder.model, 0)
    return next((there for there in places if windows.get(there.model, 0) > here), None)


def _moved(ladder: Ladder, name: str) -> Ladder:
    return replace(ladder, model=name, repairs=0, retries=0, tried=(*ladder.tried, name))
