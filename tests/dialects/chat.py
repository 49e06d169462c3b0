"""What the tests of openai-chat share: a card, requests, and streams written by hand."""

import json

from orchestra.dialects import codec
from orchestra.types import Capabilities, Message, ModelCard, ReasoningDelta, Request, TextDelta, ToolSpec

CODEC = codec("openai-chat")
ROWS = ToolSpec(
    "rows",
    "Run one SELECT",
    {"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"]},
)
NOW = ToolSpec("now", "The time", {"type": "object", "properties": {}})


def card(**changes):
    capabilities = changes.pop("capabilities", {})
    fields = {"provider": "acme", "dialect": "openai-chat", "tier": "efficient", "model": "m-1"} | changes
    return ModelCard("mine", capabilities=Capabilities(**capabilities), **fields)


def request(*messages, **fields):
    return Request(messages or (Message.user("hi"),), **fields)


MINE = card()


def encoded(*messages, card=MINE, **fields):
    return CODEC.encode(request(*messages, **fields), card)


def body(*messages, card=MINE, **fields):
    return json.loads(encoded(*messages, card=card, **fields).body)


def chunk(delta=None, finish=None, **fields):
    return {"model": "m-1-0613", "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}]} | fields


def call(index, id=None, name=None, arguments=None):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    found = {"index": index, "id": id, "function": function}
    return {"tool_calls": [{key: value for key, value in found.items() if value is not None}]}


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


def shown(deltas):
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def thought(deltas):
    return "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))
