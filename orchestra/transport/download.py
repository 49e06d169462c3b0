"""A large file by plain GET, resumable: how weights arrive."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from orchestra.transport.guard import said
from orchestra.transport.seam import TransportFault
from orchestra.types import Trigger

if TYPE_CHECKING:
    import httpx

REDIRECTS = 5


class Download(NamedTuple):
    """An answer whose body is still arriving: HTTP status, bytes of the whole file (None: not said), the chunks."""

    status: int
    total: int | None
    chunks: Iterator[bytes]


@contextmanager
def download(
    url: str, *, offset: int = 0, connect: float = 5.0, silence: float = 60.0
) -> Generator[Download, None, None]:
    """GET `url` from byte `offset` on; at most five redirects are followed.

    The status is the caller's to judge: 206 goes on at `offset`, 200 starts again at byte 0, 416 says that nothing
    lies beyond `offset`. `connect` and `silence` (no byte for so long) are in seconds. Raises TransportFault, also
    from `chunks`, where the connection fails or the body ends before the length that was promised.
    """
    import httpx

    timeout = httpx.Timeout(silence, connect=connect)
    with httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=REDIRECTS) as client:
        response = _open(client, url, offset)
        try:
            yield Download(response.status_code, _total(response), _chunks(response))
        finally:
            response.close()


def _open(client: httpx.Client, url: str, offset: int) -> httpx.Response:
    import httpx

    headers = {"accept-encoding": "identity"} | ({"range": f"bytes={offset}-"} if offset else {})
    try:
        return client.send(client.build_request("GET", url, headers=headers), stream=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        trigger = Trigger.timeout if isinstance(error, httpx.TimeoutException) else Trigger.connection
        raise TransportFault(trigger, f"cannot download {url!r}: {said(error)}", sent="unknown") from error


def _chunks(response: httpx.Response) -> Iterator[bytes]:
    import httpx

    try:
        yield from response.iter_raw()
    except httpx.HTTPError as error:
        raise TransportFault(
            Trigger.stream_cut, f"the download of {response.url} broke off: {said(error)}", sent="yes"
        ) from error


def _total(response: httpx.Response) -> int | None:
    _, _, whole = response.headers.get("content-range", "").partition("/")
    length = whole or response.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None
