"""People are asked as LangGraph asks: one question or several, answered together, one by one, or days later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from orchestra import RecoveryPolicy, Tool, tool
from orchestra.errors import ConfigError
from orchestra.ledger import HumanAnswered, HumanAsked, RunEnded, RunResumed, ToolStarted, questions
from orchestra.testing import CallTool, Say
from orchestra.toolbox import ToolFailed, ask_human
from tests.runtime.scripts import THREAD, app_of, asked, events, obedient, plan, plans

ONE = plan(("s1", [], ["send"]))
TWO = plan(("s1", [], ["send"]), ("s2", [], ["send"]), ("s3", ["s1", "s2"], []))
TASK = {"task": "send it", "run": "r"}


class Post:
    """Sends, once a person has said so; `sent` is what left the house."""

    def __init__(self) -> None:
        self.sent: list[str] = []

        @tool(needs_approval=True)
        def send(item: str, copies: int = 1) -> str:
            """Send it.

            Args:
                item: what
                copies: how many
            """
            self.sent.append(item)
            return f"{item} is gone"

        self.send: Tool = send


async def answered(folder: Any, post: Post, *answers: Any, strong: Any = None) -> dict[str, Any]:
    """The run's state after these answers, each to the one question that is open, each given in a new process."""
    async with app_of(folder, strong or plans(ONE)) as app:
        out = await app.planner_executor([post.send, ask_human]).ainvoke(TASK, THREAD)
    for answer in answers:
        async with app_of(folder, strong or plans(ONE)) as app:
            out = await app.planner_executor([post.send, ask_human]).ainvoke(Command(resume=answer), THREAD)
    return out


async def test_a_question_says_what_would_be_done_where_and_what_may_be_decided(tmp_path):
    post = Post()
    out = await answered(tmp_path, post)
    (one,) = out["__interrupt__"]
    assert {key: value for key, value in one.value.items() if key != "question"} == {
        "kind": "approval",
        "step": "s1",
        "goal": "do s1.",
        "text": "may send be called with these arguments?",
        "tool": "send",
        "arguments": {"item": "s1"},
        "read_only": False,
        "decisions": ["approve", "edit", "reject"],
    }
    assert (out["state"], out["reason"]) == (
        "interrupted",
        "a person is asked: s1: may send be called with these arguments?",
    )
    assert json.loads(json.dumps(one.value)) == one.value
    assert not post.sent


@pytest.mark.parametrize("yes", [True, "approve", " Approve ", {"decision": "approve"}])
async def test_yes_in_every_form_sends_once_and_the_run_goes_on_days_later_in_another_process(yes, tmp_path):
    post = Post()
    out = await answered(tmp_path, post, yes)
    assert (out["state"], out["answer"], post.sent) == ("done", "s1: s1 is gone", ["s1"])
    async with app_of(tmp_path, plans(ONE)) as app:
        assert [one.state for one in events(app, "r", RunEnded)] == ["interrupted", "done"]
        assert len(events(app, "r", HumanAsked)) == len(events(app, "r", RunResumed)) == 1
        (told,) = questions(app.ledger.events("r"))
        assert (told.state, told.decision) == ("answered", "approve")


@pytest.mark.parametrize("no", [False, "reject", {"decision": "reject", "text": "not to them"}])
async def test_no_sends_nothing_and_the_model_is_told_why(no, tmp_path):
    post = Post()
    out = await answered(tmp_path, post, no)
    reason = ": not to them" if isinstance(no, dict) else ""
    assert out["answer"] == f"s1: Error: a person refused this call{reason}; do not make it again"
    assert not post.sent


async def test_a_yes_to_a_call_raises_no_cap(tmp_path):
    out = await answered(tmp_path, Post(), {"decision": "approve", "usd": 1000})
    assert (out["state"], out["budget"]) == ("done", None)


async def test_an_edited_call_is_what_is_made_and_the_model_is_told_of_the_change(tmp_path):
    post = Post()
    out = await answered(tmp_path, post, {"decision": "edit", "arguments": {"item": "ein Gruß"}})
    assert post.sent == ["ein Gruß"]
    assert out["answer"] == 's1: (a person changed the arguments to {"item": "ein Gruß"})\nein Gruß is gone'


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("perhaps", "'perhaps' is no decision here; decide one of: approve, edit, reject"),
        (7, "expected true, false, a word or an object with 'decision', got 7"),
        ({"yes": 1}, "expected an object with 'decision'"),
        ({"decision": "edit", "arguments": {"itm": "x"}}, "the edited arguments do not fit send: "),
        ({"decision": "edit", "arguments": ["x"]}, "expected 'text' to be text and 'arguments' an object"),
        ({"decision": "budget", "usd": 3}, "'budget' is no decision here"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_asked_again_with_what_is_wrong(bad, said, tmp_path):
    post = Post()
    out = await answered(tmp_path, post, bad)
    (one,) = out["__interrupt__"]
    assert one.value["error"].startswith(said)
    assert not post.sent
    assert (await answered_more(tmp_path, post, True))["answer"] == "s1: s1 is gone"


async def answered_more(folder: Any, post: Post, answer: Any) -> dict[str, Any]:
    async with app_of(folder, plans(ONE)) as app:
        return await app.planner_executor([post.send]).ainvoke(Command(resume=answer), THREAD)


async def test_several_questions_are_open_at_once_and_answered_together(tmp_path):
    post = Post()
    async with app_of(tmp_path, plans(TWO)) as app:
        agent = app.planner_executor([post.send])
        out = await agent.ainvoke(TASK, THREAD)
        assert list(asked(out)) == ["s1", "s2"]
        answers = {one.id: sid == "s1" for sid, one in asked(out).items()}
        out = await agent.ainvoke(Command(resume=answers), THREAD)
    assert (out["state"], post.sent) == ("done", ["s1"])
    assert out["steps"]["s2"]["text"].startswith("s2: Error: a person refused")


async def test_several_questions_are_answered_one_by_one_and_nothing_is_done_before_the_last(tmp_path):
    post = Post()
    async with app_of(tmp_path, plans(TWO)) as app:
        out = await app.planner_executor([post.send]).ainvoke(TASK, THREAD)
    async with app_of(tmp_path, plans(TWO)) as app:
        last = await app.planner_executor([post.send]).ainvoke(Command(resume={asked(out)["s2"].id: True}), THREAD)
        assert (list(asked(last)), post.sent) == (["s1"], [])
    async with app_of(tmp_path, plans(TWO)) as app:
        out = await app.planner_executor([post.send]).ainvoke(Command(resume={asked(last)["s1"].id: True}), THREAD)
        assert [one.decision for one in events(app, "r", HumanAnswered)] == ["approve", "approve"]
    assert (out["state"], sorted(post.sent)) == ("done", ["s1", "s2"])


async def test_what_needs_no_person_goes_on_while_a_question_is_open(tmp_path):
    post = Post()
    async with app_of(tmp_path, plans(plan(("s1", [], ["send"]), ("s2", [], []), ("s3", ["s1", "s2"], [])))) as app:
        out = await app.planner_executor([post.send]).ainvoke(TASK, THREAD)
    assert {sid: one["state"] for sid, one in out["steps"].items()} == {"s2": "done"}


async def test_to_resume_without_an_answer_asks_the_same_again_and_records_it_once(tmp_path):
    post = Post()
    first = await answered(tmp_path, post)
    for again in (None, {"run": "r"}):
        async with app_of(tmp_path, plans(ONE)) as app:
            out = await app.planner_executor([post.send]).ainvoke(again, THREAD)
            assert out["__interrupt__"] == first["__interrupt__"]
            assert len(events(app, "r", HumanAsked)) == 1
    assert not post.sent


async def test_an_answer_given_twice_does_nothing_twice(tmp_path):
    post = Post()
    out = await answered(tmp_path, post, True, True)
    assert (out["state"], post.sent) == ("done", ["s1"])


async def test_a_model_asks_and_reads_the_persons_own_words(tmp_path):
    post = Post()
    strong = plans(plan(("s1", [], ["ask_human"])))
    out = await answered(tmp_path, post, strong=strong)
    value = out["__interrupt__"][0].value
    assert (value["kind"], value["text"], value["read_only"]) == ("question", "what of s1?", True)
    out = await answered_words(tmp_path, post, strong, " ")
    assert out["__interrupt__"][0].value["error"] == "the answer is empty; give it as text"
    assert (await answered_words(tmp_path, post, strong, "das Übliche"))["answer"] == "s1: das Übliche"


async def answered_words(folder: Any, post: Post, strong: Any, words: str) -> dict[str, Any]:
    async with app_of(folder, strong) as app:
        return await app.planner_executor([post.send, ask_human]).ainvoke(Command(resume=words), THREAD)


async def test_a_question_in_a_later_turn_repeats_nothing_of_the_turns_before(tmp_path):
    looked: list[str] = []
    post = Post()

    @tool(read_only=True)
    def look(item: str) -> str:
        """Look.

        Args:
            item: at what
        """
        looked.append(item)
        return "seen"

    strong = plans(plan(("s1", [], ["look", "send"])))
    requests: list[Mapping[str, Any]] = []

    def small(body: Mapping[str, Any]) -> Any:
        requests.append(body)
        return obedient(body)

    async with app_of(tmp_path, strong, small) as app:
        await app.planner_executor([look, post.send]).ainvoke(TASK, THREAD)
    async with app_of(tmp_path, strong, small) as app:
        out = await app.planner_executor([look, post.send]).ainvoke(Command(resume=True), THREAD)
        assert [one.tool for one in events(app, "r", ToolStarted)] == ["look", "send"]
    assert (out["answer"], looked, post.sent, len(requests)) == ("s1: seen, s1 is gone", ["s1"], ["s1"], 3)


def stuck(body: Mapping[str, Any]) -> Any:
    return CallTool("crack", item=str(len(body["messages"]))) if body.get("tools") else "said without it"


@pytest.mark.parametrize(
    ("decision", "state", "text"),
    [
        ({"decision": "answer", "text": "42, as I know"}, "done", "42, as I know"),
        ({"decision": "repeat", "text": "take the key"}, "done", "s1: opened"),
        ("repeat", "done", "s1: opened"),
        ({"decision": "fail", "text": "give it up"}, "failed", "step 's1' failed: a person ended the step: give it up"),
    ],
)
async def test_a_step_that_is_stuck_asks_a_person_who_answers_it_repeats_it_or_ends_it(decision, state, text, tmp_path):
    locked, heard = [True], list[str]()

    @tool(read_only=True)
    def crack(item: str) -> str:
        """Crack it.

        Args:
            item: what
        """
        if locked:
            raise ToolFailed("it is locked")
        return "opened"

    def small(body: Mapping[str, Any]) -> Any:
        heard.append(json.dumps(body["messages"]))
        results = [one["content"] for one in body["messages"] if one["role"] == "tool"]
        return "s1: opened" if "opened" in results else stuck(body)

    options: Any = {"recovery": RecoveryPolicy(overrides={"tool_error": "ask_human"})}
    strong = plans(plan(("s1", [], ["crack"])))
    async with app_of(tmp_path, strong, small, **options) as app:
        out = await app.planner_executor([crack]).ainvoke(TASK, THREAD)
        value = out["__interrupt__"][0].value
        assert (value["kind"], value["step"]) == ("stuck", "s1")
        assert "it is locked" in value["text"]
    locked.clear()
    async with app_of(tmp_path, strong, small, **options) as app:
        out = await app.planner_executor([crack]).ainvoke(Command(resume=decision), THREAD)
    assert (out["state"], out["answer"] or out["reason"]) == (state, text)
    assert ("take the key" in heard[-1]) == ("take the key" in str(decision))


async def test_a_person_is_asked_by_a_saver_of_the_callers_own_without_any_ledger():
    post = Post()
    async with app_of(None, plans(ONE)) as app:
        agent = app.planner_executor([post.send])
        agent.checkpointer = InMemorySaver()
        out = await agent.ainvoke(TASK, THREAD)
        assert list(asked(out)) == ["s1"]
        out = await agent.ainvoke(Command(resume=True), THREAD)
    assert (out["state"], post.sent) == ("done", ["s1"])


async def test_where_nothing_keeps_the_run_nobody_is_asked_and_nothing_is_sent():
    post = Post()
    async with app_of(None, plans(ONE, ONE)) as app:
        out = await app.planner_executor([post.send]).ainvoke(TASK)
    assert out["state"] == "failed"
    assert "give the app a ledger file, or the graph a checkpointer" in out["reason"]
    assert not post.sent


def test_without_an_event_loop_questions_are_asked_and_answered_the_same(tmp_path):
    post = Post()
    app = app_of(tmp_path, plans(ONE))
    try:
        agent = app.planner_executor([post.send])
        assert list(asked(agent.invoke(TASK, THREAD))) == ["s1"]
        assert agent.invoke(Command(resume=True), THREAD)["answer"] == "s1: s1 is gone"
    finally:
        app.close()
    assert post.sent == ["s1"]


async def test_two_calls_in_one_reply_are_two_questions_and_run_in_the_order_they_were_written(tmp_path):
    post = Post()

    def small(body: Mapping[str, Any]) -> Any:
        if any(one["role"] == "tool" for one in body["messages"]):
            return "both"
        return Say(calls=(CallTool("send", item="b"), CallTool("send", item="a")))

    async with app_of(tmp_path, plans(ONE), small) as app:
        agent = app.planner_executor([post.send])
        out = await agent.ainvoke(TASK, THREAD)
        assert [one.value["arguments"] for one in out["__interrupt__"]] == [{"item": "b"}, {"item": "a"}]
        out = await agent.ainvoke(Command(resume={one.id: True for one in out["__interrupt__"]}), THREAD)
    assert (out["answer"], post.sent) == ("both", ["b", "a"])


@pytest.mark.parametrize(
    ("decision", "answer"),
    [("repeat", "s1: s1 is gone"), ({"decision": "answer", "text": "sent by hand"}, "sent by hand")],
)
async def test_a_model_that_writes_no_call_of_its_tool_may_be_stuck_too(decision, answer, tmp_path):
    post, lost = Post(), [True]

    def small(body: Mapping[str, Any]) -> Any:
        return CallTool("snd", item="s1") if lost else obedient(body)

    options: Any = {"recovery": RecoveryPolicy(overrides={"unknown_tool": "ask_human"})}
    async with app_of(tmp_path, plans(ONE), small, **options) as app:
        agent = app.planner_executor([post.send])
        value = asked(await agent.ainvoke(TASK, THREAD))["s1"].value
        assert (value["kind"], "snd: no tool has this name" in value["text"]) == ("stuck", True)
        lost.clear()
        out = await agent.ainvoke(Command(resume=decision), THREAD)
        if "__interrupt__" in out:
            out = await agent.ainvoke(Command(resume=True), THREAD)
    assert out["answer"] == answer


async def test_a_step_that_is_stuck_where_nobody_can_be_asked_fails_with_what_it_was_and_why_nobody_was_asked():
    def small(body: Mapping[str, Any]) -> Any:
        return CallTool("snd", item="s1")

    async with app_of(
        None, plans(ONE), small, recovery=RecoveryPolicy(max_replans=0, overrides={"unknown_tool": "ask_human"})
    ) as app:
        out = await app.planner_executor([Post().send]).ainvoke(TASK)
    assert out["state"] == "failed"
    assert "snd: no tool has this name" in out["reason"]
    assert "give the app a ledger file, or the graph a checkpointer" in out["reason"]


async def test_answers_are_given_by_question_with_the_run_and_others_are_refused(tmp_path):
    post = Post()
    out = await answered(tmp_path, post, strong=plans(TWO))
    first, second = (one.value["question"] for one in out["__interrupt__"])
    async with app_of(tmp_path, plans(TWO)) as app:
        agent = app.planner_executor([post.send])
        with pytest.raises(ConfigError, match=f"run r has no pending question 'none'; pending: {first}, {second}"):
            await agent.ainvoke({"run": "r", "answers": {"none": True}}, THREAD)
        out = await agent.ainvoke({"run": "r", "answers": {first: True, second: False}}, THREAD)
    assert (out["state"], post.sent) == ("done", ["s1"])
