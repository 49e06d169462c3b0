"""Which proxy stands before a server: the one that was told, else the environment's; none before loopback."""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from orchestra.transport.guard import server, unsent
from orchestra.transport.seam import TransportFault

DIRECT = "direct"
REFUSED = 407
"""The status by which a proxy asks who one is; through a tunnel it is the server's, which has the request."""

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: its URL without the credentials, so that no client's error can quote them; what it is to be told."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def refuses(self) -> TransportFault:
        """What a 407 before an http server means, where the proxy itself answers: the request has gone no further."""
        return unsent(f"the proxy {self.url} refuses (407): give it as http://user:password@host:port, as it knows you")


class Proxies:
    """Finds the proxy of each server once.

    `told` is a proxy's URL, "direct" for none, or None: as HTTP_PROXY, HTTPS_PROXY and ALL_PROXY say. Either way
    NO_PROXY excepts names with all below them, `host:port`, addresses and networks (`10.0.0.0/8`). Loopback, where
    embedded models listen, is always reached directly.
    """

    def __init__(self, told: str | None = None) -> None:
        self._told = told
        self._found: dict[tuple[str, str, int | None], Proxy | None] = {}

    def before(self, url: str) -> Proxy | None:
        """The proxy for a usable URL. Raises TransportFault where it speaks neither http nor https."""
        origin = _origin(url)
        if origin not in self._found:
            self._found[origin] = self._find(*origin)
        return self._found[origin]

    def _find(self, scheme: str, host: str, port: int | None) -> Proxy | None:
        from urllib.request import getproxies, proxy_bypass  # noqa: TID251  # they read the environment, open nothing

        if self._told == DIRECT or _is_loopback(host):
            return None
        named = getproxies()
        found = self._told or named.get(scheme) or named.get("all")
        if not found or _in_network(host, named.get("no", "")):
            return None
        return None if proxy_bypass(f"{host}:{port}" if port else host) else _parsed(found)


@lru_cache(maxsize=256)
def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address else host == "localhost"


def _in_network(host: str, excepted: str) -> bool:
    """Whether the host is an address in one of these networks; `excepted` is written as NO_PROXY is."""
    address = _address(host)
    return address is not None and any(address in network for network in map(_network, excepted.split(",")) if network)


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip().strip("[]"), strict=False)
    except ValueError:
        return None


def _parsed(proxy: str) -> Proxy:
    """A proxy without a scheme is an http one, as it is to curl."""
    url = server(proxy if "://" in proxy else f"http://{proxy}")
    if url is None:  # not quoted: it may hold a password
        raise unsent("the proxy cannot be used; expected http://[user:password@]host:port, or https://…")
    return Proxy(f"{url.scheme}://{url.netloc.rpartition('@')[2]}", tuple(_authorization(url)))


def _authorization(url: SplitResult) -> Iterator[tuple[str, str]]:
    """The Basic scheme of RFC 7617, in UTF-8."""
    if url.username:
        credentials = f"{unquote(url.username)}:{unquote(url.password or '')}"
        yield "proxy-authorization", f"Basic {b64encode(credentials.encode()).decode()}"
