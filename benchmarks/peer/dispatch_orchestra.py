"""Orchestra's side of benchmarks/dispatch.py.

dispatch_orchestra.py (app|transport) (aiohttp|httpx) (short|long) URL     see crowd.py
dispatch_orchestra.py memory CALLS URL                                     bytes that so many calls add to the peak
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from crowd import Call, calls, rounds
from dialects_orchestra import TOOLS, request

from orchestra import Fleet, Message, Orchestra, Tool
from orchestra.dialects import CODECS
from orchestra.transport import AiohttpTransport, HttpxTransport, WireRequest
from orchestra.types import Request

TRANSPORTS = {"aiohttp": AiohttpTransport, "httpx": HttpxTransport}
QUESTION = "Which region sold most?"
WARM = 5_000


def fleet_at(url: str) -> Fleet:
    """One model with a price, so that each call is reserved and settled."""
    price = "price = { input = 1.0, output = 5.0 }"
    return Fleet.from_toml(f'[models.m]\nmodel = "m-1"\nbase_url = "{url}"\nwindow = 128000\n{price}\n')


@asynccontextmanager
async def app_call(transport: str, size: str, url: str) -> AsyncGenerator[Call]:
    """`complete` with the ledger on: a question, or ten messages, new to us at every call, with ten tools."""
    long = size == "long"
    said = request("openai-chat").messages
    tools = [Tool.from_schema(spec.name, spec.description, spec.schema, None) for spec in TOOLS] if long else []
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger.db"
        async with Orchestra(fleet_at(url), ledger=ledger, transport=TRANSPORTS[transport]()) as app:

            async def call() -> None:
                messages = [Message(one.role, one.parts) for one in said] if long else QUESTION
                reply = await app.complete(messages, step="answer", tools=tools)
                assert reply.usage, reply

            yield call


@asynccontextmanager
async def transport_call(transport: str, size: str, url: str) -> AsyncGenerator[Call]:
    """The same bytes there and back, and nothing else."""
    codec, card = CODECS["openai-chat"], fleet_at(url).models["m"]
    asked = request("openai-chat") if size == "long" else Request((Message.user(QUESTION),))
    encoded = codec.encode(asked, card)
    wire, sender = WireRequest(url + encoded.path, encoded.headers, encoded.body), TRANSPORTS[transport]()

    async def call() -> None:
        response = await sender.send(wire)
        assert response.status == 200
        async for _ in response.chunks():
            pass
        await response.aclose()

    yield call
    await sender.aclose()


async def measured(what: str, transport: str, size: str, url: str) -> None:
    """Rounds, until standard input ends."""
    made = app_call if what == "app" else transport_call
    async with made(transport, size, url) as call:
        await rounds(call)


async def memory(number: int, url: str) -> None:
    """How far the peak rises above that of the first WARM calls."""
    async with app_call("aiohttp", "short", url) as call:
        await calls(call, WARM)
        before = _peak()
        await calls(call, number)
        print(_peak() - before)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(what: str, *options: str) -> None:
    """Dispatch on the subcommand."""
    if what == "memory":
        asyncio.run(memory(int(options[0]), options[1]))
    else:
        asyncio.run(measured(what, *options))


if __name__ == "__main__":
    main(*sys.argv[1:])
