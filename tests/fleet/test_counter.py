"""Token counts say where they come from, and get better as providers report."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.fleet.counter import HIGHEST, LOWEST, Asked, Count, Counter
from orchestra.fleet.tokens import message_tokens
from orchestra.types import Image, Message, ModelCard, Text, ToolCall, ToolSpec

CARD = ModelCard("mine", "m", "lab", "openai-chat", "efficient")
TALK = [Message.system("rules"), Message.user("x" * 3_600)]


class Words:
    framing = 7

    def count(self, text: str) -> int:
        return len(text.split())


def test_an_unknown_model_is_estimated():
    assert Counter().count(CARD, TALK) == Count(message_tokens(TALK), "estimate", message_tokens(TALK))
    assert Counter().count(CARD, []) == Count(0, "estimate", 0)


def test_a_tokenizer_at_hand_counts_texts_calls_and_declarations():
    counter = Counter(lambda card: Words() if card is CARD else None)
    messages = [
        Message("user", (Text("two words"), Image("image/png", data="aGk="))),
        Message("assistant", (ToolCall("1", "f", {"a": 1}), ToolCall("2", "g", None, raw="as it was written"))),
    ]
    counted = counter.count(CARD, messages, [ToolSpec("f", "does it", {"type": "object"})])
    assert (counted.tokens, counted.source) == (2 * 7 + 2 + 1_000 + (1 + 2) + (1 + 4) + (2 + 2) + 3, "tokenizer")
    assert counted.exact
    counter.learn(CARD, 100, 200)
    assert counter.count(CARD, messages[:1]).tokens == 7 + 2 + 1_000 + 3


def test_a_tokenizer_counts_what_is_sent():
    def doubled(card: ModelCard, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Asked:
        return [*messages, *messages], tools

    counter = Counter(lambda _: Words(), doubled)
    assert counter.count(CARD, TALK).tokens == 2 * Counter(lambda _: Words()).count(CARD, TALK).tokens - 3
    assert Counter(sent=doubled).count(CARD, TALK).tokens == message_tokens(TALK)


def test_three_reports_calibrate_a_model_and_no_other():
    counter = Counter()
    for _ in range(2):
        counter.learn(CARD, 1_000, 1_250)
    assert counter.count(CARD, TALK).source == "estimate"
    counter.learn(CARD, 1_000, 1_250)
    counted = counter.count(CARD, TALK)
    assert counted == Count(-(-message_tokens(TALK) * 5 // 4), "calibrated", message_tokens(TALK))
    assert not counted.exact
    other = ModelCard("mine", "other", "lab", "openai-chat", "efficient")
    assert counter.count(other, TALK).source == "estimate"


@pytest.mark.parametrize(("estimated", "reported"), [(0, 10), (10, 0), (-1, 10), (10, -1)])
def test_a_report_of_nothing_is_no_report(estimated: int, reported: int):
    counter = Counter()
    for _ in range(5):
        counter.learn(CARD, estimated, reported)
    assert counter.count(CARD, TALK).source == "estimate"


def test_one_absurd_report_moves_the_ratio_a_little_and_is_forgotten():
    counter = Counter()
    for _ in range(10):
        counter.learn(CARD, 1_000, 1_000)
    counter.learn(CARD, 1_000, 1_000_000)
    assert counter.count(CARD, TALK).tokens < 1.2 * message_tokens(TALK)
    for _ in range(40):
        counter.learn(CARD, 1_000, 1_000)
    assert counter.count(CARD, TALK).tokens < 1.01 * message_tokens(TALK)


def test_large_requests_weigh_more_since_small_ones_are_mostly_overhead():
    counter = Counter()
    for _ in range(3):
        counter.learn(CARD, 10, 20)
        counter.learn(CARD, 10_000, 10_000)
    assert counter.count(CARD, TALK).tokens == pytest.approx(message_tokens(TALK), rel=0.01)


@given(st.lists(st.tuples(st.integers(-5, 10**6), st.integers(-5, 10**9)), max_size=30))
def test_the_ratio_stays_within_its_bounds_whatever_is_reported(reports: list[tuple[int, int]]):
    counter = Counter()
    for estimated, reported in reports:
        counter.learn(CARD, estimated, reported)
    counted = counter.count(CARD, TALK)
    assert LOWEST * counted.estimate <= counted.tokens <= HIGHEST * counted.estimate + 1
