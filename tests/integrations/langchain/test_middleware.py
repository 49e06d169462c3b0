"""EscalationMiddleware: who serves which turn of an agent, what its state holds, what the ledger tells."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from typing import Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    AgentState,
    HumanInTheLoopMiddleware,
    LLMToolSelectorMiddleware,
    ToolRetryMiddleware,
    before_agent,
    before_model,
    wrap_model_call,
)
from langchain.agents.structured_output import AutoStrategy, ProviderStrategy, ToolStrategy
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableBinding
from langchain_core.tools import InjectedToolCallId, tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt
from pydantic import BaseModel, SecretStr, field_validator

from orchestra import BudgetExceeded, NoCandidate, RecoveryPolicy
from orchestra import tool as tool_of_ours
from orchestra.errors import ConfigError, DeadlineExceeded, Exhausted, SyncInLoop
from orchestra.integrations.langchain import EscalationMiddleware, langchain_tools
from orchestra.ledger import Decided, HumanAsked, RunEnded, StepEnded, attempts, steps, tools, totals
from orchestra.testing import CallTool, FakeProvider, RawReply, Say, ScriptedModel, scripted_app
from orchestra.types import Action, Price, Step, Trigger
from tests.integrations.langchain.agents import ANSWER, LOW, app_of, fleet

UP_AT_ONCE = RecoveryPolicy(overrides={"tool_error": "escalate"})
ASKED = {"messages": [("user", "How many?")]}
NEVER = FakeListChatModel(responses=["I was never to be asked"])


@tool
def rows(sql: str) -> str:
    """Run one SELECT."""
    if sql == "bad":
        raise ValueError("no such table: bad")
    return f"{sql} is 42"


def refuses() -> str:
    """Never works."""
    raise ValueError("nothing there")


def look(sql: str) -> CallTool:
    return CallTool("rows", sql=sql)


@contextmanager
def agent_of(small: Any, strong: Any = (), *, given: Any = None, app: Any = None, agent: Any = None, **options: Any):
    """An app of a small and a strong model, and an agent with our middleware."""
    facts: dict[str, Any] = {"price": options.pop("price", Price(0, 0))}
    models = ScriptedModel("small", small, **facts), ScriptedModel("strong", strong, tier="capable", **facts)
    opened = scripted_app(*models, **({"policies": [LOW]} | (app or {})))
    try:
        yield (
            opened,
            create_agent(
                given or NEVER,
                **{"tools": [rows], "middleware": [EscalationMiddleware(opened, step="look", **options)]}
                | (agent or {}),
            ),
        )
    finally:
        opened.portal.close()  # a script has no connections, so that sync and async tests can both end it here
        opened.ledger.close()


def thread(name: str = "t") -> Any:
    return {"configurable": {"thread_id": name}}


def served(out: Any) -> list[str]:
    return [one.response_metadata["model_name"] for one in out["messages"] if isinstance(one, AIMessage)]


def run_of(app: Any) -> Any:
    (found,) = app.ledger.runs()
    return app.ledger.events(found.run)


def test_a_failing_tool_is_told_to_the_same_model_once_then_to_a_stronger_one_and_the_next_turn_is_back_down(tmp_path):
    small, strong = [look("bad"), look("bad"), ANSWER], [look("good")]
    with agent_of(small, strong, app={"ledger": tmp_path / "l.db"}) as (app, agent):
        out = agent.invoke(ASKED)
        found = run_of(app)
    assert served(out) == ["small", "small", "strong", "small"]
    results = [one for one in out["messages"] if isinstance(one, ToolMessage)]
    assert [(one.status, one.text) for one in results] == [
        ("error", "ValueError: no such table: bad"),
        ("error", "ValueError: no such table: bad"),
        ("success", "good is 42"),
    ]
    assert [(one.state, one.trigger) for one in tools(found)] == [
        ("failed", Trigger.tool_error),
        ("failed", Trigger.tool_error),
        ("done", None),
    ]
    later = [verdict.action for one in attempts(found) for verdict in one.later]
    assert later == [Action.repair, Action.escalate]
    (step,) = steps(found)
    assert (step.id, step.state, step.turns, [one.turn for one in step.attempts]) == ("look", "done", 4, [0, 1, 2, 3])
    assert totals(found).escalations == 1
    assert [one.event.state for one in found if isinstance(one.event, RunEnded)] == ["done"]


async def test_a_stronger_model_is_shown_a_failed_call_that_may_have_had_an_effect():
    with agent_of([look("bad")], [ANSWER], app={"recovery": UP_AT_ONCE}) as (app, agent):
        await agent.ainvoke(ASKED)
        (body,) = app.transport._models["strong"].requests
    assert [one["role"] for one in body["messages"]] == ["user", "assistant", "tool"]


def edited(change: Any) -> Any:
    """Middleware of somebody's that asks with other messages."""
    return wrap_model_call(lambda request, handler: handler(request.override(messages=change(request.messages))))


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda messages: [*messages, HumanMessage("Be brief.")], ["user", "assistant", "tool", "user"]),
        (lambda messages: messages[:1], ["user"]),
    ],
)
def test_middleware_that_asks_with_other_messages_takes_neither_a_rung_nor_a_message(change, shown, inside):
    """A failure without effect is cut out of the history only where it stands at its end, whole."""
    probe = langchain_tools([tool_of_ours(read_only=True)(refuses)])
    with agent_of([CallTool("refuses")], [ANSWER], app={"recovery": UP_AT_ONCE}) as (app, _):
        ours = EscalationMiddleware(app, step="look")
        middleware = [ours, edited(change)] if inside else [edited(change), ours]
        out = create_agent(NEVER, probe, middleware=middleware).invoke(ASKED)
        (body,) = app.transport._models["strong"].requests
    assert served(out) == ["small", "strong"]
    assert [one["role"] for one in body["messages"]] == shown


def test_what_other_middleware_asks_within_a_turn_for_a_step_of_its_own_takes_no_rung_from_the_turn(tmp_path):
    options: Any = {"recovery": UP_AT_ONCE, "ledger": tmp_path / "l.db"}
    chosen = RawReply('{"tools": ["rows"]}')
    with agent_of([chosen, look("bad"), chosen], [ANSWER], app=options) as (app, _):
        selector = LLMToolSelectorMiddleware(model=app.chat_model(step="select"))
        middleware = [EscalationMiddleware(app, step="look"), selector]
        out = create_agent(NEVER, [rows], middleware=middleware).invoke(ASKED)
        found = run_of(app)
    assert served(out) == ["small", "strong"]
    assert [(one.step, one.turn, one.model) for one in attempts(found)] == [
        ("select", 0, "small"),
        ("look", 0, "small"),
        ("select", 0, "small"),
        ("look", 1, "strong"),
    ]


@pytest.mark.parametrize("named", ["other", "look"])
def test_a_turn_whose_step_other_middleware_chooses_is_a_turn_all_the_same(named: str, tmp_path):
    options: Any = {"recovery": UP_AT_ONCE, "ledger": tmp_path / "l.db"}
    with agent_of([look("bad")], [ANSWER], app=options) as (app, _):
        choosing = wrap_model_call(lambda request, handler: handler(request.override(model_settings={"step": named})))
        middleware = [EscalationMiddleware(app, step=Step("look", "Find it")), choosing]
        out = create_agent(NEVER, [rows], middleware=middleware).invoke(ASKED)
        found = run_of(app)
    assert served(out) == ["small", "strong"]
    assert [(one.step, one.turn, one.model) for one in attempts(found)] == [(named, 0, "small"), (named, 1, "strong")]
    assert [one.turn for one in tools(found)] == [0]


async def test_by_a_policy_of_yours_a_failing_tool_goes_up_at_once_and_only_once():
    with agent_of([look("bad"), look("ok"), ANSWER], [look("good")], app={"recovery": UP_AT_ONCE}) as (_, agent):
        out = await agent.ainvoke(ASKED)
    assert served(out) == ["small", "strong", "small", "small"]


@tool
def noted(text: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command:
    """Note it."""
    said = ToolMessage(f"no place for {text}", tool_call_id=tool_call_id, status="error")
    return Command(update={"messages": [said]})


def test_a_failure_that_a_tool_tells_within_a_command_counts_too(tmp_path):
    options: Any = {"recovery": UP_AT_ONCE, "ledger": tmp_path / "l.db"}
    with agent_of([CallTool("noted", text="it")], [ANSWER], app=options, agent={"tools": [noted]}) as (app, agent):
        out = agent.invoke(ASKED)
        (made,) = tools(run_of(app))
    assert served(out) == ["small", "strong"]
    assert (made.trigger, made.size) == (Trigger.tool_error, len("no place for it"))


_HAND_OVER = CallTool("hand_over")


@pytest.mark.parametrize(
    "calls", [(_HAND_OVER,), (look("a"), _HAND_OVER, look("a")), (_HAND_OVER, _HAND_OVER)], ids=len
)
def test_an_agent_that_hands_over_to_another_one_has_ended_its_run_once(tmp_path, calls):
    """Beside other calls as well, which are still made, and which may hand over too."""

    @tool
    def hand_over(tool_call_id: Annotated[str, InjectedToolCallId]) -> Command:
        """Let somebody else go on."""
        said = ToolMessage("over to you", tool_call_id=tool_call_id)
        return Command(graph=Command.PARENT, goto="other", update={"messages": [said]})

    with agent_of([Say(calls=calls)], app={"ledger": tmp_path / "l.db"}, agent={"tools": [hand_over, rows]}) as (
        app,
        agent,
    ):
        graph: Any = StateGraph(AgentState).add_node("first", agent, destinations=("other",))
        graph.add_node("other", lambda _: {}).add_edge(START, "first")
        assert graph.compile().invoke(ASKED)["messages"][-1].text == "over to you"
        (summary,) = app.ledger.runs()
        ended = [one.event for one in app.ledger.events(summary.run) if isinstance(one.event, StepEnded | RunEnded)]
    assert (summary.state, summary.attempts) == ("done", 1)
    assert [type(one) for one in ended] == [StepEnded, RunEnded]


def test_an_agent_of_a_thread_may_hand_over_once_more(tmp_path):
    @tool
    def hand_over(tool_call_id: Annotated[str, InjectedToolCallId]) -> Command:
        """Let somebody else go on."""
        return Command(graph=Command.PARENT, update={"messages": [ToolMessage("over", tool_call_id=tool_call_id)]})

    options: Any = {"tools": [hand_over], "checkpointer": True}
    small = [CallTool("hand_over"), CallTool("hand_over")]
    with agent_of(small, app={"ledger": tmp_path / "l.db"}, agent=options) as (app, agent):
        graph: Any = StateGraph(AgentState).add_node("first", agent).add_edge(START, "first")
        compiled = graph.compile(checkpointer=InMemorySaver())
        compiled.invoke(ASKED, thread())
        compiled.invoke(ASKED, thread())
        ended = [row.event for run in app.ledger.runs() for row in app.ledger.events(run.run)]
    assert [one.state for one in ended if isinstance(one, RunEnded)] == ["done", "done"]


def test_an_agent_that_is_left_before_anything_was_said_has_ended_its_run(tmp_path):
    @before_agent(can_jump_to=["end"])
    def leave(*_: Any) -> dict[str, Any]:
        return {"jump_to": "end"}

    with agent_of([], app={"ledger": tmp_path / "l.db"}) as (app, _):
        agent = create_agent(NEVER, middleware=[EscalationMiddleware(app, step="look"), leave])
        assert agent.invoke({"messages": []})["messages"] == []
        assert [one.state for one in app.ledger.runs()] == ["done"]


def test_what_is_bound_to_the_agents_model_goes_along():
    with agent_of([ANSWER, ANSWER]) as (app, _):
        model: Any = app.chat_model(step="other", temperature=0.5).bind_tools([rows])
        middleware = [EscalationMiddleware(app, step="look")]
        create_agent(model.bind(max_tokens=50, seed=1), middleware=middleware).invoke(ASKED)
        create_agent(model.with_config(tags=["t"]), middleware=[*middleware, _thrifty]).invoke(ASKED)
        bodies = app.transport._models["small"].requests
    told = [[one.get(name) for name in ("temperature", "max_tokens", "seed", "tools")] for one in bodies]
    assert told == [[0.5, 50, 1, None], [0.5, 20, None, None]]


class Started(BaseCallbackHandler):
    """What a model's callbacks were told of its calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def on_chat_model_start(self, *_: Any, tags: Any, metadata: Any, **__: Any) -> None:
        self.calls.append((tags, metadata["who"]))


@pytest.mark.parametrize("offered", [[], [rows]])
async def test_what_the_agents_model_is_configured_with_goes_along_and_a_call_says_better(tmp_path, offered):
    heard, listened = Started(), []
    with agent_of([ANSWER, ANSWER], app={"ledger": tmp_path / "l.db"}) as (app, _):
        said: Any = {"configurable": {"tenant": "acme", "mode": "cost"}, "tags": ["mine"], "metadata": {"who": "me"}}
        listening = app.chat_model(temperature=0.5).with_listeners(on_start=listened.append)
        inner: Any = RunnableBinding(bound=listening, config={**said, "callbacks": [heard]})
        model: Any = RunnableBinding(bound=inner, config={"configurable": {"tenant": "outer"}}, kwargs={"seed": 1})
        agent = create_agent(model, offered, middleware=[EscalationMiddleware(app, step="look")])
        await agent.ainvoke(ASKED)
        await agent.ainvoke(ASKED, {"configurable": {"tenant": "other"}, "tags": ["call"], "metadata": {"who": "you"}})
        rows_of = [row.event for run in reversed(app.ledger.runs()) for row in app.ledger.events(run.run)]
        bodies = app.transport._models["small"].requests
    decided = [(one.context.tenant, one.context.mode) for one in rows_of if isinstance(one, Decided)]
    assert decided == [("outer", "cost"), ("other", "cost")]
    (first, who), (second, whose) = heard.calls
    assert ("mine" in first, "call" in first, who, {"mine", "call"} <= set(second), whose) == (
        True,
        False,
        "me",
        True,
        "you",
    )
    assert (len(listened), [(one.get("temperature"), one.get("seed")) for one in bodies]) == (2, [(0.5, 1)] * 2)


@wrap_model_call
def _thrifty(request: Any, handler: Any) -> Any:
    return handler(request.override(model_settings={"max_tokens": 20}))


def test_whatever_model_the_agent_was_given_is_not_asked_and_the_apps_own_keeps_its_settings():
    with agent_of([ANSWER, ANSWER]) as (app, agent):
        assert served(agent.invoke(ASKED)) == ["small"]
        middleware = [EscalationMiddleware(app, step=Step("s1", name="look"))]
        own = create_agent(app.chat_model(step="other", temperature=0.5), middleware=middleware)
        own.invoke(ASKED)
        bodies = app.transport._models["small"].requests
    assert [one.get("temperature") for one in bodies] == [None, 0.5]


def test_a_turn_is_of_the_middlewares_step_whatever_the_config_says(tmp_path):
    with agent_of([look("a"), ANSWER], app={"ledger": tmp_path / "l.db"}) as (app, agent):
        agent.invoke(ASKED, {"metadata": {"orchestra_step": "another"}})
        assert {one.step for one in run_of(app)} == {"", "look"}


def test_a_trace_of_langchains_names_the_step_as_the_ledger_does():
    class Heard(BaseCallbackHandler):
        names: tuple[str, ...] = ()

        def on_chat_model_start(self, *_: Any, metadata: Any, **__: Any) -> None:
            self.names = (*self.names, metadata["ls_model_name"])

    heard = Heard()
    with agent_of([look("a"), ANSWER]) as (_, agent):
        agent.invoke(ASKED, {"callbacks": [heard]})
    assert heard.names == ("orchestra/look", "orchestra/look")


def test_the_state_is_plain_json_and_shows_in_neither_input_nor_output():
    saver = InMemorySaver()
    with agent_of([look("bad"), ANSWER], agent={"checkpointer": saver}) as (_, agent):
        out = agent.invoke(ASKED, thread())
        kept = agent.get_state(thread()).values
    assert set(out) == {"messages"}
    assert json.loads(json.dumps(kept["orchestra"])) == kept["orchestra"]
    assert kept["orchestra"]["stand"]["turns"] == 2
    assert "orchestra" not in agent.get_input_jsonschema()["properties"]


def test_an_escalation_that_was_left_in_the_middle_goes_on_in_another_process(tmp_path):
    """Another app, saver and agent stand for the other process."""
    path = str(tmp_path / "c.db")
    with SqliteSaver.from_conn_string(path) as saver:
        stop = {"checkpointer": saver, "interrupt_before": ["model"]}
        with agent_of([look("bad"), look("bad")], app={"ledger": tmp_path / "l.db"}, agent=stop) as (_, agent):
            agent.invoke(ASKED, thread())
            agent.invoke(None, thread())
            agent.invoke(None, thread())
    with SqliteSaver.from_conn_string(path) as saver:
        after = {"checkpointer": saver}
        with agent_of([ANSWER], [look("good")], app={"ledger": tmp_path / "l.db"}, agent=after) as (app, agent):
            out = agent.invoke(None, thread())
            found = run_of(app)
    assert served(out) == ["small", "small", "strong", "small"]
    assert [one.model for one in attempts(found)] == ["small", "small", "strong", "small"]


def test_a_thread_is_one_run_over_all_that_it_is_asked(tmp_path):
    options = {"checkpointer": InMemorySaver()}
    with agent_of(
        [look("a"), ANSWER, look("a"), ANSWER, look("a"), ANSWER], app={"ledger": tmp_path / "l.db"}, agent=options
    ) as (app, agent):
        for _ in range(3):  # nor is a call repeated that answers a new question
            out = agent.invoke(ASKED, thread())
        (summary,) = app.ledger.runs()
    assert len(out["messages"]) == 12
    assert (summary.state, summary.attempts, summary.resumes) == ("done", 6, 2)


def test_what_a_person_refuses_is_no_failure_of_the_model():
    @tool
    def pay(item: str) -> str:
        """Pay."""
        raise AssertionError("never agreed to")

    def middleware(app: Any) -> list[Any]:
        return [
            EscalationMiddleware(app, step="look"),
            HumanInTheLoopMiddleware(interrupt_on={"pay": True}),
        ]

    with agent_of([CallTool("pay", item="x"), ANSWER], app={"recovery": UP_AT_ONCE}) as (app, _):
        agent = create_agent(NEVER, [pay], middleware=middleware(app), checkpointer=InMemorySaver())
        assert agent.invoke(ASKED, thread())["__interrupt__"]
        out = agent.invoke(Command(resume={"decisions": [{"type": "reject", "message": "no"}]}), thread())
    assert [one.status for one in out["messages"] if isinstance(one, ToolMessage)] == ["error"]
    assert served(out) == ["small", "small"]


def test_a_tool_that_asks_a_person_is_interrupted_and_goes_on():
    @tool
    def pay(item: str) -> str:
        """Pay."""
        return f"paid: {interrupt('may I?')}"

    options = {"tools": [pay], "checkpointer": InMemorySaver()}
    with agent_of([CallTool("pay", item="x"), ANSWER], agent=options) as (_, agent):
        assert agent.invoke(ASKED, thread())["__interrupt__"][0].value == "may I?"
        out = agent.invoke(Command(resume="yes"), thread())
    assert [one.text for one in out["messages"] if isinstance(one, ToolMessage)] == ["paid: yes"]


@pytest.mark.parametrize("beside", [(), (CallTool("rows", sql="a"),)])
def test_while_a_tool_waits_for_a_person_its_run_is_interrupted(tmp_path, beside):
    @tool
    def pay(item: str) -> str:
        """Pay."""
        return f"paid: {interrupt('may I?')}"

    options = {"tools": [pay, rows], "checkpointer": InMemorySaver()}
    said = Say(calls=(*beside, CallTool("pay", item="x"), *beside))
    with agent_of([said, ANSWER], app={"ledger": tmp_path / "l.db"}, agent=options) as (app, agent):
        agent.invoke(ASKED, thread())
        (left,) = app.ledger.runs()
        agent.invoke(Command(resume="yes"), thread())
        (ended,) = app.ledger.runs()
    assert (left.state, left.reason, ended.state) == ("interrupted", "a person was asked", "done")


@pytest.mark.parametrize("beside", [(), (CallTool("rows", sql="a"),)])
def test_a_run_whose_tool_has_its_answer_is_at_work_also_where_nobody_says_how_it_ends(tmp_path, beside):
    seen: list[str] = []

    @tool
    def pay(item: str) -> str:
        """Pay."""
        answer = interrupt("may I?")
        seen.append(app.ledger.runs()[0].state)
        return f"paid: {answer}"

    @before_model
    def fail(state: Any, *_: Any) -> None:
        if isinstance(state["messages"][-1], ToolMessage):
            seen.append(app.ledger.runs()[0].state)
            raise RuntimeError("out")

    with agent_of([Say(calls=(*beside, CallTool("pay", item="x")))], app={"ledger": tmp_path / "l.db"}) as (app, _):
        middleware = [EscalationMiddleware(app, step="look"), fail]
        agent = create_agent(NEVER, [pay, rows], middleware=middleware, checkpointer=InMemorySaver())
        agent.invoke(ASKED, thread())
        (left,) = app.ledger.runs()
        with pytest.raises(RuntimeError, match="out"):
            agent.invoke(Command(resume="yes"), thread())
        (after,) = app.ledger.runs()
    assert (left.state, seen, after.state) == ("interrupted", ["running", "running"], "running")


async def test_an_agent_that_is_cancelled_while_a_tool_works_is_a_cancelled_run(tmp_path):
    begun = asyncio.Event()

    @tool
    async def wait(sql: str) -> str:
        """Wait for ever."""
        begun.set()
        return await asyncio.Future()

    app: Any = {"ledger": tmp_path / "l.db"}
    with agent_of([CallTool("wait", sql="a")], app=app, agent={"tools": [wait]}) as (opened, agent):
        asked = asyncio.create_task(agent.ainvoke(ASKED))
        await begun.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert [one.state for one in opened.ledger.runs()] == ["cancelled"]


def test_what_langchain_itself_refuses_of_a_call_is_a_failed_tool_in_the_ledger_too(tmp_path):
    """The schema cannot say what the validator says."""

    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def _even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("must be even")
            return value

    @tool(args_schema=Even)
    def halve(number: int) -> int:
        """Halve it."""
        return number // 2

    small, strong = [CallTool("halve", number=3)], [ANSWER]
    app = {"recovery": UP_AT_ONCE, "ledger": tmp_path / "l.db"}
    with agent_of(small, strong, app=app, agent={"tools": [halve]}) as (opened, agent):
        out = agent.invoke(ASKED)
        (made,) = tools(run_of(opened))
    assert served(out) == ["small", "strong"]
    assert (made.state, made.trigger) == ("failed", Trigger.tool_error)


def test_a_middleware_inside_ours_may_repeat_a_call_before_it_counts():
    left = [ValueError("not yet")]

    @tool
    def flaky() -> str:
        """Works at the second try."""
        if left:
            raise left.pop()
        return "done"

    retry = ToolRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    with agent_of([CallTool("flaky"), ANSWER], app={"recovery": UP_AT_ONCE}) as (app, _):
        agent = create_agent(NEVER, [flaky], middleware=[EscalationMiddleware(app, step="look"), retry])
        assert served(agent.invoke(ASKED)) == ["small", "small"]


def test_a_tool_may_answer_with_a_command():
    @tool
    def note(text: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Any:
        """Note it."""
        return Command(update={"messages": [ToolMessage(f"noted: {text}", tool_call_id=tool_call_id)]})

    with agent_of([CallTool("note", text="x"), ANSWER], agent={"tools": [note]}) as (_, agent):
        out = agent.invoke(ASKED)
    assert [one.text for one in out["messages"] if isinstance(one, ToolMessage)] == ["noted: x"]


def test_the_deadline_is_that_of_a_turn():
    with agent_of([ANSWER], deadline=0) as (_, agent), pytest.raises(DeadlineExceeded):
        agent.invoke(ASKED)


def test_of_parallel_calls_one_that_fails_is_enough_and_each_is_recorded(tmp_path):
    both = Say(calls=(look("good"), look("bad")))
    with agent_of([both, ANSWER], [look("good")], app={"recovery": UP_AT_ONCE, "ledger": tmp_path / "l.db"}) as (
        app,
        agent,
    ):
        out = agent.invoke(ASKED)
        found = run_of(app)
    assert served(out) == ["small", "strong", "small"]
    assert sorted((one.state, one.turn) for one in tools(found)) == [("done", 0), ("done", 1), ("failed", 0)]


def test_at_the_end_of_the_ladder_the_turn_raises_and_its_thread_can_be_tried_again(tmp_path):
    policy = RecoveryPolicy(overrides={"tool_error": "escalate"})
    small, strong = [look("bad"), ANSWER], [look("bad")]
    options = {"checkpointer": InMemorySaver()}
    with agent_of(small, strong, app={"recovery": policy, "ledger": tmp_path / "l.db"}, agent=options) as (app, agent):
        with pytest.raises(Exhausted, match="no such table: bad"):
            agent.invoke(ASKED, thread())
        (summary,) = app.ledger.runs()
        assert (summary.state, steps(run_of(app))[0].trigger) == ("failed", Trigger.tool_error)
        with pytest.raises(Exhausted):
            agent.invoke(None, thread())
        assert served(agent.invoke({"messages": [("user", "Never mind.")]}, thread()))[-1] == "small"
        (summary,) = app.ledger.runs()
        assert summary.state == "done"


class Total(BaseModel):
    value: int

    @field_validator("value")
    @classmethod
    def _positive(cls, value: int) -> int:
        if value < 0:
            raise ValueError("must be positive")
        return value


def total(value: Any) -> Any:
    """An answer in the way in which it is asked for."""
    return lambda body: CallTool("Total", value=value) if body.get("tools") else json.dumps({"value": value})


def test_two_structured_answers_at_once_which_langchain_refuses_count_as_a_failure():
    twice, right = Say(calls=(CallTool("Total", value=1), CallTool("Total", value=2))), CallTool("Total", value=42)
    options = {"response_format": ToolStrategy(Total)}
    with agent_of([twice, twice], [right], agent=options) as (_, agent):
        out = agent.invoke(ASKED)
    assert (out["structured_response"].value, served(out)) == (42, ["small", "small", "strong"])


@pytest.mark.parametrize("wanted", [Total, AutoStrategy(Total), ProviderStrategy(Total), ToolStrategy(Total)])
@pytest.mark.parametrize("wrong", [-1, "many"])
def test_a_structured_answer_is_judged_with_its_validators_before_langchain_sees_it(wanted, wrong):
    options = {"response_format": wanted, "tools": []}
    with agent_of(total(wrong), total(42), agent=options) as (app, agent):
        out = agent.invoke(ASKED)
        asked = [len(model.requests) for model in app.transport._models.values()]
    assert (out["structured_response"], served(out), asked) == (Total(value=42), ["strong"], [2, 1])
    answers = [one for one in out["messages"] if isinstance(one, AIMessage)]
    assert "-1" not in str([(one.text, one.tool_calls) for one in answers])


def test_of_several_forms_an_answer_is_judged_by_its_own():
    class Nothing(BaseModel):
        """There is none."""

        value: int

    options = {"response_format": ToolStrategy(Total | Nothing)}
    with agent_of([CallTool("Nothing", value=-1)], agent=options) as (_, agent):
        assert agent.invoke(ASKED)["structured_response"] == Nothing(value=-1)
    with agent_of([CallTool("Total", value=-1), CallTool("Nothing", value=0)], agent=options) as (_, agent):
        assert agent.invoke(ASKED)["structured_response"] == Nothing(value=0)


class Seen(AgentMiddleware):
    """What reaches a middleware further in, and the model that it chooses instead, if any."""

    def __init__(self, other: Any = None) -> None:
        self.other, self.settings = other, []

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        self.settings.append(request.model_settings)
        return handler(request.override(model=self.other) if self.other else request)


@pytest.mark.parametrize("wanted", [Total, ProviderStrategy(Total)])
@pytest.mark.parametrize("mode", ["values", "messages"])
def test_a_structured_answer_in_a_fence_is_the_agents(wanted, mode):
    options = {"response_format": wanted, "checkpointer": InMemorySaver()}
    with agent_of([RawReply('```json\n{"value": 3}\n```')], agent=options) as (app, _):
        agent = create_agent(app.chat_model(), [rows], **options)
        list(agent.stream(ASKED, thread(), stream_mode=mode))
        assert agent.get_state(thread()).values["structured_response"] == Total(value=3)


@pytest.mark.parametrize("wanted", [Total, ToolStrategy(Total)])
def test_a_model_chosen_further_in_is_told_nothing_of_ours_and_one_of_the_app_judges_all_the_same(wanted):
    with agent_of(total(-1), total(42)) as (app, _), FakeProvider({"gpt-5": total(7)}) as provider:
        stock = ChatOpenAI(model="gpt-5", base_url=provider.base_url, api_key=SecretStr("k"), max_retries=0)
        for other, value in ((stock, 7), (app.chat_model(), 42), (None, 42)):
            seen = Seen(other)
            middleware = [EscalationMiddleware(app, step="look"), seen]
            agent = create_agent(app.chat_model(), [], response_format=wanted, middleware=middleware)
            assert agent.invoke(ASKED)["structured_response"] == Total(value=value)
            assert seen.settings == [{}]


def test_a_structured_answer_in_json_schema_is_held_to_the_schema():
    schema = {"title": "Total", "type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"]}
    with agent_of(["no idea", '{"value": "many"}'], total(42), agent={"response_format": schema, "tools": []}) as (
        _,
        agent,
    ):
        out = agent.invoke(ASKED)
    assert (out["structured_response"], served(out)) == ({"value": 42}, ["strong"])


@tool
def search(words: str) -> str:
    """Search the shelves."""
    return "3 books" if words == "whales" else "Error: the index is closed"


def test_a_model_to_which_a_tool_tells_the_same_error_as_a_success_is_told_and_then_relieved():
    small = [CallTool("search", words=words) for words in ("a", "b", "c", "d")]
    right = CallTool("search", words="whales")
    with agent_of([*small, ANSWER], [right], agent={"tools": [search]}) as (app, agent):
        out = agent.invoke(ASKED)
        fourth = json.dumps(app.transport._models["small"].requests[3]["messages"])
    assert served(out) == ["small"] * 4 + ["strong", "small"]
    assert "search: the same error 3 times in a row: Error: the index is closed" in fourth


@pytest.mark.parametrize(("own", "runs"), [(None, 3), (True, 1)])
def test_an_agent_in_another_graph_is_one_run_where_it_has_a_checkpointer_of_its_own(own, runs, tmp_path):
    options: Any = {"app": {"ledger": tmp_path / "l.db"}, "agent": {"checkpointer": own}}
    with agent_of(lambda body: ANSWER, **options) as (app, agent):
        outer = StateGraph(AgentState).add_node("ask", agent).add_edge(START, "ask").compile(InMemorySaver())
        for _ in range(3):
            outer.invoke(ASKED, thread())
        assert len(app.ledger.runs()) == runs


CENT = Price(1.0, 10.0)
BILLED = (1000, 900)  # one cent


def dear(*calls: CallTool) -> Say:
    return Say("" if calls else ANSWER, calls=calls, usage=BILLED)


def test_the_budget_is_one_for_all_turns_of_a_thread_and_each_thread_has_its_own():
    small = [dear(look("a")), dear(look("b")), dear()]
    with agent_of(small, price=CENT, budget=0.0105, agent={"checkpointer": InMemorySaver()}) as (_, agent):
        for name in ("one", "two"):
            with pytest.raises(NoCandidate, match="is left"):
                agent.invoke(ASKED, thread(name))


def test_at_the_cap_a_person_is_asked_and_the_thread_goes_on_with_the_cap_they_set(tmp_path):
    small = [dear(look("a")), dear(look("b")), dear(look("c")), dear()]
    saver = {"checkpointer": InMemorySaver()}
    with agent_of(small, price=CENT, budget=0.015, at_cap="pause", app={"ledger": tmp_path / "l.db"}, agent=saver) as (
        app,
        agent,
    ):
        (asked,) = agent.invoke(ASKED, thread())["__interrupt__"]
        assert (asked.value["kind"], asked.value["decisions"]) == ("budget", ["budget", "fail"])
        (asked,) = agent.invoke(Command(resume="more"), thread())["__interrupt__"]
        assert "is no decision here" in asked.value["error"]
        (summary,) = app.ledger.runs()
        assert (summary.state, summary.waiting) == ("interrupted", 1)
        (again,) = agent.invoke(Command(resume=0.025), thread())["__interrupt__"]
        assert again.value["question"] == "budget.0.025"
        out = agent.invoke(Command(resume=0.1), thread())
        (summary,) = app.ledger.runs()
    assert out["messages"][-1].text == ANSWER
    assert (summary.state, summary.waiting, summary.cost.usd) == ("done", 0, pytest.approx(0.04))
    assert [len(model.requests) for model in app.transport._models.values()] == [4, 0]


def test_who_does_not_raise_the_budget_ends_the_turn(tmp_path):
    saver = {"checkpointer": InMemorySaver()}
    with agent_of([dear(look("a"))], price=CENT, budget=0.015, at_cap="pause", agent=saver) as (_, agent):
        assert agent.invoke(ASKED, thread())["__interrupt__"]
        with pytest.raises(BudgetExceeded, match="did not raise"):
            agent.invoke(Command(resume=False), thread())
        with pytest.raises(BudgetExceeded, match="did not raise"):
            agent.invoke(None, thread())


def test_a_turn_that_was_declined_goes_on_with_another_answer_or_a_larger_budget_of_the_middleware():
    for again, larger in ((Command(resume=0.1), 0.015), (None, 0.1)):
        saver = {"checkpointer": InMemorySaver()}
        with agent_of([dear(look("a")), dear()], price=CENT, budget=0.015, at_cap="pause", agent=saver) as (app, agent):
            assert agent.invoke(ASKED, thread())["__interrupt__"]
            with pytest.raises(BudgetExceeded, match="did not raise"):
                agent.invoke(Command(resume=False), thread())
            middleware = [EscalationMiddleware(app, step="look", budget=larger, at_cap="pause")]
            agent = create_agent(NEVER, [rows], middleware=middleware, **saver)
            assert agent.invoke(again, thread())["messages"][-1].text == ANSWER


@pytest.mark.parametrize("answered", [True, False])
def test_a_new_message_is_a_turn_of_its_own_whatever_was_asked_of_the_last(answered, tmp_path):
    """It comes to the cap by itself, the person is asked anew, and what they then say goes for it."""
    options: dict[str, Any] = {"agent": {"checkpointer": InMemorySaver()}, "app": {"ledger": tmp_path / "l.db"}}
    with agent_of([dear(look("a")), dear()], price=CENT, budget=0.015, at_cap="pause", **options) as (app, agent):
        (first,) = agent.invoke(ASKED, thread())["__interrupt__"]
        if answered:
            with pytest.raises(BudgetExceeded, match="did not raise"):
                agent.invoke(Command(resume=False), thread())
        (again,) = agent.invoke(ASKED, thread())["__interrupt__"]
        assert first.id != again.id
        assert sum(isinstance(one.event, HumanAsked) for one in run_of(app)) == 2
        assert agent.invoke(Command(resume=0.1), thread())["messages"][-1].text == ANSWER


def test_where_nobody_can_be_asked_the_cap_ends_the_turn():
    options: dict[str, Any] = {"price": CENT, "budget": 0.0105, "at_cap": "pause"}
    with agent_of([dear(look("a"))], **options) as (_, agent), pytest.raises(NoCandidate):
        agent.invoke(ASKED)


def test_where_the_budget_of_the_agents_model_is_too_low_nobody_is_asked_to_raise_the_threads():
    with agent_of([dear()], price=CENT) as (app, _):
        middleware = [EscalationMiddleware(app, step="look", budget=0.5, at_cap="pause")]
        agent = create_agent(app.chat_model(budget=0.004), middleware=middleware, checkpointer=InMemorySaver())
        with pytest.raises(NoCandidate, match="is left"):
            agent.invoke(ASKED, thread())


def test_what_a_turn_spent_before_it_failed_counts_when_it_is_tried_again():
    """The bad reply cost a cent, the strong model is over what is left, and so is then the small one."""
    wrong = Say(calls=(CallTool("rowz"),), usage=BILLED)
    saver = {"checkpointer": InMemorySaver()}
    with agent_of([wrong, wrong], price=CENT, budget=0.0105, agent=saver) as (_, agent):
        with pytest.raises(BudgetExceeded):
            agent.invoke(ASKED, thread())
        with pytest.raises(NoCandidate):
            agent.invoke(None, thread())


def test_the_answer_to_a_budget_question_is_taken_where_the_journal_was_lost(tmp_path):
    """Another machine has the checkpoint, not the ledger."""
    saver = {"checkpointer": InMemorySaver()}
    options: dict[str, Any] = {"price": CENT, "budget": 0.015, "at_cap": "pause", "agent": saver}
    with agent_of([dear(look("a"))], **options) as (_, agent):
        assert agent.invoke(ASKED, thread())["__interrupt__"]
    with agent_of([dear()], **options) as (_, agent):
        assert agent.invoke(Command(resume=0.1), thread())["messages"][-1].text == ANSWER


async def test_a_hundred_threads_at_once_do_not_mix(tmp_path):
    """Every other thread's tool fails; the small model tells by the question whose turn it is."""

    def small(body: dict[str, Any]) -> Any:
        if body["messages"][-1]["role"] == "tool" and "is 42" in body["messages"][-1]["content"]:
            return body["messages"][-1]["content"]
        return look("bad" if int(body["messages"][0]["content"]) % 2 else body["messages"][0]["content"])

    def strong(body: dict[str, Any]) -> Any:
        return look(body["messages"][0]["content"])

    app = {"recovery": UP_AT_ONCE, "ledger": tmp_path / "l.db"}
    with agent_of(small, strong, app=app, agent={"checkpointer": InMemorySaver()}) as (opened, agent):
        asked = [{"messages": [("user", str(n))]} for n in range(100)]
        outs = await agent.abatch(asked, [thread(str(n)) for n in range(100)])
        runs = opened.ledger.runs(200)
    assert [one["messages"][-1].text for one in outs] == [f"{n} is 42" for n in range(100)]
    assert [served(one) for one in outs] == [
        ["small", "strong", "small"] if n % 2 else ["small"] * 2 for n in range(100)
    ]
    assert (len(runs), {one.state for one in runs}) == (100, {"done"})


def test_a_batch_in_threads_does_not_mix_either():
    def small(body: dict[str, Any]) -> Any:
        last = body["messages"][-1]
        return last["content"] if last["role"] == "tool" else look(last["content"])

    with agent_of(small) as (_, agent):
        outs = agent.batch([{"messages": [("user", str(n))]} for n in range(8)])
    assert [one["messages"][-1].text for one in outs] == [f"{n} is 42" for n in range(8)]


@pytest.mark.parametrize("other", ["anthropic", "gemini"])
async def test_a_thread_may_go_from_one_providers_model_to_anothers_and_back(other):
    def weak(body: dict[str, Any]) -> Any:
        return {"user": look("bad"), "tool": ANSWER}[body["messages"][-1]["role"]]

    with fleet({"small": [look("bad"), ANSWER], "strong": look("good")}, {"strong": other}) as (provider, known):
        app = app_of(known, recovery=UP_AT_ONCE)
        agent: Any = create_agent(NEVER, [rows], middleware=[EscalationMiddleware(app, step="look")])
        out = await agent.ainvoke(ASKED)
        await app.aclose()
    assert served(out) == ["small", "strong", "small"]
    assert [one.model for one in provider.requests] == ["small", "strong", "small"]
    calls = [call["id"] for one in provider.requests[-1].body["messages"] for call in one.get("tool_calls", ())]
    assert len(calls) == len(set(calls)) == 2


async def test_of_a_stream_only_what_was_accepted_is_seen():
    with agent_of([CallTool("rowz"), CallTool("rowz"), ANSWER], [look("good")]) as (_, agent):
        seen = [one async for one in agent.astream(ASKED, stream_mode=["messages", "updates"])]
    chunks = [one[0] for mode, one in seen if mode == "messages"]
    names = {call["name"] for one in chunks for call in getattr(one, "tool_call_chunks", ()) if call["name"]}
    assert names == {"rows"}
    assert "".join(one.text for one in chunks if isinstance(one, AIMessage)) == ANSWER
    assert [list(one) for mode, one in seen if mode == "updates" and "model" in one] == [["model"], ["model"]]


async def test_a_sync_call_inside_a_running_loop_says_what_to_do():
    with agent_of([ANSWER]) as (_, agent), pytest.raises(SyncInLoop, match=r"await ainvoke"):
        agent.invoke(ASKED)


async def test_within_a_node_of_ours_the_agent_spends_the_nodes_money():
    with agent_of([dear(look("a")), dear()], price=CENT) as (app, agent):
        graph: Any = StateGraph(dict)
        node = app.node(lambda _: agent.invoke(ASKED), step="outer", budget=0.0105)
        graph.add_node("n", node)
        graph.add_edge(START, "n")
        with pytest.raises(NoCandidate, match="is left"):
            await graph.compile().ainvoke({})


def test_a_thread_that_had_another_middleware_before_goes_on():
    saver = {"checkpointer": InMemorySaver(), "interrupt_before": ["tools"]}
    with agent_of([look("a")], agent=saver | {"middleware": []}, given=None) as (app, _):
        plain = create_agent(app.chat_model(), [rows], **saver)
        plain.invoke(ASKED, thread())
    with agent_of([ANSWER], agent=saver) as (_, agent):
        assert agent.invoke(None, thread())["messages"][-1].text == ANSWER


def test_a_thread_without_a_turn_of_ours_has_no_run_to_end():
    with agent_of([]) as (app, _):
        assert EscalationMiddleware(app, step="look").after_agent({"messages": []}, Runtime()) is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"step": ""}, "expected a name or a Step"),
        ({"step": "look", "budgt": 1}, "did you mean 'budget'"),
        ({"step": "look", "budget": -1}, "not negative"),
        ({"step": "look", "at_cap": "stop"}, "known: fail, pause"),
    ],
)
def test_what_makes_no_sense_is_told_where_the_middleware_is_made(options, told):
    with agent_of([]) as (app, _), pytest.raises(ConfigError, match=told):
        EscalationMiddleware(app, **options)


def test_a_step_for_which_no_model_is_left_says_which_gate_refused_them(tmp_path):
    with agent_of([], data_tags=["pii"]) as (_, agent), pytest.raises(NoCandidate, match="pii"):
        agent.invoke(ASKED)


def test_the_answer_of_one_turn_is_no_failure_of_the_next():
    """A message of the user's stands between the failed tool and the next turn."""
    saver = {"checkpointer": InMemorySaver(), "interrupt_before": ["model"]}
    with agent_of([look("bad"), ANSWER], app={"recovery": UP_AT_ONCE}, agent=saver) as (_, agent):
        agent.invoke(ASKED, thread())
        agent.invoke(None, thread())
        agent.update_state(thread(), {"messages": [HumanMessage("Leave it.")]}, as_node="tools")
        assert served(agent.invoke(None, thread())) == ["small", "small"]
