"""A cap that is raised while the run waits, a deadline that is shared out, and a plan that has to be made anew.

Run it: python examples/07_budget.py
"""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

from orchestra import Fleet, Orchestra, tool
from orchestra.ledger import Decided, Planned, Row, new_run_id
from orchestra.toolbox import Replan
from orchestra.types import Price

FILE = Path(os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml")))
FLEET = Fleet.from_toml(FILE.read_text(encoding="utf-8"), source=str(FILE))
CARDS = {name: replace(card, price=Price(1, 2)) for name, card in FLEET.models.items()}  # as if: embedded ones are free
TASK = "How many lamps are in the warehouses north and south together?"
STOCK = {"south": 12, "east": 5}


@tool(read_only=True)
def stock(warehouse: str) -> int:
    """How many lamps a warehouse has: north, south or east."""
    if warehouse not in STOCK:
        raise Replan(f"the warehouse {warehouse} has moved to the east; look up east in place of {warehouse}")
    return STOCK[warehouse]


def show(row: Row) -> None:
    match row.event:
        case Decided(context=context, decision=decision):
            seconds, usd = context.deadline or 0, context.money_left or 0
            print(f"  {row.step:6} {decision.model:7} may take {seconds:3.0f} s, ${usd:.4f} are left")
        case Planned(plan=plan, version=version, kept=kept):
            print(f"  plan {version}: {', '.join(step.id for step in plan.steps)}; kept: {', '.join(kept) or 'none'}")


async def main() -> None:
    run = new_run_id()
    async with Orchestra(replace(FLEET, models=CARDS)) as app:
        app.ledger.subscribe(run, show)
        agent = app.planner_executor([stock], at_cap="pause", deadline=300, max_steps=4)
        result = await agent.ainvoke({"task": TASK, "run": run, "budget": 0.003})
        while pending := result.get("__interrupt__"):
            print(*(f"{one.value['kind']}: {one.value['text']}" for one in pending), sep="\n")
            # 0.05 is the run's new cap in USD; whatever else may be asked, the step fails
            answers = {one.value["question"]: 0.05 if one.value["kind"] == "budget" else "fail" for one in pending}
            result = await agent.ainvoke({"run": run, "answers": answers})
    usd, tokens = result["cost"]["usd"], result["usage"]["input"] + result["usage"]["output"]
    print(f"{result['state']}: {result['answer'] or result['reason']}")
    print(f"spent: ${usd:.6f}, {tokens} tokens, {result['seconds']:.1f} s; replans: {result['replans']}")


asyncio.run(main())
