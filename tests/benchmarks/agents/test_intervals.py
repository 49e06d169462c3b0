"""Intervals, against the figures that were published with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.agents.intervals import paired_difference, wilson

counts = st.integers(0, 60)


@pytest.mark.parametrize(
    ("correct", "total", "interval"),  # Newcombe, Statistics in Medicine 17 (1998) 857-872, method 3
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_wilson_gives_the_published_intervals(correct, total, interval):
    assert wilson(correct, total) == pytest.approx(interval, abs=6e-5)


@pytest.mark.parametrize(
    ("table", "difference", "interval"),  # Newcombe, Statistics in Medicine 17 (1998) 2635-2650, method 10
    [
        ((20, 12, 2, 16), 0.2, (0.0562, 0.3292)),
        ((36, 12, 2, 0), 0.2, (0.0569, 0.3404)),
        ((53, 0, 1, 0), -0.0185, (-0.0977, 0.0496)),
    ],
)
def test_the_paired_difference_has_the_published_interval(table, difference, interval):
    found, bounds = paired_difference(*table)
    assert found == pytest.approx(difference, abs=6e-5)
    assert bounds == pytest.approx(interval, abs=6e-5)


def test_two_that_never_differ_leave_room_for_chance():
    difference, (low, high) = paired_difference(10, 0, 0, 10)
    assert difference == 0
    assert low < 0 < high


@given(counts, counts, counts, counts)
def test_the_difference_lies_in_its_interval_and_turns_with_the_sides(both, first, second, neither):
    if both + first + second + neither:
        difference, (low, high) = paired_difference(both, first, second, neither)
        assert -1.000001 <= low <= difference + 1e-9
        assert difference - 1e-9 <= high <= 1.000001
        turned, (turned_low, turned_high) = paired_difference(both, second, first, neither)
        assert (turned, turned_low, turned_high) == pytest.approx((-difference, -high, -low), abs=1e-9)


def test_no_trials_have_no_interval():
    with pytest.raises(ValueError, match="at least one trial, got 0"):
        wilson(0, 0)
