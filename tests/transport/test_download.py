"""A download: from an offset, through a few redirects, and never silently short."""

import asyncio

import pytest

from orchestra.transport import Download, TransportFault, download
from orchestra.types import Trigger
from tests.transport.raw_server import Connection, raw_server, silence

WHOLE = b"0123456789"


async def serve_file(connection: Connection) -> None:
    """A server that knows ranges."""
    wanted = next(
        (line[13:-1] for line in connection.head.lower().splitlines() if line.startswith("range: bytes=")), ""
    )
    if not wanted:
        await connection.reply(WHOLE)
    elif int(wanted) >= len(WHOLE):
        await connection.reply(
            b"", status="416 Range Not Satisfiable", headers=f"Content-Range: bytes */{len(WHOLE)}\r\n"
        )
    else:
        span = f"Content-Range: bytes {wanted}-{len(WHOLE) - 1}/{len(WHOLE)}\r\n"
        await connection.reply(WHOLE[int(wanted) :], status="206 Partial Content", headers=span)


def fetch(url, **options):
    with download(url, **options) as (status, total, chunks):
        return status, total, b"".join(chunks)


@pytest.mark.parametrize(
    ("offset", "expected"), [(0, (200, 10, WHOLE)), (4, (206, 10, b"456789")), (10, (416, 10, b""))]
)
async def test_it_goes_on_where_it_is_told(offset, expected):
    async with raw_server(serve_file) as server:
        assert await asyncio.to_thread(fetch, server.base, offset=offset) == expected
    assert "accept-encoding: identity" in server.requests[0].head.lower()


async def test_a_size_that_is_not_said_is_none():
    async def script(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")

    async with raw_server(script) as server:
        assert await asyncio.to_thread(fetch, server.base) == (200, None, b"abc")


async def test_a_body_short_of_its_length_is_a_fault():
    async def script(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\nonly this")
        connection.writer.close()

    async with raw_server(script) as server:
        with pytest.raises(TransportFault, match="broke off") as caught:
            await asyncio.to_thread(fetch, server.base)
    assert caught.value.trigger is Trigger.stream_cut


async def test_redirects_are_followed_but_not_for_ever():
    async def script(connection: Connection) -> None:
        number = int(connection.head.split()[1].strip("/") or 0)
        if number == 5:
            await connection.reply(b"there")
        else:
            await connection.reply(b"", status="302 Found", headers=f"Location: /{number + 1}\r\n")

    async with raw_server(script) as server:
        assert await asyncio.to_thread(fetch, server.base + "/0") == (200, 5, b"there")
        with pytest.raises(TransportFault, match="redirect"):
            await asyncio.to_thread(fetch, server.base + "/-1")


async def test_an_error_status_is_the_callers_to_judge():
    async with raw_server(lambda c: c.reply(b"gone", status="404 Not Found")) as server:
        assert await asyncio.to_thread(fetch, server.base) == (404, 4, b"gone")


async def test_silence_is_a_timeout():
    async with raw_server(silence) as server:
        with pytest.raises(TransportFault, match="cannot download") as caught:
            await asyncio.to_thread(fetch, server.base, silence=0.05)
    assert caught.value.trigger is Trigger.timeout


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/x", "nonsense", "http://[::1"])
def test_what_cannot_be_reached_is_a_fault_naming_the_url(url, unused_tcp_port):
    url = url.format(port=unused_tcp_port)
    with pytest.raises(TransportFault) as caught:
        fetch(url)
    assert caught.value.trigger is Trigger.connection
    assert url in str(caught.value)


async def test_leaving_early_closes_the_connection():
    async def script(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\nonly this")
        await silence(connection)

    def leave(url):
        with download(url) as answer:
            assert isinstance(answer, Download)
            return next(answer.chunks)

    async with raw_server(script) as server:
        assert await asyncio.to_thread(leave, server.base) == b"only this"
        async with asyncio.timeout(5):
            await server.gone.wait()
