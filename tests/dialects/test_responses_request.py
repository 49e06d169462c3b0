"""What a canonical request becomes on the wire of openai-responses."""

import json

import pytest

from orchestra.dialects.retry_after import retry_after
from orchestra.types import (
    Document,
    Image,
    Message,
    Reasoning,
    Settings,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Trigger,
)
from tests.dialects.responses import CODEC, NOW, ORIGIN, ROWS, body, card, encoded

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
THINKER = card(capabilities={"reasoning_effort": True})
SEALED = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAA+/=="}


def turn(call, *content, is_error=False):
    return (Message("assistant", (call,)), Message("tool", (ToolResult(call.id, call.name, content, is_error),)))


def own_text(text, **state):
    return Text(text, ORIGIN, json.dumps(state))


def own_call(identity, **state):
    return ToolCall(identity, "rows", {"sql": "1"}, origin=ORIGIN, provider_state=json.dumps(state))


def sealed(**changes):
    return Reasoning("", ORIGIN, json.dumps(SEALED | changes))


def test_a_plain_request_holds_nothing_that_was_not_asked_for_and_stores_nothing():
    assert body(Message.system("be brief"), Message.user("hü")) == {
        "model": "m-1",
        "input": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hü"}],
        "store": False,
        "stream": True,
    }


def test_path_and_headers_carry_no_secret():
    sent = encoded()
    assert sent.path == "/responses"
    assert dict(sent.headers) == {"content-type": "application/json", "accept": "text/event-stream"}
    assert (sent.notes, sent.stream, sent.card, sent.json_tools, sent.structured) == ((), True, card(), False, False)
    assert CODEC.authorization("k") == (("authorization", "Bearer k"),)
    assert CODEC.authorization(None) == ()


def test_azure_gets_its_key_in_the_header_that_its_older_versions_alone_know():
    assert encoded(card=card(provider="azure")).key_header == "api-key"
    assert encoded(card=card(provider="openai")).key_header is None


def test_a_model_that_cannot_stream_is_asked_for_the_whole_reply():
    sent = encoded(card=card(capabilities={"streaming": False}))
    assert json.loads(sent.body)["stream"] is False
    assert dict(sent.headers)["accept"] == "application/json"
    assert sent.stream is False


def test_a_system_message_in_the_middle_stays_there_so_that_what_precedes_it_is_still_cached():
    before = (Message.system("be brief"), Message.user("a"), Message.assistant("b"))
    later = body(*before, Message.system("be kind"), Message.user("c"))["input"]
    assert later[:3] == body(*before)["input"]
    assert later[3] == {"role": "system", "content": "be kind"}


def test_tools_are_declared_flat_and_choice_and_parallelism_are_said_only_when_they_differ_from_the_default():
    plain = body(tools=(ROWS, NOW))
    assert [(each["type"], each["name"]) for each in plain["tools"]] == [("function", "rows"), ("function", "now")]
    assert "strict" in plain["tools"][0]
    assert not {"tool_choice", "parallel_tool_calls"} & plain.keys()
    told = body(tools=(ROWS,), tool_choice="required", parallel_tools=False)
    assert (told["tool_choice"], told["parallel_tool_calls"]) == ("required", False)
    assert body(tools=(ROWS,), tool_choice="none")["tool_choice"] == "none"


def test_a_model_that_cannot_call_tools_is_not_given_any():
    sent = encoded(tools=(ROWS,), card=card(capabilities={"tools": "none"}))
    assert "tools" not in json.loads(sent.body)
    assert sent.notes == ("tools left out: mine cannot call tools",)
    assert sent.tools == ()


def test_an_output_schema_becomes_the_format_of_the_text_as_it_is():
    sent = encoded(output_schema=SCHEMA)
    assert json.loads(sent.body)["text"] == {
        "format": {"type": "json_schema", "name": "reply", "schema": SCHEMA, "strict": False}
    }
    assert sent.structured


def test_settings_go_out_under_the_providers_names():
    logprobs = card(capabilities={"logprobs": True})
    sent = body(settings=Settings(max_tokens=99), temperature=0.0, logprobs=True, card=logprobs)
    wanted = {"max_output_tokens": 99, "temperature": 0.0, "include": ["message.output_text.logprobs"]}
    assert {key: sent[key] for key in wanted} == wanted


def test_a_reasoning_model_gets_its_effort_and_is_asked_for_its_reasoning_encrypted():
    sent = body(settings=Settings(reasoning_effort="low"), card=THINKER)
    assert (sent["reasoning"], sent["include"]) == ({"effort": "low"}, ["reasoning.encrypted_content"])
    assert "include" not in body(card=card())


def test_what_the_dialect_or_the_model_cannot_do_is_left_out_with_a_note():
    sent = encoded(settings=Settings(max_tokens=9000, reasoning_effort="low"), seed=7, stop=("END", "X"), logprobs=True)
    assert json.loads(sent.body)["max_output_tokens"] == 4096
    assert not {"reasoning", "seed", "stop", "include"} & json.loads(sent.body).keys()
    assert set(sent.notes) == {
        "max_tokens 9000 lowered to 4096, the most mine writes",
        "reasoning_effort left out: mine has no such setting",
        "seed left out: OpenAI Responses has no such setting",
        "stop: 2 of 2 left out: OpenAI Responses takes none, the text may go on behind them",
        "logprobs left out: mine has no such setting",
    }


def test_fewer_tokens_than_the_provider_takes_become_as_many_with_a_note():
    sent = encoded(settings=Settings(max_tokens=5))
    assert json.loads(sent.body)["max_output_tokens"] == 16
    assert sent.notes == ("max_tokens 5 raised to 16, the least OpenAI Responses takes",)
    assert body(settings=Settings(max_tokens=16))["max_output_tokens"] == 16


def test_extra_parameters_are_merged_but_never_replace_what_the_request_says():
    extra = {"acme.reasoning": {"summary": "auto"}, "openai-responses.prompt_cache_key": "k", "acme.store": True}
    sent = encoded(settings=Settings(reasoning_effort="low"), card=THINKER, extra=extra)
    said = json.loads(sent.body)
    assert (said["reasoning"], said["prompt_cache_key"]) == ({"effort": "low", "summary": "auto"}, "k")
    assert said["store"] is False
    assert sent.notes == ("extra 'store' left out: the request itself sets it",)


def test_calls_and_outputs_keep_their_order_and_an_error_says_that_it_is_one():
    one, two = ToolCall("c1", "rows", {"sql": "ü"}), ToolCall("c2", "now", {})
    results = (ToolResult("c2", "now", (Text("noon"),)), ToolResult("c1", "rows", (Text("no table"),), is_error=True))
    sent = body(Message("assistant", (Text("let me see"), one, two)), Message("tool", results), tools=(ROWS, NOW))
    assert sent["input"] == [
        {"role": "assistant", "content": "let me see"},
        {"type": "function_call", "call_id": "c1", "name": "rows", "arguments": '{"sql": "ü"}'},
        {"type": "function_call", "call_id": "c2", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "Error: no table"},
        {"type": "function_call_output", "call_id": "c2", "output": "noon"},
    ]


def test_names_and_ids_outside_the_pattern_are_respelled_alike_everywhere():
    odd = ToolSpec("shop.cart", "", ROWS.schema)
    sent = body(*turn(ToolCall("id/" + "x" * 80, "shop.cart", {"sql": "1"}), Text("ok")), tools=(odd,))
    call, output = sent["input"]
    assert call["name"] == sent["tools"][0]["name"] == "shop_cart"
    assert call["call_id"] == output["call_id"]
    assert len(call["call_id"]) <= 64
    assert encoded(*turn(ToolCall("x" * 64, "rows", {}), Text("ok"))).body.count(b"x" * 64) == 2


def test_arguments_that_were_no_json_go_back_as_what_was_written():
    sent = body(*turn(ToolCall("c", "rows", None, raw='{"sql": '), Text("no")), tools=(ROWS,))
    assert json.loads(sent["input"][0]["arguments"]) == {"unreadable": '{"sql": '}


MEDIA = (
    Image("image/png", data="QUJD"),
    Image("image/png", url="https://x/y.png"),
    Document("application/pdf", "a.pdf", data="QUJD"),
    Document("application/pdf", "b.pdf", url="https://x/b.pdf"),
    Document("application/pdf", data="QUJD"),
)
PIECES = [
    {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,QUJD"},
    {"type": "input_image", "detail": "auto", "image_url": "https://x/y.png"},
    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"},
    {"type": "input_file", "file_url": "https://x/b.pdf"},
    {"type": "input_file", "filename": "document", "file_data": "data:application/pdf;base64,QUJD"},
]
SEEING = card(capabilities={"images": True, "documents": True})


def test_images_and_documents_go_into_the_users_turn_and_into_tool_results():
    text = {"type": "input_text", "text": "see"}
    assert body(Message("user", (Text("see"), *MEDIA)), card=SEEING)["input"][0]["content"] == [text, *PIECES]
    sent = body(*turn(ToolCall("c", "rows", {}), Text("see"), *MEDIA), card=SEEING)["input"]
    assert sent[1]["output"] == [text, *PIECES]
    failed = body(*turn(ToolCall("c", "rows", {}), *MEDIA[:1], is_error=True), card=SEEING)["input"]
    assert failed[1]["output"] == [{"type": "input_text", "text": "Error: "}, PIECES[0]]


def test_an_image_of_an_assistant_is_a_line_of_text_since_the_provider_takes_no_image_there():
    (said,) = body(Message("assistant", (MEDIA[0],)), card=SEEING)["input"]
    assert said["content"].startswith("[image left out:")


def test_the_models_own_items_go_back_unchanged_and_in_order():
    first = {"id": "msg_1", "status": "completed", "phase": "commentary"}
    parts = (
        sealed(),
        own_text("let me see", **first),
        own_call("c1", id="fc_1", status="completed"),
        sealed(id="rs_2", summary=[{"type": "summary_text", "text": "hm"}]),
        own_call("c2", id="fc_2", namespace="crm"),
    )
    call = {"type": "function_call", "name": "rows", "arguments": '{"sql": "1"}'}
    assert body(Message("assistant", parts), card=THINKER)["input"][:5] == [
        SEALED,
        first
        | {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "let me see", "annotations": []}],
        },
        call | {"id": "fc_1", "status": "completed", "call_id": "c1"},
        SEALED | {"id": "rs_2", "summary": [{"type": "summary_text", "text": "hm"}]},
        call | {"id": "fc_2", "namespace": "crm", "call_id": "c2"},
    ]


@pytest.mark.parametrize("change", [{"model": "m-2"}, {"provider": "other"}])
def test_another_model_sees_text_and_calls_but_neither_reasoning_nor_state(change):
    parts = (sealed(), own_text("so", id="msg_1"), own_call("c1", id="fc_1"))
    assert body(Message("assistant", parts), card=card(**change))["input"][:2] == [
        {"role": "assistant", "content": "so"},
        {"type": "function_call", "call_id": "c1", "name": "rows", "arguments": '{"sql": "1"}'},
    ]


def test_reasoning_that_led_to_nothing_is_left_out_since_the_provider_refuses_it():
    sent = encoded(Message("assistant", (sealed(), sealed(id="rs_2"))), Message.user("go on"))
    assert json.loads(sent.body)["input"] == [{"role": "user", "content": "go on"}]
    assert sent.notes == ("reasoning left out: it led to nothing",)
    (only,) = body(Message("assistant", (own_text("so", id="msg_1"), sealed())))["input"]
    assert only["id"] == "msg_1"


def test_an_item_that_stands_in_the_history_twice_goes_back_as_itself_once():
    twice = Message("assistant", (sealed(), own_text("so", id="msg_1")))
    sent = body(twice, Message.user("again"), twice)["input"]
    assert [item.get("id") for item in sent] == ["rs_1", "msg_1", None, None]
    assert sent[-1] == {"role": "assistant", "content": "so"}


@pytest.mark.parametrize("state", ["", "{", "[]", "{}", '{"id": 5}'])
def test_state_that_is_no_item_is_left_out(state):
    parts = (Reasoning("hm", ORIGIN, state), Text("so", ORIGIN, state), ToolCall("c", "rows", {}, "", ORIGIN, state))
    made = encoded(Message("assistant", parts))
    sent = json.loads(made.body)["input"]
    assert made.notes[-1] == "reasoning left out: OpenAI Responses has not given it in a form that it takes back"
    assert sent[0] == {"role": "assistant", "content": "so"}
    assert sent[1] == {"type": "function_call", "call_id": "c", "name": "rows", "arguments": "{}"}


def test_the_same_request_is_the_same_bytes():
    made = [encoded(tools=(ROWS, NOW), extra={"acme.a": 1}).body for _ in range(2)]
    assert made[0] == made[1]


def test_errors_and_limits_are_those_of_openai():
    fault = CODEC.error(429, {"retry-after-ms": "1500"}, b'{"error": {"code": "rate_limit_exceeded"}}')
    assert (fault.trigger, fault.retry_after) == (Trigger.rate_limited, 1.5)
    headers = {
        "x-ratelimit-limit-requests": "9",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "6s",
    }
    (limit,) = CODEC.limits(headers)
    assert (limit.counted, limit.limit, limit.remaining, limit.reset) == ("requests", 9, 0, 6.0)
    assert retry_after(headers) == 6.0


def test_the_name_of_a_document_that_is_elsewhere_is_left_out_with_a_note():
    sent = encoded(Message("user", MEDIA[2:]), card=SEEING)
    assert sent.notes == ("document name 'b.pdf' left out: OpenAI Responses takes none beside a URL",)
