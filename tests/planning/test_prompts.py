import json
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orchestra.planning import (
    copied,
    faults,
    plan_messages,
    read_plan,
    single_step,
    step_messages,
    with_answer,
)
from orchestra.types import Plan, Step, ToolSpec

ROWS = ToolSpec(
    "rows",
    "Run one SELECT\nagainst the database.\n\nLong details that executors get.",
    {"type": "object", "properties": {"sql": {}, "limit": {}}},
)
DAG = Plan(
    "Who had more rain?",
    (
        Step("s1", "Oslo"),
        Step("s2", "Bergen"),
        Step("s3", "Compare", needs=("s1",)),
        Step("s4", "End", needs=("s3", "s2")),
    ),
)
RESULTS = {"s1": "763 mm in Oslo", "s2": "2250 mm in Bergen", "s3": "little"}


def asked(plan: Plan, step: str, results: dict[str, str] = RESULTS) -> tuple[str, str]:
    system, user = step_messages(plan, next(one for one in plan.steps if one.id == step), results)
    assert (system.role, user.role) == ("system", "user")
    return system.text, user.text


def test_the_planner_sees_task_background_tools_and_limit() -> None:
    system, user = plan_messages("Who is heaviest?", [ROWS], background="Table penguins", max_steps=5)
    assert "at most 5" in system.text
    assert user.text == (
        "Tools:\n- rows(sql, limit): Run one SELECT against the database.\n\n"
        "Background:\nTable penguins\n\nTask:\nWho is heaviest?"
    )


def test_a_planner_without_tools_is_told_so_and_sees_no_empty_background() -> None:
    _, user = plan_messages("x", [])
    assert user.text == "Tools:\nnone\n\nTask:\nx"


def examples(tools: list[ToolSpec]) -> list[Plan]:
    lines = plan_messages("x", tools)[0].text.splitlines()
    pairs = pairwise(lines)
    return [read_plan(line.removeprefix("Task: "), json.loads(after)) for line, after in pairs if line[:6] == "Task: "]


def test_the_examples_that_planners_see_are_sound_plans_of_one_step_and_of_several() -> None:
    for tools in ([], [ROWS]):
        one, several = examples(tools)
        assert [faults(plan, [tool.name for tool in tools], 3) for plan in (one, several)] == [(), ()]
        assert len(one.steps) == 1
        assert several.steps[2].needs == ("s1", "s2")
        assert {step.tools for step in several.steps[:2]} == {tuple(tool.name for tool in tools)}


def test_a_plan_that_copies_a_name_from_the_examples_is_told_so_step_by_step() -> None:
    plan = examples([ROWS])[1]
    found = copied(replace(plan, task="How heavy are they?"), plan_messages("How heavy are they?", [ROWS]))
    assert found[0] == (
        "step 's1' speaks of Quito, which stands only in the example; plan the task itself: How heavy are they?"
    )
    assert len(found) == 4


def test_a_name_of_the_examples_is_welcome_where_the_planner_was_given_it() -> None:
    plan = examples([])[1]
    assert copied(plan, plan_messages("QUITO and lima?", [])) == ()
    assert copied(plan, plan_messages("?", [], background="Tables: Quito, Lima")) == ()
    assert copied(plan, plan_messages("?", [ToolSpec("t", "Rain in Quito and Lima", {})])) == ()
    assert copied(Plan("x", (Step("s1", "Compare the rain: who had more"),)), plan_messages("x", [])) == ()


def test_braces_in_a_task_or_tool_are_left_alone() -> None:
    system, user = plan_messages('{"a": {0}}', [ToolSpec("t{x}", "d {y}", {})])
    assert "{0}" in user.text
    assert "t{x}" in system.text


def test_a_step_sees_the_results_it_needs_and_only_those() -> None:
    _, user = asked(DAG, "s3")
    assert "[s1] Oslo\n763 mm in Oslo" in user
    assert "Bergen" not in user
    assert "2250" not in user
    assert "Your step:\nCompare" in user


def test_a_step_without_needs_sees_no_results_at_all() -> None:
    _, user = asked(DAG, "s1")
    assert user == "Task (for orientation):\nWho had more rain?\n\nYour step:\nOslo"


def test_results_of_results_are_not_passed_on() -> None:
    _, user = asked(DAG, "s4")
    assert "little" in user
    assert "2250" in user
    assert "763" not in user


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(10**8, 10**9 - 1)), min_size=1, max_size=8, unique_by=lambda pair: pair[1]
    )
)
def test_whatever_a_step_needs_is_there_and_nothing_else(given: list[tuple[bool, int]]) -> None:
    before = tuple(Step(f"s{n}", "g") for n in range(len(given)))
    needs = tuple(step.id for step, (needed, _) in zip(before, given, strict=True) if needed)
    plan = Plan("task", (*before, Step("end", "g", needs=needs)))
    results = {step.id: str(secret) for step, (_, secret) in zip(before, given, strict=True)}
    _, user = asked(plan, "end", results)
    for step in before:
        assert (results[step.id] in user) == (step.id in needs)


def test_a_needed_step_that_failed_is_said_to_have_no_result() -> None:
    assert "[s1] Oslo\n(no result: this step failed)" in asked(DAG, "s3", {})[1]


def test_only_the_last_step_is_told_to_answer_the_task() -> None:
    assert asked(DAG, "s4")[1].endswith("End\nThen answer the task.")
    assert "answer the task" not in asked(DAG, "s3")[1]
    assert "Then answer the task." in asked(single_step("x", [ROWS]), "s1")[1]


def test_an_answer_step_has_rules_of_its_own() -> None:
    plan = with_answer(Plan("t", DAG.steps[:2]))
    assert asked(plan, "answer")[0] != asked(plan, "s1")[0]
    assert asked(plan, "answer")[1].endswith("Your step:\nAnswer the task")
    assert "763" in asked(plan, "answer")[1]
