"""Health: what a target's last minutes say of it, as one number and in detail."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.dispatch.health import REFRESH, Health, surely
from orchestra.dispatch.latency import LatencyHistory
from orchestra.dispatch.lengths import ENOUGH, EVERY, HISTORY, Lengths
from orchestra.types import Fault, Trigger

DOWN = Trigger.server_error


def record(health, now, trigger=None, *, seconds=1.0, first_token=0.5, output_tokens=100):
    health.record(now, trigger=trigger, seconds=seconds, first_token=first_token, output_tokens=output_tokens)


def after(calls, *, health=None, apart=1.0, start=0.0):
    """A health that saw these calls, each a dict for `record`, and the time of the last one."""
    health, now = health or Health(), start
    for call in calls:
        now += apart
        record(health, now, **call)
    return health, now


GOOD, BAD = {}, {"trigger": DOWN}


def test_without_evidence_everything_is_well():
    report = Health().report(100.0)
    assert (report.volume, report.error_rate, report.score, report.semantic, report.network) == (0, 0, 1, 1, 1)
    assert (report.latency_p50, report.latency_p95, report.first_token_p50, report.first_token_p95) == (None,) * 4


def test_a_score_can_be_asked_for_before_anything_is_known():
    assert Health().score(100.0) == 1.0


def test_every_call_counts_once_whatever_is_said_of_it():
    health, _ = after([GOOD, {"output_tokens": None}, BAD, BAD, GOOD], apart=0.0)
    health.judged(0.0, accepted=True)
    report = health.report(0.0)
    assert (report.volume, report.error_rate) == (5, 0.4)


def test_a_target_that_always_answers_has_full_health():
    health, now = after([GOOD] * 200)
    health.judged(now, accepted=True)
    assert health.score(now) == 1.0


def test_the_more_failures_the_lower_the_score_and_one_alone_moves_it_little():
    scores = []
    for failures in (0, 1, 3, 10):
        health, now = after([*[GOOD] * 40, *[BAD] * failures])
        scores.append(health.score(now))
    assert scores == sorted(scores, reverse=True)
    assert 0.95 < scores[1] < 1.0
    assert scores[3] < 0.5


def test_one_failure_of_one_call_is_not_yet_an_outage():
    health, now = after([BAD])
    assert 0.7 < health.score(now) < 1.0


@pytest.mark.parametrize("trigger", [one for one in Trigger if one.fault is not Fault.provider])
def test_only_the_providers_faults_count_against_it(trigger):
    health, now = after([GOOD] * 20)
    record(health, now, trigger)
    assert health.report(now).error_rate == 0.0


def test_a_request_that_nobody_could_serve_says_nothing_at_all():
    health, now = after([{"trigger": Trigger.bad_request, "seconds": 0.001, "first_token": None}] * 50)
    assert health.report(now).volume == 0
    assert health.report(now).latency_p50 is None


def test_a_target_that_is_left_alone_becomes_an_unknown_one():
    health, now = after([BAD] * 20)
    scores = [health.score(now + later) for later in (0.0, 60.0, 150.0, 300.0, 600.0)]
    assert scores == sorted(scores)
    assert scores[0] < 0.4
    assert scores[3] > 0.9
    assert scores[4] > 0.999


def test_after_a_pause_one_good_call_is_believed_and_one_bad_call_is_too():
    health, now = after([BAD] * 20)
    again, _ = after([BAD] * 20)
    record(health, now + 200.0)
    record(again, now + 200.0, DOWN)
    assert health.score(now + 200.0) > 0.85
    assert again.score(now + 200.0) < 0.7


def test_percentiles_are_of_the_window_and_by_nearest_rank():
    health, now = after([{"seconds": 500.0}] * 5)
    now += 400.0
    for seconds in range(1, 21):
        record(health, now, seconds=float(seconds), first_token=seconds / 10 if seconds % 2 else None)
    report = health.report(now + 299.0)
    assert (report.latency_p50, report.latency_p95) == (10.0, 19.0)
    assert (report.first_token_p50, report.first_token_p95) == (0.9, 1.9)
    assert health.report(now + 301.0).latency_p50 is None


def test_the_score_is_its_parts_multiplied():
    health, now = after([*[GOOD] * 30, *[BAD] * 5, *[{"seconds": 9.0, "first_token": 9.0}] * 10])
    for accepted in (True, False, False, False, False):
        health.judged(now, accepted=accepted)
    report = health.report(now)
    availability = 1.0 - surely(report.volume * report.error_rate, report.volume)
    assert report.score == pytest.approx(availability * report.semantic * report.network)
    assert max(report.semantic, report.network, availability) < 1.0


def test_a_score_holds_for_a_moment_where_nothing_is_recorded():
    health, now = after([BAD] * 10)
    first = health.score(now)
    assert health.score(now + REFRESH - 0.1) == first
    assert health.score(now + REFRESH) > first
    record(health, now + REFRESH, DOWN)
    assert health.score(now + REFRESH) < first


# What replies are worth.


def test_refused_replies_lower_it_only_beyond_what_hard_steps_explain():
    usual, worse = Health(), Health()
    for number in range(100):
        usual.judged(number / 10, accepted=number % 4 != 0)
        worse.judged(number / 10, accepted=number % 4 == 0)
    assert usual.score(10.0) == 1.0
    assert worse.score(10.0) < 0.6


def test_a_handful_of_refusals_is_enough_to_be_noticed():
    health = Health()
    for _ in range(6):
        health.judged(0.0, accepted=False)
    assert health.score(0.0) < 0.6


def test_nonsense_of_an_odd_length_is_noticed_though_every_check_passes():
    lengths = [80, 100, 120, 150, 90] * 20
    health, now = after([{"output_tokens": tokens} for tokens in lengths])
    assert health.report(now).semantic == 1.0
    after([{"output_tokens": 1}] * 30, health=health, start=now, apart=0.1)
    assert health.report(now + 3.0).semantic < 0.9


def test_a_reply_of_odd_length_is_half_a_refused_one():
    health, now = after([{"output_tokens": 100}] * 100)
    later, _ = after([{"output_tokens": 1}] * 4, health=health, start=now + 1e6, apart=0.0)
    assert later.report(now + 1e6).semantic == pytest.approx(1.0 - surely(4, 4) / 2)


def test_a_reply_whose_tokens_nobody_counted_is_no_odd_one():
    health, now = after([{"output_tokens": 100}] * 100)
    after([{"output_tokens": None}] * 100, health=health, start=now)
    assert health.report(now + 100.0).semantic == 1.0


def lengths_of(values, apart=1.0):
    lengths = Lengths()
    return lengths, [lengths.odd(number * apart, value) for number, value in enumerate(values)]


def test_nothing_is_odd_before_there_is_a_history():
    assert not any(lengths_of([100] * (ENOUGH - 2) + [1, 100_000])[1])
    lengths, _ = lengths_of([100] * ENOUGH)
    assert [lengths.odd(99.0, tokens) for tokens in (1, 100, 149, 152, 100_000)] == [True, False, False, True, True]


def test_a_model_whose_lengths_vary_is_given_more_room():
    lengths, _ = lengths_of([10, 30, 100, 300, 1_000] * 20)
    assert not any(lengths.odd(999.0, tokens) for tokens in (1, 10, 10_000))


def test_odd_begins_at_a_modified_z_score_of_three_and_a_half():
    lengths, _ = lengths_of([99, 299] * 32)
    median, deviation = math.log(100 * 300) / 2, math.log(3) / 2
    most = math.exp(median + 3.5 * deviation / 0.6745) - 1
    assert not lengths.odd(0.0, math.floor(most))
    assert lengths.odd(0.0, math.ceil(most))


def test_what_becomes_usual_is_no_longer_odd():
    lengths, _ = lengths_of([100] * HISTORY)
    changed = [lengths.odd(HISTORY + number, 4_000) for number in range(HISTORY)]
    assert changed[0]
    assert not changed[-1]


def test_under_load_the_unusual_does_not_become_usual_within_moments():
    lengths, _ = lengths_of([100] * HISTORY)
    assert all(lengths.odd(HISTORY + number / 100, 4_000) for number in range(HISTORY * EVERY))


# What latency says.


def history(*seconds, apart=1.0):
    latency = LatencyHistory()
    for number, value in enumerate(seconds):
        latency.answered(number * apart, value)
    return latency, (len(seconds) - 1) * apart


def test_latency_as_usual_is_full_score_however_slow_that_is():
    for usual in (0.0, 0.01, 1.0, 100.0):
        latency, now = history(*[usual, usual * 1.5] * 100)
        assert latency.score(now) == 1.0


def test_a_first_slow_answer_is_what_is_usual_as_far_as_anyone_knows():
    latency, now = history(30.0)
    assert latency.score(now) == 1.0


def test_a_trend_upwards_lowers_the_score_and_one_downwards_does_not():
    up, now = history(*[1.0] * 100, *[8.0] * 20)
    down, _ = history(*[8.0] * 100, *[1.0] * 20)
    assert up.score(now) < 0.6
    assert down.score(now) == 1.0


def test_one_answer_weighs_an_eighth_now_a_sixteenth_as_jitter_and_a_512th_in_what_is_usual():
    latency, now = history(*[1.0] * 1_000, math.exp(16), apart=0.0)
    trend, jitter = 16 / 8 - 16 / 512 - math.log(2), 16 / 16 - math.log(2)
    assert latency.score(now) == pytest.approx(math.exp(-trend - jitter))


def test_the_first_answers_count_alike():
    latency, now = history(*[math.exp(-5)] * 2, *[math.exp(3)] * 2, apart=0.0)
    deviation = 8 / 16 * 15 / 16 + (8 - 8 / 3) / 16  # from what was the mean before: the first, then a third of the way
    assert latency.score(now) == pytest.approx(math.exp(math.log(2) - deviation))


def test_twice_as_slow_is_tolerated():
    latency, now = history(*[1.0] * 100, *[1.9] * 20)
    assert latency.score(now) == 1.0


def test_jitter_lowers_the_score_though_the_mean_is_as_ever():
    latency, now = history(*[0.1, 10.0] * 100)
    assert latency.score(now) < 0.4


def test_losses_in_a_row_are_an_outage_and_an_answer_ends_it():
    latency, now = history(*[1.0] * 20)
    scores = []
    for _ in range(12):
        latency.lost(now)
        scores.append(latency.score(now))
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.98
    assert scores[-1] == scores[7] == pytest.approx(1 / math.e)
    latency.answered(now, 1.0)
    assert latency.score(now) == 1.0


def test_what_was_out_of_the_ordinary_fades_while_nobody_calls():
    for latency, now in (history(*[1.0] * 100, *[20.0] * 30), history(*[0.1, 10.0] * 100)):
        scores = [latency.score(now + later) for later in (0.0, 30.0, 300.0)]
        assert scores == sorted(scores)
        assert scores[0] < 0.4
        assert scores[-1] == 1.0
    lost, now = history(1.0)
    for _ in range(8):
        lost.lost(now)
    assert lost.score(now + 60.0) == pytest.approx(math.exp(-math.exp(-2)))


# Shares.


@pytest.mark.parametrize(("hits", "of", "least"), [(0, 10, 0.0), (1, 1, 0.2065), (8, 10, 0.4902), (50, 100, 0.4038)])
def test_wilsons_lower_bound_is_the_textbooks(hits, of, least):
    assert surely(hits, of) == pytest.approx(least, abs=1e-4)


EVENTS = st.lists(
    st.tuples(
        st.floats(0.0, 100.0),
        st.sampled_from([None, None, *Trigger]),
        st.floats(0.0, 1_000.0),
        st.none() | st.floats(0.0, 100.0),
        st.none() | st.integers(0, 100_000),
        st.booleans(),
    ),
    max_size=60,
)


@given(EVENTS)
def test_whatever_happens_every_share_stays_one(events):
    health, now = Health(), 0.0
    for later, trigger, seconds, first_token, tokens, accepted in events:
        now += later
        record(health, now, trigger, seconds=seconds, first_token=first_token, output_tokens=tokens)
        health.judged(now, accepted=accepted)
        report = health.report(now)
        assert all(0.0 <= one <= 1.0 for one in (report.error_rate, report.semantic, report.network, report.score))
        assert report.score == health.score(now)


def test_what_is_not_older_than_a_second_has_faded_to_the_third_digit():
    one = Health()
    record(one, 1000.0)
    for step in range(100):  # each too small to fade by itself
        one.score(1000.0 + step * 0.009)
    assert one.report(1000.9).volume == pytest.approx(math.exp(-5.0 * 0.9 / 300.0), rel=1e-3)
