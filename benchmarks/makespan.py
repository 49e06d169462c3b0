"""How long plans take beside their critical path: random plans on a fake model with known delays, in real seconds.

    python benchmarks/makespan.py

Promised: at most 1.05 times the critical path where slots are enough. Where a model answers two or three at a time,
no plan can end before its critical path nor before its work divided by the slots; the greater of both is the bound.
Beside it stand the two simpler schedulers: one wave of steps after the other (computed from the delays), and first
come, first served within a run.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestra.dispatch import Call
from orchestra.testing import ScriptedModel, Slow, scripted_app

PLANS, STEPS = 6, 10
TURN = 0.25  # seconds; a step takes one turn, and here every turn takes as long


@dataclass(frozen=True, slots=True)
class Shape:
    """A plan: what each step needs. The last step needs every step that no other needs."""

    needs: Mapping[str, Sequence[str]]

    @property
    def critical_path(self) -> int:
        """Turns of the longest path."""
        return max(self.levels.values())

    @property
    def levels(self) -> dict[str, int]:
        """The wave in which each step runs, from 1."""
        found: dict[str, int] = {}
        for step, needs in self.needs.items():
            found[step] = 1 + max((found[need] for need in needs), default=0)
        return found

    def bound(self, slots: int) -> float:
        """Turns below which no scheduler comes."""
        return max(self.critical_path, len(self.needs) / slots)

    def waves(self, slots: int) -> int:
        """Turns where each wave waits for the one before it."""
        levels = list(self.levels.values())
        return sum(-(-levels.count(level) // slots) for level in set(levels))


def shape(draw: random.Random) -> Shape:
    """A random plan: a chain at its end in plan order, and steps that nobody waits for before it."""
    chain = draw.randint(3, STEPS // 2)
    needs: dict[str, Sequence[str]] = {f"s{number}": () for number in range(1, STEPS - chain)}
    for number in range(STEPS - chain, STEPS):
        before = f"s{number - 1}"
        needs[f"s{number}"] = (before,) if number > STEPS - chain else ()
    needed = {need for found in needs.values() for need in found}
    needs[f"s{STEPS}"] = [step for step in needs if step not in needed]
    return Shape(needs)


async def turns_taken(plan: Shape, *, slots: int | None, ranked: bool = True) -> float:
    """Turns until the plan has ended; without `ranked` calls of a run are served as they come."""

    def reply(body: dict[str, Any]) -> Any:
        if not body.get("response_format"):
            return Slow(TURN, "done")
        fields = {"goal": "work", "tools": [], "difficulty": "easy"}
        return json.dumps({"steps": [{"id": step, "needs": list(n), **fields} for step, n in plan.needs.items()]})

    async with scripted_app(ScriptedModel("model", reply, concurrency=slots)) as app:
        if not ranked:
            stream = app.engine.dispatcher.stream
            app.engine.dispatcher.stream = lambda call: stream(_unranked(call))
        agent = app.planner_executor(max_steps=STEPS)
        started = time.perf_counter()
        out = await agent.ainvoke({"task": "Work"})
        assert out["state"] == "done", out["reason"]
        return (time.perf_counter() - started) / TURN


def _unranked(call: Call) -> Call:
    return replace(call, rank=0.0)


async def main() -> None:
    """Print one row per number of slots: the median and the worst ratio to the bound."""
    draw = random.Random(3)
    plans = [shape(draw) for _ in range(PLANS)]
    await turns_taken(plans[0], slots=None)  # imports
    print(f"{'turns / bound, median (worst)':32}{'critical path first':>22}{'first come':>18}{'waves':>18}")
    for slots in (None, 3, 2):
        many = slots or STEPS
        ours = await _ratios(plans, slots, ranked=True)
        plain = await _ratios(plans, slots, ranked=False)
        waves = [plan.waves(many) / plan.bound(many) for plan in plans]
        title = f"{slots} at a time" if slots else "slots enough (promised 1.05)"
        print(f"{title:32}{_ratio(ours):>22}{_ratio(plain):>18}{_ratio(waves):>18}")


async def _ratios(plans: Sequence[Shape], slots: int | None, *, ranked: bool) -> list[float]:
    return [await turns_taken(plan, slots=slots, ranked=ranked) / plan.bound(slots or STEPS) for plan in plans]


def _ratio(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({max(values):.2f})"


if __name__ == "__main__":
    asyncio.run(main())
