"""You have an openai-agents app: give its runner our run_config, and name steps where you named models.

Run it: python examples/12_openai_agents.py   (with the extra: pip install 'orchestra-agents[openai-agents]')
"""

import asyncio
import os
from pathlib import Path

from agents import Agent, Runner, function_tool
from orchestra import Orchestra
from orchestra.integrations.openai_agents import run_config
from orchestra.ledger import Judged

FLEET = os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml"))


@function_tool
def price(item: str) -> float:
    """Price of an item in euros.

    Args:
        item: lamp or chair
    """
    return {"lamp": 79.5, "chair": 129.0}[item]


clerk = Agent(name="Clerk", model="orchestra/look_up", instructions="Look prices up, then tell them.", tools=[price])


async def main() -> None:
    async with Orchestra.from_file(FLEET) as app:
        result = await Runner.run(clerk, "What does a lamp cost?", run_config=run_config(app))
        print(result.final_output)
        for run in reversed(app.ledger.runs()):  # one for each of the runner's calls
            for row in app.ledger.events(run.run):
                if isinstance(row.event, Judged):
                    print(f"{row.step:8} {row.event.model:7} {row.event.trigger or 'accepted'}")


asyncio.run(main())
