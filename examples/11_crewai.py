"""You have a CrewAI app: change the line that makes the LLM. Tasks are steps, and no bad call reaches the crew.

Run it: python examples/11_crewai.py   (with the extra: pip install 'orchestra-agents[crewai]')
"""

import os
from pathlib import Path

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")  # CrewAI sends telemetry unless it is told not to

from crewai import Agent, Crew, Task
from crewai.tools import tool

from orchestra import Orchestra
from orchestra.integrations.crewai import OrchestraLLM
from orchestra.ledger import Judged

FLEET = os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml"))


@tool("price")
def price(item: str) -> float:
    """Price of an item, lamp or chair, in euros."""
    return {"lamp": 79.5, "chair": 129.0}[item]


app = Orchestra.from_file(FLEET)
llm = OrchestraLLM(app)  # was: LLM(model="openai/gpt-5-mini")

clerk = Agent(role="Clerk", goal="Answer customers.", backstory="You look prices up.", tools=[price], llm=llm)
writer = Agent(role="Writer", goal="Write to customers.", backstory="You are brief.", llm=llm)
look_up = Task(name="look_up", description="What does a lamp cost?", expected_output="a price", agent=clerk)
letter = Task(name="letter", description="Tell the customer.", expected_output="a sentence", agent=writer)

result = Crew(agents=[clerk, writer], tasks=[look_up, letter]).kickoff()
print(result.raw)
for run in reversed(app.ledger.runs()):  # one for each of the crew's calls
    for row in app.ledger.events(run.run):
        if isinstance(row.event, Judged):
            print(f"{row.step:8} {row.event.model:7} {row.event.trigger or 'accepted'}")
app.close()
