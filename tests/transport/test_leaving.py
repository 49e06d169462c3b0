"""Whoever leaves is noticed by the server at once, and however an exchange ends it keeps no connection and no task."""

import asyncio
import itertools

import pytest

from orchestra.transport import TransportFault
from tests.transport.asking import fault, post, read
from tests.transport.raw_server import Connection, raw_server, silence

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def one_chunk(connection: Connection) -> None:
    await connection.say(HEAD + b"3\r\none\r\n")
    await silence(connection)


async def reset_in_the_body(connection: Connection) -> None:
    await connection.say(HEAD + b"3\r\none\r\n")
    connection.reset()


async def reset(connection: Connection) -> None:
    connection.reset()


async def no_http(connection: Connection) -> None:
    await connection.say(b"\x00 garbage\r\n\r\n")
    await silence(connection)


async def cut(connection: Connection) -> None:
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\nonly this")
    connection.writer.close()


async def faulty(transport, server):
    await fault(transport, post(server.base))


async def cancelled_before_the_head(transport, server):
    task = asyncio.create_task(transport.send(post(server.base)))
    await server.received.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_while_reading(transport, server):
    """The chunk that is waited for is cancelled, and nothing else is done."""
    response = await transport.send(post(server.base))
    chunks = response.chunks()
    assert await anext(chunks) == b"one"
    task = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return response


async def left_after_a_chunk(transport, server):
    response = await transport.send(post(server.base))
    assert await anext(response.chunks()) == b"one"
    await response.aclose()


async def left_unread(transport, server):
    response = await transport.send(post(server.base))
    await response.aclose()


WAYS = [
    (reset, faulty),
    (reset_in_the_body, faulty),
    (no_http, faulty),
    (cut, faulty),
    (silence, cancelled_before_the_head),
    (one_chunk, cancelled_while_reading),
    (one_chunk, left_after_a_chunk),
    (one_chunk, left_unread),
]


@pytest.mark.parametrize(("script", "leave"), WAYS)
async def test_a_connection_that_was_left_is_closed_at_once_and_no_task_stays(transport, script, leave):
    async with raw_server(script) as server:
        for times in range(1, 6):
            server.received.clear()
            kept = await leave(transport, server)
            await server.has_open(0)
            assert server.connections == times
            del kept
        await asyncio.sleep(0)
        ours = {task for task in asyncio.all_tasks() if task not in server.serving}
    assert ours == {asyncio.current_task()}


async def test_a_server_notices_before_its_next_chunk_that_nobody_reads_any_more(transport):
    written = 0
    go_on = asyncio.Event()

    async def stream(connection: Connection) -> None:
        nonlocal written
        await connection.say(HEAD)
        hung_up = asyncio.ensure_future(connection.reader.read())
        while not hung_up.done():
            await connection.say(b"3\r\none\r\n")
            written += 1
            told = asyncio.ensure_future(go_on.wait())
            await asyncio.wait([hung_up, told], return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            go_on.clear()
        raise ConnectionResetError

    async with raw_server(stream) as server:
        response = await transport.send(post(server.base))
        chunks = response.chunks()
        assert await anext(chunks) == b"one"
        go_on.set()
        assert await anext(chunks) == b"one"
        await response.aclose()
        await server.has_open(0)
    assert written == 2


async def test_exchanges_of_all_kinds_at_once_leave_only_connections_that_may_be_used_again(transport):
    usable = set()
    scripts = itertools.cycle([reset, cut, reset_in_the_body, None])

    async def script(connection: Connection) -> None:
        if broken := next(scripts):
            usable.discard(connection.writer)
            await broken(connection)
        else:
            usable.add(connection.writer)
            await connection.reply(b"ok")

    async def ask(server) -> bool:
        try:
            return (await read(transport, post(server.base)))[2] == b"ok"
        except TransportFault:
            return False

    async with raw_server(script) as server:
        answered = [await asyncio.gather(*(ask(server) for _ in range(50))) for _ in range(4)]
        assert len(server.requests) == 200
        assert sum(map(sum, answered)) == 50
        await server.has_open(len(usable))
        await transport.aclose()
        await server.has_open(0)
