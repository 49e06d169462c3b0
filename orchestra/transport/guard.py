"""What both transports hold alike: requests they refuse, hosts no proxy may stand before, words for an error."""

from __future__ import annotations

from urllib.parse import urlsplit

from orchestra.transport.seam import TransportFault, WireRequest
from orchestra.types import Trigger

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""The embedded models listen there, whatever proxy the environment names."""


def check(request: WireRequest) -> None:
    """Raises TransportFault for a URL that names no HTTP server, and for a header that HTTP cannot carry.

    A header's value is never quoted: it may be the key.
    """
    try:
        url = urlsplit(request.url)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise unsent(f"{request.url!r} is no usable URL; expected http://host[:port]/path or https://…")
    for name, value in request.headers:
        if not (value.isascii() and value.isprintable()):
            raise unsent(f"header {name!r} holds a line break, a control or a non-ASCII character; is the key whole?")


def unsent(text: str) -> TransportFault:
    """A fault before anything went out."""
    return TransportFault(Trigger.connection, text, sent="no")


def said(error: Exception) -> str:
    """What the error says, or at least its kind."""
    return str(error) or type(error).__name__
