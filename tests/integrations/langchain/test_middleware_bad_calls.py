"""Each way in which a cheap model fails an agent: what stock `create_agent` makes of it, and what ours does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool, tool
from langchain_openai import ChatOpenAI
from langgraph.errors import GraphRecursionError
from pydantic import SecretStr

from orchestra.integrations.langchain import EscalationMiddleware
from orchestra.ledger import AttemptView, attempts
from orchestra.testing import Behaviour, CallTool, FakeProvider, Say
from orchestra.types import Action, Trigger
from tests.integrations.langchain.agents import ANSWER, GOOD, app_of, fleet, till

PAGE = Path(__file__).parents[3] / "docs/integrations/langchain.md"
BAD: dict[str, tuple[Behaviour, Trigger]] = {
    "calls a tool that does not exist": (CallTool("rowz", sql="SELECT 1"), Trigger.unknown_tool),
    "leaves out an argument": (CallTool("rows", query="SELECT 1"), Trigger.schema_violation),
    "writes arguments that are not JSON": (CallTool.written("rows", '{"sql": SELECT 1}'), Trigger.malformed_args),
    "makes two calls, one of them wrong": (Say(calls=(GOOD, CallTool("rowz"))), Trigger.unknown_tool),
    "says nothing": ("", Trigger.empty),
    "writes the call as text": ('{"name": "rows", "arguments": {"sql": "SELECT 1"}}', Trigger.no_call),
    "is cut off": (Say("The answer to your", finish="length"), Trigger.truncated),
    "declines": (Say(refusal="I cannot help with that."), Trigger.refusal),
}
AGAIN = "makes the same call again and again"
LIMIT = {"recursion_limit": 12}


@dataclass
class End:
    """How an agent ended: its messages, None where it never came to an end, and what its tool was asked."""

    messages: list[BaseMessage] | None
    asked: list[str]
    requests: int
    attempts: tuple[AttemptView, ...] = ()

    def told(self) -> str:
        """In words, for the page."""
        ran = {0: "never", 1: "once", 2: "twice"}.get(len(self.asked), f"{len(self.asked)} times")
        if self.messages is None:
            end = f"never ends: {self.requests} requests until the recursion limit"
        else:
            text = self.messages[-1].text
            end = f"answers “{text}”" if text else "answers nothing"
        return f"{end}; the tool runs {ran}"


def asking() -> tuple[list[str], BaseTool]:
    """A tool, and what it was asked."""
    asked: list[str] = []

    @tool
    def rows(sql: str) -> str:
        """Run one SELECT."""
        asked.append(sql)
        return "42" if sql == "SELECT 1" else "0"

    return asked, rows


async def run(agent: Any) -> list[BaseMessage] | None:
    try:
        return (await agent.ainvoke({"messages": [("user", "How many?")]}, LIMIT))["messages"]
    except GraphRecursionError:
        return None


async def stock(bad: Behaviour) -> End:
    asked, rows = asking()
    async with FakeProvider({"small": till("42", bad)}) as provider:
        model = ChatOpenAI(model="small", base_url=provider.base_url, api_key=SecretStr("k"), max_retries=0)
        return End(await run(create_agent(model, [rows])), asked, provider.count("small"))


async def ours(bad: Behaviour, path: Path) -> End:
    asked, rows = asking()
    with fleet({"small": till("42", bad), "strong": GOOD}) as (provider, known):
        async with app_of(known, ledger=path / "l.db") as app:
            agent = create_agent(app.chat_model(), [rows], middleware=[EscalationMiddleware(app, step="look")])
            messages = await run(agent)
            made = attempts(app.ledger.events(app.ledger.runs()[0].run))
        return End(messages, asked, len(provider.requests), made)


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_reply_goes_up_one_rung_runs_the_tool_once_comes_back_down_and_never_enters_history(kind, tmp_path):
    bad, trigger = BAD[kind]
    end = await ours(bad, tmp_path)
    assert end.messages is not None
    assert [(one.model, one.trigger, one.action) for one in end.attempts] == [
        ("small", trigger, Action.repair),
        ("small", trigger, Action.escalate),
        ("strong", None, None),
        ("small", None, None),
    ]
    assert end.asked == ["SELECT 1"]
    assert [one.type for one in end.messages] == ["human", "ai", "tool", "ai"]
    assert end.messages[-1].text == ANSWER
    served = [one.response_metadata["model_name"] for one in end.messages if isinstance(one, AIMessage)]
    assert served == ["strong", "small"]


async def test_a_call_that_was_made_twice_is_not_made_a_third_time(tmp_path):
    end = await ours(CallTool("rows", sql="SELECT 2"), tmp_path)
    assert end.asked == ["SELECT 2", "SELECT 2", "SELECT 1"]
    assert [one.trigger for one in end.attempts] == [None, None, *[Trigger.repeated_call] * 2, None, None]


@pytest.mark.parametrize("kind", [*BAD, AGAIN])
async def test_the_page_tells_what_the_stock_agent_makes_of_it_and_what_ours_does(kind, tmp_path):
    bad = CallTool("rows", sql="SELECT 2") if kind == AGAIN else BAD[kind][0]
    row = f"| {kind} | {(await stock(bad)).told()} | {(await ours(bad, tmp_path)).told()} |"
    assert row in PAGE.read_text(encoding="utf-8").splitlines()
