"""What a canonical request becomes on the wire."""

import json

import pytest

from orchestra.types import (
    Document,
    Image,
    Message,
    Origin,
    Reasoning,
    Request,
    Settings,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from tests.dialects.chat import CODEC, NOW, ROWS, body, card, encoded, request

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def turn(call, *content, is_error=False, name="rows"):
    return (Message("assistant", (call,)), Message("tool", (ToolResult(call.id, name, content, is_error),)))


def test_a_plain_request_holds_nothing_that_was_not_asked_for():
    assert body(Message.system("be brief"), Message.user("hü")) == {
        "model": "m-1",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hü"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_path_and_headers_carry_no_secret():
    sent = encoded()
    assert sent.path == "/chat/completions"
    assert dict(sent.headers) == {"content-type": "application/json", "accept": "text/event-stream"}
    assert (sent.notes, sent.stream, sent.card, sent.json_tools, sent.structured) == ((), True, card(), False, False)


def test_a_key_is_a_bearer_token():
    assert CODEC.authorization("k") == (("authorization", "Bearer k"),)
    assert CODEC.authorization(None) == ()


def test_a_model_that_cannot_stream_is_asked_for_the_whole_reply():
    sent = encoded(card=card(capabilities={"streaming": False}))
    assert json.loads(sent.body)["stream"] is False
    assert "stream_options" not in json.loads(sent.body)
    assert dict(sent.headers)["accept"] == "application/json"
    assert sent.stream is False


def test_tools_are_declared_and_choice_and_parallelism_are_said_only_when_they_differ_from_the_default():
    plain = body(tools=(ROWS, NOW))
    assert [each["function"]["name"] for each in plain["tools"]] == ["rows", "now"]
    assert plain["tools"][0]["function"]["parameters"] == ROWS.schema
    assert "tool_choice" not in plain
    assert "parallel_tool_calls" not in plain
    told = body(tools=(ROWS,), tool_choice="required", parallel_tools=False)
    assert (told["tool_choice"], told["parallel_tool_calls"]) == ("required", False)
    assert body(tools=(ROWS,), tool_choice="none")["tool_choice"] == "none"


def test_parallel_calls_are_not_asked_of_a_model_that_makes_one():
    single = card(capabilities={"parallel_tools": False})
    sent = encoded(tools=(ROWS,), parallel_tools=True, card=single)
    assert "parallel_tool_calls" not in json.loads(sent.body)
    assert sent.notes == ("parallel_tools left out: mine makes one call a reply",)
    assert body(tools=(ROWS,), parallel_tools=True)["parallel_tool_calls"] is True


def test_a_model_that_cannot_call_tools_is_not_given_any_and_a_note_says_so():
    sent = encoded(tools=(ROWS,), card=card(capabilities={"tools": "none"}))
    assert "tools" not in json.loads(sent.body)
    assert sent.notes == ("tools left out: mine cannot call tools",)
    assert sent.tools == ()


def test_an_output_schema_becomes_the_response_format():
    sent = encoded(output_schema=SCHEMA)
    assert json.loads(sent.body)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": SCHEMA},
    }
    assert sent.structured


def test_without_structured_output_the_schema_stands_in_the_prompt_and_a_note_says_so():
    sent = encoded(
        Message.system("be brief"), output_schema=SCHEMA, card=card(capabilities={"structured_output": False})
    )
    sent_body = json.loads(sent.body)
    assert "response_format" not in sent_body
    assert sent_body["messages"][0]["content"].startswith("be brief\n\nAnswer with JSON only")
    assert json.dumps(SCHEMA) in sent_body["messages"][0]["content"]
    assert sent.notes == ("output_schema left out: mine has none; it stands in the prompt",)


def test_settings_go_out_under_the_providers_names():
    sent = body(
        settings=Settings(max_tokens=99), temperature=0.0, seed=7, stop=("END",), logprobs=True,
        card=card(capabilities={"logprobs": True}),
    )  # fmt: skip
    wanted = {"max_tokens": 99, "temperature": 0.0, "seed": 7, "stop": ["END"], "logprobs": True}
    assert {key: sent[key] for key in wanted} == wanted


def test_a_reasoning_model_gets_its_effort_and_the_limit_it_understands():
    thinker = card(capabilities={"reasoning_effort": True})
    sent = body(settings=Settings(max_tokens=99, reasoning_effort="low"), card=thinker)
    assert (sent["reasoning_effort"], sent["max_completion_tokens"], "max_tokens" in sent) == ("low", 99, False)


def test_what_the_model_cannot_do_is_left_out_with_a_note():
    sent = encoded(settings=Settings(max_tokens=9000, reasoning_effort="low"), logprobs=True)
    assert json.loads(sent.body)["max_tokens"] == 4096
    assert not {"reasoning_effort", "logprobs"} & json.loads(sent.body).keys()
    assert sent.notes == (
        "max_tokens 9000 lowered to 4096, the most mine writes",
        "reasoning_effort left out: mine has no such setting",
        "logprobs left out: mine has no such setting",
    )


def test_extra_parameters_reach_only_their_own_provider_or_dialect():
    sent = encoded(
        extra={"acme.top_k": 5, "openai-chat.user": "u", "other.x": 1, "bare": 2, "acme.": 3, "acme.model": "no"}
    )
    sent_body = json.loads(sent.body)
    assert (sent_body["top_k"], sent_body["user"], sent_body["model"]) == (5, "u", "m-1")
    assert not {"x", "bare", ""} & sent_body.keys()
    assert sent.notes == (
        "extra 'other.x' left out: it is not for acme or openai-chat",
        "extra 'bare' left out: it is not for acme or openai-chat",
        "extra 'acme.' left out: it is not for acme or openai-chat",
        "extra 'model' left out: the request itself sets it",
    )


def test_calls_and_results_keep_their_order_and_an_error_says_that_it_is_one():
    one, two = ToolCall("c1", "rows", {"sql": "ü"}), ToolCall("c2", "now", {})
    sent = body(
        Message("assistant", (Text("let me see"), one, two)),
        Message(
            "tool", (ToolResult("c2", "now", (Text("noon"),)), ToolResult("c1", "rows", (Text("no table"),), True))
        ),
    )["messages"]
    assert sent == [
        {
            "role": "assistant",
            "content": "let me see",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "rows", "arguments": '{"sql": "ü"}'}},
                {"id": "c2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "Error: no table"},
        {"role": "tool", "tool_call_id": "c2", "content": "noon"},
    ]


def test_names_and_ids_outside_the_pattern_are_respelled_alike_everywhere():
    odd = ToolSpec("shop.cart", "", ROWS.schema)
    call = ToolCall("id/" + "x" * 60, "shop.cart", {"sql": "1"})
    sent = body(*turn(call, Text("ok")), tools=(odd,))
    declared, written = sent["tools"][0]["function"]["name"], sent["messages"][0]["tool_calls"][0]
    assert declared == written["function"]["name"] == "shop_cart"
    assert len(written["id"]) <= 40
    assert written["id"] == sent["messages"][1]["tool_call_id"]


@pytest.mark.parametrize("id", ["functions.rows:0", "call_1__thought__" + "EpwC+/=" * 9])
def test_an_id_goes_back_as_it_came_to_the_model_that_gave_it_and_to_no_other(id):
    """Kimi's, and LiteLLM's of a call that Gemini has made."""
    for model, same in (("m-1", True), ("m-2", False)):
        call = ToolCall(id, "rows", {"sql": "1"}, origin=Origin("acme", "openai-chat", model))
        other = ToolCall(id.replace("0", "1") + "/", "rows", {"sql": "1"})
        results = Message("tool", tuple(ToolResult(one.id, "rows", (Text("ok"),)) for one in (call, other)))
        first, *answers = body(Message("assistant", (call, other)), results, tools=(ROWS,))["messages"]
        sent = [one["id"] for one in first["tool_calls"]]
        assert [one["tool_call_id"] for one in answers] == sent
        assert [one == id for one in sent] == [same, False]
        assert len(set(sent)) == 2


def test_arguments_go_out_in_the_form_in_which_the_tool_was_declared():
    boxed = ToolSpec("boxed", "", {"type": "object", "anyOf": [{"required": ["a"]}]})
    sent = body(*turn(ToolCall("c", "boxed", {"a": 1}), Text("ok"), name="boxed"), tools=(boxed,))
    assert sent["messages"][0]["tool_calls"][0]["function"]["arguments"] == '{"arguments": {"a": 1}}'


def test_unreadable_arguments_still_make_a_request_that_servers_can_read():
    sent = body(*turn(ToolCall("c", "rows", None, raw='{"sql": '), Text("bad")))
    arguments = sent["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"unreadable": '{"sql": '}


def test_reasoning_returns_only_to_its_own_model_and_only_on_turns_that_call_tools():
    own = Reasoning("hm", origin=Origin("acme", "openai-chat", "m-1"))
    foreign = Reasoning("secret", origin=Origin("acme", "openai-chat", "m-2"))
    call, result = turn(ToolCall("c", "rows", {}), Text("ok"))
    calling = Message("assistant", (own, foreign, *call.parts))
    sent = body(calling, result, Message("assistant", (own, Text("done"))))["messages"]
    assert sent[0]["reasoning_content"] == "hm"
    assert sent[2] == {"role": "assistant", "content": "done"}


def test_images_and_documents_are_written_inline_or_as_a_reference():
    sees = card(capabilities={"images": True, "documents": True})
    sent = body(
        Message("user", (
            Text("look"),
            Image("image/png", data="QUJD"),
            Image("image/png", url="https://x/y.png"),
            Document("application/pdf", "a.pdf", data="QUJD"),
            Document("application/pdf", "b.pdf", url="https://x/b.pdf"),
            Document("application/pdf", data="QUJD"),
        )),
        card=sees,
    )  # fmt: skip
    assert sent["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
        {"type": "text", "text": "[document b.pdf left out: OpenAI Chat Completions takes no URL: https://x/b.pdf]"},
        {"type": "file", "file": {"filename": "document", "file_data": "data:application/pdf;base64,QUJD"}},
    ]


def test_a_text_that_its_own_model_gave_a_state_is_a_text_in_a_users_turn_too():
    quoted = Text("as you said", Origin("acme", "openai-chat", "m-1"), "state")
    assert body(Message("user", (quoted,)))["messages"] == [{"role": "user", "content": "as you said"}]


def test_a_picture_that_a_message_came_to_hold_after_it_was_sent_is_sent_with_it():
    sees, parts = card(capabilities={"images": True}), [Text("look")]
    message = Message("user", parts)
    assert body(message, card=sees)["messages"][0]["content"] == "look"
    parts.append(Image("image/png", data="QUJD"))
    assert [piece["type"] for piece in body(message, card=sees)["messages"][0]["content"]] == ["text", "image_url"]


def test_the_same_request_is_the_same_bytes():
    made = [CODEC.encode(request(tools=(ROWS, NOW), extra={"acme.a": 1}), card()).body for _ in range(2)]
    assert made[0] == made[1]


def test_text_that_is_no_unicode_still_makes_a_request():
    assert json.loads(encoded(Message.user("half \ud83d")).body)["messages"][0]["content"] == "half \ufffd"


def _forbid_unknown_keys():
    import inspect

    import openai.types.chat as chat
    from typing_extensions import is_typeddict

    for name, member in inspect.getmembers(chat):
        if is_typeddict(member):
            member.__pydantic_config__ = {"extra": "forbid"}
            assert name


@pytest.mark.parametrize(
    "asked",
    [
        Request((Message.system("s"), Message.user("u")), settings=Settings(max_tokens=5), seed=1, stop=("x",)),
        Request((Message.user("u"),), tools=(ROWS, NOW), tool_choice="required", parallel_tools=False),
        Request(
            (Message.user("u"), *turn(ToolCall("c", "rows", {"sql": "1"}), Image("image/png", data="QUJD"))),
            tools=(ROWS,),
            output_schema=SCHEMA,
            logprobs=True,
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("support", ["native", "json"])
def test_the_official_types_accept_every_request(asked, support):
    from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
    from pydantic import TypeAdapter

    _forbid_unknown_keys()
    CompletionCreateParamsStreaming.__pydantic_config__ = {"extra": "forbid"}
    adapter = TypeAdapter(CompletionCreateParamsStreaming)
    sent = CODEC.encode(asked, card(capabilities={"images": True, "logprobs": True, "tools": support}))
    read = adapter.validate_python(json.loads(sent.body))
    for message in read["messages"]:
        list(message.get("content") or ())
        list(message.get("tool_calls") or ())
    list(read.get("tools") or ())


def test_results_without_a_call_and_calls_without_a_result_are_noted():
    orphan = Message("tool", (ToolResult("gone", "rows", (Text("1"),)),))
    open_call = Message("assistant", (ToolCall("c1", "rows", {}),))
    sent = CODEC.encode(Request((Message.user("?"), orphan, open_call, Message.user("well?"))), card())
    assert sent.notes == (
        "tool result 'gone' left out: no call has this id",
        "tool call 'c1' had no result: a neutral error stands in",
    )
