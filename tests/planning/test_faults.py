from hypothesis import given
from hypothesis import strategies as st

from orchestra.planning import faults, order
from orchestra.types import Plan, Step

TOOLS = ("sqlite_query", "calculator")


def found(*steps: Step, max_steps: int = 4) -> tuple[str, ...]:
    return faults(Plan("task", steps), TOOLS, max_steps)


def test_a_sound_plan_has_no_faults() -> None:
    assert found(Step("a", "find", tools=("calculator",)), Step("b", "say", needs=("a",))) == ()


def test_a_plan_without_steps_is_a_fault() -> None:
    assert found() == ("the plan has no steps; write at least one",)


def test_too_many_steps_are_counted_against_the_limit() -> None:
    assert found(*(Step(f"s{n}", "g") for n in range(5))) == ("the plan has 5 steps; at most 4 are allowed",)


def test_an_id_used_twice_is_named_with_its_count() -> None:
    assert found(Step("a", "g"), Step("a", "h"), Step("b", "i")) == (
        "the id 'a' is used by 2 steps; give every step an id of its own",
    )


def test_an_empty_id_is_a_fault() -> None:
    assert found(Step(" ", "g")) == ("a step has an empty id; give every step an id of its own",)


def test_an_empty_goal_is_a_fault() -> None:
    assert found(Step("a", " \n")) == ("step 'a' has an empty goal; say what it must find out or do",)


def test_a_step_that_needs_itself_is_told_so_once() -> None:
    assert found(Step("a", "g", needs=("a",))) == ("step 'a' needs itself; a step can only need other steps",)


def test_a_dangling_need_names_the_nearest_step_and_all_there_are() -> None:
    assert found(Step("find_rain", "g"), Step("b", "g", needs=("find_rian",))) == (
        "step 'b' needs 'find_rian', which is no step (did you mean 'find_rain'?); the steps are: find_rain, b",
    )


def test_an_unknown_tool_names_the_nearest_tool_and_all_there_are() -> None:
    assert found(Step("a", "g", tools=("sql_query",))) == (
        "step 'a' names an unknown tool 'sql_query' (did you mean 'sqlite_query'?); the tools are: " + ", ".join(TOOLS),
    )


def test_an_unknown_tool_where_there_are_no_tools_says_none() -> None:
    assert faults(Plan("t", (Step("a", "g", tools=("x",)),)), (), 4) == (
        "step 'a' names an unknown tool 'x'; the tools are: none",
    )


def test_a_cycle_is_named_along_its_needs() -> None:
    (fault,) = found(Step("a", "g", needs=("b",)), Step("b", "g", needs=("a",)))
    assert fault in {
        "these steps wait for each other: a needs b needs a; remove one of these needs",
        "these steps wait for each other: b needs a needs b; remove one of these needs",
    }


def test_every_fault_of_a_plan_is_told_at_once() -> None:
    assert len(found(Step("a", "", needs=("a", "zz"), tools=("no",)), Step("a", "g"))) == 5


@given(
    st.lists(
        st.builds(
            Step,
            id=st.sampled_from("abc"),
            goal=st.sampled_from(["", "g"]),
            needs=st.lists(st.sampled_from("abcd"), max_size=3).map(tuple),
            tools=st.lists(st.sampled_from([*TOOLS, "x"]), max_size=2).map(tuple),
        ),
        max_size=6,
    ).map(lambda steps: Plan("t", tuple(steps)))
)
def test_a_plan_without_faults_can_be_ordered(plan: Plan) -> None:
    if not faults(plan, TOOLS, 4):
        assert len(order(plan)) == len(plan.steps) > 0
