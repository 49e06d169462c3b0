"""langchain's side of benchmarks/turns.py: create_agent on a fake model.

turns_langchain.py (async|sync)     a line in, milliseconds of CPU of a run of ten turns and of one of five out
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

TURNS = (10, 5, 5, 10)  # whatever the first run finds cold counts for neither more


class Scripted(BaseChatModel):
    """Calls the tool `turns` times, then answers, without latency and without a wire format to write or read."""

    turns: int

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, *_: Any, **__: Any) -> Scripted:
        """It calls the one tool there is, whatever it is told."""
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        done = sum(isinstance(message, ToolMessage) for message in messages)
        calls = [{"name": "look", "args": {"number": done}, "id": f"call_{done}"}] if done < self.turns else []
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
    """CPU of runs of both lengths for every line that comes in."""
    tools = [look if kind == "async" else look_in_thread]
    agents = {turns: create_agent(Scripted(turns=turns), tools) for turns in (5, 10)}

    async def one(turns: int) -> float:
        given = {"messages": [{"role": "user", "content": "Look the numbers up"}]}
        before = time.process_time()
        out = await agents[turns].ainvoke(given, {"recursion_limit": 100})
        taken = (time.process_time() - before) * 1e3
        assert len(out["messages"]) == 2 * turns + 2
        return taken

    for turns in TURNS:
        await one(turns)
    print("ready", flush=True)
    for _ in sys.stdin:
        ten, five, again, last = [await one(turns) for turns in TURNS]
        print((ten + last) / 2, (five + again) / 2, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
