"""Fetching a stranger's URL without becoming their way into one's own network."""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestra.transport.addresses import is_public
from orchestra.transport.guard import said, unsent
from orchestra.transport.seam import TransportFault
from orchestra.types import Trigger

if TYPE_CHECKING:
    import httpx

REDIRECTS = 5
SECONDS = 20.0
LIMIT = 1_000_000
_CONNECT = 5.0
_PORTS = {"http": 80, "https": 443}
_REDIRECT = frozenset({301, 302, 303, 307, 308})
_HEADERS = {
    "accept": "text/*, application/json, */*;q=0.5",
    "accept-encoding": "gzip",
    "user-agent": "orchestra",
}

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


class UrlRefused(Exception):
    """This URL is not fetched; the text says why, and what would be."""


@dataclass(frozen=True, slots=True)
class Page:
    """What came back: the URL after redirects, HTTP status, header names in lower case, the body decompressed.

    `cut`: the body went on, only its first bytes were read.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a host, as the system knows them. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


async def fetch(
    url: str,
    *,
    limit: int = LIMIT,
    seconds: float = SECONDS,
    resolver: Resolver = resolve,
    allowed: Callable[[str], bool] = is_public,
) -> Page:
    """GET a URL that a model or a stranger wrote: http and https, public addresses only, at most REDIRECTS redirects.

    The host is resolved once, all of its addresses must be `allowed`, and the connection goes to one of exactly
    these, so a name that changes its mind in between (DNS rebinding) gains nothing; so for every redirect. No proxy,
    cookie or credential of this machine is used. `limit` is in bytes after decompression, `seconds` holds for all of
    it. Raises UrlRefused, and TransportFault where the fetch fails.
    """
    import httpx

    try:
        async with asyncio.timeout(seconds):
            target = _parse(url)
            for _ in range(REDIRECTS + 1):
                async with _get(target, resolver, allowed) as response:
                    location = response.headers.get("location")
                    if response.status_code not in _REDIRECT or not location:
                        return await _page(target, response, limit)
                target = _parse(location, target)
            raise UrlRefused(f"{url!r:.300} redirects more than {REDIRECTS} times")
    except TimeoutError:
        raise TransportFault(
            Trigger.timeout, f"{url!r:.300} did not answer within {seconds:g} seconds", sent="unknown"
        ) from None
    except (httpx.HTTPError, UnicodeError) as error:  # the latter: httpx itself looks where a redirect goes
        raise TransportFault(
            Trigger.connection, f"{url!r:.300} cannot be read: {said(error)}", sent="unknown"
        ) from error


def _parse(text: str, base: httpx.URL | None = None) -> httpx.URL:
    import httpx

    try:
        url = base.join(text) if base else httpx.URL(text)
        host = url.host  # only here does httpx read a name that is written as xn--…
    except (httpx.InvalidURL, ValueError) as error:
        raise UrlRefused(f"{text!r:.300} is no URL: {said(error)}") from None
    if url.scheme not in _PORTS or not host:
        raise UrlRefused(f"{text!r:.300} is no web address; give one that begins with https:// or http://")
    if url.port is not None and not 0 < url.port < 65536:  # a socket says so in an error of its own kind
        raise UrlRefused(f"{text!r:.300} is no URL: a port is a number from 1 to 65535")
    if url.userinfo:  # not quoted: it holds a password
        raise UrlRefused(f"the URL at {host!r} carries a user name or password; give it without")
    return url


@asynccontextmanager
async def _get(url: httpx.URL, resolver: Resolver, allowed: Callable[[str], bool]) -> AsyncGenerator[httpx.Response]:
    """The response of one of the host's addresses, the first that can be connected to."""
    import httpx

    addresses = await _addresses(url, resolver, allowed)
    timeout = httpx.Timeout(None, connect=_CONNECT)
    context = httpx.create_ssl_context()  # certificates as the environment says; trust_env would bring in proxies too
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=timeout) as client:
        response = await _first(client, url, addresses)
        try:
            yield response
        finally:
            await response.aclose()


async def _addresses(url: httpx.URL, resolver: Resolver, allowed: Callable[[str], bool]) -> Sequence[str]:
    try:
        addresses = await resolver(url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme])
    except (OSError, UnicodeError) as error:
        raise unsent(f"there is no host {url.host!r:.300}: {said(error)}") from error
    for address in addresses:
        if not allowed(address):
            raise UrlRefused(f"{url.host!r:.300} is at {address}, which is no public internet address")
    return addresses


async def _first(client: httpx.AsyncClient, url: httpx.URL, addresses: Sequence[str]) -> httpx.Response:
    import httpx

    refused: Exception | None = None
    for address in addresses:
        # An address in place of the name leaves nothing to look up; the name goes into Host and the TLS handshake.
        request = client.build_request(
            "GET",
            url.copy_with(host=address, fragment=None),
            headers=_HEADERS | {"host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        try:
            return await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            refused = error
    raise unsent(f"{url.host!r:.300} cannot be connected to: {said(refused) if refused else 'it has no address'}")


async def _page(url: httpx.URL, response: httpx.Response, limit: int) -> Page:
    body = bytearray()
    unpack = _Unpack(response.headers.get("content-encoding", ""))
    async for chunk in response.aiter_raw():
        body += unpack(chunk, limit + 1 - len(body))
        if len(body) > limit:
            break
    else:
        unpack.end()
    return Page(str(url), response.status_code, dict(response.headers), bytes(body[:limit]), len(body) > limit)


class _Unpack:
    """Decompresses a chunk to at most so many bytes. Not httpx's decoders: they unpack a bomb whole before one looks.

    Raises TransportFault for a body that is not packed as it says.
    """

    def __init__(self, encoding: str) -> None:
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise _broken(f"the body is packed as {encoding!r:.100}, which was not asked for")
        packed = encoding not in ("", "identity")
        self._work = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed else None  # tells gzip and zlib apart by itself
        self._begun = False

    def __call__(self, chunk: bytes, most: int) -> bytes:
        if self._work is None:
            return chunk[:most]
        self._begun = True
        try:
            return self._work.decompress(chunk, most)
        except zlib.error as error:
            raise _broken(f"the body is not packed as it says: {error}") from None

    def end(self) -> None:
        """There is no more."""
        if self._work is not None and self._begun and not self._work.eof:
            raise _broken("the body ends in the middle")


def _broken(text: str) -> TransportFault:
    return TransportFault(Trigger.stream_cut, text, sent="yes")
