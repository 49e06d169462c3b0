"""Which transport serves, on which event loop, and what a request shows of itself."""

import asyncio
import gc
import importlib.util
import sys

import pytest

from orchestra.errors import ConfigError
from orchestra.transport import AiohttpTransport, HttpxTransport, WireRequest, default_transport
from tests.transport.raw_server import raw_server


def test_aiohttp_is_preferred_where_it_is_installed():
    assert isinstance(default_transport(), AiohttpTransport)


def test_httpx_serves_where_aiohttp_is_missing(monkeypatch):
    monkeypatch.setattr("orchestra.transport.choice.find_spec", lambda name: None)
    assert importlib.util.find_spec("httpx")
    assert isinstance(default_transport(), HttpxTransport)


def test_asking_for_aiohttp_where_it_is_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ConfigError, match=r"orchestra-agents\[fast\]"):
        AiohttpTransport()


@pytest.mark.parametrize("kind", [HttpxTransport, AiohttpTransport])
def test_a_transport_serves_one_event_loop_after_the_other(kind):
    transport = kind()

    async def once():
        async with raw_server(lambda c: c.reply(b"ok")) as server:
            response = await transport.send(WireRequest(server.base, (), b""))
            body = b"".join([chunk async for chunk in response.chunks()])
            await response.aclose()
            await transport.aclose()
            return body

    assert [asyncio.run(once()) for _ in range(2)] == [b"ok", b"ok"]


@pytest.mark.parametrize("kind", [HttpxTransport, AiohttpTransport])
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_ended_without_closing_does_not_disturb_the_next(kind):
    made = [kind()]

    async def once():
        async with raw_server(lambda c: c.reply(b"ok")) as server:
            response = await made[0].send(WireRequest(server.base, (), b""))
            return b"".join([chunk async for chunk in response.chunks()])

    assert [asyncio.run(once()) for _ in range(2)] == [b"ok", b"ok"]
    made.clear()
    gc.collect()  # what was left open complains here, where it is expected


@pytest.mark.parametrize("kind", [HttpxTransport, AiohttpTransport])
async def test_closing_an_unused_transport_is_fine(kind):
    await kind().aclose()


def test_a_request_shows_neither_its_headers_nor_its_body():
    shown = repr(WireRequest("http://h", (("authorization", "Bearer sk-planted"),), b"secret"))
    assert "planted" not in shown
    assert "secret" not in shown
