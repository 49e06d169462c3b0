"""Slots: how many attempts run at a time, and who is next."""

import asyncio
import gc
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dispatch import Purse
from orchestra.dispatch.line import Line
from orchestra.dispatch.slots import GRACE, WEIGHTS, Slots
from orchestra.errors import ConfigError, DeadlineExceeded
from orchestra.types import Price
from tests.dispatch.doubles import SILENCE, Bench, Clock, RealClock, card, decide, error, say


async def settle():
    """Lets everything that can happen without time passing happen."""
    for _ in range(50):
        await asyncio.sleep(0)


async def order_of(*claims, model="small", limit=1, ahead=1):
    """The names in the order in which they are served, after all have come to wait in the order given."""
    slots, served = Slots({"small": limit}), []
    held = [await slots.hold(model, run="ahead") for _ in range(ahead)]

    async def one(name, claim):
        slot = await slots.hold(model, **claim)
        served.append(name)
        slot.release()

    tasks = []
    for name, claim in claims:
        tasks.append(asyncio.create_task(one(name, claim)))
        await settle()
    for slot in held:
        slot.release()
    await asyncio.gather(*tasks)
    return served


async def held_of(slots):
    """How many slots of small can be had now."""
    crowd = Crowd(slots)
    for name in range(9):
        await crowd.come(name)
    for task in crowd.tasks.values():
        task.cancel()
    await settle()
    return len(crowd.running)


class Crowd:
    """Callers that hold a slot until told; `running` is who holds one, in the order in which they got it."""

    def __init__(self, slots):
        self.slots, self.running, self.tasks, self.held = slots, [], {}, {}

    def start(self, name, model="small", **claim):
        async def wait():
            self.held[name] = await self.slots.hold(model, **claim)
            self.running.append(name)

        self.tasks[name] = asyncio.create_task(wait())

    async def come(self, name, model="small", **claim):
        self.start(name, model, **claim)
        await settle()

    def leave(self, name):
        self.running.remove(name)
        self.held[name].release()

    async def go(self, name):
        self.leave(name)
        await settle()


async def test_without_a_limit_nobody_waits():
    slots = Slots({"other": 1})
    assert not slots.limited("small")
    async with asyncio.timeout(10):
        assert len([await slots.hold("small") for _ in range(100)]) == 100


async def test_no_more_run_at_a_time_than_the_limit_allows():
    crowd = Crowd(Slots({"small": 2}))
    for name in "abcd":
        await crowd.come(name)
    assert crowd.running == ["a", "b"]
    await crowd.go("a")
    assert crowd.running == ["b", "c"]


async def test_equals_are_served_in_the_order_in_which_they_came():
    assert await order_of(*((n, {"run": "r"}) for n in range(30))) == list(range(30))
    assert await order_of(*((n, {"run": f"r{n}"}) for n in range(30))) == list(range(30))


async def test_of_one_run_the_call_with_the_most_behind_it_goes_first():
    calls = [
        ("last", {"rank": 1.0}),
        ("first", {"rank": 5.0}),
        ("middle", {"rank": 3.0}),
        ("middle too", {"rank": 3.0}),
    ]
    assert await order_of(*calls) == ["first", "middle", "middle too", "last"]


async def test_a_run_with_a_hundred_calls_does_not_keep_another_run_waiting():
    many = [(f"a{n}", {"run": "a", "rank": 9.0}) for n in range(100)]
    served = await order_of(*many, ("b0", {"run": "b"}), ("b1", {"run": "b"}))
    assert served[:4] == ["a0", "b0", "a1", "b1"]


async def test_runs_share_by_priority_four_to_two_to_one():
    calls = [(name, {"run": name, "weight": WEIGHTS[name]}) for _ in range(70) for name in ("low", "normal", "high")]
    first = (await order_of(*calls))[:70]
    assert [first.count(name) for name in ("high", "normal", "low")] == [40, 20, 10]


async def test_a_high_priority_call_passes_a_hundred_waiting_calls_of_low_priority():
    lows = [(f"low{n}", {"run": f"r{n}", "weight": WEIGHTS["low"]}) for n in range(100)]
    served = await order_of(*lows, ("high", {"run": "h", "weight": WEIGHTS["high"]}))
    assert served[0] == "high"


async def test_a_tenant_with_five_hundred_runs_does_not_keep_another_tenant_waiting():
    many = [(f"a{n}", {"tenant": "a", "run": f"a{n}"}) for n in range(500)]
    served = await order_of(*many, ("b0", {"tenant": "b", "run": "b0"}), ("b1", {"tenant": "b", "run": "b1"}))
    assert served[:5] == ["a0", "b0", "a1", "b1", "a2"]


async def test_calls_without_a_tenant_are_one_group_beside_the_tenants():
    nobodys = [(f"n{n}", {"run": f"n{n}"}) for n in range(50)]
    served = await order_of(*nobodys, *((f"b{n}", {"tenant": "b", "run": f"b{n}"}) for n in range(3)))
    assert served[:6] == ["n0", "b0", "n1", "b1", "n2", "b2"]


async def test_within_a_tenant_runs_take_turns_and_share_by_priority():
    claims = {"many": 1.0, "few": 1.0, "heavy": 2.0}
    calls = [(run, {"tenant": "a", "run": run, "weight": claims[run]}) for run in claims for _ in range(40)]
    served = await order_of(*calls, *((f"b{n}", {"tenant": "b", "weight": 4.0}) for n in range(90)))
    first = [name for name in served if name in claims][:40]
    assert [first.count(name) for name in claims] == [10, 10, 20]


async def test_tenants_share_by_the_priority_of_their_calls():
    calls = [(name, {"tenant": name, "run": name, "weight": WEIGHTS[name]}) for _ in range(70) for name in WEIGHTS]
    first = (await order_of(*calls))[:70]
    assert [first.count(name) for name in ("high", "normal", "low")] == [40, 20, 10]


@pytest.mark.parametrize("tenant", ["lows", "new"])
async def test_a_high_priority_call_passes_the_low_ones_of_every_tenant(tenant):
    lows = [(f"{name}{n}", {"tenant": name, "run": f"r{n}"}) for n in range(9) for name in ("lows", "other", "third")]
    served = await order_of(*lows, ("high", {"tenant": tenant, "run": "h", "weight": WEIGHTS["high"]}))
    assert served[0] == "high"


@pytest.mark.parametrize("first", ["low", "high"])
async def test_an_urgent_call_that_left_the_line_leaves_no_turn_to_the_others_of_its_tenant(first):
    crowd = Crowd(Slots({"small": 1}))
    await crowd.come("ahead")
    lows, highs = {"tenant": "t", "run": "low", "weight": 0.25}, {"tenant": "t", "run": "high", "weight": 4.0}
    for name, claim in (("low", lows), ("high", highs))[:: 1 if first == "low" else -1]:
        await crowd.come(name, **claim)
    for number in range(6):
        await crowd.come(f"other{number}", tenant="other", run="o", weight=1.0)
    crowd.tasks["high"].cancel()
    await settle()
    served = []
    while crowd.running:
        served.append(crowd.running[0])
        await crowd.go(crowd.running[0])
    assert served == ["ahead", "other0", "other1", "other2", "low", "other3", "other4", "other5"]


async def test_an_urgent_call_of_a_tenant_that_waits_goes_before_its_own_and_takes_no_turn_from_them():
    lows = [(f"low{n}", {"tenant": "t", "run": f"l{n}", "weight": 0.5}) for n in range(2)]
    others = [(f"other{n}", {"tenant": "other", "run": "o", "weight": 1.0}) for n in range(6)]
    served = await order_of(*lows, *others, ("high", {"tenant": "t", "run": "h", "weight": 4.0}))
    assert served == ["high", "other0", "other1", "low0", "other2", "other3", "low1", "other4", "other5"]


async def test_a_tenant_that_comes_again_and_again_takes_no_more_turns_than_one_that_waits():
    crowd = Crowd(Slots({"small": 1}))
    await crowd.come("ahead")
    for number in range(20):
        await crowd.come(f"waits{number}", tenant="waits", run=f"w{number}")
    for number in range(10):
        await crowd.come(f"comes{number}", tenant="comes", run=f"c{number}")
        await crowd.go(crowd.running[0])
    assert sum(name.startswith("comes") for name in crowd.held) in (4, 5)


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6), tenant=st.sampled_from(["0", "1", "2", "new"]))
def test_how_many_are_ahead_of_a_newcomer_is_told_before_it_waits(sizes, tenant):
    async def play():
        line, served = Line(1), []
        line.enter_at_once()

        async def one(tenant, run):
            await line.enter(run, 0.0, 2.0, tenant=tenant)
            served.append(run)
            line.leave(run)

        claims = [(str(number % 3), f"r{number}") for number, size in enumerate(sizes) for _ in range(size)]
        tasks = [asyncio.create_task(one(*claim)) for claim in claims]
        await asyncio.sleep(0)
        told = line.ahead("last", 2.0, tenant=tenant)
        tasks.append(asyncio.create_task(one(tenant, "last")))
        await asyncio.sleep(0)
        line.leave("")
        await asyncio.gather(*tasks)
        before = 1 + served.index("last")  # and who holds the place
        assert before <= told <= before + 2  # whose turn is due in the same moment counts as before it

    asyncio.run(play())


@pytest.mark.parametrize("whose", ["tenant", "run"])
async def test_low_priority_is_served_although_high_priority_never_stops_coming(whose):
    crowd = Crowd(Slots({"small": 1}))
    await crowd.come("high0", **{whose: "high0"}, weight=4.0)
    await crowd.come("low", **{whose: "low"}, weight=1.0)
    for number in range(1, 50):
        await crowd.come(f"high{number}", **{whose: f"high{number}"}, weight=4.0)
        await crowd.go(crowd.running[0])
        if "low" in crowd.running:
            break
    assert number < 10


async def test_a_cancelled_caller_leaves_the_line():
    crowd = Crowd(Slots({"small": 1}))
    for name in "abcd":
        await crowd.come(name, run=name if name == "b" else "r", rank={"c": 2.0}.get(name, 1.0))
    crowd.tasks["b"].cancel()
    crowd.tasks["c"].cancel()
    await settle()
    await crowd.go("a")
    assert crowd.running == ["d"]
    await crowd.go("d")
    await crowd.come("e")
    assert crowd.running == ["e"]


@pytest.mark.parametrize("runs", ["one run", "several"])
async def test_a_slot_that_was_just_given_to_a_cancelled_caller_goes_on_to_the_next(runs):
    crowd = Crowd(Slots({"small": 1}))
    for name in "abc":
        await crowd.come(name, run="r" if runs == "one run" else name)
    crowd.held["a"].release()
    crowd.tasks["b"].cancel()  # it has the slot and does not know yet
    await settle()
    assert crowd.running == ["a", "c"]
    assert crowd.tasks["b"].cancelled()


async def test_waiting_ends_with_a_timeout_and_leaves_no_trace():
    crowd = Crowd(Slots({"small": 1}, 1))
    await crowd.come("a")
    await crowd.come("b", within=0.0)
    with pytest.raises(TimeoutError):
        await crowd.tasks["b"]
    await crowd.go("a")
    await crowd.come("c")
    assert crowd.running == ["c"]


async def test_a_slot_given_back_twice_counts_once():
    slots = Slots({"small": 1})
    slot = await slots.hold("small")
    slot.release()
    slot.release()
    crowd = Crowd(slots)
    await crowd.come("a")
    await crowd.come("b")
    assert crowd.running == ["a"]


async def test_a_total_holds_over_all_models_and_a_busy_model_does_not_hold_up_another():
    crowd = Crowd(Slots({"small": 1}, total=2))
    await crowd.come("s1")
    await crowd.come("s2")  # waits for small, and for nothing else
    await crowd.come("t1", model="other")
    await crowd.come("t2", model="other")
    assert crowd.running == ["s1", "t1"]
    await crowd.go("t1")
    assert crowd.running == ["s1", "t2"]
    await crowd.go("s1")
    assert crowd.running == ["t2", "s2"]


async def test_who_leaves_the_common_line_gives_the_model_back_too():
    crowd = Crowd(Slots({"small": 1}, total=1))
    await crowd.come("t", model="other")
    await crowd.come("s1")
    crowd.tasks["s1"].cancel()
    await settle()
    await crowd.go("t")
    await crowd.come("s2")
    assert crowd.running == ["s2"]


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "2"])
def test_a_limit_that_is_no_count_is_refused_with_its_name(limit):
    with pytest.raises(ConfigError, match=r"^concurrency: expected a whole number of calls at a time, 1 or more, got "):
        Slots({}, limit)
    with pytest.raises(ConfigError, match=r"^model 'small': concurrency: expected"):
        Slots({"small": limit})


def test_callers_of_several_event_loops_share_the_slots():
    slots, counts, lock = Slots({"small": 3}), [0, 0], threading.Lock()

    async def one():
        slot = await slots.hold("small")
        with lock:
            counts[0] += 1
            counts[1] = max(counts)
        await asyncio.sleep(0)
        with lock:
            counts[0] -= 1
        slot.release()

    async def many():
        await asyncio.gather(*(one() for _ in range(200)))

    threads = [threading.Thread(target=asyncio.run, args=(many(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert counts == [0, 3]


@pytest.mark.parametrize("run", ["ahead", "another"])
def test_a_caller_whose_event_loop_was_closed_is_passed_over(run):
    slots = Slots({"small": 1})
    gone = asyncio.new_event_loop()
    slot = gone.run_until_complete(slots.hold("small", run="ahead"))
    waiting = gone.create_task(slots.hold("small", run=run))
    gone.run_until_complete(asyncio.sleep(0))
    gone.close()
    slot.release()
    waiting._log_destroy_pending = False
    del waiting
    gc.collect()  # the caller's end comes late, and must not give back what it never had
    assert asyncio.run(held_of(slots)) == 1


async def test_a_runs_most_urgent_call_gets_its_place_although_it_comes_a_little_late():
    crowd = Crowd(Slots({"small": 1}))
    await crowd.come("first", run="r")
    await crowd.come("leaf", run="r", rank=1.0)
    crowd.held["first"].release()
    for _ in range(8):  # until the runtime has seen the end of one step and begun the next
        await asyncio.sleep(0)
    await crowd.come("next", run="r", rank=5.0)
    assert crowd.running == ["first", "next"]


@pytest.mark.parametrize("turns", range(GRACE + 4))
async def test_a_place_that_comes_while_another_is_given_away_is_not_lost(turns):
    crowd = Crowd(Slots({"small": 2}))
    for name in ("a", "b", "leaf"):
        await crowd.come(name, run="r")
    crowd.leave("a")
    for _ in range(turns):
        await asyncio.sleep(0)
    crowd.start("next", run="r", rank=5.0)
    await asyncio.sleep(0)
    crowd.leave("b")
    await settle()
    assert sorted(crowd.running) == ["leaf", "next"]
    crowd.leave("leaf")
    crowd.leave("next")
    assert await held_of(crowd.slots) == 2


async def test_another_runs_call_does_not_wait_for_what_may_still_come():
    slots, served = Slots({"small": 1}), []

    async def other():
        await slots.hold("small", run="other")
        served.append("other")

    slot = await slots.hold("small", run="r")
    task = asyncio.create_task(other())
    await settle()
    slot.release()
    for _ in range(4):
        await asyncio.sleep(0)
    assert served == ["other"]
    await task


def test_a_caller_that_was_passed_over_leaves_the_others_of_its_run_where_they_are():
    slots = Slots({"small": 1})
    gone = asyncio.new_event_loop()
    slot = gone.run_until_complete(slots.hold("small", run="ahead"))
    waiting = [gone.create_task(slots.hold("small", run="r"))]
    gone.run_until_complete(asyncio.sleep(0))
    gone.close()
    waiting[0]._log_destroy_pending = False

    async def live():
        crowd = Crowd(slots)
        await crowd.come("a", run="r")
        await crowd.come("b", run="r")
        slot.release()
        await settle()
        waiting.clear()
        gc.collect()
        assert crowd.running == ["a"]
        await crowd.go("a")
        assert crowd.running == ["b"]

    asyncio.run(live())


Acts = st.lists(
    st.tuples(st.sampled_from(["come", "leave", "cancel"]), st.integers(0, 9), st.integers(0, 3), st.integers(0, 20)),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(acts=Acts, limit=st.integers(1, 3), total=st.none() | st.integers(1, 3))
def test_whatever_comes_leaves_or_is_cancelled_no_slot_is_lost_or_given_twice(acts, limit, total):
    async def play():
        models = {"small": limit, "other": limit}
        crowd, model_of = Crowd(Slots(models, total)), {}
        for number, (act, pick, run, turns) in enumerate(acts):
            if act == "come":
                model_of[number] = ("small", "other")[pick % 2]
                tenant = ("", "a", "b")[pick % 3]
                crowd.start(number, model_of[number], tenant=tenant, run=str(run), rank=pick, weight=2.0**run)
            elif act == "leave" and crowd.running:
                crowd.leave(crowd.running[pick % len(crowd.running)])
            elif waiting := [name for name, task in crowd.tasks.items() if not task.done()]:
                crowd.tasks[waiting[pick % len(waiting)]].cancel()
            for _ in range(turns):
                await asyncio.sleep(0)
            held = [model_of[name] for name in crowd.running]
            assert all(held.count(model) <= limit for model in models)
            assert total is None or len(held) <= total
        await settle()
        while crowd.running:
            await crowd.go(crowd.running[0])
        assert all(task.done() for task in crowd.tasks.values())
        assert await held_of(crowd.slots) == min(limit, total or limit)

    asyncio.run(play())


# A slot around one attempt.

BUSY = (card("small", price=Price(1.0, 2.0), concurrency=1), card("twin", price=Price(1.0, 2.0)))


def bench_of(*acts, clock=None, cards=BUSY):
    return Bench({"small": acts, "twin": [say("twin")]}, cards=cards, clock=clock)


def decided(bench, siblings=()):
    return decide(ladder=(), siblings=siblings, cards=bench.cards)


def start(bench, **options):
    async def collect(call):
        return [event async for event in bench.dispatcher.stream(call)]

    return asyncio.create_task(collect(bench.call(decision=decided(bench), **options)))


class Gate:
    """A transport on which every exchange with small waits until it is opened."""

    def __init__(self, inner):
        self.inner, self.gates, self.sent = inner, [], []

    async def send(self, request):
        self.sent.append(request)
        gate = asyncio.Event()
        self.gates.append(gate)
        await gate.wait()
        return await self.inner.send(request)


def gated(clock=None, *, acts=None, cards=BUSY):
    bench = bench_of(*(acts or [say("yes")]), clock=clock, cards=cards)
    gate = Gate(bench.transport)
    return Bench(cards=cards, clock=bench.clock, transport=gate), gate


async def test_attempts_on_a_model_with_concurrency_one_run_one_after_the_other():
    bench, gate = gated()
    calls = [start(bench) for _ in range(3)]
    for sent in (1, 2, 3):
        await settle()
        assert len(gate.sent) == sent
        gate.gates[-1].set()
    assert [(await call)[-1].reply.text for call in calls] == ["yes"] * 3


async def test_the_highest_rank_of_a_run_is_sent_next():
    bench, gate = gated()
    first = start(bench)
    await settle()
    low, high = start(bench, rank=1.0), start(bench, rank=2.0)
    await settle()
    gate.gates[0].set()
    await settle()
    gate.gates[1].set()
    await settle()
    assert (first.done(), low.done(), high.done()) == (True, False, True)
    gate.gates[2].set()
    await low


async def test_a_run_of_high_priority_is_sent_before_one_of_low_priority():
    bench, gate = gated()
    first = start(bench)
    await settle()
    calls = []
    for run, priority in (("a", "low"), ("b", "high")):
        bench.rows.run = run
        calls.append(start(bench, priority=priority))
        await settle()
    gate.gates[0].set()
    await settle()
    gate.gates[1].set()
    await settle()
    assert [call.done() for call in (first, *calls)] == [True, False, True]
    gate.gates[2].set()
    await calls[0]


async def test_the_wait_for_a_slot_is_no_latency_of_the_model():
    clock = Clock()
    bench, gate = gated(clock)
    first, second = start(bench), start(bench)
    await settle()
    clock.move(50.0)  # of the first exchange
    gate.gates[0].set()
    await settle()
    clock.move(2.0)
    gate.gates[1].set()
    await asyncio.gather(first, second)
    assert [(one.seconds, one.first_token) for one in bench.rows.ended] == [(50.0, 50.0), (2.0, 2.0)]


async def test_the_deadline_passes_while_others_hold_every_slot():
    bench, gate = gated(RealClock())
    first = start(bench)
    await settle()
    purse = Purse(1.0)
    with pytest.raises(
        DeadlineExceeded, match=r"step 's1': the deadline passed while other calls held every slot of small"
    ):
        await start(bench, deadline=0.3, purse=purse)
    assert (purse.held, purse.spent, purse.open) == (0.0, 0.0, 0)
    assert len(bench.rows.started) == 1  # what was never sent is no attempt
    gate.gates[0].set()
    await first
    gate.gates.clear()
    third = start(bench)
    await settle()
    gate.gates[0].set()
    await third


async def test_a_cancelled_call_leaves_the_line_and_gives_its_money_back():
    bench, gate = gated()
    first, purse = start(bench), Purse(1.0)
    await settle()
    second = start(bench, purse=purse)
    await settle()
    assert purse.held > 0
    second.cancel()
    await settle()
    assert (purse.held, purse.spent, purse.open) == (0.0, 0.0, 0)
    gate.gates[0].set()
    await first


async def test_a_failed_attempt_gives_its_slot_back_before_it_waits_to_retry():
    bench = bench_of(error(503), say("second"), say("first"))
    order = []

    async def sleep(seconds):
        order.append("waits")
        await other()

    async def other():
        events = [event async for event in bench.dispatcher.stream(bench.call(decision=decided(bench), deadline=60.0))]
        order.append(events[-1].reply.text)

    bench.dispatcher._sleep = sleep
    assert (await bench.run(decision=decided(bench))).reply.text == "first"
    assert order == ["waits", "second"]


async def test_a_model_whose_fault_moved_the_call_sideways_is_free_again():
    bench = bench_of(error(429), say("free"))
    assert (await bench.run(decision=decided(bench, ("twin",)))).reply.text == "twin"
    assert (await bench.run(decision=decided(bench))).reply.text == "free"


async def test_a_stream_that_is_left_gives_its_slot_back():
    bench = bench_of(say("one", "two"), say("free"))
    stream = bench.dispatcher.stream(bench.call(decision=decided(bench), commit=True))
    await anext(stream)
    await stream.aclose()
    assert (await bench.run(decision=decided(bench))).reply.text == "free"


async def test_a_cancelled_exchange_gives_its_slot_back():
    bench = bench_of(SILENCE, say("free"))
    first = start(bench)
    await bench.transport.waiting.wait()
    first.cancel()
    await settle()
    assert (await bench.run(decision=decided(bench))).reply.text == "free"


async def test_an_endpoint_that_cannot_be_had_gives_the_slot_back():
    bench = Bench({"small": [say("free")]}, cards=BUSY, broken={"small": ConfigError("no key")})
    with pytest.raises(ConfigError, match="no key"):
        await bench.run(decision=decided(bench))
    bench.endpoints.broken.clear()
    assert (await bench.run(decision=decided(bench))).reply.text == "free"


async def test_an_app_wide_limit_holds_over_models_without_one_of_their_own():
    from orchestra.dispatch import Dispatcher
    from orchestra.fleet import Fleet
    from orchestra.recovery import RecoveryPolicy

    bench, gate = gated(cards=(card("small"), card("twin")))
    bench.dispatcher = Dispatcher(
        Fleet.from_cards(bench.cards), bench.endpoints, gate, RecoveryPolicy(), concurrency=1, clock=bench.clock
    )
    calls = [start(bench), start(bench)]
    await settle()
    assert len(gate.sent) == 1
    gate.gates[0].set()
    await settle()
    gate.gates[1].set()
    await asyncio.gather(*calls)


async def test_what_an_attempt_holds_is_recorded_where_a_cap_is_set():
    bench = bench_of(say("yes"))
    await bench.run(decision=decided(bench), purse=Purse(1.0))
    await bench.run(decision=decided(bench))
    capped, free = bench.rows.started
    assert 0 < capped.reserved < 0.1
    assert free.reserved is None
