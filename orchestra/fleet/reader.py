"""fleet.toml to Fleet: the file's facts, on top of the built-in card's, on top of the provider's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from orchestra.errors import FleetError
from orchestra.fleet.breaker_policy import BreakerPolicy
from orchestra.fleet.faults import parse
from orchestra.fleet.fleet import DEFAULT_TIERS, Fleet, ProviderLimits
from orchestra.fleet.known import (
    CARDS,
    LOCAL,
    LOCAL_CAPABILITIES,
    LOCAL_CONCURRENCY,
    LOCAL_PRICE,
    LOCAL_TAGS,
    LOCAL_TIMEOUTS,
    PROVIDERS,
)
from orchestra.fleet.network import Network
from orchestra.fleet.reach import Reach, provider_of, reach
from orchestra.fleet.spelling import known
from orchestra.types import Budget, ModelCard, StepRule, Timeouts, from_json, to_json

if TYPE_CHECKING:
    from orchestra.fleet.schema import FleetFile, ModelTable


def read(text: str, source: str) -> Fleet:
    """The fleet that `text` describes. Raises FleetError naming `source`, the key, its value and what is known."""
    from orchestra.fleet.schema import FleetFile

    file = parse(FleetFile, _tables(text, source), source, FleetError)
    tiers = DEFAULT_TIERS if file.fleet.tiers is None else tuple(file.fleet.tiers)
    cards = {name: _card(name, table, file, tiers, source) for name, table in file.models.items()}
    rules = tuple(from_json(StepRule, rule.model_dump()) for rule in file.routing.steps)
    budgets = tuple(from_json(Budget, budget.model_dump(exclude_none=True)) for budget in file.budgets)
    limits = _limits(file, cards, source)
    return Fleet(cards, tiers, limits, file.routing.mode, rules, source, _network(file), budgets)


def _tables(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))  # some editors begin the file with a byte order mark
    except tomllib.TOMLDecodeError as fault:
        told = str(fault)
    raise FleetError(f"{source}: not TOML: {told}")


def _card(name: str, table: ModelTable, file: FleetFile, tiers: tuple[str, ...], source: str) -> ModelCard:
    provider = provider_of(name, table, source)
    reached = reach(name, table, provider, file.providers.get(provider), source)
    card = _overridden(_start(name, table.model or name, reached, tiers), table)
    if provider == LOCAL and card.weights is None and card.base_url is None:
        built_in = ", ".join(sorted(model for model, its in CARDS.items() if its.weights))
        raise FleetError(
            f"{source}: model {name!r} is local but has no weights; give weights = the sha256 or the path of a GGUF "
            f"file, or base_url = the address of a server. Models with built-in weights: {built_in}"
        )
    return card


def _start(name: str, model: str, reached: Reach, tiers: tuple[str, ...]) -> ModelCard:
    """The card before the user's facts; a model of which nothing is known begins in the lowest tier."""
    card = CARDS.get(model)
    if card is None:
        card = ModelCard(name, model, reached.provider, "", tiers[0] if tiers else "", sources={"tier": "default"})
        card = _in_process(card) if reached.provider == LOCAL else card
    if card.provider == LOCAL and (reached.provider != LOCAL or reached.base_url is not None):
        card = _elsewhere(card)
    return replace(
        card,
        name=name,
        provider=reached.provider,
        dialect=reached.dialect,
        base_url=reached.base_url,
        keys=reached.keys,
        deployments=reached.deployments,
        sources={**card.sources, **reached.sources},
    )


def _in_process(card: ModelCard) -> ModelCard:
    facts = ("price", "capabilities", "timeouts", "tags", "concurrency")
    return replace(
        card,
        price=LOCAL_PRICE,
        capabilities=LOCAL_CAPABILITIES,
        timeouts=LOCAL_TIMEOUTS,
        tags=LOCAL_TAGS,
        concurrency=LOCAL_CONCURRENCY,
        sources={**card.sources, **dict.fromkeys(facts, "provider")},
    )


def _elsewhere(card: ModelCard) -> ModelCard:
    """An embedded model on another server: what it can do holds, what rests on this machine does not."""
    gone = ("price", "speed", "prompt_speed", "weights", "tags", "timeouts", "concurrency")
    sources = {fact: source for fact, source in card.sources.items() if fact not in gone}
    return replace(
        card,
        price=None,
        speed=None,
        prompt_speed=None,
        weights=None,
        tags=(),
        timeouts=Timeouts(),
        concurrency=None,
        sources=sources,
    )


def _overridden(card: ModelCard, table: ModelTable) -> ModelCard:
    """The card with the file's facts; capabilities and timeouts are overridden one by one."""
    said = table.model_dump(exclude_none=True, exclude={"dialect", "base_url", "keys", "endpoints", "provider"})
    facts = dict(cast("Mapping[str, Any]", to_json(card)))
    for fact, value in said.items():
        facts[fact] = {**facts[fact], **value} if fact in ("capabilities", "timeouts") else value
    facts["sources"] = {**card.sources, **dict.fromkeys(said, "fleet.toml")}
    return from_json(ModelCard, facts)


def _limits(file: FleetFile, cards: Mapping[str, ModelCard], source: str) -> dict[str, ProviderLimits]:
    used = {card.provider for card in cards.values()}
    for name in file.providers:
        if name not in used and name not in PROVIDERS:
            raise FleetError(f"{source}: no model has provider {name!r}; {known(name, used | PROVIDERS.keys())}")
    limits = {name: ProviderLimits(name) for name in used}
    for name, table in file.providers.items():
        limits[name] = ProviderLimits(
            name,
            table.requests_per_minute,
            table.tokens_per_minute,
            table.requests_per_day,
            table.tokens_per_day,
            BreakerPolicy(**table.breaker.model_dump(exclude_none=True)),
        )
    return limits


def _network(file: FleetFile) -> Network:
    provider_headers = {name: table.headers for name, table in file.providers.items() if table.headers}
    return Network(**file.network.model_dump(), provider_headers=provider_headers)
