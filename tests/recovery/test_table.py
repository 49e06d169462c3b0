import pytest

from orchestra.recovery import TABLE, Standing
from orchestra.types import Action, Fault, Trigger

MODEL = [trigger for trigger in Trigger if trigger.fault is Fault.model]
PROVIDER = [trigger for trigger in Trigger if trigger.fault is Fault.provider]


def test_the_table_has_one_action_for_every_trigger_and_standing_and_nothing_else():
    assert set(TABLE) == {(trigger, standing) for trigger in Trigger for standing in Standing}
    assert all(isinstance(action, Action) for action in TABLE.values())


@pytest.mark.parametrize("trigger", PROVIDER)
def test_a_providers_fault_leads_sideways_up_only_at_the_end_and_never_to_feedback(trigger):
    actions = {TABLE[trigger, standing] for standing in Standing}
    assert actions <= {Action.retry, Action.sibling, Action.escalate}
    assert [standing for standing in Standing if TABLE[trigger, standing] is Action.escalate] == [Standing.top]
    assert Action.sibling in actions


@pytest.mark.parametrize("trigger", [Trigger.rate_limited, Trigger.timeout])
def test_a_limit_or_a_silence_goes_sideways_before_it_is_waited_out(trigger):
    assert TABLE[trigger, Standing.fresh] is Action.sibling
    assert TABLE[trigger, Standing.repaired] is Action.retry


@pytest.mark.parametrize("trigger", [Trigger.auth, Trigger.quota])
def test_a_dead_key_is_never_asked_again(trigger):
    assert Action.retry not in {TABLE[trigger, standing] for standing in Standing}


@pytest.mark.parametrize("trigger", MODEL)
def test_a_models_fault_leads_to_feedback_then_up(trigger):
    expected = Action.escalate if trigger is Trigger.low_confidence else Action.repair
    assert TABLE[trigger, Standing.fresh] is expected
    assert TABLE[trigger, Standing.repaired] is Action.escalate


def test_the_requests_own_faults_fail_unless_a_wider_window_helps():
    assert {TABLE[Trigger.bad_request, standing] for standing in Standing} == {Action.fail}
    assert {TABLE[Trigger.content_filter, standing] for standing in Standing} == {Action.fail}
    assert TABLE[Trigger.context_overflow, Standing.fresh] is Action.wider_window
    assert TABLE[Trigger.context_overflow, Standing.top] is Action.fail


def test_a_call_whose_end_nobody_knows_is_for_a_person_to_judge():
    assert {TABLE[Trigger.tool_unknown, standing] for standing in Standing} == {Action.ask_human}
