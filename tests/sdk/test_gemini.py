"""google-genai judges both sides: its types our requests, its client our fake provider."""

import json

import pytest
from google import genai
from google.genai import errors, types

from orchestra.testing import CallTool, Error, FakeProvider, Say
from orchestra.testing.wires import wire
from orchestra.types import Document, Image, Message, Reasoning, Settings, Text, ToolCall, ToolResult
from tests.dialects.gemini import NOW, ROWS, card, encoded, origin
from tests.sdk.closed import EVENTS, REPLIES, REQUESTS, check

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
SIGNED = '{"id": "gc_1", "thoughtSignature": "c2lnbmVk"}'
ABLE = {"images": True, "documents": True, "logprobs": True, "reasoning_effort": True}


def everything(model):
    own = origin(model)
    calls = (
        Reasoning("hm", own, '{"thoughtSignature": "YQ=="}'),
        Reasoning("", own, '{"executableCode": {"language": "PYTHON", "code": "1"}}'),
        Text("so", own),
        Text("", own, '{"thoughtSignature": "YQ=="}'),
        ToolCall("a", "rows", {"sql": "1"}, origin=own, provider_state=SIGNED),
        ToolCall("b", "now", {}),
    )
    media = (Text("1"), Image("image/png", data="QUJD"), Image("image/png", url="https://x/y.png"))
    results = (ToolResult("a", "rows", media, True), ToolResult("b", "now", (Text("noon"),)))
    return (
        Message.system("s"),
        Message("user", (Text("look"), Image("image/png", data="QUJD"), Document("application/pdf", data="QUJD"))),
        Message("assistant", calls),
        Message("tool", results),
        Message("assistant", (ToolCall("c", "now", {}),)),
        Message("tool", (ToolResult("c", "now", (Text("noon"),)),)),
    )


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"tools": (ROWS, NOW), "tool_choice": "required", "parallel_tools": False},
        {"tools": (ROWS,), "tool_choice": "none", "output_schema": SCHEMA, "logprobs": True},
        {"settings": Settings(max_tokens=9, reasoning_effort="low"), "temperature": 0.5, "seed": 1, "stop": ("x",)},
        {"extra": {"gemini.topK": 3, "gemini.safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT"}]}},
    ],
)
@pytest.mark.parametrize("model", ["gemini-3-flash", "gemini-2.5-pro"])
@pytest.mark.parametrize("full", [False, True])
def test_the_official_types_accept_every_request(full, model, asked):
    messages = everything(model) if full else (Message.user("u"),)
    check(REQUESTS["gemini"], json.loads(encoded(*messages, card=card(model=model, capabilities=ABLE), **asked).body))


MODEL = "gemini-3-small"
SAY = Say("Grüße", (CallTool("rows", sql="ü"), CallTool("now")), reasoning="hm", usage=(9, 4))
TOOLS = [{"function_declarations": [{"name": "rows"}, {"name": "now"}]}]
ASK = {
    "model": MODEL,
    "contents": "q",
    "config": {"tools": TOOLS, "response_logprobs": True, "automatic_function_calling": {"disable": True}},
}


def client(provider):
    return genai.Client(api_key="key", http_options={"base_url": provider.base_url_of("gemini")})


def test_the_official_client_reads_whole_replies():
    with FakeProvider({MODEL: SAY}) as provider, client(provider) as google:
        reply = google.models.generate_content(**ASK)
    thought, said, *calls = reply.candidates[0].content.parts
    assert (thought.text, thought.thought, said.text) == ("hm", True, "Grüße")
    assert [(part.function_call.name, part.function_call.args) for part in calls] == [
        ("rows", {"sql": "ü"}),
        ("now", {}),
    ]
    assert calls[0].thought_signature == b"thought 1"
    assert reply.candidates[0].finish_reason is types.FinishReason.STOP
    assert (reply.usage_metadata.total_token_count, reply.model_version) == (13, MODEL)
    assert reply.candidates[0].logprobs_result.chosen_candidates[0].log_probability == -0.1


def test_the_official_client_reads_streams():
    with FakeProvider({MODEL: SAY}) as provider, client(provider) as google:
        chunks = list(google.models.generate_content_stream(**ASK))
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text for part in parts if part.text and not part.thought) == "Grüße"
    assert [part.function_call.id for part in parts if part.function_call] == ["gc_1", "gc_2"]
    assert chunks[-1].candidates[0].finish_reason is types.FinishReason.STOP
    assert chunks[-1].usage_metadata.candidates_token_count == 4


def test_what_the_official_client_sends_back_is_what_our_codec_sends_back():
    with FakeProvider({MODEL: SAY}) as provider, client(provider) as google:
        reply = google.models.generate_content(**ASK)
        google.models.generate_content(**ASK | {"contents": ["q", reply.candidates[0].content]})
        theirs = provider.requests[1].body["contents"][1]["parts"]
    from orchestra.dialects import codec

    asked = encoded(tools=(ROWS, NOW), card=card(model=MODEL))
    ours = codec("gemini").decode(asked, json.dumps(wire("gemini").writer(SAY, "", {}).whole(ended=True)).encode())
    sent = encoded(Message.user("q"), Message("assistant", ours.parts), card=card(model=MODEL))
    assert json.loads(sent.body)["contents"][1]["parts"] == theirs[1:]  # unsigned thoughts mean nothing to the model


@pytest.mark.parametrize(("status", "kind"), [(429, errors.ClientError), (503, errors.ServerError)])
def test_the_official_client_reads_errors(status, kind):
    with (
        FakeProvider({MODEL: Error(status)}) as provider,
        client(provider) as google,
        pytest.raises(kind, match=f"scripted {status}") as caught,
    ):
        google.models.generate_content(**ASK)
    assert caught.value.code == status
    assert caught.value.status in {"RESOURCE_EXHAUSTED", "UNAVAILABLE"}


@pytest.mark.parametrize(
    "say",
    [SAY, Say("x", finish="length"), Say(refusal="no"), Say(), Say(calls=(CallTool.written("rows", "{"),))],
)
def test_the_official_types_accept_what_the_fake_provider_says(say):
    asked = {"generationConfig": {"responseLogprobs": True}}
    writer = wire("gemini").writer(say, f"/v1beta/models/{MODEL}:generateContent", asked)
    check(REPLIES["gemini"], writer.whole(ended=True))
    for frame in [*writer.chunks(), *writer.end()]:
        check(EVENTS["gemini"], json.loads(frame.removeprefix(b"data: ")))


@pytest.mark.parametrize("reason", types.FinishReason)
def test_every_official_finish_reason_is_known(reason):
    from orchestra.dialects.gemini_reading import MEANINGS

    assert reason.value in {*MEANINGS, "FINISH_REASON_UNSPECIFIED"}
