"""Replies made of the SDKs' own models are what our codecs read: text, reasoning, calls, usage, the end, the model."""

import base64
import json

import anthropic.types
import cohere
import mistralai.client.models as mistral
import openai.types.chat
import openai.types.completion_usage
import openai.types.responses
import pytest
from google.genai import types as genai

from orchestra.dialects import CODECS
from orchestra.types import Message, ModelReply, Origin, Request, ToolCall, Usage
from tests.dialects.history_replies import MODELS, card
from tests.dialects.history_stories import ROWS
from tests.sdk.closed import REPLIES, decode

SQL = {"sql": "select 'ü'"}
ARGUMENTS = json.dumps(SQL)
SIGNATURE = base64.b64encode(b"\xfb\xef\xff signed").decode()


def chat():
    return openai.types.chat.ChatCompletion(
        id="chatcmpl-1",
        object="chat.completion",
        created=1_760_000_000,
        model="gpt-4.1-2025-04-14",
        service_tier="default",
        choices=[
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "logprobs": None,
                "message": {
                    "role": "assistant",
                    "content": "Let me look.",
                    "refusal": None,
                    "annotations": [],
                    "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "rows", "arguments": ARGUMENTS}}
                    ],
                },
            }
        ],
        usage={
            "prompt_tokens": 20,
            "completion_tokens": 9,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 0},
        },
    ).model_dump_json(by_alias=True)


def responses():
    return openai.types.responses.Response(
        id="resp_1",
        object="response",
        created_at=1_760_000_000,
        model="gpt-5.2-2025-12-11",
        status="completed",
        parallel_tool_calls=True,
        tool_choice="auto",
        tools=[],
        output=[
            {
                "id": "rs_1",
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "Hm."}],
                "encrypted_content": SIGNATURE,
            },
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
            },
            {
                "id": "fc_1",
                "type": "function_call",
                "status": "completed",
                "call_id": "call_1",
                "name": "rows",
                "arguments": ARGUMENTS,
            },
        ],
        usage={
            "input_tokens": 20,
            "output_tokens": 9,
            "total_tokens": 29,
            "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 4},
        },
    ).model_dump_json(by_alias=True)


def messages():
    return anthropic.types.Message(
        id="msg_1",
        type="message",
        role="assistant",
        model="claude-opus-4-5-20251101",
        stop_reason="tool_use",
        content=[
            {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "call_1", "name": "rows", "input": SQL},
        ],
        usage={
            "input_tokens": 10,
            "cache_read_input_tokens": 8,
            "cache_creation_input_tokens": 2,
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 4},
        },
    ).model_dump_json(by_alias=True)


def gemini():
    parts = [
        genai.Part(text="Hm.", thought=True),
        genai.Part(text="Let me look."),
        genai.Part(
            function_call=genai.FunctionCall(id="call_1", name="rows", args=SQL),
            thought_signature=base64.b64decode(SIGNATURE),
        ),
    ]
    return genai.GenerateContentResponse(
        model_version="gemini-3-pro-preview",
        response_id="r1",
        candidates=[
            genai.Candidate(
                index=0, content=genai.Content(role="model", parts=parts), finish_reason=genai.FinishReason.STOP
            )
        ],
        usage_metadata=genai.GenerateContentResponseUsageMetadata(
            prompt_token_count=20,
            cached_content_token_count=8,
            candidates_token_count=5,
            thoughts_token_count=4,
            total_token_count=29,
        ),
    ).model_dump_json(by_alias=True, exclude_none=True)


def converse():
    body = {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": SIGNATURE}}},
                    {"text": "Let me look."},
                    {"toolUse": {"toolUseId": "call_1", "name": "rows", "input": SQL}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": {
            "inputTokens": 10,
            "outputTokens": 9,
            "totalTokens": 29,
            "cacheReadInputTokens": 8,
            "cacheWriteInputTokens": 2,
        },
        "metrics": {"latencyMs": 500},
    }
    return json.dumps(body)


def mistral_chat():
    thought = mistral.ThinkChunk(thinking=[mistral.TextChunk(text="Hm.")], signature=SIGNATURE)
    call = mistral.ToolCall(id="call12345", function=mistral.FunctionCall(name="rows", arguments=ARGUMENTS))
    message = mistral.AssistantMessage(content=[thought, mistral.TextChunk(text="Let me look.")], tool_calls=[call])
    return mistral.ChatCompletionResponse(
        id="c1",
        object="chat.completion",
        model="magistral-medium-2509",
        created=1_760_000_000,
        usage=mistral.UsageInfo(prompt_tokens=20, completion_tokens=9, total_tokens=29),
        choices=[mistral.ChatCompletionChoice(index=0, message=message, finish_reason="tool_calls")],
    ).model_dump_json(by_alias=True)


def cohere_chat():
    function = cohere.ToolCallV2Function(name="rows", arguments=ARGUMENTS)
    message = cohere.AssistantMessageResponse(
        role="assistant",
        tool_plan="Let me look.",
        tool_calls=[cohere.ToolCallV2(id="call_1", type="function", function=function)],
    )
    tokens = cohere.UsageTokens(input_tokens=20, output_tokens=9)
    return cohere.V2ChatResponse(
        id="c1", finish_reason="TOOL_CALL", message=message, usage=cohere.Usage(tokens=tokens)
    ).model_dump_json(by_alias=True, exclude_none=True)


SAID = {
    "openai-chat": (chat, "gpt-4.1-2025-04-14", Usage(20, 9, 8, 4)),
    "openai-responses": (responses, "gpt-5.2-2025-12-11", Usage(20, 9, 8, 4)),
    "anthropic": (messages, "claude-opus-4-5-20251101", Usage(20, 9, 8, 4, 2)),
    "gemini": (gemini, "gemini-3-pro-preview", Usage(20, 9, 8, 4)),
    "bedrock-converse": (converse, None, Usage(20, 9, 8, cache_write=2)),
    "mistral": (mistral_chat, "magistral-medium-2509", Usage(20, 9)),
    "cohere": (cohere_chat, None, Usage(20, 9)),
}


@pytest.fixture(params=list(CODECS))
def dialect(request):
    return request.param


@pytest.fixture
def reply(dialect):
    body = SAID[dialect][0]()
    decode(REPLIES[dialect], json.loads(body))
    codec, to = CODECS[dialect], card(dialect, MODELS[dialect][0])
    read = codec.decode(codec.encode(Request((Message.user("how many?"),), (ROWS,)), to), body.encode())
    assert isinstance(read, ModelReply), read
    return read


def test_text_and_reasoning_are_told_apart(dialect, reply):
    if dialect == "cohere":  # its plan is no answer, and there is nothing else
        assert (reply.text, reply.reasoning) == ("", "Let me look.")
    else:
        assert reply.text == "Let me look."
        assert reply.reasoning == ("" if dialect == "openai-chat" else "Hm.")


def test_the_call_has_its_id_its_name_and_its_arguments(dialect, reply):
    (call,) = reply.tool_calls
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("rows", SQL)
    assert call.id == ("call12345" if dialect == "mistral" else "call_1")
    assert call.origin == Origin(dialect, dialect, MODELS[dialect][0])


def test_usage_the_end_and_the_model_are_told(dialect, reply):
    _, model, usage = SAID[dialect]
    assert reply.finish == "tool_calls"
    assert reply.wire_model == model
    assert reply.usage == usage


def test_the_opaque_state_is_kept_byte_exact(dialect, reply):
    kept = "".join(part.provider_state or "" for part in reply.parts)
    # google-genai writes bytes in base64's alphabet for URLs.
    written = SIGNATURE.translate(str.maketrans("+/", "-_")) if dialect == "gemini" else SIGNATURE
    assert (written in kept) is (dialect not in ("openai-chat", "cohere"))
