"""Where a model is served and with which key: the embedded server, or base_url and the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from orchestra.dispatch import Endpoint
from orchestra.errors import ConfigError
from orchestra.local import LocalServers
from orchestra.types import ModelCard


class FleetEndpoints:
    """Resolves cards. Keys are read from the environment at the moment of dispatch, and `hide` is told them first."""

    def __init__(
        self, servers: LocalServers, hide: Callable[[Iterable[str]], None], environ: Mapping[str, str] = os.environ
    ) -> None:
        self.servers, self.hide, self.environ = servers, hide, environ

    async def resolve(self, card: ModelCard) -> Endpoint:
        """The endpoint of a card. Raises ConfigError naming the missing variable or URL."""
        if card.provider == "local":
            return Endpoint(await self.servers.endpoint(card), None)
        if card.base_url is None:
            raise ConfigError(f"model {card.name!r}: provider {card.provider!r} has no base_url; set it in fleet.toml")
        return Endpoint(card.base_url, self._key(card))

    def _key(self, card: ModelCard) -> str | None:
        names = [key.removeprefix("env:") for key in card.keys]
        found = next((self.environ[name] for name in names if self.environ.get(name)), None)
        if names and found is None:
            raise ConfigError(f"model {card.name!r}: none of its keys is set; set {' or '.join(names)}")
        self.hide([found] if found else [])
        return found


def secrets(cards: Iterable[ModelCard], environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The values of every key the fleet names, so that the ledger can redact them."""
    names = {key.removeprefix("env:") for card in cards for key in card.keys}
    return tuple(environ[name] for name in sorted(names) if environ.get(name))
