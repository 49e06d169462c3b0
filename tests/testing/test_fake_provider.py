"""FakeProvider: real HTTP on loopback, judged by the official client."""

import asyncio
import json
import threading

import httpx
import openai
import pytest

from orchestra.testing import (
    CallTool,
    CutStream,
    Error,
    FakeProvider,
    MalformedChunk,
    NoEnd,
    RawReply,
    Reset,
    Say,
    ScriptError,
    Silence,
    Slow,
    Stall,
)

TOOL = {"type": "function", "function": {"name": "rows", "parameters": {"type": "object", "properties": {}}}}
QUESTION = [{"role": "user", "content": "q"}]


def client(provider, **options):
    return openai.AsyncOpenAI(base_url=provider.base_url, api_key="key", max_retries=0, **options)


async def streamed(provider, **fields):
    """The text and finish reason that the official client makes of a stream."""
    texts, finish = [], None
    async with client(provider) as ai:
        stream = await ai.chat.completions.create(model="small", messages=QUESTION, stream=True, **fields)
        async for chunk in stream:
            for choice in chunk.choices:
                texts.append(choice.delta.content or "")
                finish = choice.finish_reason or finish
    return "".join(texts), finish


async def whole(provider, model="small", **fields):
    async with client(provider) as ai:
        return await ai.chat.completions.create(model=model, messages=QUESTION, **fields)


async def test_the_official_client_reads_whole_replies():
    say = Say("Grüße", (CallTool("rows", sql="ü"),), usage=(9, 4))
    async with FakeProvider({"small": say}) as provider:
        reply = await whole(provider, tools=[TOOL], logprobs=True)
    choice = reply.choices[0]
    assert (choice.message.content, choice.finish_reason, reply.usage.total_tokens) == ("Grüße", "tool_calls", 13)
    assert json.loads(choice.message.tool_calls[0].function.arguments) == {"sql": "ü"}
    assert choice.logprobs.content[0].logprob == -0.1


async def test_the_official_client_reads_streams_with_calls_usage_and_logprobs():
    say = Say("one two three", (CallTool("rows", sql="1"), CallTool("rows", sql="2")), chunks=5, usage=(9, 4))
    async with (
        FakeProvider({"small": say}) as provider,
        client(provider) as ai,
        ai.chat.completions.stream(
            model="small", messages=QUESTION, tools=[TOOL], logprobs=True, stream_options={"include_usage": True}
        ) as stream,
    ):
        events = [event async for event in stream]
        final = await stream.get_final_completion()
    message = final.choices[0].message
    assert message.content == "one two three"
    assert [call.function.arguments for call in message.tool_calls] == ['{"sql": "1"}', '{"sql": "2"}']
    assert sum(event.type == "content.delta" for event in events) == 5
    assert final.usage.completion_tokens == 4


async def test_usage_is_streamed_only_where_it_was_asked_for_as_real_servers_do():
    async with FakeProvider({"small": "hi"}) as provider:
        assert await streamed(provider) == ("hi", "stop")
        async with client(provider) as ai:
            stream = await ai.chat.completions.create(model="small", messages=QUESTION, stream=True)
            assert not [chunk async for chunk in stream if chunk.usage]


async def test_requests_are_recorded_and_counted_by_model():
    async with FakeProvider({"small": "a", "big": "b"}) as provider:
        await whole(provider)
        await whole(provider, "big")
        await whole(provider, "big", temperature=0.5)
    assert (provider.count("small"), provider.count("big"), provider.count("none")) == (1, 2, 0)
    last = provider.requests[-1]
    assert (last.model, last.path, last.body["temperature"]) == ("big", "/v1/chat/completions", 0.5)
    assert last.headers["authorization"] == "Bearer key"


async def test_behaviours_come_in_order_and_the_last_one_repeats():
    async with FakeProvider({"small": [Error(500), "one", lambda body: body["model"].upper()]}) as provider:
        with pytest.raises(openai.InternalServerError):
            await whole(provider)
        texts = [(await whole(provider)).choices[0].message.content for _ in range(3)]
    assert texts == ["one", "SMALL", "SMALL"]


async def test_errors_carry_their_body_and_headers():
    limited = Error(429, {"error": {"message": "slow down"}}, {"Retry-After": "2"})
    async with FakeProvider({"small": [limited, Error(401), Error(503, "<html>")]}) as provider:
        with pytest.raises(openai.RateLimitError, match="slow down") as caught:
            await whole(provider)
        assert caught.value.response.headers["retry-after"] == "2"
        with pytest.raises(openai.AuthenticationError):
            await whole(provider)
        with pytest.raises(openai.InternalServerError) as caught:
            await whole(provider)
        assert caught.value.response.text == "<html>"


@pytest.mark.parametrize("read", [whole, streamed])
async def test_a_reset_before_the_response_is_a_connection_error(read):
    async with FakeProvider({"small": Reset()}) as provider:
        with pytest.raises(openai.APIConnectionError) as caught:
            await read(provider)
    assert type(caught.value.__cause__).__name__ == "ReadError"


async def test_a_cut_comes_after_exactly_the_chunks_that_were_asked_for():
    async with FakeProvider({"small": CutStream(Say("0123456789", chunks=10), after=4)}) as provider:
        body = b""
        async with httpx.AsyncClient() as http:
            url = f"{provider.base_url}/chat/completions"
            async with http.stream("POST", url, json={"model": "small", "stream": True}) as response:
                with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012  # what arrived before counts
                    async for piece in response.aiter_bytes():
                        body += piece
        assert body.count(b"data: ") == 4
        with pytest.raises(openai.APIConnectionError):
            await whole(provider)


async def test_a_malformed_chunk_and_a_missing_end_are_really_sent():
    async with FakeProvider({"small": [MalformedChunk(), NoEnd("half"), NoEnd("half"), MalformedChunk()]}) as provider:
        with pytest.raises(json.JSONDecodeError):
            await streamed(provider)
        assert await streamed(provider) == ("half", None)
        assert (await whole(provider)).choices[0].finish_reason is None
        with pytest.raises(json.JSONDecodeError):
            await whole(provider)


async def test_a_slow_reply_still_comes_and_a_client_that_leaves_earlier_is_noticed():
    async with FakeProvider({"small": [Slow(0), Slow(3600)]}) as provider:
        assert await streamed(provider) == ("late", "stop")
        await gives_up(provider)


@pytest.mark.parametrize("behaviour", [Silence(), Stall(), Stall(RawReply("x"), after=0)])
async def test_a_client_that_gives_up_leaves_no_connection_behind(behaviour):
    async with FakeProvider({"small": behaviour}) as provider:
        await gives_up(provider)


async def until(condition):
    while not condition():  # noqa: ASYNC110  # what is waited for happens at the other end of a socket
        await asyncio.sleep(0)


async def gives_up(provider):
    before = len(provider.requests)
    waiting = asyncio.ensure_future(streamed(provider))
    await until(lambda: len(provider.requests) > before)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: not provider.open_connections)


async def test_leaving_closes_clients_that_still_hang():
    async with FakeProvider({"small": Silence()}) as provider:
        waiting = asyncio.ensure_future(whole(provider))
        await until(lambda: provider.requests)
    with pytest.raises(openai.APIConnectionError):
        await waiting
    assert provider.open_connections == 0


async def test_an_unknown_model_path_or_body_says_what_is_known():
    async with FakeProvider({"small": "hi", "big": "hi"}) as provider:
        with pytest.raises(openai.NotFoundError, match="has no model 'other'; known: small, big"):
            await whole(provider, "other")
        async with httpx.AsyncClient() as http:
            reply = await http.post(f"{provider.base_url}/embeddings", json={"model": "small"})
            assert (reply.status_code, "openai-chat below /v1" in reply.text) == (404, True)
            reply = await http.post(f"{provider.base_url}/chat/completions", content=b"nope")
            assert (reply.status_code, "no JSON" in reply.text) == (400, True)


async def test_a_mistake_in_the_script_fails_the_test_and_not_only_the_request():
    async def use(otherwise=None):
        async with FakeProvider({"small": lambda body: 1 / 0}) as provider:
            with pytest.raises(openai.InternalServerError, match="the script failed: division by zero"):
                await whole(provider)
            if otherwise:
                raise otherwise

    with pytest.raises(ZeroDivisionError):
        await use()
    with pytest.raises(KeyError):  # what already fails the test is not hidden
        await use(KeyError("earlier"))


def test_no_behaviour_at_all_is_refused():
    with pytest.raises(ValueError, match="at least one behaviour"):
        FakeProvider({"small": []})


def test_an_address_before_the_start_says_how_to_start():
    with pytest.raises(RuntimeError, match="use it as `async with FakeProvider"):
        _ = FakeProvider({"small": "hi"}).base_url


def test_it_works_without_an_event_loop_and_leaves_no_thread():
    with FakeProvider({"small": "hi"}) as provider, openai.OpenAI(base_url=provider.base_url, api_key="k") as ai:
        reply = ai.chat.completions.create(model="small", messages=QUESTION)
    assert reply.choices[0].message.content == "hi"
    assert "fake-provider" not in {thread.name for thread in threading.enumerate()}


def test_a_mistake_in_the_script_ends_the_thread_too():
    def broken(body):
        raise ScriptError("my mistake")

    with pytest.raises(ScriptError), FakeProvider({"small": broken}) as provider:
        httpx.post(f"{provider.base_url}/chat/completions", json={"model": "small"})
    assert "fake-provider" not in {thread.name for thread in threading.enumerate()}


async def test_a_hundred_clients_at_once_are_served():
    async with FakeProvider({"small": "hi"}) as provider, httpx.AsyncClient() as http:
        url = f"{provider.base_url}/chat/completions"
        replies = await asyncio.gather(*(http.post(url, json={"model": "small"}) for _ in range(100)))
    assert {reply.json()["choices"][0]["message"]["content"] for reply in replies} == {"hi"}
    assert provider.count("small") == 100


async def test_bytes_that_are_no_http_close_only_their_own_connection():
    async with FakeProvider({"small": "hi"}) as provider:
        host, port = provider.base_url.removeprefix("http://").removesuffix("/v1").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\x16\x03\x01 not http\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        assert (await whole(provider)).choices[0].message.content == "hi"
