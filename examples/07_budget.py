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
TASK = "How many lamps do the warehouses north and south have together?"
STOCK = {"south": 12, "east": 5}


@tool(read_only=True)
def stock(warehouse: str) -> str:
    """How many lamps a warehouse has: north, south or east."""
    if warehouse not in STOCK:
        raise Replan(f"the warehouse {warehouse} was merged into the warehouse east: ask for east in its place")
    return f"the warehouse {warehouse} has {STOCK[warehouse]} lamps"


def show(row: Row) -> None:
    match row.event:
        case Decided(context=context, decision=decision):
            seconds, usd = context.deadline or 0, context.money_left or 0
            print(f"  {row.step:6} {decision.model:7} its share: {seconds:.0f} s; left to the run: ${usd:.4f}")
        case Planned(plan=plan, version=version, kept=kept):
            print(f"  plan {version}: {', '.join(step.id for step in plan.steps)}; kept: {', '.join(kept) or 'none'}")


async def main() -> None:
    run = new_run_id()
    async with Orchestra(replace(FLEET, models=CARDS)) as app:
        app.ledger.subscribe(run, show)
        agent = app.planner_executor([stock], at_cap="pause", deadline=300, mode="quality")
        result = await agent.ainvoke({"task": TASK, "run": run, "budget": 0.003})
        while asked := [one.value for one in result.get("__interrupt__", ())]:
            print(*(f"{one['kind']}: {one['text']}" for one in asked), sep="\n")
            # 0.05 is the run's new cap in USD; where something else is asked, the step fails
            answers = {one["question"]: 0.05 if one["kind"] == "budget" else "fail" for one in asked}
            result = await agent.ainvoke({"run": run, "answers": answers})
    usd, tokens = result["cost"]["usd"], result["usage"]["input"] + result["usage"]["output"]
    print(f"{result['state']}: {result['answer'] or result['reason']}")
    print(f"spent: ${usd:.6f}, {tokens} tokens, {result['seconds']:.1f} s; replans: {result['replans']}")


asyncio.run(main())
