"""A part of a purse: a cap of its own, and never more than what the whole has left."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.dispatch import Purse
from orchestra.dispatch.purse import Account, Reservation
from orchestra.errors import BudgetExceeded
from orchestra.types import Budget, Cost
from tests.dispatch.doubles import between_bytecodes


def test_a_part_takes_from_the_whole_and_gives_back_what_it_does_not_need():
    whole = Purse(1.0)
    part = whole.part(0.5)
    held = part.reserve(0.4)
    assert (part.left, whole.left, whole.unspent) == pytest.approx((0.1, 0.6, 1.0))
    held.settle(Cost(0.1))
    assert (part.left, part.unspent, whole.left, whole.spent) == pytest.approx((0.4, 0.4, 0.9, 0.1))


def test_what_the_whole_has_not_got_no_part_gets():
    whole = Purse(1.0)
    part = whole.part(0.5)
    whole.reserve(0.8)
    assert (part.left, part.unspent) == pytest.approx((0.2, 0.5))
    with pytest.raises(BudgetExceeded, match=r"\$0.200000 of \$1 is left"):
        part.reserve(0.3)
    assert (part.open, whole.open) == (0, 1)


@pytest.mark.parametrize(
    ("bound", "caps"), [(0.05, ()), (0.2, (0.1,)), (0.6, (0.1, 0.5)), (2.0, (0.1, 0.5, 1.0)), (None, ())]
)
def test_who_is_refused_is_told_every_cap_that_would_have_to_be_raised(bound, caps):
    part = Purse(1.0).part(0.5).part(None).part(0.1)
    told = ()
    try:
        part.reserve(bound)
    except BudgetExceeded as refused:
        told = refused.caps
    assert told == caps
    assert part.too_low(lambda usd: bound is not None and bound <= usd) == caps


def test_no_cap_is_told_where_a_budget_of_the_fleet_is_too_low_as_well():
    part = Purse(1.0).within([Account(1.0, budget=Budget(1.0))])
    with pytest.raises(BudgetExceeded) as caught:
        part.reserve(2.0)
    assert (caught.value.budget, caught.value.caps) == (Budget(1.0), ())


@pytest.mark.parametrize(
    ("whole", "part", "left"), [(None, None, None), (None, 2, 2), (3, None, 3), (3, 2, 2), (3, 9, 3)]
)
def test_the_smaller_cap_holds_and_no_cap_is_none(whole, part, left):
    assert Purse(whole).part(part).left == left
    assert Purse(whole).part(part).unspent == left


def test_a_part_decides_for_itself_whether_an_unknown_price_is_allowed():
    assert Purse(1.0).part(None, allow_unknown=True).reserve(None).usd == 0
    with pytest.raises(BudgetExceeded, match="no known price"):
        Purse(1.0, allow_unknown=True).part(None).reserve(None)


async def test_who_waits_at_a_part_wakes_when_another_part_settles():
    whole = Purse(1.0)
    held = whole.part(None).reserve(1.0)
    part = whole.part(None)
    assert not part.fits(0.5)
    waiting = asyncio.create_task(part.settled(0.5))
    await asyncio.sleep(0)
    held.settle(Cost(0.1))
    await waiting
    assert part.fits(0.5)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1), st.floats(0, 1)), max_size=40), st.floats(0, 3))
def test_parts_of_parts_never_spend_more_than_any_whole_of_theirs(spending, cap):
    whole = Purse(cap)
    a = whole.part(1.5)
    parts = {"a": a, "b": a.part(0.5), "c": whole.part(None)}
    for name, bound, share in spending:
        if parts[name].fits(bound):
            parts[name].reserve(bound).settle(Cost(bound * share))
    assert whole.spent <= cap + 1e-9
    assert (parts["a"].spent <= 1.5 + 1e-9, parts["b"].spent <= 0.5 + 1e-9) == (True, True)
    assert whole.spent == pytest.approx(parts["a"].spent + parts["c"].spent)
    assert whole.open == 0


@pytest.mark.interpreted
def test_others_may_begin_to_wait_while_money_is_given_back():
    purse, woken = Purse(1.0), []
    purse.own.waiting.add(lambda: woken.append("first"))
    held = purse.reserve(0.4)
    with between_bytecodes(Reservation.settle, lambda: purse.own.waiting.add(lambda: woken.append("later"))):
        held.settle(Cost(0.1))
    assert "first" in woken
    assert purse.left == pytest.approx(0.9)
