"""What the tests of openai-responses share: a card, requests, and streams written by hand."""

import json

from orchestra.dialects import codec
from orchestra.types import Capabilities, Message, ModelCard, Origin, Request
from tests.dialects.chat import NOW, ROWS, shown, thought

__all__ = ["CODEC", "NOW", "ORIGIN", "ROWS", "body", "card", "encoded", "read", "request", "shown", "stream", "thought"]

CODEC = codec("openai-responses")
ORIGIN = Origin("acme", "openai-responses", "m-1")


def card(**changes):
    capabilities = changes.pop("capabilities", {})
    fields = {"provider": "acme", "dialect": "openai-responses", "tier": "efficient", "model": "m-1"} | changes
    return ModelCard("mine", capabilities=Capabilities(**capabilities), **fields)


def request(*messages, **fields):
    return Request(messages or (Message.user("hi"),), **fields)


MINE = card()


def encoded(*messages, card=MINE, **fields):
    return CODEC.encode(request(*messages, **fields), card)


def body(*messages, card=MINE, **fields):
    return json.loads(encoded(*messages, card=card, **fields).body)


def stream(*events):
    return b"".join(f"event: {each.get('type')}\ndata: {json.dumps(each)}\n\n".encode() for each in events)


def added(index, item):
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index, item):
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(kind, index, piece, **fields):
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": piece} | fields


def end(status="completed", **fields):
    response = {"model": "m-1-0613", "status": status} | fields
    return {"type": f"response.{status}", "response": response}


def message(text, id="msg_1", **fields):
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": id, "role": "assistant", "status": "completed", "content": content} | fields


def call(call_id, name, arguments, id="fc_1", **fields):
    item = {"type": "function_call", "id": id, "call_id": call_id, "name": name, "arguments": arguments}
    return item | {"status": "completed"} | fields


def reasoning(*summary, id="rs_1", sealed="c2VhbGVk+/=", **fields):
    texts = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": id, "summary": texts, "encrypted_content": sealed} | fields


def read(data, asked=None, size=None):
    """The deltas and the reply (or fault) that a reader makes of these bytes, `size` at a time."""
    reader = CODEC.reader(asked or encoded(tools=(ROWS, NOW)))
    deltas = []
    for start in range(0, len(data), size or max(1, len(data))):
        deltas += reader.feed(data[start : start + (size or len(data))])
    return deltas, reader.close()
