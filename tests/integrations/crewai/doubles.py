"""A crew of one or several agents, and CrewAI's own way to the same model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from crewai import LLM, Agent, Crew, Task
from crewai.tools import BaseTool, tool

from orchestra.testing import FakeProvider

RAN: list[str] = []
"""What RainTool was asked, over all its copies."""

ASKED = "How much does it rain in Oslo?"


class RainTool(BaseTool):
    """A look-up that a checkpoint can name."""

    name: str = "rain"
    description: str = "Millimetres of rain in a year."

    def _run(self, city: str) -> str:
        RAN.append(city)
        return "800 mm"


def rain_tool(ran: list[str]) -> BaseTool:
    """A look-up that writes down what it was asked."""

    @tool("rain")
    def rain(city: str, unit: str = "mm") -> str:
        """Millimetres of rain in a year."""
        ran.append(city)
        return f"800 {unit}"

    return rain


def agent(llm: Any, *tools: BaseTool, role: str = "Researcher", **options: Any) -> Agent:
    return Agent(role=role, goal="Find out.", backstory="You look it up.", llm=llm, tools=list(tools), **options)


def task(agent: Agent | None, name: str | None = "research", **options: Any) -> Task:
    options = {"description": ASKED, "expected_output": "a number"} | options
    return Task(agent=agent, name=name, **options)


def crew(llm: Any, *tools: BaseTool, **options: Any) -> Crew:
    """One agent with one task."""
    one = agent(llm, *tools, **options)
    return Crew(agents=[one], tasks=[task(one)])


def stock(provider: FakeProvider, model: str = "small") -> LLM:
    """CrewAI's own way to the same model."""
    return LLM(model=f"openai/{model}", base_url=provider.base_url, api_key="key", max_retries=0)


KICKOFFS: dict[str, Callable[[Crew], Awaitable[Any]]] = {
    "kickoff": lambda crew: asyncio.to_thread(crew.kickoff),
    "kickoff_async": lambda crew: crew.kickoff_async(),
    "akickoff": lambda crew: crew.akickoff(),
}
"""The ways to start a crew."""
