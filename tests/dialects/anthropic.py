"""What the tests of anthropic share: a card, requests, and streams written by hand."""

import json

from orchestra.dialects import codec
from orchestra.types import Capabilities, Message, ModelCard, ReasoningDelta, Request, TextDelta, ToolSpec

CODEC = codec("anthropic")
ROWS = ToolSpec(
    "rows",
    "Run one SELECT",
    {"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"]},
)
NOW = ToolSpec("now", "The time", {"type": "object", "properties": {}})
MARK = {"cache_control": {"type": "ephemeral"}}


def card(model="claude-sonnet-4-5", **changes):
    capabilities = {"images": True, "documents": True, "reasoning_effort": True} | changes.pop("capabilities", {})
    fields = {"provider": "anthropic", "dialect": "anthropic", "tier": "capable", "max_output": 8000} | changes
    return ModelCard("mine", model, capabilities=Capabilities(**capabilities), **fields)


MINE = card()


def encoded(*messages, card=MINE, **fields):
    return CODEC.encode(Request(messages or (Message.user("hi"),), **fields), card)


def body(*messages, card=MINE, **fields):
    return json.loads(encoded(*messages, card=card, **fields).body)


def unmarked(value):
    """The value without its marks for the cache."""
    if isinstance(value, list):
        return [unmarked(each) for each in value]
    if isinstance(value, dict):
        return {key: unmarked(each) for key, each in value.items() if key != "cache_control"}
    return value


def turns(*messages, **fields):
    return unmarked(body(*messages, **fields)["messages"])


def event(kind, **fields):
    return {"type": kind} | fields


def start(model="claude-sonnet-4-5-20250929", **usage):
    return event("message_start", message={"model": model, "content": [], "usage": usage})


def block(index, kind, *deltas, **fields):
    """A content block in events: `deltas` are (type, field, piece)."""
    pieces = [
        event("content_block_delta", index=index, delta={"type": kind, field: piece}) for kind, field, piece in deltas
    ]
    began = event("content_block_start", index=index, content_block={"type": kind} | fields)
    return [began, *pieces, event("content_block_stop", index=index)]


def text(index, *pieces):
    return block(index, "text", *(("text_delta", "text", piece) for piece in pieces), text="")


def call(index, identity, name, *pieces):
    deltas = [("input_json_delta", "partial_json", piece) for piece in pieces]
    return block(index, "tool_use", *deltas, id=identity, name=name, input={})


def stop(reason="end_turn", usage=None, **fields):
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None} | fields, usage=usage or {})


END = event("message_stop")


def stream(*events, end=True):
    """Events, or lists of them, as bytes."""
    flat = [one for each in events for one in (each if isinstance(each, list) else [each])]
    frames = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in [*flat, *([END] if end else [])]]
    return "".join(frames).encode()


def read(data, asked=None, size=None):
    """The deltas and the reply (or fault) that a reader makes of these bytes, `size` at a time."""
    reader = CODEC.reader(asked or encoded(tools=(ROWS, NOW)))
    deltas = []
    for begin in range(0, len(data), size or max(1, len(data))):
        deltas += reader.feed(data[begin : begin + (size or len(data))])
    return deltas, reader.close()


def shown(deltas):
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def thought(deltas):
    return "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))


def signed_reply():
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln+/="},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "c1", "name": "rows", "input": {"sql": "1"}, "caller": {"type": "direct"}},
    ]
    data = json.dumps({"content": content, "stop_reason": "tool_use"}).encode()
    return Message("assistant", CODEC.decode(encoded(tools=(ROWS,)), data).parts)
