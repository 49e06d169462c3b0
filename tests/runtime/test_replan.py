"""A plan that no longer works is made anew and what was finished stays; where nothing helps, what is known is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from orchestra import RecoveryPolicy, Tool, tool
from orchestra.ledger import Planned, RunEnded, StepEnded, ToolStarted, steps
from orchestra.testing import CallTool, Error, Say, Silence
from orchestra.toolbox import Replan, ToolFailed
from tests.runtime.scripts import THREAD, app_of, asked, events, obedient, plan, plans, users
from tests.runtime.till import Till, approved, cut_short

TASK = {"task": "?", "run": "r"}
ONCE: Any = {"recovery": RecoveryPolicy(repairs=0, max_rungs=0, max_replans=1)}


def failing(error: Exception, **kind: bool) -> Tool:
    @tool(**kind)
    def crack(item: str) -> str:
        """Crack it.

        Args:
            item: what
        """
        raise error

    return crack


def looking(looked: list[str]) -> Tool:
    @tool(read_only=True)
    def look(item: str) -> str:
        """Look.

        Args:
            item: at what
        """
        looked.append(item)
        return f"{item} seen"

    return look


FIRST = plan(("s1", [], ["look"]), ("s2", [], ["crack"]), ("s3", ["s1", "s2"], []))
SECOND = plan(("s4", ["s1"], ["look"]), ("s5", ["s1", "s4"], []))


class Watched:
    """A strong model that writes plans, and keeps what it was asked."""

    def __init__(self, *written: Any) -> None:
        self.asked: list[str] = []
        self._plans = plans(*written)

    def __call__(self, body: dict[str, Any]) -> Any:
        self.asked.append(users(body)[-1])
        return self._plans(body)


@pytest.mark.parametrize("error", [ToolFailed("the drawer is stuck"), Replan("the drawer is gone")])
async def test_after_a_step_failed_for_good_the_rest_is_planned_anew_and_what_was_finished_stays(error, tmp_path):
    looked, strong = list[str](), Watched(FIRST, SECOND)
    async with app_of(tmp_path, strong, **ONCE) as app:
        out = await app.planner_executor([looking(looked), failing(error)]).ainvoke(TASK, THREAD)
        first, second = events(app, "r", Planned)
        ended = [(row.step, row.event.state) for row in app.ledger.events("r") if isinstance(row.event, StepEnded)]
    assert (out["state"], out["answer"], looked) == ("done", "s5: ok", ["s1", "s4"])
    assert (out["version"], out["replans"], list(out["steps"])) == (2, 1, ["s1", "s4", "s5"])
    assert (first.version, first.kept, first.reason) == (1, (), "")
    assert (second.version, second.kept) == (2, ("s1",))
    assert second.reason.startswith("step s2 (do s2.) failed: ")
    assert str(error) in second.reason
    assert [one.id for one in second.plan.steps] == ["s1", "s4", "s5"]
    assert dict(ended) == {
        **dict.fromkeys(("plan", "s1", "plan2", "s4", "s5"), "done"),
        "s2": "failed",
        "s3": "skipped",
    }
    assert len(ended) == 7


async def test_the_planner_is_told_what_is_finished_what_went_wrong_and_which_acts_must_not_be_repeated(tmp_path):
    paid: list[str] = []

    @tool
    def pay(item: str) -> str:
        """Pay.

        Args:
            item: for what
        """
        paid.append(item)
        return f"{item} is paid"

    written = plan(("s1", [], ["look"]), ("s2", ["s1"], ["pay", "crack"])), plan(("s3", ["s1"], []))
    strong = Watched(*written)
    async with app_of(tmp_path, strong, **ONCE) as app:
        tools = [looking([]), pay, failing(ToolFailed("stuck"))]
        out = await app.planner_executor(tools).ainvoke(TASK, THREAD)
    told = strong.asked[-1]
    assert out["answer"] == "s3: ok"
    assert "Finished:\n[s1] do s1.\ns1: s1 seen" in told
    assert "Not finished:\n[s2] do s2." in told
    assert 'Already done, never do it again:\npay({"item": "s2"}): s2 is paid' in told
    assert "What happened:\nstep s2 (do s2.) failed: stuck" in told


async def test_a_second_failure_ends_the_run_with_what_is_known_and_what_is_missing(tmp_path):
    again = plan(("s4", [], ["crack"]), ("s5", ["s1", "s4"], []))
    async with app_of(tmp_path, Watched(FIRST, again), **ONCE) as app:
        out = await app.planner_executor([looking([]), failing(ToolFailed("stuck"))]).ainvoke(TASK, THREAD)
        assert [one.version for one in events(app, "r", Planned)] == [1, 2]
    assert (out["state"], out["answer"], out["replans"]) == ("failed", None, 1)
    assert out["reason"] == "step 's4' failed: stuck"
    assert out["missing"] == ["s4 (do s4.): stuck", "s5 (do s5.): needs s4, which did not succeed"]
    known, missing = (
        "- s1 (do s1.): s1: s1 seen",
        "- s4 (do s4.): stuck\n- s5 (do s5.): needs s4, which did not succeed",
    )
    assert out["partial"] == f"Known:\n{known}\nMissing:\n{missing}"


@pytest.mark.parametrize("most", [0, 1, 2, 3])
async def test_a_run_is_planned_anew_at_most_so_often(most, tmp_path):
    numbers = iter(range(2, 99))

    def strong(body: dict[str, Any]) -> str:
        return plan((f"s{next(numbers) if 'came to a halt' in users(body)[-1] else 1}", [], ["crack"]))

    policy = RecoveryPolicy(repairs=0, max_rungs=0, max_replans=most)
    async with app_of(tmp_path, strong, recovery=policy) as app:
        out = await app.planner_executor([failing(ToolFailed("stuck"))]).ainvoke(TASK, THREAD)
        assert len(events(app, "r", Planned)) == 1 + most
    assert (out["state"], out["replans"]) == ("failed", most)


async def test_no_step_of_a_second_new_plan_has_the_id_of_a_step_of_the_first_plan(tmp_path):
    two = plan(("s1", [], ["crack"]), ("s2", [], []))
    later = iter([plan(("s3", [], ["crack"])), plan(("s4", [], []), ("s5", [], []))])
    policy = RecoveryPolicy(repairs=0, max_rungs=0, max_replans=2)

    def small(body: Mapping[str, Any]) -> Any:
        return obedient(body) if body.get("tools") else "ok"

    async with app_of(tmp_path, Watched(two, lambda: next(later)), small, recovery=policy) as app:
        out = await app.planner_executor([failing(Replan("gone"), read_only=True)]).ainvoke(TASK, THREAD)
        last = [made.plan.steps[-1].id for made in events(app, "r", Planned)]
    assert (out["state"], last) == ("done", ["answer", "answer2", "answer3"])


async def test_an_optional_step_that_fails_is_not_planned_anew_and_the_answer_says_what_it_lacks(tmp_path):
    written = plan(("s1", [], ["look"]), ("s2", [], ["crack"]), ("s3", ["s1", "s2"], []), optional=("s2",))
    strong = Watched(written)
    async with app_of(tmp_path, strong, **ONCE) as app:
        out = await app.planner_executor([looking([]), failing(ToolFailed("stuck"))]).ainvoke(TASK, THREAD)
        assert len(events(app, "r", Planned)) == 1
    assert (out["state"], out["answer"]) == ("done", "s3: ok\n\nMissing: s2 (do s2.): stuck")
    assert (out["missing"], out["partial"]) == (["s2 (do s2.): stuck"], "")


async def test_a_step_that_needs_an_optional_one_is_told_that_it_has_no_result(tmp_path):
    written = plan(("s1", [], ["crack"]), ("s2", ["s1"], []), optional=("s1",))
    seen: list[str] = []

    def small(body: Mapping[str, Any]) -> Any:
        seen.append(users(body)[0])
        return obedient(body)

    async with app_of(tmp_path, Watched(written), small, **ONCE) as app:
        await app.planner_executor([failing(ToolFailed("stuck"))]).ainvoke(TASK, THREAD)
    assert "[s1] do s1.\n(no result: stuck)" in seen[-1]


async def test_steps_that_run_beside_the_one_that_failed_come_to_their_end_first(tmp_path):
    order: list[str] = []
    failed = asyncio.Event()

    @tool(read_only=True)
    async def look(item: str) -> str:
        """Look.

        Args:
            item: at what
        """
        if item == "s1":
            await failed.wait()
        order.append(item)
        return "seen"

    @tool
    def crack(item: str) -> str:
        """Crack it.

        Args:
            item: what
        """
        order.append("crack")
        failed.set()
        raise Replan("it is gone")

    async with app_of(tmp_path, Watched(FIRST, SECOND), **ONCE) as app:
        out = await app.planner_executor([look, crack]).ainvoke(TASK, THREAD)
    assert (out["state"], order) == ("done", ["crack", "s1", "s4"])


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (lambda: Error(400), "replanning failed: "),
        ('{"steps": []}', "replanning failed: "),
        (plan(("s2", [], [])), "replanning failed: "),  # an id that was used before
    ],
)
async def test_where_no_new_plan_comes_the_run_ends_with_both_reasons_and_what_is_known(second, said, tmp_path):
    strong = Watched(FIRST, second)
    async with app_of(tmp_path, strong, **ONCE) as app:
        out = await app.planner_executor([looking([]), failing(ToolFailed("stuck"))]).ainvoke(TASK, THREAD)
        assert [one.state for one in steps(app.ledger.events("r")) if one.id == "plan2"] == ["failed"]
        assert [one.state for one in events(app, "r", RunEnded)] == ["failed"]
    assert out["state"] == "failed"
    assert out["reason"].startswith("step 's2' failed: stuck | " + said)
    assert out["partial"].startswith("Known:\n- s1 (do s1.)")


CHANGED = {"run": "r", "changed": "the shop is closed"}


def down_once(second: str) -> Any:
    """A planner whose first new plan fails with its provider, and whose next is this."""
    left: list[Any] = [Error(400), second]
    return lambda: left.pop(0)


async def test_where_no_plan_comes_for_a_changed_world_the_old_one_is_not_carried_out(tmp_path):
    strong, pay = (
        Watched(plan(("s1", [], ["look"]), ("s2", ["s1"], ["pay"])), down_once(plan(("s3", [], [])))),
        approved(),
    )
    async with app_of(tmp_path, strong) as app:
        agent = app.planner_executor([looking([]), pay])
        assert list(asked(await agent.ainvoke(TASK, THREAD))) == ["s2"]
        out = await agent.ainvoke(CHANGED, THREAD)
        assert "__interrupt__" not in out
        assert [one.state for one in events(app, "r", RunEnded)] == ["interrupted", "failed"]
        assert (out["state"], out["changed"], out["replans"]) == ("failed", "the shop is closed", 0)
        assert out["reason"].startswith("replanning failed: ")
        assert out["missing"] == ["s2 (do s2.): it was not done"]
        assert out["partial"].startswith("Known:\n- s1 (do s1.): s1: s1 seen")
        out = await agent.ainvoke({"run": "r"}, THREAD)
    assert "the world has changed: the shop is closed" in strong.asked[-1]
    assert (out["state"], out["answer"], out["changed"], out["replans"]) == ("done", "s3: ok", None, 0)


async def test_a_run_that_was_done_has_no_answer_while_nobody_plans_for_the_changed_world(tmp_path):
    async with app_of(tmp_path, Watched(plan(("s1", [], ["look"])), lambda: Error(400))) as app:
        agent = app.planner_executor([looking([])])
        await agent.ainvoke(TASK, THREAD)
        out = await agent.ainvoke(CHANGED, THREAD)
    assert (out["state"], out["answer"], out["missing"]) == ("failed", None, [])
    assert "- s1 (do s1.): s1: s1 seen" in out["partial"]


async def test_all_that_has_changed_is_told_until_it_is_planned_for(tmp_path):
    strong = Watched(plan(("s1", [], ["look"])), down_once(plan(("s2", [], []))))
    async with app_of(tmp_path, strong) as app:
        agent = app.planner_executor([looking([])])
        for given in (TASK, CHANGED, {"run": "r", "changed": "the bank too"}):
            out = await agent.ainvoke(given, THREAD)
    assert "the world has changed: the shop is closed\nthe bank too" in strong.asked[-1]
    assert (out["answer"], out["changed"]) == ("s2: ok", None)


async def test_after_an_outage_of_the_planner_a_resumed_run_may_still_be_planned_anew(tmp_path):
    def small(body: Mapping[str, Any]) -> Any:
        return CallTool("crack", item=str(len(body["messages"]))) if body.get("tools") else obedient(body)

    strong = Watched(plan(("s1", [], ["crack"])), down_once(plan(("s2", [], []))))
    async with app_of(tmp_path, strong, small, **ONCE) as app:
        agent = app.planner_executor([failing(ToolFailed("stuck"), read_only=True)])
        out = await agent.ainvoke(TASK, THREAD)
        assert (out["state"], out["replans"]) == ("failed", 0)
        out = await agent.ainvoke({"run": "r"}, THREAD)
    assert (out["state"], out["answer"], out["replans"]) == ("done", "s2: ok", 1)


async def test_a_question_that_was_answered_is_not_asked_again_where_no_new_plan_comes(tmp_path):
    till, strong = Till(), Watched(plan(("s1", [], ["pay"])), down_once(plan(("s2", [], []))))
    async with cut_short(tmp_path, till, strong), app_of(tmp_path, strong) as app:
        agent = app.planner_executor([till.pay])
        (question,) = (await agent.ainvoke(CHANGED, THREAD))["__interrupt__"]
        out = await agent.ainvoke({"run": "r", "answers": {question.value["question"]: "done"}}, THREAD)
        assert (out["state"], "__interrupt__" in out) == ("failed", False)
        out = await agent.ainvoke({"run": "r"}, THREAD)
    assert 'pay({"item": "s1"}): done, as a person confirmed' in strong.asked[-1]
    assert (out["answer"], till.paid) == ("s2: ok", ["s1"])


async def test_with_a_changed_world_a_run_that_was_done_is_planned_anew_from_what_it_found(tmp_path):
    looked, strong = list[str](), Watched(plan(("s1", [], ["look"])), plan(("s2", ["s1"], ["look"])))
    async with app_of(tmp_path, strong) as app:
        agent = app.planner_executor([looking(looked)])
        assert (await agent.ainvoke(TASK, THREAD))["answer"] == "s1: s1 seen"
        out = await agent.ainvoke({"run": "r", "changed": "the shop has moved"}, THREAD)
        assert events(app, "r", Planned)[1].kept == ("s1",)
        assert [one.state for one in events(app, "r", RunEnded)] == ["done", "done"]
    assert "What happened:\nthe world has changed: the shop has moved" in strong.asked[-1]
    assert (out["answer"], out["replans"], out["changed"], looked) == ("s2: s2 seen", 0, None, ["s1", "s2"])


async def test_a_run_left_in_its_replan_makes_the_plan_once_it_is_gone_on_with(tmp_path):
    hung = asyncio.Event()

    def hangs() -> Any:
        hung.set()
        return Silence()

    looked: list[str] = []
    tools = [looking(looked), failing(Replan("it is gone"))]
    async with app_of(tmp_path, Watched(FIRST, hangs), **ONCE) as app:
        run = asyncio.create_task(app.planner_executor(tools).ainvoke(TASK, THREAD))
        await hung.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    async with app_of(tmp_path, Watched("no plan", SECOND), **ONCE) as app:
        out = await app.planner_executor(tools).ainvoke({"run": "r"}, THREAD)
        assert [one.tool for one in events(app, "r", ToolStarted)].count("crack") == 1
    assert (out["state"], out["answer"], looked) == ("done", "s5: ok", ["s1", "s4"])


async def test_a_step_whose_call_no_model_can_write_leads_to_a_new_plan_too(tmp_path):
    def small(body: Mapping[str, Any]) -> Any:
        return CallTool("lok") if body.get("tools") else obedient(body)

    strong = Watched(plan(("s1", [], ["crack"])), plan(("s2", [], [])))
    async with app_of(tmp_path, strong, small, **ONCE) as app:
        out = await app.planner_executor([failing(ToolFailed("never"))]).ainvoke(TASK, THREAD)
    assert (out["answer"], list(out["steps"])) == ("s2: ok", ["s2"])
    assert "lok: no tool has this name" in strong.asked[-1]


async def test_acts_that_a_model_wrote_after_a_call_that_wants_another_plan_are_not_done(tmp_path):
    done: list[str] = []

    @tool
    def pay(item: str) -> str:
        """Pay.

        Args:
            item: for what
        """
        done.append(item)
        return "paid"

    told: list[str] = []

    def small(body: Mapping[str, Any]) -> Any:
        told.extend(one["content"] for one in body["messages"] if one["role"] == "tool")
        return "gave up" if told else Say(calls=(CallTool("crack", item="a"), CallTool("pay", item="a")))

    policy = RecoveryPolicy(max_replans=0)
    async with app_of(tmp_path, plans(plan(("s1", [], ["crack", "pay"]))), small, recovery=policy) as app:
        agent = app.planner_executor([failing(Replan("the account was closed"), read_only=True), pay])
        assert (await agent.ainvoke(TASK, THREAD))["state"] == "failed"
        out = await agent.ainvoke({"run": "r"}, THREAD)  # nor when the run is resumed
        assert [one.tool for one in events(app, "r", ToolStarted)] == ["crack"]
    assert (out["answer"], done) == ("gave up", [])
    assert told[-1].endswith("not made: a call before this one showed that the plan no longer holds")


async def test_the_answer_of_a_plan_that_no_longer_holds_is_none_while_a_person_is_asked_about_the_new_one(tmp_path):
    strong = plans(plan(("s1", [], ["look"])), plan(("s2", [], ["pay"])))
    async with app_of(tmp_path, strong) as app:
        agent = app.planner_executor([looking([]), approved()])
        assert (await agent.ainvoke(TASK, THREAD))["answer"] == "s1: s1 seen"
        out = await agent.ainvoke({"run": "r", "changed": "the shop has moved"}, THREAD)
    assert (out["state"], out["answer"], list(asked(out))) == ("interrupted", None, ["s2"])


async def test_what_a_failed_run_lacked_is_told_no_more_once_it_is_tried_again(tmp_path):
    def stubborn(body: Mapping[str, Any]) -> Any:
        return CallTool("crack", item="s2") if "crack" in str(body.get("tools")) else obedient(body)

    strong = plans(plan(("s1", [], ["look"]), ("s2", ["s1"], ["crack"])))
    options: Any = {"recovery": RecoveryPolicy(repairs=0, max_rungs=0, max_replans=0)}
    async with app_of(tmp_path, strong, stubborn, **options) as app:
        agent = app.planner_executor([looking([]), failing(Replan("stuck"), needs_approval=True)])
        name = asked(await agent.ainvoke(TASK, THREAD))["s2"].value["question"]
        out = await agent.ainvoke({"run": "r", "answers": {name: True}}, THREAD)
        assert (len(out["missing"]), out["partial"].splitlines()[0]) == (1, "Known:")
        out = await agent.ainvoke({"run": "r"}, THREAD)
    assert (out["state"], out["missing"], out["partial"]) == ("interrupted", [], "")
