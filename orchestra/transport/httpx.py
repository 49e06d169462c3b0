"""The built-in transport, on httpx."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from orchestra.transport.guard import KEEP_ALIVE, check, check_packing, said, unsent
from orchestra.transport.per_loop import PerLoop
from orchestra.transport.proxies import REFUSED, Proxies, Proxy
from orchestra.transport.seam import TransportFault, WireRequest
from orchestra.transport.trust import Trust
from orchestra.types import Trigger

if TYPE_CHECKING:
    import httpx

_Clients: TypeAlias = "dict[Proxy | None, httpx.AsyncClient]"


class HttpxTransport:
    """Sends through `httpx.AsyncClient`: HTTP/1.1, no redirects, no cookies.

    `proxy` is as for Proxies, `ca` as for Trust; `keep_alive` is how many seconds an unused connection is kept.
    Raises ConfigError where the certificates cannot be read.
    """

    def __init__(self, *, proxy: str | None = None, ca: str | None = None, keep_alive: float = KEEP_ALIVE) -> None:
        self._proxies, self._trust, self._keep_alive = Proxies(proxy), Trust(ca), keep_alive
        self._clients: PerLoop[_Clients] = PerLoop(dict, _close, _drop)

    async def send(self, request: WireRequest) -> HttpxResponse:
        """Send and wait for the response's head. Raises TransportFault."""
        import httpx

        check(request)
        proxy = self._proxies.before(request.url)
        client = self._client(proxy)
        try:
            # httpx bounds a proxy's answer to CONNECT by its read timeout, which here is none.
            async with asyncio.timeout(request.connect if proxy else None) as connecting:
                built = client.build_request(
                    request.method,
                    request.url,
                    headers=[(name, value.strip()) for name, value in request.headers],  # else it refuses and quotes it
                    content=request.body,
                    timeout=httpx.Timeout(None, connect=request.connect),
                    extensions={"trace": _until_sent(connecting)} if proxy else None,
                )
                response = HttpxResponse(await client.send(built, stream=True))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            raise _before_head(error, request) from error
        if proxy and response.status == REFUSED and urlsplit(request.url).scheme == "http":
            await response.aclose()
            raise proxy.refuses()
        return response

    async def aclose(self) -> None:
        """Close every connection of the running loop."""
        await self._clients.aclose()

    def _client(self, proxy: Proxy | None) -> httpx.AsyncClient:
        """The running loop's client for a proxy: httpx has one per client."""
        clients = self._clients.get()
        if proxy not in clients:
            clients[proxy] = _client(proxy, self._trust, self._keep_alive)
        return clients[proxy]


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

        if encoding := self._response.headers.get("content-encoding"):
            check_packing(encoding, self._response.request.headers["accept-encoding"])
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


async def _close(clients: _Clients) -> None:
    for client in clients.values():
        await client.aclose()


def _drop(clients: _Clients) -> None:
    clients.clear()


def _client(proxy: Proxy | None, trust: Trust, keep_alive: float) -> httpx.AsyncClient:
    import httpx

    before = trust.context if proxy and proxy.url.startswith("https:") else None
    return httpx.AsyncClient(
        verify=trust.context,
        trust_env=False,
        proxy=httpx.Proxy(proxy.url, headers=proxy.headers, ssl_context=before) if proxy else None,
        timeout=None,  # noqa: S113  # the caller holds the deadlines; connecting is bounded per request
        follow_redirects=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=keep_alive),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )


def _until_sent(connecting: asyncio.Timeout) -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
    """What httpcore tells its steps to: the time for connecting ends where the request itself begins to go out."""

    async def trace(step: str, facts: Mapping[str, Any]) -> None:
        if step.endswith(".send_request_headers.started") and facts["request"].method != b"CONNECT":
            connecting.reschedule(None)

    return trace


def _before_head(error: Exception, request: WireRequest) -> TransportFault:
    import httpx

    if isinstance(error, (httpx.ConnectTimeout, TimeoutError)):
        return TransportFault(Trigger.timeout, f"no connection within {request.connect:g} s", sent="no")
    if isinstance(error, (httpx.ConnectError, httpx.ProxyError)):
        return unsent(f"cannot connect: {said(error)}")
    if isinstance(error, (httpx.InvalidURL, ValueError)):
        return unsent(f"{urlsplit(request.url).hostname!r} cannot be asked: {said(error)}")
    return TransportFault(Trigger.connection, f"the connection broke before a reply: {said(error)}", sent="unknown")
