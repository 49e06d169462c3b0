"""Where a model is served and with which key or signature: the embedded server, or base_url and the environment."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from orchestra.dispatch import Endpoint
from orchestra.dispatch.target import served
from orchestra.errors import ConfigError
from orchestra.local import LocalServers
from orchestra.runtime.network import Headers
from orchestra.transport import AwsCredentials, Signature
from orchestra.types import ModelCard


def no_headers(_provider: str) -> Headers:
    """What is sent to a provider beside what its dialect sends."""
    return ()


class FleetEndpoints:
    """Resolves cards. Keys are read from the environment at the moment of dispatch, and `hide` is told them first.

    `headers` are those of a provider that the dialect knows nothing of; models of this process get none. A key that
    stands in `names` is a placeholder (`ollama`), and none of `hide`'s affair. `keys` are those of each model, by its
    name: a card is asked for as one target serves it, whose key is one of them.
    """

    def __init__(
        self,
        servers: LocalServers,
        hide: Callable[[Iterable[str]], None],
        environ: Mapping[str, str] = os.environ,
        headers: Callable[[str], Headers] = no_headers,
        names: str = "",
        keys: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self.servers, self.hide, self.environ, self.headers, self.names = servers, hide, environ, headers, names
        self._keys, self._credentials = keys, AwsCredentials()
        self._hidden: set[str] = set()
        self._endpoint = lru_cache(256)(Endpoint)  # the same for every call, until a variable has another value

    def ready(self, card: ModelCard) -> bool:
        """Whether requests can be authorised: a key is set, or the card names none, or may go without."""
        return not card.keys or bool(self._set(card)) or _signed(card)

    def renewed(self, card: ModelCard, refused: Endpoint) -> bool:
        """Whether variables or, where requests are signed, credentials have changed since; True where they are gone."""
        try:
            headers = () if _embedded(card) else self.headers(card.provider)
        except ConfigError:
            return True
        key = next(iter(self._set(card)), None)
        if (key, headers) != (refused.key, refused.headers):
            return True
        return refused.signature is not None and self._credentials.changed(refused.signature)

    def at_hand(self, card: ModelCard) -> Endpoint | None:
        """The endpoint of a card as one target serves it, where no server has to start and no signature is needed.

        Raises ConfigError as `resolve`.
        """
        if _embedded(card) or card.dialect == "bedrock-converse":
            return None
        return self._endpoint(base_url(card, self.environ), self._key(card), None, self.headers(card.provider))

    async def resolve(self, card: ModelCard) -> Endpoint:
        """The endpoint of a card; of several the first that is ready: a key goes to no other endpoint than its own.

        Raises ConfigError naming the missing variable, URL or credentials.
        """
        if card.deployments:
            card = next(filter(self.ready, served(card).values()), card)
        if _embedded(card):
            return Endpoint(await self.servers.endpoint(card), None)
        return self.at_hand(card) or await self._bedrock(card)

    async def _bedrock(self, card: ModelCard) -> Endpoint:
        """With an API key; else signed, save at a server of one's own for which no region is known.

        The key's usual variable may be unset; one that the fleet names may not.
        """
        region, address = _region(card, self.environ), base_url(card, self.environ)
        key = None if _signed(card) and not self._set(card) else self._key(card)
        signature = await self._signature(card, region) if region and not key else None
        return Endpoint(address, key, signature, self.headers(card.provider))

    async def _signature(self, card: ModelCard, region: str) -> Signature:
        try:
            signature = await asyncio.to_thread(self._credentials.signature, region)
        except ConfigError as error:
            raise ConfigError(f"model {card.name!r}: {error}") from None
        self.hide(signature.secrets)
        return signature

    def _set(self, card: ModelCard) -> list[str]:
        """The values of the card's keys that are set."""
        return list(filter(None, map(self._value, card.keys)))

    def _value(self, key: str) -> str:
        """What a key's variable holds, if anything; a line's end, which files of secrets have, is none of a key."""
        return self.environ.get(key[len("env:") :], "").strip()

    def _key(self, card: ModelCard) -> str | None:
        if not card.keys:
            return None
        if not (found := self._set(card)):
            every = self._keys.get(card.name, ())
            unset = card.keys if any(map(self._value, every)) else dict.fromkeys((*every, *card.keys))
            names = " or ".join(key.removeprefix("env:") for key in unset)
            raise ConfigError(f"model {card.name!r}: none of its keys is set; set {names}")
        if found[0] not in self._hidden:
            self.hide(_hidden(found[:1], self.names))
            self._hidden.add(found[0])
        return found[0]


def _embedded(card: ModelCard) -> bool:
    return card.provider == "local" and card.base_url is None


def _signed(card: ModelCard) -> bool:
    """Whether the provider takes a signature in place of a key, and nobody has named a key."""
    return card.dialect == "bedrock-converse" and card.sources.get("keys") == "built-in"


def base_url(card: ModelCard, environ: Mapping[str, str] = os.environ) -> str:
    """Where a model that is not embedded is served. Raises ConfigError that says what is missing, and what to do."""
    if card.base_url is not None:
        return card.base_url
    if card.dialect != "bedrock-converse":
        example = f', such as "{_EXAMPLES[card.provider]}"' if card.provider in _EXAMPLES else ""
        what = f"model {card.name!r}: provider {card.provider!r} has no base_url"
        raise ConfigError(f"{what}; set it in fleet.toml{example}")
    if (region := _region(card, environ)) is None:
        raise ConfigError(f'model {card.name!r}: in which AWS region? Set regions = ["us-east-1"], or AWS_REGION')
    return f"https://bedrock-runtime.{region}.amazonaws.com"


_EXAMPLES = {"azure": "https://RESOURCE.openai.azure.com/openai/v1"}


def _region(card: ModelCard, environ: Mapping[str, str]) -> str | None:
    """The first AWS region of the card's (`eu` is none), else that of its base_url's host, else the environment's."""
    named = (region for region in card.regions if re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d+", region))
    host = re.search(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.", card.base_url or "")
    return next(named, host and host[1]) or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")


def secrets(cards: Iterable[ModelCard], names: str, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The values of every key the fleet names but placeholders, so that the ledger can redact them."""
    keys = {key.removeprefix("env:") for card in cards for key in card.keys}
    return _hidden((environ[key] for key in sorted(keys) if environ.get(key)), names)


def keys_of(cards: Iterable[ModelCard]) -> Mapping[str, Sequence[str]]:
    """The keys of each model, at all its places."""
    return {card.name: [key for one in served(card).values() for key in one.keys] for card in cards}


def names_of(cards: Iterable[ModelCard]) -> str:
    """What a fleet calls its models and providers, in one text, as the ledger has to tell them."""
    return "\n".join(name for card in cards for name in (card.name, card.model, card.provider)).casefold()


def _hidden(keys: Iterable[str], names: str) -> tuple[str, ...]:
    return tuple(key for key in keys if key.casefold() not in names)
