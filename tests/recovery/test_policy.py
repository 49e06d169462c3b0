import pytest

from orchestra.errors import PolicyError
from orchestra.recovery import TABLE, RecoveryPolicy, Standing
from orchestra.types import Action, Trigger


def row(policy: RecoveryPolicy, trigger: Trigger) -> list[str]:
    return [policy.action(trigger, standing).value for standing in Standing]


def test_the_default_policy_is_the_table():
    policy = RecoveryPolicy()
    assert all(policy.action(*key) is action for key, action in TABLE.items())
    assert (policy.max_rungs, policy.repairs, policy.retries, policy.sideways) == (2, 1, 1, 1)


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("escalate", ["escalate", "escalate", "replan"]),
        (Action.ask_human, ["ask_human", "ask_human", "replan"]),
        (["retry", "escalate"], ["retry", "escalate", "replan"]),
        (("repair", Action.sibling, "ask_human"), ["repair", "sibling", "ask_human"]),
    ],
)
def test_an_override_replaces_a_row_and_keeps_what_is_not_given(way, expected):
    policy = RecoveryPolicy(overrides={"tool_error": way})
    assert row(policy, Trigger.tool_error) == expected
    assert row(policy, Trigger.tool_timeout) == ["repair", "escalate", "replan"]
    assert row(RecoveryPolicy(overrides={Trigger.tool_error: way}), Trigger.tool_error) == expected


def test_an_override_of_a_providers_row_keeps_its_last_resort_unless_that_is_written_too():
    assert row(RecoveryPolicy(overrides={"timeout": "retry"}), Trigger.timeout) == ["retry", "retry", "escalate"]
    level = RecoveryPolicy(overrides={"timeout": ["sibling", "retry", "fail"]})
    assert row(level, Trigger.timeout) == ["sibling", "retry", "fail"]


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (
            {"schema_voilation": "fail"},
            "RecoveryPolicy: overrides: 'schema_voilation' is no trigger; nearest: schema_violation; known:",
        ),
        (
            {"tool_error": "escalte"},
            "RecoveryPolicy: overrides['tool_error']: 'escalte' is no action; nearest: escalate; known: repair, retry,",
        ),
        ({7: "fail"}, "RecoveryPolicy: overrides: 7 is no trigger; known: rate_limited,"),
        ({"tool_error": []}, "RecoveryPolicy: overrides['tool_error']: 0 actions; expected one to three, for: fresh,"),
        ({"tool_error": ["fail"] * 4}, "RecoveryPolicy: overrides['tool_error']: 4 actions; expected one to three"),
        ({"tool_error": 3}, "RecoveryPolicy: overrides['tool_error']: 3; expected an action or a list of actions"),
        (
            {"auth": ["retry", "repair"]},
            "RecoveryPolicy: overrides['auth']: 'repair' is feedback to the model, but this is a provider fault; say",
        ),
        (["tool_error"], "RecoveryPolicy: overrides: ['tool_error']; expected a mapping of triggers to actions"),
    ],
)
def test_a_wrong_override_is_told_with_its_place_and_what_is_known(overrides, text):
    with pytest.raises(PolicyError) as refused:
        RecoveryPolicy(overrides=overrides)
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize("name", ["max_rungs", "repairs", "retries", "sideways", "max_replans"])
@pytest.mark.parametrize("value", [-1, 1.5, "2", True, None])
def test_counts_are_whole_numbers_from_zero(name, value):
    with pytest.raises(PolicyError) as refused:
        RecoveryPolicy(**{name: value})
    assert str(refused.value) == f"RecoveryPolicy: {name}={value!r}; expected a whole number, 0 or more"


def test_a_policy_is_a_value_that_later_changes_to_its_arguments_do_not_reach():
    overrides = {"tool_error": "fail"}
    policy = RecoveryPolicy(overrides=overrides)
    overrides["tool_error"] = "replan"
    assert row(policy, Trigger.tool_error) == ["fail", "fail", "replan"]
    assert policy == RecoveryPolicy(overrides={"tool_error": "fail"})
    counts = "max_rungs=2, repairs=1, retries=1, sideways=1"
    assert repr(policy) == f"RecoveryPolicy({counts}, overrides={{'tool_error': 'fail'}}, max_replans=1)"
