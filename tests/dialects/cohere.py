"""What the tests of cohere share: a card, requests, and streams written by hand."""

import json

from orchestra.dialects import codec
from orchestra.types import Capabilities, Message, ModelCard, Request, ToolSpec

CODEC = codec("cohere")
ROWS = ToolSpec(
    "rows",
    "Run one SELECT",
    {"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"]},
)
NOW = ToolSpec("now", "The time", {"type": "object", "properties": {}})


def card(**changes):
    capabilities = changes.pop("capabilities", {})
    fields = {"provider": "cohere", "dialect": "cohere", "tier": "efficient", "model": "c-1"} | changes
    return ModelCard("mine", capabilities=Capabilities(**capabilities), **fields)


MINE = card()


def encoded(*messages, card=MINE, **fields):
    return CODEC.encode(Request(messages or (Message.user("hi"),), **fields), card)


def body(*messages, card=MINE, **fields):
    return json.loads(encoded(*messages, card=card, **fields).body)


def event(kind, index=None, **message):
    placed = {} if index is None else {"index": index}
    return {"type": kind, **placed, "delta": {"message": message}}


def content(index, **fields):
    return event("content-delta", index, content=fields)


def started(index, id, name, arguments=""):
    function = {"name": name, "arguments": arguments}
    return event("tool-call-start", index, tool_calls={"id": id, "type": "function", "function": function})


def written(index, arguments):
    return event("tool-call-delta", index, tool_calls={"function": {"arguments": arguments}})


def ended(reason="COMPLETE", **fields):
    return {"type": "message-end", "delta": {"finish_reason": reason} | fields}


def stream(*events):
    return "".join(f"event: {each.get('type', '')}\ndata: {json.dumps(each)}\n\n" for each in events).encode()


def read(data, asked=None, size=None):
    """The deltas and the reply (or fault) that a reader makes of these bytes, `size` at a time."""
    reader = CODEC.reader(asked or encoded(tools=(ROWS, NOW)))
    deltas = []
    for start in range(0, len(data), size or max(1, len(data))):
        deltas += reader.feed(data[start : start + (size or len(data))])
    return deltas, reader.close()
