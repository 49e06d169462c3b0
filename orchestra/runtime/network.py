"""What the fleet says of the network, with the values of the variables that it names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from orchestra.errors import ConfigError
from orchestra.fleet import Network
from orchestra.transport import Transport, default_transport

Headers: TypeAlias = tuple[tuple[str, str], ...]


class FleetNetwork:
    """Reads variables when they are needed; `hide` is told what they hold first."""

    def __init__(
        self, network: Network, hide: Callable[[Iterable[str]], None], environ: Mapping[str, str] = os.environ
    ) -> None:
        self.network, self.hide, self.environ = network, hide, environ
        self._stated = lru_cache(256)(network.headers_of)

    def transport(self) -> Transport:
        """A transport that reaches the outside as the fleet says. Raises ConfigError."""
        network = self.network
        proxy = network.proxy and self._value(network.proxy, "network.proxy")
        stated: dict[str, Any] = {"proxy": proxy, "ca": network.ca, "keep_alive": network.keep_alive}
        return default_transport(**{name: value for name, value in stated.items() if value is not None})

    def headers(self, provider: str) -> Headers:
        """What goes with every request to a provider. Raises ConfigError naming the missing variable."""
        stated = self._stated(provider)
        return tuple([(name, self._value(value, f"header {name!r}")) for name, value in stated.items()])

    def _value(self, stated: str, what: str) -> str:
        if not stated.startswith("env:"):
            return stated
        name = stated.removeprefix("env:")
        if not (value := self.environ.get(name, "").strip()):  # a file's last line end, too
            raise ConfigError(f"{what} is to come from the environment; set {name}")
        self.hide([value])
        return value
