"""Orchestra's side of benchmarks/turns.py; each subcommand runs in a process of its own.

turns_orchestra.py rounds (off|on) (async|sync)     as turns_langchain.py
turns_orchestra.py crowd RUNS STEPS                 as many runs at once, peak memory out
turns_orchestra.py bytes MODELS                     what an attempt adds to the ledger
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from orchestra import Orchestra, Tool, tool
from orchestra.ledger import AttemptStarted
from orchestra.testing import CallTool, ScriptedModel, scripted_app

TURNS = (10, 5, 5, 10)  # whatever the first run finds cold counts for neither more


@tool(read_only=True, name="look")
async def look(number: int) -> str:
    """Look one number up.

    Args:
        number: which
    """
    return f"value {number}"


@tool(read_only=True, name="look")
def look_in_thread(number: int) -> str:
    """Look one number up.

    Args:
        number: which
    """
    return f"value {number}"


def scripted(steps: int, turns: int) -> Callable[[dict[str, Any]], Any]:
    """A model that plans a chain of `steps`, and in each calls the tool `turns` times before it answers."""
    plan = json.dumps(
        {
            "steps": [
                {
                    "id": f"s{number}",
                    "goal": f"look {number}",
                    "needs": [f"s{number - 1}"] if number > 1 else [],
                    "tools": ["look"],
                    "difficulty": "easy",
                }
                for number in range(1, steps + 1)
            ]
        }
    )

    def reply(body: dict[str, Any]) -> Any:
        if body.get("response_format"):
            return plan
        done = sum(message["role"] == "tool" for message in body["messages"])
        return CallTool("look", number=done) if done < turns else "done"

    return reply


def app_of(models: int, steps: int, turns: int, folder: str | None) -> tuple[Orchestra, list[ScriptedModel]]:
    """An app on so many scripted models, with ledger and checkpoints in `folder` or without both."""
    fleet = [ScriptedModel(f"model{number:02}", scripted(steps, turns)) for number in range(models)]
    return scripted_app(*fleet, ledger=folder and Path(folder) / "ledger.db"), fleet


async def rounds(folder: str | None, looking: Tool) -> None:
    """CPU of whole runs of both lengths, each with one step of so many tool turns, for every line that comes in."""
    async with AsyncExitStack() as stack:
        agents: dict[int, Any] = {}
        scripts: list[ScriptedModel] = []
        for turns in (5, 10):
            app, models = app_of(1, 1, turns, folder and f"{folder}/{turns}")
            await stack.enter_async_context(app)
            agents[turns] = app.planner_executor(tools=[looking], max_turns=turns + 1)
            scripts += models

        async def one(turns: int) -> float:
            for script in scripts:
                script.requests.clear()
            before = time.process_time()
            await _one(agents[turns])
            return (time.process_time() - before) * 1e3

        for turns in TURNS:
            await one(turns)
        print("ready", flush=True)
        for _ in sys.stdin:
            ten, five, again, last = [await one(turns) for turns in TURNS]
            print((ten + last) / 2, (five + again) / 2, flush=True)


async def crowd(folder: str, runs: int, steps: int) -> None:
    """Peak memory of the process, and CPU, with so many runs at the same moment."""
    app, _ = app_of(2, steps, 1, folder)
    async with app:
        agent = app.planner_executor(tools=[look], max_steps=steps)
        await asyncio.gather(*(_one(agent) for _ in range(runs)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peak": peak, "seconds": time.process_time()}))


async def growth(folder: str, models: int) -> None:
    """Bytes of the closed ledger file per attempt, over thirty runs of a plan of four steps."""
    app, _ = app_of(models, 4, 1, folder)
    async with app:
        agent = app.planner_executor(tools=[look])
        outs = [await _one(agent) for _ in range(30)]
        rows = [row for out in outs for row in app.ledger.events(out["run"])]
        attempts = sum(isinstance(row.event, AttemptStarted) for row in rows)
    print((Path(folder) / "ledger.db").stat().st_size / attempts)


async def _one(agent: Any) -> dict[str, Any]:
    out: dict[str, Any] = await agent.ainvoke({"task": "Look the numbers up"})
    assert out["state"] == "done", out["reason"]
    return out


def main(what: str, *options: str) -> None:
    """Dispatch on the subcommand."""
    with tempfile.TemporaryDirectory() as folder:
        if what == "rounds":
            persisted, kind = options
            asyncio.run(rounds(folder if persisted == "on" else None, look if kind == "async" else look_in_thread))
        elif what == "crowd":
            asyncio.run(crowd(folder, *map(int, options)))
        else:
            asyncio.run(growth(folder, int(options[0])))


if __name__ == "__main__":
    main(*sys.argv[1:])
