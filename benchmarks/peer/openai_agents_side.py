"""openai-agents' side of benchmarks/integrations.py: runs over our model beside runs over one that has its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from canned import ASKED, SAID, canned_app, rounds

from agents import Agent, FunctionTool, Model, ModelResponse, RunConfig, Runner, Usage
from orchestra import types as t
from orchestra.integrations.openai_agents import OrchestraModel
from orchestra.integrations.openai_agents_items import to_items
from orchestra.integrations.openai_agents_stream import Written

ANSWER = t.Message.assistant(SAID)
REPLY = t.Reply(SAID, "fake", ANSWER, attempts=(t.Attempt("1", "fake", usage=t.Usage(9, 3)),))
QUIET = RunConfig(tracing_disabled=True)
SCHEMA = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
TURNS: list[Any] = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": SAID}]


class Fake(Model):
    """The SDK has no model for tests; this one hands over a finished answer."""

    async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
        """The answer."""
        usage = Usage(requests=1, input_tokens=9, output_tokens=3, total_tokens=12)
        return ModelResponse(output=to_items(ANSWER), usage=usage, response_id=None)

    async def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        """The answer, in one piece."""
        written = Written()
        yield written.created()
        for event in (t.TextDelta(SAID), t.End(REPLY)):
            for one in written.of(event):
                yield one


async def unused(*_: Any) -> str:
    """No call comes."""
    return ""


TOOLS = [
    FunctionTool(f"tool_{number}", "Looks something up.", SCHEMA, unused, strict_json_schema=False)
    for number in range(10)
]


async def streamed(agent: Agent[Any]) -> None:
    """One streamed run, read to its end."""
    async for _ in Runner.run_streamed(agent, ASKED, run_config=QUIET).stream_events():
        pass


async def main() -> None:
    """Both models' CPU for every line that comes in."""
    async with canned_app() as app:
        plain = [Agent(name="a", model=model) for model in (OrchestraModel(app, "rain"), Fake())]
        tooled = [agent.clone(tools=TOOLS) for agent in plain]
        asked = [*TURNS * 4, TURNS[0]]
        await rounds(
            app,
            {
                "one message": (
                    lambda: Runner.run(plain[0], ASKED, run_config=QUIET),
                    lambda: Runner.run(plain[1], ASKED, run_config=QUIET),
                ),
                "one message, streamed": (lambda: streamed(plain[0]), lambda: streamed(plain[1])),
                "nine messages, ten tools": (
                    lambda: Runner.run(tooled[0], asked, run_config=QUIET),
                    lambda: Runner.run(tooled[1], asked, run_config=QUIET),
                ),
            },
        )


if __name__ == "__main__":
    asyncio.run(main())
