import pytest

from orchestra.recovery import feedback
from orchestra.types import Fault, Trigger


@pytest.mark.parametrize("trigger", list(Trigger))
def test_a_models_fault_has_words_and_any_other_has_none(trigger):
    words = feedback(trigger, ("exactly this",))
    assert bool(words) is (trigger.fault is Fault.model)
    if words:
        happened, line, remedy = words.split("\n")
        assert line == "- exactly this"
        assert happened.endswith(".")
        assert remedy.endswith(".")


def test_every_fault_is_a_line_of_its_own():
    assert feedback(Trigger.schema_violation, ("rows: a", "rows: ü")) == (
        "The arguments of your last tool call do not fit the tool; nothing was executed.\n"
        "- rows: a\n"
        "- rows: ü\n"
        "Make the call again with this corrected and everything else unchanged."
    )


def test_who_repeats_a_call_reads_of_a_result_only_where_there_is_one():
    with_result, failed = "rows: made 2 times already", "rows: made 2 times already and failed each time"
    assert feedback(Trigger.repeated_call, (with_result,)) == (
        "You repeated a tool call whose result you already have; it was not executed again.\n"
        "- rows: made 2 times already\n"
        "Use the result you have, or call with other arguments."
    )
    assert feedback(Trigger.repeated_call, (failed,)) == (
        "You repeated a tool call that has failed each time; it was not executed again.\n"
        "- rows: made 2 times already and failed each time\n"
        "Call with other arguments, or reach the goal another way."
    )
    assert "whose result you already have" in feedback(Trigger.repeated_call, (failed, with_result))


def test_without_evidence_the_words_stand_alone():
    assert feedback(Trigger.empty, ()).count("\n") == 1


def test_much_evidence_is_cut():
    words = feedback(Trigger.tool_error, ["x" * 100_000] * 20)
    assert "- … and 8 more" in words
    assert len(words) < 8000
