"""What one process knows of its targets, and where that sends an attempt."""

import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.dispatch.breaker import Breaker
from orchestra.dispatch.target import targets
from orchestra.dispatch.traffic import Traffic, Way
from orchestra.fleet import BreakerPolicy, Fleet, ProviderLimits
from orchestra.types import CallFault, Message, ModelReply, Request, Settings, Trigger, Usage
from tests.dispatch.doubles import Clock, card
from tests.dispatch.pools import keyed, placed

ASKED = Request((Message.user("How many rows?"),))
DOWN = CallFault(Trigger.server_error, "down")
ANSWER = ModelReply((), "stop", usage=Usage(10, 10))


class Known:
    """Traffic over these cards, by hand: breakers open after one failure."""

    def __init__(self, *cards, unset=(), **rules):
        self.clock, self.drawn = Clock(), 0
        fleet = Fleet.from_cards(cards)
        limits = {name: ProviderLimits(name, breaker=BreakerPolicy(minimum=1), **rules) for name in ("p", "q")}
        self.cards, self.unset = fleet.models, unset
        self.traffic = Traffic(replace(fleet, providers=limits), self.clock, self.draw, self.ready, lambda *_: False)

    def ready(self, there):
        return not any(key.removeprefix("env:") in self.unset for key in there.keys)

    def draw(self):
        self.drawn += 1
        return 0.0

    def way(self, model="small", request=ASKED, **options):
        return self.traffic.way(self.cards[model], request, **options)

    def ends(self, result, model="small", key=None, seconds=1.0):
        """An attempt there, which ends in this result."""
        others = [one for one in targets(self.cards[model]) if key not in (None, one.key)]
        way = self.way(model, avoid=others, forced=True)
        return self.traffic.leave(way, self.traffic.enter(way), result, seconds, None)

    def key(self, model="small", **options):
        """Of the target that a request would go to; the fault where there is none."""
        way = self.way(model, **options)
        return way.target.key if isinstance(way, Way) else way


def refused(status):
    return CallFault(Trigger.auth, "no", status=status, of_model=status == 403)


def test_a_target_whose_replies_are_suddenly_far_longer_is_less_healthy_than_one_whose_are_not():
    usual, odd = (replace(ANSWER, usage=Usage(10, output)) for output in (100, 5_000))
    health = []
    for last in (usual, odd):
        known = Known(keyed("A"))
        for result in [usual] * 64 + [last] * 8:
            known.clock.move(2.0)
            known.ends(result)
        health.append(known.traffic.health().get("small", 1.0))
    assert health[1] < health[0] == 1.0


def test_a_model_with_one_target_costs_neither_a_draw_nor_a_look_at_the_request():
    known = Known(keyed("A"))
    way = known.way()
    assert (way.target.key, way.conversation, known.drawn) == ("A", None, 0)
    assert way.card.keys == ("env:A",)


def test_a_target_that_is_closed_is_passed_over_and_one_that_is_avoided_too():
    known = Known(keyed("A", "B", "C"))
    known.ends(DOWN, key="A")
    assert known.key() == "B"
    assert known.key(avoid=targets(known.cards["small"])[:2]) == "C"


def test_where_all_are_closed_the_fault_says_for_how_long_and_only_force_goes_on():
    known = Known(keyed("A", "B"))
    known.ends(DOWN, key="B")
    known.clock.move(10.0)
    known.ends(DOWN, key="A")
    fault = known.key()
    assert (fault.trigger, fault.sent, fault.retry_after) == (Trigger.overloaded, "no", 20.0)
    assert fault.text.endswith("(small (key A): for 30 s more; small (key B): for 20 s more)")
    way = known.way(forced=True)
    assert (way.target.key, way.forced) == ("B", True)
    assert not Known(keyed("A")).way(forced=True).forced


def test_a_way_that_was_closed_since_it_was_found_may_not_be_entered_unless_it_is_forced():
    known = Known(keyed("A"))
    way = known.way()
    known.ends(DOWN)
    assert known.traffic.enter(way) is None
    assert known.traffic.enter(known.way(forced=True)) is not None


def test_where_every_key_is_dead_the_fault_is_one_of_keys():
    known = Known(keyed("A", "B"))
    known.ends(refused(401), key="A")
    known.ends(refused(403), key="B")
    assert (known.key().trigger, known.key().retry_after) == (Trigger.auth, 300.0)


def test_a_server_without_keys_that_refuses_says_nothing_of_other_servers():
    known = Known(card("small"), card("twin"))
    known.ends(refused(401))
    assert isinstance(known.way("small"), CallFault)
    assert isinstance(known.way("twin"), Way)


@pytest.mark.parametrize("status", [401, 403])
def test_a_reply_brings_a_dead_key_back(status):
    known = Known(keyed("A"))
    known.ends(refused(status))
    known.ends(ANSWER)
    assert known.key() == "A"


def test_what_was_never_sent_kills_no_key():
    known = Known(keyed("A"))
    known.ends(CallFault(Trigger.auth, "set A", sent="no"))
    assert known.key() == "A"


def test_the_trouble_of_a_key_opens_no_breaker_and_a_models_reply_closes_one():
    known = Known(keyed("A"))
    assert known.ends(refused(401)) is None
    assert known.ends(CallFault(Trigger.bad_request, "no")) is None
    assert known.ends(DOWN).state == "open"
    known.clock.move(30.0)
    assert [known.ends(ANSWER), known.ends(ANSWER).state] == [None, "closed"]


def test_calls_that_are_only_slow_open_a_breaker_that_says_so():
    known = Known(keyed("A"))
    policy = BreakerPolicy(minimum=1, slow=5.0)
    [lane] = known.traffic.lanes["small"]
    lane.breaker = Breaker(policy)
    changed = known.ends(ANSWER, seconds=6.0)
    assert (changed.state, changed.reason) == ("open", "slow")


def test_a_cancelled_attempt_says_nothing_but_that_it_is_over():
    known = Known(keyed("A"))
    assert known.ends(None) is None
    [lane] = known.traffic.lanes["small"]
    assert (lane.calls, lane.health.report(known.clock()).volume) == (0, 0.0)


def test_a_cancelled_probe_is_no_success():
    known = Known(keyed("A"))
    known.ends(DOWN)
    known.clock.move(30.0)
    assert [known.ends(None), known.ends(ANSWER)] == [None, None]
    assert known.ends(ANSWER).state == "closed"


def test_a_breaker_stays_open_for_as_long_as_the_provider_asks():
    known = Known(keyed("A"))
    assert known.ends(replace(DOWN, retry_after=120.0)).wait == 120.0


def limited(seconds):
    return CallFault(Trigger.rate_limited, "slow down", retry_after=seconds)


def test_of_two_rate_limits_the_one_that_asks_for_longer_holds_in_whichever_order_they_are_told():
    known = Known(keyed("A"))
    way = known.way()
    first, second = (known.traffic.enter(way) for _ in range(2))
    known.traffic.leave(way, first, limited(20.0), 1.0, None)
    known.traffic.leave(way, second, limited(1.0), 1.0, None)
    known.clock.move(2.0)
    assert known.traffic.pause("small") == known.key().retry_after == 18.0


def test_what_is_asked_although_it_is_closed_is_not_what_said_when_to_come_back():
    known = Known(keyed("A", "B"))
    known.ends(limited(10.0), key="B")
    known.ends(DOWN, key="A")
    assert known.key().retry_after == 10.0
    assert known.traffic.pause("small") == 0.0
    assert known.key(forced=True) == "A"


def test_calls_under_way_count_as_load():
    known = Known(keyed("A", "B"))
    known.traffic.enter(known.way())
    assert known.key() == known.key(forced=True) == "B"


def test_models_share_the_limits_of_a_key_and_keys_do_not():
    known = Known(keyed("A", "B"), keyed("A", name="twin"))
    a, b = known.traffic.lanes["small"]
    [twin] = known.traffic.lanes["twin"]
    assert twin.key.rate is a.key.rate
    assert a.key.rate is not b.key.rate


def test_nothing_limits_a_model_of_ones_own():
    known = Known(replace(card("small"), provider="local"))
    assert known.way().lane.key.rate is None


def test_two_endpoints_of_the_embedded_server_have_room():
    known = Known(replace(placed(one="A", two="B"), provider="local"))
    assert known.key() == "A"


def test_tokens_are_counted_only_where_something_limits_them():
    known, limited = Known(keyed("A")), Known(keyed("A"), tokens_per_minute=1_000)
    asked = replace(ASKED, settings=Settings(max_tokens=100))
    assert known.way().lane.key.rate.tokens(asked, known.clock()) == 0
    assert limited.way().lane.key.rate.tokens(asked, known.clock()) > 100


def test_a_call_without_max_tokens_takes_what_such_calls_usually_write():
    rate = Known(keyed("A"), tokens_per_minute=1_000).way().lane.key.rate
    read = rate.tokens(ASKED, 0.0)
    rate.wrote(300)
    assert rate.tokens(ASKED, 0.0) == read + 300
    rate.wrote(200)
    assert rate.tokens(ASKED, 0.0) == read + 290
    assert rate.tokens(replace(ASKED, settings=Settings(max_tokens=1)), 0.0) == read + 1


def test_what_a_reply_usually_has_makes_no_call_too_large_for_a_limit():
    rate = Known(keyed("A"), tokens_per_minute=50).way().lane.key.rate
    read = rate.tokens(ASKED, 0.0)
    rate.wrote(300)
    assert rate.tokens(ASKED, 0.0) == 50
    large = replace(ASKED, messages=ASKED.messages * 20)
    assert rate.tokens(large, 0.0) == 20 * read > 50


def test_a_key_that_could_never_take_the_request_is_the_last_to_be_asked():
    known = Known(keyed("A", "B"), tokens_per_minute=50)
    large = replace(ASKED, settings=Settings(max_tokens=100))
    assert known.key(request=large) == "A"  # to be told why it is refused


@pytest.mark.parametrize(("end", "next_key"), [(ANSWER, "B"), (CallFault(Trigger.bad_reply, "what?"), "A")])
def test_a_conversation_stays_where_it_was_answered_not_where_it_failed(end, next_key):
    known = Known(keyed("A", "B"))
    known.ends(end, key="B")
    known.clock.move(600.0)  # whatever the failure closed is open again
    assert known.key() == next_key


def test_among_keys_with_room_the_one_with_the_least_to_do_is_asked():
    known = Known(keyed("A", "B", "C"), requests_per_minute=1)
    a, b, _ = known.traffic.lanes["small"]
    a.key.rate.limiter.reserve(known.clock(), 0)
    known.traffic.enter(known.way(avoid=[a.target]))
    assert b.calls == 1
    assert known.key() == "C"


def least_bad(known, names, tags=(), avoid=(), *, dead=True):
    return [name for name, _ in known.traffic.least_bad(names, tags, avoid, dead=dead)]


def test_the_least_bad_is_the_model_whose_target_opens_first():
    known = Known(keyed("A"), placed("twin", one="B", two="C"), keyed("D", name="third"))
    known.ends(DOWN, "twin", "C")
    known.clock.move(1.0)
    known.ends(DOWN, "small")
    known.ends(DOWN, "third")
    known.ends(DOWN, "twin", "B")
    assert least_bad(known, ("small", "twin")) == ["twin", "small"]
    assert least_bad(known, ("small", "twin"), ("one",)) == ["twin"]  # small has no place for such data
    assert least_bad(known, ("third", "small")) == ["third", "small"]
    assert least_bad(known, ("small", "twin"), avoid=targets(known.cards["twin"])) == ["small"]


def test_what_was_asked_in_vain_although_it_was_closed_comes_after_what_opens_as_soon():
    known = Known(keyed("A"), keyed("B", name="twin"))
    for name in ("small", "twin"):
        known.ends(DOWN, name)
        known.clock.move(1.0)
    assert least_bad(known, ("small", "twin")) == ["small", "twin"]
    known.ends(DOWN, "small")
    assert least_bad(known, ("small", "twin")) == ["twin", "small"]


@pytest.mark.parametrize(
    ("end", "order"),
    [
        (CallFault(Trigger.bad_request, "no", sent="yes"), ["small", "twin"]),
        (None, ["twin", "small"]),  # cancelled, which says nothing
    ],
)
def test_what_did_not_fail_for_its_provider_was_not_asked_in_vain(end, order):
    known = Known(keyed("A"), keyed("B", name="twin"))
    for name in ("small", "twin"):
        known.ends(DOWN, name)
        known.clock.move(1.0)
    known.ends(DOWN, "small")
    known.ends(end, "small")
    assert least_bad(known, ("small", "twin")) == order


def test_a_refused_key_is_no_retry_of_anybody():
    known = Known(keyed("A"))
    known.ends(refused(401))
    assert (least_bad(known, ("small",)), least_bad(known, ("small",), dead=False)) == (["small"], [])


def test_health_is_that_of_the_best_target_and_none_is_told_where_nothing_is_wrong():
    known = Known(keyed("A", "B"), keyed("C", name="twin"))
    known.ends(ANSWER, "twin")
    known.ends(DOWN, key="A")
    assert known.traffic.health() == {}  # B has not failed
    known.ends(DOWN, key="B")
    assert known.traffic.health() == {"small": 0.0}
    known.clock.move(31.0)
    assert 0.0 < known.traffic.health()["small"] < 1.0


def test_a_key_that_is_not_set_is_no_healthy_target():
    known = Known(keyed("A", "B"), unset="B")
    known.ends(DOWN, key="A")
    assert known.traffic.health() == {"small": 0.0}


@given(
    closed=st.sets(st.sampled_from("ABCD")),
    dead=st.sets(st.sampled_from("ABCD")),
    avoid=st.sets(st.sampled_from("ABCD")),
    unset=st.sets(st.sampled_from("ABCD")),
    tags=st.sampled_from([(), ("one",), ("two",)]),
    forced=st.booleans(),
)
def test_a_way_is_never_one_to_avoid_without_a_key_or_not_for_the_data_and_only_forced_is_it_closed(
    closed, dead, avoid, unset, tags, forced
):
    known = Known(placed(one="A B", two="C D"))
    for key in closed:
        known.ends(DOWN, key=key)
    for key in dead:
        known.ends(refused(401), key=key)
    known.unset = unset
    avoided = [one for one in targets(known.cards["small"]) if one.key in avoid]
    key = known.key(tags=tags, avoid=avoided, forced=forced)
    allowed = {(): set("ABCD"), ("one",): set("AB"), ("two",): set("CD")}[tags]
    left = (allowed - unset or allowed) - avoid
    if usable := left - closed - dead or (left if forced else set()):
        assert key in usable
    else:
        assert isinstance(key, CallFault)


def test_threads_share_it_without_losing_count():
    known = Known(keyed("A", "B"))

    def call():
        for _ in range(200):
            way = known.way(forced=True)
            known.traffic.leave(way, known.traffic.enter(way, first=True), ANSWER, 1.0, 0.1)
            known.traffic.judged(way, accepted=True)
            known.traffic.health()

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lanes = known.traffic.lanes["small"]
    assert [lane.calls for lane in lanes] == [0, 0]
    assert sum(lane.health.report(known.clock()).volume for lane in lanes) == pytest.approx(800)
