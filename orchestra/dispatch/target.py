"""Target: one way to reach a model. Breaker, health and dead keys are held for each; limits for provider and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from orchestra.fleet.deployments import deployments, folded, place, tags
from orchestra.types import Deployment, ModelCard


@dataclass(frozen=True, slots=True)
class Target:
    """A model with one key at one place.

    `model` is the fleet's name. `key` is the key's name (`A` of `env:A`), never its value, "" where there is none.
    `place` is a base_url or the regions where the model has several endpoints, else "". `weight` is its share of the
    traffic beside the model's other targets and no part of its identity.
    """

    model: str
    provider: str
    key: str = ""
    place: str = ""
    weight: float = field(default=1.0, compare=False)

    def __str__(self) -> str:
        """As errors and reasons name it."""
        details = ", ".join(filter(None, (self.key and f"key {self.key}", self.place)))
        return f"{self.model} ({details})" if details else self.model


def targets(card: ModelCard, data_tags: Iterable[str] = ()) -> tuple[Target, ...]:
    """The model's targets that data of these tags may go to, in declared order; all of them where it has no tags."""
    demanded, ways = folded(data_tags), deployments(card)
    return tuple(target for target, way in zip(_targets(card, ways), ways, strict=True) if demanded <= tags(card, way))


def served(card: ModelCard) -> Mapping[Target, ModelCard]:
    """The card as each of its targets serves it: with one base_url, one key, the regions of that endpoint.

    This is the card to encode a request for, since codecs look at base_url, and to find the endpoint of. It stays the
    same as long as the fleet does: make it once.
    """
    ways = deployments(card)
    return {target: _at(card, way) for target, way in zip(_targets(card, ways), ways, strict=True)}


def _targets(card: ModelCard, ways: Iterable[Deployment]) -> list[Target]:
    places = [place(way) for way in ways]
    several = len(set(places)) > 1
    return [
        Target(card.name, card.provider, way.key.removeprefix("env:"), where if several else "", way.weight)
        for way, where in zip(ways, places, strict=True)
    ]


def _at(card: ModelCard, way: Deployment) -> ModelCard:
    return replace(
        card,
        base_url=way.base_url or card.base_url,
        keys=(way.key,) if way.key else (),
        regions=card.regions if way.regions is None else way.regions,
        deployments=(),
    )
