"""ContextPolicy: every signal, shown by its effect."""

from dataclasses import replace

import pytest

from orchestra.errors import PolicyError
from orchestra.fleet import Fleet
from orchestra.routing import ContextPolicy, StepPolicy, decide
from orchestra.types import Capabilities, Earlier, Price, Step, StepContext, StepRule, Trigger, Upstream

HARD, EASY = Step("s", difficulty="hard"), Step("s", difficulty="easy")


def ups(count: int, **facts) -> tuple[Upstream, ...]:
    return tuple(Upstream(f"u{i}", "done", **facts) for i in range(count))


def failed(*steps: str, model: str = "small", trigger: Trigger = Trigger.malformed_args) -> tuple[Earlier, ...]:
    return tuple(Earlier(step, model, trigger) for step in steps)


def texts(decision) -> list[str]:
    return [reason.text for reason in decision.reasons if reason.policy == "context"]


def test_signals_are_told_in_one_order(fleet, context):
    context = replace(context, step=HARD, priority="high", tokens=32_000, upstream=ups(3), documents=3)
    seeing = [replace(card, window=100_000) for card in fleet.models.values()]
    told = texts(decide(Fleet.from_cards(seeing), [ContextPolicy()], context))
    words = ("calls the step hard", "priority is high", "tokens", "upstream results", "documents")
    assert [word in text for word, text in zip(words, told, strict=True)] == [True] * len(words)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"step": HARD}, "the planner calls the step hard"),
        ({"priority": "high"}, "its priority is high"),
        ({"tokens": 32_000}, "32,000 tokens in context"),
        ({"upstream": ups(3)}, "3 upstream results meet"),
        ({"upstream": (*ups(1, name="sum", digest="a"), *ups(1, name="sum", digest="b"))}, "results of 'sum' conflict"),
        ({"signals": {"conflict": True}}, "what upstream results say conflicts"),
        ({"upstream": (Upstream("u1", "failed"),)}, "upstream step 'u1' failed"),
        ({"upstream": (Upstream("u1", "skipped"),)}, "upstream step 'u1' skipped"),
        ({"modalities": ("text", "image")}, "there is more than text to read: image"),
        ({"documents": 3}, "3 documents in context"),
        ({"history": failed("a", "b")}, "models of the starting tier failed in 2 other steps of this run"),
    ],
)
def test_a_signal_raises_the_start_by_one_tier_and_says_why(fleet, context, change, why):
    seeing = [replace(card, capabilities=Capabilities(images=True)) for card in fleet.models.values()]
    decision = decide(Fleet.from_cards(seeing), [ContextPolicy()], replace(context, **change))
    assert decision.model == "middle"
    assert decision.ladder == ("large",)
    assert len(texts(decision)) == 1
    assert texts(decision)[0].startswith("raised a tier: ")
    assert texts(decision)[0].endswith(why)


@pytest.mark.parametrize(
    "change",
    [
        {"step": Step("s", difficulty="medium")},
        {"tokens": 31_999},
        {"upstream": ups(2)},
        {"upstream": ups(2, name="sum", digest="a")},
        {"upstream": (Upstream("u1", "done", name="a", digest="x"), Upstream("u2", "done", name="b", digest="y"))},
        {"upstream": (Upstream("u1", "done", name="a", digest="x"), Upstream("u2", "done", name="a"))},
        {"documents": 2},
        {"history": failed("a")},
        {"history": failed("a", "a", "a")},
        {"history": failed("a", "s")},
        {"history": failed("a", "b", model="middle")},
        {"history": (Earlier("a", "small"), Earlier("b", "small"))},
    ],
)
def test_below_its_threshold_a_signal_moves_nothing(fleet, context, change):
    decision = decide(fleet, [ContextPolicy()], replace(context, **change))
    assert (decision.model, texts(decision)) == ("small", [])


@pytest.mark.parametrize(
    ("threshold", "change"),
    [
        ({"long_context": 500}, {}),
        ({"fan_in": 1}, {"upstream": ups(1)}),
        ({"failures": 1}, {"history": failed("a")}),
        ({"documents": 1}, {"documents": 1}),
    ],
)
def test_thresholds_can_be_set(fleet, context, threshold, change):
    context = replace(context, **change)
    assert decide(fleet, [ContextPolicy()], context).model == "small"
    assert decide(fleet, [ContextPolicy(**threshold)], context).model == "middle"


@pytest.mark.parametrize("change", [{"step": EASY}, {"priority": "low"}])
def test_an_easy_step_or_low_priority_lowers_the_start(context, fleet, change):
    cards = [replace(card, price=Price(1, 1)) for card in fleet.models.values()]
    level = Fleet.from_cards(cards)
    assert decide(level, [ContextPolicy()], context).model == "large"
    decision = decide(level, [ContextPolicy()], replace(context, **change))
    assert (decision.model, decision.ladder) == ("middle", ("large",))
    assert texts(decision)[0].startswith("lowered a tier: ")


def test_mode_quality_is_not_lowered(fleet, context):
    decision = decide(fleet, [ContextPolicy()], replace(context, step=EASY, mode="quality"))
    assert (decision.model, texts(decision)) == ("large", [])


def test_the_lowest_tier_cannot_be_lowered_nor_the_highest_raised(fleet, context):
    assert texts(decide(fleet, [ContextPolicy()], replace(context, step=EASY))) == []
    assert texts(decide(fleet, [ContextPolicy()], replace(context, step=HARD, mode="quality"))) == []


def test_signals_add_up_cancel_and_move_one_tier_at_most(fleet, context):
    both = decide(fleet, [ContextPolicy()], replace(context, step=HARD, priority="high"))
    assert both.model == "middle"
    assert len(texts(both)) == 2
    assert decide(fleet, [ContextPolicy()], replace(context, step=HARD, priority="low")).model == "small"


def test_the_tier_of_a_rule_may_be_raised_and_is_never_lowered(fleet, context):
    policies = [StepPolicy([StepRule(tier="capable")]), ContextPolicy()]
    assert decide(fleet, policies, replace(context, step=HARD)).model == "large"
    assert decide(fleet, policies, replace(context, step=EASY)).model == "middle"


def test_a_model_that_a_rule_names_is_not_moved(fleet, context):
    policies = [StepPolicy([StepRule(prefer=("small",))]), ContextPolicy()]
    decision = decide(fleet, policies, replace(context, step=HARD, priority="high"))
    assert decision.model == "small"
    assert not any("raised" in reason.text for one in decision.candidates for reason in one.reasons)


def test_a_model_too_slow_for_the_deadline_sinks(fleet, context):
    slow = replace(fleet.models["small"], speed=1.0)
    fleet = Fleet.from_cards([slow, *(card for card in fleet.models.values() if card.name != "small")])
    assert decide(fleet, [ContextPolicy()], context, mode="cost").model == "small"
    decision = decide(fleet, [ContextPolicy()], replace(context, deadline=50.0), mode="cost")
    assert [one.card.name for one in decision.candidates] == ["middle", "large", "small"]
    assert decision.candidates[-1].reasons[0].text == "sinks: needs about 101.0 s, 50.0 s are left"


def test_where_none_meets_the_deadline_the_fastest_is_taken(fleet, context):
    cards = [replace(card, speed=1.0 + card.price.input) for card in fleet.models.values()]
    decision = decide(Fleet.from_cards(cards), [ContextPolicy()], replace(context, deadline=0.1), mode="cost")
    assert decision.model == "large"


def test_a_model_that_takes_a_large_share_of_the_money_left_sinks(fleet, context):
    assert decide(fleet, [ContextPolicy()], replace(context, money_left=1.0), mode="quality").model == "large"
    poor = replace(context, money_left=0.02)
    decision = decide(fleet, [ContextPolicy()], poor, mode="quality")
    assert decision.model == "middle"
    sunk = next(one for one in decision.candidates if one.card.name == "large")
    assert sunk.reasons[0].text == "sinks: $0.014000, over 25% of the $0.020000 left"
    assert decide(fleet, [ContextPolicy(money_share=0.9)], poor, mode="quality").model == "large"
    assert decide(fleet, [ContextPolicy(money_share=0.0001)], poor, mode="quality").model == "small"


def test_an_unknown_price_sinks_while_money_is_counted(fleet, context):
    dark = Fleet.from_cards(
        [*fleet.models.values(), replace(fleet.models["large"], name="dark", price=None, quality=1.0)]
    )
    allowed = replace(context, money_left=1.0, allow_unknown_price=True)
    decision = decide(dark, [ContextPolicy()], allowed, mode="quality")
    assert decision.candidates[-1].card.name == "dark"
    assert "sinks: cost unknown, over 25%" in decision.candidates[-1].reasons[0].text


def test_a_model_whose_provider_just_failed_sinks_until_it_succeeds(fleet, context):
    down = failed("a", trigger=Trigger.overloaded)
    decision = decide(fleet, [ContextPolicy()], replace(context, history=down))
    assert decision.model == "middle"
    assert decision.candidates[-1].reasons[0].text == "sinks: its last attempt in this run ended with overloaded"
    up = replace(context, history=(*down, Earlier("b", "small")))
    assert decide(fleet, [ContextPolicy()], up).model == "small"
    all_down = sum((failed("a", model=name, trigger=Trigger.timeout) for name in fleet.models), ())
    decision = decide(fleet, [ContextPolicy()], replace(context, history=all_down))
    assert (decision.model, texts(decision)) == ("small", [])


def test_a_limit_undoes_the_tier_of_a_rule_and_keeps_a_raise_away(fleet, context):
    tight = replace(context, money_left=0.003)
    policies = [StepPolicy([StepRule(tier="capable")]), ContextPolicy()]
    assert decide(fleet, policies, tight).model == "small"
    assert decide(fleet, [ContextPolicy()], replace(tight, step=HARD)).model == "small"


def test_a_limit_keeps_the_order_of_named_models(fleet, context):
    policies = [StepPolicy([StepRule(prefer=("large", "middle"))]), ContextPolicy()]
    decision = decide(fleet, policies, replace(context, money_left=0.02))
    assert [one.card.name for one in decision.candidates] == ["large", "middle", "small"]


@pytest.mark.parametrize("threshold", ["long_context", "fan_in", "failures", "documents", "money_share"])
def test_a_threshold_that_is_not_positive_is_refused(threshold):
    with pytest.raises(PolicyError, match=f"ContextPolicy: {threshold} must be positive, got 0"):
        ContextPolicy(**{threshold: 0})


def test_no_candidates_are_no_error():
    assert ContextPolicy()(StepContext(HARD), ()) == ()
