"""decide: modes, ladder, siblings, reasons."""

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra import Orchestra
from orchestra.errors import NoCandidate, PolicyError
from orchestra.fleet import Fleet
from orchestra.routing import ContextPolicy, StepPolicy, decide, default_policies, explain
from orchestra.routing.modes import SCORERS, usual_cost
from orchestra.types import (
    Decision,
    Earlier,
    Match,
    ModelCard,
    Price,
    Reason,
    Rejection,
    Settings,
    Step,
    StepContext,
    StepRule,
    from_json,
    to_json,
)

BASE = ModelCard("x", "x", "p", "openai-chat", "efficient", window=100_000, speed=50.0, prompt_speed=1_000.0)


def chosen(fleet: Fleet, context: StepContext, **more) -> str:
    return decide(fleet, [], context, **more).model


def test_cost_takes_the_cheapest_quality_the_best_latency_the_fastest(context):
    fleet = Fleet.from_cards(
        [
            replace(BASE, name="cheap", price=Price(0.1, 0.1)),
            replace(BASE, name="good", tier="frontier", price=Price(10, 10)),
            replace(BASE, name="fast", tier="capable", price=Price(5, 5), speed=500.0),
        ]
    )
    assert chosen(fleet, context, mode="cost") == "cheap"
    assert chosen(fleet, context, mode="quality") == "good"
    assert chosen(fleet, context, mode="latency") == "fast"


def test_balanced_starts_low_where_a_tier_costs_more_than_twice_as_much(fleet, context):
    assert chosen(fleet, context) == "small"
    near = [replace(card, price=Price(1.0 + rank / 10, 1.0)) for rank, card in enumerate(fleet.models.values())]
    assert chosen(Fleet.from_cards(near), context) == "large"


def test_adding_a_model_never_reorders_the_others(fleet, context):
    before = [one.card.name for one in decide(fleet, [], context).candidates]
    more = replace(BASE, name="new", tier="frontier", price=Price(1_000, 1_000))
    after = decide(Fleet.from_cards([*fleet.models.values(), more]), [], context)
    assert [one.card.name for one in after.candidates if one.card.name != "new"] == before


@pytest.mark.parametrize("mode", list(SCORERS))
def test_a_dearer_or_slower_model_never_scores_higher(fleet, mode):
    known, score = fleet.facts[0], SCORERS[mode]
    costs = [score(known, cost, 1.0, 1.0) for cost in (0.0, 1e-6, 1e-3, 1.0, 100.0)]
    waits = [score(known, 0.01, seconds, 1.0) for seconds in (0.0, 0.1, 1.0, 60.0, 3_600.0)]
    assert costs == sorted(costs, reverse=True)
    assert waits == sorted(waits, reverse=True)


def test_an_unknown_price_comes_last_in_mode_cost_and_says_so(context):
    fleet = Fleet.from_cards([replace(BASE, name="a"), replace(BASE, name="b", tier="frontier", price=Price(900, 900))])
    decision = decide(fleet, [], context, mode="cost")
    assert [one.card.name for one in decision.candidates] == ["b", "a"]
    alone = decide(Fleet.from_cards([replace(BASE, name="a")]), [], context, mode="cost")
    assert alone.cost is None
    assert alone.reasons[-1].text.endswith("cost unknown, 3.0 s; no model of known price is left to come before it")


def test_an_unknown_price_is_ranked_as_usual_for_its_tier_elsewhere(fleet, context):
    unknown = Fleet.from_cards([replace(card, price=None) for card in fleet.models.values()])
    decision = decide(unknown, [], context)
    assert (decision.model, decision.cost) == ("small", None)
    assert decision.reasons[-1].text.endswith("cost unknown, 3.0 s; scored at a price usual for its tier")
    assert usual_cost(1) == 4 * usual_cost(0)


def test_the_mode_is_the_contexts_else_the_rules_else_the_arguments_else_the_fleets(fleet, context):
    policies = [StepPolicy([StepRule(Match(kind=("act",)), mode="quality")])]
    assert decide(fleet, policies, replace(context, mode="cost"), mode="latency").mode == "cost"
    assert decide(fleet, policies, context, mode="latency").mode == "quality"
    assert decide(fleet, policies, replace(context, step=Step("s", kind="x")), mode="latency").mode == "latency"
    assert decide(fleet, [], context).mode == "balanced"
    assert decide(Fleet.from_cards([BASE], mode="cost"), [], context).mode == "cost"


def test_a_mode_that_is_none_is_an_error_that_names_them_whoever_says_it(fleet, context):
    said = "mode 'cheap' is unknown; known: balanced, cost, latency, quality"
    for decided in (
        lambda: decide(fleet, [], context, mode="cheap"),
        lambda: decide(fleet, [], replace(context, mode="cheap")),
        lambda: decide(fleet, [StepPolicy([StepRule(mode="cheap")])], context),
        lambda: Orchestra(fleet, mode="cheap", ledger=None),
    ):
        with pytest.raises(PolicyError, match=said):
            decided()


def test_ties_go_by_name_in_whatever_order_the_cards_come(context):
    cards = [replace(BASE, name=name) for name in "cab"]
    for order in itertools.permutations(cards):
        decision = decide(Fleet.from_cards(order), default_policies(Fleet.from_cards(order)), context)
        assert (decision.model, decision.siblings) == ("a", ("b", "c"))


def test_the_ladder_holds_the_best_of_each_higher_tier_and_siblings_go_sideways_then_down(context):
    cards = [
        replace(BASE, name=f"{tier[0]}{price}", tier=tier, price=Price(price, price))
        for tier in ("efficient", "capable", "frontier")
        for price in (1, 2, 3)
    ]
    fleet = Fleet.from_cards(cards)
    decision = decide(fleet, [StepPolicy([StepRule(tier="capable")])], context)
    assert (decision.model, decision.tier) == ("c1", "capable")
    assert decision.ladder == ("f1",)
    assert decision.siblings == ("c2", "c3", "e1", "e2", "e3")
    assert decide(fleet, [StepPolicy([StepRule(tier="efficient")])], context).ladder == ("c1", "f1")
    top = decide(fleet, [StepPolicy([StepRule(tier="frontier")])], context)
    assert top.siblings == ("f2", "f3", "c1", "c2", "c3", "e1", "e2", "e3")
    assert top.ladder == ()


@pytest.mark.parametrize(
    ("escalate", "ladder"),
    [
        (("frontier",), ("large",)),
        (("capable", "frontier"), ("middle", "large")),
        (("frontier", "capable"), ("large", "middle")),
        (("large", "frontier", "large"), ("large",)),
        (("small", "efficient", "middle"), ("middle",)),
    ],
)
def test_escalate_orders_the_ladder_by_tiers_and_names(fleet, context, escalate, ladder):
    decision = decide(fleet, [StepPolicy([StepRule(escalate=escalate)])], context)
    assert (decision.model, decision.ladder) == ("small", ladder)


def test_an_escalation_order_skips_a_model_that_was_refused(fleet, context):
    models = [replace(card, window=1_000) if card.name == "middle" else card for card in fleet.models.values()]
    policies = [StepPolicy([StepRule(escalate=("middle", "frontier"))])]
    assert decide(Fleet.from_cards(models), policies, context).ladder == ("large",)


def test_the_decision_carries_expectations_settings_and_reasons(fleet, context):
    rule = StepRule(tier="capable", max_tokens=800, reasoning_effort="low")
    decision = decide(fleet, [StepPolicy([rule])], context)
    assert decision.cost == pytest.approx(0.0014)
    assert decision.latency == pytest.approx(3.0)
    assert decision.quality == pytest.approx(0.8)
    assert decision.settings == Settings(800, "low")
    assert decision.reasons[0] == Reason("step", "rule 1 starts the step at tier capable")
    assert decision.reasons[1].policy == "mode"
    assert decision.reasons[1].text.startswith("balanced: score ")
    assert decision.reasons[1].text.endswith(" from quality 0.80, $0.001400, 3.0 s")


def test_no_candidate_left_raises_with_every_rejection(fleet, context):
    with pytest.raises(NoCandidate) as caught:
        decide(fleet, default_policies(fleet), replace(context, data_tags=("eu",), step=Step("s", name="sum")))
    assert [one.model for one in caught.value.rejections] == ["large", "middle", "small"]
    assert str(caught.value).startswith("no model of the fleet may serve step 'sum':\n  large: the data demands 'eu'")


def test_refused_models_stand_in_the_decision(fleet, context):
    decision = decide(fleet, [], replace(context, money_left=0.002))
    assert decision.rejections == (Rejection("large", "money", "may cost up to $0.014000, $0.002000 is left"),)
    assert [one.card.name for one in decision.candidates] == ["small", "middle"]


def test_a_switch_is_weighed_against_the_prompt_cache_it_loses():
    fleet = Fleet.from_cards(
        [
            replace(BASE, name="here", price=Price(1.0, 4.0, 0.1)),
            replace(BASE, name="there", price=Price(0.9, 4.0, 0.1)),
        ]
    )
    context = StepContext(Step("s"), tokens=20_000, output_tokens=100, current_model="here")
    moved = decide(fleet, [], replace(context, cached_tokens=100))
    assert moved.model == "there"
    assert moved.reasons[-1] == Reason("cache", "switching from here loses 100 cached tokens, and still ranks higher")
    stayed = decide(fleet, [], replace(context, cached_tokens=19_000))
    assert stayed.model == "here"
    assert stayed.reasons[-1].text == "staying on here keeps 19,000 cached tokens, counted in its cost and latency"
    gone = decide(fleet, [], replace(context, current_model="elsewhere", cached_tokens=19_000))
    assert [reason.policy for reason in gone.reasons] == ["mode"]


def test_a_step_keeps_its_model_unless_recovery_moves_it(fleet, context):
    begun = replace(context, current_model="large", history=(Earlier("s", "large"),))
    policies = [StepPolicy([StepRule(prefer=("small",))]), ContextPolicy()]
    decision = decide(fleet, policies, begun)
    assert decision.model == "large"
    assert decision.reasons[0].text == "the step has begun on it; only recovery moves a step"
    assert decide(fleet, policies, replace(begun, step=Step("next"))).model == "small"
    assert decide(fleet, policies, replace(begun, current_model=None)).model == "small"
    assert decide(fleet, policies, replace(begun, money_left=0.002)).model == "small"  # a gate still refuses


def test_the_embedded_fleet_executes_on_the_small_model_and_plans_on_the_strong_one():
    fleet = Fleet.embedded()
    policies = default_policies(fleet)
    for tokens in (50, 500, 3_000):
        step = decide(fleet, policies, StepContext(Step("s"), tokens=tokens, tools=("q",)))
        assert (step.model, step.ladder) == ("small", ("strong",))
    plan = decide(fleet, policies, StepContext(Step("p", kind="plan"), tokens=500))
    assert (plan.model, plan.siblings) == ("strong", ("small",))


def test_a_decision_survives_json(fleet, context):
    decision = decide(fleet, default_policies(fleet), context)
    assert from_json(Decision, to_json(decision)) == decision


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000), st.integers(0, 120_000), st.sampled_from(["quality", "balanced", "cost", "latency", None])
)
def test_same_inputs_same_decision_and_every_model_is_accounted_for(seed, tokens, mode):
    rng = random.Random(seed)
    cards = [
        replace(
            BASE,
            name=f"m{i}",
            tier=rng.choice(["efficient", "capable", "frontier"]),
            price=rng.choice([None, Price(0, 0), Price(rng.random(), rng.random())]),
            window=rng.choice([8_000, 200_000]),
        )
        for i in range(rng.randint(1, 9))
    ]
    fleet = Fleet.from_cards([*cards, replace(BASE, name="wide", window=10**6)])
    context = StepContext(Step("s", difficulty=rng.choice(["easy", None, "hard"])), tokens=tokens, mode=mode)
    decision = decide(fleet, default_policies(fleet), context)
    assert decision == decide(fleet, default_policies(fleet), context)
    ranked = {one.card.name for one in decision.candidates}
    assert ranked | {one.model for one in decision.rejections} == set(fleet.models)
    ladder, siblings = set(decision.ladder), set(decision.siblings)
    assert decision.model not in ladder | siblings
    assert all(fleet.rank(fleet.models[name].tier) > fleet.rank(decision.tier) for name in ladder)
    assert siblings == {
        name for name in ranked - {decision.model} if fleet.rank(fleet.models[name].tier) <= fleet.rank(decision.tier)
    }


def test_explain_tells_choice_reasons_numbers_and_refusals(fleet, context):
    rule = StepRule(prefer=("middle",), max_tokens=800, reasoning_effort="low")
    refused = replace(BASE, name="narrow", window=10)
    fleet = Fleet.from_cards([*fleet.models.values(), refused, replace(BASE, name="dark")], rules=[rule])
    text = explain(decide(fleet, default_policies(fleet), context), context)
    for line in (
        "step s (act): 1,000 tokens in context",
        "model middle (capable), mode balanced",
        "expected: quality 0.80, $0.001400, 3.0 s",
        "max tokens: 800",
        "reasoning effort: low",
        "  step: rule 1 prefers it, place 1 of 1",
        "  up: large",
        "  sideways: small → dark",
        "    step: rule 1 prefers it, place 1 of 1",
        "  narrow: 1,000 tokens in context and 100 to write exceed its window of 10 (window)",
    ):
        assert line in text.splitlines()
    assert "  middle (capable): score " in text
    assert ", preference +10; quality 0.80 (tier), $0.001400 (card), 3.0 s (card)" in text
    assert "cost unknown (unknown price)" in text


def test_explain_leaves_out_what_is_empty(context):
    lone = Fleet.from_cards([BASE])
    text = explain(decide(lone, [], context), context)
    assert "refused" not in text
    assert "  up: none" in text
    assert "max tokens" not in text
