"""How long a plan takes beside its critical path: fakes with known delays, in time that passes only when all wait."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra import tool
from orchestra.testing import CallTool, ScriptedModel, Slow, scripted_app


class SkippingLoop(asyncio.SelectorEventLoop):
    """Where nothing is ready, the next timer is due at once; `time()` is the sum of what was skipped."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0
        wait = self._selector.select

        def skip(timeout: float | None = None) -> Any:
            self.skipped += timeout or 0.0
            return wait(0 if timeout is not None else None)

        self._selector.select = skip

    def time(self) -> float:
        return self.skipped


@tool(read_only=True)
async def look(what: str) -> str:
    """Look something up.

    Args:
        what: the thing
    """
    return f"{what} is there"


Needs = dict[str, tuple[str, ...]]


def plan_of(needs: Needs, looking: Iterable[str] = ()) -> str:
    """The plan as a planner writes it: ids are numbers, so the goals name the steps."""
    ids = {name: f"s{number}" for number, name in enumerate(needs, 1)}
    steps = [
        {
            "id": ids[name],
            "goal": f"goal {name}.",
            "needs": [ids[need] for need in found],
            "tools": ["look"] if name in looking else [],
            "difficulty": "easy",
        }
        for name, found in needs.items()
    ]
    return json.dumps({"steps": steps})


class Slowly:
    """A model that takes `seconds[step]` over each turn, and none over the plan; `served` are the steps, in order."""

    def __init__(self, plan: str, seconds: dict[str, float]) -> None:
        self.plan, self.seconds, self.served = plan, seconds, list[str]()

    def __call__(self, body: dict[str, Any]) -> Any:
        if body.get("response_format"):
            return self.plan
        messages = body["messages"]
        step = re.findall(r"goal (\w+)\.", next(m["content"] for m in reversed(messages) if m["role"] == "user"))[-1]
        self.served.append(step)
        looks = body.get("tools") and messages[-1]["role"] != "tool"
        return Slow(self.seconds[step], CallTool("look", what=step) if looks else "done")


def makespan(model: Slowly, *, concurrency: int | None = None, runs: int = 1) -> float:
    """Seconds until every one of `runs` runs of the model's plan has ended."""

    async def all_runs() -> None:
        small = ScriptedModel("small", model, concurrency=concurrency)
        async with scripted_app(small) as app:
            agent = app.planner_executor(tools=[look], max_steps=20)
            for out in await asyncio.gather(*(agent.ainvoke({"task": "t"}) for _ in range(runs))):
                assert out["state"] == "done", out["reason"]

    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        runner.run(all_runs())
        return runner.get_loop().time()


def critical_path(needs: Needs, seconds: dict[str, float], looking: Iterable[str] = ()) -> float:
    ends: dict[str, float] = {}
    for sid, found in needs.items():
        turns = 2 if sid in looking else 1
        ends[sid] = max((ends[need] for need in found), default=0.0) + turns * seconds[sid]
    return max(ends.values())


@st.composite
def plans(draw: Any) -> tuple[Needs, dict[str, float], set[str]]:
    names = [f"s{number}" for number in range(draw(st.integers(1, 9)))]
    needs = {
        sid: tuple(sorted(draw(st.sets(st.sampled_from(names[:at]))))) if at else () for at, sid in enumerate(names)
    }
    needed = {need for found in needs.values() for need in found}
    needs["last"] = tuple(sid for sid in names if sid not in needed)
    seconds = {sid: draw(st.integers(1, 9)) / 1.0 for sid in needs}
    return needs, seconds, draw(st.sets(st.sampled_from(names)))


@settings(deadline=None, max_examples=15)
@given(plan=plans())
def test_with_slots_enough_a_plan_takes_no_longer_than_its_critical_path(
    plan: tuple[Needs, dict[str, float], set[str]],
) -> None:
    needs, seconds, looking = plan
    taken = makespan(Slowly(plan_of(needs, looking), seconds))
    assert taken == pytest.approx(critical_path(needs, seconds, looking), rel=0.05)


def test_a_ready_step_does_not_wait_for_a_wave() -> None:
    needs: Needs = {"slow": (), "a": (), "b": ("a",), "c": ("b",), "end": ("slow", "c")}
    seconds = {"slow": 6.0, "a": 2.0, "b": 2.0, "c": 2.0, "end": 1.0}
    assert makespan(Slowly(plan_of(needs), seconds)) == pytest.approx(7.0, rel=0.05)  # in waves it would be 11


# Leaves that nobody waits for come first in the plan, the long chain last: the order that is worst for first come,
# first served.
LATE_CHAIN: Needs = {
    **{f"leaf{number}": () for number in range(4)},
    "c1": (),
    "c2": ("c1",),
    "c3": ("c2",),
    "c4": ("c3",),
    "end": ("leaf0", "leaf1", "leaf2", "leaf3", "c4"),
}


def test_with_two_slots_the_critical_path_goes_first() -> None:
    model = Slowly(plan_of(LATE_CHAIN), dict.fromkeys(LATE_CHAIN, 1.0))
    # The first two leaves are sent before anyone waits; from then on the chain is never held up.
    assert makespan(model, concurrency=2) == pytest.approx(6.0, rel=0.05)
    assert [model.served.index(sid) for sid in ("c1", "c2", "c3")] == [2, 4, 6]


def test_with_one_slot_the_step_with_the_most_behind_it_goes_first() -> None:
    model = Slowly(plan_of(LATE_CHAIN), dict.fromkeys(LATE_CHAIN, 1.0))
    assert makespan(model, concurrency=1) == pytest.approx(9.0, rel=0.05)  # it is never idle
    assert model.served == ["leaf0", "c1", "c2", "c3", "leaf1", "leaf2", "leaf3", "c4", "end"]


def test_runs_share_a_model_that_answers_one_at_a_time() -> None:
    needs: Needs = {"a": (), "b": (), "c": (), "end": ("a", "b", "c")}
    model = Slowly(plan_of(needs), dict.fromkeys(needs, 1.0))
    assert makespan(model, concurrency=1, runs=3) == pytest.approx(12.0, rel=0.05)
    assert model.served[:4].count("a") == 3  # first come, first served would be: a b c a b c a b c
