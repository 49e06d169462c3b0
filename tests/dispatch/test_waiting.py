"""Waiting for a key's rate limits: in fair order, no longer than it is of use, and over as soon as it can be."""

import asyncio
import gc
import threading

import pytest

from benchmarks.limits import VirtualTime, in_virtual_time
from orchestra.dialects.rate_limits import RateLimit
from orchestra.dispatch.line import Line
from orchestra.dispatch.rates import Hold, RateLimiter, RateRules, nobody
from orchestra.dispatch.waiting import granted
from orchestra.types import CallFault, Trigger
from tests.dispatch.doubles import Clock


class Key:
    """A key's limiter and line; `granted` is who got what, and when."""

    def __init__(self, **rules):
        self.limiter, self.line, self.granted = RateLimiter(RateRules(**rules)), Line(1), []

    async def ask(self, name="", tokens=1, *, tenant="", run=None, rank=0.0, weight=1.0, until=1e9):
        loop = asyncio.get_running_loop()
        got = await granted(
            self.limiter,
            tokens,
            line=self.line,
            tenant=tenant,
            run=name if run is None else run,
            rank=rank,
            weight=weight,
            until=until,
            clock=loop.time,
            sleep=asyncio.sleep,
        )
        self.granted.append((name, loop.time()))
        return got

    def start(self, *args, **claim):
        return asyncio.create_task(self.ask(*args, **claim))

    @property
    def names(self):
        return [name for name, _ in self.granted]


def virtual(test):
    """The test, on a loop in virtual time."""

    def run():
        in_virtual_time(test())

    run.__name__ = test.__name__
    return run


@virtual
async def test_what_fits_is_granted_at_once():
    key = Key(requests_per_minute=2)
    assert isinstance(await key.ask(), Hold)
    assert isinstance(await key.ask(), Hold)
    assert asyncio.get_running_loop().time() == 0.0


@virtual
async def test_what_does_not_fit_yet_waits_until_it_does():
    key = Key(requests_per_minute=1)
    await key.ask("a")
    await key.ask("b")
    assert key.granted == [("a", 0.0), ("b", 60.0)]


@virtual
async def test_a_small_request_does_not_overtake_a_large_one_that_waits():
    key = Key(tokens_per_minute=10)
    await key.ask("first", 5)
    large = key.start("large", 8)
    await asyncio.sleep(0)
    await asyncio.gather(large, key.start("small", 1))
    assert key.names == ["first", "large", "small"]


@virtual
async def test_what_never_fits_is_refused_at_once_and_unsent():
    fault = await Key(tokens_per_minute=100).ask(tokens=1_001)
    assert isinstance(fault, CallFault)
    assert (fault.trigger, fault.sent, fault.retry_after) == (Trigger.rate_limited, "no", None)
    assert fault.text == "the key's rate limits: 1,001 tokens are more than its limits allow at any time"


@virtual
async def test_what_does_not_fit_before_the_deadline_is_refused_at_once_and_says_when_it_would():
    key = Key(requests_per_minute=1)
    await key.ask()
    fault = await key.ask(until=59.0)
    assert (fault.trigger, fault.sent, fault.retry_after) == (Trigger.rate_limited, "no", 60.0)
    assert fault.text == "the key's rate limits: 1 tokens fit in 60 s, and 59 s are left"
    assert asyncio.get_running_loop().time() == 0.0


@virtual
async def test_what_fits_just_before_the_deadline_is_waited_for_and_just_after_it_is_not():
    key = Key(requests_per_minute=1)
    await key.ask()
    assert isinstance(await key.ask(until=59.9), CallFault)
    assert asyncio.get_running_loop().time() == 0.0
    assert isinstance(await key.ask(until=60.0), Hold)
    assert asyncio.get_running_loop().time() == 60.0


@virtual
async def test_a_call_for_which_too_many_wait_already_is_refused_at_once():
    key = Key(requests_per_minute=10)
    tasks = [key.start(str(number), until=200.0) for number in range(60)]
    await asyncio.sleep(1.0)
    refused = [task for task in tasks if task.done() and isinstance(task.result(), CallFault)]
    assert len(refused) == 26  # ten fit now, one a minute later, and then one every six seconds
    await asyncio.gather(*tasks)
    assert sum(isinstance(task.result(), Hold) for task in tasks) >= 30


@virtual
async def test_a_run_of_its_own_is_not_refused_because_another_has_a_hundred_waiting():
    key = Key(requests_per_minute=10)
    many = [key.start("many") for _ in range(110)]
    await asyncio.sleep(1.0)
    assert isinstance(await key.ask("one", until=90.0), Hold)
    assert key.names.index("one") <= 12
    for task in many:
        task.cancel()


@virtual
async def test_calls_that_all_fit_are_not_spread():
    key = Key(requests_per_minute=10)
    await asyncio.gather(*(key.ask("r", tokens) for tokens in range(10)))
    assert {when for _, when in key.granted} == {0.0}


@virtual
async def test_where_more_wait_than_fit_a_newcomer_waits_for_turns_and_not_for_the_minute():
    key = Key(requests_per_minute=10)
    many = [key.start("many") for _ in range(110)]
    await asyncio.sleep(75.0)
    await key.ask("one")
    assert dict(key.granted)["one"] <= 75.0 + 3 * 60 / 9
    for task in many:
        task.cancel()


@virtual
async def test_runs_take_turns_however_many_calls_each_has_waiting():
    key = Key(requests_per_minute=1)
    await key.ask("ahead")
    tasks = [key.start("many") for _ in range(5)]
    await asyncio.sleep(0)
    tasks += [key.start("few") for _ in range(2)]
    await asyncio.gather(*tasks)
    assert key.names == ["ahead", "many", "many", "few", "many", "few", "many", "many"]


@virtual
async def test_a_tenant_with_a_hundred_runs_leaves_another_its_turn_and_its_deadline():
    key = Key(requests_per_minute=10)
    many = [key.start(f"many{number}", tenant="many") for number in range(110)]
    await asyncio.sleep(1.0)
    assert isinstance(await key.ask("one", tenant="one", until=90.0), Hold)
    assert key.names.index("one") <= 12
    for task in many:
        task.cancel()


@virtual
async def test_a_tenants_own_backlog_refuses_its_own_calls_that_come_too_late():
    key = Key(requests_per_minute=10)
    many = [key.start(f"many{number}", tenant="many") for number in range(110)]
    await asyncio.sleep(1.0)
    assert isinstance(await key.ask("late", tenant="many", until=90.0), CallFault)
    assert asyncio.get_running_loop().time() == 1.0
    for task in many:
        task.cancel()


@virtual
async def test_runs_share_by_weight_and_within_a_run_rank_goes_first():
    key = Key(requests_per_minute=1)
    await key.ask("ahead")
    await asyncio.gather(
        key.ask("head"),
        *(key.ask("light", weight=1.0) for _ in range(3)),
        *(key.ask(f"heavy{rank}", run="heavy", weight=2.0, rank=rank) for rank in range(4)),
    )
    assert key.names == ["ahead", "head", "heavy3", "light", "heavy2", "heavy1", "light", "heavy0", "light"]


@virtual
async def test_a_refund_lets_the_next_one_in_before_the_time_it_was_told():
    key = Key(tokens_per_minute=100)
    hold = await key.ask("a", 100)
    waiting = key.start("b", 60)
    await asyncio.sleep(5.0)
    key.limiter.settle(hold, 5.0, 40)
    await waiting
    assert key.granted == [("a", 0.0), ("b", 5.0)]


@virtual
async def test_all_in_the_line_learn_at_once_that_the_provider_is_closed_for_longer_than_they_can_wait():
    key = Key(requests_per_minute=1)
    await key.ask("a")
    tasks = [key.start(name, until=500.0) for name in "bcd"]
    await asyncio.sleep(5.0)
    key.limiter.correct(5.0, [RateLimit("requests", None, 0, 3600.0)])
    faults = await asyncio.gather(*tasks)
    assert [fault.retry_after for fault in faults] == [3600.0] * 3
    assert asyncio.get_running_loop().time() == 5.0


@virtual
async def test_who_waits_in_vain_leaves_the_line_at_the_deadline():
    key = Key(tokens_per_minute=100)
    await key.ask("a", 100)
    first, second = key.start("first", 100), key.start("second", 1, until=70.0)
    await asyncio.sleep(1.0)
    key.limiter.correct(1.0, [RateLimit("requests", None, 0, 100.0)])
    fault = await second
    assert (fault.trigger, asyncio.get_running_loop().time()) == (Trigger.rate_limited, 70.0)
    assert "longer than this call can" in fault.text
    assert isinstance(await first, Hold)
    assert key.line.enter_at_once()


@pytest.mark.parametrize("who", ["head", "next"])
def test_who_is_cancelled_while_waiting_leaves_no_trace(who):
    async def play():
        key = Key(requests_per_minute=1)
        await key.ask("a")
        tasks = {"head": key.start("head"), "next": key.start("next"), "last": key.start("last")}
        await asyncio.sleep(1.0)
        tasks.pop(who).cancel()
        await asyncio.gather(*tasks.values())
        assert key.granted == [("a", 0.0), (next(iter(tasks)), 60.0), ("last", 120.0)]
        assert key.line.enter_at_once()

    in_virtual_time(play())


async def test_the_wait_is_slept_on_the_clock_that_was_given():
    clock, key = Clock(), Key(requests_per_minute=1)
    for _ in range(2):
        await granted(
            key.limiter, 1, line=key.line, run="r", rank=0.0, weight=1.0, until=2e3, clock=clock, sleep=clock.sleep
        )
    assert clock.slept == [60.0]


def test_a_refund_after_the_event_loop_of_who_waits_was_closed_harms_nobody():
    key, gone = Key(tokens_per_minute=10), VirtualTime()
    hold = gone.run_until_complete(key.ask(tokens=10))
    waiting = gone.create_task(key.ask(tokens=10))
    gone.run_until_complete(asyncio.sleep(1.0))
    gone.close()
    key.limiter.settle(hold, 1.0, 0)
    key.limiter.freed = nobody
    waiting._log_destroy_pending = False
    del waiting
    gc.collect()
    assert key.line.enter_at_once()


def test_callers_of_several_event_loops_never_take_more_than_the_limit():
    key, taken, lock = Key(requests_per_minute=50), [], threading.Lock()

    async def one(clock):
        got = await granted(
            key.limiter, 1, line=key.line, run="r", rank=0.0, weight=1.0, until=30.0, clock=clock, sleep=asyncio.sleep
        )
        with lock:
            taken.append(isinstance(got, Hold))

    async def many():
        await asyncio.gather(*(one(lambda: 0.0) for _ in range(100)))

    threads = [threading.Thread(target=asyncio.run, args=(many(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(taken), sum(taken)) == (300, 50)
