"""What an attempt waits for before it is sent, and what is told of it."""

import asyncio
from dataclasses import replace

import pytest

from orchestra.dispatch import Purse
from orchestra.dispatch.admission import TOLD
from orchestra.errors import DeadlineExceeded, LedgerError
from orchestra.ledger import AttemptStarted, Waited
from orchestra.types import Cost
from tests.dispatch.doubles import CARDS, Bench, RealClock, card, decide, say
from tests.dispatch.test_slots import settle

OK = {"small": [say("ok")]}


async def waits_for(bench, call, *, seconds, until):
    """Run the call while somebody holds what it needs for so many seconds."""
    task = asyncio.create_task(bench.run(call))
    await settle()
    bench.clock.move(seconds)
    until()
    await task
    return bench.rows.of(Waited)


async def test_a_wait_for_a_slot_is_told_before_the_attempt():
    bench = Bench(OK, cards=(card("small", concurrency=1), *CARDS[1:]))
    held = await bench.dispatcher._means.slots.hold("small")
    [told] = await waits_for(bench, bench.call(), seconds=2.0, until=held.release)
    assert (told.model, told.provider, told.why, told.seconds) == ("small", "p", "slot", 2.0)
    assert [type(event) for _, event in bench.rows][:2] == [Waited, AttemptStarted]
    assert told.call == bench.rows.started[0].call


async def test_a_wait_for_money_is_told_too():
    bench, purse = Bench(OK), Purse(1.0)
    held = purse.reserve(1.0)
    call = bench.call(purse=purse)
    [told] = await waits_for(bench, call, seconds=2.0, until=lambda: held.settle(Cost(0.0)))
    assert (told.why, told.seconds) == ("money", 2.0)


async def test_money_comes_back_where_the_wait_for_it_cannot_be_recorded():
    bench, purse = Bench(OK), Purse(1.0)
    held = purse.reserve(1.0)

    def full(step, event, *, keep=None):
        raise LedgerError("the disk is full")

    bench.rows.record = full
    with pytest.raises(LedgerError):
        await waits_for(bench, bench.call(purse=purse), seconds=2.0, until=lambda: held.settle(Cost(0.0)))
    assert (purse.open, purse.held) == (0, 0)


@pytest.mark.parametrize(("seconds", "lines"), [(TOLD / 2, 0), (TOLD * 1.5, 1)])
async def test_a_moment_is_not_worth_a_line(seconds, lines):
    bench = Bench(OK, cards=(card("small", concurrency=1), *CARDS[1:]))
    held = await bench.dispatcher._means.slots.hold("small")
    assert len(await waits_for(bench, bench.call(), seconds=seconds, until=held.release)) == lines


async def test_a_deadline_that_passes_before_money_comes_back_is_told_and_ends_the_call():
    bench, purse = Bench(OK, clock=RealClock()), Purse(1.0)
    purse.reserve(1.0)
    with pytest.raises(DeadlineExceeded, match="the deadline passed while other attempts held the money"):
        await bench.run(purse=purse, deadline=0.3)
    assert [told.why for told in bench.rows.of(Waited)] == ["money"]
    assert bench.rows.started == []


async def test_a_model_of_ones_own_needs_no_place_in_any_limit():
    bench = Bench(OK, cards=(replace(CARDS[0], provider="local"), *CARDS[1:]))
    await bench.run(decision=decide(cards=bench.cards))
    assert bench.transport.models == ["small"]
