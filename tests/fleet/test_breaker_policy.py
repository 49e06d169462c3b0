"""[providers.X.breaker] of fleet.toml."""

import pytest

from orchestra.errors import FleetError
from orchestra.fleet import BreakerPolicy, Fleet

MODEL = '[models.a]\nmodel = "claude-haiku-4-5"\n'


def test_a_provider_without_a_table_has_the_usual_breaker():
    assert Fleet.from_toml(MODEL).providers["anthropic"].breaker == BreakerPolicy()


def test_what_the_table_says_replaces_the_usual_value_and_nothing_else():
    text = "[providers.anthropic.breaker]\nslow = 20\nopens = 5\nprobes = 1\nerror_rate = 0.25\n"
    breaker = Fleet.from_toml(MODEL + text).providers["anthropic"].breaker
    assert breaker == BreakerPolicy(slow=20, opens=5, probes=1, error_rate=0.25)


def test_every_value_of_the_policy_can_be_set():
    text = "[providers.anthropic.breaker]\n" + "".join(f"{name} = 1\n" for name in BreakerPolicy.__slots__)
    breaker = Fleet.from_toml(MODEL + text).providers["anthropic"].breaker
    assert {getattr(breaker, name) for name in BreakerPolicy.__slots__} == {1}


def test_the_fleets_fingerprint_changes_with_a_breaker():
    other = Fleet.from_toml(MODEL + "[providers.anthropic.breaker]\nminimum = 9\n")
    assert other.fingerprint != Fleet.from_toml(MODEL).fingerprint


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("error_rate = 0", "providers.anthropic.breaker.error_rate is 0"),
        ("slow_rate = 1.5", "providers.anthropic.breaker.slow_rate is 1.5"),
        ("minimum = 0", "providers.anthropic.breaker.minimum is 0"),
        ("opens = -1", "providers.anthropic.breaker.opens is -1"),
        ("open = 3", "unknown key 'open'; known: error_rate"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_its_place(line, told):
    with pytest.raises(FleetError) as caught:
        Fleet.from_toml(f"{MODEL}[providers.anthropic.breaker]\n{line}\n")
    assert told in str(caught.value)
