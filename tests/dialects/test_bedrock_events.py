"""Amazon's binary event stream: messages out of bytes, however they are split, and nothing else out of other bytes."""

import json
import struct
from itertools import pairwise
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects.aws_events import LONGEST, AwsEventStream, AwsMessage
from orchestra.dialects.sse import ServerEvent
from orchestra.testing.bedrock_wire import aws_message, event, exception

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
MESSAGES = st.lists(st.tuples(st.dictionaries(TEXTS, TEXTS, max_size=4), st.binary(max_size=60)), max_size=4)


def message(head, payload=b"", total=None):
    """A message whose headers are these bytes, whatever they are."""
    prelude = struct.pack("!II", total if total is not None else len(head) + len(payload) + 16, len(head))
    prelude += struct.pack("!I", crc32(prelude))
    written = prelude + head + payload
    return written + struct.pack("!I", crc32(written))


@given(MESSAGES, st.lists(st.integers(0, 400), max_size=12))
@settings(deadline=None, max_examples=60)
def test_any_split_gives_the_messages_that_were_written(messages, cuts):
    data = b"".join(aws_message(headers, payload) for headers, payload in messages)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    stream, read = AwsEventStream(), []
    for begin, stop in pairwise(places):
        read += stream.messages(data[begin:stop])
    assert read == [AwsMessage(headers, payload) for headers, payload in messages]


def test_headers_of_every_type_are_skipped_but_texts():
    values = [
        b"\x00",
        b"\x01",
        b"\x02" + bytes(1),
        b"\x03" + bytes(2),
        b"\x04" + bytes(4),
        b"\x05" + bytes(8),
        b"\x06\x00\x03abc",
        b"\x08" + bytes(8),
        b"\x09" + bytes(16),
        b"\x07\x00\x02\xc3\xbc",
    ]
    head = b"".join(b"\x01" + bytes([97 + place]) + value for place, value in enumerate(values))
    assert list(AwsEventStream().messages(message(head, b"x"))) == [AwsMessage({"j": "ü"}, b"x")]


@pytest.mark.parametrize(
    "head",
    [
        b"\x05ab",  # a name longer than the headers
        b"\x01a",  # no type
        b"\x01a\x07\x00",  # half a length
        b"\x01a\x07\x00\x09x",  # a text longer than the headers
        b"\x01a\x05\x00",  # half a number
        b"\x01a\x0a",  # no such type
        b"\x01\xff\x00",  # a name that is no UTF-8
    ],
)
def test_headers_that_are_none_are_refused(head):
    with pytest.raises(ValueError, match=r"header|codec"):
        list(AwsEventStream().messages(message(head)))


@pytest.mark.parametrize("total", [15, 3, LONGEST + 1])
def test_a_length_that_cannot_be_is_refused_before_it_is_waited_for(total):
    with pytest.raises(ValueError, match=f"a message of {total} bytes"):
        list(AwsEventStream().messages(message(b"", total=total)[:12]))


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_no_bit_may_be_another(data):
    written = bytearray(event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "7 apples"}}))
    place = data.draw(st.integers(0, len(written) - 1))
    written[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError, match="checksum"):
        list(AwsEventStream().messages(bytes(written)))


def test_what_came_before_a_broken_message_is_given():
    messages = AwsEventStream().messages(aws_message({}, b"1") + aws_message({}, b"2")[:-1] + b"!")
    assert next(messages).payload == b"1"
    with pytest.raises(ValueError, match="checksum"):
        next(messages)


def test_a_page_of_html_is_no_event_stream():
    with pytest.raises(ValueError, match="no event stream"):
        list(AwsEventStream().feed(b"<html><body>Bad gateway</body></html>"))


def test_events_have_a_name_and_a_text():
    assert list(AwsEventStream().feed(event("messageStop", {"a": 1}))) == [ServerEvent("messageStop", '{"a": 1}')]
    assert list(AwsEventStream().feed(aws_message({}, b"{}"))) == [ServerEvent("", "{}")]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (exception("throttlingException", "slow down"), {"type": "throttlingException", "message": "slow down"}),
        (
            aws_message({":message-type": "exception", ":exception-type": "x"}, b'{"originalMessage": "why"}'),
            {"type": "x", "message": "why"},
        ),
        (
            aws_message({":message-type": "error", ":error-code": "500", ":error-message": "oh"}, b""),
            {"type": "500", "message": "oh"},
        ),
        (aws_message({":message-type": "exception"}, b"no JSON"), {"type": "exception", "message": "no JSON"}),
        (aws_message({":message-type": "exception"}, b"{}"), {"type": "exception", "message": ""}),
    ],
)
def test_an_exception_is_an_error_with_its_name(written, said):
    (one,) = AwsEventStream().feed(written)
    assert (one.name, json.loads(one.data)) == ("error", said)


def test_a_message_that_was_cut_says_nothing():
    stream = AwsEventStream()
    assert list(stream.feed(event("messageStop", {})[:-1])) == []
    assert list(stream.close()) == []
