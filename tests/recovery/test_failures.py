import pytest

from orchestra.recovery import failures, unbroken
from orchestra.types import Message, Text, ToolCall, ToolResult, Trigger, Verdict


def asked(*names: str) -> Message:
    return Message("assistant", tuple(ToolCall(name, name, {}) for name in names))


def answered(*names: str) -> Message:
    """Results of these calls; one in capitals failed."""
    results = [ToolResult(name, name, (Text("loc"), Text("ked")), is_error=name.isupper()) for name in names]
    return Message("tool", tuple(results))


USER = Message.user("Go on.")


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([], []),
        ([USER], []),
        ([USER, asked("A"), answered("A")], ["A"]),
        ([USER, asked("A"), answered("A"), asked("B"), answered("B")], ["A", "B"]),
        ([USER, asked("A"), answered("A"), asked("b"), answered("b")], []),
        ([asked("a"), answered("a"), asked("B"), answered("B")], ["B"]),
        ([asked("A"), answered("A"), USER, asked("B"), answered("B")], ["B"]),
        ([asked("A"), answered("A"), Message.user("And now?")], []),
        ([asked("A"), answered("A"), Message("system", (Text("Be brief."),))], []),
    ],
)
def test_failures_are_those_of_the_last_turns_in_which_a_tool_failed(messages, found):
    assert failures(messages) == [Verdict(Trigger.tool_error, (f"{name}: locked",)) for name in found]


@pytest.mark.parametrize(
    "results",
    [[answered("A", "b", "C")], [answered("A"), answered("b"), answered("C")], [answered("A", "b"), answered("C")]],
    ids=["one message", "a message each", "two messages"],
)
def test_parallel_calls_are_one_turn_however_many_messages_answer_them(results):
    (found,) = failures([USER, asked("A", "b", "C"), *results])
    assert found == Verdict(Trigger.tool_error, ("A: locked", "C: locked"))


def test_a_turn_fails_by_the_first_of_its_failures_and_with_the_evidence_of_all():
    refused, late = Verdict(Trigger.tool_rejected, ("no",)), Verdict(Trigger.tool_timeout, ("late",))
    assert unbroken([[late], [refused, late], [], [refused]]) == [Verdict(Trigger.tool_rejected, ("no", "late")), late]
