"""Tools of ours in `create_agent`, LangChain's in `app.complete`: the same tool either way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool as langchain_tool

from orchestra import RecoveryPolicy, StepPolicy, Tool, tool
from orchestra.errors import SyncInLoop, ToolError
from orchestra.integrations import langchain
from orchestra.integrations.langchain import EscalationMiddleware, langchain_tools
from orchestra.ledger import attempts, tools
from orchestra.testing import CallTool, ScriptedModel, scripted_app
from orchestra.toolbox import ToolFailed, ToolRejected, as_tools
from orchestra.types import Image, Text, Trigger

NEVER = FakeListChatModel(responses=["I was never to be asked"])
ASKED = {"messages": [("user", "How many?")]}
WAYS = {"rejected": ToolRejected("no such table"), "failed": ToolFailed("a\nb"), "raised": ValueError("broken")}


@tool(read_only=True, timeout=0.05)
async def rows(sql: str, limit: int = 10) -> dict[str, Any]:
    """Run one SELECT.

    Args:
        sql: a single SELECT statement
        limit: rows at most
    """
    if sql in WAYS:
        raise WAYS[sql]
    if sql == "slow":
        await asyncio.Event().wait()
    return {"sql": sql, "limit": limit}


@tool
def chart(title: str) -> list[Any]:
    """Draw a chart."""
    return [Text(title), Image("image/png", data="aGk=")]


@langchain_tool
def total(values: list[int]) -> int:
    """Add them up."""
    return sum(values)


def view(item: Any) -> Any:
    return langchain_tools([item])[0]


def test_a_tool_of_ours_is_declared_to_langchain_as_it_is():
    seen = view(rows)
    assert (seen.name, seen.description, seen.args_schema) == ("rows", rows.description, rows.schema)


def test_langchains_own_pass_through_and_a_plain_function_becomes_a_tool():
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    assert view(total) is total
    assert view(add).invoke({"a": 1, "b": 2}) == "3"


def test_a_tool_comes_back_from_langchain_as_the_one_it_was():
    assert as_tools([view(rows)]) == (rows,)


@pytest.mark.parametrize("call", ["sync", "async"])
async def test_a_call_gives_what_the_model_reads(call):
    seen, arguments = view(rows), {"sql": "SELECT 1"}
    given = await (asyncio.to_thread(seen.invoke, arguments) if call == "sync" else seen.ainvoke(arguments))
    assert given == '{"sql": "SELECT 1", "limit": 10}'


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"sql": 1}, "sql: expected string"),
        ({"sql": "rejected"}, "no such table"),
        ({"sql": "failed"}, "a\nb"),
        ({"sql": "raised"}, "ValueError: broken"),
        ({"sql": "slow"}, "rows did not finish within 0.05 seconds"),
    ],
)
async def test_a_failure_is_a_result_that_the_model_can_read(arguments, told):
    call = {"type": "tool_call", "id": "c1", "name": "rows", "args": arguments}
    made = await view(rows).ainvoke(call)
    assert (made.status, made.tool_call_id) == ("error", "c1")
    assert told in made.text


async def test_a_picture_stays_one():
    made = await view(chart).ainvoke({"type": "tool_call", "id": "c1", "name": "chart", "args": {"title": "Sales"}})
    assert [block["type"] for block in made.content] == ["text", "image"]


async def test_a_sync_call_inside_a_running_loop_says_what_to_do():
    with pytest.raises(SyncInLoop, match="await ainvoke"):
        view(rows).invoke({"sql": "SELECT 1"})


def test_what_the_integration_has_is_what_it_says_it_has():
    assert all(hasattr(langchain, name) for name in langchain.__all__)
    with pytest.raises(AttributeError, match="EscalationMiddlewear"):
        _ = langchain.EscalationMiddlewear


def test_what_is_no_tool_is_told():
    with pytest.raises(ToolError, match="is no tool"):
        langchain_tools([42])


def test_a_declaration_without_a_function_says_so_when_it_is_called():
    declared = Tool.from_schema("there", "Only declared.", {"type": "object", "properties": {}})
    made = view(declared).invoke({"type": "tool_call", "id": "c1", "name": "there", "args": {}})
    assert "is only a declaration" in made.text


@pytest.mark.parametrize(
    ("sql", "trigger"),
    [("rejected", Trigger.tool_rejected), ("failed", Trigger.tool_error), ("slow", Trigger.tool_timeout)],
)
async def test_in_an_agent_recovery_is_told_how_a_tool_of_ours_failed_and_the_ledger_what_it_is(sql, trigger, tmp_path):
    policy = RecoveryPolicy(overrides={trigger: "escalate"})
    small = ScriptedModel("small", [CallTool("rows", sql=sql)])
    strong = ScriptedModel("strong", ["Nothing found."], tier="capable")
    low = StepPolicy([{"tier": "efficient"}])
    async with scripted_app(small, strong, policies=[low], recovery=policy, ledger=tmp_path / "l.db") as app:
        middleware = [EscalationMiddleware(app, step="look")]
        agent: Any = create_agent(NEVER, langchain_tools([rows]), middleware=middleware)
        out = await agent.ainvoke(ASKED)
        found = app.ledger.events(app.ledger.runs()[0].run)
    assert [one.status for one in out["messages"] if isinstance(one, ToolMessage)] == ["error"]
    assert [one["role"] for one in strong.requests[0]["messages"]] == ["user"]  # a look-up that failed is no history
    assert [(one.trigger, one.read_only) for one in tools(found)] == [(trigger, True)]
    assert [(one.model, [verdict.trigger for verdict in one.later]) for one in attempts(found)] == [
        ("small", [trigger]),
        ("strong", []),
    ]


async def test_langchains_tools_go_into_a_call_and_are_executed_by_whoever_asked():
    model = ScriptedModel("small", [CallTool("total", values=[1, 2])])
    async with scripted_app(model) as app:
        reply = await app.complete("Add 1 and 2.", tools=[total, view(rows)])
    (call,) = reply.tool_calls
    known = {one.name: one for one in as_tools([total])}
    assert await known[call.name].call(call.arguments) == 3
    assert [one["function"]["name"] for one in model.requests[0]["tools"]] == ["total", "rows"]
