"""Money and seconds of a whole run: at the cap it fails or asks for more, and what it took is always told."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command

from orchestra import Orchestra, RecoveryPolicy, tool
from orchestra.ledger import AttemptStarted, HumanAsked, totals
from orchestra.testing import CallTool, CutStream, Say
from orchestra.toolbox import Replan
from orchestra.types import Candidate, Price, StepContext
from tests.runtime.scripts import PLANNER_IS_STRONG, THREAD, app_of, asked, events, obedient, plan, plans

TASK = {"task": "?", "run": "r"}
THREE = plan(("s1", [], []), ("s2", [], []), ("s3", ["s1", "s2"], []))
EACH = 0.011
"""USD that every reply costs."""


def dear(reply: Any) -> Any:
    """A reply for 1.1 cents."""
    if isinstance(reply, str):
        return Say(reply, usage=(1000, 1000))
    return Say(calls=(reply,), usage=(1000, 1000)) if isinstance(reply, CallTool) else reply


def costly(folder: Path, *written: Any, small: Any = obedient, **options: Any) -> Orchestra:
    strong, options = plans(*written), {"price": Price(1, 10)} | options
    return app_of(folder, lambda body: dear(strong(body)), lambda body: dear(small(body)), **options)


async def pausing(folder: Path, *answers: Any, budget: float = 0.0115, written: str = THREE) -> dict[str, Any]:
    """The run's state after these answers, each in a new process."""
    async with costly(folder, written) as app:
        out = await app.planner_executor(budget=budget, at_cap="pause").ainvoke(TASK, THREAD)
    for answer in answers:
        async with costly(folder, written) as app:
            out = await app.planner_executor(budget=budget, at_cap="pause").ainvoke(Command(resume=answer), THREAD)
    return out


async def test_at_the_cap_a_run_fails_and_tells_what_it_took_unless_it_is_to_pause(tmp_path):
    async with costly(tmp_path, THREE) as app:
        out = await app.planner_executor(budget=0.0115).ainvoke(TASK, THREAD)
    assert (out["state"], out["cost"]) == ("failed", {"usd": EACH, "estimated": False})
    assert out["usage"]["input"] == 1000
    assert out["reason"].startswith("step 's1' failed: ")
    assert "__interrupt__" not in out


async def test_steps_that_reach_the_cap_at_once_ask_one_question_which_tells_what_is_spent(tmp_path):
    out = await pausing(tmp_path)
    (one,) = out["__interrupt__"]
    assert (one.value["kind"], one.value["decisions"]) == ("budget", ["budget", "fail"])
    assert one.value["text"].startswith("$0.011000 of $0.0115 are spent. ")
    assert one.value["text"].endswith("Raise the run's cap to go on")
    assert (out["state"], out["cost"]["usd"]) == ("interrupted", EACH)


@pytest.mark.parametrize("more", [0.5, {"decision": "budget", "usd": 0.5}])
async def test_with_a_raised_cap_the_run_goes_on_and_pays_for_nothing_twice(more, tmp_path):
    out = await pausing(tmp_path, more)
    assert (out["state"], out["answer"], out["budget"]) == ("done", "s3: ok", 0.5)
    assert out["cost"] == {"usd": pytest.approx(4 * EACH), "estimated": False}
    async with costly(tmp_path, THREE) as app:
        assert totals(app.ledger.events("r")).cost.usd == pytest.approx(4 * EACH)
        assert len(events(app, "r", AttemptStarted)) == 4


async def test_a_cap_that_is_raised_too_little_is_asked_about_again_with_the_new_one(tmp_path):
    out = await pausing(tmp_path, 0.0116)
    text = asked(out).popitem()[1].value["text"]
    assert "of $0.0116 are spent" in text
    assert (await pausing_more(tmp_path, 0.5))["answer"] == "s3: ok"
    async with costly(tmp_path, THREE) as app:
        assert {one.question for one in events(app, "r", HumanAsked)} == {"budget.0.0115", "budget.0.0116"}


async def test_caps_that_differ_by_very_little_are_questions_of_their_own(tmp_path):
    await pausing(tmp_path, 0.01150001)
    async with costly(tmp_path, THREE) as app:
        assert {one.question for one in events(app, "r", HumanAsked)} == {"budget.0.0115", "budget.0.01150001"}


async def pausing_more(folder: Path, answer: Any) -> dict[str, Any]:
    async with costly(folder, THREE) as app:
        return await app.planner_executor(at_cap="pause").ainvoke(Command(resume=answer), THREAD)


@pytest.mark.parametrize("no", ["fail", False, {"decision": "fail"}])
async def test_where_more_is_refused_the_run_ends_with_what_it_knows(no, tmp_path):
    out = await pausing(tmp_path, no)
    assert (out["state"], out["cost"]["usd"]) == ("failed", EACH)
    assert out["missing"][-1] == "s3 (do s3.): needs s1, s2, which did not succeed"


@pytest.mark.parametrize("bad", [{"decision": "budget"}, {"decision": "budget", "usd": "5"}, -1, float("inf"), True])
async def test_an_answer_that_is_no_cap_is_asked_again(bad, tmp_path):
    out = await pausing(tmp_path, bad)
    assert "usd: expected the run's new cap in USD, got" in out["__interrupt__"][0].value["error"]


@pytest.mark.parametrize("low", [0.01, 0.0115, {"decision": "budget", "usd": 0}])
async def test_an_answer_that_does_not_raise_the_cap_is_asked_again(low, tmp_path):
    out = await pausing(tmp_path, low)
    assert "usd: expected more than the present cap of $0.0115, got" in out["__interrupt__"][0].value["error"]
    assert (await pausing_more(tmp_path, 0.5))["answer"] == "s3: ok"


async def test_a_cap_that_was_raised_and_is_the_runs_again_is_asked_about_again(tmp_path):
    await pausing(tmp_path, 0.0116)
    async with costly(tmp_path, THREE) as app:
        agent = app.planner_executor(at_cap="pause")
        out = await agent.ainvoke({"run": "r", "budget": 0.0115}, THREAD)
        assert asked(out).popitem()[1].value["question"] == "budget.0.0115"
        assert (await agent.ainvoke(Command(resume=0.5), THREAD))["answer"] == "s3: ok"


async def test_a_cap_is_raised_on_resuming_as_well_without_an_answer(tmp_path):
    await pausing(tmp_path)
    async with costly(tmp_path, THREE) as app:
        out = await app.planner_executor(at_cap="pause").ainvoke({"run": "r", "budget": 0.5}, THREAD)
    assert (out["state"], out["answer"]) == ("done", "s3: ok")


async def test_a_run_that_failed_at_its_cap_goes_on_with_a_greater_one(tmp_path):
    async with costly(tmp_path, THREE) as app:
        agent = app.planner_executor(budget=0.0115)
        await agent.ainvoke(TASK, THREAD)
        out = await agent.ainvoke({"run": "r", "budget": 0.5}, THREAD)
    assert (out["state"], out["cost"]["usd"]) == ("done", pytest.approx(4 * EACH))


async def test_the_planner_pauses_at_the_cap_too(tmp_path):
    out = await pausing(tmp_path, budget=0.00001)
    assert list(asked(out)) == ["plan"]
    assert "$0.000000 of $1e-05 are spent" in asked(out)["plan"].value["text"]
    async with costly(tmp_path, THREE) as app:
        agent = app.planner_executor(budget=0.00001, at_cap="pause")
        assert (await agent.ainvoke(Command(resume=1), THREAD))["answer"] == "s3: ok"


async def test_a_planner_that_is_refused_more_ends_the_run_and_asks_again_when_that_is_resumed(tmp_path):
    out = await pausing(tmp_path, "fail", budget=0.00001)
    assert (out["state"], "__interrupt__" in out, out["reason"][:16]) == ("failed", False, "planning failed:")
    async with costly(tmp_path, THREE) as app:
        agent = app.planner_executor(budget=0.00001, at_cap="pause")
        assert list(asked(await agent.ainvoke({"run": "r"}, THREAD))) == ["plan"]
        assert (await agent.ainvoke(Command(resume=1), THREAD))["answer"] == "s3: ok"


async def test_a_new_plan_pauses_at_the_cap_too_and_keeps_what_was_finished(tmp_path):
    looked: list[str] = []

    @tool(read_only=True)
    def look(item: str) -> str:
        """Look.

        Args:
            item: at what
        """
        looked.append(item)
        if item == "s2":
            raise Replan("it is gone")
        return "seen"

    written = plan(("s1", [], ["look"]), ("s2", ["s1"], ["look"])), plan(("s3", ["s1"], []))
    policy = RecoveryPolicy(max_replans=1)
    async with costly(tmp_path, *written, recovery=policy) as app:
        agent = app.planner_executor([look], budget=4.05 * EACH, at_cap="pause")
        out = await agent.ainvoke(TASK, THREAD)
        assert list(asked(out)) == ["plan2"]
        out = await agent.ainvoke(Command(resume=1.0), THREAD)
    assert (out["answer"], looked) == ("s3: ok", ["s1", "s2"])


async def test_what_a_failed_attempt_took_and_what_one_may_have_taken_whose_end_nobody_saw_is_told(tmp_path):
    cut = [CutStream("half of it", after=2)]

    def small(body: Mapping[str, Any]) -> Any:
        return cut.pop() if cut else dear(obedient(body))

    strong = plans(THREE)
    options: Any = {"price": Price(1, 10)}
    async with app_of(tmp_path, lambda body: dear(strong(body)), small, **options) as app:
        out = await app.planner_executor(budget=0.017, at_cap="pause").ainvoke(TASK, THREAD)
        assert out["cost"]["estimated"]
        app.ledger.append("r", "s1", AttemptStarted("a9", "small", reserved=0.3))  # killed before its end
    async with app_of(tmp_path, lambda body: dear(strong(body)), small, **options) as app:
        agent = app.planner_executor(at_cap="pause")
        out = await agent.ainvoke(Command(resume=0.31), THREAD)
        assert "of $0.31 are spent" in asked(out).popitem()[1].value["text"]  # that may be spent already
        out = await agent.ainvoke(Command(resume=2.0), THREAD)
        took = totals(app.ledger.events("r")).cost
    assert out["state"] == "done"
    assert out["cost"] == {"usd": pytest.approx(took.usd), "estimated": True}
    assert out["cost"]["usd"] > 0.3 + 4 * EACH


class Told:
    """A policy that remembers the deadline each step was told."""

    def __init__(self) -> None:
        self.deadlines: dict[str, float | None] = {}

    def __call__(self, context: StepContext, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        self.deadlines[context.step.id] = context.deadline
        return candidates


async def test_a_deadline_is_shared_out_along_the_longest_path(tmp_path):
    told, now = Told(), time.monotonic()
    written = plan(("s1", [], []), ("s2", ["s1"], []), ("s3", [], []), ("s4", ["s2", "s3"], []))
    async with app_of(None, plans(written), policies=[PLANNER_IS_STRONG, told]) as app:
        app.engine = dataclasses.replace(app.engine, clock=lambda: now)  # no time passes
        assert (await app.planner_executor(deadline=90.0).ainvoke({"task": "?"}))["state"] == "done"
    shares = {sid: told.deadlines[sid] for sid in ("s1", "s2", "s3", "s4")}
    assert shares == pytest.approx({"s1": 30.0, "s2": 45.0, "s3": 45.0, "s4": 90.0})


async def test_a_step_with_tools_is_given_two_turns_of_the_deadline(tmp_path):
    @tool(read_only=True)
    def look(item: str) -> str:
        """Look.

        Args:
            item: at what
        """
        return "seen"

    told, now = Told(), time.monotonic()
    async with app_of(None, plans(plan(("s1", [], ["look"]), ("s2", ["s1"], []))), policies=[told]) as app:
        app.engine = dataclasses.replace(app.engine, clock=lambda: now)
        await app.planner_executor([look], deadline=90.0, step_deadline=1000.0).ainvoke({"task": "?"})
    assert told.deadlines["s1"] == pytest.approx(60.0)
