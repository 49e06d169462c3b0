"""Health as an input of routing: what was measured lowers a score, and says so."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.fleet import Fleet
from orchestra.routing import StepPolicy, decide, default_policies, explain
from orchestra.routing.modes import SCORERS, lost
from orchestra.types import ModelCard, Price, Step, StepContext

BASE = ModelCard("x", "x", "p", "openai-chat", "efficient", window=100_000, speed=50.0, prompt_speed=1_000.0)
CHEAP = replace(BASE, name="cheap", price=Price(0.1, 0.4))
DEAR = replace(BASE, name="dear", price=Price(10.0, 40.0))
FREE = replace(BASE, name="free", price=Price(0.0, 0.0))
TRIO = Fleet.from_cards([CHEAP, DEAR, FREE])
CONTEXT = StepContext(Step("s"), tokens=1_000, output_tokens=100)
SHARES = st.floats(0.0, 1.0)


def by_health(decision):
    return [reason.text for reason in decision.reasons if reason.policy == "health"]


def test_full_health_changes_nothing_but_the_source():
    plain = decide(TRIO, [], CONTEXT)
    well = decide(TRIO, [], CONTEXT, health=dict.fromkeys(TRIO.models, 1.0))
    assert replace(well, candidates=()) == replace(plain, candidates=())
    assert [one.score for one in well.candidates] == [one.score for one in plain.candidates]
    assert {one.sources["health"] for one in well.candidates} == {"measured"}
    assert {one.sources["health"] for one in plain.candidates} == {"not measured"}


@pytest.mark.parametrize("mode", ["quality", "balanced", "cost", "latency"])
def test_a_model_that_is_down_comes_last_whatever_the_mode_weighs(mode):
    decision = decide(TRIO, [], CONTEXT, mode=mode, health={"free": 0.0, "cheap": 0.9})
    assert decision.candidates[-1].card.name == "free"
    assert decision.candidates[-1].health == 0.0


@pytest.mark.parametrize("mode", ["balanced", "cost"])
def test_a_few_faults_do_not_outweigh_a_price_a_hundred_times_higher(mode):
    assert decide(TRIO, [], CONTEXT, mode=mode, health={"free": 0.95}).model == "free"


def test_the_reason_tells_who_fell_from_where_to_where():
    decision = decide(TRIO, [], CONTEXT, health={"free": 0.1, "cheap": 0.99, "gone": 0.0})
    assert [one.card.name for one in decision.candidates] == ["cheap", "dear", "free"]
    assert by_health(decision) == ["free falls from place 1 to 3, its health is 0.10"]


def test_health_that_leaves_the_order_as_it_is_gives_no_reason():
    assert by_health(decide(TRIO, [], CONTEXT, health={"dear": 0.1})) == []
    assert by_health(decide(TRIO, [], CONTEXT, health={"free": 0.99})) == []


def test_equals_stand_by_name_before_health_is_looked_at():
    twins = Fleet.from_cards([replace(CHEAP, name="a"), replace(CHEAP, name="b")])
    assert by_health(decide(twins, [], CONTEXT, health={"a": 0.9})) == ["a falls from place 1 to 2, its health is 0.90"]
    assert by_health(decide(twins, [], CONTEXT, health={"b": 0.9})) == []


def test_an_order_that_a_rule_names_beats_health():
    decision = decide(TRIO, [StepPolicy([{"prefer": ["free", "dear"]}])], CONTEXT, health={"free": 0.0})
    assert decision.model == "free"


def test_the_explanation_shows_the_health_of_who_has_not_all_of_it():
    text = explain(decide(TRIO, default_policies(TRIO), CONTEXT, health={"free": 0.25, "dear": 1.0}), CONTEXT)
    assert text.count("health 0.25 (measured)") == 1
    assert "health 1.00" not in text


@given(SHARES, SHARES, st.sampled_from(["quality", "balanced", "cost", "latency"]))
def test_a_healthier_model_never_scores_lower(one, other, mode):
    sick, well = sorted((one, other))
    score = SCORERS[mode]
    known = TRIO.facts[0]
    assert score(known, 0.01, 1.0, sick) <= score(known, 0.01, 1.0, well)
    assert score(known, 0.01, 1.0, 1.0) - score(known, 0.01, 1.0, sick) == pytest.approx(
        lost(mode, known.quality, sick)
    )
