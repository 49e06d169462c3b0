"""StepPolicy: what the step is decides. Rules as in fleet.toml's [[routing.steps]]."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from orchestra.errors import PolicyError
from orchestra.fleet import DEFAULT_TIERS, Fleet, revise
from orchestra.fleet.candidates import NO_SETTINGS
from orchestra.fleet.faults import rules_of
from orchestra.routing.matching import Check, matcher
from orchestra.routing.policy import NAMED, TIER
from orchestra.types import Candidate, Mode, Reason, Settings, StepContext, StepRule, to_json


class StepPolicy:
    """Rules, as StepRule or as tables of fleet.toml: `StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}])`.

    Of the rules that match, the first with `tier` or `prefer` says where the step starts; the first with `escalate`,
    `mode`, `max_tokens` or `reasoning_effort` says that. `prefer` is an order of models and beats the mode. With a
    `tier`, higher tiers stay as the ladder and lower ones as degraded siblings; where no model of it is left, the
    step starts at the nearest tier above, else below, in the order of `tiers`. Raises PolicyError.
    """

    name = "step"

    def __init__(
        self, rules: Iterable[StepRule | Mapping[str, Any]] = (), *, tiers: Sequence[str] = DEFAULT_TIERS
    ) -> None:
        self.rules = tuple(_rule(number, rule) for number, rule in enumerate(rules, start=1))
        self.tiers = tuple(tiers)
        self.fingerprint = json.dumps(to_json(self.rules), sort_keys=True)
        self._compiled = tuple(_Compiled(i, rule, matcher(rule.match)) for i, rule in enumerate(self.rules, start=1))
        self._with_mode = tuple(compiled for compiled in self._compiled if compiled.rule.mode is not None)

    def __call__(self, context: StepContext, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The candidates with the preferences and settings of the rules that match."""
        matching = [compiled for compiled in self._compiled if compiled.holds(context)]
        if not matching or not candidates:
            return candidates
        rules = [compiled.rule for compiled in matching]
        places = _places(matching, self.tiers, candidates)
        wanted = Settings(_first(rules, "max_tokens"), _first(rules, "reasoning_effort"))
        escalate = _first(rules, "escalate")
        everyone = escalate is not None or wanted != NO_SETTINGS
        return [
            _revised(one, places.get(one.card.name, _NO_PLACE), wanted, escalate)
            if everyone or one.card.name in places
            else one
            for one in candidates
        ]

    def mode(self, context: StepContext) -> Mode | None:
        """The mode of the first matching rule that has one."""
        return next((one.rule.mode for one in self._with_mode if one.holds(context)), None)

    def bind(self, fleet: Fleet) -> StepPolicy:
        """This policy in the fleet's order of tiers; PolicyError where a rule names what the fleet does not have."""
        if faults := fleet.check_rules(self.rules):
            raise PolicyError(f"StepPolicy: {'; '.join(faults)}")
        return self if self.tiers == fleet.tiers else StepPolicy(self.rules, tiers=fleet.tiers)


class _Place(NamedTuple):
    preference: float
    reasons: tuple[Reason, ...]


_NO_PLACE = _Place(0.0, ())


class _Compiled(NamedTuple):
    number: int
    rule: StepRule
    holds: Check


def _rule(number: int, rule: StepRule | Mapping[str, Any]) -> StepRule:
    return rule if isinstance(rule, StepRule) else rules_of([rule], f"StepPolicy rule {number}", PolicyError)[0]


def _revised(one: Candidate, place: _Place, wanted: Settings, escalate: tuple[str, ...] | None) -> Candidate:
    settings = wanted
    if one.settings is not NO_SETTINGS:  # an earlier policy's settings stay where these rules are silent
        given = one.settings
        settings = Settings(wanted.max_tokens or given.max_tokens, wanted.reasoning_effort or given.reasoning_effort)
    preference = one.preference + place.preference
    return revise(one, *place.reasons, preference=preference, settings=settings, escalate=escalate)


def _places(matching: Sequence[_Compiled], tiers: Sequence[str], candidates: Sequence[Candidate]) -> dict[str, _Place]:
    """By model, what the first rule with `tier` or `prefer` gives it."""
    chooser = next((one for one in matching if one.rule.tier or one.rule.prefer), None)
    if chooser is None:
        return {}
    places = _tier_places(chooser, tiers, candidates)
    prefer = chooser.rule.prefer
    for index, model in enumerate(prefer):
        preference, reasons = places.get(model, _NO_PLACE)
        reason = Reason("step", f"rule {chooser.number} prefers it, place {index + 1} of {len(prefer)}")
        places[model] = _Place(preference + NAMED * (len(prefer) - index), (*reasons, reason))
    return places


def _tier_places(chooser: _Compiled, tiers: Sequence[str], candidates: Sequence[Candidate]) -> dict[str, _Place]:
    tier = chooser.rule.tier
    if tier is None or tier not in tiers:
        return {}
    start = _start(tiers.index(tier), {candidate.rank for candidate in candidates})
    left = [candidate.card for candidate in candidates if candidate.rank == start]
    text = f"rule {chooser.number} starts the step at tier {tier}"
    if left[0].tier != tier:
        text += f"; no model of it is left, {left[0].tier} is the nearest"
    return dict.fromkeys([card.name for card in left], _Place(TIER, (Reason("step", text),)))


def _start(wanted: int, ranks: Collection[int]) -> int:
    """The rank wanted, else the nearest above that is left, else the nearest below."""
    return min((rank for rank in ranks if rank >= wanted), default=max(ranks))


def _first(rules: Sequence[StepRule], key: str) -> Any:
    """What the first rule that has the key says; None where none has it."""
    return next((value for rule in rules if (value := getattr(rule, key))), None)
