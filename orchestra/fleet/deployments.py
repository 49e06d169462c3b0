"""The ways to reach a model: its endpoints, each with each of its keys, and which data may go there."""

from __future__ import annotations

from collections.abc import Iterable

from orchestra.types import Deployment, ModelCard


def deployments(card: ModelCard) -> tuple[Deployment, ...]:
    """As the card declares them; else each of its keys at its base_url, all of one weight; never none."""
    return card.deployments or tuple(Deployment(key=key) for key in card.keys) or (Deployment(),)


def place(deployment: Deployment) -> str:
    """What tells an endpoint from the model's others: its base_url, else its regions, else ""."""
    return deployment.base_url or " ".join(deployment.regions or ())


def tags(card: ModelCard, deployment: Deployment) -> frozenset[str]:
    """The compliance tags that hold there, in lower case: the model's, and the regions of the endpoint."""
    regions = card.regions if deployment.regions is None else deployment.regions
    return folded((*card.tags, *regions))


def folded(words: Iterable[str]) -> frozenset[str]:
    """Tags as they are compared: their case does not count."""
    return frozenset(word.casefold() for word in words)
