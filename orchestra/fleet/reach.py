"""Where a model is served: provider, dialect, base_url, and the keys that may be sent there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestra.errors import FleetError
from orchestra.fleet.deployments import place
from orchestra.fleet.known import CARDS, DEFAULT_DIALECT, LOCAL, PROVIDERS, Provider
from orchestra.fleet.spelling import known
from orchestra.types import Deployment

if TYPE_CHECKING:
    from orchestra.fleet.schema import KeyTable, ModelTable, ProviderTable


@dataclass(frozen=True, slots=True)
class Reach:
    """How a model is reached; `sources` says for each fact whether the file or the provider gave it."""

    provider: str
    dialect: str
    base_url: str | None
    keys: tuple[str, ...]
    deployments: tuple[Deployment, ...]
    sources: Mapping[str, str]


def provider_of(name: str, table: ModelTable, source: str) -> str:
    """The model's provider: as said, as built in, else the host of its base_url. Raises FleetError."""
    model = table.model or name
    if table.provider is not None:
        return table.provider
    if model in CARDS:
        return CARDS[model].provider
    for base_url in (table.base_url, *(endpoint.base_url for endpoint in table.endpoints)):
        if base_url is not None:
            return urlsplit(base_url).netloc
    if table.weights is not None:
        return LOCAL
    raise FleetError(
        f"{source}: model {name!r} is {model!r}, of which nothing is built in; say where it is served with "
        f"provider ({', '.join(sorted(PROVIDERS))}), base_url or weights; models {known(model, CARDS)}"
    )


def reach(name: str, table: ModelTable, provider: str, ours: ProviderTable | None, source: str) -> Reach:
    """How to reach it: the model's table first, then the provider's, then what is built in. Raises FleetError."""
    theirs = PROVIDERS.get(provider, Provider(DEFAULT_DIALECT, None, ()))
    dialect = table.dialect or (ours and ours.dialect) or theirs.dialect
    ways = tuple(_ways(table, ours, theirs))
    if fault := _fault(provider, ways):
        raise FleetError(f"{source}: model {name!r} {fault}")
    base_url, keys = ways[0].base_url, tuple(dict.fromkeys(way.key for way in ways if way.key))
    facts = {"dialect": dialect, "base_url": base_url, "keys": keys}
    built_in = {"dialect": theirs.dialect, "base_url": theirs.base_url, "keys": theirs.keys}
    sources = {fact: "built-in" if built_in[fact] == value else "fleet.toml" for fact, value in facts.items()}
    sources["provider"] = "built-in" if table.provider is None else "fleet.toml"
    if not table.endpoints and all(way.weight == 1 for way in ways):
        return Reach(provider, dialect, base_url, keys, (), sources)
    return Reach(provider, dialect, base_url, keys, ways, sources | {"deployments": "fleet.toml"})


def _ways(table: ModelTable, ours: ProviderTable | None, theirs: Provider) -> Iterator[Deployment]:
    """Each endpoint with each key that may be sent there; a model without endpoints is one."""
    from orchestra.fleet.schema import EndpointTable

    own = table.base_url or (ours and ours.base_url) or theirs.base_url
    for endpoint in table.endpoints or [EndpointTable()]:
        base_url = endpoint.base_url or own
        regions = None if endpoint.regions is None else tuple(endpoint.regions)
        said = next((one.keys for one in (endpoint, table, ours) if one and one.keys is not None), None)
        for key, weight in _weighted(said, theirs.keys if base_url == theirs.base_url else ()):
            yield Deployment(base_url, key, regions, endpoint.weight * weight)


def _weighted(said: Sequence[KeyTable] | None, usual: Sequence[str]) -> Sequence[tuple[str, float]]:
    """Keys with their weights. The usual ones go to the provider's own address only, unless the file says so."""
    keys = [(key, 1.0) for key in usual] if said is None else [(one.key, one.weight) for one in said]
    return keys or [("", 1.0)]


def _fault(provider: str, ways: Sequence[Deployment]) -> str | None:
    addresses = [way.base_url for way in ways]
    if None in addresses and provider not in PROVIDERS:
        said = known(provider, PROVIDERS)
        return f"names provider {provider!r}; {said}; a server of your own needs base_url"
    if None in addresses and any(addresses):
        return "has an endpoint without base_url beside one that has it; give each its own"
    seen = [(place(way), way.key) for way in ways]
    twice = next((one for one in seen if seen.count(one) > 1), None)
    if twice is not None:
        return f"has key {twice[1]!r} twice at endpoint {twice[0]!r}; give each its own base_url, regions or keys"
    return None
