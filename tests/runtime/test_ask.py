import pytest

from orchestra.runtime.ask import calls_since_asked, unmistakable
from orchestra.types import Message, Text, ToolCall


def test_a_call_under_an_id_that_an_earlier_one_has_gets_another():
    earlier = [ToolCall("0", "look", {"at": 1})]
    parts = Text("again"), ToolCall("0", "look", {"at": 2}), ToolCall("1", "look", {"at": 3})
    assert unmistakable(parts, earlier, 1) == (parts[0], ToolCall("0-1", "look", {"at": 2}), parts[2])


ASKED = Message.user("?")


def calling(*ids: str) -> Message:
    return Message("assistant", tuple(ToolCall(one, "look", {}) for one in ids))


@pytest.mark.parametrize(
    ("messages", "ids"),
    [
        ((), []),
        ((ASKED,), []),
        ((ASKED, calling("a"), ASKED), []),
        ((ASKED, calling("a"), ASKED, calling("b", "c"), calling("d")), ["b", "c", "d"]),
        ((calling("a"), Message.assistant("so"), calling("b")), ["a", "b"]),
    ],
)
def test_calls_count_from_the_users_last_word_on_in_the_order_in_which_they_were_made(messages, ids):
    assert [call.id for call in calls_since_asked(messages)] == ids
