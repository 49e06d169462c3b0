"""Whoever stops listening stops the exchange: it is closed, settled and recorded."""

import asyncio
from contextlib import aclosing

import pytest

from orchestra.dispatch import Purse
from orchestra.errors import LedgerError
from orchestra.types import Cost, TextDelta
from tests.dispatch.doubles import (
    SILENCE,
    Bench,
    MemoryResponse,
    MemoryTransport,
    Served,
    error,
    frame,
    hang,
    say,
)


async def cancelled(bench, waiting, **options):
    """Runs a call until it waits, then cancels it."""
    task = asyncio.create_task(bench.run(**options))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(("served", "opened"), [(SILENCE, 0), (Served([SILENCE]), 1)])
async def test_a_cancelled_call_closes_its_exchange_and_records_an_end_without_a_verdict(served, opened):
    bench = Bench({"small": [served]})
    await cancelled(bench, bench.transport.waiting)
    assert bench.transport.opened == bench.transport.closed == opened
    (ended,) = bench.rows.ended
    assert (ended.trigger, ended.finish) == (None, None)
    assert ended.sent == ("yes" if opened else "unknown")
    assert not bench.rows.judged


async def test_leaving_a_stream_early_closes_and_records_it_with_what_was_said():
    purse = Purse(1.0)
    bench = Bench({"small": [Served([frame({"content": "half"}), frame({"content": " more"}), SILENCE])]})
    async with aclosing(bench.dispatcher.stream(bench.call(commit=True, purse=purse))) as events:
        assert await anext(events) == TextDelta("half")
    (ended,) = bench.rows.ended
    assert ended.raw == "half"
    assert ended.cost.estimated
    assert purse.held == 0
    assert purse.spent == pytest.approx(ended.cost.usd)
    assert bench.transport.closed == 1


async def test_cancelling_while_it_waits_to_retry_leaves_nothing_open():
    bench = Bench({"small": [Served([], 500)]})

    waiting = asyncio.Event()
    bench.dispatcher._sleep = lambda _: hang(waiting)
    await cancelled(bench, waiting)
    assert len(bench.rows.started) == len(bench.rows.ended) == 1


@pytest.mark.parametrize("broken", ["AttemptStarted", "AttemptEnded", "Judged"])
async def test_a_ledger_that_cannot_be_written_ends_the_call_and_holds_no_money(broken):
    bench, purse = Bench({"small": [say("ok")]}), Purse(1.0)
    record = bench.rows.record

    def full(step, event, *, keep=None):
        if type(event).__name__ == broken:
            raise LedgerError("the disk is full")
        record(step, event, keep=keep)

    bench.rows.record = full
    with pytest.raises(LedgerError):
        await bench.run(purse=purse)
    assert purse.held == 0
    assert bench.transport.opened == bench.transport.closed


async def test_an_attempt_cancelled_before_it_was_sent_costs_nothing():
    bench = Bench({}, broken={"small": SILENCE})
    await cancelled(bench, bench.endpoints.waiting)
    assert (bench.rows.ended[0].sent, bench.rows.ended[0].cost) == ("no", Cost(0.0))


class NeverClosed(MemoryResponse):
    async def aclose(self):
        await hang(self._transport.waiting)


class SlowlyClosing(MemoryTransport):
    async def send(self, request):
        return NeverClosed(self, (await super().send(request))._served)


@pytest.mark.parametrize("way", ["complete", "stream"])
async def test_a_reply_that_was_whole_before_its_call_was_cancelled_costs_what_was_reported(way):
    bench, purse = Bench(transport=SlowlyClosing({"small": [say("ok")]})), Purse(1.0)
    call = bench.call(purse=purse)
    task = asyncio.create_task(bench.dispatcher.complete(call) if way == "complete" else bench.run(call))
    await bench.transport.waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (ended,) = bench.rows.ended
    assert ended.usage is not None
    assert not ended.cost.estimated
    assert purse.spent == ended.cost.usd


async def test_a_key_that_was_refused_before_its_call_was_cancelled_is_dead_all_the_same():
    bench = Bench(transport=SlowlyClosing({"small": [error(401)]}))
    task = asyncio.create_task(bench.dispatcher.complete(bench.call()))
    await bench.transport.waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.dispatcher.traffic.health()["small"] == 0.0
