"""The flowchart of a plan is valid mermaid whatever people and models wrote into the plan."""

from __future__ import annotations

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from orchestra.planning import mermaid
from orchestra.types import Plan, Step

NODE = re.compile(r'    (task|s\d+)(?:\(\["|\[")([^"]+)"\]\)?(?::::(done|failed|skipped|running))?')
ARROW = re.compile(r"    (task|s\d+) --> (s\d+)")
CLASS = re.compile(r"    classDef (\w+) stroke:#[0-9a-f]{6}")
ENTITY = re.compile(r"#(\d+);")

PLAN = Plan(
    "Compare them",
    (
        Step("s1", "find apples", tools=("rows", "calculator")),
        Step("s2", "find pears", critical=False),
        Step("s3", "compare", needs=("s1", "s2")),
    ),
)


def parsed(text: str) -> tuple[dict[str, list[str]], dict[str, str], list[tuple[str, str]]]:
    """Lines of each node as people see them, states, arrows; every line of the chart must be one of these."""
    head, *body = text.split("\n")
    assert head == "flowchart TD"
    nodes, states, arrows = {}, {}, []
    for line in body:
        if found := NODE.fullmatch(line):
            name, label, state = found.groups()
            assert not re.search(r"[<>`{}\[\]|\\]", label.replace("<br/>", ""))
            nodes[name] = [ENTITY.sub(lambda m: html.unescape(f"&#{m[1]};"), one) for one in label.split("<br/>")]
            states |= {name: state} if state else {}
        elif found := ARROW.fullmatch(line):
            arrows.append((found[1], found[2]))
        else:
            assert CLASS.fullmatch(line), line
    return nodes, states, arrows


def test_steps_stand_under_the_task_by_what_they_need():
    nodes, states, arrows = parsed(mermaid(PLAN))
    assert nodes == {
        "task": ["Compare them"],
        "s0": ["s1: find apples", "tools: rows, calculator"],
        "s1": ["s2: find pears", "optional"],
        "s2": ["s3: compare"],
    }
    assert arrows == [("task", "s0"), ("task", "s1"), ("s0", "s2"), ("s1", "s2")]
    assert states == {}


def test_states_colour_the_steps_they_name_and_a_word_that_is_no_state_colours_nothing():
    _, states, _ = parsed(mermaid(PLAN, {"s1": "done", "s2": "running", "s3": "thinking", "s9": "failed"}))
    assert states == {"s0": "done", "s1": "running"}


def test_flags_tell_how_the_plan_came_about():
    nodes, _, _ = parsed(mermaid(Plan("one thing", (Step("s1"),), ("single_step",))))
    assert nodes == {"task": ["one thing", "single_step"], "s0": ["s1"]}


def test_quotes_brackets_entities_and_line_breaks_of_a_model_do_not_break_the_chart():
    goal = 'say "hi"] --> x\nend; #quot; <b>`{a|b}`</b> & \x1b[31m Grüße, Москва, 東京'
    nodes, _, arrows = parsed(mermaid(Plan('"task"', (Step("end", goal),))))
    assert nodes["s0"] == ['end: say "hi"] --> x end; #quot; <b>`{a|b}`</b> & [31m Grüße, Москва, 東京']
    assert arrows == [("task", "s0")]


def test_a_long_goal_is_cut_and_a_hundred_steps_are_drawn():
    steps = tuple(Step(f"s{n}", "x" * 5000, needs=(f"s{n - 1}",) if n else ()) for n in range(100))
    nodes, _, arrows = parsed(mermaid(Plan("chain", steps)))
    assert (len(nodes), len(arrows)) == (101, 100)
    assert max(len(line) for lines in nodes.values() for line in lines) == 200


def test_a_plan_without_steps_a_need_without_step_and_an_empty_task_can_be_drawn():
    assert parsed(mermaid(Plan("", ())))[0] == {"task": [" "]}
    assert parsed(mermaid(Plan("t", (Step("a", needs=("gone",)),))))[2] == [("task", "s0")]


@given(st.text(), st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=8))
def test_whatever_is_written_into_a_plan_every_line_of_the_chart_is_valid(task, steps):
    plan = Plan(task, tuple(Step(name, goal, tools=(tool,)) for name, goal, tool in steps))
    nodes, _, _ = parsed(mermaid(plan, {name: "done" for name, _, _ in steps}))
    assert len(nodes) == len(steps) + 1
