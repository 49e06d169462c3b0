"""StepPolicy: what the step is decides. Rules as in fleet.toml's [[routing.steps]]."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestra.errors import PolicyError
from orchestra.fleet import DEFAULT_TIERS, Fleet
from orchestra.fleet.faults import rules_of
from orchestra.routing.matching import Check, matcher
from orchestra.routing.policy import Policy
from orchestra.routing.wish import Wish
from orchestra.types import Candidate, Mode, StepContext, StepRule, to_json


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
        self._checks = tuple((place, matcher(rule.match)) for place, rule in enumerate(self.rules))
        self._modes: tuple[tuple[Mode, Check], ...] = tuple(
            (rule.mode, self._checks[i][1]) for i, rule in enumerate(self.rules) if rule.mode is not None
        )
        self._wishes: dict[tuple[int, ...], Wish] = {}  # what rules ask for together is worked out once

    def __call__(self, context: StepContext, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The candidates with the preferences and settings of the rules that match."""
        matching = tuple([place for place, holds in self._checks if holds(context)])
        if not matching or not candidates:
            return candidates
        wish = self._wishes.get(matching)
        if wish is None:
            wish = self._wishes[matching] = Wish(self.rules, matching, self.tiers)
        return wish.grant(candidates)

    def mode(self, context: StepContext) -> Mode | None:
        """The mode of the first matching rule that has one."""
        for mode, holds in self._modes:
            if holds(context):
                return mode
        return None

    def bind(self, fleet: Fleet) -> StepPolicy:
        """This policy in the fleet's order of tiers; PolicyError where a rule names what the fleet does not have."""
        if faults := fleet.check_rules(self.rules):
            raise PolicyError(f"StepPolicy: {'; '.join(faults)}")
        return self if self.tiers == fleet.tiers else StepPolicy(self.rules, tiers=fleet.tiers)


def declared_steps(policies: Iterable[Policy]) -> frozenset[str]:
    """The names and kinds of steps that rules of these policies speak of."""
    rules = (rule for policy in policies if isinstance(policy, StepPolicy) for rule in policy.rules)
    return frozenset(word for rule in rules for word in (*rule.match.name, *rule.match.kind))


def _rule(number: int, rule: StepRule | Mapping[str, Any]) -> StepRule:
    return rule if isinstance(rule, StepRule) else rules_of([rule], f"StepPolicy rule {number}", PolicyError)[0]
