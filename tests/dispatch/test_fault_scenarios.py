"""The public failover scenarios over real HTTP: what the primary does, and what must be seen. Requests are counted."""

import asyncio
from dataclasses import replace

import pytest

from orchestra.dispatch import Endpoint
from orchestra.errors import BadRequest, ContentFiltered, StreamCut
from orchestra.testing import CutStream, Error, FakeProvider, MalformedChunk, NoEnd, Reset, Say, Silence, Slow, Stall
from orchestra.transport import AiohttpTransport, HttpxTransport, TransportFault, WireRequest
from orchestra.types import Timeouts, Trigger
from tests.dispatch.doubles import CARDS, Bench, RealClock, decide

OK = Say("forty-two", usage=(20, 5))
SIXTY = Say("x" * 60, chunks=60)
PATIENT = Timeouts(connect=5, first_token=5, chunk=5, total=20)


@pytest.fixture(params=[HttpxTransport, AiohttpTransport], ids=["httpx", "aiohttp"])
async def transport(request):
    made = request.param()
    await warm(made)
    yield made
    await made.aclose()


async def warm(transport):
    """Load its library by a request to where nobody listens: that takes longer than some deadlines here."""
    with pytest.raises(TransportFault):
        await transport.send(WireRequest("http://127.0.0.1:1/", (), b""))


class Scenario:
    """A bench whose primary (small) and fallback (twin) are served over HTTP."""

    def __init__(self, transport, provider, clock=None, **timeouts):
        cards = [replace(one, timeouts=replace(PATIENT, **timeouts)) for one in CARDS]
        self.provider = provider
        self.bench = Bench(cards=tuple(cards), transport=transport, clock=clock)
        self.bench.endpoints.of = self._of

    def _of(self, card):
        return Endpoint(self.provider.base_url, None)

    async def run(self, **options):
        async with asyncio.timeout(30):
            return await self.bench.run(**options)

    @property
    def counts(self):
        return self.provider.count("small"), self.provider.count("twin")


async def gone(provider):
    """Until the provider has seen every connection close."""
    async with asyncio.timeout(5):
        while provider.open_connections:  # noqa: ASYNC110  # the provider counts, it does not signal
            await asyncio.sleep(0)


async def test_s01_one_rate_limit_is_moved_aside_at_once_or_waited_out(transport):
    limited = Error(429, headers={"retry-after": "2"})
    async with FakeProvider({"small": [limited, OK], "twin": OK}) as provider:
        scenario = Scenario(transport, provider)
        assert (await scenario.run()).reply.text == "forty-two"
        assert scenario.counts == (1, 1)
    async with FakeProvider({"small": [limited, OK]}) as provider:
        scenario = Scenario(transport, provider)
        await scenario.run(decision=decide(siblings=()))
        assert scenario.counts == (2, 0)
        assert scenario.bench.clock.slept == [2.1]  # half the jitter


async def test_s02_rate_limits_for_ever_end_at_the_fallback(transport):
    async with FakeProvider({"small": Error(429, headers={"retry-after": "2"}), "twin": OK}) as provider:
        scenario = Scenario(transport, provider)
        assert (await scenario.run()).ladder.model == "twin"
        assert scenario.counts == (1, 1)


async def test_s03_one_server_error_is_one_retry(transport):
    async with FakeProvider({"small": [Error(500), OK]}) as provider:
        scenario = Scenario(transport, provider)
        assert (await scenario.run()).reply.text == "forty-two"
        assert scenario.counts == (2, 0)


async def test_s04_overload_for_ever_ends_at_the_fallback(transport):
    async with FakeProvider({"small": Error(503), "twin": OK}) as provider:
        scenario = Scenario(transport, provider)
        await scenario.run()
        assert scenario.counts == (2, 1)


async def test_s05_a_reset_is_survived(transport):
    async with FakeProvider({"small": [Reset(), OK]}) as provider:
        scenario = Scenario(transport, provider)
        accepted = await scenario.run()
        assert scenario.counts == (2, 0)
    assert accepted.attempts[0].trigger is Trigger.connection
    assert accepted.attempts[0].sent == "unknown"


@pytest.mark.parametrize("behaviour", [Silence(), Slow(20)], ids=["s06", "s07"])
async def test_s06_s07_no_first_token_in_time_is_the_fallbacks_turn(transport, behaviour):
    async with FakeProvider({"small": behaviour, "twin": OK}) as provider:
        scenario = Scenario(transport, provider, clock=RealClock(), first_token=0.3)
        accepted = await scenario.run()
        assert scenario.counts == (1, 1)
        assert accepted.attempts[0].trigger is Trigger.timeout


async def test_s07_a_late_answer_is_taken_where_the_deadline_allows(transport):
    async with FakeProvider({"small": Slow(0.05, OK), "twin": OK}) as provider:
        scenario = Scenario(transport, provider)
        assert (await scenario.run()).reply.text == "forty-two"
        assert scenario.counts == (1, 0)


BROKEN = {
    "s08": CutStream(SIXTY, after=40, pause=0.02),
    "s09": Stall(SIXTY, after=40),
    "s10": MalformedChunk(SIXTY, after=40, pause=0.02),
    "s11": NoEnd(SIXTY),
}


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
async def test_s08_to_s11_before_commit_it_fails_over(transport, behaviour):
    async with FakeProvider({"small": behaviour, "twin": OK}) as provider:
        scenario = Scenario(transport, provider, clock=RealClock(), chunk=0.3)
        accepted = await scenario.run()
        assert accepted.reply.text == "forty-two"
        assert scenario.counts[1] == 1
        assert scenario.counts[0] <= 2


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
async def test_s08_to_s11_after_commit_it_is_a_typed_error_with_the_partial_text(transport, behaviour):
    async with FakeProvider({"small": behaviour, "twin": OK}) as provider:
        scenario = Scenario(transport, provider, clock=RealClock(), chunk=0.3)
        with pytest.raises(StreamCut) as caught:
            await scenario.run(commit=True)
        assert scenario.counts == (1, 0)
    assert caught.value.partial_text == "".join(scenario.bench.texts)
    assert len(caught.value.partial_text) == (60 if behaviour == NoEnd(SIXTY) else 40)


async def test_s12_an_overlong_context_goes_to_a_wider_window_at_once(transport):
    async with FakeProvider({"small": Error.context_overflow(), "strong": OK}) as provider:
        scenario = Scenario(transport, provider)
        accepted = await scenario.run()
        assert scenario.counts == (1, 0)
    assert accepted.ladder.model == "strong"


async def test_s12_without_a_wider_window_it_is_a_bad_request(transport):
    async with FakeProvider({"small": Error.context_overflow()}) as provider:
        scenario = Scenario(transport, provider)
        with pytest.raises(BadRequest) as caught:
            await scenario.run(decision=decide(ladder=(), siblings=()))
        assert scenario.counts == (1, 0)
    assert caught.value.trigger is Trigger.context_overflow


async def test_s13_a_content_filter_is_neither_retried_nor_laundered(transport):
    async with FakeProvider({"small": Error.content_filter(), "twin": OK, "strong": OK}) as provider:
        scenario = Scenario(transport, provider)
        with pytest.raises(ContentFiltered):
            await scenario.run()
        assert len(provider.requests) == 1


async def test_s14_no_prefill_of_a_cut_reply_is_ever_sent(transport):
    async with FakeProvider({"small": CutStream(SIXTY, after=40), "twin": Error(400)}) as provider:
        with pytest.raises(BadRequest):
            await Scenario(transport, provider).run()
        assert {message["role"] for request in provider.requests for message in request.body["messages"]} == {"user"}


async def test_s16_result_usage_cost_and_name_are_the_fallbacks(transport):
    async with FakeProvider({"small": Error(500), "twin": OK}) as provider:
        accepted = await Scenario(transport, provider).run()
    assert (accepted.ladder.model, accepted.reply.wire_model) == ("twin", "twin")
    assert (accepted.reply.usage.input, accepted.reply.usage.output) == (20, 5)
    assert accepted.cost.usd == pytest.approx(30e-6)


async def test_every_attempt_is_in_the_ledger_with_its_reason_and_no_connection_is_left(transport):
    async with FakeProvider({"small": Stall(SIXTY, after=40), "twin": OK}) as provider:
        scenario = Scenario(transport, provider, clock=RealClock(), chunk=0.2)
        await scenario.run()
        await transport.aclose()
        await gone(provider)
    rows = scenario.bench.rows
    assert [one.model for one in rows.started] == [one.model for one in rows.ended] == ["small", "twin"]
    assert all(one.reason for one in rows.judged if one.action)


async def test_a_cancelled_call_is_noticed_by_the_provider(transport):
    async with FakeProvider({"small": Stall(SIXTY, after=40)}) as provider:
        scenario = Scenario(transport, provider)
        events = scenario.bench.dispatcher.stream(scenario.bench.call(commit=True))
        await anext(events)
        assert provider.open_connections == 1
        await events.aclose()
        await gone(provider)
    assert len(scenario.bench.rows.ended) == 1


async def test_a_hundred_calls_at_once_are_all_served(transport):
    async with FakeProvider({"small": lambda body: Say(body["messages"][0]["content"])}) as provider:
        accepted = await asyncio.gather(*(Scenario(transport, provider).run() for _ in range(100)))
    assert {one.reply.text for one in accepted} == {"How many rows?"}


async def test_the_first_token_is_timed(transport):
    async with FakeProvider({"small": Slow(0.02, OK)}) as provider:
        (attempt,) = (await Scenario(transport, provider, clock=RealClock()).run()).attempts
    assert 0 < attempt.first_token <= attempt.seconds
