"""What a canonical request becomes on Mistral's wire."""

import json
import re

import pytest

from orchestra.types import Document, Image, Message, Origin, Reasoning, Settings, Text, ToolCall, ToolResult
from tests.dialects.mistral import CODEC, NOW, ROWS, body, card, encoded

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
OWN = Origin("mistral", "mistral", "m-1")


def turn(call, *content, is_error=False):
    return (Message("assistant", (call,)), Message("tool", (ToolResult(call.id, call.name, content, is_error),)))


def test_a_plain_request_holds_nothing_that_was_not_asked_for():
    sent = encoded(Message.system("be brief"), Message.user("hü"))
    assert json.loads(sent.body) == {
        "model": "m-1",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hü"}],
        "stream": True,
    }
    assert dict(sent.headers) == {"content-type": "application/json", "accept": "text/event-stream"}
    assert (sent.notes, sent.stream, sent.card) == ((), True, card())


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        (None, "/v1/chat/completions"),
        ("https://api.mistral.ai", "/v1/chat/completions"),
        ("https://api.mistral.ai/v1", "/chat/completions"),
        ("https://api.mistral.ai/v1/", "/chat/completions"),
        ("https://x.models.ai.azure.com/v1?api-version=2024-05-01", "/chat/completions"),
        ("https://x.models.ai.azure.com?api-version=2024-05-01", "/v1/chat/completions"),
    ],
)
def test_a_base_url_may_end_in_v1_or_not(base_url, path):
    assert encoded(card=card(base_url=base_url)).path == path


def test_a_key_is_a_bearer_token():
    assert CODEC.authorization("k") == (("authorization", "Bearer k"),)
    assert CODEC.authorization(None) == ()


def test_a_model_that_cannot_stream_is_asked_for_the_whole_reply():
    sent = encoded(card=card(capabilities={"streaming": False}))
    assert (json.loads(sent.body)["stream"], sent.stream) == (False, False)
    assert dict(sent.headers)["accept"] == "application/json"


def test_settings_go_out_under_mistrals_names():
    able = card(capabilities={"logprobs": True, "reasoning_effort": True})
    sent = body(
        settings=Settings(max_tokens=99, reasoning_effort="high"), temperature=0.0, seed=7, stop=("END",),
        logprobs=True, output_schema=SCHEMA, card=able, extra={"mistral.safe_prompt": True, "other.x": 1},
    )  # fmt: skip
    wanted = {
        "max_tokens": 99,
        "temperature": 0.0,
        "random_seed": 7,
        "stop": ["END"],
        "logprobs": True,
        "reasoning_effort": "high",
        "safe_prompt": True,
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA}},
    }
    assert {key: sent[key] for key in wanted} == wanted
    assert sent.keys() == {"model", "messages", "stream", *wanted}


def test_a_required_call_is_any_and_choice_and_parallelism_are_said_only_where_they_differ_from_the_default():
    assert body(tools=(ROWS,)).keys() == {"model", "messages", "tools", "stream"}
    told = body(tools=(ROWS, NOW), tool_choice="required", parallel_tools=False)
    assert (told["tool_choice"], told["parallel_tool_calls"]) == ("any", False)
    assert [each["function"]["name"] for each in told["tools"]] == ["rows", "now"]
    assert body(tools=(ROWS,), tool_choice="none")["tool_choice"] == "none"


def test_ids_are_nine_letters_and_digits_and_the_same_in_call_and_result():
    one, two = ToolCall("call_a/1", "rows", {"sql": "ü"}, origin=OWN), ToolCall("abcdefghi", "now", {})
    sent = body(
        Message("assistant", (Text("let me see"), one, two)),
        Message("tool", (ToolResult("abcdefghi", "now", (Text("noon"),)), ToolResult("call_a/1", "rows", (), True))),
        tools=(ROWS, NOW),
    )["messages"]
    ids = [call["id"] for call in sent[0]["tool_calls"]]
    assert re.fullmatch("[A-Za-z0-9]{9}", ids[0])
    assert ids[1] == "abcdefghi"
    assert sent[0]["tool_calls"][0] == {
        "id": ids[0],
        "type": "function",
        "function": {"name": "rows", "arguments": '{"sql": "ü"}'},
    }
    assert sent[0]["content"] == "let me see"
    assert sent[1:] == [
        {"role": "tool", "tool_call_id": ids[0], "content": "Error: "},
        {"role": "tool", "tool_call_id": "abcdefghi", "content": "noon"},
    ]


def test_own_reasoning_returns_with_its_signature_in_its_place():
    mine = (Reasoning("hm", OWN, "sig=="), Text("so", OWN), Reasoning("", OWN, "s2"), Reasoning("more", OWN))
    other = Reasoning("secret", Origin("mistral", "mistral", "m-2"), "s3")
    sent = body(Message.user("?"), Message("assistant", (*mine, other)), Message.user("and?"))["messages"]
    assert sent[1]["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "signature": "sig=="},
        {"type": "text", "text": "so"},
        {"type": "thinking", "thinking": [], "signature": "s2"},
        {"type": "thinking", "thinking": [{"type": "text", "text": "more"}]},
    ]


def test_images_and_documents_are_chunks_inline_or_by_reference_in_results_too():
    sees = card(capabilities={"images": True, "documents": True})
    shown = (
        Text("look"),
        Image("image/png", data="QUJD"),
        Image("image/png", url="https://x/y.png"),
        Document("application/pdf", "a.pdf", data="QUJD"),
        Document("application/pdf", url="https://x/b.pdf"),
    )
    wanted = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": "data:image/png;base64,QUJD"},
        {"type": "image_url", "image_url": "https://x/y.png"},
        {"type": "document_url", "document_url": "data:application/pdf;base64,QUJD", "document_name": "a.pdf"},
        {"type": "document_url", "document_url": "https://x/b.pdf"},
    ]
    call = ToolCall("abcdefghi", "rows", {})
    sent = body(Message("user", shown), *turn(call, *shown, is_error=True), card=sees)["messages"]
    assert sent[0]["content"] == wanted
    assert sent[2]["content"] == [{"type": "text", "text": "Error: look"}, *wanted[1:]]
    assert len(sent) == 3


def test_no_user_speaks_right_after_results():
    call = ToolCall("abcdefghi", "rows", {})
    sent = encoded(Message.user("?"), *turn(call, Text("1")), Message.user("stop"))
    assert [each["role"] for each in json.loads(sent.body)["messages"]] == [
        "user", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip
    assert sent.notes == ("a turn 'Understood.' stands before the user's: Mistral takes none right after results",)


def test_a_system_message_amid_the_conversation_becomes_the_users():
    call = ToolCall("abcdefghi", "rows", {})
    sent = encoded(
        Message.system("a"), Message.user("b"), Message.system("c"), *turn(call, Text("1")), Message.system("d"),
        Message.assistant("e"), Message.system("f"), Message.user("g"),
    )  # fmt: skip
    assert [each["role"] for each in json.loads(sent.body)["messages"]] == [
        "system", "user", "system", "assistant", "tool", "assistant", "user", "assistant", "user", "user",
    ]  # fmt: skip
    assert len(sent.notes) == 2


def test_a_system_message_is_never_the_last():
    sent = encoded(Message.system("a"), Message.user("b"), Message.system("c"), Message.system("d"))
    assert json.loads(sent.body)["messages"][1:] == [
        {"role": "user", "content": "b"},
        {"role": "user", "content": "<system>\nc\n</system>"},
        {"role": "user", "content": "<system>\nd\n</system>"},
    ]
    assert sent.notes == ("system message within the conversation: said in the user's turn, in <system> tags",)
    alone = encoded(Message.system("a"))
    assert [each["role"] for each in json.loads(alone.body)["messages"]] == ["system", "user"]
    assert alone.notes == ("'Continue.' put last: Mistral Chat wants a user's turn there",)


def test_a_last_turn_of_the_assistants_is_one_to_go_on_with():
    sent = encoded(Message.user("count"), Message.assistant("one, "))
    assert json.loads(sent.body)["messages"][-1] == {"role": "assistant", "content": "one, ", "prefix": True}
    assert sent.notes == ("the last turn is the assistant's: Mistral goes on with it",)


def test_calls_written_as_json_are_understood_where_the_model_has_no_tools():
    sent = encoded(tools=(ROWS,), card=card(capabilities={"tools": "json"}))
    assert sent.json_tools
    assert "tools" not in json.loads(sent.body)
    assert encoded(tools=(ROWS,), card=card(capabilities={"tools": "none"})).tools == ()
