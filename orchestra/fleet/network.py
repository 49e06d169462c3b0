"""Network: how providers are reached from here; [network], and the headers of [providers.NAME]."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_SECRET = frozenset({"auth", "authorization", "key", "apikey", "token", "secret", "password", "cookie", "credential"})
_FRAMING = frozenset({"host", "connection", "content-length", "content-type", "transfer-encoding"})
_KEYS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key"})


@dataclass(frozen=True, slots=True)
class Network:
    """As the user states it; a `proxy` or a header's value that reads `env:NAME` stands for that variable's value.

    `proxy` is a URL, "direct" for none, or None: as the environment says. `ca` is a PEM file of roots to trust beside
    the usual ones, `keep_alive` how many seconds an unused connection is kept (None: the transport's own).
    """

    proxy: str | None = None
    ca: str | None = None
    keep_alive: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    provider_headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    def headers_of(self, provider: str) -> Mapping[str, str]:
        """What goes with every request to a provider; what is said for it alone wins. Names are in lower case."""
        return {**self.headers, **self.provider_headers.get(provider, {})}


def header(name: str, value: str) -> tuple[str, str]:
    """A header that the file may state, its name in lower case. Raises ValueError, which never quotes the value."""
    lower = name.lower()
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"names {name!r}, which is no name of an HTTP header")
    if lower in _FRAMING:
        raise ValueError(f"names {name!r}, which follows from the request")
    if lower in _KEYS:
        raise ValueError(f'names {name!r}, which carries the key; set keys = ["env:NAME"]')
    if not _REFERENCE.fullmatch(value):
        if value.startswith("env:") or _SECRET.intersection(re.split("[-_]", lower)):
            raise ValueError(f'has a secret in {name!r}, which is named, never written: use "env:NAME"')
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"has a line break, a control or a non-ASCII character in {name!r}")
    return lower, value


def proxy(value: str) -> str:
    """A proxy that the file may state. Raises ValueError, which never quotes the value."""
    if value == "direct" or _REFERENCE.fullmatch(value):
        return value
    try:
        url = urlsplit(value)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is no number, an unclosed bracket
        usable = False
    if not usable or "@" in value:
        raise ValueError(
            'must be "http://host:port" or "https://…", "direct" for none, or "env:NAME", also where it has a password'
        )
    return value
