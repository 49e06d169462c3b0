"""What the tests of gemini share: cards, requests, and streams written by hand."""

import json

from orchestra.dialects import codec
from orchestra.types import Capabilities, Message, ModelCard, Origin, Request
from tests.dialects.chat import NOW, ROWS, shown, thought

__all__ = [
    "CODEC",
    "NEW",
    "NOW",
    "OLD",
    "ROWS",
    "body",
    "card",
    "chunk",
    "encoded",
    "origin",
    "read",
    "shown",
    "stream",
]
__all__ += ["call", "thought", "turns"]

CODEC = codec("gemini")


def card(**changes):
    capabilities = changes.pop("capabilities", {})
    fields = {"provider": "google", "dialect": "gemini", "tier": "efficient", "model": "gemini-3-flash"} | changes
    return ModelCard("mine", capabilities=Capabilities(**capabilities), **fields)


NEW = card()
OLD = card(model="gemini-2.5-flash")


def origin(model="gemini-3-flash"):
    return Origin("google", "gemini", model)


def encoded(*messages, card=NEW, **fields):
    return CODEC.encode(Request(messages or (Message.user("hi"),), **fields), card)


def body(*messages, card=NEW, **fields):
    return json.loads(encoded(*messages, card=card, **fields).body)


def turns(*messages, card=NEW, **fields):
    return body(*messages, card=card, **fields)["contents"]


def chunk(*parts, finish=None, **fields):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    candidate |= {"finishReason": finish} if finish else {}
    return {"candidates": [candidate | fields.pop("candidate", {})], "modelVersion": "gemini-3-flash-001"} | fields


def call(name, signature=None, **function):
    part = {"functionCall": {"name": name} | function}
    return part | ({"thoughtSignature": signature} if signature else {})


def stream(*chunks):
    return b"".join(b"data: " + json.dumps(each).encode() + b"\r\n\r\n" for each in chunks)


def read(data, asked=None, size=None):
    """The deltas and the reply (or fault) that a reader makes of these bytes, `size` at a time."""
    reader = CODEC.reader(asked or encoded(tools=(ROWS, NOW)))
    deltas = []
    for start in range(0, len(data), size or max(1, len(data))):
        deltas += reader.feed(data[start : start + (size or len(data))])
    return deltas, reader.close()
