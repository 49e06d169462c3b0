"""From a Decision to an accepted reply: what follows each failure, and what the ledger says of it."""

import hashlib
import json
from dataclasses import replace
from urllib.parse import quote, quote_plus

import pytest

from orchestra.checks import Expect
from orchestra.dialects import RateLimit, codec
from orchestra.dispatch import Endpoint
from orchestra.dispatch.deadlines import Deadlines
from orchestra.dispatch.exchange import Exchange
from orchestra.errors import BadRequest, ConfigError, ContentFiltered, Exhausted, HumanNeeded, OrchestraError
from orchestra.recovery import Ladder, RecoveryPolicy
from orchestra.transport import TransportFault
from orchestra.types import Action, AttemptChanged, Cost, Message, Request, Timeouts, Trigger, Usage
from tests.dispatch.doubles import DONE, ROWS, Bench, MemoryTransport, Served, call_tool, card, decide, error, say

REFUSED = TransportFault(Trigger.connection, "refused", sent="no")


async def test_a_good_reply_is_accepted_with_its_model_usage_and_cost():
    bench = Bench({"small": [say("for", "ty")]})
    accepted = await bench.run()
    assert accepted.reply.text == "forty"
    assert accepted.reply.usage == Usage(100, 10)
    assert accepted.reply.wire_model == "wire"
    assert accepted.cost == Cost(pytest.approx(120e-6))
    assert not accepted.degraded
    assert [one.model for one in accepted.attempts] == ["small"]
    assert bench.texts == []


async def test_the_ledger_has_an_attempts_start_its_end_with_the_raw_reply_and_its_verdict():
    bench = Bench({"small": [say("vierzig 四十")]})
    (attempt,) = (await bench.run(turn=3)).attempts
    (started,), (ended,), (judged,) = bench.rows.started, bench.rows.ended, bench.rows.judged
    assert [step for step, _ in bench.rows] == ["s1"] * 3
    assert started.attempt == ended.attempt == judged.attempt == attempt.id
    assert (started.model, started.turn, started.rung) == ("small", 3, 0)
    assert ended.raw == "vierzig 四十"
    assert ended.raw_sha256 == attempt.raw_sha256 == hashlib.sha256(ended.raw.encode()).hexdigest()
    assert (ended.status, ended.sent, ended.finish, ended.trigger) == (200, "yes", "stop", None)
    assert (judged.trigger, judged.action) == (None, None)


async def test_the_key_and_the_path_go_where_the_endpoint_says():
    bench = Bench({"small": [say("ok")]})
    await bench.run()
    (request,) = bench.transport.requests
    assert request.url == "http://provider.invalid/v1/chat/completions"
    assert ("authorization", "Bearer sk-planted-key") in request.headers


@pytest.mark.parametrize("fault", [error(500), error(503), REFUSED, TransportFault(Trigger.stream_cut, "", sent="yes")])
async def test_a_fault_of_the_provider_is_retried_once_after_a_jittered_wait(fault):
    bench = Bench({"small": [fault, say("ok")]}, draw=0.5)
    accepted = await bench.run()
    assert bench.transport.models == ["small", "small"]
    assert bench.clock.slept == [pytest.approx(0.1)]
    assert bench.moves == [(Action.retry, "small")]
    assert accepted.attempts[0].action is Action.retry
    assert bench.rows.judged[0].action is Action.retry


async def test_after_the_retry_a_sibling_of_the_same_tier_answers_undegraded():
    bench = Bench({"small": [error(500)], "twin": [say("ok")]})
    accepted = await bench.run()
    assert bench.transport.models == ["small", "small", "twin"]
    assert accepted.ladder.model == "twin"
    assert not accepted.degraded


async def test_a_lower_tier_may_stand_in_and_is_flagged_everywhere():
    cards = (card("small"), card("strong", "capable"))
    bench = Bench({"strong": [error(500)], "small": [say("ok")]}, cards=cards)
    accepted = await bench.run(decision=decide("strong", (), ("small",), cards))
    assert accepted.degraded
    assert bench.rows.started[-1].degraded
    assert bench.events[-2].degraded


async def test_a_rate_limit_goes_sideways_at_once():
    bench = Bench({"small": [error(429, headers={"retry-after": "2"})], "twin": [say("ok")]})
    await bench.run()
    assert bench.transport.models == ["small", "twin"]
    assert bench.clock.slept == [0.0]


async def test_a_rate_limit_without_a_sibling_is_waited_out_as_the_provider_asks():
    bench = Bench({"small": [error(429, headers={"retry-after": "2"}), say("ok")]})
    await bench.run(decision=decide(siblings=()))
    assert bench.transport.models == ["small", "small"]
    assert bench.clock.slept == [2.1]  # half the jitter


async def test_a_wait_that_does_not_fit_the_deadline_is_not_begun():
    bench = Bench({"small": [error(429, headers={"retry-after": "37"})]})
    with pytest.raises(Exhausted, match=r"waiting 37\.1 s does not fit the deadline") as caught:
        await bench.run(decision=decide(ladder=(), siblings=()), deadline=20)
    assert caught.value.trigger is Trigger.rate_limited
    assert bench.clock.slept == []


async def test_an_overload_whose_wait_does_not_fit_goes_sideways_instead():
    bench = Bench({"small": [error(503, headers={"retry-after": "37"})], "twin": [say("ok")]})
    await bench.run(deadline=20)
    assert bench.transport.models == ["small", "twin"]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_dead_key_is_never_tried_again_on_the_same_model(status):
    bench = Bench({name: [error(status)] for name in ("small", "twin", "strong", "giant")})
    with pytest.raises(Exhausted):
        await bench.run()
    assert bench.transport.models == ["small", "twin", "strong", "giant"]


async def test_an_outage_of_the_only_model_of_its_tier_is_answered_by_the_stronger_one_and_announced():
    bench = Bench({"small": [error(503)], "strong": [say("ok")]})
    accepted = await bench.run(decision=decide(siblings=()))
    assert bench.transport.models == ["small", "small", "strong"]
    change = bench.events[-2]
    assert isinstance(change, AttemptChanged)
    assert (change.action, change.from_model, change.to_model) == (Action.escalate, "small", "strong")
    assert (change.trigger, change.reason) == (Trigger.overloaded, "overloaded on small: up to strong, rung 1")
    assert not change.degraded
    assert (accepted.ladder.model, accepted.ladder.rung, accepted.degraded) == ("strong", 1, False)
    assert bench.rows.judged[1].action is Action.escalate
    assert (bench.rows.started[-1].rung, bench.rows.started[-1].degraded) == (1, False)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_dead_key_without_a_sibling_climbs_at_once(status):
    bench = Bench({"small": [error(status)], "strong": [say("ok")]})
    accepted = await bench.run(decision=decide(siblings=()))
    assert bench.transport.models == ["small", "strong"]
    assert bench.moves == [(Action.escalate, "strong")]
    assert [one.trigger for one in accepted.attempts] == [Trigger.auth, None]
    assert not accepted.degraded


async def test_a_bad_call_is_told_to_the_model_and_then_to_a_stronger_one_without_history():
    bad = call_tool("rows", '{"sql": 5}')
    bench = Bench({"small": [bad], "strong": [call_tool("rows", '{"sql": "select 1"}')]})
    accepted = await bench.run(tools=(ROWS,))
    assert bench.transport.models == ["small", "small", "strong"]
    assert accepted.reply.tool_calls[0].arguments == {"sql": "select 1"}
    assert accepted.ladder.rung == 1
    assert [one.trigger for one in accepted.attempts] == [Trigger.schema_violation, Trigger.schema_violation, None]
    messages = [bench.transport.body(number)["messages"] for number in range(3)]
    assert [len(one) for one in messages] == [1, 2, 1]
    assert messages[1][1]["content"] == bench.rows.judged[0].feedback
    assert "sql" in messages[1][1]["content"]


async def test_feedback_is_kept_when_its_request_has_to_be_retried():
    bad = call_tool("nope", "{}")
    bench = Bench({"small": [bad, error(500), call_tool("rows", '{"sql": "x"}')]})
    await bench.run(tools=(ROWS,))
    assert [len(bench.transport.body(number)["messages"]) for number in range(3)] == [1, 2, 2]


async def test_feedback_to_one_model_is_not_told_to_its_sibling():
    bad = call_tool("nope", "{}")
    bench = Bench({"small": [bad, error(401)], "twin": [call_tool("rows", '{"sql": "x"}')]})
    await bench.run(tools=(ROWS,))
    assert [len(bench.transport.body(number)["messages"]) for number in range(3)] == [1, 2, 1]


async def test_lossless_mending_is_done_and_noted():
    bench = Bench({"small": [call_tool("rows", '{"sql": "x",}')]})
    accepted = await bench.run(tools=(ROWS,))
    assert accepted.reply.tool_calls[0].arguments == {"sql": "x"}
    assert accepted.verdict.mended == bench.rows.judged[0].mended != ()


async def test_a_context_overflow_goes_to_a_wider_window_and_not_to_the_same_model_again():
    bench = Bench({"small": [error(400, code="context_length_exceeded")], "strong": [say("ok")]})
    await bench.run()
    assert bench.transport.models == ["small", "strong"]
    assert bench.moves == [(Action.wider_window, "strong")]


async def test_a_reply_that_fills_the_window_is_an_overflow_rather_than_a_truncation():
    full = b'data: {"choices": [], "usage": {"prompt_tokens": 8000, "completion_tokens": 192}}\n\n'
    bench = Bench({"small": [say("and so o", finish="length", usage=full)], "strong": [say("ok")]})
    await bench.run()
    assert bench.rows.judged[0].trigger is Trigger.context_overflow


@pytest.mark.parametrize(
    ("served", "kind"),
    [(error(400), BadRequest), (error(400, code="content_filter"), ContentFiltered), (error(429), Exhausted)],
)
async def test_each_end_has_its_own_error_with_every_attempt(served, kind):
    bench = Bench({"small": [served]}, recovery=RecoveryPolicy(retries=0))
    with pytest.raises(kind) as caught:
        await bench.run(decision=decide(ladder=(), siblings=()))
    assert bench.transport.models == ["small"]
    assert [one.trigger for one in caught.value.attempts] == [caught.value.trigger]
    assert caught.value.attempts[0].action is Action.fail
    assert "'s1'" in str(caught.value)
    assert "small" in str(caught.value)


async def test_a_failure_only_a_person_can_judge_is_human_needed():
    bench = Bench({"small": [say("")]}, recovery=RecoveryPolicy(overrides={"empty": "ask_human"}))
    with pytest.raises(HumanNeeded) as caught:
        await bench.run()
    assert caught.value.trigger is Trigger.empty


LOOK, SEND = replace(ROWS, name="look", read_only=True), replace(ROWS, name="send")


async def test_a_doubtful_look_up_is_kept_where_no_stronger_model_is_left_and_says_so():
    bench = Bench({"small": [unsure_of("look")]})
    accepted = await bench.run(alone(bench))
    assert [one.name for one in accepted.reply.tool_calls] == ["look"]
    (note,) = accepted.verdict.mended
    assert note.endswith("no stronger model is left")
    assert bench.rows.judged[0].mended == (note,)


@pytest.mark.parametrize("called", [("send",), ("look", "send")])
async def test_a_doubtful_deed_is_for_a_person_where_no_stronger_model_is_left(called):
    bench = Bench({"small": [unsure_of(*called)]})
    with pytest.raises(HumanNeeded, match="low_confidence on small"):
        await bench.run(alone(bench))


def alone(bench):
    """A call that no other model may serve, of which improbable words are doubtful."""
    expect = Expect(tools=(LOOK, SEND), min_logprob=-1.0)
    return bench.call(decision=decide(ladder=(), siblings=()), tools=(LOOK, SEND), expect=expect)


def unsure_of(*names):
    """Calls of these tools, every word of them improbable."""
    calls = [
        {"index": at, "id": f"c{at}", "type": "function", "function": {"name": name, "arguments": '{"sql": "x"}'}}
        for at, name in enumerate(names)
    ]
    choice = {"index": 0, "delta": {"tool_calls": calls}, "finish_reason": "tool_calls"}
    said = {"choices": [choice | {"logprobs": {"content": [{"token": "x", "logprob": -3.0}]}}]}
    return Served([b"data: " + json.dumps(said).encode() + b"\n\n", DONE])


async def test_the_end_names_the_attempts_before_the_last():
    bench = Bench({"small": [error(500)], "twin": [error(401)]})
    with pytest.raises(Exhausted, match=r"auth on twin.*before it: server_error on small, server_error on small"):
        await bench.run(decision=decide(ladder=()))


async def test_a_user_may_send_a_filtered_request_to_another_model():
    policy = RecoveryPolicy(overrides={"content_filter": "sibling"})
    bench = Bench({"small": [error(400, code="content_filter")], "twin": [say("ok")]}, recovery=policy)
    assert (await bench.run()).ladder.model == "twin"


async def test_retrying_a_models_fault_does_not_wait():
    policy = RecoveryPolicy(overrides={"empty": "retry"})
    bench = Bench({"small": [say(""), say("ok")]}, recovery=policy)
    await bench.run()
    assert bench.clock.slept == [0.0]


async def test_the_ladder_of_an_earlier_turn_is_where_the_call_begins():
    bench = Bench({"strong": [say("ok")]})
    accepted = await bench.run(ladder=Ladder("strong", rung=1, tried=("small", "strong")))
    assert bench.transport.models == ["strong"]
    assert bench.rows.started[0].rung == 1
    assert accepted.ladder.rung == 1


async def test_a_model_without_a_key_is_passed_over_and_says_so():
    bench = Bench({"twin": [say("ok")]}, broken={"small": ConfigError("model 'small': set SMALL_KEY")})
    accepted = await bench.run()
    assert [one.trigger for one in accepted.attempts] == [Trigger.auth, None]
    assert bench.rows.ended[0].sent == "no"
    assert "SMALL_KEY" in bench.rows.judged[0].evidence[0]


async def test_a_model_without_a_key_that_no_other_may_stand_in_for_is_a_config_error():
    bench = Bench(broken={"small": ConfigError("model 'small': set SMALL_KEY")})
    with pytest.raises(ConfigError, match="SMALL_KEY") as caught:
        await bench.run(decision=decide(ladder=(), siblings=()))
    assert [one.trigger for one in caught.value.attempts] == [Trigger.auth]
    assert len(bench.rows.ended) == 1


async def test_a_model_that_left_the_fleet_is_a_config_error_naming_what_is_known():
    bench = Bench()
    with pytest.raises(ConfigError, match=r"'gone' is not in the fleet; known: small, twin, strong, giant"):
        await bench.run(decision=decide("gone", ladder=(), siblings=()))


def test_a_dialect_nobody_speaks_is_a_config_error_before_any_call():
    with pytest.raises(ConfigError, match="klingon"):
        Bench(cards=(replace(card("odd"), dialect="klingon"),))


async def test_endpoints_that_fail_in_their_own_way_are_a_fault_of_the_provider():
    bench = Bench({"twin": [say("ok")]}, broken={"small": OSError("no route")})
    accepted = await bench.run()
    assert accepted.attempts[0].trigger is Trigger.connection
    assert "no route" in accepted.attempts[0].evidence[0]


async def test_a_transport_that_breaks_its_contract_is_a_fault_and_no_crash():
    bench = Bench({"small": [KeyError("surprise")], "twin": [say("ok")]})
    accepted = await bench.run()
    assert accepted.attempts[0].trigger is Trigger.bad_reply
    assert "surprise" in accepted.attempts[0].evidence[0]


async def test_a_request_that_cannot_be_written_is_a_bad_request_and_no_crash():
    bench = Bench({"small": [say("ok")]})
    call = bench.call(output_schema={"never": object()})
    with pytest.raises(BadRequest, match="cannot be written for small"):
        await bench.run(call)


async def test_a_users_check_that_raises_refuses_the_reply():
    def check(value):
        raise ZeroDivisionError("oops")

    schema = {"type": "object"}
    bench = Bench({"small": [say("{}")]})
    expect = Expect(output_schema=schema, check=check)
    with pytest.raises(Exhausted, match="oops"):
        await bench.run(output_schema=schema, expect=expect, decision=decide(ladder=(), siblings=()))


async def test_a_key_that_a_server_quotes_reaches_neither_ledger_nor_error():
    bench = Bench({"small": [error(401, "Incorrect API key: sk-planted-key")]})
    with pytest.raises(OrchestraError) as caught:
        await bench.run(decision=decide(ladder=(), siblings=()))
    assert "sk-planted-key" not in repr(list(bench.rows)) + str(caught.value) + repr(caught.value.attempts)


ODD_KEY = 'p@ss"w\\rd/+=%41&x y'


@pytest.mark.parametrize(
    "quoted", [quote(ODD_KEY), quote(ODD_KEY, safe=""), quote_plus(ODD_KEY), json.dumps(ODD_KEY), repr(ODD_KEY)]
)
async def test_a_key_that_is_quoted_escaped_is_found_as_well(quoted, monkeypatch):
    bench = Bench({"small": [error(400, f"see http://it/?key={quoted}")]})
    monkeypatch.setattr(bench.endpoints, "of", lambda card: Endpoint("http://provider.invalid/v1", ODD_KEY))
    with pytest.raises(OrchestraError) as caught:
        await bench.run(decision=decide(ladder=(), siblings=()))
    assert quoted.strip("'\"") not in str(caught.value)


@pytest.mark.parametrize(
    "act",
    [
        error(500, "not kb-of-another"),
        call_tool("kb-of-another", "{}"),
        call_tool("rows", '{"sql": ["kb-of-another"]}'),
    ],
)
async def test_every_known_key_is_kept_out_of_errors_whoever_quotes_it(act):
    bench = Bench({"small": [act]})
    bench.rows.secrets.add("kb-of-another")
    with pytest.raises(OrchestraError) as caught:
        await bench.run(decision=decide(ladder=(), siblings=()), tools=(ROWS,))
    told = [
        str(caught.value),
        *map(repr, (caught.value.evidence, caught.value.attempts, bench.events, bench.rows.judged)),
    ]
    assert "kb-of-another" not in "".join(told)
    assert "[redacted]" in str(caught.value)
    assert "kb-of-another" not in str([body["messages"] for body in map(bench.transport.body, range(2))])


async def test_a_refused_reply_names_its_model_without_the_keys_that_are_known():
    bench = Bench(
        {
            "small": [
                Served(
                    [b'data: {"model": "kb-of-another", "choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n', DONE]
                )
            ]
        }
    )
    bench.rows.secrets.add("kb-of-another")
    with pytest.raises(OrchestraError) as caught:
        await bench.run(decision=decide(ladder=(), siblings=()))
    assert caught.value.attempts[0].wire_model == "[redacted]"


async def test_a_whole_reply_to_a_streamed_request_is_read_as_one():
    whole = b'{"model": "w", "choices": [{"message": {"content": "all at once"}, "finish_reason": "stop"}]}'
    bench = Bench({"small": [Served([whole[:20], whole[20:]], headers={"content-type": "application/json"})]})
    assert (await bench.run()).reply.text == "all at once"


@pytest.mark.parametrize("status", [302, 304, 418, 599])
async def test_any_status_but_success_is_a_fault(status):
    bench = Bench({"small": [Served([], status)]})
    with pytest.raises(OrchestraError) as caught:
        await bench.run(decision=decide(ladder=(), siblings=()))
    assert bench.rows.ended[-1].status == status
    assert caught.value.attempts


NOON = 1_795_176_000.0  # 2026-11-20, 12:00:00 UTC


async def test_a_moment_to_wait_for_is_seen_from_our_own_clock_where_the_server_names_no_time():
    limited = error(429, headers={"retry-after": "Fri, 20 Nov 2026 12:00:07 GMT"})
    bench = Bench({"small": [limited, say("ok")]}, now=lambda: NOON, draw=0.0)
    await bench.run(decision=decide(ladder=(), siblings=()))
    assert bench.clock.slept == [7.0]


async def test_what_a_server_says_of_its_own_time_beats_our_clock():
    told = {"retry-after": "Fri, 20 Nov 2026 12:00:07 GMT", "date": "Fri, 20 Nov 2026 12:00:04 GMT"}
    bench = Bench({"small": [error(429, headers=told), say("ok")]}, now=lambda: NOON, draw=0.0)
    await bench.run(decision=decide(ladder=(), siblings=()))
    assert bench.clock.slept == [3.0]


@pytest.mark.parametrize("status", [200, 429])
async def test_a_limit_is_whole_again_by_our_own_clock_where_the_server_names_no_time(status):
    told = {
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2026-11-20T12:00:01.5Z",
    }
    seen = []
    spoken, small = codec("anthropic"), replace(card("small"), dialect="anthropic")
    asked = spoken.encode(Request((Message.user("Hi"),)), small)
    deadlines = Deadlines(Timeouts(), 2000.0, lambda: 1000.0, streamed=asked.stream)
    transport = MemoryTransport({"small": [Served([], status, told)]})
    exchange = Exchange(transport, spoken, asked, Endpoint("http://it", None), deadlines, seen.extend, lambda: NOON)
    await exchange.rest()
    await exchange.aclose()
    assert seen == [RateLimit("tokens", None, 0, 1.5)]


async def test_every_response_that_was_opened_is_closed():
    bench = Bench({"small": [error(500)], "twin": [say("ok")]})
    await bench.run()
    assert bench.transport.opened == bench.transport.closed == 3


async def test_a_reply_without_end_is_cut_off_and_refused(monkeypatch):
    monkeypatch.setattr("orchestra.dispatch.exchange.MAX_BODY", 100)
    endless = Served([b" " * 60] * 3, headers={"content-type": "application/json"})
    bench = Bench({"small": [endless], "twin": [say("ok")]})
    accepted = await bench.run()
    assert accepted.attempts[0].trigger is Trigger.bad_reply
    assert "longer than 100 bytes" in accepted.attempts[0].evidence[0]


async def test_a_transports_own_timeout_is_not_taken_for_a_deadline():
    bench = Bench({"small": [TimeoutError("theirs")], "twin": [say("ok")]})
    accepted = await bench.run()
    assert "theirs" in accepted.attempts[0].evidence[0]
