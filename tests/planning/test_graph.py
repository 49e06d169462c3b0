import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import PlanError
from orchestra.planning import answer_step, order, sinks, with_answer
from orchestra.planning.graph import cycles
from orchestra.types import Plan, Step


def plan(**needs: str) -> Plan:
    return Plan("task", tuple(Step(name, goal=name, needs=tuple(of.split())) for name, of in needs.items()))


def ids(steps: tuple[Step, ...]) -> str:
    return " ".join(step.id for step in steps)


@st.composite
def dags(draw: st.DrawFn) -> Plan:
    names = [f"s{n}" for n in range(draw(st.integers(1, 12)))]
    steps = [
        Step(name, goal="g", needs=tuple(draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else ()))
        for at, name in enumerate(names)
    ]
    return Plan("t", tuple(draw(st.permutations(steps))))


def test_steps_without_needs_keep_the_order_of_the_plan() -> None:
    assert ids(order(plan(b="", a="", c=""))) == "b a c"


def test_a_step_comes_after_its_needs_even_where_the_plan_lists_it_first() -> None:
    assert ids(order(plan(last="a b", b="", a=""))) == "b a last"


def test_among_steps_that_may_run_the_one_that_the_plan_lists_first_comes_first() -> None:
    assert ids(order(plan(a="", c="b", b="", d=""))) == "a b c d"


@given(dags())
def test_order_holds_every_step_once_and_after_its_needs(dag: Plan) -> None:
    done: set[str] = set()
    for step in order(dag):
        assert set(step.needs) <= done
        assert step.id not in done
        done.add(step.id)
    assert done == {step.id for step in dag.steps}


def test_order_of_a_plan_with_a_cycle_is_refused_naming_the_cycle() -> None:
    with pytest.raises(PlanError, match="a → b → a") as caught:
        order(plan(a="b", b="a"))
    assert caught.value.faults


def test_a_cycle_reads_along_the_needs() -> None:
    (cycle,) = cycles(plan(a="c", b="a", c="b"))
    at = cycle.index("a")
    assert cycle[at : at + 2] in {("a", "c"), ("a",)}
    assert cycle[0] == cycle[-1]
    assert set(cycle) == {"a", "b", "c"}


def test_two_cycles_are_both_found() -> None:
    assert {frozenset(cycle) for cycle in cycles(plan(a="b", b="a", c="d", d="c", e=""))} == {
        frozenset("ab"),
        frozenset("cd"),
    }


def test_a_chain_of_ten_thousand_steps_is_ordered() -> None:
    chain = tuple(Step(str(n), needs=(str(n + 1),) if n < 9_999 else ()) for n in range(10_000))
    assert order(Plan("t", chain))[0].id == "9999"


def test_a_plan_that_ends_in_one_step_is_left_as_it_is() -> None:
    dag = plan(a="", b="a")
    assert with_answer(dag) is dag
    assert answer_step(dag).id == "b"


def test_a_plan_with_several_ends_gets_an_answer_step_that_needs_them_all() -> None:
    dag = with_answer(plan(a="", b="a", c="a"))
    assert answer_step(dag) == Step("answer", "Answer the task", kind="answer", needs=("b", "c"))
    assert sinks(dag) == (dag.steps[-1],)


def test_the_answer_step_takes_an_id_that_is_free() -> None:
    assert answer_step(with_answer(plan(answer="", answer2="", c=""))).id == "answer3"


def test_asking_for_the_answer_of_a_plan_with_two_ends_says_what_to_do() -> None:
    with pytest.raises(PlanError, match=r"ends in: a, b; pass it through with_answer"):
        answer_step(plan(a="", b=""))
    with pytest.raises(PlanError, match="ends in: none"):
        answer_step(Plan("t", ()))
