"""LangChain's side of benchmarks/integrations.py: the chat model beside LangChain's own fake, without its detours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from canned import ASKED, SAID, canned_app, rounds
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

ONE = [HumanMessage(ASKED)]
TEN = [message for _ in range(5) for message in (*ONE, AIMessage(SAID))][:-1]
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


class Fake(FakeListChatModel):
    """A fake that neither answers from a thread nor streams letter by letter, which would flatter whoever is beside."""

    async def _agenerate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        return self._generate(messages)

    async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(self.responses[0], chunk_position="last"))


async def streamed(model: Any, messages: Any) -> None:
    """One streamed call, read to its end."""
    async for _ in model.astream(messages):
        pass


async def main() -> None:
    """Both models' CPU for every line that comes in."""
    fake: Any = Fake(responses=[SAID])
    async with canned_app() as app:
        ours: Any = app.chat_model(step="rain")
        bound = ours.bind_tools(TOOLS)
        await rounds(
            app,
            {
                "one message": (lambda: ours.ainvoke(ONE), lambda: fake.ainvoke(ONE)),
                "one message, streamed": (lambda: streamed(ours, ONE), lambda: streamed(fake, ONE)),
                "nine messages, ten tools": (lambda: bound.ainvoke(TEN), lambda: fake.bind(tools=TOOLS).ainvoke(TEN)),
            },
        )


if __name__ == "__main__":
    asyncio.run(main())
