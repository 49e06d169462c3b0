"""The preferred transport (extra `fast`), on aiohttp."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestra.errors import ConfigError
from orchestra.transport.guard import KEEP_ALIVE, check, check_packing, packed, said, unsent
from orchestra.transport.per_loop import PerLoop
from orchestra.transport.proxies import REFUSED, Proxies
from orchestra.transport.seam import TransportFault, WireRequest
from orchestra.transport.trust import Trust
from orchestra.types import Trigger

if TYPE_CHECKING:
    import aiohttp


LONGEST_HEADER, MOST_HEADERS = 65_536, 1_000
"""Bytes and number of a reply's headers, which httpx takes too: aiohttp's own 8,190 and 128 would lose paid replies."""

LARGE = 2**20
"""Bytes of a body; aiohttp warns of more in one piece, and wants to read them piece by piece."""


class AiohttpTransport:
    """Sends through `aiohttp.ClientSession`: HTTP/1.1, no redirects, no cookies.

    `proxy` is as for Proxies, `ca` as for Trust; `keep_alive` is how many seconds an unused connection is kept.
    Raises ConfigError where aiohttp is not installed, or the certificates cannot be read.
    """

    def __init__(self, *, proxy: str | None = None, ca: str | None = None, keep_alive: float = KEEP_ALIVE) -> None:
        try:
            import aiohttp as _  # noqa: F401  # found missing here, not in the middle of a run
        except ImportError:
            raise ConfigError("AiohttpTransport needs aiohttp: pip install 'orchestra-agents[fast]'") from None
        self._proxies, self._trust = Proxies(proxy), Trust(ca)
        self._sessions = PerLoop(lambda: _session(keep_alive), _close, _drop)

    async def send(self, request: WireRequest) -> AiohttpResponse:
        """Send and wait for the response's head. Raises TransportFault."""
        import aiohttp

        secure = check(request).scheme == "https"
        # aiohttp's own trust_env takes two thread hops per request and trips over ~/.netrc beside an API key.
        proxy = self._proxies.before(request.url)
        try:
            response = await self._sessions.get().request(
                request.method,
                request.url,
                headers=request.headers if secure or proxy is None else (*request.headers, *proxy.headers),
                data=io.BytesIO(request.body) if len(request.body) > LARGE else request.body,
                ssl=self._trust.context if secure or (proxy and proxy.url.startswith("https:")) else True,
                proxy=proxy and proxy.url,
                proxy_headers=proxy and dict(proxy.headers),  # for CONNECT only
                allow_redirects=False,
                timeout=_connecting(request.connect),
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _before_head(error, request) from error
        if proxy and not secure and response.status == REFUSED:
            response.close()
            raise proxy.refuses()
        return AiohttpResponse(response)

    async def aclose(self) -> None:
        """Close every connection of the running loop."""
        await self._sessions.aclose()


class AiohttpResponse:
    """A WireResponse on aiohttp."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        # of its names alone there are fewer where one comes several times, as Set-Cookie does
        self._headers = {name.lower(): value for name, value in response.headers.items()}

    @property
    def status(self) -> int:
        """The HTTP status code."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Header names in lower case."""
        return self._headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises TransportFault where the connection breaks."""
        import aiohttp

        if encoding := self._headers.get("content-encoding"):
            check_packing(encoding, self._response.request_info.headers["Accept-Encoding"])
        try:
            while chunk := await self._response.content.readany():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise TransportFault(Trigger.stream_cut, f"the reply broke off: {said(error)}", sent="yes") from error
        except BaseException:  # whoever stops reading leaves; httpx closes by itself
            self._response.close()
            raise

    async def aclose(self) -> None:
        """Give the connection back, or drop it where the body was not read to its end."""
        self._response.close()


@lru_cache(maxsize=32)
def _connecting(seconds: float) -> aiohttp.ClientTimeout:
    import aiohttp

    return aiohttp.ClientTimeout(connect=seconds)


def _session(keep_alive: float) -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        connector=_connector()(limit=0, keepalive_timeout=keep_alive),
        timeout=aiohttp.ClientTimeout(),  # the caller holds the deadlines; connecting is bounded per request
        cookie_jar=aiohttp.DummyCookieJar(),
        max_field_size=LONGEST_HEADER,
        max_headers=MOST_HEADERS,
    )


async def _close(session: aiohttp.ClientSession) -> None:
    await session.close()


def _drop(session: aiohttp.ClientSession) -> None:
    session.detach()  # its sockets go with the connector, which nobody holds any more


@cache
def _connector() -> type[aiohttp.TCPConnector]:
    """aiohttp's, which where it was not closed complains, and takes its sockets from an event loop a fork shares."""
    import aiohttp

    class Connector(aiohttp.TCPConnector):
        def __del__(self, _warnings: object = None) -> None:
            pass

    return Connector


def _before_head(error: Exception, request: WireRequest) -> TransportFault:
    import aiohttp

    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return TransportFault(Trigger.timeout, f"no connection within {request.connect:g} s", sent="no")
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError)):
        return unsent(f"cannot connect: {said(error)}")
    if isinstance(error, (aiohttp.InvalidURL, ValueError)):
        return unsent(f"{urlsplit(request.url).hostname!r} cannot be asked: {said(error)}")
    if isinstance(error, aiohttp.ClientResponseError) and "content-encoding" in error.message:
        return packed(error.message)
    return TransportFault(Trigger.connection, f"the connection broke before a reply: {said(error)}", sent="unknown")
