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
    if DIES:
        os.kill(os.getpid(), signal.SIGKILL)  # the money has gone, and the run has not heard of it
    return f"paid {euros:g} euros"


def paid(step: Step, result: Any, calls: Any, _: Any) -> Any:
    """A small model may say that it has paid, and not have called: such a result goes back to it."""
    lacking = {"pay"} & set(step.tools) - {call.name for call, _ in calls}
    return ["nothing is paid yet; call the tool pay"] if lacking else result


async def go(given: dict[str, Any]) -> dict[str, Any]:
    async with Orchestra.from_file(FLEET) as app:
        return await app.planner_executor([amount_of, pay], settle=paid).ainvoke(given | {"run": RUN})


async def go_on() -> None:
    result = await go({})  # the run alone: what is finished stays as it is
    while pending := result.get("__interrupt__"):
        print(*(f"{one.value['kind']}: {one.value['text']}" for one in pending), sep="\n")
        result = await go({"answers": {one.value["question"]: "done" for one in pending}})  # or "repeat", or "fail"
    print(f"{result['state']}: {result['answer'] or result['reason']}")


if DIES:
    asyncio.run(go({"task": TASK}))
else:
    died = subprocess.run([sys.executable, __file__, RUN], check=False)  # noqa: S603
    print(f"the first process ended with {died.returncode}")
    asyncio.run(go_on())
