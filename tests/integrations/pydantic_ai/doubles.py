"""A small and a strong model behind real HTTP, a look-up that tells what it was asked, the framework's own model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from openai import AsyncOpenAI
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from orchestra.testing import FakeProvider

ASKED = "How much does it rain in Oslo?"


def rain_tool(ran: list[str]) -> Callable[[str], int]:
    """A look-up that writes down what it was asked."""

    def rain(city: str) -> int:
        """Millimetres of rain in a year.

        Args:
            city: the city's name
        """
        ran.append(city)
        return 800

    return rain


@asynccontextmanager
async def stock(provider: FakeProvider, model: str = "small") -> AsyncIterator[OpenAIChatModel]:
    """The framework's own way to the same model."""
    async with AsyncOpenAI(base_url=provider.base_url, api_key="key", max_retries=0) as client:
        yield OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client))
