import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import PlanError
from orchestra.planning import faults, ordered_plan_schema, plan_schema, read_plan, single_step
from orchestra.planning.graph import cycles
from orchestra.types import Json, Plan, Step, ToolSpec

TOOLS = (ToolSpec("rows", "Run a query.", {"type": "object"}), ToolSpec("計算", "Calculate.", {"type": "object"}))
ONE = {"id": "s1", "goal": "find", "needs": [], "tools": ["rows"], "difficulty": "easy"}


def valid(value: Json, tools: tuple[ToolSpec, ...] = TOOLS) -> bool:
    schema = plan_schema(tools, 3)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid(value)


def test_a_well_formed_plan_fits_the_schema_and_is_read_as_written() -> None:
    value = {"steps": [ONE, {**ONE, "id": "s2", "goal": " say ", "needs": ["s1"], "tools": [], "difficulty": "hard"}]}
    assert valid(value)
    assert read_plan("task", value) == Plan(
        "task",
        (
            Step("s1", "find", tools=("rows",), difficulty="easy"),
            Step("s2", "say", needs=("s1",), difficulty="hard"),
        ),
    )


@pytest.mark.parametrize(
    "step",
    [
        {**ONE, "tools": ["other"]},
        {**ONE, "needs": ["s9"]},
        {**ONE, "id": "s4"},
        {**ONE, "goal": ""},
        {**ONE, "difficulty": "extreme"},
        {**ONE, "more": 1},
        {key: value for key, value in ONE.items() if key != "needs"},
    ],
)
def test_the_schema_refuses_what_a_planner_must_not_write(step: Json) -> None:
    assert not valid({"steps": [step]})


def test_the_schema_bounds_the_number_of_steps() -> None:
    assert not valid({"steps": []})
    assert not valid({"steps": [ONE] * 4})


def test_without_tools_a_step_names_none_or_leaves_them_out() -> None:
    assert valid({"steps": [{key: value for key, value in ONE.items() if key != "tools"}]}, ())
    assert valid({"steps": [ONE | {"tools": []}]}, ())
    assert not valid({"steps": [ONE]}, ())


def test_what_may_be_left_out_is_read_as_nothing() -> None:
    assert read_plan("t", {"steps": [{"id": "a", "goal": "g"}]}) == Plan("t", (Step("a", "g"),))


def test_a_need_or_tool_named_twice_counts_once() -> None:
    (step,) = read_plan("t", {"steps": [{**ONE, "needs": ["a", "a"], "tools": ["rows", "rows"]}]}).steps
    assert (step.needs, step.tools) == (("a",), ("rows",))


def test_a_step_cannot_need_itself_so_that_need_is_left_out_and_the_plan_says_so() -> None:
    plan = read_plan("t", {"steps": [{**ONE, "needs": ["s1"]}, {**ONE, "id": "s2", "needs": ["s2", "s1"]}]})
    assert [step.needs for step in plan.steps] == [(), ("s1",)]
    assert plan.flags == ("self_need",)
    assert faults(plan, ["rows"], 3) == ()
    assert read_plan("t", {"steps": [ONE]}).flags == ()


def test_critical_is_true_or_false() -> None:
    with pytest.raises(PlanError, match=r"steps\[0\].critical: expected true or false, got 'yes'"):
        read_plan("t", {"steps": [{**ONE, "critical": "yes"}]})


def test_every_place_that_is_wrong_is_named() -> None:
    value: Json = {"steps": [7, {"id": 1, "needs": "s1", "tools": [2], "difficulty": "x" * 90}]}
    with pytest.raises(PlanError) as caught:
        read_plan("t", value)
    assert caught.value.faults == (
        "steps[0]: expected an object, got 7",
        "steps[1].id: expected text, got 1",
        "steps[1].goal: expected text, got nothing",
        "steps[1].needs: expected a list of texts, got 's1'",
        "steps[1].tools: expected a list of texts, got [2]",
        f"steps[1].difficulty: expected easy, medium, hard, got '{'x' * 56}...",
    )


@pytest.mark.parametrize("value", [None, [], "steps", {"steps": None}, {"steps": "s1"}, {}])
def test_what_is_no_plan_at_all_is_shown_the_form(value: Json) -> None:
    with pytest.raises(PlanError, match=r'the plan must be an object \{"steps": \[\.\.\.\]\}, not'):
        read_plan("t", value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "goal", "needs", "steps"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_or_refused_with_reasons(value: Json) -> None:
    reasons: tuple[str, ...] = ("read",)
    try:
        read_plan("t", value)
    except PlanError as error:
        reasons = error.faults
    assert reasons


@given(JSON.map(lambda step: {"steps": [step]}))
def test_whatever_fits_the_schema_can_be_read(value: Json) -> None:
    if valid(value):
        read_plan("t", value)


def test_the_single_step_has_every_tool_the_whole_task_and_a_flag() -> None:
    plan = single_step("the task", TOOLS)
    assert plan.flags == ("single_step",)
    assert (plan.task, plan.steps[0].goal) == ("the task", "Carry out the task")
    assert plan.steps[0].tools == ("rows", "計算")
    assert faults(plan, [tool.name for tool in TOOLS], 1) == ()


NEEDS = st.lists(st.sampled_from(["s1", "s3", "s4", "s5"]), max_size=4)


@given(st.lists(NEEDS, min_size=1, max_size=3))
def test_what_an_embedded_planner_is_held_to_is_a_plan_without_a_cycle(needs: list[list[str]]) -> None:
    before, kept = Plan("", (Step("s1"), Step("s2"))), ("s1",)
    ordered = ordered_plan_schema(TOOLS, 3, before=before, kept=kept)
    jsonschema.Draft202012Validator.check_schema(ordered)
    written = {"steps": [ONE | {"id": f"s{3 + at}", "needs": each} for at, each in enumerate(needs)]}
    if jsonschema.Draft202012Validator(ordered).is_valid(written):
        assert jsonschema.Draft202012Validator(plan_schema(TOOLS, 3, before=before, kept=kept)).is_valid(written)
        assert not cycles(read_plan("task", written))
    else:
        backward = [set(each) <= {"s1", *(f"s{3 + n}" for n in range(at))} for at, each in enumerate(needs)]
        assert not all(backward) or any(len(each) > 1 + at for at, each in enumerate(needs))


def test_an_ordered_plan_looks_back_only_and_names_nothing_twice_over() -> None:
    held = jsonschema.Draft202012Validator(ordered_plan_schema(TOOLS, 3))
    second = {**ONE, "id": "s2"}
    assert held.is_valid({"steps": [ONE, {**second, "needs": ["s1"]}]})
    assert not held.is_valid({"steps": [{**ONE, "needs": ["s2"]}, second]})
    assert not held.is_valid({"steps": [{**ONE, "tools": ["rows"] * 3}]})
    assert not held.is_valid({"steps": [ONE, {**second, "needs": ["s1", "s1"]}]})
    assert jsonschema.Draft202012Validator(ordered_plan_schema((), 3)).is_valid({"steps": [{**ONE, "tools": []}]})
