"""langchain's side of benchmarks/turns.py: create_agent on a fake model, a line in, milliseconds of CPU per turn out.

turns_langchain.py (async|sync)
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool

TURNS = 10


class Scripted(BaseChatModel):
    """Calls the tool TURNS times, then answers, without latency and without a wire format to write or read."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, *_: Any, **__: Any) -> Scripted:
        """It calls the one tool there is, whatever it is told."""
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        done = sum(isinstance(message, ToolMessage) for message in messages)
        calls = [{"name": "look", "args": {"number": done}, "id": f"call_{done}"}] if done < TURNS else []
        message = AIMessage("" if calls else "done", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return self._generate(messages)


@tool("look")
async def look(number: int) -> str:
    """Look one number up."""
    return f"value {number}"


@tool("look")
def look_in_thread(number: int) -> str:
    """Look one number up."""
    return f"value {number}"


async def main(kind: str) -> None:
    """CPU of one run for every line that comes in."""
    agent = create_agent(Scripted(), [look if kind == "async" else look_in_thread])

    async def one() -> None:
        given = {"messages": [{"role": "user", "content": "Look the numbers up"}]}
        out = await agent.ainvoke(given, {"recursion_limit": 100})
        assert len(out["messages"]) == 2 * TURNS + 2

    for _ in range(3):
        await one()
    print("ready", flush=True)
    for _ in sys.stdin:
        before = time.process_time()
        await one()
        print((time.process_time() - before) * 1e3 / TURNS, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
