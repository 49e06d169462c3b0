"""What a type checker tells a user. Checked by `pyright --project tests/typing`, never run."""

from typing import assert_type

import orchestra
from orchestra import Orchestra, Reply, StreamCut, Tool, tool
from orchestra.ledger import Ledger
from orchestra.ledger.events import AttemptEnded
from orchestra.types import Message, Text

orchestra.misspelt  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # noqa: B018


@tool(read_only=True)
def rows(sql: str) -> list[dict[str, int]]:
    """Run one SELECT."""
    return []


@tool
async def letter(to: str) -> str:
    """Write a letter."""
    return to


assert_type(rows, Tool)
assert_type(letter, Tool)


async def stream(app: Orchestra) -> Reply | None:
    """The field `type` tells the events of a stream apart."""
    try:
        async for event in app.stream("…", step="draft"):
            if event.type == "text":
                print(event.text)
            elif event.type == "tool_call":
                print(event.call.name)
            elif event.type == "end":
                return event.reply
    except StreamCut as cut:
        print(cut.partial_text)
    return None


def parts(message: Message) -> list[str]:
    """So it does for the parts of a message."""
    return [assert_type(part, Text).text for part in message.parts if part.type == "text"]


def attempts(ledger: Ledger, run: str) -> list[AttemptEnded]:
    """And for the events of the ledger."""
    return [row.event for row in ledger.events(run) if row.event.type == "attempt_ended"]


async def answer(app: Orchestra) -> str:
    """An agent's methods are known to it, LangGraph's own as well."""
    agent = app.planner_executor([rows])
    print(agent.get_graph().draw_mermaid())
    result = await agent.ainvoke({"task": "…"}, {"configurable": {"thread_id": "1"}}, durability="sync")
    return result["answer"]
