"""A person in the run: the model asks for what only they know, and a refund is made only once they agree.

Run it: python examples/05_approve.py   (the answers stand below; at a terminal `orchestra run` asks you)
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from langgraph.types import Command

from orchestra import Orchestra, tool
from orchestra.toolbox import ask_human

FLEET = os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml"))
TASK = "Ask the person for the number of the order, then refund 20 euros of that order."


@tool(needs_approval=True)
def refund(order: int, euros: float) -> str:
    """Pay money of an order back to the customer.

    Args:
        order: the order's number
        euros: how much
    """
    print(f"  refund({order}, {euros:g}) is carried out")
    return f"{euros:g} euros of order {order} were paid back"


def decide(asked: dict[str, Any]) -> Any:
    """What the person says. They pay back less than was asked for: arguments can be edited, too."""
    if asked["kind"] == "question":
        return "Order 4711."
    if asked["tool"] != "refund":
        return False
    return {"decision": "edit", "arguments": asked["arguments"] | {"euros": 15}}


async def go(given: Any, config: Any = None) -> dict[str, Any]:
    """A new app each time, as in a process that starts days later: what the run has done lies in its files."""
    async with Orchestra.from_file(FLEET) as app:
        agent = app.planner_executor([ask_human, refund], max_steps=3, mode="quality")
        return await agent.ainvoke(given, config)


async def main() -> None:
    result = await go({"task": TASK})
    while pending := result.get("__interrupt__"):
        answers = {one.id: decide(one.value) for one in pending}
        for one in pending:
            print(f"{one.value['kind']}: {one.value['text']} {one.value['arguments'] or ''}\n  {answers[one.id]}")
        thread = {"configurable": {"thread_id": result["run"]}}  # a run's own thread has its name
        result = await go(Command(resume=answers), thread)
    print(f"{result['state']}: {result['answer'] or result['reason']}")


asyncio.run(main())
