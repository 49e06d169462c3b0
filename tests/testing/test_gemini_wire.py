"""generateContent over real HTTP: our codec against the fake provider."""

import pytest

from orchestra.testing import CallTool, CutStream, Error, FakeProvider, MalformedChunk, NoEnd, Say
from orchestra.types import CallFault, Message, Text, ToolResult, ToolSpec, Trigger, Usage
from tests.dialects.gemini import NOW, ROWS, card
from tests.testing.spoken import ask

QUESTION = Message.user("q")
MODEL = "gemini-3-small"


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def small(request):
    return card(model=MODEL, capabilities={"streaming": request.param, "logprobs": True})


async def test_text_reasoning_calls_usage_and_log_probabilities_arrive(small):
    say = Say("Grüße", (CallTool("rows", sql="ü"), CallTool("now")), reasoning="hm, so", usage=(9, 4), logprob=-0.5)
    async with FakeProvider({MODEL: say}) as provider:
        deltas, reply = await ask(provider, small, QUESTION, tools=(ROWS, NOW), logprobs=True)
        assert provider.requests[0].headers["x-goog-api-key"] == "key"
    assert (reply.text, reply.reasoning, reply.finish, reply.usage) == ("Grüße", "hm, so", "tool_calls", Usage(9, 4))
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [
        ("gc_1", "rows", {"sql": "ü"}),
        ("gc_2", "now", {}),
    ]
    assert (reply.logprob, reply.wire_model) == (-0.5, MODEL)
    assert not small.capabilities.streaming or "".join(delta.text for delta in deltas) == "hm, soGrüße"


async def test_ids_and_signatures_of_the_first_turn_come_back_in_the_second(small):
    async with FakeProvider({MODEL: Say(calls=(CallTool("rows", sql="1"), CallTool("now")))}) as provider:
        _, first = await ask(provider, small, QUESTION, tools=(ROWS, NOW))
        answered = Message("tool", tuple(ToolResult(call.id, call.name, (Text("7"),)) for call in first.tool_calls))
        history = (QUESTION, Message("assistant", first.parts), answered)
        _, second = await ask(provider, small, *history, tools=(ROWS, NOW))
        _, model, results = provider.requests[1].body["contents"]
    assert [part["functionCall"]["id"] for part in model["parts"]] == ["gc_1", "gc_2"]
    assert [part.get("thoughtSignature") for part in model["parts"]] == ["dGhvdWdodCAx", None]
    assert [part["functionResponse"]["id"] for part in results["parts"]] == ["gc_1", "gc_2"]
    assert [call.id for call in second.tool_calls] == ["gc_3", "gc_4"]


async def test_scripts_name_tools_as_the_agent_does(small):
    shop = ToolSpec("3 shops", "", {"type": "object", "properties": {}})
    async with FakeProvider({MODEL: CallTool("3 shops")}) as provider:
        _, reply = await ask(provider, small, QUESTION, tools=(shop,))
    assert reply.tool_calls[0].name == "3 shops"


@pytest.mark.parametrize("finish", ["length", "stop", "content_filter"])
async def test_finish_reasons_arrive(small, finish):
    async with FakeProvider({MODEL: Say("x", finish=finish)}) as provider:
        assert (await ask(provider, small, QUESTION))[1].finish == finish


async def test_a_call_that_is_no_json_ends_the_reply_as_google_ends_it(small):
    script = Say("so", (CallTool.written("rows", '{"sql": '),))
    async with FakeProvider({MODEL: script}) as provider:
        _, fault = await ask(provider, small, QUESTION, tools=(ROWS,))
    assert (fault.trigger, fault.partial_text) == (Trigger.malformed_args, "so")
    assert 'rows({"sql": )' in fault.text


@pytest.mark.parametrize("broken", [NoEnd(Say("never finished")), MalformedChunk(Say("garbled"))])
async def test_a_broken_reply_is_a_fault(small, broken):
    async with FakeProvider({MODEL: broken}) as provider:
        fault = (await ask(provider, small, QUESTION))[1]
    assert isinstance(fault, CallFault)
    assert fault.trigger in {Trigger.stream_cut, Trigger.bad_reply}


async def test_a_cut_stream_is_told_by_the_transport():
    from orchestra.transport import TransportFault

    async with FakeProvider({MODEL: CutStream(Say("cut in the middle"))}) as provider:
        with pytest.raises(TransportFault):
            await ask(provider, card(model=MODEL), QUESTION)


async def test_errors_come_in_googles_shape(small):
    async with FakeProvider({MODEL: [Error(429), Error(503), Error(418)]}) as provider:
        assert (await ask(provider, small, QUESTION))[1].trigger is Trigger.rate_limited
        fault = (await ask(provider, small, QUESTION))[1]
        assert (await ask(provider, small, QUESTION))[1].trigger is Trigger.bad_request
        unknown = (await ask(provider, card(model="gemini-none"), QUESTION))[1]
    assert (fault.trigger, fault.text) == (Trigger.overloaded, "HTTP 503: 503: scripted 503")
    assert (unknown.status, unknown.trigger) == (404, Trigger.bad_request)
    assert "gemini-none" in unknown.text


async def test_a_structured_answer_and_tools_called_through_json_are_understood(small):
    speaks_json = card(model=MODEL, capabilities={"tools": "json"})
    async with FakeProvider({MODEL: [CallTool("rows", sql="1"), Say("noon")]}) as provider:
        _, called = await ask(provider, speaks_json, QUESTION, tools=(ROWS,))
        _, said = await ask(provider, speaks_json, QUESTION, tools=(ROWS,))
    assert called.tool_calls[0].arguments == {"sql": "1"}
    assert said.text == "noon"


async def test_a_refusal_is_text_for_google_has_no_word_for_it(small):
    async with FakeProvider({MODEL: Say(refusal="I cannot.")}) as provider:
        _, reply = await ask(provider, small, QUESTION)
    assert (reply.text, reply.finish) == ("I cannot.", "stop")
