"""Which key and place of a model each attempt of a call goes to, and what becomes of the others."""

import asyncio
import threading
from contextlib import nullcontext, suppress
from dataclasses import replace

import pytest

from orchestra.dispatch import Purse
from orchestra.dispatch.caps import Caps
from orchestra.dispatch.retry_budget import RetryBudget
from orchestra.errors import BudgetExceeded, ConfigError, Exhausted, LedgerError
from orchestra.fleet import BreakerPolicy, Fleet, ProviderLimits
from orchestra.ledger import AttemptEnded, BreakerChanged, Waited
from orchestra.recovery import RecoveryPolicy
from orchestra.routing import decide as route
from orchestra.transport import TransportFault
from orchestra.types import Action, Budget, Message, Price, Request, Step, StepContext, TextDelta, Trigger
from tests.dispatch.doubles import ROWS, SILENCE, RealClock, call_tool, error, hasty, say
from tests.dispatch.pools import Pool, elsewhere, keyed, placed
from tests.dispatch.test_slots import settle

OK = [say("ok")]
LEFT = "x-ratelimit-remaining-requests"
OTHER = Request((Message.user("Something else"),))
LATE = TransportFault(Trigger.timeout, "late", sent="unknown")
PLACES = "http://one.invalid/v1", "http://two.invalid/v1"


def limits(**rules):
    """What provider p is said to allow, and how its breakers are set."""
    return {"p": ProviderLimits("p", **rules)}


def quick(**policy):
    """Breakers that open after one failure."""
    return limits(breaker=BreakerPolicy(minimum=1, **policy))


def both_quick(**minimum):
    """Those of both providers, but for who needs more failures."""
    return {name: ProviderLimits(name, breaker=BreakerPolicy(minimum=minimum.get(name, 1))) for name in "pq"}


@pytest.mark.parametrize("status", [429, 401, 402, 403])
async def test_a_fault_of_the_key_is_another_keys_turn_at_once(status):
    pool = Pool({"A": [error(status)], "B": OK}, keyed("A", "B"))
    accepted = await pool.run()
    assert (pool.asked, pool.clock.slept) == (["A", "B"], [0.0])
    assert pool.moves == [(Action.retry, "small")]
    assert (accepted.ladder.retries, accepted.degraded) == (0, False)
    assert pool.rows.judged[0].reason.endswith("on small (key A): to small (key B)")


async def test_a_model_that_its_provider_has_retired_is_left_alone_and_its_key_goes_on_serving_others():
    gone = error(404, "The model `small` does not exist or you do not have access to it.", "model_not_found")
    pool = Pool({"A": [gone, say("ok"), say("ok")]}, keyed("A"), keyed("A", name="twin"))
    first, second = [await pool.run() for _ in range(2)]
    assert (first.ladder.model, second.ladder.model) == ("twin", "twin")
    assert [one.trigger for one in first.attempts] == [Trigger.auth, None]
    assert pool.asked == ["A", "A", "A"]  # the second call did not ask for it again
    assert pool.moves[0] == (Action.sibling, "twin")


async def test_a_model_that_is_not_there_and_has_no_other_ends_after_one_request_and_says_what_to_check():
    gone = error(404, "The model `smal` does not exist", "model_not_found")
    pool = Pool({"A": [gone]}, keyed("A"))
    with pytest.raises(Exhausted, match="check the model's `model` and `base_url` in the fleet"):
        await pool.run()
    assert pool.asked == ["A"]


async def test_silence_is_another_keys_turn_at_once():
    pool = Pool({"A": [SILENCE], "B": OK}, hasty(keyed("A", "B"), first_token=0.02), clock=RealClock())
    await pool.run()
    assert pool.asked == ["A", "B"]


async def test_every_key_is_asked_once_before_any_other_model():
    pool = Pool({key: [error(429)] for key in "ABC"} | {"D": OK}, keyed("A", "B", "C"), keyed("D", name="twin"))
    assert (await pool.run()).ladder.model == "twin"
    assert pool.asked == ["A", "B", "C", "D"]


@pytest.mark.parametrize("status", [500, 503])
async def test_a_server_error_is_asked_once_more_then_one_other_key_there_then_other_places(status):
    there = placed(one="A B C", two="D")
    failing = [error(status)]
    pool = Pool({"A": failing, "B": failing, "C": failing, "D": OK}, there)
    await pool.run()
    assert pool.asked == ["A", "A", "B", "D"]  # a third key would only add to its load


async def test_a_server_error_at_the_only_place_is_the_other_keys_turn_before_another_models():
    pool = Pool({"A": [error(500)], "B": OK, "C": OK}, keyed("A", "B"), keyed("C", name="twin"))
    await pool.run()
    assert pool.asked == ["A", "A", "B"]


async def test_what_a_server_does_not_want_again_goes_to_no_other_key_that_is_open():
    pool = Pool({"A": [error(500, headers={"x-should-retry": "false"})], "B": OK}, keyed("A", "B"))
    with pytest.raises(Exhausted):
        await pool.run()
    assert pool.asked == ["A"]


async def test_what_was_refused_takes_nothing_of_a_limit_but_what_it_asked():
    wrote = b'data: {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 2000}}\n\n'
    script = [say("ok", usage=wrote), *[error(500)] * 2, say("ok", usage=wrote)]
    pool = Pool({"A": script}, keyed("A"), providers=limits(tokens_per_minute=4_000))
    await pool.run()
    pool.clock.move(61)
    with pytest.raises(Exhausted):
        await pool.run()
    await pool.run()
    assert pool.asked == ["A"] * 4
    assert not [row for row in pool.rows if isinstance(row, Waited) and row.why == "rate_limit"]


async def test_another_key_after_a_server_error_is_a_retry():
    pool = Pool({"A": [error(500)], "B": OK, "C": OK}, keyed("A", "B"), keyed("C", name="twin"))
    pool.spend_retries(leave=1)
    await pool.run()
    assert pool.asked == ["A", "A", "C"]


async def test_the_same_request_again_goes_to_the_same_target_whatever_is_drawn():
    draws = iter([0.0, 0.9])
    pool = Pool({"A": [error(503), say("ok")], "B": OK}, keyed("A", "B"))
    pool.traffic._draw = lambda: next(draws)
    await pool.run()
    assert pool.asked == ["A", "A"]


async def test_what_a_user_says_of_a_fault_beats_the_other_keys():
    policy = RecoveryPolicy(overrides={Trigger.rate_limited: Action.fail})
    pool = Pool({"A": [error(429)], "B": OK}, keyed("A", "B"), recovery=policy)
    with pytest.raises(Exhausted):
        await pool.run()
    assert pool.asked == ["A"]


async def test_a_conversation_stays_where_it_was_answered_last():
    pool = Pool({"A": [error(429), say("ok")], "B": OK}, keyed("A", "B"))
    await pool.run()
    await pool.run()
    assert pool.asked == ["A", "B", "B"]
    await pool.run(request=OTHER)
    assert pool.asked == ["A"]


async def test_a_refused_key_is_dead_for_all_models_of_its_provider():
    pool = Pool({"A": [error(401)], "B": OK}, keyed("A", "B"), keyed("A", "B", name="twin"))
    await pool.run()
    await pool.run(decision=pool.decide("twin"))
    assert pool.asked == ["A", "B", "B"]


async def test_a_forbidden_model_leaves_the_key_to_the_others():
    pool = Pool({"A": [error(403), say("ok")], "B": OK}, keyed("A", "B"), keyed("A", "B", name="twin"))
    await pool.run()
    await pool.run(decision=pool.decide("twin"))
    await pool.run(request=OTHER)
    assert pool.asked == ["A", "B", "A", "B"]


async def test_a_dead_key_is_tried_again_after_a_while():
    pool = Pool({"A": [error(401), say("ok")], "B": OK}, keyed("A", "B"))
    await pool.run()
    pool.clock.move(300.0)
    await pool.run(request=OTHER)
    assert pool.asked == ["A", "B", "A"]


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_refused_key_that_has_a_new_value_serves_the_next_call_and_is_healthy_at_once(status):
    pool = Pool({"A": [error(status)], "B": OK, "new": OK}, keyed("A"), keyed("A", "B", name="twin"))
    await pool.run()
    await pool.run(request=OTHER)
    assert pool.traffic.health()["small"] == 0.0
    pool.endpoints.values["A"] = "new"
    assert pool.traffic.health()["small"] > 0.0
    assert pool.asked[-1] == "B"
    await pool.run()
    third = Request((Message.user("A third thing"),))
    await pool.run(decision=pool.decide("twin"), request=third)
    assert pool.asked == ["new", "new"]


async def test_a_new_value_that_is_refused_is_left_alone_as_the_one_before():
    pool = Pool({"A": [error(401)], "new": [error(401)], "B": OK}, keyed("A", "B"))
    await pool.run()
    pool.endpoints.values["A"] = "new"
    await pool.run(request=OTHER)
    await pool.run(request=OTHER)
    assert pool.asked == ["A", "B", "new", "B", "B"]


async def test_a_refusal_of_the_value_before_that_comes_late_does_not_close_the_new_one():
    def rotated(_):
        pool.endpoints.values["A"] = "new"
        return error(401)

    pool = Pool({"A": [rotated], "B": OK, "new": OK}, keyed("A", "B"))
    await pool.run()
    await pool.run(request=OTHER)
    assert pool.asked == ["A", "B", "new"]


async def test_a_key_that_is_not_set_costs_no_attempt():
    pool = Pool({"B": OK}, keyed("A", "B"), unset="A")
    accepted = await pool.run()
    assert (pool.asked, len(accepted.attempts)) == (["B"], 1)
    assert pool.traffic.health() == {}


async def test_where_no_key_is_set_the_error_says_which():
    pool = Pool({}, keyed("A", "B"), unset="AB")
    pool.endpoints.broken["small"] = ConfigError("set A or B")
    with pytest.raises(ConfigError, match="set A or B"):
        await pool.run()
    assert pool.asked == []


async def test_an_unset_key_is_not_asked_where_the_set_one_has_failed():
    pool = Pool({"A": [error(429)], "C": OK}, keyed("A", "B"), keyed("C", name="twin"), unset="B")
    await pool.run()
    assert pool.asked == ["A", "C"]


async def test_an_open_breaker_sends_calls_elsewhere_without_asking():
    pool = Pool({"A": [error(503)], "B": OK}, keyed("A"), keyed("B", name="twin"), providers=quick())
    await pool.run()
    assert pool.asked == ["A", "B"]  # the breaker opened under the first attempt: there is no second one
    accepted = await pool.run()
    assert pool.asked == ["B"]
    assert [(one.trigger, one.sent) for one in accepted.attempts] == [(Trigger.overloaded, "no"), (None, "yes")]
    assert "small is left alone after its failures (small (key A): for 30 s more)" in accepted.attempts[0].evidence[0]


async def test_where_everything_is_closed_the_one_that_opens_soonest_is_asked_and_the_reply_is_degraded():
    cards = keyed("A"), keyed("B", name="twin")
    pool = Pool({"A": OK, "B": OK}, *cards, providers=quick())
    pool.lose("twin")
    pool.clock.move(1.0)
    pool.lose("small")
    accepted = await pool.run()
    assert pool.asked == ["B"]
    assert (accepted.ladder.model, accepted.degraded, pool.rows.started[-1].degraded) == ("twin", True, True)
    assert pool.rows.judged[-2].reason.endswith("nothing else is open, so twin is asked all the same")


async def test_the_least_bad_is_asked_once_and_no_more():
    pool = Pool({"A": [error(503)]}, keyed("A"), providers=quick())
    pool.lose("small")
    with pytest.raises(Exhausted) as end:
        await pool.run()
    assert pool.asked == ["A"]
    assert [one.sent for one in end.value.attempts] == ["no", "yes"]


async def test_where_the_key_that_is_to_be_asked_closes_it_is_asked_all_the_same_not_the_one_that_failed():
    pool = Pool({"A": [LATE], "B": OK}, keyed("A", "B"))
    pool.dispatcher._sleep = pausing(pool, "B")  # between the move to B and the attempt there
    await pool.run()
    assert pool.asked == ["A", "B"]
    assert pool.clock.slept == [5.0]


async def test_a_retry_whose_target_closes_meanwhile_is_made_all_the_same_where_nothing_else_is_left():
    pool = Pool({"A": [error(503), say("ok")]}, keyed("A"), providers=quick())
    pool.spend_retries(leave=1)
    await pool.run()
    assert pool.asked == ["A", "A"]


async def test_a_retry_whose_target_asks_for_more_time_than_there_is_is_not_made():
    pool = Pool({"A": [LATE]}, keyed("A", "B"))
    pool.dispatcher._sleep = pausing(pool, "A", "B")
    with pytest.raises(Exhausted):
        await pool.run(deadline=4.0)
    assert pool.asked == ["A"]


async def test_of_models_that_are_all_closed_the_next_one_is_asked_where_the_least_bad_has_failed():
    pool = Pool({"A": [error(503)], "q": OK}, keyed("A"), elsewhere("q"), providers=both_quick())
    pool.lose("small")
    pool.lose("q")
    accepted = await pool.run()
    assert pool.asked == ["A", "q"]
    assert (accepted.ladder.model, accepted.degraded) == ("q", True)
    assert pool.rows.judged[-2].reason.endswith("nothing else is open, so q is asked all the same")


async def test_a_closed_model_that_was_not_asked_comes_before_one_that_has_failed_in_this_call():
    pool = Pool({"A": [error(503)], "q": OK}, keyed("A"), elsewhere("q"), providers=both_quick(p=8))
    pool.lose("q")
    assert (await pool.run()).degraded
    assert pool.asked == ["A", "A", "q"]


async def test_a_model_that_was_closed_is_asked_once_the_one_beside_it_has_failed():
    pool = Pool({"A": OK, "q": [error(503)]}, keyed("A"), elsewhere("q"), providers=both_quick(q=8))
    pool.lose("small")
    await pool.run()
    assert pool.asked == ["q", "q", "A"]


async def test_what_a_user_says_of_a_fault_beats_what_is_closed():
    policy = RecoveryPolicy(overrides={Trigger.server_error: Action.fail})
    pool = Pool({"A": OK, "q": [error(500)]}, keyed("A"), elsewhere("q"), providers=both_quick(q=8), recovery=policy)
    pool.lose("small")
    with pytest.raises(Exhausted):
        await pool.run()
    assert pool.asked == ["q"]


async def test_what_one_model_was_told_of_its_reply_is_not_told_another_that_is_asked_all_the_same():
    failing = [call_tool("rows", "{}"), error(503)]
    pool = Pool({"A": OK, "q": failing}, keyed("A"), elsewhere("q"), providers=both_quick(q=8))
    pool.lose("small")
    await pool.run(tools=(ROWS,), decision=pool.decide("small", ["q"]))
    assert pool.asked == ["q", "q", "q", "A"]
    assert [len(pool.transport.body(number)["messages"]) for number in range(4)] == [1, 2, 2, 1]


async def test_a_closed_model_is_asked_where_the_one_beside_it_cannot_be():
    pool = Pool({"A": OK}, keyed("A"), elsewhere("q"), providers=quick())
    pool.endpoints.broken["q"] = ConfigError("set Q")
    pool.lose("small")
    await pool.run()
    assert pool.asked == ["A"]


async def test_without_a_retry_of_its_provider_no_second_closed_model_is_asked_and_calls_take_turns():
    pool = Pool({"A": [error(503)], "q": [error(503), *OK]}, keyed("A"), elsewhere("q"), providers=both_quick())
    pool.lose("small")
    pool.lose("q")
    pool.spend_retries()
    pool.spend_retries(provider="q")
    for _ in range(3):
        pool.clock.move(0.1)
        with pytest.raises(Exhausted):
            await pool.run()
    pool.clock.move(0.1)
    await pool.run()
    assert pool.asked == ["A", "q", "A", "q"]


async def test_where_every_model_of_a_provider_is_down_it_sees_a_fifth_more_than_its_calls_at_most():
    pool = Pool({"A": [error(503)], "B": [error(503)]}, keyed("A"), keyed("B", name="twin"))
    for _ in range(300):
        with suppress(Exhausted):
            await pool.run()
    assert 300 <= len(pool.asked) <= 360


async def test_a_dead_key_is_asked_once_a_call_where_nothing_else_is_left_to_ask():
    pool = Pool({"A": [error(401)], "B": [error(401)]}, keyed("A", "B"))
    for _ in range(3):
        with pytest.raises(Exhausted):
            await pool.run()
        pool.clock.move(0.1)
    assert pool.asked == ["A", "B", "A", "B"]


async def test_a_dead_key_is_not_asked_where_a_call_has_asked_anything_else():
    pool = Pool({"A": [error(401)], "q": [error(503)]}, keyed("A"), elsewhere("q"))
    for _ in range(2):
        with pytest.raises(Exhausted):
            await pool.run()
    assert pool.asked == ["A", "q", "q", "q", "q"]


async def test_what_a_provider_asked_for_is_waited_for_even_where_nothing_else_is_left():
    pool = Pool({"A": OK}, keyed("A"))
    pool.lane("A").paused_until = pool.clock() + 20.0
    await pool.run()
    assert (pool.asked, pool.clock.slept) == (["A"], [20.0])


async def test_a_target_that_closes_while_a_call_waits_for_its_slot_is_not_asked():
    pool = Pool({"B": OK, "D": OK}, keyed("A", "B", concurrency=1), keyed("D", name="twin"), providers=quick())
    held = await pool.dispatcher._means.slots.hold("small")
    task = asyncio.create_task(pool.run())
    await settle()
    pool.lose("small")  # its key A, where the call was to go
    held.release()
    await task
    assert (pool.asked, len(pool.accepted.attempts)) == (["B"], 1)
    assert pool.way("small").lane.key.rate.limiter.wait(pool.clock(), 1) == 0.0


async def test_a_used_up_retry_budget_sends_the_call_on_and_says_so():
    pool = Pool({"A": [error(500)], "B": OK}, keyed("A"), keyed("B", name="twin"))
    pool.spend_retries()
    await pool.run()
    assert pool.asked == ["A", "B"]
    assert "p has failed so often that nothing is sent to it again" in pool.rows.judged[0].reason


async def test_another_place_of_a_provider_in_trouble_counts_as_a_retry():
    pool = Pool({"A": [error(500)], "B": OK, "C": OK}, placed(one="A", two="B"), keyed("C", name="twin"))
    pool.spend_retries(leave=1)
    await pool.run()
    assert pool.asked == ["A", "A", "C"]


async def test_another_key_after_a_rate_limit_is_no_retry():
    pool = Pool({"A": [error(429)], "B": OK}, keyed("A", "B"))
    pool.spend_retries()
    await pool.run()
    assert pool.asked == ["A", "B"]


async def test_ten_calls_earn_a_retry_and_retries_earn_none():
    pool = Pool({"A": [*OK * 10, error(500)], "B": OK}, keyed("A"), keyed("B", name="twin"))
    pool.spend_retries()
    for _ in range(11):
        await pool.run()
    assert pool.asked == ["A"] * 12 + ["B"]
    assert not pool.traffic.may_retry("p")


async def test_a_call_earns_its_share_of_a_retry_once_however_many_keys_it_asks():
    keys = "ABCDEFGHIJKLM"
    pool = Pool({key: [error(429)] for key in keys} | {"M": OK}, keyed(*keys))
    pool.spend_retries()
    await pool.run()
    assert pool.asked == [*keys]
    assert not pool.traffic.may_retry("p")


async def test_a_call_whose_way_was_closed_while_it_waited_earns_its_share_where_it_goes_out():
    pool = Pool({"A": OK, "B": OK}, keyed("A", "B", concurrency=1), providers=quick())
    pool.traffic._budgets["p"] = RetryBudget(ratio=1.0)
    pool.spend_retries()
    held = await pool.dispatcher._means.slots.hold("small")
    task = asyncio.create_task(pool.run())
    await settle()
    pool.lose("small")
    held.release()
    await task
    assert pool.asked == ["B"]
    assert pool.traffic.may_retry("p")


async def test_a_full_limit_is_waited_for_and_the_wait_is_told():
    pool = Pool({"A": OK}, keyed("A"), keyed("B", name="twin"), providers=limits(requests_per_minute=1))
    await pool.run()
    await pool.run()
    assert (pool.asked, pool.clock.slept) == (["A", "A"], [60.0])
    [wait] = pool.rows.of(Waited)
    assert (wait.model, wait.key, wait.why, wait.call) == ("small", "A", "rate_limit", pool.rows.started[-1].call)
    assert wait.seconds == 60.0


async def test_a_key_whose_limit_is_full_is_passed_over_for_one_with_room():
    pool = Pool({"A": OK, "B": OK}, keyed("A", "B"), providers=limits(requests_per_minute=1))
    await pool.run()
    await pool.run()
    assert pool.asked == ["A", "B"]
    pool.clock.move(10.0)
    await pool.run()  # both are full: it waits for the one that has room first
    assert (pool.asked, pool.clock.slept) == (["A"], [50.0])


async def test_a_limit_that_is_full_for_longer_than_the_call_may_take_is_another_models_turn():
    pool = Pool({"A": OK, "q": OK}, keyed("A"), elsewhere("q"), providers=limits(requests_per_minute=1))
    await pool.run()
    accepted = await pool.run(deadline=20.0)
    assert pool.asked == ["A", "q"]
    assert (accepted.attempts[0].trigger, accepted.attempts[0].sent) == (Trigger.rate_limited, "no")
    assert pool.clock.slept == [0.0]


async def test_a_request_larger_than_the_limit_is_refused_at_once_and_never_asked_again():
    pool = Pool({"A": OK, "B": OK}, keyed("A", "B"), providers=limits(tokens_per_minute=1))
    with pytest.raises(Exhausted, match="more than its limits allow at any time"):
        await pool.run()
    assert (pool.asked, pool.rows.of(Waited)) == ([], [])


async def test_what_a_reply_has_really_taken_is_settled_and_a_request_that_was_never_sent_takes_nothing():
    pool = Pool({"A": OK}, keyed("A"), providers=limits(tokens_per_minute=240))
    pool.endpoints.broken["small"] = ConfigError("set A")
    with pytest.raises(ConfigError):
        await pool.run()
    del pool.endpoints.broken["small"]
    await pool.run()  # takes 110 tokens
    limiter = pool.way("small").lane.key.rate.limiter
    assert (limiter.wait(pool.clock(), 130), limiter.wait(pool.clock(), 131)) == (0.0, 60.0)


async def test_headers_say_what_is_left_of_a_key_as_soon_as_they_come():
    full = say("ok")
    full.headers = {**full.headers, LEFT: "0", "x-ratelimit-reset-requests": "20s"}
    pool = Pool({"A": [full], "B": OK}, keyed("A", "B"))
    full.pieces.insert(0, lambda: pool.clock.move(15.0))  # the reply itself takes a while
    await pool.run()
    await pool.run(request=OTHER)
    assert pool.asked == ["A", "B"]
    assert pool.lane("A").key.rate.limiter.wait(pool.clock(), 1) == 5.0


async def test_what_headers_say_is_left_does_not_count_what_went_out_after_the_request_they_answer():
    last = say("ok")
    last.headers = {**last.headers, LEFT: "1", "x-ratelimit-reset-requests": "20s"}
    pool = Pool({"A": [lambda _: limiter.reserve(pool.clock(), 0) and last]}, keyed("A"))
    limiter = pool.lane("A").key.rate.limiter
    await pool.run()
    assert limiter.wait(pool.clock(), 0) == 20.0


async def test_what_a_server_of_ones_own_says_of_limits_limits_nothing():
    none_left = say("ok")
    none_left.headers = {**none_left.headers, LEFT: "0", "x-ratelimit-reset-requests": "20s"}
    pool = Pool({"small": [none_left]}, replace(keyed(), provider="local"))
    await pool.run()
    await pool.run(request=OTHER)
    assert pool.asked == ["small", "small"]


async def test_a_breaker_that_changes_is_told_after_the_attempt_that_changed_it():
    pool = Pool({"A": [error(503), say("ok")]}, keyed("A"), providers=quick(probes=1))
    with suppress(Exhausted):
        await pool.run()
    pool.clock.move(30.0)
    await pool.run()
    opened, closed = pool.rows.of(BreakerChanged)
    assert (opened.model, opened.provider, opened.key, opened.state, opened.wait) == ("small", "p", "A", "open", 30.0)
    assert opened.reason.startswith("overloaded: HTTP 503")
    assert (closed.state, closed.wait, closed.reason) == ("closed", 0.0, "its probes succeeded")
    kinds = [type(event) for _, event in pool.rows]
    assert kinds[kinds.index(BreakerChanged) - 1] is AttemptEnded


async def test_time_that_the_caller_takes_over_a_delta_makes_no_provider_slow():
    pool = Pool({"A": [say("for", "ty")]}, keyed("A"), providers=quick(slow=1.0))
    async for event in pool.dispatcher.stream(pool.call(commit=True)):
        if isinstance(event, TextDelta):
            pool.clock.move(5.0)
    assert pool.rows.of(BreakerChanged) == []
    assert pool.rows.ended[0].seconds == 10.0
    assert pool.lane("A").health.report(pool.clock()).latency_p50 == 0.0


async def test_a_provider_that_is_slow_between_deltas_is_slow_however_they_are_read():
    slow = say("for", "ty")
    slow.pieces.insert(1, lambda: pool.clock.move(5.0))
    pool = Pool({"A": [slow]}, keyed("A"), providers=quick(slow=1.0))
    await pool.run(commit=True)
    [opened] = pool.rows.of(BreakerChanged)
    assert (opened.state, opened.reason) == ("open", "slow")


async def test_an_attempts_start_names_its_key_its_place_and_its_call():
    pool = Pool({"A": [error(429)], "B": OK}, placed(one="A", two="B"))
    await pool.run()
    first, second = pool.rows.started
    assert [(one.key, one.place) for one in (first, second)] == [("A", PLACES[0]), ("B", PLACES[1])]
    assert first.call == second.call != ""
    assert (first.holder, first.reserved) == (None, None)


async def test_an_attempt_that_a_budget_bounds_says_who_holds_the_money():
    caps = Caps([], None, "me")
    pool = Pool({"A": OK}, keyed("A"), caps=caps)
    await pool.run(purse=Purse(1.0))
    assert pool.rows.started[0].holder == "me"
    assert pool.rows.started[0].reserved > 0


@pytest.mark.parametrize("label", ["model", "key"])
async def test_a_budget_of_one_model_or_key_leaves_the_others_to_pay(label):
    spent = Budget(1e-9, match={label: ("small" if label == "model" else "A",)})
    pool = Pool({"B": OK, "C": OK}, keyed("A", "B"), keyed("C", name="twin"), budgets=(spent,))
    accepted = await pool.run()
    assert pool.asked == (["C"] if label == "model" else ["B"])
    assert [(one.trigger, one.sent) for one in accepted.attempts] == [(Trigger.quota, "no"), (None, "yes")]


async def test_where_nobody_may_pay_the_budget_is_named():
    spent = Budget(1e-9, match={"model": ("*",)})
    pool = Pool({}, keyed("A", "B"), keyed("C", name="twin"), budgets=(spent,))
    with pytest.raises(BudgetExceeded, match="for each model") as end:
        await pool.run()
    assert [one.model for one in end.value.attempts] == ["small", "twin"]
    assert pool.asked == []


async def test_a_budget_of_everything_ends_the_call():
    pool = Pool({}, keyed("A", "B"), keyed("C", name="twin"), budgets=(Budget(1e-9),))
    with pytest.raises(BudgetExceeded) as end:
        await pool.run()
    assert end.value.attempts == ()


async def test_data_never_leaves_the_places_it_may_go_to_even_where_those_are_closed():
    pool = Pool({"A": [error(500)], "B": OK}, placed(one="A", two="B"), providers=quick())
    for _ in range(2):
        with pytest.raises(Exhausted):
            await pool.run(data_tags=("one",))
    assert set(pool.asked) == {"A"}


async def test_data_that_may_go_nowhere_goes_nowhere():
    pool = Pool({}, placed(one="A", two="B"))
    with pytest.raises(Exhausted, match="no other way to small"):
        await pool.run(data_tags=("three",))
    assert pool.asked == []


async def test_a_provider_that_answers_nonsense_loses_its_place():
    rows = call_tool("rows", "{}")
    cheap, dear = keyed("A", quality=0.8), keyed("B", name="twin", quality=0.8)
    pool = Pool({"A": [rows], "B": [rows]}, cheap, replace(dear, price=Price(1.1, 2.2)))
    fleet, context = Fleet.from_cards(pool.cards), StepContext(Step("s"))
    assert route(fleet, (), context, health=pool.traffic.health()).model == "small"
    for _ in range(10):
        with suppress(Exhausted):
            await pool.run(tools=(ROWS,), decision=pool.decide("small"))
    decision = route(fleet, (), context, health=pool.traffic.health())
    assert decision.model == "twin"
    assert any(reason.policy == "health" for reason in decision.reasons)


@pytest.mark.parametrize(("headers", "asked"), [({"retry-after": "2"}, ["A", "A"]), ({}, ["A"])])
async def test_a_retry_that_a_rate_limit_asked_for_takes_nothing_of_the_retry_budget(headers, asked):
    pool = Pool({"A": [error(429, headers=headers), *OK]}, keyed("A"))
    pool.spend_retries()
    with nullcontext() if headers else pytest.raises(Exhausted, match="failed so often"):
        await pool.run(decision=pool.decide())
    assert pool.asked == asked


async def test_a_newcomer_that_fits_does_not_overtake_who_waits_for_the_same_key():
    pool = Pool({"A": OK}, keyed("A"), providers=limits(tokens_per_minute=10_000))
    line = pool.lane("A").key.rate.line
    await line.enter("other", 0.0, 1.0)
    task = asyncio.create_task(pool.run())
    await settle()
    assert pool.asked == []
    line.leave("other")
    await task
    assert pool.asked == ["A"]


async def test_an_attempt_that_a_closed_breaker_lets_pass_holds_its_money_until_its_end():
    purse, held = Purse(1.0), []
    pool = Pool({"A": [lambda _: held.append(purse.open) or say("ok")]}, keyed("A"), providers=quick(opens=1.0))
    pool.lose("small")
    await pool.run(purse=purse, decision=pool.decide())
    assert (held, purse.open) == ([1], 0)
    assert pool.rows.started[-1].reserved is not None


async def test_what_was_never_sent_takes_nothing_of_a_keys_limits():
    refused = TransportFault(Trigger.connection, "refused", sent="no")
    pool = Pool({"A": [refused, *OK], "B": OK}, keyed("A"), providers=limits(requests_per_minute=1))
    await pool.run()
    assert pool.asked == ["A", "A"]
    assert pool.rows.of(Waited) == []


async def test_a_wait_that_cannot_be_written_down_leaves_nothing_held():
    pool = Pool({"A": OK}, keyed("A", concurrency=1), providers=limits(requests_per_minute=1))
    await pool.run()
    purse, record = Purse(1.0), pool.rows.record
    call = pool.call(purse=purse)
    pool.rows.record = broken_ledger
    with pytest.raises(LedgerError):
        await pool.run(call)
    pool.rows.record = record
    assert (purse.open, purse.held) == (0, 0.0)
    assert pool.way("small").lane.key.rate.limiter.wait(pool.clock(), 1) == 0.0
    async with asyncio.timeout(5):
        (await pool.dispatcher._means.slots.hold("small")).release()


async def test_a_cancelled_call_gives_its_place_as_a_probe_back():
    pool = Pool({"A": [SILENCE, say("ok")]}, keyed("A"), providers=quick(probes=1))
    pool.lose("small")
    pool.clock.move(30.0)
    task = asyncio.create_task(pool.run())
    await pool.transport.waiting.wait()
    assert pool.traffic.way(pool.cards[0], OTHER).retry_after == 1.0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not pool.way().forced
    await pool.run()
    assert pool.asked == ["A", "A"]


def test_calls_of_several_threads_share_one_traffic():
    pool = Pool({"A": [error(401)], "B": OK}, keyed("A", "B"))
    threads = [threading.Thread(target=asyncio.run, args=(pool.run(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pool.asked.count("B") == 8
    assert [lane.calls for lane in pool.traffic.lanes["small"]] == [0, 0]
    asyncio.run(pool.run(request=OTHER))
    assert pool.asked == ["B"]


def pausing(pool, *keys):
    """A sleep in which these keys are told to be left alone for five seconds."""

    async def sleep(seconds):
        for key in keys:
            pool.lane(key).paused_until = pool.clock() + 5.0
        pool.dispatcher._sleep = pool.clock.sleep

    return sleep


def broken_ledger(*_, **__):
    raise LedgerError("the disk is full")


async def test_replies_that_no_max_tokens_bounds_hold_a_limit_of_tokens_once_one_has_told_how_long_they_are():
    counted = b'data: {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 400}}\n\n'
    scripts = {"A": [say("ok", usage=counted), SILENCE]}
    pool = Pool(scripts, keyed("A"), providers=limits(tokens_per_minute=1_000))
    await pool.run()
    calls = [asyncio.create_task(pool.run(deadline=30.0)) for _ in range(5)]
    await pool.transport.waiting.wait()
    await settle()
    assert pool.asked == ["A", "A"]  # 410 taken, about as many reserved, and no room for a third
    for one in calls:
        one.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
