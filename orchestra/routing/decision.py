"""The decision: gates, scores, policies, then the chosen model, its ladder and its siblings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import attrgetter

from orchestra.errors import NoCandidate, PolicyError
from orchestra.fleet import Fleet, gate
from orchestra.fleet.candidates import Scorer
from orchestra.fleet.prices import in_words
from orchestra.routing.composition import apply, asks, bind, demanded_mode
from orchestra.routing.context_policy import ContextPolicy
from orchestra.routing.modes import SCORERS, lost
from orchestra.routing.policy import Policy, full_names, hashed
from orchestra.routing.step_policy import StepPolicy
from orchestra.types import Candidate, Decision, Mode, Reason, Rejection, StepContext

_NAME = attrgetter("card.name")
_RANK = attrgetter("rank")
_STANDING = attrgetter("preference", "score")
_UNKNOWN_IN_COST = "no model of known price is left to come before it"
_UNKNOWN_ELSEWHERE = "scored at a price usual for its tier"


def default_policies(fleet: Fleet) -> tuple[Policy, ...]:
    """What decides where the user names no policies: the fleet's own rules, then the context."""
    return StepPolicy(fleet.rules, tiers=fleet.tiers), ContextPolicy()


def decide(
    fleet: Fleet,
    policies: Sequence[Policy],
    context: StepContext,
    *,
    mode: Mode | None = None,
    health: Mapping[str, float] | None = None,
) -> Decision:
    """The model for this step, with every reason; pure: same inputs, same Decision, ties by name.

    The mode in force is the context's, else a matching rule's, else `mode`, else the fleet's. `health`, in [0, 1] by
    model, is what was measured; 1.0 changes nothing. Raises NoCandidate with every rejection, PolicyError where a
    policy raises, breaks its contract or does not fit the fleet.
    """
    return Router(fleet, policies, mode).decide(context, health)


class Router:
    """Policies fitted to a fleet: what is the same for every decision is worked out once.

    `mode` is in force where neither context nor policies say one. Raises PolicyError where it or a policy does not fit.
    """

    def __init__(self, fleet: Fleet, policies: Sequence[Policy], mode: Mode | None = None) -> None:
        self._fleet = fleet
        self.mode: Mode = mode or fleet.mode
        _scorer(self.mode)
        self._policies = tuple([bind(policy, fleet) for policy in policies])
        self._asks = asks(self._policies)

    @property
    def fingerprint(self) -> str:
        """That of the policies, as it is now: a policy may change its own."""
        return hashed(self._names, self._policies)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return full_names(self._policies)

    def decide(self, context: StepContext, health: Mapping[str, float] | None = None) -> Decision:
        """The decision for a step, as `decide` makes it."""
        mode = context.mode or demanded_mode(self._asks, context) or self.mode
        passed, refused = gate(self._fleet, context, _scorer(mode), health)
        live, rejected = apply(self._policies, context, passed) if passed else (passed, [])
        rejections = (*refused, *map(_rejection, rejected)) if rejected else refused
        if not live:
            raise _no_candidate(context, rejections)
        ranked = sorted(live, key=_STANDING, reverse=True)  # stable: they come by name, so ties stay by name
        best = ranked[0]
        ladder, siblings = _around(ranked)
        return Decision(
            model=best.card.name,
            tier=best.card.tier,
            mode=mode,
            ladder=ladder,
            siblings=siblings,
            quality=best.quality,
            cost=best.cost,
            latency=best.latency,
            settings=best.settings,
            reasons=(
                *best.reasons,
                *_reasons(context, mode, best, ranked),
                *(_by_health(mode, live, ranked) if health else ()),
            ),
            rejections=rejections,
            candidates=tuple(ranked),
        )


def _scorer(mode: Mode) -> Scorer:
    try:
        return SCORERS[mode]
    except KeyError:
        raise PolicyError(f"mode {mode!r} is unknown; known: {', '.join(sorted(SCORERS))}") from None


def _around(ranked: Sequence[Candidate]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ladder: as `escalate` orders, else the best of each higher tier. The siblings: this tier, then lower ones."""
    best = ranked[0]
    aside: list[Candidate] = []
    firsts: dict[int, Candidate] = {}
    for one in ranked[1:]:
        if one.rank > best.rank:
            firsts.setdefault(one.rank, one)
        else:
            aside.append(one)
    aside.sort(key=_RANK, reverse=True)  # stable: within a tier the ranking stays
    siblings = tuple(map(_NAME, aside))
    if best.escalate is not None:
        return _ladder(best, best.escalate, ranked, firsts), siblings
    return tuple([firsts[rank].card.name for rank in sorted(firsts)]), siblings


def _ladder(
    best: Candidate, escalate: Sequence[str], ranked: Sequence[Candidate], firsts: dict[int, Candidate]
) -> tuple[str, ...]:
    wanted = set(escalate)
    places = {candidate.card.tier: candidate.card.name for candidate in firsts.values()}
    places |= {name: name for name in map(_NAME, ranked) if name in wanted}  # a model's name beats a tier's
    named = dict.fromkeys(places[name] for name in escalate if name in places)
    named.pop(best.card.name, None)
    return tuple(named)


def _reasons(context: StepContext, mode: Mode, best: Candidate, ranked: Sequence[Candidate]) -> tuple[Reason, ...]:
    text = (
        f"{mode}: score {best.score:.4f} from quality {best.quality:.2f}, {in_words(best.cost)}, {best.latency:.1f} s"
    )
    if best.cost is None:
        text += f"; {_UNKNOWN_IN_COST if mode == 'cost' else _UNKNOWN_ELSEWHERE}"
    reason = Reason("mode", text)
    current = context.current_model
    if not context.cached_tokens or current is None or current not in map(_NAME, ranked):
        return (reason,)
    return reason, _cache_reason(context, best, current)


def _cache_reason(context: StepContext, best: Candidate, current: str) -> Reason:
    cached = f"{context.cached_tokens:,} cached tokens"
    if best.card.name == current:
        return Reason("cache", f"staying on {current} keeps {cached}, counted in its cost and latency")
    return Reason("cache", f"switching from {current} loses {cached}, and still ranks higher")


def _by_health(mode: Mode, live: Sequence[Candidate], ranked: Sequence[Candidate]) -> Sequence[Reason]:
    """Who stands lower than it would in full health; `live` is in the order in which ties are broken."""
    well = sorted(live, key=lambda one: (one.preference, one.score + lost(mode, one.quality, one.health)), reverse=True)
    if well == ranked:
        return ()
    before = {one.card.name: place for place, one in enumerate(well, start=1)}
    fallen = [
        f"{one.card.name} falls from place {before[one.card.name]} to {place}, its health is {one.health:.2f}"
        for place, one in enumerate(ranked, start=1)
        if one.health < 1.0 and before[one.card.name] < place
    ]
    return (Reason("health", "; ".join(fallen)),)


def _rejection(candidate: Candidate) -> Rejection:
    assert candidate.rejected is not None
    return Rejection(candidate.card.name, candidate.rejected.policy, candidate.rejected.text)


def _no_candidate(context: StepContext, rejections: tuple[Rejection, ...]) -> NoCandidate:
    said = "".join(f"\n  {one.model}: {one.text} ({one.gate})" for one in rejections)
    step = context.step.name or context.step.id
    return NoCandidate(f"no model of the fleet may serve step {step!r}:{said}", rejections=rejections)
