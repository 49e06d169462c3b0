from orchestra.runtime.ask import unmistakable
from orchestra.types import Text, ToolCall


def test_a_call_under_an_id_that_an_earlier_one_has_gets_another():
    earlier = [ToolCall("0", "look", {"at": 1})]
    parts = Text("again"), ToolCall("0", "look", {"at": 2}), ToolCall("1", "look", {"at": 3})
    assert unmistakable(parts, earlier, 1) == (parts[0], ToolCall("0-1", "look", {"at": 2}), parts[2])
