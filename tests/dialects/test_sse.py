from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects import sse
from orchestra.dialects.sse import EventStream, ServerEvent

LINE_END = sse._LINE_END

TEXT = 'event: note\ndata: {"a": "ü€😀"}\n\n: keep-alive\n\ndata:one\ndata: two\nid: 7\n\ndata: [DONE]\n\n'.encode()
EVENTS = [ServerEvent("note", '{"a": "ü€😀"}'), ServerEvent("", "one\ntwo"), ServerEvent("", "[DONE]")]


def read(chunks):
    stream = EventStream()
    events = [event for chunk in chunks for event in stream.feed(chunk)]
    return events + list(stream.close())


@given(
    cuts=st.lists(st.integers(0, len(TEXT)), max_size=20),
    end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
@settings(deadline=None)
def test_events_do_not_depend_on_where_the_bytes_are_split_or_how_lines_end(cuts, end):
    text = TEXT.replace(b"\n", end)
    places = [0, *sorted(cuts), len(text)]
    assert read([text[a:b] for a, b in pairwise(places)]) == EVENTS


def test_every_byte_alone_gives_the_same_events():
    for end in (b"\n", b"\r\n", b"\r"):
        text = TEXT.replace(b"\n", end)
        assert read([text[i : i + 1] for i in range(len(text))]) == EVENTS


PIECES = [
    b"data: {}\n\n",
    b"data: [1]\n\n",
    b"data: \n\n",
    b'data: {"a":\n',
    b'data: {"a":\r',
    b"data: x\r\n",
    b"event: e\n",
    b"\n",
]


@given(st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3), max_size=5))
@settings(deadline=None)
def test_whole_lines_at_once_give_the_same_events_as_every_byte_alone(chunks):
    text = b"".join(map(b"".join, chunks))
    assert read(map(b"".join, chunks)) == read([text[i : i + 1] for i in range(len(text))])


@pytest.mark.parametrize(
    ("chunks", "data"),
    [
        ([b'data: {"a":\n', b"data: [1]\n\n"], '{"a":\n[1]'),
        ([b'data: {"a":\rdata: 1}\n\n'], '{"a":\n1}'),
        ([b"data: \n\ndata: {}\n\n"], "{}"),
    ],
)
def test_a_chunk_that_ends_with_an_event_may_hold_more_or_less_than_whole_ones(chunks, data):
    assert read(chunks) == [ServerEvent("", data)]


def test_a_byte_order_mark_is_skipped():
    assert read([b"\xef\xbb\xbfdata: x\n\n"]) == [ServerEvent("", "x")]


def test_an_event_without_its_closing_blank_line_comes_out_at_the_end():
    assert read([b"data: a\n\ndata: b"]) == [ServerEvent("", "a"), ServerEvent("", "b")]


def test_only_the_first_space_after_the_colon_is_dropped():
    assert read([b"data:  a\n\n"]) == [ServerEvent("", " a")]


def test_an_event_name_without_data_is_no_event_and_does_not_stick():
    assert read([b"event: x\n\ndata: a\n\n"]) == [ServerEvent("", "a")]


def test_an_event_whose_data_are_empty_says_nothing():
    assert read([b"data:\n\nevent: ping\ndata: \n\ndata\n\ndata: a\n\n"]) == [ServerEvent("", "a")]


def test_bytes_that_are_no_utf8_are_a_value_error():
    with pytest.raises(ValueError):
        read([b"data: \xff\n\n"])


def test_events_before_bytes_that_are_no_utf8_come_out_first():
    events = EventStream().feed(b'data: {"a": 1}\n\ndata: {"\xff": 1}\n\n')
    assert next(events) == ServerEvent("", '{"a": 1}')
    with pytest.raises(ValueError):
        next(events)


def test_an_object_after_the_name_of_its_event_has_that_name():
    assert read([b"event: x\n", b"data: {}\n\ndata: []\n\n"]) == [ServerEvent("x", "{}"), ServerEvent("", "[]")]


def test_an_event_on_one_long_line_is_gone_through_once(monkeypatch):
    searched = []

    class Counted:
        def split(self, data):
            searched.append(len(data))
            return LINE_END.split(data)

    monkeypatch.setattr(sse, "_LINE_END", Counted())
    stream = EventStream()
    pieces = [b"data: ", *[b"x" * 1_000] * 1_000, b"", b"\r", b"\n", b"\r\n", b"data: y\n\n"]
    events = [event for piece in pieces for event in stream.feed(piece)]
    assert [len(event.data) for event in events] == [1_000_000, 1]
    assert sum(searched) < 5_000_000
