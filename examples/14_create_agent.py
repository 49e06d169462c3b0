"""A LangChain agent keeps its tools and its state, and gains a ladder: one more line, an EscalationMiddleware.

Run it: pip install "orchestra-agents[langchain]"; python examples/14_create_agent.py
"""

import os
from pathlib import Path

from langchain.agents import create_agent
from langchain_core.tools import tool

from orchestra import Orchestra
from orchestra.integrations.langchain import EscalationMiddleware
from orchestra.ledger import attempts

FLEET = os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml"))
BOTTLES = {"lemonade": 24, "water": 7}


@tool
def stock(item: str) -> str:
    """How many bottles of an item are left.

    Args:
        item: its name in the list: lemonade or water
    """
    return f"{BOTTLES[item]} bottles"


app = Orchestra.from_file(FLEET)
agent = create_agent(
    app.chat_model(),
    [stock],
    middleware=[EscalationMiddleware(app, step="stock", budget=0.05)],
)
out = agent.invoke({"messages": [("user", "How many bottles of lemonade are left?")]})

run = app.ledger.runs()[0].run
for attempt in attempts(app.ledger.events(run)):
    said = attempt.trigger or "ok"
    print(f"turn {attempt.turn} {attempt.model}: {said}" + (f" → {attempt.action}" if attempt.action else ""))
print(f"in history: {[message.type for message in out['messages']]}")
print(out["messages"][-1].text)
app.close()
