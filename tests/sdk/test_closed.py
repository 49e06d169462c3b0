"""The judges themselves: what the official types would let pass is refused, and the refusal says where."""

import copy
import re

import pytest

from tests.sdk.closed import REPLIES, REQUESTS, NotAccepted, check, decode

PIECE = {"role": "user", "content": [{"type": "text", "text": "x"}]}
STREAMED = {"model": "m", "stream": True}
PLAIN = {
    "openai-chat": STREAMED | {"messages": [PIECE]},
    "openai-responses": STREAMED | {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]},
    "anthropic": STREAMED | {"max_tokens": 5, "messages": [PIECE]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
    "bedrock-converse": {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
    "mistral": STREAMED | {"messages": [PIECE]},
    "cohere": STREAMED | {"messages": [PIECE]},
}
TURNS = {"gemini": "contents", "openai-responses": "input"}
PIECES = {"gemini": "parts"}


@pytest.fixture(params=sorted(REQUESTS))
def dialect(request):
    return request.param


@pytest.fixture
def body(dialect):
    return copy.deepcopy(PLAIN[dialect])


def piece(dialect, body):
    return body[TURNS.get(dialect, "messages")][0][PIECES.get(dialect, "content")]


def test_a_plain_request_is_accepted(dialect, body):
    check(REQUESTS[dialect], body)


def test_an_unknown_key_is_refused_at_the_top(dialect, body):
    with pytest.raises(NotAccepted, match=rf"{dialect} request refused:(?s:.)*surprise"):
        check(REQUESTS[dialect], body | {"surprise": 1})


def test_an_unknown_key_deep_inside_is_refused_with_its_path(dialect, body):
    piece(dialect, body)[0]["surprise"] = 1
    path = f"{TURNS.get(dialect, 'messages')}[0].{PIECES.get(dialect, 'content')}[0]"
    with pytest.raises(NotAccepted, match=re.escape(path) + r"(?s:.)*surprise"):
        check(REQUESTS[dialect], body)


def test_a_number_is_no_text(dialect, body):
    piece(dialect, body)[0]["text"] = 1
    with pytest.raises(NotAccepted, match=r"\[0\]\.text"):
        check(REQUESTS[dialect], body)


def test_iterables_are_read_to_their_end(dialect, body):
    piece(dialect, body).append(7)
    with pytest.raises(NotAccepted, match=r"\[1\]"):
        check(REQUESTS[dialect], body)


@pytest.mark.parametrize(
    ("dialect", "more"),
    [
        ("gemini", {"toolConfig": {"functionCallingConfig": {"mode": "SOMETIMES"}}}),
        ("mistral", {"tool_choice": "sometimes"}),
        ("cohere", {"tool_choice": "sometimes"}),
        ("bedrock-converse", {"messages": [{"role": "sometimes", "content": []}]}),
    ],
)
def test_an_unknown_word_is_refused_where_the_sdk_takes_any(dialect, more):
    with pytest.raises(NotAccepted):
        check(REQUESTS[dialect], PLAIN[dialect] | more)


def test_names_of_python_are_not_names_of_the_wire():
    with pytest.raises(NotAccepted, match="max_output_tokens"):
        check(REQUESTS["gemini"], PLAIN["gemini"] | {"generationConfig": {"max_output_tokens": 1}})


def of_bedrock(block, role="user"):
    return decode(REQUESTS["bedrock-converse"], {"messages": [{"role": role, "content": [block]}]})


def test_bedrocks_blobs_are_base64_on_the_wire():
    image = {"image": {"format": "png", "source": {"bytes": "QUJD"}}}
    assert of_bedrock(image)["messages"][0]["content"][0]["image"]["source"]["bytes"] == b"ABC"
    with pytest.raises(NotAccepted, match=r"source\.bytes: not base64"):
        of_bedrock({"image": {"format": "png", "source": {"bytes": "…"}}})


def test_bedrocks_patterns_and_lengths_hold():
    with pytest.raises(NotAccepted, match=r"toolUse\.toolUseId: 'a b' does not match"):
        of_bedrock({"toolUse": {"toolUseId": "a b", "name": "x", "input": {}}}, "assistant")
    with pytest.raises(NotAccepted, match=r"toolUse\.name: length 65 is not in 1…64"):
        of_bedrock({"toolUse": {"toolUseId": "a", "name": "x" * 65, "input": {}}}, "assistant")


def test_a_reply_is_decoded_to_the_official_model():
    usage = {"input_tokens": 1, "output_tokens": 2}
    message = {
        "id": "i",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hi"}],
    }
    assert decode(REPLIES["anthropic"], message | {"usage": usage}).content[0].text == "hi"
