import pytest

from orchestra.testing import CallTool, CutStream, Error, MalformedChunk
from orchestra.testing.wire import Exchange, Pause
from orchestra.testing.wires import wire


def test_a_call_writes_its_arguments_as_json_and_may_be_written_wrongly_on_purpose():
    assert CallTool("rows", sql="ü", name="n").text == '{"sql": "ü", "name": "n"}'
    broken = CallTool.written("rows", '{"sql": ')
    assert (broken.name, broken.text) == ("rows", '{"sql": ')


def test_behaviours_are_values():
    assert CallTool("a", x=1) == CallTool("a", x=1)
    assert hash(CallTool("a", x=1)) == hash(CallTool("a", x=1))
    with pytest.raises(AttributeError):
        CallTool("a").name = "b"


def test_the_two_request_errors_have_a_short_name():
    assert Error.context_overflow().body["error"]["code"] == "context_length_exceeded"
    assert Error.content_filter().body["error"]["code"] == "content_filter"


@pytest.mark.parametrize("broken", [CutStream, MalformedChunk])
def test_what_was_said_before_a_break_can_be_given_time_to_be_read(broken):
    exchange = Exchange(wire("openai-chat"), "/chat/completions", {"stream": True})
    assert Pause(0.5) not in exchange.play(broken())
    *_, said, pause, _ = exchange.play(broken(pause=0.5))
    assert (type(said), pause) == (bytes, Pause(0.5))
