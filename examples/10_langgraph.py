"""You have a LangGraph app: change the line that makes the model. Nodes are steps, and no bad call reaches the graph.

Run it: python examples/10_langgraph.py
"""

import asyncio
import os
from pathlib import Path

from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from orchestra import Orchestra

FLEET = os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml"))


@tool
def price(item: str) -> float:
    """Price of an item, lamp or chair, in euros."""
    return {"lamp": 79.5, "chair": 129.0}[item]


def build(app: Orchestra):  # noqa: ANN201  # LangGraph's type says nothing here
    model = app.chat_model().bind_tools([price])  # was: ChatOpenAI(model="…").bind_tools([price])

    async def sell(state: MessagesState) -> MessagesState:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("sell", sell).add_node("tools", ToolNode([price]))
    return (
        graph.add_edge(START, "sell").add_conditional_edges("sell", tools_condition).add_edge("tools", "sell").compile()
    )


async def main() -> None:
    async with Orchestra.from_file(FLEET) as app:
        state = await build(app).ainvoke({"messages": [("user", "What does a lamp cost?")]})
        for message in state["messages"]:
            served = message.response_metadata.get("orchestra", {})
            refused = [f"{one['model']} refused: {one['trigger']}" for one in served.get("refused", ())]
            said = message.text or [f"{call['name']}({call['args']})" for call in message.tool_calls]
            print(f"{message.type:6} {served.get('model', ''):7} {said} {', '.join(refused)}".rstrip())


asyncio.run(main())
