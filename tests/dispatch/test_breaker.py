"""Circuit breaker: when it opens, for how long, who may probe, when it closes."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestra.dispatch.breaker import PROBE_WAIT, Breaker, BreakerPolicy
from orchestra.dispatch.window import SLICES, Window

POLICY = BreakerPolicy()


def call(breaker, now, *, failed, **more):
    return breaker.leave(now, breaker.enter(now), failed=failed, **more)


def opened(policy=POLICY, now=0.0, **more):
    breaker = Breaker(policy)
    for _ in range(policy.minimum - 1):
        assert call(breaker, now, failed=True) is None
    assert call(breaker, now, failed=True, **more) == "open"
    return breaker


def probe_fails(breaker, now, **more):
    assert call(breaker, now, failed=True, **more) == "open"
    return breaker.wait(now)


def test_a_new_breaker_lets_everything_pass():
    breaker = Breaker(POLICY)
    assert (breaker.state(0.0), breaker.wait(0.0)) == ("closed", 0.0)
    assert all(breaker.enter(0.0) for _ in range(100))


def test_it_opens_at_the_error_rate_and_not_below():
    breaker = Breaker(BreakerPolicy(minimum=4))
    results = [call(breaker, 0.0, failed=failed) for failed in (False, False, False, True, True, True)]
    assert results == [None] * 5 + ["open"]
    assert (breaker.state(29.9), breaker.wait(10.0), breaker.enter(29.9)) == ("open", 20.0, 0)


def test_too_few_calls_say_nothing():
    breaker = Breaker(POLICY)
    for _ in range(POLICY.minimum - 1):
        call(breaker, 0.0, failed=True)
    assert breaker.state(0.0) == "closed"


def test_failures_older_than_the_window_are_forgotten():
    breaker = Breaker(POLICY)
    for now in (0.0, 1.0, 2.0, 3.0):
        call(breaker, now, failed=True)
    call(breaker, 50.0, failed=False)
    for _ in range(3):
        assert call(breaker, 63.0, failed=True) is None  # four of eight, had the first slice not gone
    assert call(breaker, 200.0, failed=True) is None


def test_failures_in_a_row_open_a_busy_breaker_at_once():
    breaker = Breaker(POLICY)
    for _ in range(1_000):
        call(breaker, 0.0, failed=False)
    results = [call(breaker, 1.0, failed=True) for _ in range(POLICY.minimum)]
    assert results == [None] * (POLICY.minimum - 1) + ["open"]


def test_a_success_breaks_the_row():
    breaker = Breaker(POLICY)
    for _ in range(100):
        call(breaker, 0.0, failed=False)
    for failed in [True] * 7 + [False] + [True] * 7:
        assert call(breaker, 1.0, failed=failed) is None


def test_slow_calls_open_it_where_the_policy_says_what_slow_is():
    slow = Breaker(BreakerPolicy(minimum=5, slow=10.0))
    results = [call(slow, 0.0, failed=False, seconds=seconds) for seconds in (1.0, 10.1, 10.1, 10.1, 10.1)]
    assert results == [None] * 4 + ["open"]
    patient = Breaker(BreakerPolicy(minimum=5))
    assert {call(patient, 0.0, failed=False, seconds=1_000.0) for _ in range(20)} == {None}
    edge = Breaker(BreakerPolicy(minimum=5, slow=10.0))
    assert {call(edge, 0.0, failed=False, seconds=10.0) for _ in range(20)} == {None}


def test_a_call_that_is_nobodys_fault_does_not_count():
    breaker = Breaker(BreakerPolicy(minimum=2))
    assert call(breaker, 0.0, failed=True) is None
    assert {call(breaker, 0.0, failed=None) for _ in range(20)} == {None}
    assert call(breaker, 0.0, failed=True) == "open"


def test_each_failed_probe_doubles_the_time_up_to_the_longest():
    breaker, now = opened(), 0.0
    waits = [breaker.wait(now)]
    for _ in range(6):
        now += breaker.wait(now)
        waits.append(probe_fails(breaker, now))
    assert waits == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0, 300.0]


def test_the_first_time_it_opens_for_as_long_as_the_provider_asks():
    assert opened(retry_after=2.0).wait(0.0) == 2.0
    assert opened(retry_after=3_600.0).wait(0.0) == 3_600.0


def test_a_provider_that_asks_for_nothing_and_goes_on_failing_is_left_alone_all_the_same():
    breaker = opened(retry_after=0.0)
    assert breaker.wait(0.0) == 0.0
    assert probe_fails(breaker, 0.0, retry_after=0.0) == 30.0
    assert probe_fails(breaker, 30.0, retry_after=0.0) == 60.0
    assert probe_fails(breaker, 90.0, retry_after=500.0) == 500.0


def test_half_open_lets_so_many_probes_through_at_a_time():
    breaker = opened()
    assert (breaker.state(30.0), breaker.wait(30.0)) == ("half_open", 0.0)
    passes = [breaker.enter(30.0) for _ in range(5)]
    assert [bool(one) for one in passes] == [True, True, False, False, False]
    assert breaker.wait(30.0) == PROBE_WAIT
    assert breaker.leave(31.0, passes[0], failed=None) is None  # cancelled: its place is free again
    assert breaker.wait(31.0) == 0.0
    assert breaker.enter(31.0)


def test_a_row_of_good_probes_closes_it_and_it_starts_afresh():
    breaker = opened()
    assert call(breaker, 30.0, failed=False) is None
    assert breaker.state(30.0) == "half_open"
    assert call(breaker, 30.0, failed=False) == "closed"
    for _ in range(POLICY.minimum - 1):
        assert call(breaker, 30.0, failed=True) is None
    assert call(breaker, 30.0, failed=True) == "open"
    assert breaker.wait(30.0) == 30.0


def test_a_good_probe_before_a_bad_one_counts_for_nothing_later():
    breaker = opened()
    call(breaker, 30.0, failed=False)
    probe_fails(breaker, 30.0)
    assert call(breaker, 90.0, failed=False) is None


def test_a_slow_probe_is_a_failed_one():
    breaker = opened(BreakerPolicy(slow=5.0))
    assert call(breaker, 30.0, failed=False, seconds=6.0) == "open"


def test_a_call_from_before_it_opened_is_no_probe():
    breaker = Breaker(POLICY)
    late = [breaker.enter(0.0) for _ in range(3)]
    for _ in range(POLICY.minimum):
        call(breaker, 0.0, failed=True)
    probe = breaker.enter(30.0)
    assert breaker.leave(30.5, late[0], failed=True) is None
    assert breaker.leave(30.5, late[1], failed=False) is None
    assert breaker.state(30.5) == "half_open"
    assert breaker.enter(30.5)
    assert not breaker.enter(30.5)
    assert breaker.leave(31.0, probe, failed=False) is None
    assert call(breaker, 31.0, failed=False) == "closed"
    assert breaker.leave(31.0, late[2], failed=True) is None


def test_a_call_made_all_the_same_can_only_help():
    breaker = opened()
    assert breaker.leave(1.0, 0, failed=True) is None
    assert breaker.leave(1.0, 0, failed=None) is None
    assert breaker.wait(1.0) == 29.0
    assert breaker.leave(2.0, 0, failed=False) is None
    assert breaker.leave(3.0, 0, failed=False) == "closed"
    assert breaker.leave(4.0, 0, failed=True) is None
    slow = opened(BreakerPolicy(slow=5.0))
    assert slow.leave(1.0, 0, failed=False, seconds=9.0) is None
    assert slow.wait(1.0) == 29.0


def test_growing_for_ever_is_no_overflow():
    breaker, now = opened(), 0.0
    for _ in range(2_000):
        now += breaker.wait(now)
        probe_fails(breaker, now)
    assert breaker.wait(now) == POLICY.longest


def test_a_window_forgets_slice_by_slice_and_all_of_it_after_a_pause():
    window = Window(20.0, 2)
    assert window.add(1.0, 1, 0) == [1, 0]
    assert window.add(19.9, 2, 1) == [3, 1]
    assert window.sums(20.0) == [2, 1]
    assert window.sums(37.9) == [2, 1]
    assert window.sums(38.0) == [0, 0]
    assert window.add(1e9, 1, 1) == [1, 1]
    assert window.sums(2e9) == [0, 0]


class BreakerMachine(RuleBasedStateMachine):
    """Against a model that keeps every call in a list."""

    def __init__(self):
        super().__init__()
        self.policy = BreakerPolicy(window=10.0, minimum=3, opens=4.0, longest=10.0, probes=2, slow=5.0)
        self.breaker = Breaker(self.policy)
        self.now = 0.0
        self.flying = []  # (pass, whether it is a probe, epoch)
        self.epoch = 0
        self.calls = []  # (slice, failed, slow) since it was last closed
        self.until, self.period, self.good = None, 0.0, 0

    def probing(self):
        return sum(probe and epoch == self.epoch for _, probe, epoch in self.flying)

    def may_pass(self):
        if self.until is None:
            return True
        return self.now >= self.until and self.probing() < self.policy.probes

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.0, 11.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def somebody_enters(self):
        expected = self.may_pass()
        entered = self.breaker.enter(self.now)
        assert bool(entered) == expected
        if entered:
            self.flying.append((entered, self.until is not None, self.epoch))

    @rule(failed=st.sampled_from([True, False, None]), seconds=st.sampled_from([1.0, 6.0]))
    def somebody_goes_all_the_same(self, failed, seconds):
        if self.until is not None:
            changed = self.breaker.leave(self.now, 0, failed=failed, seconds=seconds)
            good = failed is False and seconds < 5.0
            assert changed == (self.closes() if good else None)

    @precondition(lambda self: self.flying)
    @rule(
        data=st.data(),
        failed=st.sampled_from([True, True, False, None]),
        seconds=st.sampled_from([1.0, 6.0]),
        retry_after=st.sampled_from([None, None, 0.0, 2.0, 20.0]),
    )
    def somebody_leaves(self, data, failed, seconds, retry_after):
        entered, _, epoch = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        changed = self.breaker.leave(self.now, entered, failed=failed, seconds=seconds, retry_after=retry_after)
        if epoch != self.epoch or failed is None:
            assert changed is None
        elif self.until is None:
            self.calls.append((int(self.now / 1.0), failed, seconds > 5.0))
            assert changed == (self.opens(retry_after) if self.is_bad() else None)
        elif failed or seconds > 5.0:
            assert changed == self.opens(retry_after)
        else:
            assert changed == self.closes()

    def is_bad(self):
        recent = [one for one in self.calls if one[0] > int(self.now) - SLICES]
        bad, slow = sum(one[1] for one in recent), sum(one[2] for one in recent)
        many = len(recent) >= 3
        in_a_row = len(self.calls) >= 3 and all(one[1] for one in self.calls[-3:])
        return in_a_row or (many and (bad >= 0.5 * len(recent) or slow >= 0.8 * len(recent)))

    def opens(self, retry_after):
        if self.until is None and retry_after is not None:
            wait = retry_after
        else:
            self.period = min(10.0, self.period * 2 if self.period else 4.0)
            wait = max(self.period, retry_after or 0.0)
        self.until, self.good = self.now + wait, 0
        self.epoch += 1
        return "open"

    def closes(self):
        self.good += 1
        if self.good < 2:
            return None
        self.until, self.period, self.calls = None, 0.0, []
        self.epoch += 1
        return "closed"

    @invariant()
    def it_says_what_it_does(self):
        state, wait = self.breaker.state(self.now), self.breaker.wait(self.now)
        assert (wait == 0.0) == self.may_pass()
        if self.until is None:
            assert state == "closed"
        elif self.now < self.until:
            assert (state, wait) == ("open", self.until - self.now)
        else:
            assert state == "half_open"

    @invariant()
    def never_more_probes_than_allowed(self):
        assert self.probing() <= self.policy.probes


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)


@pytest.mark.parametrize("minimum", [1, 2])
def test_a_single_failure_opens_where_the_policy_says_so(minimum):
    assert opened(BreakerPolicy(minimum=minimum)).state(0.0) == "open"
