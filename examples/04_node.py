"""Route by node: in a hand-written graph every node has a step, a budget and a run of its own; one node is an agent.

Run it: python examples/04_node.py
"""

import asyncio
import os
from pathlib import Path
from typing import TypedDict

from langgraph.graph import END, START, StateGraph

from orchestra import Orchestra, tool
from orchestra.ledger import Judged, Row, RunEnded, RunStarted

FLEET = os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml"))


@tool(read_only=True)
def price(item: str) -> float:
    """Price of an item, lamp or chair, in euros."""
    return {"lamp": 79.5, "chair": 129.0}[item]


class State(TypedDict, total=False):
    task: str  # what the agent takes
    answer: str | None  # what it gives
    letter: str


def build(app: Orchestra):  # noqa: ANN201  # LangGraph's type says nothing here
    async def write(state: State) -> State:
        draft = await app.complete(f"Write one friendly sentence to a customer that says: {state['answer']}")
        short = await app.complete(f"Say this in at most ten words: {draft.text}", mode="cost", max_tokens=60)
        return {"letter": short.text}

    look_up = app.planner_executor(tools=[price], name="look_up", max_steps=3)
    writing = app.node(write, step="write", mode="quality", budget=0.05, deadline=120)
    graph = StateGraph(State).add_node("look_up", look_up).add_node("write", writing)
    return graph.add_edge(START, "look_up").add_edge("look_up", "write").add_edge("write", END).compile()


def show(row: Row) -> None:
    match row.event:
        case RunStarted(agent=name) | RunEnded(state=name):
            print(f"{row.run} {name}")
        case Judged(model=model, trigger=trigger):
            print(f"  {row.step:8} {model:7} {trigger or 'accepted'}")


async def main() -> None:
    async with Orchestra.from_file(FLEET) as app:
        watch = build(app).astream({"task": "What does a lamp cost?"}, stream_mode=["custom", "values"], subgraphs=True)
        async for _, mode, seen in watch:
            if mode == "custom":
                show(seen)
        print(f"\n{seen['letter']}")


asyncio.run(main())
