"""What models of every dialect say, as their providers write it: with opaque state that must come back unchanged."""

import json
from dataclasses import dataclass

from orchestra.types import Capabilities, ModelCard

MODELS = {
    "openai-chat": ("gpt-4.1", "gpt-4o"),
    "openai-responses": ("gpt-5.2", "o3"),
    "anthropic": ("claude-opus-4-5", "claude-sonnet-4-5"),
    "gemini": ("gemini-3-pro-preview", "gemini-2.5-flash"),
    "bedrock-converse": ("anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0"),
    "mistral": ("magistral-medium-2509", "mistral-large-2512"),
    "cohere": ("command-a-03-2025", "command-r-plus-08-2024"),
}
SEES = {"images": True, "documents": True}


def card(dialect, model, **capabilities):
    can = Capabilities(**({"reasoning_effort": True} | SEES | capabilities))
    return ModelCard(f"{dialect}/{model}", model, dialect, dialect, "capable", capabilities=can)


@dataclass(frozen=True)
class Spoken:
    """One reply: what the model thought, its opaque state, what it said, the (id, name, arguments) that it called."""

    state: str
    thought: str = ""
    text: str = ""
    calls: tuple = ()


def reply_body(dialect, model, spoken):
    """The whole body of a reply that was not streamed."""
    return _BODIES[dialect](model, spoken)


def written_state(dialect, spoken):
    """The pieces of the reply's wire form that have to come back, as they stood there."""
    return _STATES[dialect](spoken)


def replayed_state(dialect, body):
    """Those pieces in a request."""
    return _REPLAYED[dialect](body)


def _chat_message(spoken):
    calls = [
        {"id": one[0], "type": "function", "function": {"name": one[1], "arguments": json.dumps(one[2])}}
        for one in spoken.calls
    ]
    return {"role": "assistant", "content": spoken.text or None, "refusal": None} | (
        {"tool_calls": calls} if calls else {}
    )


def _chat(model, spoken):
    finish = "tool_calls" if spoken.calls else "stop"
    choice = {"index": 0, "message": _chat_message(spoken), "finish_reason": finish, "logprobs": None}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}


def _reasoning_item(spoken):
    summary = [{"type": "summary_text", "text": spoken.thought}] if spoken.thought else []
    return {"type": "reasoning", "id": f"rs_{spoken.state}", "summary": summary, "encrypted_content": spoken.state}


def _message_item(spoken):
    content = [{"type": "output_text", "text": spoken.text, "annotations": []}]
    return {
        "type": "message",
        "id": f"msg_{spoken.state}",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def _call_items(spoken):
    return [
        {"type": "function_call", "id": f"fc_{number}_{spoken.state}", "status": "completed"}
        | {"call_id": one[0], "name": one[1], "arguments": json.dumps(one[2])}
        for number, one in enumerate(spoken.calls)
    ]


def _responses(model, spoken):
    said = [_message_item(spoken)] if spoken.text else []
    output = [_reasoning_item(spoken), *said, *_call_items(spoken)]
    rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None, "incomplete_details": None}
    return {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "model": model,
        "status": "completed",
        "output": output,
    } | rest


def _thinking_blocks(spoken):
    thinking = {"type": "thinking", "thinking": spoken.thought, "signature": spoken.state}
    return [{"type": "redacted_thinking", "data": f"r{spoken.state}"}, thinking]


def _anthropic(model, spoken):
    said = [{"type": "text", "text": spoken.text}] if spoken.text else []
    calls = [{"type": "tool_use", "id": one[0], "name": one[1], "input": one[2]} for one in spoken.calls]
    reason = "tool_use" if calls else "end_turn"
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": model, "usage": usage}
    return message | {
        "content": [*_thinking_blocks(spoken), *said, *calls],
        "stop_reason": reason,
        "stop_sequence": None,
    }


def _identity(call):
    return {"id": call[0]} if call[0] else {}


def _gemini_parts(spoken):
    """The signature stands on the first call, or on the last, empty text where there is none."""
    signed = {"thoughtSignature": spoken.state}
    calls = [{"functionCall": _identity(one) | {"name": one[1], "args": one[2]}} for one in spoken.calls]
    if calls:
        calls[0] |= signed
    said = [{"text": spoken.text}] if spoken.text else []
    return [*said, *(calls or [{"text": ""} | signed])]


def _gemini(model, spoken):
    thought = [{"text": spoken.thought, "thought": True}] if spoken.thought else []
    content = {"role": "model", "parts": [*thought, *_gemini_parts(spoken)]}
    return {"candidates": [{"index": 0, "content": content, "finishReason": "STOP"}], "modelVersion": model}


def _bedrock_thoughts(spoken):
    text = {"reasoningText": {"text": spoken.thought, "signature": spoken.state}}
    return [{"reasoningContent": text}, {"reasoningContent": {"redactedContent": spoken.state}}]


def _bedrock(model, spoken):
    said = [{"text": spoken.text}] if spoken.text else []
    calls = [{"toolUse": {"toolUseId": one[0], "name": one[1], "input": one[2]}} for one in spoken.calls]
    message = {"role": "assistant", "content": [*_bedrock_thoughts(spoken), *said, *calls]}
    usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
    reason = "tool_use" if calls else "end_turn"
    return {"output": {"message": message}, "stopReason": reason, "usage": usage, "metrics": {"latencyMs": 1}}


def _mistral_thought(spoken):
    thought = [{"type": "text", "text": spoken.thought}] if spoken.thought else []
    return {"type": "thinking", "thinking": thought, "signature": spoken.state}


def _mistral(model, spoken):
    said = [{"type": "text", "text": spoken.text}] if spoken.text else []
    message = {"role": "assistant", "content": [_mistral_thought(spoken), *said]}
    if spoken.calls:
        message["tool_calls"] = _chat_message(spoken)["tool_calls"]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if spoken.calls else "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}


def _cohere(model, spoken):
    message = {"role": "assistant"}
    if spoken.text:
        message["content"] = [{"type": "text", "text": spoken.text}]
    if spoken.calls:
        message |= {"tool_calls": _chat_message(spoken)["tool_calls"], "tool_plan": spoken.thought}
    return {"id": "c", "finish_reason": "TOOL_CALL" if spoken.calls else "COMPLETE", "message": message}


_BODIES = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock-converse": _bedrock,
    "mistral": _mistral,
    "cohere": _cohere,
}

_STATES = {
    "openai-chat": lambda spoken: [],
    "openai-responses": lambda spoken: [
        _reasoning_item(spoken),
        *([_message_item(spoken)] if spoken.text else []),
        *[one["id"] for one in _call_items(spoken)],
    ],
    "anthropic": _thinking_blocks,
    "gemini": lambda spoken: [part for part in _gemini_parts(spoken) if "thoughtSignature" in part],
    "bedrock-converse": _bedrock_thoughts,
    "mistral": lambda spoken: [_mistral_thought(spoken)],
    "cohere": lambda spoken: [spoken.thought] if spoken.calls else [],
}


def _items(body):
    for item in body["input"]:
        if item.get("type") == "function_call" and "id" in item:
            yield item["id"]
        elif item.get("type") in ("reasoning", "message") and "id" in item:
            yield item


def _blocks(body):
    return [
        block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]
    ]


def _signed_parts(body):
    parts = [part for turn in body["contents"] for part in turn["parts"]]
    return [part for part in parts if part.get("thoughtSignature", "skip_").startswith("skip_") is False]


_REPLAYED = {
    "openai-chat": lambda body: [],
    "openai-responses": lambda body: list(_items(body)),
    "anthropic": lambda body: [block for block in _blocks(body) if "thinking" in block["type"]],
    "gemini": _signed_parts,
    "bedrock-converse": lambda body: [block for block in _blocks(body) if "reasoningContent" in block],
    "mistral": lambda body: [block for block in _blocks(body) if block["type"] == "thinking"],
    "cohere": lambda body: [message["tool_plan"] for message in body["messages"] if "tool_plan" in message],
}
