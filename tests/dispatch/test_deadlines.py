"""No hang past a deadline: connect, first token, between chunks, a whole attempt, the whole call."""

import asyncio
import math
import time

import pytest

from orchestra.dispatch.backoff import backoff
from orchestra.dispatch.deadlines import GRACE, Deadlines
from orchestra.errors import DeadlineExceeded, StreamCut
from orchestra.transport import TransportFault
from orchestra.types import Capabilities, Timeouts, Trigger
from tests.dispatch.doubles import (
    CARDS,
    DONE,
    SILENCE,
    Bench,
    Endpoints,
    LoopClock,
    Served,
    card,
    decide,
    error,
    frame,
    hasty,
    say,
)

SHORT = 0.01


class NeverReady(Endpoints):
    """Waits for ever, and says when it does."""

    def __init__(self, waits):
        super().__init__(broken={"small": SILENCE})
        self.waits = waits

    async def resolve(self, card):
        self.waits()
        return await super().resolve(card)


async def rings():
    """A timer that is due has rung."""
    for _ in range(3):
        await asyncio.sleep(0)


def passing(bench, seconds):
    """Pieces in which so much time passes at once, as where something holds up the event loop."""
    return [lambda: bench.clock.move(seconds), rings]


def bench_with(scripts, cards=CARDS, **timeouts):
    return Bench(scripts, cards=(hasty(cards[0], **timeouts), *cards[1:]), clock=LoopClock())


@pytest.mark.parametrize("silent", [SILENCE, Served([SILENCE]), Served([b": keep-alive\n\n", b"\n", SILENCE])])
async def test_no_first_token_goes_sideways(silent):
    bench = bench_with({"small": [silent], "twin": [say("ok")]}, first_token=SHORT)
    accepted = await bench.run()
    assert bench.transport.models == ["small", "twin"]
    assert accepted.attempts[0].trigger is Trigger.timeout
    assert "no first token within 0.01 s" in accepted.attempts[0].evidence[0]
    assert accepted.attempts[0].first_token is None


async def test_silence_in_the_middle_goes_sideways_before_commit():
    bench = bench_with({"small": [Served([frame({"content": "a"}), SILENCE])], "twin": [say("ok")]}, chunk=SHORT)
    accepted = await bench.run()
    assert "silent for 0.01 s" in accepted.attempts[0].evidence[0]


async def test_silence_in_the_middle_is_a_cut_after_commit():
    bench = bench_with({"small": [Served([frame({"content": "a"}), SILENCE])]}, chunk=SHORT)
    with pytest.raises(StreamCut) as caught:
        await bench.run(commit=True)
    assert (caught.value.trigger, caught.value.partial_text) == (Trigger.timeout, "a")


async def test_keep_alives_are_silence():
    bench = bench_with({}, chunk=5.0)
    ping = [lambda: bench.clock.move(3), b": ping\n\n"]
    bench.transport.scripts["small"] = [Served([frame({"content": "a"}), *ping, *ping, *ping, SILENCE])]
    with pytest.raises(StreamCut, match="silent for 5 s"):
        await bench.run(commit=True)


@pytest.mark.parametrize("held_up", [[9], [1.97, 0.05], [2.1]])
@pytest.mark.parametrize("limit", ["first_token", "chunk", "total"])
async def test_an_event_loop_that_is_held_up_makes_no_model_silent(limit, held_up):
    bench = bench_with({}, **{limit: 2.0})
    before = [] if limit == "first_token" else [frame({"content": "a"})]
    waits = [one for seconds in held_up for one in passing(bench, seconds)]
    bench.transport.scripts["small"] = [Served([*before, *waits, *say("b").pieces])]
    accepted = await bench.run()
    assert [one.trigger for one in accepted.attempts] == [None]
    assert bench.transport.models == ["small"]


async def test_each_wait_between_two_chunks_goes_on_once():
    bench = bench_with({}, chunk=2.0)
    wait = passing(bench, 9)
    pieces = [*wait, frame({"content": "b"}), *wait, frame({"content": "c"}), *wait]
    bench.transport.scripts["small"] = [Served([frame({"content": "a"}), *pieces, *say("d").pieces])]
    assert (await bench.run()).reply.text == "abcd"
    assert bench.transport.models == ["small"]


@pytest.mark.parametrize("limit", ["first_token", "chunk", "total"])
@pytest.mark.parametrize("held_up", [2, 9])
async def test_a_model_that_is_still_silent_once_its_deadline_has_passed_a_moment_ago_is_silent(limit, held_up):
    bench = bench_with({"twin": [say("ok")]}, **{limit: 2.0})
    before = [] if limit == "first_token" else [frame({"content": "a"})]
    late = [*passing(bench, held_up), *passing(bench, GRACE + 0.01)]
    bench.transport.scripts["small"] = [Served([*before, *late, *say("b").pieces])]
    assert [one.trigger for one in (await bench.run()).attempts] == [Trigger.timeout, None]


async def test_an_event_loop_that_never_gets_on_is_no_excuse():
    bench = bench_with({"twin": [say("ok")]}, chunk=2.0)
    wait = passing(bench, 12)
    bench.transport.scripts["small"] = [Served([frame({"content": "a"}), *wait, *wait, DONE])]
    assert "silent for 2 s" in (await bench.run()).attempts[0].evidence[0]


async def test_a_lively_stream_ends_at_its_total_in_an_event_loop_that_is_held_up_again_and_again():
    bench = bench_with({"twin": [say("ok")]}, total=1.0)
    step = [*passing(bench, 0.4), frame({"content": "x"})]
    bench.transport.scripts["small"] = [Served([*step * 20, *say("b").pieces])]
    assert "no complete reply within 1 s" in (await bench.run()).attempts[0].evidence[0]


async def test_a_lively_stream_ends_at_its_total_however_long_its_reader_takes():
    bench = bench_with({}, total=1.0)
    step = [*passing(bench, 0.15), frame({"content": "x"})]
    bench.transport.scripts["small"] = [Served([*step * 20, *say("b").pieces])]

    async def read_slowly():
        async for _ in bench.dispatcher.stream(bench.call(commit=True, deadline=1e6)):
            bench.clock.move(60)

    with pytest.raises(StreamCut, match="no complete reply"):
        await read_slowly()


async def test_an_event_loop_that_is_held_up_moves_no_deadline_of_the_call():
    bench = bench_with({}, total=2.0)
    bench.transport.scripts["small"] = [Served([frame({"content": "a"}), *passing(bench, 99), DONE])]
    with pytest.raises(DeadlineExceeded):
        await bench.run(deadline=20.0)


async def test_a_deadline_of_the_call_allows_no_moment_more():
    bench = bench_with({}, total=2.0)
    bench.transport.scripts["small"] = [
        Served([frame({"content": "a"}), *passing(bench, 2.0), *passing(bench, GRACE / 2), *say("b").pieces])
    ]
    with pytest.raises(DeadlineExceeded):
        await bench.run(deadline=2.0 + GRACE / 4)


async def test_time_in_which_the_event_loop_was_held_up_is_part_of_all_that_is_measured():
    bench = bench_with({}, first_token=2.0)
    bench.transport.scripts["small"] = [Served([*passing(bench, 9), *say("a").pieces])]
    await bench.run()
    [lane] = bench.dispatcher.traffic.lanes["small"]
    report = lane.health.report(bench.clock())
    assert report.latency_p50 >= report.first_token_p50 >= 9


@pytest.mark.parametrize("commit", [False, True])
@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: {", b'"choices": []}', b"\n", b"\n"],
        [b'data: {"choices"', b": []", b" }\r\n", b"\r", b"\n"],
        [b'data: {"choices": []}\n', b"\n", b"data: {}\n\n"],
    ],
)
async def test_bytes_of_an_event_are_no_silence_however_they_begin(pieces, commit):
    bench = bench_with({}, chunk=5.0)
    slow = [one for piece in pieces for one in (lambda: bench.clock.move(3), rings, piece)]
    bench.transport.scripts["small"] = [Served([frame({"content": "a"}), *slow, *say("b").pieces])]
    assert (await bench.run(commit=commit)).reply.text == "ab"
    assert bench.transport.models == ["small"]


async def test_keep_alives_after_a_slow_event_are_silence():
    bench = bench_with({"twin": [say("ok")]}, chunk=5.0)
    later = [one for piece in (b"\n", b"", b": ping\n\n", b"\n") for one in (lambda: bench.clock.move(3), rings, piece)]
    bench.transport.scripts["small"] = [Served([frame({"content": "a"})[:-1], *later, *say("b").pieces])]
    assert "silent for 5 s" in (await bench.run()).attempts[0].evidence[0]


@pytest.mark.parametrize(
    ("end", "alive"),
    [
        ([b"\r\n\r\n"], b"\r\n"),
        ([b"\r\n", b"\r\n"], b"\r\n"),
        ([b"\r\n\r\n"], b": ping\r\n\r\n"),
        ([b"\r\r"], b"\r"),
        ([b"\r\r"], b": ping\r\r"),
        ([b"\n", b"\n"], b"\n"),
        ([], b""),
    ],
)
async def test_keep_alives_are_silence_however_the_server_ends_its_lines(end, alive):
    bench = bench_with({"twin": [say("ok")]}, chunk=5.0)
    later = [lambda: bench.clock.move(3), rings, alive] * 3
    bench.transport.scripts["small"] = [Served([frame({"content": "a"})[:-2], *end, *later, *say("b").pieces])]
    assert "silent for 5 s" in (await bench.run()).attempts[0].evidence[0]


LINE = b'data: {"choices": []}'
PIECE = b'data: {"choices"'


async def is_silence(before, chunk):
    """Whether a model that had sent the pieces `before` is still silent for who then gets `chunk`."""
    bench = bench_with({"twin": [say("ok")]}, chunk=5.0)
    wait = passing(bench, 3)
    pieces = [*before, *wait, chunk, *wait, *passing(bench, 1)]
    bench.transport.scripts["small"] = [Served([frame({"content": "a"}), *pieces, DONE])]
    return any("silent for 5 s" in text for one in (await bench.run()).attempts for text in one.evidence)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    ("before", "chunk"),
    [
        # an event that had begun goes on
        ([PIECE], b": []}"),
        ([PIECE], b": []}\n\n"),
        ([PIECE], b" "),
        ([PIECE], b" : []}\n"),
        ([LINE], b"\n"),
        ([LINE], b"\n\n"),
        # it ends, by a blank line wherever that stands
        ([LINE + b"\n"], b"\n"),
        ([LINE + b"\n"], b"\n\n"),
        ([LINE + b"\n"], b": ping\n\n"),
        ([LINE + b"\n"], b":\n\n"),
        ([LINE + b"\n"], b": ping\n: ping\n\n: ping\n\n"),
        ([LINE + b"\n"], b"\n: ping\n\n"),
        ([LINE + b"\n"], b"\n: ping\n"),
        ([LINE], b"\n\n: ping\n\n"),
        ([LINE, b"\n"], b": ping\n\n"),
        ([LINE + b"\n: ping\n"], b"\n"),
        ([LINE + b"\n", b": ping\n"], b"\n"),
        ([LINE + b"\n", b": ping\n"], b": ping\n\n"),
        # another one begins
        ([LINE + b"\n"], b": ping\ndata: {"),
        ([LINE + b"\n\n"], b"\ndata: {"),
        ([LINE + b"\n\n"], b": ping\n\ndata: {"),
        ([LINE + b"\n\n"], b"event: x\n"),
    ],
)
async def test_what_is_of_an_event_or_ends_one_is_a_sign_of_the_model(before, chunk, end):
    assert not await is_silence([piece.replace(b"\n", end) for piece in before], chunk.replace(b"\n", end))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    ("before", "chunk"),
    [
        # between events
        ([], b": ping\n\n"),
        ([], b": ping\n"),
        ([], b":\n"),
        ([], b": ping"),
        ([], b": ping\n\n: ping\n\n"),
        ([], b"\n: ping\n\n"),
        ([], b"\n"),
        ([], b"\n\n\n"),
        ([], b" \n"),
        ([], b" "),
        ([], b""),
        ([b": ping\n"], b"\n"),
        ([b": ping"], b"\n\n"),
        ([LINE + b"\n: ping\n\n"], b": ping\n\n"),
        ([LINE + b"\n", b"\n"], b"\n"),
        ([LINE + b"\n", b": ping\n\n"], b"\n"),
        ([LINE + b"\n", b": ping\n\n"], b": ping\n\n"),
        ([LINE + b"\n", b": ping\n", b"\n"], b": ping\n\n"),
        # within one, which stays open
        ([LINE + b"\n"], b": ping\n"),
        ([LINE + b"\n"], b": ping"),
        ([LINE + b"\n"], b":\n: ping\n"),
        ([LINE + b"\n"], b""),
        ([PIECE], b""),
    ],
)
async def test_what_neither_is_of_an_event_nor_ends_one_keeps_the_connection_alive_and_no_more(before, chunk, end):
    assert await is_silence([piece.replace(b"\n", end) for piece in before], chunk.replace(b"\n", end))


async def test_a_slow_reader_is_not_a_silent_model():
    bench = bench_with({"small": [say("a", "b", "c")]}, chunk=5.0)
    async for event in bench.dispatcher.stream(bench.call(commit=True)):
        bench.clock.move(60)
        bench.events.append(event)
    assert bench.texts == ["a", "b", "c"]


async def test_what_a_slow_reader_takes_is_no_part_of_the_models_total():
    bench = bench_with({"small": [say("a", "b", "c")]}, chunk=5.0, total=100.0)
    async for event in bench.dispatcher.stream(bench.call(commit=True, deadline=1e6)):
        bench.clock.move(60)
        bench.events.append(event)
    assert bench.texts == ["a", "b", "c"]


async def some_turns():
    for _ in range(5):
        await asyncio.sleep(0)


async def longer():
    """Than SHORT, by the same clock."""
    await asyncio.sleep(2 * SHORT)


async def test_a_first_token_may_take_longer_than_what_is_silence_later():
    bench = bench_with({"small": [Served([longer, *say("ok").pieces])]}, first_token=60.0, chunk=SHORT)
    assert [one.trigger for one in (await bench.run()).attempts] == [None]


async def test_the_silence_of_a_model_begins_when_it_is_asked_for_more():
    pieces = [piece for text in "abc" for piece in (some_turns, frame({"content": text}))]
    bench = bench_with({"small": [Served([*pieces, frame(finish="stop"), DONE])]}, chunk=5.0)
    async for event in bench.dispatcher.stream(bench.call(commit=True)):
        bench.clock.move(60)
        bench.events.append(event)
    assert bench.texts == ["a", "b", "c"]


async def test_an_error_whose_body_never_comes_is_known_by_its_status():
    bench = bench_with({"small": [Served([SILENCE], 503)], "twin": [say("ok")]}, first_token=60.0, chunk=SHORT)
    accepted = await asyncio.wait_for(bench.run(), 5)
    assert {one.trigger for one in accepted.attempts[:-1]} == {Trigger.overloaded}
    assert bench.rows.ended[0].status == 503


async def test_a_reply_that_is_read_whole_and_falls_silent_was_sent():
    whole = Served([b'{"id', SILENCE], headers={"content-type": "application/json"})
    bench = bench_with({"small": [whole], "twin": [say("ok")]}, chunk=SHORT)
    accepted = await bench.run()
    assert (accepted.attempts[0].trigger, accepted.attempts[0].sent) == (Trigger.timeout, "yes")


async def test_an_attempt_ends_at_its_total_however_lively_the_stream_is():
    bench = bench_with({"twin": [say("ok")]}, total=5.0, chunk=60.0)
    step = [lambda: bench.clock.move(3), frame({"content": "x"})]
    bench.transport.scripts["small"] = [Served([*step, *step, SILENCE])]
    async with asyncio.timeout(20):  # as the moved clock counts; else it waits for ever
        accepted = await bench.run()
    assert "no complete reply within 5 s" in accepted.attempts[0].evidence[0]


async def test_a_reply_that_is_not_streamed_has_no_first_token_deadline():
    whole = b'{"choices": [{"message": {"content": "late"}, "finish_reason": "stop"}]}'
    cards = (card("small", capabilities=Capabilities(streaming=False)),)
    bench = bench_with({}, cards, first_token=1.0, chunk=1.0)
    bench.transport.scripts["small"] = [Served([whole[:9], lambda: bench.clock.move(50), rings, whole[9:]])]
    assert (await bench.run(decision=decide(cards=cards))).reply.text == "late"


async def test_a_deadline_that_passes_between_two_waits_ends_neither():
    deadlines = Deadlines(Timeouts(total=0.0), math.inf, time.monotonic, streamed=False)
    await deadlines.within(asyncio.sleep(0))
    await rings()  # nobody waits
    with pytest.raises(TransportFault, match="no complete reply within 0 s"):
        await deadlines.within(asyncio.Event().wait())
    assert asyncio.current_task().cancelling() == 0
    deadlines.close()
    deadlines.close()


async def test_a_cancellation_from_outside_is_none_of_a_deadlines():
    deadlines = Deadlines(Timeouts(), math.inf, time.monotonic, streamed=True)
    waiting = asyncio.create_task(deadlines.within(asyncio.Event().wait()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    deadlines.close()


async def test_an_error_is_acted_on_though_its_body_never_ends():
    stuck = Served([b'{"error"', SILENCE], 503, {})
    bench = bench_with({"small": [stuck, say("ok")]}, chunk=SHORT)
    accepted = await bench.run()
    assert [one.trigger for one in accepted.attempts] == [Trigger.overloaded, None]
    assert accepted.attempts[0].cost.usd == 0


async def test_the_calls_deadline_bounds_the_attempt():
    bench = Bench({"small": [lambda _: bench.clock.move(SHORT) or SILENCE]})
    with pytest.raises(DeadlineExceeded, match="timeout on small") as caught:
        await bench.run(deadline=SHORT)
    assert bench.transport.models == ["small"]
    assert [one.trigger for one in caught.value.attempts] == [Trigger.timeout]
    assert bench.rows.judged[0].reason == "the deadline has passed"


async def test_a_deadline_that_has_passed_begins_nothing():
    bench = Bench({"small": [say("ok")]})
    with pytest.raises(DeadlineExceeded, match="before the first attempt of this call") as caught:
        await bench.run(deadline=0)
    assert bench.transport.models == []
    assert caught.value.attempts == ()
    assert not bench.rows


async def test_a_deadline_that_passes_in_an_attempt_allows_no_further_one():
    bench = Bench({"twin": [say("ok")]})

    def late(_):
        bench.clock.move(700)
        return error(500)

    bench.transport.scripts["small"] = [late]
    with pytest.raises(DeadlineExceeded):
        await bench.run()
    assert bench.transport.models == ["small"]


async def test_an_endpoint_that_is_never_ready_ends_at_the_deadline():
    bench = Bench({}, endpoints=NeverReady(lambda: bench.clock.move(SHORT)))
    with pytest.raises(DeadlineExceeded, match="not ready in time"):
        await bench.run(deadline=SHORT, decision=decide(siblings=()))


@pytest.mark.parametrize(
    ("retries", "retry_after", "draw", "wait"),
    [
        (0, None, 0.5, 0.1),
        (1, None, 0.5, 0.2),
        (30, None, 0.5, 15.0),
        (0, 2.0, 0.0, 2.0),
        (0, 2.0, 0.5, 2.1),
        (9, 1.0, 0.1, 4.0),
    ],
)
def test_back_off_is_full_jitter_capped_and_on_top_of_what_the_provider_asks(retries, retry_after, draw, wait):
    assert backoff(retries, retry_after, draw) == pytest.approx(wait)
