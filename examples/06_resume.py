"""A process dies in the middle of a payment; another one goes on with its run, and pays nothing twice.

Run it: python examples/06_resume.py   (it starts itself once more, as the process that dies)
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from langgraph.types import Command

from orchestra import Orchestra, tool
from orchestra.ledger import new_run_id

FLEET = os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml"))
TASK = "Look up what order 4711 costs, then pay exactly that amount."
DYING = len(sys.argv) > 1


@tool(read_only=True)
def amount_of(order: int) -> float:
    """What an order costs, in euros."""
    print(f"  [{os.getpid()}] amount_of({order})", flush=True)
    return 79.5


@tool
def pay(order: int, euros: float) -> str:
    """Pay for an order."""
    print(f"  [{os.getpid()}] pay({order}, {euros:g})", flush=True)
    if DYING:
        os.kill(os.getpid(), signal.SIGKILL)  # the money has gone, and nobody has been told
    return "paid"


async def go(given: Any, config: Any = None) -> dict[str, Any]:
    async with Orchestra.from_file(FLEET) as app:
        return await app.planner_executor([amount_of, pay], max_steps=3).ainvoke(given, config)


async def main(run: str) -> None:
    died = subprocess.run([sys.executable, __file__, run], check=False)
    print(f"the process was killed: {died.returncode == -signal.SIGKILL}")
    result = await go({"run": run})  # steps that are finished stay as they are
    while pending := result.get("__interrupt__"):
        for one in pending:
            print(f"{one.value['kind']}: {one.value['text']}")
        # Did the payment go through? Only a person can find out. "repeat" would pay, "fail" would end the step.
        told = {one.id: {"decision": "done", "text": "paid 79.5 euros, says the bank"} for one in pending}
        result = await go(Command(resume=told), {"configurable": {"thread_id": run}})
    print(f"{result['state']}: {result['answer'] or result['reason']}")


asyncio.run(go({"task": TASK, "run": sys.argv[1]}) if DYING else main(new_run_id()))
