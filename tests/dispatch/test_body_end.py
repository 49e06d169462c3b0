"""Bodies of real servers over both transports: left open behind their last event, packed as nobody asked."""

import asyncio
import json

import pytest

from orchestra import Exhausted, Orchestra
from orchestra.fleet import Fleet
from orchestra.transport import AiohttpTransport, HttpxTransport
from orchestra.types import Usage
from tests.transport.raw_server import Connection, raw_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def events(*said: object) -> bytes:
    return b"".join(b"data: %s\n\n" % (one if isinstance(one, bytes) else json.dumps(one).encode()) for one in said)


def part(**choice: object) -> dict[str, object]:
    return {"choices": [{"index": 0, **choice}]}


ITEM = {"type": "message", "content": [{"type": "output_text", "text": "hello"}]}
STREAMS = {
    "openai-chat": events(
        part(delta={"content": "hello"}),
        part(delta={}, finish_reason="stop"),
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}},
        b"[DONE]",
    ),
    "anthropic": events(
        {"type": "message_start", "message": {"usage": {"input_tokens": 7}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "hello"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ),
    "openai-responses": events(
        {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
        {
            "type": "response.completed",
            "response": {"status": "completed", "usage": {"input_tokens": 7, "output_tokens": 2}},
        },
    ),
}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def app_on(base: str, dialect: str, made: type) -> Orchestra:
    timeouts = "timeouts = { first_token = 300, chunk = 300, total = 600 }"
    card = f'model = "m"\ndialect = "{dialect}"\nbase_url = "{base}"\ntier = "capable"\nkeys = []\n{timeouts}'
    return Orchestra(Fleet.from_toml(f"[models.m]\n{card}\n"), ledger=None, transport=made())


@pytest.fixture(params=[HttpxTransport, AiohttpTransport], ids=["httpx", "aiohttp"])
def kind(request: pytest.FixtureRequest) -> type:
    return request.param


async def test_a_stream_left_open_that_never_told_its_finish_is_cut_and_not_late(kind: type) -> None:
    async def script(connection: Connection) -> None:
        await connection.say(HEAD + chunk(events(part(delta={"content": "hello"}), b"[DONE]")))
        await connection.reader.read()
        raise ConnectionResetError

    async with raw_server(script) as server, app_on(server.base, "openai-chat", kind) as app:
        async with asyncio.timeout(20):
            with pytest.raises(Exhausted) as ended:
                await app.complete("hi")
    assert {one.trigger for one in ended.value.attempts} == {"stream_cut"}
    assert "before the provider said that it was complete" in str(ended.value)


@pytest.mark.parametrize("streamed", [False, True], ids=["complete", "stream"])
@pytest.mark.parametrize("dialect", STREAMS)
async def test_a_stream_left_open_behind_its_last_event_is_a_whole_reply(
    kind: type, dialect: str, streamed: bool
) -> None:
    async def script(connection: Connection) -> None:
        await connection.say(HEAD + chunk(STREAMS[dialect]))
        await connection.reader.read()
        raise ConnectionResetError

    async with raw_server(script) as server, app_on(server.base, dialect, kind) as app:
        async with asyncio.timeout(20):
            if streamed:
                reply = [event async for event in app.stream("hi")][-1].reply
            else:
                reply = await app.complete("hi")
            await server.gone.wait()
    assert (reply.text, reply.usage) == ("hello", Usage(7, 2))


async def test_a_connection_whose_body_ends_a_moment_later_is_used_again(kind: type) -> None:
    async def script(connection: Connection) -> None:
        await connection.say(HEAD + chunk(STREAMS["openai-chat"]))
        await asyncio.sleep(0.01)
        await connection.say(b"0\r\n\r\n")

    async with raw_server(script) as server, app_on(server.base, "openai-chat", kind) as app:
        for _ in range(3):
            assert (await app.complete("hi")).text == "hello"
        assert server.connections == 1


async def test_a_body_in_an_encoding_that_was_not_asked_for_is_not_asked_for_again(kind: type) -> None:
    async def script(connection: Connection) -> None:
        await connection.reply(b"{}", headers="Content-Encoding: br\r\nContent-Type: application/json\r\n")

    async with raw_server(script) as server, app_on(server.base, "openai-chat", kind) as app:
        with pytest.raises(Exhausted, match="bad_reply on m: the reply is in an encoding that cannot be read"):
            await app.complete("hi")
        assert len(server.requests) == 1
