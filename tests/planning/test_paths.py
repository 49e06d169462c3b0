"""How much of a plan lies behind each step."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import PlanError
from orchestra.planning import order, remaining, weight
from orchestra.types import Plan, Step


def plan_of(**needs):
    """A plan of steps without tools: each id with the ids it needs, in one string."""
    return Plan("task", tuple(Step(name, needs=tuple(found.split())) for name, found in needs.items()))


def test_a_step_with_tools_is_expected_to_take_a_call_and_an_answer():
    assert (weight(Step("a", tools=("rows",))), weight(Step("a"))) == (2.0, 1.0)


def test_what_lies_behind_a_step_is_the_heaviest_path_to_the_end_itself_included():
    plan = Plan(
        "task",
        (
            Step("short", tools=("rows",)),
            Step("long"),
            Step("middle", needs=("long",), tools=("rows", "more")),
            Step("end", needs=("short", "middle")),
        ),
    )
    assert remaining(plan) == {"short": 3.0, "long": 4.0, "middle": 3.0, "end": 1.0}


def test_steps_that_are_done_count_no_more_and_stand_for_nothing():
    plan = plan_of(a="", b="a", c="b", d="")
    assert remaining(plan, done={"a", "b"}) == {"c": 1.0, "d": 1.0}
    assert remaining(plan, done="abcd") == {}


def test_a_finished_step_holds_up_nobody_so_no_path_leads_through_it():
    assert remaining(plan_of(a="", b="a", c="b"), done={"b"}) == {"a": 1.0, "c": 1.0}


def test_a_plan_without_steps_has_no_paths():
    assert remaining(Plan("task", ())) == {}


def test_needs_that_are_no_steps_of_the_plan_are_passed_over():
    assert remaining(plan_of(a="elsewhere")) == {"a": 1.0}


def test_a_cycle_is_named():
    with pytest.raises(PlanError, match=r"a → b → a|b → a → b"):
        remaining(plan_of(a="b", b="a"))


def test_a_chain_of_two_thousand_steps_is_no_matter():
    names = [f"s{number}" for number in range(2000)]
    chain = Plan(
        "task", tuple(Step(one, needs=(before,)) for before, one in zip(["none", *names], names, strict=False))
    )
    assert remaining(chain)["s0"] == 2000.0


@st.composite
def plans(draw):
    size = draw(st.integers(1, 8))
    steps = []
    for number in range(size):
        needs = draw(st.sets(st.integers(0, number - 1))) if number else set()
        tools = ("rows",) if draw(st.booleans()) else ()
        steps.append(Step(str(number), needs=tuple(map(str, sorted(needs))), tools=tools))
    return Plan("task", tuple(draw(st.permutations(steps))))


@settings(deadline=None)
@given(plan=plans(), done=st.sets(st.integers(0, 7)))
def test_every_step_has_its_own_weight_and_the_most_of_what_needs_it(plan, done):
    done = {str(number) for number in done}
    found = remaining(plan, done)
    assert list(found) == [step.id for step in order(plan) if step.id not in done]
    for step in plan.steps:
        if step.id not in done:
            behind = [found[other.id] for other in plan.steps if other.id not in done and step.id in other.needs]
            assert found[step.id] == weight(step) + max(behind, default=0.0)
