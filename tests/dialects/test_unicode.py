"""Halves of surrogate pairs, which no UTF-8 has: neither a history nor a reply may hold one that breaks a request."""

import json
from dataclasses import replace

import pytest

from orchestra.dialects import CODECS
from orchestra.types import (
    Message,
    ModelReply,
    Origin,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    to_json,
)
from tests.dialects.history_replies import MODELS, Spoken, card, reply_body

HALF = "a\ud83d"
TOOL = ToolSpec(HALF, HALF, {"type": "object", "properties": {HALF: {"enum": [HALF], "description": HALF}}})


def history(origin, state):
    call = ToolCall(HALF, HALF, {HALF: HALF}, HALF, origin, state)
    said = (Reasoning(HALF, origin, state), Text(HALF, origin, state), call, replace(call, id="b", arguments=None))
    results = (ToolResult(HALF, HALF, (Text(HALF),)), ToolResult("b", HALF, (Text(HALF),), is_error=True))
    return Message.system(HALF), Message.user(HALF), Message("assistant", said), Message("tool", results)


@pytest.mark.parametrize("tools", ["native", "json"])
@pytest.mark.parametrize("state", [None, HALF, json.dumps({"id": HALF, "type": "thinking", "signature": HALF})])
@pytest.mark.parametrize("dialect", CODECS)
def test_a_history_with_half_a_character_anywhere_becomes_valid_utf_8(dialect, state, tools):
    asked = card(dialect, MODELS[dialect][0], tools=tools)
    messages = history(Origin(asked.provider, dialect, asked.model), state)
    encoded = CODECS[dialect].encode(Request(messages, (TOOL,), stop=(HALF,), extra={f"{dialect}.{HALF}": HALF}), asked)
    json.dumps(json.loads(encoded.body.decode()), ensure_ascii=False).encode()
    "".join((encoded.path, *encoded.notes)).encode("utf-8", "backslashreplace")


@pytest.mark.parametrize("dialect", CODECS)
def test_a_reply_with_half_a_character_anywhere_can_be_written_and_sent_back(dialect):
    asked, codec = card(dialect, MODELS[dialect][0]), CODECS[dialect]
    spoken = Spoken("QUJD", HALF, HALF, ((HALF, HALF, {"sql": "x"}),))
    encoded = codec.encode(Request((Message.user("hi"),), (TOOL,)), asked)
    reply = codec.decode(encoded, json.dumps(reply_body(dialect, asked.model, spoken)).encode())
    assert isinstance(reply, ModelReply)
    (call,) = reply.tool_calls
    json.dumps(to_json(reply), ensure_ascii=False).encode()
    back = (
        Message.user("hi"),
        Message("assistant", reply.parts),
        Message("tool", (ToolResult(call.id, call.name, ()),)),
    )
    codec.encode(Request(back, (TOOL,)), asked).body.decode()
