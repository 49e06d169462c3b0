import json

import pytest

from orchestra.checks import Expect, judge, mend_calls
from orchestra.dialects import CODECS
from orchestra.dialects.loose import Written, json_text, parse, parse_object, scalars, written
from orchestra.testing import CallTool
from orchestra.testing.wire import Exchange
from orchestra.testing.wires import wire
from orchestra.types import CallFault, Capabilities, Message, ModelCard, Request, ToolSpec, Trigger, to_json

NESTED = ToolSpec(
    "nest",
    "Nests.",
    {
        "type": "object",
        "properties": {"inner": {"$ref": "#"}, "note": {"type": "string"}},
        "additionalProperties": False,
    },
)


def nested(levels: int) -> str:
    return '{"inner":' * (levels - 1) + '{"note":"x"}' + "}" * (levels - 1)


def replied(dialect: str, arguments: str, *, stream: bool, json_tools: bool):
    """What a codec makes of a reply that calls the tool with these arguments."""
    can = Capabilities(streaming=stream, tools="json" if json_tools else "native")
    card = ModelCard("m", "m", "p", dialect, "capable", capabilities=can)
    codec = CODECS[dialect]
    encoded = codec.encode(Request((Message.user("q"),), tools=(NESTED,)), card)
    exchange = Exchange(wire(dialect), encoded.path, json.loads(encoded.body))
    _, *pieces = exchange.play(CallTool.written("nest", arguments))
    if not stream:
        return codec.decode(encoded, b"".join(pieces))
    reader = codec.reader(encoded)
    for piece in pieces:
        if isinstance(got := reader.feed(piece), CallFault):
            return got
    return reader.close()


def trigger(reply) -> Trigger | None:
    if isinstance(reply, CallFault):
        return reply.trigger
    expect = Expect(tools=(NESTED,))
    return judge(mend_calls(reply, expect), expect).trigger


@pytest.mark.parametrize("json_tools", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", CODECS)
def test_arguments_that_nest_without_end_are_refused_before_anything_walks_them(dialect, stream, json_tools):
    for levels in (66, 120, 500, 3000):
        reply = replied(dialect, nested(levels), stream=stream, json_tools=json_tools)
        assert trigger(reply) is Trigger.malformed_args, levels
        if not isinstance(reply, CallFault):
            assert all(call.arguments is None for call in reply.tool_calls)
            assert to_json(reply)


@pytest.mark.parametrize("json_tools", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", CODECS)
def test_arguments_of_sixty_levels_are_read(dialect, stream, json_tools):
    reply = replied(dialect, nested(60), stream=stream, json_tools=json_tools)
    (call,) = reply.tool_calls
    assert call.arguments == json.loads(nested(60))
    assert trigger(reply) is None


def test_brackets_in_a_text_are_no_levels():
    assert parse_object(json.dumps({"text": "[{" * 500})) == {"text": "[{" * 500}
    assert parse_object(json.dumps({"many": [{}] * 500})) is not None


def test_a_body_may_be_deeper_than_arguments_but_not_endless():
    assert parse("[" * 128 + "1" + "]" * 128)
    for levels in (129, 100_000):
        with pytest.raises(ValueError, match="too deeply"):
            parse("[" * levels + "1" + "]" * levels)


FIXED = Written([{"name": "ü", "tools": []}, 2**70])


@pytest.mark.parametrize(
    "value",
    [
        {"tools": FIXED},
        {"model": "m", "tools": FIXED},
        {"tools": FIXED, "stream": True},
        {"model": "\ud83d", 'to"ols': FIXED, "stream": True},
        {"first": FIXED, "second": FIXED},
        {"within": {"tools": FIXED}, "none": Written()},
        FIXED,
    ],
)
def test_what_is_written_once_stands_where_it_was_put(value):
    assert written(value) == scalars(json_text(value)).encode()


@pytest.mark.parametrize("dialect", CODECS)
def test_tools_are_declared_by_every_request_as_by_the_first(dialect):
    card = ModelCard("m", "m", "p", dialect, "capable")
    request = Request((Message.user("q"),), tools=(NESTED,))
    first, second = (CODECS[dialect].encode(request, card).body for _ in range(2))
    assert first == second
    assert b"Nests." in first
