"""What the tests of mistral share: a card, requests, and streams written by hand."""

import json

from orchestra.dialects import codec
from orchestra.types import Capabilities, Message, ModelCard, Request, ToolSpec

CODEC = codec("mistral")
ROWS = ToolSpec(
    "rows",
    "Run one SELECT",
    {"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"]},
)
NOW = ToolSpec("now", "The time", {"type": "object", "properties": {}})


def card(**changes):
    capabilities = changes.pop("capabilities", {})
    fields = {"provider": "mistral", "dialect": "mistral", "tier": "efficient", "model": "m-1"} | changes
    return ModelCard("mine", capabilities=Capabilities(**capabilities), **fields)


MINE = card()


def encoded(*messages, card=MINE, **fields):
    return CODEC.encode(Request(messages or (Message.user("hi"),), **fields), card)


def body(*messages, card=MINE, **fields):
    return json.loads(encoded(*messages, card=card, **fields).body)


def chunk(delta=None, finish=None, **fields):
    return {"model": "m-1-2512", "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}]} | fields


def thought(text, **fields):
    return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}], **fields}]}


def calls(*found):
    return {"content": "", "tool_calls": list(found)}


def call(id, name, arguments, index=0):
    return {"id": id, "function": {"name": name, "arguments": arguments}, "index": index}


def stream(*chunks, done=True):
    frames = [f"data: {json.dumps(each)}\n\n" for each in chunks]
    return "".join([*frames, "data: [DONE]\n\n" if done else ""]).encode()


def read(data, asked=None, size=None):
    """The deltas and the reply (or fault) that a reader makes of these bytes, `size` at a time."""
    reader = CODEC.reader(asked or encoded(tools=(ROWS, NOW)))
    deltas = []
    for start in range(0, len(data), size or max(1, len(data))):
        deltas += reader.feed(data[start : start + (size or len(data))])
    return deltas, reader.close()
