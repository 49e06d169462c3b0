"""The comparison: honest about what it is made of, silent where there is nothing to say."""

from __future__ import annotations

import pytest

from orchestra.ledger import AttemptEnded, Decided, Event, Judged, Ledger, Row, compare
from orchestra.types import (
    Action,
    Cost,
    Decision,
    ModelCard,
    Price,
    Rejection,
    Step,
    StepContext,
    Trigger,
    Usage,
    from_json,
    to_json,
)
from tests.ledger.stories import SMALL, STRONG, Story, call_story, card, write

FREE = {"small": SMALL, "strong": STRONG}


def rows_of(story: Story) -> list[Row]:
    return write(Ledger(None), "run", story)


def reply(
    name: str,
    model: str,
    usage: Usage | None,
    *,
    usd: float | None = 0.0,
    refused: bool = False,
    seconds: float = 1.0,
    first: float | None = None,
) -> Story:
    ended = AttemptEnded(name, model, usage=usage, cost=Cost(usd), seconds=seconds, first_token=first)
    judged = Judged(name, model, Trigger.bad_output, action=Action.escalate) if refused else Judged(name, model)
    events: list[Event] = [ended, judged]
    return [("s", event) for event in events]


def test_free_local_models_are_compared_in_seconds_and_tokens_by_the_runs_own_pace(rows: list[Row]) -> None:
    found = compare(rows, FREE)
    assert (found.actual.usd, found.actual.seconds, found.actual.input, found.actual.output) == (0.0, 15.8, 890, 122)
    assert found.actual.estimated is False
    assert found.cheapest is not None
    assert found.strongest is not None
    # accepted: 300+200+240+50 in, 60+20+20+12 out; small read 150 in 0.7 s and wrote 22 in 1.1 s
    assert (found.cheapest.model, found.cheapest.input, found.cheapest.output) == ("small", 790, 112)
    assert found.cheapest.seconds == pytest.approx(790 / (150 / 0.7) + 112 / (22 / 1.1))
    assert found.strongest.model == "strong"
    assert found.strongest.seconds == pytest.approx(790 / (740 / 6.0) + 112 / (100 / 8.0))
    assert "its pace in this run, 123 tokens/s read and 12 written" in found.strongest.method
    assert found.findings[1] == (
        "Compared with always 'strong' (estimate): free either way; "
        "model time 15.8 s against 15.4 s, 3 % more; tokens 1,012 against 902, 12 % more."
    )


def test_of_free_models_the_lower_tier_is_the_cheaper_and_then_the_quicker() -> None:
    quick = card("quick", speed=900.0, prompt_speed=900.0)
    work = rows_of(reply("a", "small", Usage(100, 10), seconds=90.0, first=1.0))
    for fleet, cheapest in ((FREE, "small"), (FREE | {"quick": quick}, "quick")):
        found = compare(work, fleet).cheapest
        assert found is not None
        assert found.model == cheapest


def test_money_is_list_price_times_measured_tokens() -> None:
    cheap, dear = card("cheap", price=Price(1.0, 2.0)), card("dear", "frontier", Price(10.0, 20.0, cached_input=1.0))
    story = [
        *reply("a", "cheap", Usage(9, 9), usd=0.002, refused=True),
        *reply("b", "dear", Usage(1000, 100, 500), usd=0.01),
    ]
    found = compare(rows_of(story), {"cheap": cheap, "dear": dear})
    assert found.actual.usd == pytest.approx(0.012)
    assert found.cheapest is not None
    assert (found.cheapest.model, found.cheapest.usd) == ("cheap", pytest.approx(0.0012))
    assert found.strongest is not None
    assert (found.strongest.model, found.strongest.usd) == ("dear", pytest.approx(0.0075))
    assert "money $0.012 against $0.0075, 60 % more" in found.findings[1]
    assert "model time unknown" in found.findings[1]
    assert all(one.estimated for one in (found.cheapest, found.strongest))


def test_a_methods_words_say_what_is_measured_and_what_is_left_out() -> None:
    known = compare(rows_of(reply("a", "small", Usage(10, 5))), {"small": SMALL, "strong": STRONG})
    assert known.strongest is not None
    assert known.strongest.method == (
        "estimate: each of the run's accepted replies (1) written once by 'strong', with the tokens measured; "
        "its list price times those tokens; its card's pace, 160 tokens/s read and 16 written; "
        "replies of its own that might be refused are not counted"
    )
    assert known.strongest.seconds == pytest.approx(10 / 160 + 5 / 16)
    assert known.actual.method.startswith("measured")


def test_cached_tokens_need_no_reading() -> None:
    story = reply("a", "small", Usage(100, 10, cached_input=60), seconds=3.0, first=1.0)
    found = compare(rows_of(story), {"small": SMALL, "strong": STRONG})
    assert found.strongest is not None
    assert found.strongest.seconds == pytest.approx(40 / 160 + 10 / 16)
    assert found.cheapest is not None
    assert "40 tokens/s read and 5 written" in found.cheapest.method


def test_an_unknown_price_stays_unknown_and_is_never_the_cheapest() -> None:
    secret, paid = card("secret", price=None), card("paid", "frontier", Price(3.0, 9.0))
    found = compare(rows_of(reply("a", "secret", Usage(10, 5), usd=None)), {"secret": secret, "paid": paid})
    assert found.cheapest is not None
    assert found.cheapest.model == "paid"
    assert found.actual.usd is None
    assert "money unknown" in found.findings[0]
    assert found.findings[-1] == "Unknown prices: secret; what they cost is not estimated."
    alone = compare(rows_of(reply("a", "x", Usage(10, 5))), {"secret": secret}).cheapest
    assert alone is not None
    assert (alone.usd, alone.seconds) == (None, None)
    assert "its price is unknown, so is the cost; its speed is unknown" in alone.method


@pytest.mark.parametrize(
    ("story", "words"),
    [
        ([], "No reply was accepted"),
        (reply("a", "small", Usage(5, 5), refused=True), "No reply was accepted"),
        (call_story(metered=False), "came with its token counts"),
    ],
)
def test_nothing_is_claimed_from_nothing(story: Story, words: str) -> None:
    found = compare(rows_of(story), FREE)
    assert (found.cheapest, found.strongest) == (None, None)
    assert len(found.findings) == 1
    assert words in found.findings[0]


def test_a_run_that_was_one_model_throughout_is_not_compared_with_itself() -> None:
    found = compare(rows_of(reply("a", "strong", Usage(100, 10), seconds=2.0, first=1.0)), FREE)
    assert found.findings[1] == "This run was always 'strong' already."
    refused = [*reply("a", "strong", Usage(9, 9), refused=True), *reply("b", "strong", Usage(9, 9))]
    assert "Compared with always 'strong'" in compare(rows_of(refused), FREE).findings[1]


def test_a_fleet_of_one_model_is_named_once() -> None:
    found = compare(rows_of(reply("a", "other", Usage(100, 10))), {"small": SMALL})
    assert found.cheapest == found.strongest
    assert len(found.findings) == 1


def test_a_model_that_no_gate_let_serve_every_step_is_no_alternative() -> None:
    def barred(gate: str) -> list[Row]:
        refusal = Rejection("strong", gate, "…")
        decided = Decided(StepContext(Step("s")), Decision("small", "efficient", "cost", rejections=(refusal,)))
        return rows_of([("s", decided), *reply("a", "small", Usage(100, 10))])

    for gate, strongest in (("tags", "small"), ("window", "small"), ("money", "strong"), ("step", "strong")):
        found = compare(barred(gate), FREE)
        assert found.strongest is not None
        assert found.strongest.model == strongest
    nobody = compare(barred("tags"), {"strong": STRONG})
    assert (nobody.cheapest, nobody.strongest) == (None, None)
    assert nobody.findings == ("No model of the fleet could have served every step: there is nothing to compare.",)


def test_tiers_of_a_fleets_own_rank_as_its_decisions_ranked_them(rows: list[Row]) -> None:
    fleet = {
        "small": ModelCard("small", "m", "p", "d", "zeta", price=Price(0, 0)),
        "strong": ModelCard("strong", "m", "p", "d", "alpha", price=Price(0, 0)),
    }
    found = compare(rows, fleet).strongest
    assert found is not None
    assert found.model == "strong"


def test_nothing_in_percent_is_said_against_zero() -> None:
    story = reply("a", "dear", Usage(10, 5), usd=0.5)
    found = compare(rows_of(story), {"small": SMALL, "strong": STRONG})
    assert "money $0.5 against free;" in found.findings[0]


def test_equal_is_said_to_be_the_same() -> None:
    story = [*reply("a", "other", Usage(10, 5), seconds=1.0)]
    assert "tokens 15 against 15, the same" in compare(rows_of(story), FREE).findings[0]


def test_a_comparison_is_a_plain_value(rows: list[Row]) -> None:
    found = compare(rows, FREE)
    assert from_json(type(found), to_json(found)) == found
