"""Define a graph in Python: a hand-written LangGraph graph whose nodes each ask for the model their step needs.

Run it: python examples/01_graph.py
"""

import asyncio
import os
from pathlib import Path
from typing import Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel

from orchestra import Orchestra, Reply

FLEET = os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml"))
TICKET = "I was charged twice in March. Please send one of the two payments back."


class Label(BaseModel):
    topic: Literal["billing", "bug", "question"]


class State(TypedDict, total=False):
    ticket: str
    topic: str
    draft: str


def show(step: str, reply: Reply) -> None:
    refused = [f"after {one.trigger} on {one.model}" for one in reply.attempts if one.trigger]
    why = ", ".join(refused) or reply.decisions[0].reasons[-1].text
    print(f"{step:8} {reply.model:7} {why}")


def build(app: Orchestra):  # noqa: ANN201  # LangGraph's type says nothing here
    async def classify(state: State) -> State:
        reply = await app.complete(f"What is this ticket about?\n{state['ticket']}", step="classify", output=Label)
        show("classify", reply)
        return {"topic": reply.output.topic}

    async def draft(state: State) -> State:
        prompt = f"Write a two-sentence reply to this {state['topic']} ticket:\n{state['ticket']}"
        reply = await app.complete(prompt, step="draft", mode="quality", max_tokens=120)
        show("draft", reply)
        return {"draft": reply.text}

    graph = StateGraph(State).add_node(classify).add_node(draft)
    return graph.add_edge(START, "classify").add_edge("classify", "draft").add_edge("draft", END).compile()


async def main() -> None:
    async with Orchestra.from_file(FLEET) as app:
        state = await build(app).ainvoke({"ticket": TICKET})
        print(f"\n{state['topic']}: {state['draft']}")


asyncio.run(main())
