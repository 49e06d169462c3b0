"""A process is killed in the middle of a payment; another one goes on with its run, and pays nothing twice.

Run it: python examples/06_resume.py   (it starts itself once more, as the process that dies)
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from orchestra import Orchestra, Step, tool
from orchestra.ledger import new_run_id

FLEET = os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml"))
TASK = "Look up what order 4711 costs, then pay exactly that amount for it."
RUN, DIES = (sys.argv[1], True) if sys.argv[1:] else (new_run_id(), False)


@tool(read_only=True)
def amount_of(order: int) -> float:
    """What an order costs, in euros."""
    print(f"  amount_of({order})", flush=True)
    return 79.5


@tool
def pay(order: int, euros: float) -> str:
    """Pay for an order."""
    print(f"  pay({order}, {euros:g})", flush=True)
    if DIES:  # the money has gone, and the run does not hear of it
        os.kill(os.getpid(), signal.SIGKILL)
    return f"paid {euros:g} euros"


def paid(step: Step, result: Any, calls: Any, _: Any) -> Any:
    """A small model may say that it has paid, and not have called: such a result goes back to it."""
    lacking = "pay" in step.tools and "pay" not in [call.name for call, _ in calls]
    return ["nothing is paid yet; call the tool pay"] if lacking else result


async def go(**given: Any) -> dict[str, Any]:
    async with Orchestra.from_file(FLEET) as app:
        return await app.planner_executor([amount_of, pay], settle=paid).ainvoke({"run": RUN, **given})


async def go_on() -> None:
    result = await go()  # the run alone: what is finished stays as it is
    while asked := [one.value for one in result.get("__interrupt__", ())]:
        print(*(f"{one['kind']}: {one['text']}" for one in asked), sep="\n")
        result = await go(answers={one["question"]: "done" for one in asked})  # or "repeat", or "fail"
    print(f"{result['state']}: {result['answer'] or result['reason']}")


if not DIES:
    print("the first process ended with", subprocess.call([sys.executable, __file__, RUN]))  # noqa: S603  # our own
asyncio.run(go(task=TASK) if DIES else go_on())
