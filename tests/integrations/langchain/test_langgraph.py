"""LangGraph apps on a chat model: steps by node, streams, switches of provider, checkpoints, interrupts, threads."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ToolStrategy
from langchain_core.tools import tool as langchain_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from orchestra import Fleet, Orchestra, StepPolicy, tool
from orchestra.ledger import Decided, Judged, RunEnded
from orchestra.testing import CallTool, FakeProvider, Say, ScriptedModel, Silence, scripted_app
from orchestra.types import ModelCard, Price
from tests.app.doubles import app_of, events, rows

STEPS = StepPolicy([{"match": {"name": ["research"]}, "prefer": ["strong"]}, {"prefer": ["small"]}])


@langchain_tool
def rain(city: str) -> str:
    """Millimetres of rain in a year."""
    return f"{len(city)}00"


@tool(read_only=True)
def snow(city: str) -> int:
    """Centimetres of snow in a year."""
    return len(city)


def named(body: dict[str, Any]) -> str:
    return f"I am {body['model']}."


def thread(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


def one_node(name: str, model: Any, **node: Any) -> Any:
    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return StateGraph(MessagesState).add_node(name, ask, **node).add_edge(START, name).add_edge(name, END).compile()


def two(**options: Any) -> Orchestra:
    models = ScriptedModel("small", named), ScriptedModel("strong", named, tier="capable")
    return scripted_app(*models, **({"policies": [STEPS]} | options))


async def said(graph: Any, **config: Any) -> str:
    state = await graph.ainvoke({"messages": [("user", "Who are you?")]}, config or None)
    return state["messages"][-1].text


async def test_a_node_is_a_step_by_its_own_name():
    async with two() as app:
        assert await said(one_node("research", app.chat_model())) == "I am strong."
        assert await said(one_node("write", app.chat_model())) == "I am small."


async def test_a_nodes_metadata_beat_its_name_and_the_models_own_step_beats_both():
    async with two() as app:
        stepped = {"metadata": {"orchestra_step": "research"}}
        assert await said(one_node("write", app.chat_model(), **stepped)) == "I am strong."
        assert await said(one_node("write", app.chat_model(step="write"), **stepped)) == "I am small."


async def test_an_agent_that_is_a_node_is_the_step_of_that_node():
    async with two() as app:
        agent = create_agent(app.chat_model(), [rain])
        outer = StateGraph(MessagesState).add_node("research", agent).add_edge(START, "research").compile()
        assert await said(outer) == "I am strong."
        assert await said(agent) == "I am small."


async def test_within_an_app_node_calls_are_of_its_step_and_in_its_run(tmp_path: Path):
    async with two(ledger=tmp_path / "l.db") as app:
        model = app.chat_model()

        async def ask(state: MessagesState) -> dict[str, Any]:
            return {"messages": [await model.ainvoke(state["messages"]), await model.ainvoke("Again?")]}

        node = app.node(ask, step="research")
        graph = StateGraph(MessagesState).add_node("write", node).add_edge(START, "write").compile()
        assert await said(graph) == "I am strong."
        found = rows(app)
    assert len(events(found, RunEnded)) == 1
    assert [event.context.step.name for event in events(found, Decided)] == ["research", "research"]


async def test_configurable_of_a_graph_reaches_every_call_in_it(tmp_path: Path):
    async with two(ledger=tmp_path / "l.db", policies=[]) as app:
        graph = one_node("write", app.chat_model())
        assert await said(graph, configurable={"mode": "quality", "tenant": "acme"}) == "I am strong."
        (decided,) = events(rows(app), Decided)
    assert decided.context.tenant == "acme"


async def test_parallel_calls_of_tools_of_both_kinds_are_all_made():
    calls = Say(calls=(CallTool("rain", city="Oslo"), CallTool("snow", city="Bergen")))
    async with app_of([calls, "Much."]) as app:
        model = app.chat_model().bind_tools([rain, snow])

        async def ask(state: MessagesState) -> dict[str, Any]:
            return {"messages": [await model.ainvoke(state["messages"])]}

        graph = StateGraph(MessagesState).add_node("ask", ask).add_node("tools", ToolNode([rain, snow.fn]))
        graph.add_edge(START, "ask").add_conditional_edges("ask", tools_condition).add_edge("tools", "ask")
        state = await graph.compile().ainvoke({"messages": [("user", "Rain and snow?")]})
    assert [(one.type, one.text) for one in state["messages"][2:]] == [("tool", "400"), ("tool", "6"), ("ai", "Much.")]


def test_a_synchronous_graph_streams_tokens_and_calls():
    app = app_of([CallTool("rain", city="Oslo"), "It rains a lot."])
    agent = create_agent(app.chat_model(), [rain])
    seen = [one for one, _ in agent.stream({"messages": [("user", "Rain?")]}, stream_mode="messages")]
    app.close()
    assert [chunk["name"] for one in seen for chunk in getattr(one, "tool_call_chunks", ())] == ["rain"]
    answer = [one.text for one in seen if one.type == "AIMessageChunk" and one.text]
    assert len(answer) > 1
    assert "".join(answer) == "It rains a lot."


@pytest.mark.parametrize("strategy", [lambda schema: schema, ToolStrategy])
async def test_an_agents_structured_answer_is_held_to_its_schema(strategy):
    class Rain(BaseModel):
        """How much it rains."""

        mm: int

    def answer(mm: Any) -> Any:
        return CallTool("Rain", mm=mm) if strategy is ToolStrategy else f'{{"mm": "{mm}"}}'.replace('"8"', "8")

    async with app_of([CallTool("rain", city="Oslo"), answer("?"), answer("?")], [answer(8)]) as app:
        agent = create_agent(app.chat_model(), [rain], response_format=strategy(Rain))
        state = await agent.ainvoke({"messages": [("user", "Rain?")]})
    assert state["structured_response"] == Rain(mm=8)


async def test_a_thread_may_switch_providers_and_each_sees_only_its_own_thoughts():
    replies = {"claude": [Say("One.", reasoning="hm"), Say("Three.", reasoning="so")], "gpt": [Say("Two.")]}
    with FakeProvider(replies) as provider:
        cards = [
            ModelCard(name, name, dialect, dialect, "efficient", provider.base_url_of(dialect), Price(0, 0), 100_000)
            for name, dialect in [("claude", "anthropic"), ("gpt", "openai-chat")]
        ]
        async with Orchestra(Fleet.from_cards(cards), policies=[], ledger=None) as app:
            kept = InMemorySaver()
            for model in ("claude", "gpt", "claude"):
                agent = create_agent(app.chat_model().bind(model=model), checkpointer=kept)
                state = await agent.ainvoke({"messages": [("user", "And?")]}, thread("t"))
        asked = [request.body["messages"] for request in provider.requests]
    assert [one.text for one in state["messages"] if one.type == "ai"] == ["One.", "Two.", "Three."]
    assert "hm" not in str(asked[1])
    (thought,) = [block for turn in asked[2] for block in turn["content"] if block["type"] == "thinking"]
    assert thought["thinking"] == "hm"
    assert thought["signature"]


async def test_a_run_killed_in_the_middle_of_an_escalation_goes_on_from_its_checkpoint(tmp_path: Path):
    ran: list[str] = []

    @langchain_tool
    def send(to: str) -> str:
        """Send a letter."""
        ran.append(to)
        return "sent"

    reached = asyncio.Event()

    def hang(body: dict[str, Any]) -> Silence:
        reached.set()
        return Silence()

    bad, good = CallTool("sendd", to="Ada"), CallTool("send", to="Ada")
    replies = {"small": [good, bad, bad, bad, bad, "Done."], "strong": [hang, CallTool("send", to="Bob")]}
    async with FakeProvider(replies) as provider:
        cards = [
            ModelCard(name, name, name, "openai-chat", tier, provider.base_url, Price(0, 0))
            for name, tier in [("small", "efficient"), ("strong", "capable")]
        ]
        policies = [StepPolicy([{"prefer": ["small"], "escalate": ["capable"]}])]
        async with Orchestra(Fleet.from_cards(cards), policies=policies, ledger=tmp_path / "l.db") as app:
            agent = create_agent(app.chat_model(), [send], checkpointer=InMemorySaver())
            running = asyncio.create_task(agent.ainvoke({"messages": [("user", "Write to both.")]}, thread("t")))
            await reached.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            state = await agent.ainvoke(None, thread("t"))
            verdicts = [(one.model, str(one.trigger or "accepted")) for one in events(rows(app), Judged)]
    assert ran == ["Ada", "Bob"]
    assert state["messages"][-1].text == "Done."
    wrong = [("small", "unknown_tool")] * 2
    assert verdicts == [("small", "accepted"), *wrong, *wrong, ("strong", "accepted"), ("small", "accepted")]


async def test_a_tool_that_asks_a_person_goes_on_with_the_answer_and_asks_no_model_twice():
    ran: list[str] = []

    @langchain_tool
    def send(to: str) -> str:
        """Send a letter."""
        if interrupt(f"Send to {to}?") == "yes":
            ran.append(to)
        return "sent"

    small = ScriptedModel("small", [CallTool("send", to="Ada"), "Done."])
    async with scripted_app(small) as app:
        agent = create_agent(app.chat_model(), [send], checkpointer=InMemorySaver())
        asked = await agent.ainvoke({"messages": [("user", "Write.")]}, thread("t"))
        assert [one.value for one in asked["__interrupt__"]] == ["Send to Ada?"]
        state = await agent.ainvoke(Command(resume="yes"), thread("t"))
    assert (ran, state["messages"][-1].text, len(small.requests)) == (["Ada"], "Done.", 2)


def answering(body: dict[str, Any]) -> Any:
    """Calls badly first, then well, then answers with what the tool said."""
    last = body["messages"][-1]
    if last["role"] == "tool":
        return f"{last['content']} mm"
    return CallTool("rain", city=last["content"]) if body["model"] == "strong" else CallTool("rian")


async def test_a_hundred_threads_at_a_time_escalate_each_for_itself(tmp_path: Path):
    small, strong = ScriptedModel("small", answering), ScriptedModel("strong", answering, tier="capable")
    policies = [StepPolicy([{"prefer": ["small"], "escalate": ["capable"]}])]
    async with scripted_app(small, strong, policies=policies, ledger=tmp_path / "l.db") as app:
        agent = create_agent(app.chat_model(), [rain], checkpointer=InMemorySaver())
        cities = ["x" * (1 + number) for number in range(100)]
        asked = [agent.ainvoke({"messages": [("user", city)]}, thread(city)) for city in cities]
        states = await asyncio.gather(*asked)
        ended = events([row for run in app.ledger.runs(300) for row in app.ledger.events(run.run)], RunEnded)
    assert [state["messages"][-1].text for state in states] == [f"{len(city)}00 mm" for city in cities]
    assert (len(small.requests), len(strong.requests)) == (300, 100)
    assert [one.state for one in ended] == ["done"] * 200


def test_batches_run_side_by_side_in_threads():
    app = two()
    agent = create_agent(app.chat_model(), [rain])
    states = agent.batch([{"messages": [("user", f"{number}?")]} for number in range(8)])
    app.close()
    assert [state["messages"][-1].text for state in states] == ["I am small."] * 8
