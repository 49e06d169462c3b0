"""An agent of the SDK's own, and a small and a strong model behind real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI

from agents import Agent, FunctionTool, OpenAIChatCompletionsModel, function_tool
from orchestra.testing import FakeProvider


def rain_tool(ran: list[str], **options: Any) -> FunctionTool:
    """A look-up that writes down what it was asked."""

    def rain(city: str) -> int:
        """Millimetres of rain in a year.

        Args:
            city: the city's name
        """
        ran.append(city)
        return 800

    return function_tool(rain, **options)


def agent(*tools: Any, model: Any = "orchestra/research", **options: Any) -> Agent[Any]:
    return Agent(name="Research", instructions="Look it up.", model=model, tools=list(tools), **options)


@asynccontextmanager
async def stock(provider: FakeProvider, model: str = "small") -> AsyncIterator[OpenAIChatCompletionsModel]:
    """The SDK's own way to the same model."""
    async with AsyncOpenAI(base_url=provider.base_url, api_key="key", max_retries=0) as client:
        yield OpenAIChatCompletionsModel(model, client)
