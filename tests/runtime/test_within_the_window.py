"""A step whose history nears its model's window, or is said to be over it, goes on with less of it."""

from __future__ import annotations

import re
from typing import Any

from langgraph.types import Command

from orchestra import tool
from orchestra.ledger import ContextShrunk
from orchestra.testing import CallTool, Error, ScriptedModel, scripted_app
from tests.runtime.scripts import PLANNER_IS_STRONG, THREAD, events, plan

PLAN = plan(("s1", [], ["look"]))


@tool(read_only=True)
def look(page: int) -> str:
    """Look a page up.

    Args:
        page: which
    """
    return f"page {page}: " + f"line of page {page}, " * 150


def reading(pages: int) -> Any:
    """A model that looks so many pages up, one a turn, and says how many."""

    def reply(body: dict[str, Any]) -> Any:
        if body["messages"][0]["content"].startswith("You shorten the record"):
            return "pages were read"
        made = sum(len(one.get("tool_calls", ())) for one in body["messages"])
        seen = sum("pages were read" in str(one["content"]) for one in body["messages"])
        return CallTool("look", page=made + 3 * seen) if made + 3 * seen < pages else "all read"

    return reply


async def run(folder: Any, small: Any, **card: Any) -> tuple[dict[str, Any], list[ContextShrunk], ScriptedModel]:
    model = ScriptedModel("small", small, **card)
    strong = ScriptedModel("strong", lambda _: PLAN, tier="capable")
    async with scripted_app(model, strong, ledger=folder / "l.db", policies=[PLANNER_IS_STRONG]) as app:
        out = await app.planner_executor([look], max_turns=9).ainvoke({"task": "t", "run": "r"})
        return out, events(app, "r", ContextShrunk), model


async def test_old_results_are_left_out_near_the_window_and_can_be_read_again(tmp_path):
    out, shrunk, model = await run(tmp_path, reading(6), window=4000, max_output=400)
    assert (out["state"], out["answer"]) == ("done", "all read")
    assert shrunk
    assert all(one.after < one.before for one in shrunk)
    assert sum(one.pruned for one in shrunk) > 0
    last = model.requests[-1]
    assert "read_result" in [one["function"]["name"] for one in last["tools"]]
    assert 'read_result(handle="s1.1"' in str(last["messages"])


async def test_in_a_long_step_summaries_are_written_from_results_and_all_of_them_can_be_read_again(tmp_path):
    pages, asked, last = 40, [], []

    def reads(body: dict[str, Any]) -> Any:
        if body["messages"][0]["content"].startswith("You shorten the record"):
            asked.append(str(body["messages"]))
            return "pages were read"
        last[:] = body["messages"]
        done = sum(1 for _ in model.requests) - len(asked) - 1
        return CallTool("look", page=done) if done < pages else "all read"

    model = ScriptedModel("small", reads, window=4000, max_output=400)
    strong = ScriptedModel("strong", lambda _: PLAN, tier="capable")
    async with scripted_app(model, strong, ledger=tmp_path / "l.db", policies=[PLANNER_IS_STRONG]) as app:
        out = await app.planner_executor([look], max_turns=pages + 1).ainvoke({"task": "t"})
    assert (out["answer"], len(asked) > 1) == ("all read", True)
    assert all("line of page" in one and "left out to save room" not in one for one in asked)
    told = re.findall(r"s1\.(\d+)(?: to s1\.(\d+))? \(look\)", str(last))
    listed = {number for first, end in told for number in range(int(first), int(end or first) + 1)}
    shown = {int(number) for number in re.findall(r"page (\d+): line", str(last))}
    stubs = {int(number) for number in re.findall(r'handle=."s1\.(\d+)', str(last).replace("\\", ""))}
    assert listed | stubs | {number + 1 for number in shown} == set(range(1, pages + 1))


async def test_a_provider_that_says_it_is_too_much_is_asked_again_with_less(tmp_path):
    told: list[int] = []

    def small(body: dict[str, Any]) -> Any:
        size = len(str(body["messages"]))
        told.append(size)
        if size > 9_000:
            return Error.context_overflow()
        return reading(4)(body)

    out, shrunk, _ = await run(tmp_path, small, window=100_000)
    assert out["state"] == "done", out["reason"]
    assert len(shrunk) == 1
    assert max(told) > 9_000 > told[-1]


async def test_where_leaving_results_out_is_not_enough_old_turns_become_a_summary_by_a_cheap_model(tmp_path):
    wordy = "why I look here: " + "because " * 700

    def small(body: dict[str, Any]) -> Any:
        if body["messages"][0]["content"].startswith("You shorten the record"):
            return "four pages were read"
        turns = sum(one["role"] == "assistant" for one in body["messages"])
        short = any("four pages were read" in str(one["content"]) for one in body["messages"])
        return "all read" if short else CallTool("look", page=turns, why=wordy)

    @tool(read_only=True, name="look")
    def talkative(page: int, why: str) -> str:
        """Look a page up.

        Args:
            page: which
            why: for what
        """
        return f"page {page}"

    model, strong = (
        ScriptedModel("small", small, window=6000, max_output=400),
        ScriptedModel("strong", lambda _: PLAN, "capable"),
    )
    async with scripted_app(model, strong, ledger=tmp_path / "l.db", policies=[PLANNER_IS_STRONG]) as app:
        out = await app.planner_executor([talkative], max_turns=9).ainvoke({"task": "t", "run": "r"})
        (shrunk,) = events(app, "r", ContextShrunk)
    assert (out["state"], out["answer"]) == ("done", "all read")
    assert (shrunk.summarised > 0, shrunk.model) == (True, "small")


async def test_a_resumed_step_has_the_history_that_was_shrunk_before(tmp_path):
    @tool(needs_approval=True)
    def sign(name: str) -> str:
        """Sign.

        Args:
            name: with which name
        """
        return "signed"

    def small(body: dict[str, Any]) -> Any:
        if "signed" in str(body["messages"][-1]["content"]):
            return "read and signed"
        said = reading(6)(body)
        return CallTool("sign", name="Ada") if said == "all read" else said

    both = plan(("s1", [], ["look", "sign"]))
    model = ScriptedModel("small", small, window=4000, max_output=400)
    strong = ScriptedModel("strong", lambda _: both, tier="capable")
    async with scripted_app(model, strong, ledger=tmp_path / "l.db", policies=[PLANNER_IS_STRONG]) as app:
        agent = app.planner_executor([look, sign], max_turns=9)
        await agent.ainvoke({"task": "t", "run": "r"}, THREAD)
        before, shrunk = model.requests[-1]["messages"], len(events(app, "r", ContextShrunk))
        out = await agent.ainvoke(Command(resume=True), THREAD)
        assert len(events(app, "r", ContextShrunk)) == shrunk > 0
    assert out["answer"] == "read and signed"
    assert model.requests[-1]["messages"][: len(before)] == before


async def test_a_history_that_was_shrunk_for_a_reply_that_never_came_is_not_shrunk_again_for_it(tmp_path):
    sent: list[Any] = []

    def small(body: dict[str, Any]) -> Any:
        if len(sent) < 2 and "read_result" in str(body["messages"]):  # the first request that was made smaller
            sent.append(body["messages"])
            return Error(400) if len(sent) == 1 else "all read"
        return reading(6)(body)

    model = ScriptedModel("small", small, window=4000, max_output=400)
    strong = ScriptedModel("strong", lambda _: PLAN, tier="capable")
    async with scripted_app(model, strong, ledger=tmp_path / "l.db", policies=[PLANNER_IS_STRONG]) as app:
        agent = app.planner_executor([look], max_turns=9)
        assert (await agent.ainvoke({"task": "t", "run": "r"}, THREAD))["state"] == "failed"
        out = await agent.ainvoke({"run": "r"}, THREAD)
        assert len(events(app, "r", ContextShrunk)) == 1
    assert (out["answer"], sent[0]) == ("all read", sent[1])
