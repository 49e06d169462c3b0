"""StepPolicy: every match key, and what a rule gives."""

from dataclasses import replace

import pytest

from orchestra.errors import PolicyError
from orchestra.fleet import Fleet, gate
from orchestra.routing import ContextPolicy, StepPolicy, compose, decide, default_policies, fingerprint
from orchestra.types import Match, ModelCard, Settings, Step, StepContext, StepRule

BASE = ModelCard("x", "x", "p", "openai-chat", "efficient")
STEP = Step(
    "s1", kind="act", name="sum", tools=("rows",), tags=("legal", "eu"), metadata={"team": "ops", "n": 1, "flag": True}
)
CONTEXT = StepContext(STEP, text="Please Refactor the C++ parser.\n```py\nx\n```", tokens=100, tools=("chart",))


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        (Match(), True),
        (Match(kind=("plan", "act")), True),
        (Match(kind=("plan",)), False),
        (Match(name=("sum",)), True),
        (Match(name=("s1",)), False),
        (Match(tools=("rows", "other")), True),
        (Match(tools=("chart",)), True),
        (Match(tools=("other",)), False),
        (Match(tags=("eu",)), True),
        (Match(tags=("us",)), False),
        (Match(contains=("refactor",)), True),
        (Match(contains=("c++",)), True),
        (Match(contains=("nothing", "the c++")), True),
        (Match(contains=("factor",)), False),
        (Match(matches=(r"C\+\+", "zzz")), True),
        (Match(matches=("^refactor",)), False),
        (Match(metadata={"team": "ops"}), True),
        (Match(metadata={"team": "ops", "n": 2}), False),
        (Match(metadata={"absent": None}), False),
        (Match(metadata={"n": True}), False),
        (Match(metadata={"flag": True}), True),
        (Match(tokens_over=99), True),
        (Match(tokens_over=100), False),
        (Match(tokens_under=101), True),
        (Match(tokens_under=100), False),
        (Match(code=True), True),
        (Match(code=False), False),
        (Match(kind=("act",), tags=("eu",), tokens_over=99, contains=("parser",), code=True), True),
        (Match(kind=("act",), tags=("us",), tokens_over=99), False),
    ],
)
def test_a_rule_holds_where_every_key_it_has_holds(fleet, match, holds):
    decision = decide(fleet, [StepPolicy([StepRule(match, tier="frontier")])], CONTEXT)
    assert (decision.model == "large") is holds


def test_a_step_without_a_name_goes_by_its_id_and_without_text_by_its_goal(fleet):
    context = StepContext(Step("s1", goal="Überprüfe die Zahlen"))
    assert decide(fleet, [StepPolicy([StepRule(Match(name=("s1",)), tier="frontier")])], context).model == "large"
    rule = StepRule(Match(contains=("ÜBERPRÜFE",)), tier="frontier")
    assert decide(fleet, [StepPolicy([rule])], context).model == "large"


def test_rules_may_be_tables_as_in_the_file(fleet, context):
    policy = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}])
    assert policy.rules == (StepRule(Match(kind=("plan",)), tier="capable"),)
    assert decide(fleet, [policy], replace(context, step=Step("p", kind="plan"))).model == "middle"
    assert decide(fleet, [policy], context).model == "small"


def test_prefer_is_an_order_that_beats_the_mode_and_the_tier(fleet, context):
    rule = StepRule(tier="capable", prefer=("large", "small"))
    decision = decide(fleet, [StepPolicy([rule])], replace(context, mode="cost"))
    assert [one.card.name for one in decision.candidates] == ["large", "small", "middle"]
    without = Fleet.from_cards([card for card in fleet.models.values() if card.name != "small"])
    with pytest.raises(PolicyError, match="rule 1 prefers model 'small'; known: large, middle"):
        decide(without, [StepPolicy([rule])], context)


def test_a_preferred_model_that_a_gate_refuses_gives_way_to_the_next(fleet, context):
    cards = [replace(card, window=10) if card.name == "large" else card for card in fleet.models.values()]
    decision = decide(Fleet.from_cards(cards), [StepPolicy([StepRule(prefer=("large", "middle"))])], context)
    assert decision.model == "middle"
    assert decision.rejections[0].model == "large"


@pytest.mark.parametrize(("gone", "start"), [("capable", "large"), ("frontier", "middle")])
def test_a_tier_without_models_starts_at_the_nearest_above_else_below(fleet, context, gone, start):
    left = Fleet.from_cards([card for card in fleet.models.values() if card.tier != gone])
    decision = decide(left, [StepPolicy([StepRule(tier=gone)])], context)
    assert decision.model == start
    tier = left.models[start].tier
    text = f"rule 1 starts the step at tier {gone}; no model of it is left, {tier} is the nearest"
    assert decision.reasons[0].text == text


def test_the_first_rule_that_says_a_thing_wins_and_others_fill_in(fleet, context):
    rules = [
        StepRule(max_tokens=100),
        StepRule(tier="capable"),
        StepRule(prefer=("large",), max_tokens=900, reasoning_effort="high"),
        StepRule(escalate=("large",)),
    ]
    decision = decide(fleet, [StepPolicy(rules)], context)
    assert (decision.model, decision.ladder) == ("middle", ("large",))
    assert decision.settings == Settings(100, "high")
    assert decision.reasons[0].text == "rule 2 starts the step at tier capable"


def test_settings_of_two_policies_meet_and_the_later_one_wins(fleet, context):
    first = StepPolicy([StepRule(max_tokens=100, reasoning_effort="low")])
    second = StepPolicy([StepRule(max_tokens=200)])
    assert decide(fleet, [first, second], context).settings == Settings(200, "low")


def test_rules_that_do_not_match_return_the_very_candidates(fleet, context):
    candidates, _ = gate(fleet, context)
    assert StepPolicy([StepRule(Match(kind=("plan",)), tier="capable")])(context, candidates) is candidates
    assert StepPolicy([StepRule(tier="capable")])(context, ()) == ()


def test_a_tier_touches_only_its_own_models(fleet, context):
    candidates, _ = gate(fleet, context)
    large, middle, small = StepPolicy([StepRule(tier="capable")])(context, candidates)
    assert large is candidates[0]
    assert small is candidates[2]
    assert middle.preference == 1.0


def test_own_tiers_are_taken_from_the_fleet(context):
    cards = [replace(BASE, name="a", tier="tiny"), replace(BASE, name="b", tier="huge")]
    fleet = Fleet.from_cards(cards, tiers=("tiny", "mid", "huge"))
    policies = [StepPolicy([StepRule(tier="mid")])]
    assert decide(fleet, policies, context).model == "b"
    assert decide(fleet, [compose(*policies)], context).model == "b"


def test_a_policy_called_by_itself_leaves_a_tier_it_cannot_rank(fleet, context):
    candidates, _ = gate(fleet, context)
    assert [one.preference for one in StepPolicy([StepRule(tier="mid")])(context, candidates)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"match": {"knd": "plan"}}, "StepPolicy rule 2: rules.0.match has an unknown key 'knd'"),
        ({"tier": 3}, "StepPolicy rule 2: rules.0.tier is 3"),
        ("capable", "StepPolicy rule 2: rules.0 is 'capable'"),
        ({"match": {"matches": "("}}, "StepPolicy rule 2: rules.0.match.matches.0 is no regular expression"),
        ({"match": {"tools": []}}, "StepPolicy rule 2: rules.0.match.tools is an empty list; leave it out, or name"),
        (StepRule(Match(matches=("(",))), r"matches '\(' is no regular expression"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_when_the_policy_is_made(rule, said):
    with pytest.raises(PolicyError, match=said):
        StepPolicy([{"tier": "capable"}, rule])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"tier": "capble"}, "rule 1 names tier 'capble'; known: capable, efficient, frontier; did you mean 'capable'"),
        ({"prefer": "larg"}, "rule 1 prefers model 'larg'; known: large, middle, small; did you mean 'large'"),
        ({"escalate": "frontire"}, "rule 1 escalates to 'frontire'"),
    ],
)
def test_a_rule_that_does_not_fit_the_fleet_is_an_error_and_not_ignored(fleet, context, rule, said):
    with pytest.raises(PolicyError, match=said):
        decide(fleet, [StepPolicy([rule])], context)


def test_the_fleets_own_rules_are_the_default(fleet, context):
    ruled = Fleet.from_cards(fleet.models.values(), rules=[StepRule(tier="frontier")])
    assert decide(ruled, default_policies(ruled), context).model == "large"


def test_the_fingerprint_follows_rules_thresholds_and_order():
    step, other, ctx = StepPolicy([StepRule(tier="capable")]), StepPolicy(), ContextPolicy()
    policies = [[step, ctx], [ctx, step], [other, ctx], [step, ContextPolicy(fan_in=9)], [compose(step, ctx)], [print]]
    assert len({fingerprint(each) for each in policies}) == len(policies)
    assert fingerprint([StepPolicy([StepRule(tier="capable")]), ContextPolicy()]) == fingerprint([step, ctx])


def test_a_rule_that_does_not_match_hides_no_mode_of_a_later_one(fleet, context):
    rules = [StepRule(Match(name=("another",)), mode="quality"), StepRule(mode="cost"), StepRule(mode="latency")]
    assert decide(fleet, [StepPolicy(rules)], context).mode == "cost"
