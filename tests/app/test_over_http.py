"""The whole way over real HTTP, with each transport: what the provider sees is counted there."""

from __future__ import annotations

import asyncio

import pytest

from orchestra import Orchestra
from orchestra.fleet import Fleet
from orchestra.ledger import AttemptEnded
from orchestra.testing import CallTool, CutStream, Error, FakeProvider, Reset, Silence
from orchestra.transport import AiohttpTransport, HttpxTransport
from tests.app.doubles import KEY, events, rain, rows, serving


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("FLEET_TEST_KEY", KEY)


@pytest.fixture(params=[HttpxTransport, AiohttpTransport])
def transport(request):
    return request.param()


async def hung_up(provider):
    async with asyncio.timeout(10):
        while provider.open_connections:  # noqa: ASYNC110  # sockets are closed by the kernel, not by an event
            await asyncio.sleep(0)


@pytest.mark.parametrize("fault", [Reset(), Error(500), CutStream("x", after=0)], ids=repr)
async def test_a_fault_of_the_provider_is_asked_again_once_then_goes_sideways(fault, transport, tmp_path):
    async with serving(tmp_path, {"strong": fault, "small": "still here"}, transport=transport) as (provider, app):
        reply = await app.complete("x", mode="quality")
    assert (provider.count("strong"), provider.count("small")) == (2, 1)
    assert (reply.text, reply.model, reply.degraded) == ("still here", "small", True)
    assert [one.action for one in reply.attempts] == ["retry", "sibling", None]


async def test_a_bad_call_goes_back_once_and_then_up(transport, tmp_path):
    models = {"small": CallTool("rain", town="Oslo"), "strong": CallTool("rain", city="Oslo")}
    async with serving(tmp_path, models, transport=transport) as (provider, app):
        reply = await app.complete("How much rain?", tools=[rain])
    assert (provider.count("small"), provider.count("strong")) == (2, 1)
    assert reply.tool_calls[0].arguments == {"city": "Oslo"}
    assert "town" in provider.requests[1].body["messages"][-1]["content"]
    assert len(provider.requests[2].body["messages"]) == 1  # the refused reply is no part of history


@pytest.mark.parametrize(
    ("said", "text"), [("", "42"), ("{ think_tags = true }", "42"), ("{ think_tags = false }", "<think>six</think>42")]
)
async def test_a_fleet_says_whether_a_text_may_begin_with_a_thought(said, text):
    async with FakeProvider({"m": "<think>six</think>42"}) as provider:
        card = f'provider = "vllm"\nbase_url = "{provider.base_url}"\nkeys = []\n'
        fleet = Fleet.from_toml("[models.m]\n" + card + (f"capabilities = {said}\n" if said else ""))
        async with Orchestra(fleet, ledger=None) as app:
            assert (await app.complete("x")).text == text


async def test_a_cancelled_call_hangs_up_and_the_provider_notices(transport, tmp_path):
    asked = asyncio.Event()

    def silent(body):
        asked.set()
        return Silence()

    async with serving(tmp_path, {"small": silent}, transport=transport) as (provider, app):
        running = asyncio.create_task(app.complete("x"))
        await asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await hung_up(provider)
        assert len(events(rows(app), AttemptEnded)) == 1


async def test_a_hundred_calls_at_once_leave_no_connection_open(transport, tmp_path):
    def echo(body):
        return body["messages"][-1]["content"]

    async with serving(tmp_path, {"small": echo}, transport=transport) as (provider, app):
        replies = await asyncio.gather(*(app.complete(f"ü{i}") for i in range(100)))
        await app.aclose()
        await hung_up(provider)
    assert [reply.text for reply in replies] == [f"ü{i}" for i in range(100)]
    assert provider.count("small") == 100
