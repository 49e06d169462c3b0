"""Money: reserved before, settled after, never over the cap, and honest about what is estimated or unknown."""

import asyncio
import json
from dataclasses import replace

import pytest

from orchestra.dialects import codec
from orchestra.dispatch import Purse
from orchestra.dispatch.afford import afford, input_bound
from orchestra.errors import BudgetExceeded, DeadlineExceeded
from orchestra.fleet.estimates import MIN_OUTPUT
from orchestra.transport import TransportFault
from orchestra.types import (
    Capabilities,
    Cost,
    Document,
    Image,
    Message,
    Price,
    Request,
    Settings,
    Text,
    ToolResult,
    Trigger,
    Usage,
)
from tests.dispatch.doubles import SILENCE, Bench, Served, call_tool, card, decide, error, frame, say, think

CUT = TransportFault(Trigger.stream_cut, "cut", sent="yes")


def test_a_reservation_holds_its_bound_until_it_is_settled():
    purse = Purse(1.0)
    reservation = purse.reserve(0.4)
    assert purse.left == pytest.approx(0.6)
    reservation.settle(Cost(0.1))
    assert (purse.left, purse.spent, purse.held) == (pytest.approx(0.9), 0.1, 0.0)


def test_a_reservation_settles_once():
    purse = Purse(1.0)
    reservation = purse.reserve(0.4)
    reservation.settle(Cost(0.1))
    reservation.settle(Cost(0.1))
    assert purse.spent == 0.1


def test_an_unknown_cost_spends_what_was_held():
    purse = Purse(1.0)
    purse.reserve(0.4).settle(Cost(None))
    assert purse.spent == 0.4


def test_more_than_is_left_is_refused_with_the_amounts():
    purse = Purse(0.5)
    purse.reserve(0.4)
    with pytest.raises(BudgetExceeded, match=r"small may cost \$0.200000 .*; \$0.100000 of \$0.5 is left"):
        purse.reserve(0.2, model="small")


def test_tenths_add_up_to_the_whole_cap():
    purse = Purse(1.0)
    for _ in range(10):
        purse.reserve(0.1)
    with pytest.raises(BudgetExceeded):
        purse.reserve(0.001)


def test_an_unknown_price_is_refused_under_a_cap_unless_allowed():
    with pytest.raises(BudgetExceeded, match=r"no known price.*allow_unknown_price=True"):
        Purse(1.0).reserve(None)
    assert Purse(1.0, allow_unknown=True).reserve(None).usd == 0
    assert Purse(None).reserve(None).usd == 0


def test_without_a_cap_what_is_spent_is_still_counted():
    purse = Purse(None)
    purse.reserve(None).settle(Cost(0.2))
    assert (purse.spent, purse.left) == (0.2, None)


async def test_max_tokens_shrink_to_what_is_left_and_the_ledger_says_so():
    bench = Bench({"small": [say("ok")]})
    await bench.run(purse=Purse(0.002))
    tokens = bench.transport.body()["max_tokens"]
    assert MIN_OUTPUT < tokens < 4096
    assert bench.rows.started[0].notes == (f"max_tokens 4096 -> {tokens}: the money that is left",)


async def test_money_that_suffices_leaves_max_tokens_as_far_as_the_model_writes():
    bench = Bench({"small": [say("ok")]})
    purse = Purse(1.0)
    await bench.run(purse=purse, request=Request((Message.user("hi"),), settings=Settings(max_tokens=99_999)))
    assert bench.transport.body()["max_tokens"] == 4096
    assert bench.rows.started[0].notes == ("max_tokens 99999 lowered to 4096, the most small writes",)
    assert purse.spent == pytest.approx(120e-6)


async def test_what_is_reserved_pays_for_the_tokens_that_are_really_asked_for():
    """OpenAI Responses takes no fewer than 16."""
    one = replace(card("small", price=Price(0.0, 1.0)), dialect="openai-responses")
    request = Request((Message.user("hi"),), settings=Settings(max_tokens=5))
    encoded, reservation = await afford(Purse(1.0), request, one, codec(one.dialect), within=1.0)
    assert json.loads(encoded.body)["max_output_tokens"] == 16
    assert reservation.usd == pytest.approx(16e-6)
    assert encoded.notes == ("max_tokens 5 raised to 16, the least OpenAI Responses takes",)
    with pytest.raises(BudgetExceeded):
        await afford(Purse(15e-6), request, one, codec(one.dialect), within=1.0)


async def test_less_than_the_minimum_is_not_attempted():
    bench = Bench({"small": [say("ok")]})
    with pytest.raises(BudgetExceeded, match="'small'") as caught:
        await bench.run(purse=Purse(0.0001))
    assert bench.transport.models == []
    assert not bench.rows
    assert caught.value.attempts == ()


async def test_a_dearer_rung_that_does_not_fit_ends_with_the_attempts_so_far():
    bench = Bench({"small": [say("")]})
    with pytest.raises(BudgetExceeded, match="'strong'") as caught:
        await bench.run(purse=Purse(0.001))
    assert [one.trigger for one in caught.value.attempts] == [Trigger.empty, Trigger.empty]


async def test_a_free_model_serves_an_empty_purse():
    cards = (card("small", price=Price(0, 0)),)
    bench = Bench({"small": [say("ok")]}, cards=cards)
    accepted = await bench.run(purse=Purse(0.0), decision=decide(cards=cards))
    assert accepted.cost == Cost(0.0)


async def test_input_alone_may_be_too_dear():
    cards = (card("small", price=Price(1000.0, 0.0)),)
    bench = Bench({"small": [say("ok")]}, cards=cards)
    with pytest.raises(BudgetExceeded):
        await bench.run(purse=Purse(0.01), decision=decide(cards=cards))


async def test_an_unknown_price_stays_unknown_in_the_cost():
    cards = (card("small"),)
    bench = Bench({"small": [say("ok")]}, cards=cards)
    accepted = await bench.run(purse=Purse(1.0, allow_unknown=True), decision=decide(cards=cards))
    assert accepted.cost == Cost(None)


async def test_an_unknown_price_is_not_attempted_under_a_cap():
    cards = (card("small"),)
    bench = Bench({"small": [say("ok")]}, cards=cards)
    with pytest.raises(BudgetExceeded, match="'small' has no known price"):
        await bench.run(purse=Purse(1.0), decision=decide(cards=cards))


async def test_a_refused_request_costs_nothing_and_a_cut_one_is_estimated():
    bench = Bench({"small": [error(500), Served([frame({"content": "half"}), CUT])], "twin": [say("ok")]})
    purse = Purse(1.0)
    accepted = await bench.run(purse=purse)
    refused, cut, good = (one.cost for one in accepted.attempts)
    assert refused == Cost(0.0)
    assert cut.estimated
    assert 0 < cut.usd < good.usd
    assert accepted.cost == Cost(pytest.approx(cut.usd + good.usd), estimated=True)
    assert purse.spent == pytest.approx(accepted.cost.usd)
    assert purse.held == 0


async def test_a_reply_without_usage_is_estimated():
    bench = Bench({"small": [say("ok", usage=b"")]})
    accepted = await bench.run()
    assert accepted.reply.usage is None
    assert accepted.cost.estimated
    assert accepted.cost.usd > 0


LONG = "word " * 720  # 1,000 tokens: $0.002
BY_MODEL = {
    "text": [frame({"content": LONG})],
    "reasoning": [think(LONG)],
    "a call's arguments": call_tool("rows", LONG).pieces[:1],
}


@pytest.mark.parametrize("pieces", BY_MODEL.values(), ids=BY_MODEL)
async def test_whatever_a_cut_reply_had_written_is_paid_for_and_only_its_text_is_partial_text(pieces):
    purse = Purse(1.0)
    bench = Bench({"small": [Served([*pieces, CUT])], "twin": [say("ok")]})
    accepted = await bench.run(purse=purse)
    cut = accepted.attempts[0]
    assert (cut.usage, cut.cost.estimated) == (None, True)
    assert 2000e-6 <= cut.cost.usd < 2100e-6
    assert purse.spent == pytest.approx(accepted.cost.usd)
    assert bench.rows.ended[0].raw == (LONG if pieces is BY_MODEL["text"] else "")


@pytest.mark.parametrize("pieces", BY_MODEL.values(), ids=BY_MODEL)
async def test_whatever_a_cancelled_reply_had_written_is_paid_for(pieces):
    bench = Bench({"small": [Served([*pieces, SILENCE])]})
    task = asyncio.create_task(bench.dispatcher.complete(bench.call()))
    await asyncio.wait_for(bench.transport.waiting.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = bench.rows.ended
    assert (row.trigger, row.usage, row.cost.estimated) == (None, None, True)
    assert 2000e-6 <= row.cost.usd < 2100e-6


async def test_a_reply_without_usage_is_charged_for_its_reasoning_too():
    bench = Bench({"small": [Served([think(LONG), *say("ok", usage=b"").pieces])]})
    accepted = await bench.run()
    assert accepted.cost.estimated
    assert 2000e-6 <= accepted.cost.usd < 2100e-6


async def test_a_body_that_is_cut_is_paid_for_as_far_as_it_came():
    json_body = {"content-type": "application/json"}
    bench = Bench({"small": [Served([LONG.encode(), CUT], headers=json_body)], "twin": [say("ok")]})
    accepted = await bench.run()
    cut = accepted.attempts[0].cost
    assert cut.estimated
    assert 2000e-6 <= cut.usd < 2100e-6


async def test_what_the_provider_had_counted_before_a_cut_is_paid_where_it_is_more_than_we_count():
    counted = {"prompt_tokens": 3000, "completion_tokens": 500}
    pieces = [frame({"content": "half"}, usage=counted), CUT]
    bench = Bench({"small": [Served(pieces)], "twin": [say("ok")]})
    accepted = await bench.run()
    cut = accepted.attempts[0]
    assert (cut.usage, cut.cost) == (None, Cost(pytest.approx(4000e-6), estimated=True))


async def test_a_count_that_is_final_is_the_cost_though_the_reply_is_none():
    counted = {"prompt_tokens": 3000, "completion_tokens": 500}
    stopped = frame({"content": "half"}, finish="malformed_response", usage=counted)
    bench = Bench({"small": [Served([stopped])], "twin": [say("ok")]})
    accepted = await bench.run()
    refused = accepted.attempts[0]
    assert (refused.trigger, refused.cost) == (Trigger.bad_reply, Cost(pytest.approx(4000e-6)))
    assert refused.usage == bench.rows.ended[0].usage == Usage(3000, 500)


async def test_a_count_that_is_final_is_the_cost_of_a_reply_that_is_left_before_its_connection_ends():
    pieces = [*say("ok").pieces, SILENCE]
    bench = Bench({"small": [Served(pieces)]})
    task = asyncio.create_task(bench.dispatcher.complete(bench.call()))
    await asyncio.wait_for(bench.transport.waiting.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = bench.rows.ended
    assert (row.usage, row.cost) == (Usage(100, 10), Cost(pytest.approx(120e-6)))


async def test_a_hundred_concurrent_calls_never_exceed_the_cap_and_use_what_is_refunded():
    purse = Purse(0.03)
    most = 0.0

    def watch(_):
        nonlocal most
        most = max(most, purse.spent + purse.held)
        return say("ok")

    benches = [Bench({"small": [watch]}) for _ in range(100)]
    await asyncio.gather(*(bench.run(purse=purse) for bench in benches))
    assert most <= 0.03 + 1e-9
    assert purse.spent == pytest.approx(100 * 120e-6)


async def test_waiting_for_money_ends_at_the_deadline():
    purse = Purse(0.01)
    purse.reserve(0.01)
    with pytest.raises(DeadlineExceeded, match="other attempts held the money"):
        await Bench({"small": [say("ok")]}).run(purse=purse, deadline=0.01)


async def test_a_cancelled_attempt_gives_its_reservation_back():
    purse = Purse(0.02)
    bench = Bench({"small": [SILENCE]})
    task = asyncio.create_task(bench.run(purse=purse))
    await bench.transport.waiting.wait()
    assert purse.held > 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert purse.held == 0


@pytest.mark.parametrize(
    ("part", "least", "most"),
    [
        (Text("四" * 100), 100, 1_000),
        (Image("image/png", data="A" * 50_000), 4_096, 4_500),
        (Image("image/png", url="http://x.invalid/a.png"), 4_096, 4_500),
        (Document("application/pdf", url="http://x.invalid/a.pdf"), 100_000, 100_000),
        (Document("application/pdf", data="A" * 5_000), 5_000, 6_000),
        (Text("x" * 200_000), 100_000, 100_000),
    ],
)
@pytest.mark.parametrize("sees", [True, False])
def test_the_input_bound_is_a_bound(part, least, most, sees):
    one = card("small", window=100_000, capabilities=Capabilities(images=sees, documents=True))
    request = Request((Message("user", (part,)),))
    assert least <= input_bound(codec("openai-chat").encode(request, one), request, one) <= most


def test_images_in_tool_results_count():
    one = card("small", window=100_000)
    result = ToolResult("c1", "look", (Image("image/png", url="http://x.invalid/a.png"),))
    request = Request((Message("tool", (result,)),))
    assert input_bound(codec("openai-chat").encode(request, one), request, one) >= 4_096
