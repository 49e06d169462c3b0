"""StartAt: the model a call names comes first, whatever else has been said."""

import pytest

from orchestra.errors import ConfigError
from orchestra.routing import ContextPolicy, StartAt, StepPolicy, bind, decide, declared_steps, fingerprint
from orchestra.types import Earlier, Step, StepContext


@pytest.mark.parametrize("model", ["small", "middle", "large"])
@pytest.mark.parametrize("mode", ["quality", "cost"])
def test_the_model_named_comes_before_rules_mode_and_what_the_step_has_begun_on(fleet, model, mode):
    context = StepContext(Step("s"), current_model="middle", history=(Earlier("s", "middle"),))
    rules = StepPolicy([{"prefer": ["small", "large"]}])
    decision = decide(fleet, [rules, ContextPolicy(), bind(StartAt(model), fleet)], context, mode=mode)
    assert decision.model == model
    assert any(reason.text == f"the call names {model}" for reason in decision.reasons)


def test_a_model_that_the_fleet_has_not_is_refused_with_those_it_has(fleet):
    with pytest.raises(ConfigError, match="model 'huge' is not in the fleet; known: large, middle, small"):
        bind(StartAt("huge"), fleet)


def test_which_model_is_named_shows_in_the_fingerprint():
    assert fingerprint([StartAt("a")]) != fingerprint([StartAt("b")])


def test_the_steps_that_rules_speak_of_are_known_by_name_and_kind():
    rules = StepPolicy([{"match": {"kind": ["plan"], "name": ["sum", "draft"]}, "tier": "capable"}, {"mode": "cost"}])
    assert declared_steps([rules, ContextPolicy()]) == {"plan", "sum", "draft"}
