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


def test_without_evidence_the_words_stand_alone():
    assert feedback(Trigger.empty, ()).count("\n") == 1


def test_much_evidence_is_cut():
    words = feedback(Trigger.tool_error, ["x" * 100_000] * 20)
    assert "- … and 8 more" in words
    assert len(words) < 8000
