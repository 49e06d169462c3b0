"""Retry budget: what retries may add to a provider's load."""

from hypothesis import given
from hypothesis import strategies as st

from orchestra.dispatch.retry_budget import RetryBudget


def test_it_starts_full():
    budget = RetryBudget(most=3.0)
    assert [budget.spend(0.0) for _ in range(5)] == [True, True, True, False, False]


def test_ten_first_attempts_earn_a_retry():
    budget = RetryBudget(ratio=0.125, most=1.0, per_second=0.0)
    assert budget.spend(0.0)
    for _ in range(7):
        budget.earn()
    assert not budget.spend(0.0)
    budget.earn()
    assert budget.spend(0.0)


def test_a_lone_user_whose_calls_are_far_apart_is_retried_each_time():
    budget = RetryBudget()
    now = 0.0
    for _ in range(1_000):
        now += 30.0
        budget.earn()
        assert budget.spend(now)
        assert budget.spend(now)


def test_what_is_saved_up_has_a_bound():
    budget = RetryBudget(most=2.0)
    for _ in range(1_000):
        budget.earn()
    assert [budget.spend(1e6) for _ in range(3)] == [True, True, False]


@given(st.lists(st.one_of(st.just("first"), st.floats(0.0, 5.0)), max_size=200))
def test_retries_never_exceed_the_start_the_share_and_the_trickle(steps):
    budget, now, firsts, retries = RetryBudget(), 0.0, 0, 0
    for step in steps:
        if step == "first":
            budget.earn()
            firsts += 1
        else:
            now += step
            retries += budget.spend(now)
    assert retries <= 10 + 0.1 * firsts + 0.1 * now + 1e-9
