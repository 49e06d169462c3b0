"""Replies to be broken: what the fake provider writes in each dialect for anything a model may say."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

from orchestra.dialects import CODECS, Encoded
from orchestra.dialects.aws_events import AwsEventStream
from orchestra.dialects.loose import parse_object
from orchestra.dialects.sse import EventStream, ServerEvent
from orchestra.testing import CallTool, NoEnd, Say
from orchestra.testing.bedrock_wire import event, exception
from orchestra.testing.wire import Exchange
from orchestra.testing.wires import WIRES
from orchestra.types import Capabilities, Message, ModelCard, Request, ToolSpec

DIALECTS = tuple(WIRES)
TEXTS = (
    "",
    "a",
    "Forty-two.",
    "Åse: »天«  \n\n e\u0301 🙂",
    '{"a": [1, "}"]}',
    "data: [DONE]\n\n",
    "x" * 300,
    "\u2028\x00\\u",
)
TOOLS = (
    ToolSpec("rows", "", {"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"]}),
    ToolSpec("now", "", {"type": "object", "properties": {}}),
    ToolSpec("shop.cart", "", {"anyOf": [{"properties": {"n": {"type": "integer"}}}, {"required": ["m"]}]}),
)


@dataclass(frozen=True)
class Reply:
    """One streamed reply: the request it answers, its events, and how many of them are content, before the end.

    `whole` is the same not streamed. `sound`: its provider does not say of it that something went wrong.
    """

    dialect: str
    encoded: Encoded
    events: tuple[ServerEvent, ...]
    content: int
    whole: bytes
    sound: bool

    def spelled(self, events: tuple[ServerEvent, ...] | list[ServerEvent] | None = None) -> bytes:
        """The bytes of these events; of its own where none are given."""
        return b"".join(spelled(self.dialect, each) for each in (self.events if events is None else events))


def reply(dialect: str, draw: random.Random) -> Reply:
    """Any reply in a dialect."""
    kind = draw.choice(("native", "native", "native", "json", "structured"))
    encoded, body = _asked(dialect, kind)
    path = unquote(encoded.path.partition("?")[0])
    exchange = Exchange(WIRES[dialect], path, body)
    say = _said(draw, kind)
    content = _events(dialect, b"".join(each for each in exchange.play(NoEnd(say)) if isinstance(each, bytes)))
    events = _events(dialect, b"".join(each for each in exchange.play(say) if isinstance(each, bytes)))
    whole = exchange.wire.writer(say, path, body).whole(ended=True)
    sound = say.finish in (None, "length") and all(parse_object(call.text) is not None for call in say.calls)
    return Reply(dialect, encoded, events, len(content), json.dumps(whole).encode(), sound)


def spelled(dialect: str, one: ServerEvent) -> bytes:
    """An event as its dialect's streams frame it."""
    if dialect != "bedrock-converse":
        name = f"event: {one.name}\n" if one.name else ""
        return (name + "".join(f"data: {line}\n" for line in one.data.split("\n")) + "\n").encode()
    said: Any = json.loads(one.data)
    return event(one.name, said) if one.name != "error" else exception("InternalServerException", str(said))


def _events(dialect: str, data: bytes) -> tuple[ServerEvent, ...]:
    return tuple((AwsEventStream() if dialect == "bedrock-converse" else EventStream()).feed(data))


@cache
def _asked(dialect: str, kind: str) -> tuple[Encoded, Mapping[str, Any]]:
    card = ModelCard(
        name="mine",
        provider="acme",
        dialect=dialect,
        tier="efficient",
        model="m-1",
        capabilities=Capabilities(tools="json" if kind == "json" else "native", logprobs=True),
    )
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    tools = TOOLS if kind != "structured" else ()
    said = (Message.user("What now?"),)
    encoded = CODECS[dialect].encode(Request(said, tools, output_schema=None if tools else schema), card)
    return encoded, json.loads(encoded.body)


def _said(draw: random.Random, kind: str) -> Say:
    calls = tuple(_call(draw) for _ in range(draw.choice((0, 0, 1, 1, 2, 3)) if kind == "native" else 0))
    if kind == "json" and draw.random() < 0.5:
        calls = (_call(draw),)
    return Say(
        draw.choice(TEXTS),
        calls,
        reasoning=draw.choice(("", "", *TEXTS)),
        refusal="" if calls else draw.choice(("", "", "", "I will not.")),
        finish=draw.choice((None, None, None, "length", "content_filter", "other")),
        usage=draw.choice((None, (0, 0), (10, 3))),
        chunks=draw.randint(1, 6),
    )


def _call(draw: random.Random) -> CallTool:
    made = (
        CallTool("rows", sql=draw.choice(TEXTS)),
        CallTool("now"),
        CallTool.written("now", ""),
        CallTool("shop.cart", arguments={"n": draw.randint(-9, 9)}),
        CallTool.written("rows", '{"sql": "a'),
        CallTool.written("rows", '{"sql": 1e999}'),
        CallTool.written("rows", '{"sql": "a"}{"sql": "b"}'),
        CallTool("no_such_tool", x=[1.5, None, {"y": True}]),
    )
    return draw.choice(made)


def lanes(events: tuple[ServerEvent, ...]) -> Iterator[tuple[object, ServerEvent]]:
    """The events, each with the block of the reply that it is a piece of; None where it is of none."""
    for each in events:
        data = json.loads(each.data)
        for choice in data.get("choices", ()):
            calls = choice.get("delta", {}).get("tool_calls") or [{}]
            data = {"index": calls[0].get("index", "text")}
        found = (data[key] for key in ("output_index", "contentBlockIndex", "index") if key in data)
        yield next(found, None), each
