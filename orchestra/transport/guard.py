"""What both transports hold alike: requests they refuse, and words for an error."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from orchestra.transport.seam import TransportFault, WireRequest
from orchestra.types import Trigger

KEEP_ALIVE = 60.0
"""Seconds an unused connection is kept: longer than a tool runs, shorter than balancers and NATs remember one."""


def check(request: WireRequest) -> SplitResult:
    """The parts of its URL.

    Raises TransportFault for a URL that names no HTTP server, and for a header that HTTP cannot carry, whose value is
    never quoted: it may be the key.
    """
    parts = server(request.url)
    if parts is None:
        raise unsent(f"{request.url!r} is no usable URL; expected http://host[:port]/path or https://…")
    for name, value in request.headers:
        if not (value.isascii() and value.isprintable()):
            raise unsent(f"header {name!r} holds a line break, a control or a non-ASCII character; is the key whole?")
    return parts


@lru_cache(maxsize=256)
def server(url: str) -> SplitResult | None:
    """The parts of a URL; None where it names no HTTP server."""
    try:
        parts = urlsplit(url)
        return parts if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 else None
    except ValueError:  # a port that is no number, an unclosed bracket
        return None


def unsent(text: str) -> TransportFault:
    """A fault before anything went out."""
    return TransportFault(Trigger.connection, text, sent="no")


def packed(how: str) -> TransportFault:
    """A reply in an encoding that nobody here reads, whose provider was asked for others."""
    text = f"the reply is in an encoding that cannot be read: {how}; a gateway before the provider may have packed it"
    return TransportFault(Trigger.bad_reply, text, sent="yes", lasting=True)


def check_packing(encoding: str | None, accepted: str) -> None:
    """Raises TransportFault for a body whose Content-Encoding is none of an Accept-Encoding."""
    if encoding and not _packings(encoding) <= _packings(accepted) | {"identity", "x-gzip", ""}:
        raise packed(f"Content-Encoding {encoding[:100]!r}")


def _packings(header: str) -> set[str]:
    return {one.strip().lower() for one in header.split(",")}


def said(error: Exception) -> str:
    """What the error says, or at least its kind; cut, since it may quote what the server has sent."""
    text = str(error) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_LONGEST = 600
