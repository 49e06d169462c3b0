"""Fleet: the models, their tiers, providers and routing rules, checked to hold together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from orchestra.errors import FleetError
from orchestra.fleet.breaker_policy import BreakerPolicy
from orchestra.fleet.budgets import budget_faults
from orchestra.fleet.estimates import Facts, facts
from orchestra.fleet.known import CARDS, DIALECTS, SMALL, STRONG
from orchestra.fleet.made import check_values
from orchestra.fleet.network import Network
from orchestra.fleet.spelling import known
from orchestra.types import Budget, Match, Mode, ModelCard, StepRule, to_json

DEFAULT_TIERS = ("efficient", "capable", "frontier")


@dataclass(frozen=True, slots=True)
class ProviderLimits:
    """What a provider allows each key, as the user states it; None is unknown. Tokens are of input and output."""

    name: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_day: int | None = None
    breaker: BreakerPolicy = BreakerPolicy()


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """The models a user may use. `tiers` run from the least to the most capable; `source` names where it was read.

    `facts`, `tool_dialects` (those in which models are told their tools, by name) and `fingerprint` (a sha256 prefix
    over everything but `source`, `network` and `budgets`, which decide nothing) follow from the rest.
    Raises FleetError where a name in a card, rule or budget is not known, and for values that no fleet.toml may have.
    """

    models: Mapping[str, ModelCard]
    tiers: tuple[str, ...] = DEFAULT_TIERS
    providers: Mapping[str, ProviderLimits] = field(default_factory=dict[str, ProviderLimits])
    mode: Mode = "balanced"
    rules: tuple[StepRule, ...] = ()
    source: str = "fleet"
    network: Network = Network()
    budgets: tuple[Budget, ...] = ()
    facts: tuple[Facts, ...] = field(init=False, repr=False)
    tool_dialects: tuple[str, ...] = field(init=False, repr=False)
    fingerprint: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check(self)
        by_name = (facts(self.models[name], self.tiers) for name in sorted(self.models))
        object.__setattr__(self, "facts", tuple(by_name))
        native = {card.dialect for card in self.models.values() if card.capabilities.tools == "native"}
        object.__setattr__(self, "tool_dialects", tuple(sorted(native)))
        object.__setattr__(self, "fingerprint", _fingerprint(self))

    @classmethod
    def from_toml(cls, text: str, source: str = "fleet.toml") -> Fleet:
        """The fleet that a fleet.toml describes; `source` is the name that errors give the file. Raises FleetError."""
        from orchestra.fleet.reader import read

        return read(text, source)

    @classmethod
    def from_cards(
        cls,
        cards: Iterable[ModelCard],
        *,
        tiers: tuple[str, ...] = DEFAULT_TIERS,
        mode: Mode = "balanced",
        rules: Iterable[StepRule] = (),
        budgets: Iterable[Budget] = (),
        source: str = "fleet",
    ) -> Fleet:
        """A fleet of these cards. Raises FleetError, also for two cards of one name."""
        models: dict[str, ModelCard] = {}
        for card in cards:
            if card.name in models:
                raise FleetError(f"{source}: two models are named {card.name!r}; give each its own name")
            models[card.name] = card
        limits = {card.provider: ProviderLimits(card.provider) for card in models.values()}
        return cls(models, tiers, limits, mode, tuple(rules), source, budgets=tuple(budgets))

    @classmethod
    def embedded(cls) -> Fleet:
        """The fleet that needs no key: `small` serves steps, `strong` plans and is the rung above; both in process."""
        cards = (replace(CARDS[SMALL], name="small"), replace(CARDS[STRONG], name="strong"))
        return cls.from_cards(cards, rules=(StepRule(Match(kind=("plan",)), tier="capable"),), source="embedded fleet")

    def rank(self, tier: str) -> int:
        """The tier's place in the order, 0 the least capable. Raises FleetError."""
        if tier not in self.tiers:
            raise FleetError(f"{self.source}: no tier {tier!r}; {known(tier, self.tiers)}")
        return self.tiers.index(tier)

    def check_rules(self, rules: Iterable[StepRule]) -> tuple[str, ...]:
        """What in these rules names a tier or a model this fleet does not have, one sentence each."""
        faults: list[str] = []
        for number, rule in enumerate(rules, start=1):
            faults += [f"rule {number} {fault}" for fault in _rule_faults(self, rule)]
        return tuple(faults)


def _check(fleet: Fleet) -> None:
    if not fleet.models:
        raise FleetError(f"{fleet.source}: no models; add a table such as [models.small]")
    if not fleet.tiers or len(set(fleet.tiers)) < len(fleet.tiers):
        raise FleetError(f"{fleet.source}: tiers must be different names, least capable first, got {fleet.tiers!r}")
    check_values(fleet)
    for name, card in fleet.models.items():
        if card.name != name:
            raise FleetError(f"{fleet.source}: model {name!r} is a card named {card.name!r}; give both one name")
        if card.dialect not in DIALECTS:
            said = f"names the unknown dialect {card.dialect!r}; {known(card.dialect, DIALECTS)}"
            raise FleetError(f"{fleet.source}: model {name!r} {said}")
        if card.tier not in fleet.tiers:
            said = known(card.tier, fleet.tiers)
            raise FleetError(f"{fleet.source}: model {name!r} has tier {card.tier!r}; {said}; give it one of these")
    if faults := fleet.check_rules(fleet.rules):
        raise FleetError(f"{fleet.source}: routing {'; routing '.join(faults)}")
    if wrong := "; ".join(budget_faults(fleet.budgets, fleet.models)):
        raise FleetError(f"{fleet.source}: {wrong}")


def _rule_faults(fleet: Fleet, rule: StepRule) -> Iterable[str]:
    if rule.tier is not None and rule.tier not in fleet.tiers:
        yield f"names tier {rule.tier!r}; {known(rule.tier, fleet.tiers)}"
    for name in rule.prefer:
        if name not in fleet.models:
            yield f"prefers model {name!r}; {known(name, fleet.models)}"
    for name in rule.escalate:
        if name not in fleet.models and name not in fleet.tiers:
            yield f"escalates to {name!r}; {known(name, (*fleet.tiers, *fleet.models))}"


def _fingerprint(fleet: Fleet) -> str:
    everything = [to_json(part) for part in (fleet.models, fleet.tiers, fleet.providers, fleet.mode, fleet.rules)]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:16]
