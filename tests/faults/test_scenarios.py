"""The sixteen scenarios of the public Failover Bench, both ways, in three dialects, counted at the providers.

What holds of all of them is checked where the stage ends: no call beyond its deadline, no task, connection, place or
money left, each request seen has its attempt, each attempt its end and its reason in the ledger.
"""

import asyncio
from itertools import pairwise

import pytest

from orchestra.errors import BadRequest, ContentFiltered, Exhausted, StreamCut
from orchestra.ledger import BreakerChanged, Waited
from orchestra.testing import CutStream, Error, MalformedChunk, NoEnd, Reset, Say, Silence, Slow, Stall
from tests.faults.stage import ALONE, OK, stage

LIMITED = Error(429, headers={"retry-after": "2"})
SIXTY = Say("x" * 60, chunks=60, usage=(20, 60))
READ = 0.02  # seconds in which what was written before a break is surely read


def answered(ended, text="forty-two"):
    """A whole reply, the same in pieces, and not a word of another."""
    assert ended.error is None
    assert ended.reply.text == text
    assert "".join(ended.texts) in ("", text)
    return ended.reply


async def test_s01_one_rate_limit_is_moved_aside_at_once(dialect, way):
    async with stage(dialect, [LIMITED, OK]) as it:
        assert answered(await it.ask(way)).model == "fallback"
        assert it.counts == (1, 1, 0)
        assert sum(it.clock.slept) == 0


async def test_s01_one_rate_limit_is_waited_out_where_nothing_is_beside_it(dialect, way):
    async with stage(dialect, [LIMITED, OK]) as it:
        answered(await it.ask(way, data_tags=ALONE))
        backoffs = [
            row.event.seconds for row in it.rows if isinstance(row.event, Waited) and row.event.why == "backoff"
        ]
        assert it.clock.slept == backoffs
        assert 2.0 <= sum(backoffs) < 2.2
        assert it.counts == (2, 0, 0)


async def test_s02_rate_limits_for_ever_end_in_a_typed_error_where_nothing_is_beside_them(dialect, way):
    async with stage(dialect, LIMITED) as it:
        ended = await it.ask(way, data_tags=ALONE)
        assert isinstance(ended.error, Exhausted)
        assert set(ended.triggers) == {"rate_limited"}
        assert it.counts == (2, 0, 0)


async def test_s01_other_calls_keep_away_from_a_limited_key_until_its_time_is_over(dialect, way):
    async with stage(dialect, [LIMITED, OK]) as it:
        await it.ask(way)
        assert answered(await it.ask(way)).model == "fallback"
        assert it.counts == (1, 2, 0)
        answered(await it.ask(way, data_tags=ALONE))
        assert it.counts == (2, 2, 0)
        assert sum(it.clock.slept) >= 1.8


async def test_s01_a_call_that_has_less_time_than_a_limited_key_asks_for_ends_at_once(dialect, way):
    async with stage(dialect, LIMITED) as it:
        await it.ask(way)
        ended = await it.ask(way, data_tags=ALONE, deadline=1.0)
        assert isinstance(ended.error, Exhausted)
        assert ended.triggers == ["rate_limited"]
        assert it.counts == (1, 1, 0)
        assert sum(it.clock.slept) == 0


async def test_s02_rate_limits_for_ever_end_at_the_fallback(dialect, way):
    async with stage(dialect, LIMITED) as it:
        assert answered(await it.ask(way)).model == "fallback"
        assert it.counts == (1, 1, 0)


async def test_s03_one_server_error_is_one_retry(dialect, way):
    async with stage(dialect, [Error(500), OK]) as it:
        assert answered(await it.ask(way)).model == "primary"
        assert it.counts == (2, 0, 0)


async def test_s04_overload_for_ever_ends_at_the_fallback(dialect, way):
    async with stage(dialect, Error(503)) as it:
        assert answered(await it.ask(way)).model == "fallback"
        assert it.counts == (2, 1, 0)


async def test_s05_a_reset_is_survived(dialect, way):
    async with stage(dialect, [Reset(), OK]) as it:
        ended = await it.ask(way)
        answered(ended)
        assert it.counts == (2, 0, 0)
        assert ended.triggers == ["connection", None]
        assert it.attempts[0].sent == "unknown"


@pytest.mark.parametrize("behaviour", [Silence(), Slow(20)], ids=["s06", "s07"])
async def test_s06_s07_no_first_token_in_time_is_the_fallbacks_turn(dialect, way, behaviour):
    async with stage(dialect, behaviour, first_token=0.4) as it:
        ended = await it.ask(way)
        assert answered(ended).model == "fallback"
        assert it.counts == (1, 1, 0)
        assert ended.triggers == ["timeout", None]


async def test_s07_a_late_answer_is_taken_where_the_deadline_allows(dialect, way):
    async with stage(dialect, Slow(0.05, OK)) as it:
        assert answered(await it.ask(way)).model == "primary"
        assert it.counts == (1, 0, 0)


BROKEN = {
    "s08": CutStream(SIXTY, after=40, pause=READ),
    "s09": Stall(SIXTY, after=40),
    "s10": MalformedChunk(SIXTY, after=40, pause=READ),
    "s11": NoEnd(SIXTY),
}


def patience(behaviour):
    """Seconds to wait for a sign: few only where one has to be missed, for on a busy machine any may be late."""
    return 0.4 if isinstance(behaviour, Stall) else 5.0


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
async def test_s08_to_s11_before_commit_a_broken_stream_fails_over(dialect, behaviour):
    async with stage(dialect, behaviour, chunk=patience(behaviour)) as it:
        assert answered(await it.ask("complete")).model == "fallback"
        assert it.counts in [(1, 1, 0), (2, 1, 0)]


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
async def test_s08_to_s11_after_commit_a_broken_stream_is_a_typed_error_with_the_partial_text(dialect, behaviour):
    async with stage(dialect, behaviour, chunk=patience(behaviour)) as it:
        ended = await it.ask("stream")
        assert isinstance(ended.error, StreamCut)
        assert ended.error.partial_text == "".join(ended.texts) == "x" * (60 if behaviour == BROKEN["s11"] else 40)
        assert it.counts == (1, 0, 0)


@pytest.mark.parametrize("broken", [CutStream, Stall, MalformedChunk])
async def test_s08_to_s10_a_stream_that_breaks_before_its_first_token_fails_over_either_way(dialect, way, broken):
    behaviour = broken(SIXTY, after=0)
    async with stage(dialect, behaviour, first_token=patience(behaviour)) as it:
        assert answered(await it.ask(way)).model == "fallback"
        assert it.counts in [(1, 1, 0), (2, 1, 0)]


OVERFLOWS = {
    "openai-chat": Error.context_overflow(),
    "anthropic": Error(
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 20100 tokens > 16000 maximum"},
        },
    ),
    "gemini": Error(
        400,
        {
            "error": {
                "code": 400,
                "message": "The input token count (20100) exceeds the maximum number of tokens allowed (16000).",
                "status": "INVALID_ARGUMENT",
            }
        },
    ),
}


async def test_s12_an_overlong_context_goes_to_a_wider_window_at_once(dialect, way):
    async with stage(dialect, OVERFLOWS[dialect]) as it:
        ended = await it.ask(way)
        assert answered(ended).model == "wide"
        assert it.counts == (1, 0, 1)
        assert ended.triggers == ["context_overflow", None]


async def test_s12_where_no_window_is_wide_enough_each_model_is_asked_once(dialect, way):
    async with stage(dialect, OVERFLOWS[dialect], OVERFLOWS[dialect], OVERFLOWS[dialect]) as it:
        ended = await it.ask(way)
        assert isinstance(ended.error, BadRequest)
        assert it.counts == (1, 0, 1)


FILTERED = {
    "openai-chat": Error.content_filter(),
    "anthropic": Error(
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"},
        },
    ),
    "gemini": Error(200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": "primary"}),
}


async def test_s13_a_content_filter_is_neither_retried_nor_laundered(dialect, way):
    async with stage(dialect, FILTERED[dialect]) as it:
        ended = await it.ask(way)
        assert isinstance(ended.error, ContentFiltered)
        assert it.counts == (1, 0, 0)


def refuses_prefill(body):
    """As models do that go on with nobody's words: 400 where the conversation ends with the assistant's."""
    turns = body.get("messages") or body.get("contents")
    return OK if turns[-1]["role"] == "user" else Error(400)


@pytest.mark.parametrize("after", [0, 40])
async def test_s14_what_a_cut_reply_had_said_is_never_sent_to_anybody(dialect, way, after):
    async with stage(dialect, CutStream(SIXTY, after=after, pause=READ), refuses_prefill) as it:
        ended = await it.ask(way)
        if way == "stream" and after:
            assert isinstance(ended.error, StreamCut)
            assert it.counts == (1, 0, 0)
        else:
            assert answered(ended).model == "fallback"
        for request in (request for provider in it.providers.values() for request in provider.requests):
            turns = request.body.get("messages") or request.body["contents"]
            assert [turn["role"] for turn in turns] == ["user"]


async def test_s15_a_flapping_model_is_left_alone_probed_by_few_and_taken_back(dialect, way):
    flap = Flap()
    async with stage(dialect, flap, first_token=30) as it:
        await at_once(it, way, 20)
        seen = it.counts[0]
        assert seen <= 20 + 10  # each once, and no more retries than the budget has
        for _ in range(3):
            await at_once(it, way, 20)
        assert it.counts[0] == seen, "an open breaker lets nothing through"
        it.clock.ahead += 31
        await at_once(it, way, 20)
        assert it.counts[0] - seen <= 2, "half-open: as many at a time as there are places for probes"
        flap.healed = True
        it.clock.ahead += 61
        for _ in range(6):
            await at_once(it, way, 2)
        healed = it.counts[0]
        await at_once(it, way, 10)
        assert it.counts[0] - healed == 10
        changes = [row.event.state for row in it.rows if isinstance(row.event, BreakerChanged)]
        assert changes[0] == "open"
        assert changes[-1] == "closed"
        assert all(one != other for one, other in pairwise(changes[1:]))


class Flap:
    """503 until it is healed."""

    healed = False

    def __call__(self, body):
        return OK if self.healed else Error(503)


async def at_once(it, way, number):
    for ended in await asyncio.gather(*(it.ask(way) for _ in range(number))):
        answered(ended)


async def test_s16_result_usage_cost_and_name_are_the_fallbacks(dialect, way):
    async with stage(dialect, Error(500)) as it:
        ended = await it.ask(way)
        reply = answered(ended)
        assert (reply.model, reply.wire_model) == ("fallback", "fallback")
        assert (reply.usage.input, reply.usage.output) == (20, 5)
        assert reply.cost.usd * 1e6 == pytest.approx(20 * 3 + 5 * 5)
        assert not reply.cost.estimated
        assert [one.model for one in reply.attempts] == ["primary", "primary", "fallback"]
        if way == "stream":
            assert ended.changes[-1].to_model == "fallback"
            assert ended.changes[-1].reason
