"""The one seam for I/O to a provider: send a request, get a status, headers and chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from orchestra.types import Sent, Trigger


@dataclass(frozen=True, slots=True)
class WireRequest:
    """An HTTP request as it goes out. `connect` bounds connecting, in seconds; all else is the caller's deadline."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)  # they carry the API key
    body: bytes = field(repr=False)
    method: str = "POST"
    connect: float = 5.0


class WireResponse(Protocol):
    """An HTTP response whose body is still arriving."""

    @property
    def status(self) -> int:
        """The HTTP status code."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Header names in lower case."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises TransportFault where the connection breaks."""
        ...

    async def aclose(self) -> None:
        """Give the connection back, or drop it where the body was not read to its end; never raises."""
        ...


class Transport(Protocol):
    """Two methods; cancelling `send` or the reading of chunks closes the connection, so the server notices."""

    async def send(self, request: WireRequest) -> WireResponse:
        """Send and wait for the response's head. Raises TransportFault."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class TransportFault(Exception):
    """A request without its response: `trigger` is connection, timeout, stream_cut or bad_reply.

    `sent` is as far as known. `lasting`: the same request would bring the same.

    Internal to transport and dispatch: dispatch turns it into a CallFault value.
    """

    def __init__(self, trigger: Trigger, text: str, *, sent: Sent, lasting: bool = False) -> None:
        super().__init__(text)
        self.trigger = trigger
        self.sent: Sent = sent
        self.lasting = lasting
