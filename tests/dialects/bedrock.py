"""What the tests of bedrock-converse share: a card, requests, and streams written by hand."""

import json

from orchestra.dialects import codec
from orchestra.testing.bedrock_wire import event
from orchestra.types import (
    Capabilities,
    Message,
    ModelCard,
    ModelReply,
    Origin,
    Reasoning,
    ReasoningDelta,
    Request,
    Text,
    TextDelta,
    ToolCall,
    ToolSpec,
    Usage,
)

CODEC = codec("bedrock-converse")
ROWS = ToolSpec(
    "rows",
    "Run one SELECT",
    {"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"]},
)
NOW = ToolSpec("now", "The time", {"type": "object", "properties": {}})
MODEL = "anthropic.claude-x-v1:0"


def card(**changes):
    capabilities = {"images": True, "documents": True, "reasoning_effort": True} | changes.pop("capabilities", {})
    fields = {"provider": "bedrock", "dialect": "bedrock-converse", "tier": "efficient", "model": MODEL} | changes
    return ModelCard("mine", capabilities=Capabilities(**capabilities), **fields)


MINE = card()


def encoded(*messages, card=MINE, **fields):
    return CODEC.encode(Request(messages or (Message.user("hi"),), **fields), card)


def body(*messages, card=MINE, **fields):
    return json.loads(encoded(*messages, card=card, **fields).body)


def start(index, id, name, **fields):
    said = {"toolUse": {"toolUseId": id, "name": name} | fields}
    return event("contentBlockStart", {"contentBlockIndex": index, "start": said})


def delta(index, **said):
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": said})


def end(reason="end_turn", **usage):
    said = event("messageStop", {"stopReason": reason})
    return said + event("metadata", {"usage": usage, "metrics": {"latencyMs": 3}}) if usage else said


def read(data, asked=None, size=None):
    """The deltas and the reply (or fault) that a reader makes of these bytes, `size` at a time."""
    reader = CODEC.reader(asked or encoded(tools=(ROWS, NOW)))
    deltas = []
    for place in range(0, len(data), size or max(1, len(data))):
        deltas += reader.feed(data[place : place + (size or len(data))])
    return deltas, reader.close()


def shown(deltas):
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def thought(deltas):
    return "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))


ORIGIN = Origin("bedrock", "bedrock-converse", MODEL)
ASKED = encoded(tools=(ROWS, NOW))
COUNTS = {"inputTokens": 5, "outputTokens": 7, "cacheReadInputTokens": 4, "cacheWriteInputTokens": 2, "totalTokens": 18}
EVENTS = [
    event("messageStart", {"role": "assistant"}),
    delta(0, reasoningContent={"text": "hm "}),
    delta(0, reasoningContent={"text": "so"}),
    delta(0, reasoningContent={"signature": "c2ln"}),
    delta(0, reasoningContent={"signature": "bmVk"}),
    event("contentBlockStop", {"contentBlockIndex": 0}),
    delta(1, reasoningContent={"redactedContent": "c2VjcmV0"}),
    delta(2, text="Größe 😀"),
    start(3, "c1", "rows"),
    start(4, "c2", "now"),
    delta(3, toolUse={"input": '{"sql": "ü'}),
    delta(2, text=" ja"),
    delta(4, toolUse={"input": ""}),
    delta(3, toolUse={"input": '"}'}),
    event("somethingNew", {"contentBlockIndex": 3, "delta": {"text": "?"}}),
    end("tool_use", **COUNTS),
]
FULL = b"".join(EVENTS)
REPLY = ModelReply(
    (
        Reasoning("hm so", ORIGIN, '{"signature": "c2lnbmVk"}'),
        Reasoning("", ORIGIN, '{"redactedContent": "c2VjcmV0"}'),
        Text("Größe 😀 ja", ORIGIN),
        ToolCall("c1", "rows", {"sql": "ü"}, '{"sql": "ü"}', ORIGIN),
        ToolCall("c2", "now", {}, "", ORIGIN),
    ),
    "tool_calls",
    Usage(input=11, output=7, cached_input=4, cache_write=2),
    None,
    raw='Größe 😀 ja\nrows({"sql": "ü"})\nnow()',
)
