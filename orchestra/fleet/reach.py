"""Where a model is served: provider, dialect, base_url, and the keys that may be sent there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestra.errors import FleetError
from orchestra.fleet.known import CARDS, DEFAULT_DIALECT, DIALECTS, LOCAL, PROVIDERS, Provider
from orchestra.fleet.spelling import known

if TYPE_CHECKING:
    from orchestra.fleet.schema import ModelTable, ProviderTable


@dataclass(frozen=True, slots=True)
class Reach:
    """How a model is reached; `sources` says for each fact whether the file or the provider gave it."""

    provider: str
    dialect: str
    base_url: str | None
    keys: tuple[str, ...]
    sources: Mapping[str, str]


def provider_of(name: str, table: ModelTable, source: str) -> str:
    """The model's provider: as said, as built in, else the host of its base_url. Raises FleetError."""
    model = table.model or name
    if table.provider is not None:
        return table.provider
    if model in CARDS:
        return CARDS[model].provider
    if table.base_url is not None:
        return urlsplit(table.base_url).netloc
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
    base_url = table.base_url or (ours and ours.base_url) or theirs.base_url
    if base_url is None and provider not in PROVIDERS:
        raise FleetError(
            f"{source}: model {name!r} names provider {provider!r}; {known(provider, PROVIDERS)}; "
            "a server of your own needs base_url"
        )
    if dialect not in DIALECTS:
        raise FleetError(f"{source}: model {name!r} names the unknown dialect {dialect!r}; {known(dialect, DIALECTS)}")
    keys = table.keys if table.keys is not None else ours.keys if ours else None
    if keys is None:
        # The usual keys go to the provider's own address only; another server gets a key when the file says so.
        keys = theirs.keys if base_url == theirs.base_url else ()
    facts = {"dialect": dialect, "base_url": base_url, "keys": tuple(keys)}
    built_in = {"dialect": theirs.dialect, "base_url": theirs.base_url, "keys": theirs.keys}
    sources = {fact: "built-in" if built_in[fact] == value else "fleet.toml" for fact, value in facts.items()}
    sources["provider"] = "built-in" if table.provider is None else "fleet.toml"
    return Reach(provider, dialect, base_url, tuple(keys), sources)
