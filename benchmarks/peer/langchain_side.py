"""LangChain's side of benchmarks/integrations.py: the chat model beside LangChain's own fake.

A line in; out, as JSON, milliseconds of CPU a call with ours and with the fake, by what was called.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage

from orchestra import Fleet, Orchestra
from orchestra.testing import ScriptedModel

CALLS = 50
ONE = [HumanMessage("How much does it rain in Oslo?")]
TEN = [message for _ in range(5) for message in (*ONE, AIMessage("A lot."))][:-1]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": f"tool_{number}",
            "description": "Looks something up.",
            "parameters": {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]},
        },
    }
    for number in range(10)
]
CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "small"}
PIECES = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "A lot."}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}},
]
BODY = b"".join(b"data: " + json.dumps(CHUNK | piece).encode() + b"\n\n" for piece in PIECES) + b"data: [DONE]\n\n"


class Canned:
    """A provider without latency that writes the same reply to every request; it is transport and response."""

    status = 200
    headers: Mapping[str, str] = {"content-type": "text/event-stream"}  # nobody changes it

    async def send(self, _: object) -> Canned:
        """The reply."""
        return self

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes, at once."""
        yield BODY

    async def aclose(self) -> None:
        """Nothing is open."""


async def streamed(model: Any, messages: Any) -> None:
    """One streamed call, read to its end."""
    async for _ in model.astream(messages):
        pass


async def cost(call: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds of CPU a call."""
    before = time.process_time()
    for _ in range(CALLS):
        await call()
    return (time.process_time() - before) * 1e3 / CALLS


async def main() -> None:
    """Both models' CPU for every line that comes in."""
    fake: Any = FakeListChatModel(responses=["A lot."])
    fleet = Fleet.from_cards([ScriptedModel("small", ()).card()])
    with tempfile.TemporaryDirectory() as folder:
        async with Orchestra(fleet, transport=Canned(), ledger=Path(folder) / "l.db") as app:
            ours: Any = app.chat_model(step="rain")
            bound = ours.bind_tools(TOOLS)
            pairs: dict[str, tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]]]] = {
                "one message": (lambda: ours.ainvoke(ONE), lambda: fake.ainvoke(ONE)),
                "one message, streamed": (lambda: streamed(ours, ONE), lambda: streamed(fake, ONE)),
                "nine messages, ten tools": (lambda: bound.ainvoke(TEN), lambda: fake.bind(tools=TOOLS).ainvoke(TEN)),
            }
            for pair in (*pairs.values(), *pairs.values()):
                for call in pair:
                    await cost(call)
            print("ready", flush=True)
            for _ in sys.stdin:
                print(
                    json.dumps({name: [await cost(call) for call in pair] for name, pair in pairs.items()}), flush=True
                )


if __name__ == "__main__":
    asyncio.run(main())
