"""A transport whose event loops come and go: each takes its connections with it, without a word."""

import asyncio
import gc
from pathlib import Path
from threading import Thread

import pytest

from orchestra.testing import FakeProvider, Say
from orchestra.transport import AiohttpTransport, HttpxTransport
from tests.transport.asking import post, read
from tests.transport.raw_server import raw_server

SLACK = 15
"""Fewer than event loops: the provider's own side may still be closing, and what is first used opens files."""

SILENT = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # asyncio's, shown only to those who ask for it

BODY = b'{"model": "small", "messages": [{"role": "user", "content": "q"}]}'


@pytest.fixture(params=[HttpxTransport, AiohttpTransport], ids=["httpx", "aiohttp"])
def kind(request):
    return request.param


@pytest.fixture
def ask():
    """Asks a provider that lives longer than any event loop; the status."""
    with FakeProvider({"small": Say("hi")}) as provider:

        async def ask(transport):
            return (await read(transport, post(provider.base_url, BODY, "/chat/completions")))[0]

        yield ask


def files():
    return len(list(Path("/dev/fd").iterdir()))


def test_event_loops_that_end_close_their_connections_and_nothing_complains(kind, ask, caplog):
    transport = kind()
    asyncio.run(ask(transport))
    before = files()
    assert [asyncio.run(ask(transport)) for _ in range(30)] == [200] * 30
    assert files() < before + SLACK
    transport = None
    gc.collect()
    assert caplog.messages == []


@SILENT
@pytest.mark.parametrize("again", [True, False], ids=["used again", "not used again"])
def test_of_event_loops_that_are_closed_without_a_shutdown_nothing_is_logged(kind, ask, again, caplog):
    transport, before = kind(), files()
    for _ in range(30):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(ask(transport))
        loop.close()
    if again:
        asyncio.run(ask(transport))
    del transport
    gc.collect()
    assert files() < before + SLACK
    assert caplog.messages == []


@SILENT
@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")
def test_of_event_loops_that_threads_leave_open_none_is_kept_once_its_thread_has_ended(kind, ask, caplog):
    """As pydantic-ai's `run_sync` leaves one in each thread that calls it."""
    transport, before = kind(), files()
    for _ in range(30):
        thread = Thread(target=lambda: asyncio.new_event_loop().run_until_complete(ask(transport)))
        thread.start()
        thread.join()
        gc.collect()
    assert files() < before + SLACK
    assert caplog.messages == []


@pytest.mark.parametrize("elsewhere", [False, True], ids=["of one thread", "begun in a thread that has ended"])
def test_an_event_loop_keeps_its_connections_between_its_runs(elsewhere, kind, ask):
    transport, loop = kind(), asyncio.new_event_loop()

    def first():
        assert loop.run_until_complete(ask(transport)) == 200

    if elsewhere:
        thread = Thread(target=first)
        thread.start()
        thread.join()
    else:
        first()
    kept = transport._sessions if kind is AiohttpTransport else transport._clients
    client = loop.run_until_complete(_client(kept))
    asyncio.run(ask(transport))
    assert loop.run_until_complete(_client(kept)) is client
    loop.run_until_complete(transport.aclose())
    loop.close()


async def _client(kept):
    return kept.get()


async def test_a_transport_that_nobody_holds_any_more_closes_its_connections(kind):
    async with raw_server(lambda c: c.reply(b"ok")) as server:
        transport = kind()
        await read(transport, post(server.base))
        await server.has_open(1)
        del transport
        await server.has_open(0)


@SILENT
@pytest.mark.filterwarnings("ignore:asynchronous generator:ResourceWarning")
def test_what_asks_while_its_event_loop_shuts_down_is_answered(kind, ask):
    transport, answered = kind(), []

    async def items():
        try:
            yield 1
        finally:
            await asyncio.sleep(0.01)  # the transport's own end comes first
            answered.append(await ask(transport))

    async def main():
        nonlocal kept
        await ask(transport)
        kept = items()
        await anext(kept)

    kept = None
    asyncio.run(main())
    assert answered == [200]
    transport = None
    gc.collect()
