"""Rate limits of a key: what fits now, what fits later, what never fits."""

import math
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestra.dialects.rate_limits import RateLimit
from orchestra.dispatch.rates import DAY, MINUTE, SLICES, RateLimiter, RateRules
from orchestra.fleet import ProviderLimits
from tests.dispatch.doubles import between_bytecodes


def limiter(**rules):
    return RateLimiter(RateRules(**rules))


def take(limiter, now, tokens=1):
    """Reserves what fits now."""
    assert limiter.wait(now, tokens) == 0.0
    return limiter.reserve(now, tokens)


def test_without_rules_nothing_waits():
    free = limiter()
    for _ in range(1000):
        take(free, 0.0, 10**9)


def test_the_rules_of_a_key_are_those_of_its_provider():
    assert RateRules.of(ProviderLimits("p", 1, 2, 3, 4)) == RateRules(1, 2, 3, 4)


def test_so_many_requests_fit_a_minute_and_the_next_one_when_the_first_is_a_minute_old():
    one = limiter(requests_per_minute=2)
    take(one, 10.0)
    take(one, 30.0)
    assert one.wait(40.0, 1) == 30.0
    assert one.wait(70.0, 1) == 0.0


def test_so_many_tokens_fit_a_minute():
    one = limiter(tokens_per_minute=1000)
    take(one, 0.0, 600)
    assert (one.wait(1.0, 400), one.wait(1.0, 401)) == (0.0, 59.0)


def test_the_longest_of_all_waits_counts():
    one = limiter(requests_per_minute=1, tokens_per_day=100)
    take(one, 0.0, 90)
    assert one.wait(1.0, 5) == 59.0
    assert one.wait(1.0, 20) == DAY - 1


def test_requests_of_a_day_are_counted_beside_those_of_a_minute():
    one = limiter(requests_per_minute=2, requests_per_day=3)
    for minute in range(3):
        take(one, minute * MINUTE)
    assert one.wait(3 * MINUTE, 1) == pytest.approx(DAY - 3 * MINUTE, abs=DAY / SLICES)


@pytest.mark.parametrize("rules", [{"tokens_per_minute": 100}, {"tokens_per_day": 100}])
def test_what_is_larger_than_a_limit_never_fits(rules):
    one = limiter(**rules)
    assert (one.wait(0.0, 100), one.wait(0.0, 101)) == (0.0, math.inf)


def test_what_was_reserved_too_much_comes_back_and_whoever_waits_is_told():
    one, told = limiter(tokens_per_minute=100), []
    one.freed = lambda: told.append(one.wait(1.0, 60))
    one.settle(take(one, 0.0, 100), 1.0, 40)
    assert told == [0.0]
    assert one.wait(1.0, 61) == 59.0


def test_what_took_more_than_was_reserved_is_counted_in_full():
    one, told = limiter(tokens_per_minute=100), []
    one.freed = lambda: told.append(True)
    one.settle(take(one, 0.0, 50), 1.0, 90)
    assert one.wait(1.0, 11) == 59.0
    assert told == []


def test_what_was_never_sent_takes_neither_a_request_nor_tokens():
    one = limiter(requests_per_minute=1, tokens_per_minute=10)
    one.settle(take(one, 0.0, 10), 1.0, None)
    assert one.wait(1.0, 10) == 0.0


def test_a_hold_is_settled_once():
    one = limiter(tokens_per_minute=100)
    hold = take(one, 0.0, 100)
    one.settle(hold, 1.0, 50)
    one.settle(hold, 1.0, None)
    assert one.wait(1.0, 51) == 59.0


def test_what_is_settled_after_its_window_has_passed_changes_nothing():
    one = limiter(tokens_per_minute=100)
    old = take(one, 0.0, 100)
    take(one, 60.0, 100)
    one.settle(old, 61.0, 0)
    assert one.wait(61.0, 1) == 59.0


def test_what_is_reserved_close_together_comes_back_together_and_never_too_early():
    one = limiter(requests_per_minute=2)
    take(one, 0.0)
    take(one, MINUTE / SLICES / 2)
    assert one.wait(59.0, 1) == pytest.approx(1.0 + MINUTE / SLICES / 2)
    assert one.wait(60.0, 1) == pytest.approx(MINUTE / SLICES / 2)


def test_memory_of_a_limiter_is_bounded_however_much_passes():
    one = limiter(requests_per_minute=10**9, requests_per_day=10**9)
    for number in range(20_000):
        take(one, number * 0.1)
    assert max(len(window.slices) for window in one._windows) <= SLICES + 1


def test_the_wait_behind_others_counts_their_turns_in_the_pace_of_the_limit():
    one = limiter(requests_per_minute=10)
    assert [one.wait(0.0, 1, ahead=ahead) for ahead in (9, 10, 20)] == [0.0, 60.0, 120.0]
    for _ in range(10):
        take(one, 0.0)
    assert [one.wait(15.0, 1, ahead=ahead) for ahead in (0, 1, 10)] == [45.0, 51.0, 105.0]


def test_what_is_left_is_spread_until_what_is_used_comes_back():
    one = limiter(requests_per_minute=10)
    assert one.pause(0.0, 1) == 0.0
    for _ in range(5):
        take(one, 0.0)
    assert one.pause(0.0, 1) == 12.0  # five are left for the minute until those five come back
    take(one, 12.0)
    assert one.pause(20.0, 1) == 2.0  # four for forty seconds, the last of them eight ago


def test_what_is_left_is_spread_by_what_requests_take_in_the_end():
    one = limiter(tokens_per_minute=1000)
    for _ in range(100):
        one.settle(take(one, 0.0, 100), 0.0, 0)
        one.settle(take(one, 0.0, 100), 0.0, 50)
        one.settle(one.reserve(0.0, 0), 60.0, 0)
    take(one, 60.0, 0)
    assert one.pause(60.0, 100) == pytest.approx(60 / 10 / 4, rel=0.1)
    assert limiter().pause(0.0, 100) == 0.0


# Corrected by what the provider says.


def said(counted="requests", remaining=0, reset=30.0, limit=None):
    return [RateLimit(counted, limit, remaining, reset)]


def test_no_more_than_the_provider_has_left_passes_until_it_is_whole_again():
    one = limiter(requests_per_minute=100)
    one.correct(0.0, said(remaining=2))
    take(one, 1.0)
    take(one, 1.0)
    assert one.wait(10.0, 1) == 20.0
    assert one.wait(30.0, 1) == 0.0


def test_a_provider_that_has_more_left_does_not_lift_the_rules():
    one = limiter(requests_per_minute=1)
    take(one, 0.0)
    one.correct(0.0, said(remaining=100))
    assert one.wait(0.0, 1) == 60.0


def test_a_key_without_rules_is_held_to_what_its_provider_says():
    one = limiter()
    one.correct(0.0, said("tokens", remaining=500))
    assert (one.wait(0.0, 500), one.wait(0.0, 501)) == (0.0, 30.0)


def test_a_provider_that_does_not_say_when_is_given_a_minute():
    one = limiter()
    one.correct(0.0, said(reset=None))
    assert one.wait(20.0, 1) == 40.0


def test_a_correction_tells_whoever_waits_and_the_newest_holds():
    one, told = limiter(), []
    one.correct(0.0, said())
    one.freed = lambda: told.append(one.wait(1.0, 1))
    one.correct(1.0, said(remaining=5))
    assert told == [0.0]


def test_what_was_reserved_after_the_request_that_was_answered_is_not_in_its_headers():
    one = limiter()
    answered = take(one, 0.0)
    take(one, 0.1)
    take(one, 0.2)
    one.correct(1.0, said(remaining=3), hold=answered)
    take(one, 1.0)
    assert one.wait(1.0, 1) == 30.0
    one.correct(1.0, said(remaining=3))  # of nobody's request: all is in the numbers
    assert one.wait(1.0, 1) == 0.0


def test_what_the_answered_request_itself_did_not_use_is_in_its_headers():
    one = limiter()
    answered = take(one, 0.0, 100)
    one.correct(1.0, said("tokens", remaining=50), hold=answered)
    one.settle(answered, 1.0, 10)
    assert (one.wait(1.0, 50), one.wait(1.0, 51)) == (0.0, 30.0)


def test_a_request_that_was_never_sent_leaves_its_place_to_another():
    one = limiter()
    one.correct(0.0, said(remaining=1))
    unsent = take(one, 0.0)
    assert one.wait(0.0, 1) == 30.0
    one.settle(unsent, 0.0, None)
    assert one.wait(0.0, 1) == 0.0


def test_a_refund_of_what_the_provider_has_not_counted_yet_can_be_taken_again_and_an_older_one_cannot():
    one = limiter()
    older = take(one, 0.0, 100)
    answered = take(one, 0.0, 100)
    newer = take(one, 0.1, 100)
    one.correct(1.0, said("tokens", remaining=150), hold=answered)
    one.settle(older, 1.0, 0)
    assert (one.wait(1.0, 50), one.wait(1.0, 51)) == (0.0, 29.0 + 1.0)
    one.settle(newer, 1.0, 0)
    assert (one.wait(1.0, 150), one.wait(1.0, 151)) == (0.0, 30.0)


def test_a_header_whose_limit_is_the_rule_of_the_day_speaks_of_the_day():
    one = limiter(requests_per_minute=5, requests_per_day=1000)
    one.correct(0.0, said(limit=1000, remaining=0, reset=None))
    assert one.wait(0.0, 1) == DAY


def test_a_header_without_a_remainder_or_of_input_alone_changes_nothing():
    one = limiter()
    one.correct(0.0, said(remaining=None) + said("input_tokens"))
    assert one.wait(0.0, 10) == 0.0


class Limited(RuleBasedStateMachine):
    """Callers that reserve only what fits, beside the exact list of what they took and when."""

    @initialize(requests=st.none() | st.integers(1, 6), tokens=st.none() | st.integers(1, 40))
    def begin(self, requests, tokens):
        self.rules = {"requests": requests, "tokens": tokens}
        self.limiter = limiter(requests_per_minute=requests, tokens_per_minute=tokens)
        self.now, self.taken = 0.0, []

    @rule(seconds=st.floats(0, 90))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(tokens=st.integers(0, 45))
    def someone_comes(self, tokens):
        wait = self.limiter.wait(self.now, tokens)
        assert (wait == math.inf) == (self.rules["tokens"] is not None and tokens > self.rules["tokens"])
        if wait == 0.0:
            self.taken.append([self.now, 1, tokens, self.limiter.reserve(self.now, tokens)])

    @rule(tokens=st.integers(0, 45))
    def someone_waits_as_long_as_told(self, tokens):
        if 0.0 < (wait := self.limiter.wait(self.now, tokens)) < math.inf:
            assert wait <= MINUTE * (1 + 1 / SLICES)
            self.now += wait
            assert self.limiter.wait(self.now, tokens) < 1e-9  # sums of floats may be off by less

    @precondition(lambda self: self.taken)
    @rule(pick=st.integers(0, 99), share=st.none() | st.floats(0, 1))
    def someone_settles(self, pick, share):
        entry = self.taken[pick % len(self.taken)]
        tokens = None if share is None else int(share * entry[2])
        if not entry[3].settled:
            self.limiter.settle(entry[3], self.now, tokens)
            entry[1:3] = (0, 0) if tokens is None else (1, tokens)

    @invariant()
    def no_minute_holds_more_than_the_rules(self):
        for counted, place in (("requests", 1), ("tokens", 2)):
            limit = self.rules[counted] if hasattr(self, "rules") else None
            for entry in self.taken if limit is not None else ():
                within = [one for one in self.taken if entry[0] <= one[0] < entry[0] + MINUTE]
                assert sum(one[place] for one in within) <= limit


TestLimited = Limited.TestCase
TestLimited.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.interpreted
def test_headers_may_come_while_it_is_asked_whether_tokens_count():
    for moment in range(60):  # bytecodes: more than it takes
        free, passed = limiter(), count()
        free.correct(0.0, [RateLimit("requests", None, 5, 60.0)])

        def heard(free=free, passed=passed, moment=moment):
            if next(passed) == moment:
                free.correct(0.0, [RateLimit("tokens", 10, 5, 60.0)])

        with between_bytecodes(RateLimiter.counts_tokens, heard):
            free.counts_tokens(1.0)


def test_who_stands_behind_others_waits_where_what_the_provider_has_left_is_theirs():
    one = limiter()
    one.correct(0.0, [RateLimit("requests", None, 2, 30.0)])
    assert [one.wait(0.0, 1, ahead=ahead) for ahead in (0, 1, 2)] == [0.0, 0.0, 30.0]


def test_tokens_count_where_a_rule_says_so_and_until_what_headers_told_is_whole_again():
    one = limiter()
    one.correct(0.0, [RateLimit("tokens", None, 5, 30.0)])
    assert [one.counts_tokens(now) for now in (0.0, 29.0, 30.0)] == [True, True, False]
    assert limiter(tokens_per_day=1).counts_tokens(0.0)
