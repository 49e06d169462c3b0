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


def test_an_unknown_price_is_an_unknown_cost():
    assert cost(None, Usage(1, 1)) == Cost(None)
    assert cost(None, Usage(1, 1), estimated=True) == Cost(None, estimated=True)
    assert bound(None, 1, 1) is None


def test_a_sum_in_words_tells_free_from_unknown():
    assert [in_words(usd) for usd in (None, 0.0, 0.0012)] == ["cost unknown", "free", "$0.001200"]


def test_an_estimated_cost_says_so():
    assert cost(PRICE, Usage(), estimated=True) == Cost(0.0, estimated=True)


@settings(deadline=None)
@given(counts, counts, counts)
def test_no_call_costs_more_than_its_bound(read: int, written: int, cached: int):
    usage = Usage(input=read, output=written, cached_input=cached)
    assert 0 <= (cost(PRICE, usage).usd or 0) <= (bound(PRICE, read, written) or 0) * (1 + 1e-12)


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
