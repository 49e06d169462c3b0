import pytest

from orchestra.checks import Expect, judge
from orchestra.checks.naming import overlooked
from orchestra.types import ModelReply, ToolCall, ToolSpec, Trigger

BIRDS = ToolSpec(
    "rows",
    "Run a query.",
    {"type": "object"},
    read_only=True,
    terms=("penguins", "flipper_length_mm", "body_mass_g", "species", "category", "ordered_on", "Adelie", "Łódź"),
)


def query(sql: str, name: str = "rows") -> ToolCall:
    return ToolCall("1", name, {"sql": sql})


@pytest.mark.parametrize(
    ("goal", "sql"),
    [
        ("Find the longest flipper", "SELECT MAX(flipper_length_mm) FROM t"),
        ("Count the Adelie penguins", "SELECT COUNT(*) FROM penguins WHERE species = 'ADELIE'"),
        ("Count the categories", "SELECT COUNT(DISTINCT category) FROM t"),
        ("Who ordered in 2024?", "SELECT * FROM orders WHERE ordered_on LIKE '2024%'"),
        ("Who ordered?", "SELECT * FROM orders"),
        ("Over 5,000", "SELECT 5000"),
        ("Count the penguins", "SELECT COUNT(*) FROM pengins"),
        ("What lives in Łódź?", "SELECT * FROM t WHERE city = 'Łódź'"),
        ("Find the result of s1", "SELECT 1"),
        ("", ""),
    ],
)
def test_a_call_that_names_what_the_goal_names_overlooks_nothing(goal: str, sql: str) -> None:
    assert overlooked(goal, BIRDS, [query(sql)]) == ()


def test_the_words_and_numbers_that_no_call_names_are_told_in_the_order_of_the_goal() -> None:
    goal = "Of Adelie penguins in 2008, find the longest flipper"
    assert overlooked(goal, BIRDS, [query("SELECT MAX(body_mass_g) FROM penguins")]) == ("adelie", "flipper", "2008")


def test_several_calls_name_together_but_not_those_of_another_tool() -> None:
    parts = [query("SELECT flipper_length_mm"), query("... FROM penguins", "other")]
    assert overlooked("flipper of penguins", BIRDS, parts) == ("penguins",)
    assert overlooked("flipper of penguins", BIRDS, [*parts, query("FROM penguins")]) == ()


def test_a_tool_without_terms_is_never_in_doubt_and_an_unread_call_names_nothing() -> None:
    assert overlooked("penguins in 2008", ToolSpec("rows", "", {}), [query("x")]) == ()
    assert overlooked("penguins", BIRDS, [ToolCall("1", "rows", None, "{penguins")]) == ("penguins",)


def test_a_call_that_leaves_out_what_the_goal_names_is_doubted() -> None:
    reply = ModelReply((query("SELECT MAX(body_mass_g) FROM penguins"),), "tool_calls")
    expect = Expect(tools=(BIRDS,), goal="Find the longest flipper of penguins")
    verdict = judge(reply, expect)
    assert verdict.trigger is Trigger.low_confidence
    assert verdict.evidence == ("rows: the call leaves out flipper, which the step's goal names",)
    earlier = (query("SELECT flipper_length_mm FROM penguins"),)
    assert judge(reply, Expect(tools=(BIRDS,), goal=expect.goal, earlier_calls=earlier)).accepted
    assert judge(reply, Expect(tools=(BIRDS,))).accepted
