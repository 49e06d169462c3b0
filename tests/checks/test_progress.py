import pytest

from orchestra.checks import no_progress
from orchestra.types import ToolCall, Trigger, Verdict


def call(name: str, **arguments) -> ToolCall:
    return ToolCall("id", name, arguments)


A, B, C = call("a", x=1), call("b", y=2), call("c")


@pytest.mark.parametrize("error", ["OperationalError: no such table: t", "error: no such city", "Failed to connect"])
def test_the_same_error_three_times_is_no_progress_whatever_the_arguments(error):
    results = [(call("rows", sql=str(n)), error) for n in range(3)]
    assert no_progress(results) == Verdict(Trigger.no_progress, (f"rows: the same error 3 times in a row: {error}",))
    assert no_progress(results[:2]).accepted


def test_the_same_call_with_the_same_result_is_no_progress():
    found = no_progress([(C, "x"), *[(A, "[]")] * 3])
    assert found.evidence == ("a: the same calls with the same results 3 times in a row",)


def test_a_circle_of_calls_with_the_same_results_is_no_progress():
    found = no_progress([(C, "z"), *[(A, "1"), (B, "2")] * 3])
    assert found.evidence == ("a, b: the same calls with the same results 3 times in a row",)
    assert no_progress([(A, "1"), (B, "2")] * 2).accepted
    assert no_progress([(A, "1"), (B, "2")] * 2, limit=2).trigger is Trigger.no_progress


def test_new_results_new_arguments_and_different_errors_are_progress():
    assert no_progress([]).accepted
    assert no_progress([(call("insert", n=n), "ok") for n in range(9)]).accepted
    assert no_progress([(A, f"{n} % done") for n in range(9)]).accepted
    assert no_progress([(call("rows", n=n), f"error: no column {n}") for n in range(9)]).accepted
    assert no_progress([(call(name), "error: offline") for name in "abc"]).accepted
    assert no_progress([*[(A, "1")] * 3, (B, "2")]).accepted
