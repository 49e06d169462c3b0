"""You have a pydantic-ai app: give an agent OrchestraModel, or a step for each request of its runs.

Run it: python examples/13_pydantic_ai.py   (with the extra: pip install 'orchestra-agents[pydantic-ai]')
"""

import asyncio
import os
from pathlib import Path

from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.models import ModelSelectionContext

from orchestra import Orchestra
from orchestra.integrations.pydantic_ai import select_step

FLEET = os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml"))
PRICES = {"lamp": 79.5, "chair": 129.0}


class Offer(BaseModel):
    item: str
    euros: float


def price(item: str) -> float:
    """Price of an item, lamp or chair, in euros."""
    if item not in PRICES:
        raise ModelRetry(f"no item {item!r}; known: {', '.join(PRICES)}")
    return PRICES[item]


def step(context: ModelSelectionContext[None]) -> str:
    return "look_up" if context.run_step == 1 else "offer"


async def main() -> None:
    async with Orchestra.from_file(FLEET) as app:
        clerk = Agent(capabilities=[select_step(app, step)], output_type=Offer, tools=[price], retries=3)
        result = await clerk.run("Make an offer for a lamp; look its price up.")
        print(f"{result.output.item}: {result.output.euros} euros")
        for response in (message for message in result.all_messages() if message.kind == "response"):
            failed = [f"{one.model_name} {one.error}" for one in response.failed_attempts or ()]
            print(f"{response.model_id:20} {response.model_name:8}", "; ".join(failed))


asyncio.run(main())
