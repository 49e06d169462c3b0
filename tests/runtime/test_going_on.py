"""Who goes on with a run and from where: another version of the agent, another process, an older state."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command

from orchestra import RecoveryPolicy, Tool, tool
from orchestra.errors import ConfigError, RunOwned
from orchestra.ledger import Planned, RunEnded, RunResumed, ToolStarted
from orchestra.runtime.questions import DECISIONS
from orchestra.testing import CallTool, Error, Silence
from orchestra.types import Price
from tests.examples.running import ROOT
from tests.examples.running import run as run_script
from tests.runtime.scripts import THREAD, app_of, asked, events, obedient, plan, plans
from tests.runtime.till import PAYS, TASK, Till, approved, cut_short


def named(name: str, words: str = "Look.") -> Tool:
    def look(item: str) -> str:
        return f"{name} saw {item}"

    look.__name__, look.__doc__ = name, f"{words}\n\nArgs:\n    item: at what"
    return tool(read_only=True)(look)


async def interrupted(folder: Path, strong: Any, *tools: Tool) -> None:
    """A run that waits with its step `s1`, which pays."""
    pay = approved()
    async with app_of(folder, strong) as app:
        assert list(asked(await app.planner_executor([pay, *tools]).ainvoke(TASK, THREAD))) == ["s1"]


LATER = plan(("s1", [], ["pay"]), ("s2", ["s1"], ["look"]))


async def test_a_run_whose_next_step_needs_a_tool_that_is_gone_is_refused_with_both_ways_out(tmp_path):
    await interrupted(tmp_path, plans(LATER), named("look"))
    async with app_of(tmp_path, plans(LATER)) as app:
        with pytest.raises(ConfigError) as refused:
            await app.planner_executor([approved()]).ainvoke(Command(resume=True), THREAD)
    assert str(refused.value) == (
        "run r needs tools that this version of the agent does not have: 'look' (step 's2'); its tools: pay. "
        "Give them back, or resume with `changed`, a text that says what is different: the rest is planned anew"
    )
    async with app_of(tmp_path, plans(LATER)) as app:
        out = await app.planner_executor([approved(), named("look")]).ainvoke(Command(resume=True), THREAD)
    assert out["answer"] == "s2: look saw s2"


async def test_with_changed_the_rest_is_planned_for_the_tools_that_are_left(tmp_path):
    await interrupted(tmp_path, plans(LATER), named("look"))
    strong = plans(LATER, plan(("s3", [], ["gaze"])))
    async with app_of(tmp_path, strong) as app:
        out = await app.planner_executor([named("gaze")]).ainvoke({"run": "r", "changed": "no look any more"}, THREAD)
        assert events(app, "r", Planned)[-1].reason == "the world has changed: no look any more"
    assert (out["answer"], out["version"], out["replans"]) == ("s3: gaze saw s3", 2, 0)


async def test_how_the_agent_has_changed_is_recorded_where_it_goes_on(tmp_path):
    await interrupted(tmp_path, plans(LATER), named("look"), named("old"))
    async with app_of(tmp_path, plans(LATER)) as app:
        tools = [approved(), named("look", "Look closely."), named("fresh")]
        out = await app.planner_executor(tools).ainvoke(Command(resume=True), THREAD)
        (resumed,) = events(app, "r", RunResumed)
    assert out["state"] == "done"
    assert resumed.notes == (
        "tool 'fresh' is new",
        "tool 'old' is gone; no step that is left needs it",
        "tool 'look' has changed; it is used as it is now",
    )


@pytest.mark.parametrize("given", [Command(resume=True), {"run": "r", "changed": "the bank has moved"}])
@pytest.mark.parametrize(
    ("part", "new"),
    [("max_turns", 7), ("step_output", {"type": "object"}), ("background", "of the bank"), ("fleet", None)],
)
async def test_another_fleet_and_other_parts_of_the_agent_are_recorded_where_it_goes_on(part, new, given, tmp_path):
    await interrupted(tmp_path, plans(PAYS))
    price = {"price": Price(1, 1)} if part == "fleet" else {}
    async with app_of(tmp_path, plans(PAYS, plan(("s2", [], []))), **price) as app:
        options: Any = {} if part == "fleet" else {part: new}
        out = await app.planner_executor([approved()], **options).ainvoke(given, THREAD)
        (resumed,) = events(app, "r", RunResumed)
    assert out["state"] == "done"
    assert resumed.notes == (f"{part} has changed; it is used as it is now",)


@pytest.mark.parametrize("given", [Command(resume=True), {"run": "r"}, {"run": "r", "changed": "it is another's"}])
async def test_a_run_is_not_gone_on_with_by_an_agent_of_another_name(given, tmp_path):
    await interrupted(tmp_path, plans(PAYS))
    async with app_of(tmp_path, plans(PAYS, PAYS)) as app:
        other = app.planner_executor([approved()], name="triage")
        if given == {"run": "r"}:  # it only asks again
            given = {"run": "r", "budget": 1.0}
        with pytest.raises(ConfigError) as refused:
            await other.ainvoke(given, THREAD)
        assert (await app.planner_executor([approved()]).ainvoke({"run": "r", "budget": 2.0}, THREAD))["state"]
    assert str(refused.value) == (
        "run r is of the agent 'planner_executor', and this one is 'triage': resume it with its own agent, or begin a "
        "run of this one"
    )


async def test_a_run_that_does_not_know_its_agents_parts_goes_on_without_a_word(tmp_path):
    await interrupted(tmp_path, plans(PAYS))
    async with app_of(tmp_path, plans(PAYS, plan(("s2", [], [])))) as app:
        agent = app.planner_executor([approved()], max_turns=7)
        await agent.aupdate_state(THREAD, {"agent": {}}, as_node="plan")
        await agent.ainvoke({"run": "r", "changed": "its version"}, THREAD)
        assert [one.notes for one in events(app, "r", RunResumed)] == [()]


async def test_of_two_that_resume_one_goes_on_and_the_other_is_told_who_does(tmp_path):
    till = Till(read_only=True)
    async with cut_short(tmp_path, till):
        till.in_use.clear()
        till.go.clear()
    async with app_of(tmp_path, plans(PAYS)) as app, app_of(tmp_path, plans(PAYS)) as other:
        till.go.clear()
        run = asyncio.create_task(app.planner_executor([till.pay]).ainvoke({"run": "r"}, THREAD))
        await till.in_use.wait()
        for given in ({"run": "r"}, None, TASK):
            with pytest.raises(RunOwned, match="run r is at work in another task of this process") as refused:
                await other.planner_executor([till.pay]).ainvoke(given, THREAD)
        assert "another task of this process" in refused.value.owner
        till.go.set()
        assert (await run)["answer"] == "s1: paid"
        (resumed,) = events(app, "r", RunResumed)
    assert resumed.agent == "planner_executor"


CLAIM = """
import sys
from orchestra.ledger import Ledger
ledger = Ledger(sys.argv[1])
ledger.claim("r")
print("claimed", flush=True)
sys.stdin.read()
"""


async def test_another_process_is_named_and_when_it_is_killed_the_run_is_free(tmp_path):
    till = Till(read_only=True)
    async with cut_short(tmp_path, till), app_of(tmp_path, plans(PAYS)) as app:
        agent = app.planner_executor([till.pay])
        command, pipe = [sys.executable, "-c", CLAIM, str(tmp_path / "l.db")], asyncio.subprocess.PIPE
        other = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        assert other.stdout
        assert await other.stdout.readline() == b"claimed\n"
        with pytest.raises(RunOwned, match=str(other.pid)):
            await agent.ainvoke({"run": "r"}, THREAD)
        other.kill()
        await other.wait()
        assert (await agent.ainvoke({"run": "r"}, THREAD))["state"] == "done"


async def test_a_fork_that_is_left_goes_on_as_itself_and_repeats_nothing(tmp_path):
    till, hung = Till(), asyncio.Event()
    till.go.set()
    strong = plans(plan(("s1", [], ["pay"]), ("s2", ["s1"], [])))

    def small(body: Mapping[str, Any]) -> Any:
        said = obedient(body)
        if len(till.paid) < 2 or hung.is_set() or not isinstance(said, str):
            return said
        hung.set()
        return Silence()

    async with app_of(tmp_path, strong, small) as app:
        agent = app.planner_executor([till.pay])
        await agent.ainvoke(TASK, THREAD)
        (old,) = [one.config async for one in agent.aget_state_history(THREAD) if one.next == ("execute",)]
        run = asyncio.create_task(agent.ainvoke(None, old))
        await hung.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    async with app_of(tmp_path, strong, small) as app:
        fork = next(one.run for one in app.ledger.runs() if one.run != "r")
        out = await app.planner_executor([till.pay]).ainvoke({"run": fork}, THREAD)
        assert events(app, fork, Planned)[0].reason == "forked from run r"
        assert [one.tool for one in events(app, fork, ToolStarted)] == ["pay"]
    assert (out["run"], out["answer"], till.paid) == (fork, "s2: ok", ["s1", "s1"])


async def test_another_task_under_the_id_of_a_run_is_refused(tmp_path):
    till = Till()
    async with cut_short(tmp_path, till), app_of(tmp_path, plans(plan(("s1", [], [])))) as app:
        with pytest.raises(ConfigError, match="run r was begun with another task; give this task an id of its own"):
            await app.planner_executor([till.pay]).ainvoke({"task": "another", "run": "r"}, THREAD)
    assert len(till.paid) == 1


async def test_the_same_task_given_again_under_its_id_is_the_run_that_was_begun(tmp_path):
    @tool
    def pay(cents: int) -> str:
        """Pay.

        Args:
            cents: how many
        """
        paid.append(cents)
        return "paid"

    paid: list[int] = []
    given = {"task": "t", "run": "r"}

    def small(body: dict[str, Any]) -> Any:
        return "all paid" if body["messages"][-1]["role"] == "tool" else CallTool("pay", cents=5)

    async with app_of(tmp_path, plans(plan(("s1", [], ["pay"]))), small) as app:
        first = await app.planner_executor([pay]).ainvoke(given)
        again = await app.planner_executor([pay]).ainvoke(given)
    assert (first["answer"], again["answer"], paid) == ("all paid", "all paid", [5])


DOCS = (ROOT / "docs" / "durability.md").read_text("utf-8")


def test_the_example_of_a_question_runs_as_it_stands(tmp_path):
    (example,) = [block for block in re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL) if "asyncio.run" in block]
    script = tmp_path / "greetings.py"
    script.write_text(example, "utf-8")

    def model(body: dict[str, Any]) -> Any:
        if body.get("response_format"):
            return plan(("s1", [], ["send"]))
        sent = any(one["role"] == "tool" for one in body["messages"])
        return "They have our greetings." if sent else CallTool("send", text="Grüße")

    ended, _ = run_script(script, {"small": model, "strong": model}, tmp_path)
    assert ended.stdout == "send {'text': 'Grüße'}\ndone: They have our greetings.\n", ended.stderr


@pytest.mark.parametrize("kind", list(DECISIONS))
def test_the_page_names_every_kind_of_question_and_what_may_be_decided(kind):
    (row,) = [line for line in DOCS.splitlines() if line.startswith(f"| `{kind}` |")]
    for decision in set(DECISIONS[kind]) - {"answer", "budget"}:
        assert f"`{decision}`" in row


async def test_from_the_very_first_state_the_task_is_done_again_by_a_run_of_its_own(tmp_path):
    till = Till()
    till.go.set()
    async with app_of(tmp_path, plans(PAYS)) as app:
        agent = app.planner_executor([till.pay])
        await agent.ainvoke({**TASK, "budget": 2.0}, THREAD)
        oldest = [one async for one in agent.aget_state_history(THREAD)][-1]
        again = await agent.ainvoke(None, oldest.config)
        assert [one.state for one in events(app, again["run"], RunEnded)] == ["done"]
        assert [one.state for one in events(app, "r", RunEnded)] == ["done"]
    assert again["run"] != "r"
    assert (again["task"], again["budget"], again["answer"], till.paid) == ("?", 2.0, "s1: paid", ["s1", "s1"])


async def test_a_hundred_runs_wait_for_a_person_each_and_go_on_without_mixing(tmp_path):
    pay = approved()
    async with app_of(tmp_path, plans(PAYS)) as app:
        agent = app.planner_executor([pay])
        waiting = [agent.ainvoke({"task": "?", "run": f"r{number}"}) for number in range(100)]
        assert all(list(asked(out)) == ["s1"] for out in await asyncio.gather(*waiting))

        def answer(number: int) -> Any:
            config: Any = {"configurable": {"thread_id": f"r{number}"}}
            return agent.ainvoke(Command(resume=number % 2 == 0), config)

        outs = await asyncio.gather(*map(answer, range(100)))
    assert [out["run"] for out in outs] == [f"r{number}" for number in range(100)]
    assert [("paid" in out["answer"]) for out in outs] == [number % 2 == 0 for number in range(100)]


async def test_a_run_that_could_not_be_planned_is_planned_when_it_is_resumed(tmp_path):
    down = [True]
    good = plans(plan(("s1", [], [])))
    async with app_of(tmp_path, lambda body: Error(400) if down else good(body), lambda _: Error(400)) as app:
        out = await app.planner_executor().ainvoke(TASK, THREAD)
        assert (out["state"], out["reason"][:16]) == ("failed", "planning failed:")
    down.clear()
    async with app_of(tmp_path, good) as app:
        out = await app.planner_executor().ainvoke({"run": "r"}, THREAD)
        assert [one.state for one in events(app, "r", RunEnded)] == ["failed", "done"]
    assert (out["state"], out["answer"], out["reason"]) == ("done", "s1: ok", "")


async def test_a_reply_that_was_accepted_is_not_asked_for_again_after_a_question(tmp_path):
    requests: list[str] = []

    def small(body: Mapping[str, Any]) -> Any:
        requests.append(body["messages"][-1]["role"])
        return obedient(body)

    pay = approved()
    async with app_of(tmp_path, plans(PAYS), small) as app:
        await app.planner_executor([pay]).ainvoke(TASK, THREAD)
    async with app_of(tmp_path, plans("no plan is asked for"), small) as app:
        out = await app.planner_executor([pay]).ainvoke(Command(resume=True), THREAD)
    assert (out["answer"], requests) == ("s1: paid", ["user", "tool"])


async def test_where_the_policy_says_so_an_act_that_was_cut_short_ends_its_step_without_a_question(tmp_path):
    till = Till()
    options: Any = {"recovery": RecoveryPolicy(max_replans=0, overrides={"tool_unknown": "fail"})}
    async with cut_short(tmp_path, till), app_of(tmp_path, plans(PAYS), **options) as app:
        out = await app.planner_executor([till.pay]).ainvoke({"run": "r"}, THREAD)
    assert (out["state"], len(till.paid)) == ("failed", 1)
    assert "pay was started and its end was never recorded; what it did is not known" in out["reason"]
