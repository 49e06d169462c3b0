"""pydantic-ai's side of benchmarks/integrations.py: runs over our model beside runs over its own TestModel."""

from __future__ import annotations

import asyncio
from typing import Any

from canned import ASKED, SAID, canned_app, rounds
from pydantic_ai import Agent, Tool
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart
from pydantic_ai.models.test import TestModel

from orchestra.integrations.pydantic_ai import OrchestraModel

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
TURNS: list[ModelMessage] = [ModelRequest.user_text_prompt(ASKED), ModelResponse(parts=[TextPart(SAID)])]


def unused(**_: Any) -> str:
    """No call comes."""
    return ""


TOOLS = [Tool.from_schema(unused, f"tool_{number}", "Looks something up.", SCHEMA) for number in range(10)]


async def streamed(agent: Agent[None, str]) -> None:
    """One streamed run, read to its end."""
    async with agent.run_stream(ASKED) as result:
        async for _ in result.stream_text(debounce_by=None):
            pass


async def main() -> None:
    """Both models' CPU for every line that comes in."""
    async with canned_app() as app:
        models = OrchestraModel(app, "rain"), TestModel(call_tools=[], custom_output_text=SAID)
        plain = [Agent(model) for model in models]
        tooled = [Agent(model, tools=TOOLS) for model in models]
        earlier = TURNS * 4
        await rounds(
            app,
            {
                "one message": (lambda: plain[0].run(ASKED), lambda: plain[1].run(ASKED)),
                "one message, streamed": (lambda: streamed(plain[0]), lambda: streamed(plain[1])),
                "nine messages, ten tools": (
                    lambda: tooled[0].run(ASKED, message_history=earlier),
                    lambda: tooled[1].run(ASKED, message_history=earlier),
                ),
            },
        )


if __name__ == "__main__":
    asyncio.run(main())
