"""The least that a call of benchmarks/dispatch.py can be, in one straight line.

dispatch_least.py URL     see crowd.py

The same request, the same reply read from the same stream, rows that say the same in a file of the same tables,
written before the request and after the reply by all that wait, one deadline, one sum of what was spent.
Nothing is decided, translated, checked, limited, repeated or learnt, and every failure is an assertion.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import secrets
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
from crowd import rounds
from dispatch_orchestra import QUESTION

from orchestra.ledger.schema import connect
from orchestra.transport import AiohttpTransport, WireRequest, WireResponse

SECRET = re.compile(r"sk-\w{20}|AKIA|eyJ|password|secret=|Bearer ")
TODAY = time.strftime("%Y-%m-%d")
UNUSED = {"cached_input": 0, "reasoning": 0, "cache_write": 0}
INSERT = "INSERT INTO events (run, step, time, type, data) VALUES (?, ?, ?, ?, ?)"
HEADERS = (("content-type", "application/json"), ("accept", "text/event-stream"))
ASKED = {"model": "m-1", "stream": True, "stream_options": {"include_usage": True}}
DECIDED = {
    "context": {"step": {"id": "answer", "kind": "answer", "name": "answer"}, "tokens": 11},
    "decision": {
        "model": "m",
        "tier": "efficient",
        "mode": "balanced",
        "quality": 0.7,
        "cost": 0.002571,
        "latency": 8.538833333333333,
        "reasons": [{"policy": "mode", "text": "balanced: score -0.2810 from quality 0.70, $0.002571, 8.5 s"}],
        "candidates": {"card": ["jT_FyRo-"], "cost": [0.002571], "latency": [8.538833], "score": [-0.2809969]},
    },
    "policies": "aa4e6f853569f167",
}
STARTED = {"turn": 0, "rung": 0, "degraded": False, "notes": ["logprobs left out: m has no such setting"]}
STARTED |= {"key": "", "place": ""}


class Rows:
    """Rows that wait for the end of an event loop's turn, and their file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._held: list[tuple[str, str, float, str, str]] = []

    def hold(self, run: str, step: str, kind: str, data: dict[str, Any]) -> None:
        """One row more; it may not hold what looks like a secret."""
        text = orjson.dumps(data).decode()
        assert not SECRET.search(text), text
        self._held.append((run, step, time.time(), kind, text))

    async def write(self) -> None:
        """Everything held, in one transaction for all who wait."""
        held = self._held
        await asyncio.sleep(0)
        if self._held is held:
            self._held = []
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(INSERT, held)
            self._db.execute("COMMIT")


class Spent:
    """USD."""

    usd = 0.0


async def call(transport: AiohttpTransport, url: str, rows: Rows, spent: Spent) -> str:
    """One call: what the model said."""
    began, run, attempt = time.perf_counter(), secrets.token_hex(8), {"attempt": secrets.token_hex(6), "model": "m"}
    async with asyncio.timeout(600):
        rows.hold(run, "", "run_started", {"agent": "complete", "fleet": "242096b193e3b723", "mode": "balanced"})
        seen = {"deadline": 600 - (time.perf_counter() - began), "signals": {"today": TODAY}, "draw": random.random()}
        rows.hold(run, "answer", "decided", DECIDED | {"context": DECIDED["context"] | seen})
        rows.hold(run, "answer", "attempt_started", attempt | STARTED | {"call": secrets.token_hex(6)})
        await rows.write()
        body = orjson.dumps(ASKED | {"messages": [{"role": "user", "content": QUESTION}]})
        response = await transport.send(WireRequest(url, HEADERS, body))
        said, first = await read(response)
        spent.usd += (cost := (said["usage"]["input"] * 1.0 + said["usage"]["output"] * 5.0) / 1e6)
        took: dict[str, Any] = {"seconds": time.perf_counter() - began, "first_token": first - began}
        took["cost"] = {"usd": cost, "estimated": False}
        text = said.pop("text")
        rows.hold(run, "answer", "attempt_ended", attempt | said | took | {"status": 200, "sent": "yes"})
        rows.hold(run, "answer", "verdict", attempt | {"evidence": [], "mended": [], "reason": ""})
        rows.hold(run, "", "run_ended", {"state": "done", "seconds": time.perf_counter() - began, "reason": ""})
        await rows.write()
    return text


async def read(response: WireResponse) -> tuple[dict[str, Any], float]:
    """What the stream says: text, finish, model, usage, and the text's digest; and when it began to speak."""
    assert response.status == 200
    said: dict[str, Any] = {"text": ""}
    unread, first = b"", 0.0
    async for chunk in response.chunks():
        *events, unread = (unread + chunk).split(b"\n\n")
        for event in events:
            if event != b"data: [DONE]":
                _add(said, orjson.loads(event[len(b"data: ") :]))
        first = first or (time.perf_counter() if said["text"] else 0.0)
    await response.aclose()
    assert said["text"]
    assert said["finish"] == "stop"
    return said | {"raw_sha256": hashlib.sha256(said["text"].encode()).hexdigest()}, first


def _add(said: dict[str, Any], event: dict[str, Any]) -> None:
    said["wire_model"] = event["model"]
    for choice in event["choices"]:
        said["text"] += choice["delta"].get("content", "")
        said["finish"] = choice["finish_reason"]
    if usage := event.get("usage"):
        said["usage"] = {"input": usage["prompt_tokens"], "output": usage["completion_tokens"], **UNUSED}


async def main(url: str) -> None:
    """Rounds, until standard input ends."""
    transport, spent = AiohttpTransport(), Spent()
    with tempfile.TemporaryDirectory() as folder:
        rows = Rows(connect(Path(folder) / "ledger.db"))
        await rounds(lambda: call(transport, f"{url}/chat/completions", rows, spent))
    await transport.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
