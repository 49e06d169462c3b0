"""What both transports hold alike: headers they refuse, hosts no proxy may stand before, words for an error."""

from __future__ import annotations

from orchestra.transport.seam import TransportFault, WireRequest
from orchestra.types import Trigger

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""The embedded models listen there, whatever proxy the environment names."""


def check_headers(request: WireRequest) -> None:
    """Raises TransportFault for a header that HTTP cannot carry; never quotes its value, which may be the key."""
    for name, value in request.headers:
        if not (value.isascii() and value.isprintable()):
            text = f"header {name!r} holds a line break, a control or a non-ASCII character; is the key whole?"
            raise TransportFault(Trigger.connection, text, sent="no")


def said(error: Exception) -> str:
    """What the error says, or at least its kind."""
    return str(error) or type(error).__name__
