"""ScriptedModel: replies without HTTP, through the real codec."""

import asyncio
import json

import pytest

from orchestra import tool
from orchestra.dialects import codec
from orchestra.errors import StreamCut
from orchestra.testing import (
    CallTool,
    CutStream,
    Error,
    MalformedChunk,
    NoEnd,
    RawReply,
    Reset,
    Say,
    ScriptedModel,
    ScriptError,
    Silence,
    Slow,
    Stall,
    scripted_app,
    scripted_transport,
)
from orchestra.transport.seam import TransportFault, WireRequest
from orchestra.types import Capabilities, Message, Price, Request, ToolSpec, Trigger

CODEC = codec("openai-chat")
ROWS = ToolSpec("shop.rows", "Rows", {"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"]})
ASK = Request((Message.user("how many?"),), tools=(ROWS,))


async def ask(model, request=ASK, transport=None):
    card = model.card()
    sent = CODEC.encode(request, card)
    response = await (transport or scripted_transport(model)).send(
        WireRequest(f"{card.base_url}{sent.path}", sent.headers, sent.body)
    )
    chunks = [chunk async for chunk in response.chunks()]
    await response.aclose()
    if response.status != 200:
        return CODEC.error(response.status, response.headers, b"".join(chunks))
    if not sent.stream:
        return CODEC.decode(sent, b"".join(chunks))
    reader = CODEC.reader(sent)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.close()


STREAMS = pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "whole"])
SUPPORT = pytest.mark.parametrize("support", ["native", "json"])


def model(*replies, streaming=True, support="native", **card):
    capabilities = Capabilities(streaming=streaming, tools=support, logprobs=True)
    return ScriptedModel("small", list(replies), capabilities=capabilities, **card)


@STREAMS
@SUPPORT
async def test_texts_and_calls_come_in_order_under_the_names_the_agent_uses(streaming, support):
    small = model("Grüße", CallTool("shop.rows", sql="SELECT 1"), streaming=streaming, support=support)
    first, second = await ask(small), await ask(small)
    assert (first.text, first.finish, first.wire_model) == ("Grüße", "stop", "small")
    assert [(call.name, call.arguments) for call in second.tool_calls] == [("shop.rows", {"sql": "SELECT 1"})]
    assert second.finish == "tool_calls"
    assert [request["messages"][-1]["content"] for request in small.requests] == ["how many?", "how many?"]


@STREAMS
async def test_a_reply_may_hold_everything_a_model_can_say(streaming):
    say = Say(
        "see", (CallTool("shop.rows", sql="1"), CallTool.written("shop.rows", "{")), "hm", usage=(120, 8), logprob=-2.0
    )
    reply = await ask(model(say, streaming=streaming), Request(ASK.messages, tools=(ROWS,), logprobs=True))
    assert (reply.text, reply.reasoning, reply.logprob) == ("see", "hm", -2.0)
    assert (reply.usage.input, reply.usage.output) == (120, 8)
    assert [call.arguments for call in reply.tool_calls] == [{"sql": "1"}, None]
    assert len({call.id for call in reply.tool_calls}) == 2


@STREAMS
async def test_refusals_and_finishes_are_told(streaming):
    small = model(Say(refusal="I cannot"), Say("half", finish="length"), streaming=streaming)
    refused, cut = await ask(small), await ask(small)
    assert (refused.text, refused.finish) == ("I cannot", "refusal")
    assert cut.finish == "length"


@STREAMS
async def test_a_model_may_say_nothing(streaming):
    assert (await ask(model("", streaming=streaming))).parts == ()


@STREAMS
async def test_usage_is_always_reported(streaming):
    usage = (await ask(model("some words", streaming=streaming))).usage
    assert usage.input > 0
    assert usage.output > 0


async def test_a_structured_answer_is_given_as_json_and_wrapped_where_the_model_must_wrap_it():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    asked = Request(ASK.messages, tools=(ROWS,), output_schema=schema)
    assert (await ask(model('{"n": 1}', support="json"), asked)).text == '{"n": 1}'
    assert (await ask(model('{"n": 1}', support="native"), asked)).text == '{"n": 1}'


async def test_a_raw_reply_is_what_the_model_wrote_even_where_json_was_asked():
    reply = await ask(model(RawReply('{"tool": "shop.rows", "arg', finish="length"), support="json"))
    assert (reply.raw, reply.finish) == ('{"tool": "shop.rows", "arg', "length")
    assert reply.tool_calls[0].arguments is None


async def test_two_calls_in_one_json_reply_are_a_mistake_in_the_script():
    with pytest.raises(ScriptError, match="writes one call a reply"):
        await ask(model(Say(calls=(CallTool("a"), CallTool("b"))), support="json"))


@pytest.mark.parametrize(
    ("error", "trigger"),
    [
        (Error(429, headers={"Retry-After": "2"}), "rate_limited"),
        (Error(401), "auth"),
        (Error(500), "server_error"),
        (Error(418, "teapot"), "bad_request"),
        (Error(400, {"error": {"message": "no", "code": "x"}}), "bad_request"),
        (Error.context_overflow(), "context_overflow"),
        (Error.content_filter(), "content_filter"),
    ],
)
async def test_errors_carry_status_body_and_headers(error, trigger):
    fault = await ask(model(error))
    assert (fault.trigger, fault.status) == (Trigger(trigger), error.status)
    assert fault.retry_after == (2 if error.headers else None)


@STREAMS
async def test_a_reset_and_a_cut_are_faults_of_the_transport(streaming):
    small = model(Reset(), CutStream("a b c d", after=2), streaming=streaming)
    with pytest.raises(TransportFault) as reset:
        await ask(small)
    assert (reset.value.trigger, reset.value.sent) == (Trigger.connection, "unknown")
    with pytest.raises(TransportFault) as cut:
        await ask(small)
    assert (cut.value.trigger, cut.value.sent) == (Trigger.stream_cut, "yes")


@STREAMS
async def test_a_malformed_reply_and_one_without_its_end(streaming):
    small = model(MalformedChunk(), NoEnd(), streaming=streaming)
    assert (await ask(small)).trigger is Trigger.bad_reply
    endless = await ask(small)
    assert endless.trigger is (Trigger.stream_cut if streaming else Trigger.bad_reply)
    assert endless.partial_text == "never finished"


@pytest.mark.parametrize("broken", [MalformedChunk, CutStream, NoEnd])
async def test_what_was_written_before_a_stream_broke_has_been_handed_on(broken):
    reply = Say("one two three four five six", chunks=6)
    said = broken(reply) if broken is NoEnd else broken(reply, after=2)
    async with scripted_app(ScriptedModel("m", [said, "other answer"])) as app:
        with pytest.raises(StreamCut) as cut:
            async for _ in app.stream("hi", step="draft"):
                pass
    assert cut.value.partial_text.startswith("one two")


@pytest.mark.parametrize("behaviour", [Silence(), Stall()])
@STREAMS
async def test_silence_and_a_stall_last_until_the_caller_gives_up(behaviour, streaming):
    waiting = asyncio.ensure_future(ask(model(behaviour, streaming=streaming)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@STREAMS
async def test_a_slow_reply_waits_before_its_first_token(monkeypatch, streaming):
    waited = []
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: real(waited.append(seconds) or 0))
    assert (await ask(model(Slow(20, CallTool("shop.rows", sql="1")), streaming=streaming))).tool_calls[
        0
    ].name == "shop.rows"
    assert max(waited) == 20


async def test_functions_make_replies_of_requests():
    def echo(body):
        return body["messages"][-1]["content"].upper()

    assert (await ask(ScriptedModel("small", echo))).text == "HOW MANY?"
    small = ScriptedModel("small", ["first", echo])
    assert [(await ask(small)).text for _ in range(2)] == ["first", "HOW MANY?"]


async def test_a_script_that_has_ended_names_the_model_and_the_request():
    small = ScriptedModel("small", "only one")
    await ask(small)
    with pytest.raises(ScriptError, match=r"'small' has 1 replies, but request 2 came: .*how many\?.*add a reply"):
        await ask(small)


@pytest.mark.parametrize("replies", [lambda made: made, lambda made: [made]], ids=["one for all", "in a list"])
async def test_a_function_that_fails_ends_the_test_and_not_the_attempt(replies):
    def made(body):
        assert "tools" in body, "the tools are missing"

    async with scripted_app(ScriptedModel("a", replies(made)), ScriptedModel("b", ["hello"], price=Price(1, 1))) as app:
        with pytest.raises(ScriptError, match=r"'a': its function failed at request 1: AssertionError: the tools"):
            await app.complete("x")


@pytest.mark.parametrize(
    "fault", [ConnectionError("gone"), TimeoutError(), TransportFault(Trigger.connection, "refused", sent="no")]
)
async def test_a_function_may_raise_what_a_connection_raises(fault):
    def broken(body):
        raise fault

    async with scripted_app(ScriptedModel("a", broken), ScriptedModel("b", lambda _: "hello")) as app:
        reply = await app.complete("x", model="a")
    assert (reply.text, reply.model, reply.attempts[0].model) == ("hello", "b", "a")


async def test_a_mistake_in_the_script_ends_the_test_from_within_a_tool_too():
    def wrong(body):
        raise AssertionError("the tools are missing")

    inner = scripted_app(ScriptedModel("inner", wrong))

    @tool(read_only=True)
    async def ask() -> str:
        """Ask."""
        return (await inner.complete("x")).text

    plan = json.dumps({"steps": [{"id": "s1", "goal": "g", "needs": [], "tools": ["ask"], "difficulty": "easy"}]})
    outer = ScriptedModel("outer", lambda body: plan if body.get("response_format") else CallTool("ask"))
    async with inner, scripted_app(outer) as app:
        with pytest.raises(ScriptError, match="the tools are missing"):
            await app.planner_executor([ask]).ainvoke({"task": "x"})


@pytest.mark.parametrize("reply", [None, 3, lambda _: None])
async def test_what_is_no_reply_is_a_mistake_in_the_script(reply):
    async with scripted_app(ScriptedModel("m", [reply, "hello"])) as app:
        with pytest.raises(ScriptError, match=r"'m': the reply to request 1 is (None|3); give a text, CallTool"):
            await app.complete("x")


async def test_a_script_that_has_ended_shows_no_endless_request():
    with pytest.raises(ScriptError) as ended:
        await ask(ScriptedModel("small", []), Request((Message.user("x" * 10_000),)))
    assert len(str(ended.value)) < 600


async def test_an_unknown_model_names_the_known_ones():
    with pytest.raises(ScriptError, match=r"no scripted model 'other' for http.*; known: small"):
        await ask(ScriptedModel("other", []), transport=scripted_transport(ScriptedModel("small", [])))


def test_the_card_is_that_of_a_free_model_unless_told_otherwise():
    card = ScriptedModel("my model", []).card()
    assert (card.name, card.tier, card.dialect, card.price) == ("my model", "efficient", "openai-chat", Price(0, 0))
    assert card.base_url == "http://scripted.invalid/my%20model/v1"
    told = ScriptedModel("big", [], "frontier", provider="acme", window=99, model="big-1").card()
    assert (told.name, told.model, told.tier, told.provider, told.window) == ("big", "big-1", "frontier", "acme", 99)


async def test_a_hundred_requests_at_once_each_get_their_own_reply():
    small = ScriptedModel("small", [f"reply {number}" for number in range(100)])
    transport = scripted_transport(small)
    replies = await asyncio.gather(*(ask(small, transport=transport) for _ in range(100)))
    assert {reply.text for reply in replies} == {f"reply {number}" for number in range(100)}
    await transport.aclose()


def test_requests_are_recorded_as_they_went_out():
    small = ScriptedModel("small", ["a"])
    asyncio.run(ask(small))
    assert json.dumps(small.requests[0])
    assert small.requests[0]["tools"][0]["function"]["name"] == "shop_rows"


async def test_an_app_of_scripted_models_answers():
    pytest.importorskip("orchestra.app")
    from orchestra.testing import scripted_app

    small = ScriptedModel("small", ["forty-two"])
    async with scripted_app(small) as app:
        reply = await app.complete("What is the answer?")
    assert (reply.text, reply.model, len(small.requests)) == ("forty-two", "small", 1)
