"""Money and token counts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.fleet import bound, cost, estimate, message_tokens
from orchestra.fleet.prices import in_words
from orchestra.types import (
    Cost,
    Document,
    Image,
    Message,
    Price,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)

PRICE = Price(1.0, 4.0, 0.1)
counts = st.integers(0, 10_000_000)


def test_cost_counts_cached_input_at_its_own_price():
    assert cost(PRICE, Usage(input=1_000_000, output=500_000, cached_input=400_000)).usd == pytest.approx(
        0.6 + 0.04 + 2.0
    )
    assert cost(Price(1.0, 4.0), Usage(input=1_000_000, cached_input=400_000)).usd == pytest.approx(1.0)


def test_what_is_written_to_the_cache_is_billed_at_its_own_price():
    usage = Usage(input=1_000_000, cached_input=400_000, cache_write=500_000)
    assert cost(Price(1.0, 4.0, 0.1, 1.25), usage).usd == pytest.approx(0.1 + 0.04 + 0.625)
    assert cost(PRICE, usage).usd == pytest.approx(0.6 + 0.04)
    assert cost(Price(1.0, 4.0, 0.1, 1.25), Usage(input=10, cache_write=99)).usd == pytest.approx(12.5e-6)


def test_a_bound_holds_where_all_input_is_written_to_the_cache():
    assert bound(Price(1.0, 4.0, 0.1, 1.25), 1_000_000, 0) == pytest.approx(1.25)
    assert not Price(0.0, 0.0, cache_write=1.0).free


def test_an_unknown_price_is_an_unknown_cost():
    assert cost(None, Usage(1, 1)) == Cost(None)
    assert cost(None, Usage(1, 1), estimated=True) == Cost(None, estimated=True)
    assert bound(None, 1, 1) is None


def test_a_sum_in_words_tells_free_from_unknown():
    assert [in_words(usd) for usd in (None, 0.0, 0.0012)] == ["cost unknown", "free", "$0.001200"]


def test_an_estimated_cost_says_so():
    assert cost(PRICE, Usage(), estimated=True) == Cost(0.0, estimated=True)


@settings(deadline=None)
@given(counts, counts, counts, counts, st.sampled_from([PRICE, Price(1.0, 4.0, 0.1, 1.25), Price(1.0, 4.0, 2.0, 0.5)]))
def test_no_call_costs_more_than_its_bound(read: int, written: int, cached: int, kept: int, price: Price):
    usage = Usage(input=read, output=written, cached_input=cached, cache_write=kept)
    assert 0 <= (cost(price, usage).usd or 0) <= (bound(price, read, written) or 0) * (1 + 1e-12)


def test_tokens_are_bytes_over_three_point_six_rounded_up():
    assert estimate("") == 0
    assert estimate("a") == 1
    assert estimate("a" * 36) == 10
    assert estimate("模型" * 6) == 10


@settings(deadline=None)
@given(st.text(), st.text())
def test_longer_text_never_has_fewer_tokens(one: str, other: str):
    assert estimate(one + other) >= max(estimate(one), estimate(other))


def test_a_lone_surrogate_is_counted_and_not_an_error():
    assert estimate("\ud800") == 1


def test_messages_count_every_part_and_the_tools():
    tool = ToolSpec("rows", "Run SQL", {"type": "object"})
    messages = [
        Message("user", (Text("a" * 36), Image("image/png", url="http://x"), Document("application/pdf", data="AA=="))),
        Message("assistant", (Reasoning("b" * 36), ToolCall("1", "rows", {"sql": "SELECT 1"}))),
        Message("assistant", (ToolCall("2", "rows", None, raw="c" * 36),)),
        Message("tool", (ToolResult("1", "rows", (Text("d" * 36),)),)),
    ]
    arguments = estimate('{"sql": "SELECT 1"}')
    said = 4 * 4 + 10 + 1_000 + 4_000 + (10 + 2 + arguments) + (2 + 10) + (2 + 10)
    assert message_tokens(messages) == said
    assert message_tokens(messages, [tool]) == said + estimate("rowsRun SQL") + estimate('{"type": "object"}')
    assert message_tokens([]) == 0
