"""Which models may serve a step, and what is expected of them."""

from dataclasses import replace

import pytest

from orchestra.fleet import Fleet, gate, revise
from orchestra.types import (
    Candidate,
    Capabilities,
    Match,
    ModelCard,
    Price,
    Reason,
    Settings,
    Step,
    StepContext,
    StepRule,
    to_json,
)

CARD = ModelCard("a", "m", "p", "openai-chat", "efficient", price=Price(1.0, 2.0), speed=10.0, prompt_speed=100.0)
CONTEXT = StepContext(Step("s"), tokens=1_000, output_tokens=100)


def refusals(card: ModelCard, context: StepContext) -> list[tuple[str, str]]:
    return [(one.gate, one.text) for one in gate(Fleet.from_cards([card]), context)[1]]


def only(card: ModelCard, context: StepContext) -> Candidate:
    (candidate,), rejections = gate(Fleet.from_cards([card]), context)
    assert rejections == ()
    return candidate


def test_a_model_without_a_tag_the_data_demands_is_refused():
    assert refusals(replace(CARD, tags=("zdr",)), replace(CONTEXT, data_tags=("zdr", "HIPAA"))) == [
        ("tags", "the data demands 'HIPAA', its tags and regions are: zdr")
    ]
    assert refusals(CARD, replace(CONTEXT, data_tags=("eu",)))[0][1].endswith("are: none")


def test_tags_and_regions_count_alike_whatever_their_case():
    card = replace(CARD, tags=("hipaa",), regions=("EU",))
    assert refusals(card, replace(CONTEXT, data_tags=("HIPAA", "eu"))) == []


def test_a_model_past_its_end_is_refused_where_today_is_known():
    card = replace(CARD, deprecated="2026-06-01")
    assert refusals(card, replace(CONTEXT, signals={"today": "2026-06-01"})) == [
        ("deprecated", "deprecated on 2026-06-01, today is 2026-06-01")
    ]
    assert refusals(card, replace(CONTEXT, signals={"today": "2026-05-31"})) == []
    assert refusals(CARD, replace(CONTEXT, signals={"today": "2026-05-31"})) == []
    assert only(card, CONTEXT).reasons == (Reason("fleet", "deprecated on 2026-06-01"),)


def test_a_model_in_whose_dialect_a_tool_cannot_be_declared_is_refused_with_the_reason():
    unsaid = replace(CONTEXT, signals={"inexpressible": {"openai-chat": "tool 'x': its schema is no JSON"}})
    assert refusals(CARD, unsaid) == [("dialect", "tool 'x': its schema is no JSON")]
    assert refusals(replace(CARD, dialect="anthropic"), unsaid) == []
    assert refusals(replace(CARD, capabilities=Capabilities(tools="json")), unsaid) == []


def test_one_fleet_is_asked_anew_by_every_step_that_demands_something_else():
    fleet = Fleet.from_cards([replace(CARD, deprecated="2026-06-01", capabilities=Capabilities(tools="none"))])
    steps = (
        CONTEXT,
        replace(CONTEXT, data_tags=("eu",)),
        replace(CONTEXT, signals={"today": "2026-05-31"}),
        replace(CONTEXT, signals={"today": "2026-06-01"}),
        replace(CONTEXT, tools=("rows",)),
        replace(CONTEXT, modalities=("text", "image")),
    )
    refused = [[one.gate for one in gate(fleet, step)[1]] for step in (*steps, *steps)]
    assert refused == [[], ["tags"], [], ["deprecated"], ["capability"], ["capability"]] * 2


def test_tags_may_come_as_a_list():
    assert refusals(CARD, replace(CONTEXT, data_tags=["eu"])) == refusals(CARD, replace(CONTEXT, data_tags=("eu",)))


@pytest.mark.parametrize(
    ("context", "capabilities", "missing"),
    [
        (replace(CONTEXT, tools=("rows",)), Capabilities(tools="none"), "tools"),
        (replace(CONTEXT, structured=True), Capabilities(structured_output=False), "structured output"),
        (replace(CONTEXT, modalities=("text", "image")), Capabilities(), "image"),
        (replace(CONTEXT, modalities=("text", "document")), Capabilities(), "document"),
        (replace(CONTEXT, modalities=("audio",)), Capabilities(images=True, documents=True), "audio"),
    ],
)
def test_a_model_that_cannot_do_what_the_step_needs_is_refused(context, capabilities, missing):
    text = f"the step needs {missing}, which it cannot do"
    assert refusals(replace(CARD, capabilities=capabilities), context) == [("capability", text)]
    able = Capabilities(tools="json", images=True, documents=True)
    assert missing == "audio" or refusals(replace(CARD, capabilities=able), context) == []


def test_a_window_must_hold_the_context_and_the_answer():
    assert refusals(replace(CARD, window=1_100), CONTEXT) == []
    assert refusals(replace(CARD, window=1_099), CONTEXT) == [
        ("window", "1,000 tokens in context and 100 to write exceed its window of 1,099")
    ]
    assert refusals(replace(CARD, window=1_050, max_output=50), CONTEXT) == []
    assert refusals(replace(CARD, window=1_511), replace(CONTEXT, output_tokens=None))[0][0] == "window"


def test_a_call_that_may_cost_more_than_is_left_is_refused():
    assert refusals(CARD, replace(CONTEXT, money_left=0.0012)) == []
    assert refusals(CARD, replace(CONTEXT, money_left=0.00119)) == [
        ("money", "may cost up to $0.001200, $0.001190 is left")
    ]
    assert refusals(replace(CARD, price=Price(0.0, 0.0)), replace(CONTEXT, money_left=0.0)) == []


def test_where_nobody_says_how_much_is_written_the_money_must_pay_a_usual_answer_of_one_model_or_64_tokens():
    dear = replace(CARD, name="dear", price=Price(2.0, 4.0))
    fleet, context = Fleet.from_cards([CARD, dear]), replace(CONTEXT, output_tokens=None)
    for left, names in ((0.004048, ["a", "dear"]), (0.004, ["a"]), (0.002, ["a"]), (0.001128, ["a"]), (0.00112, [])):
        candidates, rejections = gate(fleet, replace(context, money_left=left))
        assert sorted(one.card.name for one in candidates) == names
        assert {one.gate for one in rejections} <= {"money"}


def test_an_unknown_price_under_a_cap_is_refused_unless_allowed():
    card = replace(CARD, price=None)
    assert refusals(card, CONTEXT) == []
    assert refusals(card, replace(CONTEXT, money_left=1.0))[0][1].startswith("its price is unknown and money is capped")
    assert refusals(card, replace(CONTEXT, money_left=1.0, allow_unknown_price=True)) == []


def test_compliance_speaks_before_money():
    card = replace(CARD, window=1, capabilities=Capabilities(tools="none"), deprecated="2020-01-01")
    context = replace(CONTEXT, data_tags=("eu",), tools=("t",), money_left=0.0, signals={"today": "2026-01-01"})
    assert [name for name, _ in refusals(card, context)] == ["tags"]
    card, context = replace(card, regions=("eu",)), replace(context, signals={})
    assert [name for name, _ in refusals(card, context)] == ["capability"]
    assert [name for name, _ in refusals(card, replace(context, tools=()))] == ["window"]


def test_estimates_follow_price_and_speed_and_say_where_they_come_from():
    candidate = only(replace(CARD, sources={"price": "fleet.toml", "speed": "built-in"}), CONTEXT)
    assert candidate.cost == pytest.approx(1_000e-6 + 200e-6)
    assert candidate.latency == pytest.approx(1_000 / 100 + 100 / 10)
    assert candidate.quality == pytest.approx(0.7)
    assert candidate.sources == {
        "quality": "tier", "cost": "fleet.toml", "latency": "built-in and card", "health": "not measured",
    }  # fmt: skip


def test_what_is_unknown_says_so_and_the_tier_stands_in_for_quality():
    card = replace(CARD, price=None, speed=None, prompt_speed=None, tier="frontier")
    candidate = only(card, replace(CONTEXT, output_tokens=None))
    assert (candidate.cost, candidate.rank) == (None, 2)
    assert candidate.quality == pytest.approx(0.9)
    assert candidate.latency == pytest.approx(1_000 / 2_000 + 512 / 60)
    assert candidate.sources["cost"] == "unknown price"
    assert candidate.sources["latency"] == "default speed"
    assert only(replace(CARD, quality=0.42), CONTEXT).quality == 0.42


def test_one_tier_alone_is_the_lowest():
    (candidate,), _ = gate(Fleet.from_cards([replace(CARD, tier="t")], tiers=("t",)), CONTEXT)
    assert candidate.quality == pytest.approx(0.7)


def test_the_current_model_reads_its_cached_tokens_cheaper_and_at_once():
    card = replace(CARD, price=Price(1.0, 2.0, 0.1))
    warm = only(card, replace(CONTEXT, current_model="a", cached_tokens=800))
    assert warm.cost == pytest.approx(200e-6 + 80e-6 + 200e-6)
    assert warm.latency == pytest.approx(2 + 10)
    assert only(card, replace(CONTEXT, current_model="b", cached_tokens=800)).cost == pytest.approx(1_200e-6)
    full = only(CARD, replace(CONTEXT, current_model="a", cached_tokens=9_999))
    assert full.cost == pytest.approx(1_200e-6)  # no cached price is known: no discount is assumed
    assert full.latency == pytest.approx(10)


def test_candidates_come_by_name_with_the_score_they_are_given():
    fleet = Fleet.from_cards([replace(CARD, name=name) for name in "cab"], rules=[StepRule(Match())])
    candidates, _ = gate(fleet, CONTEXT, lambda known, cost, latency, _: known.rank + (cost or 0) + latency)
    assert [one.card.name for one in candidates] == ["a", "b", "c"]
    assert candidates[0].score == pytest.approx(20.0012)
    assert gate(fleet, CONTEXT)[0][0].score == 0.0


def test_a_built_candidate_is_like_any_other():
    built = only(CARD, CONTEXT)
    plain = Candidate(CARD, 0, built.quality, built.cost, built.latency, sources=built.sources)
    assert built == plain
    assert to_json(built) == to_json(plain)
    with pytest.raises(AttributeError):
        built.score = 1.0


def test_revise_replaces_what_is_given_and_leaves_the_original():
    built = only(CARD, CONTEXT)
    why = Reason("p", "so")
    assert revise(built) == built
    changes = {"score": 0.0, "preference": 3.0, "settings": Settings(7), "escalate": ("x",), "rejected": why}
    assert revise(built, why, **changes) == replace(built, reasons=(why,), **changes)
    assert built.reasons == ()
    then = Reason("q", "too")
    assert revise(revise(built, why), then).reasons == (why, then)
