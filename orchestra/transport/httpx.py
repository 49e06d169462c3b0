"""The built-in transport, on httpx."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestra.transport.guard import LOOPBACK, check, said, unsent
from orchestra.transport.per_loop import PerLoop
from orchestra.transport.seam import TransportFault, WireRequest
from orchestra.types import Trigger

if TYPE_CHECKING:
    import httpx


class HttpxTransport:
    """Sends through `httpx.AsyncClient`: HTTP/1.1, proxies and certificates as the environment says, no redirects."""

    def __init__(self) -> None:
        self._clients = PerLoop(_client)

    async def send(self, request: WireRequest) -> HttpxResponse:
        """Send and wait for the response's head. Raises TransportFault."""
        import httpx

        check(request)
        client = self._clients.get()
        try:
            built = client.build_request(
                request.method,
                request.url,
                headers=list(request.headers),
                content=request.body,
                timeout=httpx.Timeout(None, connect=request.connect),
            )
            return HttpxResponse(await client.send(built, stream=True))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise _before_head(error, request) from error

    async def aclose(self) -> None:
        """Close every connection of the running loop."""
        if client := self._clients.pop():
            await client.aclose()


class HttpxResponse:
    """A WireResponse on httpx."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        """The HTTP status code."""
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """Header names in lower case."""
        return self._response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises TransportFault where the connection breaks."""
        import httpx

        try:
            async for chunk in self._response.aiter_bytes():
                yield chunk
        except httpx.HTTPError as error:
            raise TransportFault(Trigger.stream_cut, f"the reply broke off: {said(error)}", sent="yes") from error

    async def aclose(self) -> None:
        """Give the connection back, or drop it where the body was not read to its end."""
        import httpx

        with suppress(httpx.HTTPError):  # it is already gone, which is what was asked for
            await self._response.aclose()


def _client() -> httpx.AsyncClient:
    import httpx

    return httpx.AsyncClient(
        timeout=None,  # noqa: S113  # the caller holds the deadlines; connecting is bounded per request
        follow_redirects=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        mounts=dict.fromkeys(f"all://{host}" for host in LOOPBACK),
    )


def _before_head(error: Exception, request: WireRequest) -> TransportFault:
    import httpx

    if isinstance(error, httpx.ConnectTimeout):
        return TransportFault(Trigger.timeout, f"no connection within {request.connect:g} s", sent="no")
    if isinstance(error, (httpx.ConnectError, httpx.ProxyError)):
        return unsent(f"cannot connect: {said(error)}")
    if isinstance(error, (httpx.InvalidURL, ValueError)):
        return unsent(f"{urlsplit(request.url).hostname!r} cannot be asked: {said(error)}")
    return TransportFault(Trigger.connection, f"the connection broke before a reply: {said(error)}", sent="unknown")
