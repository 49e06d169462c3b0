"""What the sides of benchmarks/integrations.py share: a provider without latency, the clock, and the loop of rounds."""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from array import array
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from orchestra import Fleet, Orchestra
from orchestra.testing import ScriptedModel

CALLS = 50
ASKED = "Does it rain in Oslo?"
SAID = "No"  # so short that no framework's fake streams it in more pieces than the provider does
CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "small"}
PIECES = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": SAID}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}},
]
BODY = b"".join(b"data: " + json.dumps(CHUNK | piece).encode() + b"\n\n" for piece in PIECES) + b"data: [DONE]\n\n"

COLD = "app.complete alone, 4 MB read before"
OTHER = bytearray(1 << 22)  # more than a core's own caches hold
PLACES = array("i", random.Random(0).sample(range(0, len(OTHER), 64), len(OTHER) // 64))

Call: TypeAlias = Callable[[], Awaitable[Any]]


class Canned:
    """A provider without latency that writes the same reply to every request; it is transport and response."""

    status = 200
    headers: Mapping[str, str] = {"content-type": "text/event-stream"}  # nobody changes it

    async def send(self, request: object) -> Canned:  # noqa: ARG002  # every request is answered alike
        """The reply."""
        return self

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes, at once."""
        yield BODY

    async def aclose(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def canned_app() -> AsyncIterator[Orchestra]:
    """An app on that provider; its ledger keeps nothing where the command line says `unrecorded`."""
    fleet = Fleet.from_cards([ScriptedModel("small", ()).card()])
    with tempfile.TemporaryDirectory() as folder:
        ledger = None if "unrecorded" in sys.argv else Path(folder) / "l.db"
        async with Orchestra(fleet, transport=Canned(), ledger=ledger) as app:
            yield app


async def rounds(app: Orchestra, pairs: Mapping[str, tuple[Call, Call]]) -> None:
    """For every line that comes in, as JSON: milliseconds of CPU a call with ours and with the fake.

    Two rows stand without the framework: `complete` itself, and `complete` after other memory was used.
    """

    async def complete() -> None:
        await app.complete(ASKED, step="rain")

    async def round_of() -> dict[str, list[float]]:
        taken = {name: [await _cost(call) for call in pair] for name, pair in pairs.items()}
        return taken | {"app.complete alone": [await _cost(complete), 0.0], COLD: [await _cost(complete, _use), 0.0]}

    for _ in range(2):
        await round_of()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(await round_of()), flush=True)


async def _cost(call: Call, before: Callable[[], None] = lambda: None) -> float:
    taken = 0.0
    for _ in range(CALLS):
        before()
        began = time.process_time()
        await call()
        taken += time.process_time() - began
    return taken * 1e3 / CALLS


def _use() -> None:
    deque(map(OTHER.__getitem__, PLACES), maxlen=0)
