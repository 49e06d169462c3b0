"""[[budgets]] of fleet.toml: what they match, and what they cannot name."""

import pytest

from orchestra.errors import FleetError
from orchestra.fleet import Fleet
from orchestra.types import Budget, Labels, ModelCard

MODEL = '[models.a]\nmodel = "m"\nbase_url = "http://127.0.0.1:1/v1"\nkeys = ["env:K"]\n'


def budgets(text):
    return Fleet.from_toml(MODEL + text).budgets


def test_budgets_are_read_in_order_with_one_value_or_several():
    text = """
[[budgets]]
match = { tenant = "acme", feature = ["search", "chat"], step = "plan", model = "a", key = "env:K" }
usd = 5
per = "day"
[[budgets]]
usd = 0.5
per = "run"
"""
    match = {"tenant": ("acme",), "feature": ("search", "chat"), "step": ("plan",), "model": ("a",), "key": ("K",)}
    assert budgets(text) == (Budget(5.0, "day", match), Budget(0.5, "run"))
    assert budgets("") == ()


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ('match = { key = "K" }\nusd = 1\nper = "day"', "match.key.0 a key is named, never written"),
        ('match = { model = "b" }\nusd = 1\nper = "day"', "fleet.toml: budget 1 names model 'b'; known: a"),
        ('match = { key = "env:L" }\nusd = 1\nper = "day"', "fleet.toml: budget 1 names key 'L'; known: K"),
        ('match = { tenant = [] }\nusd = 1\nper = "day"', "budgets.0.match.tenant is an empty list; leave it out"),
        (
            'match = { tenat = "x" }\nusd = 1\nper = "day"',
            "unknown key 'tenat'; known: feature, key, model, step, tenant",
        ),
        ('usd = 1\nper = "week"', "budgets.0.per is 'week'; known: day, hour, month, run"),
        ("usd = 1", "budgets.0.per is missing"),
        ('usd = -1\nper = "day"', "budgets.0.usd is -1"),
    ],
)
def test_a_budget_that_would_cap_nothing_is_refused(budget, said):
    with pytest.raises(FleetError) as caught:
        budgets(f"[[budgets]]\n{budget}")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (Budget(-1.0), "budget 1 has usd -1.0; give a number that is not negative"),
        (Budget(float("nan")), "budget 1 has usd nan;"),
        (Budget(1.0, "week"), "budget 1 is per 'week'; known: day, hour, month, run"),
        (Budget(1.0, match={"tennant": ("a",)}), "budget 1 matches 'tennant'; .*did you mean 'tenant'"),
        (
            Budget(1.0, match={"tenant": "acme"}),
            "budget 1 matches tenant 'acme'; give a tuple of the values that match",
        ),
        (Budget(1.0, match={"tenant": ()}), r"budget 1 matches tenant \(\); give a tuple"),
        (Budget("5"), "budget 1 has usd '5'; give a number that is not negative"),
        (Budget(None), "budget 1 has usd None; give a number"),
        (Budget(1.0, 7), "budget 1 is per 7; known: day, hour, month, run"),
        (Budget(1.0, match={"model": 5}), "budget 1 matches model 5; give a tuple of the values that match"),
        (Budget(1.0, match={"tenant": {"a": 1}}), r"budget 1 matches tenant \{'a': 1\}; give a tuple of the values"),
        (Budget(True), "budget 1 has usd True; give a number that is not negative"),
        (Budget(1.0, match={"model": ("a", 5)}), r"budget 1 matches model \('a', 5\); give a tuple"),
        (Budget(1.0, match={5: ("a",)}), "budget 1 matches 5; known: feature, key, model, step, tenant"),
        (Budget(1.0, match=None), "budget 1 matches None; give a mapping of labels to tuples"),
    ],
)
def test_a_budget_made_in_code_that_says_nonsense_is_refused_when_the_fleet_is_made(budget, said):
    card = Fleet.from_toml(MODEL).models["a"]
    with pytest.raises(FleetError, match=said):
        Fleet.from_cards([card], budgets=[budget])


def test_budgets_of_a_fleet_of_cards_are_checked_alike_and_are_no_part_of_what_decides():
    card = ModelCard("a", "m", "p", "openai-chat", "efficient")
    capped = Fleet.from_cards([card], budgets=[Budget(1.0)])
    assert capped.budgets == (Budget(1.0),)
    assert capped.fingerprint == Fleet.from_cards([card]).fingerprint
    with pytest.raises(FleetError, match="budget 1 names model 'b'; known: a"):
        Fleet.from_cards([card], budgets=[Budget(1.0, match={"model": ("b",)})])


@pytest.mark.parametrize(
    ("match", "labels", "account"),
    [
        ({}, Labels(), ()),
        ({"tenant": ("a", "b")}, Labels(tenant="b"), ()),
        ({"tenant": ("a",)}, Labels(tenant="b"), None),
        ({"tenant": ("a",)}, Labels(), None),
        ({"tenant": ("a",), "model": ("m",)}, Labels(tenant="a", model="n"), None),
        ({"tenant": ("*",)}, Labels(tenant="b"), ("b",)),
        ({"tenant": ("*",)}, Labels(), None),
        ({"tenant": ("*",), "feature": ("x",), "key": ("*",)}, Labels("r", "b", "x", "s", "m", "K"), ("b", "K")),
    ],
)
def test_a_budget_pays_for_what_matches_and_a_star_gives_each_value_an_account(match, labels, account):
    assert Budget(1.0, "day", match).account(labels) == account


def test_a_budget_says_what_it_is_for():
    assert str(Budget(5.0, "month")) == "$5 a month"
    match = {"tenant": ("*",), "feature": ("search", "chat")}
    assert str(Budget(0.5, "day", match)) == "$0.5 a day for each tenant and feature 'search' or 'chat'"


def test_limits_of_a_day_are_read_beside_those_of_a_minute():
    limits = (
        "[providers.openai]\nrequests_per_minute = 1\ntokens_per_minute = 2\nrequests_per_day = 3\ntokens_per_day = 4"
    )
    openai = Fleet.from_toml(f"[models.gpt-5]\n{limits}").providers["openai"]
    assert (openai.requests_per_minute, openai.tokens_per_minute) == (1, 2)
    assert (openai.requests_per_day, openai.tokens_per_day) == (3, 4)
