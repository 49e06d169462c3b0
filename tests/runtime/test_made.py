from orchestra.runtime.made import Made
from orchestra.runtime.toolcalls import Called
from orchestra.types import Text, ToolCall, ToolResult, Trigger

LOOK, PAY = ToolCall("1", "look", {"at": 1}), ToolCall("2", "pay", {"cents": 2})


def end(call, text, trigger=None, *, is_error=False):
    return Called(ToolResult(call.id, call.name, (Text(text),), is_error=is_error), trigger)


def test_good_calls_are_those_that_succeeded_and_that_nobody_refused():
    made = Made()
    verdict = made.add([LOOK, PAY], [end(LOOK, "seen"), end(PAY, "a person refused", is_error=True)])
    assert verdict.accepted
    assert made.good == [(LOOK, "seen")]


def test_each_model_has_a_clean_record_of_rejected_calls():
    made = Made()
    assert not made.rejected
    verdict = made.add([LOOK], [end(LOOK, "no", Trigger.tool_rejected, is_error=True)])
    assert (verdict.trigger, verdict.evidence, made.rejected) == (Trigger.tool_rejected, ("no",), True)
    made.anew()
    assert not made.rejected
