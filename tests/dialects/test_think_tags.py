"""Thoughts in tags: told from the text however the stream is split, and returned as they came."""

import json

import pytest

from orchestra.dialects.think_tags import TAGGED
from orchestra.types import CallFault, Message, Origin, Reasoning, ReasoningDelta, Text, TextDelta, ToolCall, ToolResult
from tests.dialects import chat
from tests.dialects.chat import CODEC, ROWS, body, call, chunk, encoded, read, stream

THINKING = "\n<think>\nThe <b> tag? </thin\nno</think>\n\nParis, <think>not this</think>."
HM = "<think>hm</think>\n\n"
THOUGHT, ANSWER = "\nThe <b> tag? </thin\nno", "Paris, <think>not this</think>."


def pieces(text, size):
    return [chunk({"content": text[start : start + size]}) for start in range(0, len(text), size)]


def said(deltas):
    thought = "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))
    return thought, "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def texts(reply):
    return [(type(part), part.text) for part in reply.parts]


@pytest.mark.parametrize("size", range(1, len(THINKING) + 1))
def test_a_thought_before_the_text_is_reasoning_however_it_is_split(size):
    deltas, reply = read(stream(*pieces(THINKING, size), chunk(finish="stop")))
    assert said(deltas) == (THOUGHT, ANSWER)
    assert texts(reply) == [(Reasoning, THOUGHT), (Text, ANSWER)]
    assert reply.raw == ANSWER


@pytest.mark.parametrize("mark", ["\ufeff", "\u200b", "\ufeff\n"])
def test_a_mark_that_shows_nothing_may_stand_before_a_thought(mark):
    for size in (1, 40):
        reply = read(stream(*pieces(f"{mark}{HM}{mark}yes", size), chunk(finish="stop")))[1]
        assert texts(reply) == [(Reasoning, "hm"), (Text, "yes")]
        assert read(stream(*pieces(f"{mark}yes", size), chunk(finish="stop")))[1].text == f"{mark}yes"


def test_a_whole_reply_and_a_finish_beside_its_text_are_read_alike():
    choice = {"index": 0, "message": {"role": "assistant", "content": THINKING}, "finish_reason": "stop"}
    whole = CODEC.decode(encoded(), json.dumps({"choices": [choice]}).encode())
    at_once = read(stream(chunk({"content": THINKING}, "stop")))[1]
    assert texts(whole) == texts(at_once) == [(Reasoning, THOUGHT), (Text, ANSWER)]


@pytest.mark.parametrize("text", ["<thin", "\n", " <", "a<think>b</think>c", "<thinking>b", "</think>a"])
@pytest.mark.parametrize("size", [1, 40])
def test_what_is_no_such_thought_is_text(text, size):
    deltas, reply = read(stream(*pieces(text, size), chunk(finish="stop")))
    assert (said(deltas), texts(reply)) == (("", text), [(Text, text)])


@pytest.mark.parametrize(("text", "thought"), [("<think>hm </th", "hm </th"), ("<think>hm", "hm")])
def test_a_thought_that_was_broken_off_is_no_text(text, thought):
    deltas, reply = read(stream(*pieces(text, 3), chunk(finish="length")))
    assert (said(deltas), texts(reply), reply.finish) == ((thought, ""), [(Reasoning, thought)], "length")
    cut = read(stream(*pieces("<think>hm</think>\n\nyes", 3), done=False))[1]
    assert isinstance(cut, CallFault)
    assert cut.partial_text == "yes"


@pytest.mark.parametrize("reason", ["", "null", "NULL", " ", 0])
def test_a_finish_that_is_none_does_not_end_a_thought(reason):
    told = [chunk({"content": piece}, reason) for piece in ("<th", "ink>hm </th", "ink>\n", "yes")]
    assert texts(read(stream(*told, chunk(finish="stop")))[1]) == [(Reasoning, "hm "), (Text, "yes")]


def test_an_empty_thought_is_none():
    assert texts(read(stream(*pieces("<think>\n\n</think>\n\nyes", 4), chunk(finish="stop")))[1])[-1] == (Text, "yes")
    assert texts(read(stream(*pieces("<think></think>yes", 4), chunk(finish="stop")))[1]) == [(Text, "yes")]


def test_a_call_behind_a_thought_has_no_blank_text_beside_it():
    made = call(0, "c1", "rows", '{"sql": "x"}')
    reply = read(stream(*pieces("<think>hm</think>\n\n", 5), chunk(made), chunk(finish="tool_calls")))[1]
    assert [type(part) for part in reply.parts] == [Reasoning, ToolCall]


@pytest.mark.parametrize("text", ["\n", "<th"])
def test_what_was_held_before_a_call_stands_before_it(text):
    made = call(0, "c1", "rows", '{"sql": "x"}')
    deltas = stream(chunk({"content": text}), chunk(made), chunk(finish="tool_calls"))
    at_once = stream(chunk({"content": text} | made, "tool_calls"))
    at_the_end = stream(chunk({"content": text}), ending({"content": text} | made, "tool_calls"))
    for told in (deltas, at_once, at_the_end):
        assert [type(part) for part in read(told)[1].parts] == [Text, ToolCall]


def test_a_thought_goes_on_behind_a_call_and_may_begin_there():
    made = call(0, "c1", "rows", '{"sql": "x"}')
    within = stream(chunk({"content": "<think>h"}), chunk(made), chunk({"content": "m</think>\n"}, "tool_calls"))
    behind = stream(chunk({"content": ""} | made), chunk({"content": HM}, "tool_calls"))
    for told in (within, behind):
        reply = read(told)[1]
        assert (reply.reasoning, reply.text, len(reply.tool_calls)) == ("hm", "", 1)


def test_a_call_written_as_json_behind_a_thought_is_a_call():
    asked = encoded(tools=(ROWS,), card=chat.card(capabilities={"tools": "json"}))
    text = '<think>{"answer"?</think>\n{"tool": "rows", "arguments": {"sql": "x"}}'
    reply = read(stream(*pieces(text, 7), chunk(finish="stop")), asked)[1]
    assert [type(part) for part in reply.parts] == [Reasoning, ToolCall]


def ending(message, reason="stop", **last):
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason} | last]}


@pytest.mark.parametrize("last", [{}, {"delta": {"role": "assistant", "content": ""}}])
@pytest.mark.parametrize(
    ("told", "whole", "parts"),
    [
        ("\n", "\nParis", [(Text, "\nParis")]),
        ("\n", "\n" + HM + "Paris", [(Reasoning, "hm"), (Text, "Paris")]),
        ("<th", "<th>a</th>", [(Text, "<th>a</th>")]),
        ("<think>h", HM + "Paris", [(Reasoning, "hm"), (Text, "Paris")]),
        ("<think>hm</th", HM + "Paris", [(Reasoning, "hm"), (Text, "Paris")]),
        (HM, HM, [(Reasoning, "hm")]),
        (HM, HM + "Paris", [(Reasoning, "hm"), (Text, "Paris")]),
        (HM + "Par", HM + "Paris", [(Reasoning, "hm"), (Text, "Paris")]),
        ("\n" + HM + "Paris", "\n" + HM + "Paris", [(Reasoning, "hm"), (Text, "Paris")]),
        (HM + "Par", HM + "Rome", [(Reasoning, "hm"), (Text, "Par")]),
    ],
)
def test_a_whole_message_at_the_end_goes_on_from_what_was_told_with_its_tags(told, whole, parts, last):
    for size in (1, 40):
        reply = read(stream(*pieces(told, size), ending({"content": whole}, **last)))[1]
        assert texts(reply) == parts


def test_a_thought_that_was_broken_off_is_not_told_again_by_a_whole_message():
    reply = read(stream(chunk({"content": "<think>hm"}), ending({"content": "<think>hm"}, "length")))[1]
    assert (texts(reply), reply.finish) == ([(Reasoning, "hm")], "length")


def test_a_thought_before_a_call_is_not_told_again_by_a_whole_message():
    made = call(0, "c1", "rows", '{"sql": "x"}')
    last = ending({"content": HM} | made, "tool_calls")
    reply = read(stream(chunk({"content": HM}), chunk(made), last))[1]
    assert [type(part) for part in reply.parts] == [Reasoning, ToolCall]


def test_messages_without_any_delta_are_pieces_though_the_first_is_held():
    held = [{"choices": [{"index": 0, "message": {"content": one}}]} for one in ("<th", "ink>hm</think>", "yes")]
    assert texts(read(stream(*held, chunk(finish="stop")))[1]) == [(Reasoning, "hm"), (Text, "yes")]


@pytest.mark.parametrize("provider", ["openai", "azure", "deepseek", "openrouter"])
def test_servers_that_tell_thoughts_apart_leave_none_in_the_text(provider):
    asked = encoded(card=chat.card(provider=provider))
    assert texts(read(stream(*pieces(THINKING, 9), chunk(finish="stop")), asked)[1]) == [(Text, THINKING)]
    apart = stream(chunk({"reasoning_content": "hm"}), chunk({"content": "<think>"}), chunk(finish="stop"))
    assert texts(read(apart)[1]) == [(Reasoning, "hm"), (Text, "<think>")]


@pytest.mark.parametrize(("provider", "said"), [("acme", False), ("vllm", False), ("openai", True), ("deepseek", True)])
def test_a_card_says_whether_thoughts_may_stand_in_the_text(provider, said):
    asked = encoded(card=chat.card(provider=provider, capabilities={"think_tags": said}))
    parts = [(Reasoning, "hm"), (Text, "yes")] if said else [(Text, HM + "yes")]
    assert texts(read(stream(*pieces(HM + "yes", 9), chunk(finish="stop")), asked)[1]) == parts


def test_a_thought_in_tags_returns_in_them_on_turns_that_call_tools():
    mine = Origin("acme", "openai-chat", "m-1")
    thought = Reasoning("hm", mine, TAGGED)
    turns = (
        Message("assistant", (thought, Text("look"), ToolCall("c", "rows", {"sql": "x"}))),
        Message("tool", (ToolResult("c", "rows", (Text("1"),)),)),
        Message("assistant", (thought, Text("done"))),
    )
    sent = body(*turns)["messages"]
    assert [item["content"] for item in sent] == ["<think>hm</think>\n\nlook", "1", "done"]
    assert not any("reasoning" in name for item in sent for name in item)
    assert [item["content"] for item in body(*turns, card=chat.card(model="m-2"))["messages"]] == ["look", "1", "done"]
