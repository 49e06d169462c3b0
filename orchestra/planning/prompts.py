"""What is said to the planner and to each step. Short: the embedded planner has 1.5 billion weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from orchestra.planning.graph import sinks
from orchestra.planning.replan import Known
from orchestra.types import Message, Plan, Step, ToolSpec

PLANNER = """\
You split a task into the fewest steps that solve it, at most {max_steps}. For each step write
- id: s1, s2, s3, ...
- goal: one thing to find out or do; name every value and column it needs
- needs: ids of earlier steps whose results it uses; [] if none. Steps that do not need each other run at once
- tools: the tools it may call; [] if it only thinks
- difficulty: easy, medium or hard
The last step uses the results of the others and gives the answer. Reply with JSON only. {examples}"""

REPLANNER = """\
A plan for a task came to a halt. You write the steps that are still needed, at most {max_steps}, in the same form. \
What is finished stays: use its results through needs ({kept}) and never do it again. Go another way than the one \
that failed."""

EXECUTOR = """\
You carry out one step of a plan. Do only this step. Use the tools for facts and never invent any. \
When the step is done, reply with its result in one or two plain sentences that hold every value found."""

ANSWERER = """\
You write the final answer to a task from the results of the steps that were carried out. \
Use only these results. Answer in one or two plain sentences; if a result is missing, say so."""

# Small models copy a plan's shape better than they follow a rule about it: one step where one is enough, else two at
# once and one that joins them.
_EXAMPLES = (
    ("Which city had the most rain in all of May?", (("Find the city that had the most rain in all of May", ()),)),
    (
        "Who had more rain, Quito or Lima, and how much more?",
        (
            ("Find the rain in Quito", ()),
            ("Find the rain in Lima", ()),
            ("Compare the rain in Quito and Lima: who had more, and by how much", ("s1", "s2")),
        ),
    ),
)
_NAMES = frozenset(name for task, _ in _EXAMPLES for name in re.findall(r" ([A-Z]\w+)", task))


def plan_messages(
    task: str, tools: Sequence[ToolSpec], *, background: str = "", max_steps: int = 8
) -> tuple[Message, ...]:
    """The planner's messages: the rules, then tools, background (such as the tables there are) and the task."""
    listing = "\n".join(f"- {_declaration(tool)}" for tool in tools) or "none"
    return (
        Message.system(PLANNER.format(max_steps=max_steps, examples=_examples(tools))),
        Message.user(_sections(("Tools", listing), ("Background", background), ("Task", task))),
    )


def replan_messages(
    plan: Plan, tools: Sequence[ToolSpec], known: Known, *, background: str = "", max_steps: int = 8
) -> tuple[Message, ...]:
    """The planner's messages for what follows `plan`: the first plan's, then what is known and what went wrong."""
    goals = {step.id: step.goal for step in plan.steps}
    finished = "\n".join(f"[{sid}] {goals.get(sid, '')}\n{text}" for sid, text in known.results.items())
    left = "\n".join(f"[{step.id}] {step.goal}" for step in plan.steps if step.id not in known.results)
    rules = REPLANNER.format(max_steps=max_steps, kept=", ".join(known.results) or "none")
    said = _sections(
        ("Finished", finished or "nothing"),
        ("Not finished", left),
        ("Already done, never do it again", "\n".join(known.acts)),
        ("What happened", known.reason),
    )
    first = plan_messages(plan.task, tools, background=background, max_steps=max_steps)
    return (*first, Message.user(f"{rules}\n\n{said}"))


def step_messages(plan: Plan, step: Step, results: Mapping[str, str]) -> tuple[Message, ...]:
    """The messages of one step: the task, its goal, and of `results` (by step id) those it needs and no other."""
    goals = {each.id: each.goal for each in plan.steps}
    seen = "\n\n".join(
        f"[{need}] {goals.get(need, '')}\n{results.get(need, '(no result: this step failed)')}" for need in step.needs
    )
    last = sinks(plan) == (step,)
    closing = "Then answer the task." if last and step.kind != "answer" else ""
    rules = ANSWERER if step.kind == "answer" else EXECUTOR
    return (
        Message.system(rules),
        Message.user(
            _sections(
                ("Task (for orientation)" if not last else "Task", plan.task),
                ("Results of earlier steps", seen),
                ("Your step", f"{step.goal}\n{closing}".strip()),
            )
        ),
    )


def copied(plan: Plan, messages: Sequence[Message]) -> tuple[str, ...]:
    """The goals that speak of what stands only in the prompt's example and nowhere in what the planner was given.

    `messages` are the planner's; a fault a line. Of the example only names count: any task may ask to compare.
    """
    given = " ".join(message.text for message in messages if message.role == "user").casefold()
    names = sorted(name for name in _NAMES if name.casefold() not in given)
    return tuple(
        f"step {step.id!r} speaks of {name}, which stands only in the example; plan the task itself: {plan.task}"
        for step in plan.steps
        for name in names
        if name in step.goal
    )


def _examples(tools: Sequence[ToolSpec]) -> str:
    names = [tool.name for tool in tools[:1]]
    lines = ["Two examples:"]
    for task, rows in _EXAMPLES:
        steps = [
            {"id": f"s{number}", "goal": goal, "needs": needs, "tools": [] if needs else names, "difficulty": "easy"}
            for number, (goal, needs) in enumerate(rows, 1)
        ]
        lines += [f"Task: {task}", json.dumps({"steps": steps})]
    return "\n".join(lines)


def _declaration(tool: ToolSpec) -> str:
    properties = tool.schema.get("properties")
    arguments = ", ".join(properties) if isinstance(properties, Mapping) else ""
    # executors get the whole description; the planner only needs to know what the tool is for
    summary = tool.description.strip().split("\n\n")[0]
    return f"{tool.name}({arguments}): {' '.join(summary.split())}"


def _sections(*sections: tuple[str, str]) -> str:
    return "\n\n".join(f"{title}:\n{text.strip()}" for title, text in sections if text.strip())
