"""One process's share of a run: begin it or go on with it, answer what is asked, write down what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langgraph.types import Command

from orchestra import Orchestra, RecoveryPolicy
from orchestra.ledger.store import Store
from orchestra.runtime.saver import Saver
from orchestra.testing import scripted_app
from tests.chaos.world import Log, Logs, World

RUN = "run"
IMPORTED = {"orchestra", "langgraph", "langchain_core", "langsmith", "pydantic", "jsonschema", "asyncio"}


def open_app(world: World, folder: Path, log: Log) -> Orchestra:
    """The app of a new process, on the files of the processes before it."""
    return scripted_app(
        *world.models(log), ledger=folder / "l.db", content=True, recovery=RecoveryPolicy(max_replans=1)
    )


async def live(world: World, logs: Logs, folder: Path, rng: random.Random) -> dict[str, Any]:
    """The state of the thread's run when it has ended; where the world forks, the run may be a fork of the first."""
    config: Any = {"configurable": {"thread_id": RUN}}
    async with open_app(world, folder, logs.first) as app:
        agent = app.planner_executor(world.tools(logs.first), max_steps=12)
        states = [one async for one in agent.aget_state_history(config)]
    run = states[0].values.get("run", RUN) if states else RUN
    older = [one.config for one in states[1:] if one.values.get("plan")]  # with a plan to go on with
    given, place = ({"run": run} if states else {"task": "a task", "run": RUN}), config
    if world.forks and run == RUN and older and states[0].next:
        given, place = None, rng.choice(older)
    log = logs.first if place is config and run == RUN else logs.fork
    async with open_app(world, folder, log) as app:
        agent = app.planner_executor(world.tools(log), max_steps=12)
        out = await agent.ainvoke(given, place)
        while asked := out.get("__interrupt__"):
            some = asked if rng.random() < 0.5 else asked[:1]  # one by one, or all together
            answers = {one.id: answer(one.value, log) for one in some}
            out = await agent.ainvoke(Command(resume=answers), config)
        return out


def answer(question: dict[str, Any], log: Log) -> Any:
    """What a person says who has looked at the world: was it done?"""
    name = str((question["arguments"] or {}).get("name"))
    match question["kind"]:
        case "approval":
            return True
        case "question":
            return f"answer {question['text'].split()[-1].removesuffix('?')}"
        case "unknown" if question["tool"] == "crack":
            return "repeat"
        case "unknown":
            call = (question["tool"], name, str(question["arguments"]["part"]))
            if any(line[:3] == call for line in log.lines("effect")):
                return {"decision": "done", "text": " ".join((*call, "ok"))}
            log.write("repeat", *call)
            return {"decision": "repeat"}
        case other:
            raise AssertionError(f"nobody expected a question of kind {other}: {question}")


def die_at(point: int, logs: Logs) -> Counter[str]:
    """Let this process be killed at its so-manieth point: before and after each row, effect and checkpoint."""
    passed: Counter[str] = Counter()

    def pass_by(kind: str) -> None:
        passed[kind] += 1
        if passed.total() == point:
            os.kill(os.getpid(), signal.SIGKILL)

    logs.first.hook = logs.fork.hook = lambda: pass_by("world")
    _around(Store, "write", pass_by)
    for name in ("aput", "aput_writes"):
        _around_async(Saver, name, pass_by)
    return passed


def _around(owner: Any, name: str, pass_by: Callable[[str], None]) -> None:
    inner = getattr(owner, name)

    def outer(*args: Any, **options: Any) -> Any:
        pass_by(name)
        made = inner(*args, **options)
        pass_by(name)
        return made

    setattr(owner, name, outer)


def _around_async(owner: Any, name: str, pass_by: Callable[[str], None]) -> None:
    inner = getattr(owner, name)

    async def outer(*args: Any, **options: Any) -> Any:
        pass_by(name)
        made = await inner(*args, **options)
        pass_by(name)
        return made

    setattr(owner, name, outer)


def spend(world: World, folder: Path, seed: str, point: int | None) -> None:
    """A child's whole life, to its end or to its death; `out.json` is there when it has ended by itself."""
    logs = Logs.of(folder)
    if point:
        die_at(point, logs)
    out = asyncio.run(live(world, logs, folder, random.Random(seed)))
    names = [name for name in sys.modules if name.partition(".")[0] in IMPORTED]
    (folder / "modules").write_text("\n".join(names), "utf-8")
    (folder / "out.tmp").write_text(json.dumps(out), "utf-8")
    (folder / "out.tmp").rename(folder / "out.json")
