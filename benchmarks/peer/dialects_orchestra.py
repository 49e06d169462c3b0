"""Orchestra's side of benchmarks/dialects.py; a line in, microseconds of CPU per call out.

dialects_orchestra.py dialects                        the dialects there are
dialects_orchestra.py data FILE                       writes the chat and its replies for the peers
dialects_orchestra.py codec (chat|stream) DIALECT     a codec alone
dialects_orchestra.py (client|httpx) (chat|stream) FILE   our codec through httpx, and httpx without it
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from orchestra.dialects import CODECS, Encoded
from orchestra.testing import CallTool, Say
from orchestra.testing.wires import WIRES
from orchestra.types import (
    Message,
    ModelCard,
    ModelReply,
    Origin,
    Request,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)

NUMBER = 20
CHUNKS = 51
ADDRESS = "http://memory.invalid/v1"
CALL = CallTool("tool_3", query="SELECT region, SUM(amount) FROM sales GROUP BY region", limit=20)
TOOLS = tuple(
    ToolSpec(
        f"tool_{number}",
        "Run one query against the sales database and get its rows.",
        {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "a single SELECT statement"},
                "limit": {"type": "integer", "minimum": 1, "description": "rows at most"},
                "format": {"type": "string", "enum": ["rows", "columns"]},
            },
            "required": ["query"],
            "additionalProperties": False,
        },
    )
    for number in range(10)
)


def request(dialect: str) -> Request:
    """Ten messages: a system prompt, three turns that call a tool, and a question."""
    origin = Origin("acme", dialect, "m-1")
    messages = [Message.system("You answer questions about sales. " * 10)]
    for turn in range(3):
        call = ToolCall(f"c{turn}", f"tool_{turn}", {"query": "SELECT 1", "limit": 5}, origin=origin)
        result = ToolResult(call.id, call.name, (Text('[{"region": "north", "amount": 12.5}]' * 5),))
        messages += [
            Message.user(f"And the region {turn}? " * 5),
            Message("assistant", (Text("Let me look.", origin=origin), call)),
            Message("tool", (result,)),
        ]
    return Request(tuple(messages), TOOLS)


def spoken(dialect: str) -> tuple[Encoded, bytes, list[bytes]]:
    """A request as encoded, its reply whole, and a reply in chunks."""
    encoded = _encoded(dialect)
    path, body = unquote(encoded.path.partition("?")[0]), json.loads(encoded.body)
    whole = WIRES[dialect].writer(Say("Let me look.", (CALL,)), path, body).whole(ended=True)
    words = "The north sold most of all regions. " * 10
    number = next(n for n in range(1, 99) if len(_chunks(dialect, words, n, path, body)) >= CHUNKS)
    return encoded, json.dumps(whole).encode(), _chunks(dialect, words, number, path, body)


def _chunks(dialect: str, words: str, number: int, path: str, body: dict[str, object]) -> list[bytes]:
    writer = WIRES[dialect].writer(Say(words, chunks=number), path, body)
    return [*writer.chunks(), *writer.end()]


def _encoded(dialect: str) -> Encoded:
    card = ModelCard("mine", provider="acme", dialect=dialect, tier="efficient", model="m-1")
    return CODECS[dialect].encode(request(dialect), card)


def codec_alone(kind: str, dialect: str) -> Callable[[], object]:
    """Encode and decode, or read a stream."""
    codec, (encoded, whole, chunks) = CODECS[dialect], spoken(dialect)
    asked, card = request(dialect), encoded.card
    assert card

    def chat() -> object:
        return codec.decode(codec.encode(asked, card), whole)

    def stream() -> object:
        reader = codec.reader(encoded)
        for chunk in chunks:
            reader.feed(chunk)
        return reader.close()

    work = chat if kind == "chat" else stream
    assert isinstance(work(), ModelReply), work()
    return work


def through_httpx(kind: str, file: str, *, ours: bool) -> Callable[[], object]:
    """The same with an HTTP client around it that answers from memory; without ours, JSON in and JSON out."""
    import httpx

    data = json.loads(Path(file).read_text("utf-8"))
    whole, chunks = data["whole"].encode(), [chunk.encode() for chunk in data["chunks"]]
    client = httpx.Client(transport=httpx.MockTransport(lambda _: _response(httpx, kind, whole, chunks)))
    codec, asked, card = CODECS["openai-chat"], request("openai-chat"), _encoded("openai-chat").card
    assert card

    def call() -> object:
        encoded = codec.encode(asked, card)
        with client.stream("POST", ADDRESS + encoded.path, content=encoded.body) as response:
            if kind == "chat":
                return codec.decode(encoded, response.read())
            reader = codec.reader(encoded)
            for chunk in response.iter_raw():
                reader.feed(chunk)
            return reader.close()

    def bare() -> object:
        with client.stream("POST", ADDRESS + "/chat/completions", json=data["body"]) as response:
            if kind == "chat":
                return json.loads(response.read())
            return [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: {")]

    if not ours:
        return bare
    assert isinstance(call(), ModelReply)
    return call


def _response(httpx: Any, kind: str, whole: bytes, chunks: list[bytes]) -> Any:
    return httpx.Response(200, content=whole if kind == "chat" else iter(chunks))


def write(file: str) -> None:
    """What the peers are given: the body as we send it, and the bytes that come back."""
    encoded, whole, chunks = spoken("openai-chat")
    said = {"body": json.loads(encoded.body), "whole": whole.decode(), "chunks": [chunk.decode() for chunk in chunks]}
    Path(file).write_text(json.dumps(said), "utf-8")


def timed(work: Callable[[], object]) -> None:
    """CPU of a call for every line that comes in."""
    for _ in range(NUMBER):
        work()
    print("ready", flush=True)
    for _ in sys.stdin:
        before = time.process_time()
        for _ in range(NUMBER):
            work()
        print((time.process_time() - before) * 1e6 / NUMBER, flush=True)


def main(what: str, *options: str) -> None:
    """Dispatch on the subcommand."""
    if what == "dialects":
        print(*CODECS)
    elif what == "data":
        write(*options)
    elif what == "codec":
        timed(codec_alone(*options))
    else:
        timed(through_httpx(*options, ours=what == "client"))


if __name__ == "__main__":
    main(*sys.argv[1:])
