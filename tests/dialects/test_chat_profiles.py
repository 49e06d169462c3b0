"""What each server of chat completions is told, and what it is not."""

import json
from dataclasses import replace

import pytest

from orchestra.dialects.chat_profiles import PROFILES, features_of, profile_of
from orchestra.dialects.features import FEATURES
from orchestra.dialects.rate_limits import RateLimit
from orchestra.dialects.think_tags import TAGGED
from orchestra.dispatch import Endpoint
from orchestra.dispatch.exchange import wire_request
from orchestra.types import (
    CallFault,
    Document,
    Image,
    Message,
    Origin,
    Reasoning,
    Settings,
    Text,
    ToolCall,
    ToolResult,
    Trigger,
    Usage,
)
from tests.dialects import chat
from tests.dialects.chat import CODEC, NOW, ROWS, call, chunk, encoded, read, stream

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ABLE = {"images": True, "documents": True, "logprobs": True, "reasoning_effort": True}


def card(provider, **changes):
    return chat.card(provider=provider, **({"capabilities": ABLE} | changes))


def body(provider, *messages, **fields):
    return json.loads(encoded(*messages, card=card(provider), **fields).body)


def notes(provider, **fields):
    return encoded(card=card(provider), **fields).notes


def test_every_profile_says_where_its_facts_stand():
    servers = {"openai", "vllm", "ollama", "llama.cpp", "deepseek", "moonshot", "groq", "openrouter", "azure"}
    assert set(PROFILES) == servers
    for profile in PROFILES.values():
        assert profile.sources
        assert all(source.startswith("https://") for source in profile.sources)
        assert profile.features.dialect == "openai-chat"


def test_a_server_that_is_not_known_is_spoken_to_as_openai_is_but_for_strict_tools_and_lists_of_texts():
    assert profile_of(card("acme")).features == replace(FEATURES["openai-chat"], strict=False, text_parts=False)
    assert features_of(card("openai")) is FEATURES["openai-chat"]
    assert features_of(chat.card(provider="groq", dialect="mistral")) is FEATURES["mistral"]


@pytest.mark.parametrize("provider", ["acme", "openai", *PROFILES])
def test_tools_are_strict_only_where_the_server_enforces_that(provider):
    function = body(provider, tools=(ROWS,))["tools"][0]["function"]
    assert bool(function.get("strict")) is (provider in {"openai", "azure"})
    assert (function["parameters"] == ROWS.schema) is (provider not in {"openai", "azure"})


@pytest.mark.parametrize(
    ("provider", "field"),
    [
        ("openai", "max_completion_tokens"),
        ("vllm", "max_completion_tokens"),
        ("azure", "max_completion_tokens"),
        ("groq", "max_completion_tokens"),
        ("ollama", "max_tokens"),
        ("llama.cpp", "max_tokens"),
        ("deepseek", "max_tokens"),
        ("openrouter", "max_tokens"),
    ],
)
def test_the_limit_of_a_reasoning_models_reply_has_the_servers_own_name(provider, field):
    sent = body(provider, settings=Settings(max_tokens=99))
    assert {"max_tokens", "max_completion_tokens"} & sent.keys() == {field}


def test_groq_has_one_limit_for_every_model():
    plain = card("groq", capabilities={})
    sent = json.loads(encoded(card=plain, settings=Settings(max_tokens=9)).body)
    assert sent["max_completion_tokens"] == 9


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("openai", {"reasoning_effort": "low"}),
        ("deepseek", {"reasoning_effort": "low"}),
        ("openrouter", {"reasoning": {"effort": "low"}}),
        ("llama.cpp", {"chat_template_kwargs": {"reasoning_effort": "low"}}),
    ],
)
def test_the_reasoning_effort_stands_where_the_server_reads_it(provider, said):
    sent = body(provider, settings=Settings(reasoning_effort="low"))
    assert {key: sent[key] for key in said} == said
    assert ("reasoning_effort" in sent) == ("reasoning_effort" in said)


def test_an_extra_parameter_stands_beside_the_effort():
    sent = body(
        "openrouter", settings=Settings(reasoning_effort="low"), extra={"openrouter.reasoning": {"exclude": True}}
    )
    assert sent["reasoning"] == {"effort": "low", "exclude": True}


@pytest.mark.parametrize(
    ("provider", "choices"),
    [
        ("ollama", {"required": None, "none": None}),
        ("deepseek", {"required": None, "none": "none"}),
        ("llama.cpp", {"required": "required", "none": "none"}),
        ("vllm", {"required": "required", "none": "none"}),
    ],
)
def test_a_tool_choice_that_the_server_does_not_heed_is_not_sent(provider, choices):
    for wanted, said in choices.items():
        sent = encoded(tools=(ROWS,), tool_choice=wanted, card=card(provider))
        assert json.loads(sent.body).get("tool_choice") == said
    title = PROFILES[provider].features.title
    refused = f"tool_choice required left out: {title} cannot say it"
    assert (refused in notes(provider, tools=(ROWS,), tool_choice="required")) is (choices["required"] is None)


def test_tools_that_may_not_be_called_are_not_declared_where_that_cannot_be_said():
    assert "tools" not in body("ollama", tools=(ROWS,), tool_choice="none")
    assert "tools" in body("deepseek", tools=(ROWS,), tool_choice="none")


@pytest.mark.parametrize(
    ("provider", "dropped"),
    [
        ("ollama", ["logprobs", "parallel_tool_calls"]),
        ("deepseek", ["logprobs", "parallel_tool_calls", "seed", "response_format"]),
        ("groq", ["logprobs"]),
        ("vllm", []),
        ("llama.cpp", []),
        ("openrouter", []),
        ("azure", []),
    ],
)
def test_fields_that_a_server_refuses_are_left_out_with_a_note(provider, dropped):
    wanted = {"logprobs": True, "parallel_tools": False, "seed": 7}
    with_tools = encoded(tools=(ROWS,), card=card(provider), **wanted)
    with_schema = encoded(output_schema=SCHEMA, card=card(provider))
    sent = json.loads(with_tools.body) | json.loads(with_schema.body)
    fields = {"logprobs", "parallel_tool_calls", "seed", "response_format"}
    assert fields - sent.keys() == set(dropped)
    assert len(with_tools.notes + with_schema.notes) == len(dropped)


def test_deepseek_is_told_the_schema_in_the_prompt():
    sent = body("deepseek", output_schema=SCHEMA)
    assert json.dumps(SCHEMA) in sent["messages"][0]["content"]


def test_groq_gets_a_schema_neither_beside_tools_nor_with_a_stream():
    alone = encoded(output_schema=SCHEMA, card=card("groq"))
    assert (alone.stream, json.loads(alone.body)["stream"]) == (False, False)
    assert "response_format" in json.loads(alone.body)
    beside = encoded(output_schema=SCHEMA, tools=(ROWS,), card=card("groq"))
    assert (beside.stream, "response_format" in json.loads(beside.body)) == (True, False)
    assert beside.notes == ("output_schema left out: Groq takes none beside tools; it stands in the prompt",)
    assert json.dumps(SCHEMA) in json.loads(beside.body)["messages"][0]["content"]
    assert encoded(card=card("groq")).stream


def test_media_go_only_where_they_are_read():
    shown = Message(
        "user",
        (
            Image("image/png", data="QUJD"),
            Image("image/png", url="https://x/y.png"),
            Document("application/pdf", "a.pdf", url="https://x/a.pdf"),
        ),
    )

    def kinds(provider):
        content = body(provider, shown)["messages"][0]["content"]
        return "text" if isinstance(content, str) else [piece["type"] for piece in content]

    assert kinds("deepseek") == "text"
    assert kinds("ollama") == ["image_url", "text", "text"]
    assert kinds("vllm") == kinds("groq") == ["image_url", "image_url", "text"]
    assert kinds("openrouter") == ["image_url", "image_url", "file"]
    file = body("openrouter", shown)["messages"][0]["content"][2]["file"]
    assert file == {"filename": "a.pdf", "file_data": "https://x/a.pdf"}


def own(provider):
    return Origin(provider, "openai-chat", "m-1")


def conversation(provider, state=None):
    thought = Reasoning("hm", own(provider), state)
    call = ToolCall("c", "rows", {})
    return (
        Message("assistant", (thought, call)),
        Message("tool", (ToolResult("c", "rows", (Text("1"),)),)),
        Message("assistant", (thought, Text("done"))),
        Message("assistant", (thought,)),
    )


@pytest.mark.parametrize(
    ("provider", "field", "turns"),
    [
        ("acme", "reasoning_content", [0]),
        ("llama.cpp", "reasoning_content", [0]),
        ("deepseek", "reasoning_content", [0, 2, 3]),
        ("moonshot", "reasoning_content", [0]),
        ("vllm", "reasoning", [0]),
        ("ollama", "reasoning", [0]),
        ("groq", "reasoning", [0]),
        ("openrouter", "reasoning", [0, 2, 3]),
    ],
)
def test_reasoning_returns_under_the_servers_name_on_the_turns_that_want_it(provider, field, turns):
    sent = body(provider, *conversation(provider))["messages"]
    assert [place for place, item in enumerate(sent) if item.get(field) == "hm"] == turns
    assert not any(({"reasoning", "reasoning_content"} - {field}) & item.keys() for item in sent)
    assert len(sent) == max(turns[-1] + 1, 3)  # a turn of which nothing is left is none


def test_deepseek_gets_a_blank_thought_where_a_turn_has_none_once_tools_were_called():
    """It refuses the conversation otherwise, whichever model has written the turn."""
    for writer, first in (("deepseek", "hm"), ("acme", " ")):
        sent = body("deepseek", *conversation(writer)[:2], Message("assistant", (Text("done"),)))["messages"]
        assert [item.get("reasoning_content") for item in sent] == [first, None, " "]
    said = (Message.user("hi"), Message("assistant", (Text("done"),)))
    assert "reasoning_content" not in body("deepseek", *said)["messages"][1]


def test_moonshot_gets_a_blank_thought_where_a_turn_with_calls_has_none():
    """Models that think refuse the conversation otherwise; nothing else of this server is taken for known."""
    for writer, first in (("moonshot", "hm"), ("acme", " ")):
        sent = body("moonshot", *conversation(writer)[:2], Message("assistant", (Text("done"),)))["messages"]
        assert [item.get("reasoning_content") for item in sent] == [first, None, None]
    assert features_of(card("moonshot")) == replace(features_of(card("acme")), title="Moonshot")


def test_a_thought_that_returns_in_the_text_is_not_blank_beside_it():
    mine = Origin("moonshot", "openai-chat", "m-1")
    turn = Message("assistant", (Reasoning("hm", mine, TAGGED), ToolCall("c1", "rows", {"sql": "x"}, origin=mine)))
    sent = body("moonshot", turn)["messages"][0]
    assert (sent["content"], "reasoning_content" in sent) == ("<think>hm</think>\n\n", False)


def test_opaque_details_of_reasoning_return_as_they_came():
    details = [
        {"type": "reasoning.text", "index": 0, "text": "h", "format": "anthropic-claude-v1"},
        {"type": "reasoning.text", "index": 0, "text": "m", "id": None},
        {"type": "reasoning.text", "index": 0, "signature": "si+/="},
        {"type": "reasoning.encrypted", "index": 0, "data": "AB"},
        {"type": "reasoning.encrypted", "index": 1, "data": "CD", "id": "c1"},
        {"type": "reasoning.encrypted", "data": "EF"},
    ]
    asked = encoded(tools=(ROWS,), card=card("openrouter"))
    said = stream(
        chunk({"reasoning": "h", "reasoning_details": details[:1]}),
        chunk({"reasoning": "m", "reasoning_details": details[1:2]}),
        chunk({"reasoning_details": details[2:3]}),
        chunk({"reasoning_details": [details[3], details[4], "?"]}),
        chunk({"reasoning_details": [details[5]], **call(0, "c1", "rows", "{}")}, "tool_calls"),
    )
    reply = read(said, asked)[1]
    assert reply.reasoning == "hm"
    whole = [
        {"type": "reasoning.text", "index": 0, "text": "hm", "format": "anthropic-claude-v1", "signature": "si+/="},
        *details[3:],
    ]
    assert json.loads(reply.parts[0].provider_state) == whole
    sent = body("openrouter", Message("assistant", reply.parts))["messages"][0]
    assert sent["reasoning_details"] == whole
    assert "reasoning" not in sent


def test_what_google_says_beside_a_call_returns_to_the_model_that_made_it_and_to_no_other():
    beside = {"google": {"thought_signature": "EpwC+/="}}
    asked = encoded(tools=(ROWS,), card=card("google"))
    made = call(0, "c1", "rows", "{}")
    made["tool_calls"][0]["extra_content"] = beside
    reply = read(stream(chunk(made), chunk(call(1, "c2", "rows", "{}")), chunk({}, "tool_calls")), asked)[1]
    first, second = body("google", Message("assistant", reply.parts))["messages"][0]["tool_calls"]
    assert first["extra_content"] == beside
    assert "extra_content" not in second
    assert "EpwC" not in json.dumps(body("acme", Message("assistant", reply.parts)))


def test_a_detail_with_another_id_is_another_block():
    details = [{"type": "reasoning.encrypted", "index": 0, "data": "A", "id": one} for one in ("a", "b")]
    said = stream(*(chunk({"reasoning_details": [each]}) for each in details), chunk({}, "stop"))
    assert json.loads(read(said)[1].parts[0].provider_state) == details


def test_details_of_one_message_stay_apart():
    details = [{"type": "reasoning.text", "index": 0, "text": "a"}, {"type": "reasoning.text", "index": 0, "text": "b"}]
    message = {"role": "assistant", "content": "x", "reasoning_details": details}
    data = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    reply = CODEC.decode(encoded(card=card("openrouter")), json.dumps(data).encode())
    assert json.loads(reply.parts[0].provider_state) == details


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://x.openai.azure.com/openai/v1", "/chat/completions"),
        ("https://x.openai.azure.com/openai/v1/", "/chat/completions"),
        ("https://x.openai.azure.com/openai?api-version=2024-10-21", "/deployments/m-1/chat/completions"),
        ("https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21", "/chat/completions"),
    ],
)
def test_azure_names_the_deployment_in_the_path_unless_base_url_does(base_url, path):
    assert encoded(card=card("azure", base_url=base_url)).path == path


def test_only_azure_wants_its_key_in_a_header_of_its_own():
    assert encoded(card=card("azure")).key_header == "api-key"
    assert encoded(card=card("groq", base_url="https://api.groq.com/openai")).path == "/chat/completions"
    assert encoded(card=card("groq")).key_header is None


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (
            "https://x.openai.azure.com/openai?api-version=2024-10-21",
            "https://x.openai.azure.com/openai/deployments/m-1/chat/completions?api-version=2024-10-21",
        ),
        ("https://x.openai.azure.com/openai/v1/", "https://x.openai.azure.com/openai/v1/chat/completions"),
    ],
)
def test_azure_is_asked_at_its_url_with_a_bare_key(base_url, url):
    sent = encoded(card=card("azure", base_url=base_url))
    request = wire_request(CODEC, sent, Endpoint(base_url, "secret"), connect=5.0)
    assert request.url == url
    assert dict(request.headers)["api-key"] == "secret"
    assert "authorization" not in dict(request.headers)
    keyless = wire_request(CODEC, sent, Endpoint(base_url, None), connect=5.0)
    assert not {"api-key", "authorization"} & dict(keyless.headers).keys()


def test_a_token_of_entras_goes_to_azure_as_a_token():
    token = "eyJ0eXAiOiJKV1Qi.eyJhdWQiOiJodHRwcyI.c2lnbmF0dXJl"
    sent, url = encoded(card=card("azure")), "https://x.openai.azure.com/openai/v1"
    headers = dict(wire_request(CODEC, sent, Endpoint(url, token), connect=5.0).headers)
    assert headers["authorization"] == f"Bearer {token}"
    assert "api-key" not in headers
    assert dict(wire_request(CODEC, sent, Endpoint(url, "eyJ0eXAi"), connect=5.0).headers)["api-key"] == "eyJ0eXAi"


def test_a_query_of_base_url_joins_that_of_the_path():
    sent = replace(encoded(card=card("openai")), path="/x?alt=sse")
    request = wire_request(CODEC, sent, Endpoint("https://x/v1?a=b", "secret"), connect=5.0)
    assert request.url == "https://x/v1/x?alt=sse&a=b"
    assert dict(request.headers)["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("fields", "usage"),
    [
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 5}}, Usage(9, 2, 5)),
        ({"x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 2}}}, Usage(9, 2)),
        (
            {
                "usage": {"prompt_tokens": 8, "completion_tokens": 1},
                "x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 2}},
            },
            Usage(8, 1),
        ),
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 5}}, Usage(9, 2, 5)),
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}, Usage(9, 2)),
        (
            {
                "usage": {
                    "prompt_tokens": 32,
                    "completion_tokens": 9,
                    "total_tokens": 135,
                    "completion_tokens_details": {"reasoning_tokens": 94},
                }
            },
            Usage(32, 103, reasoning=94),
        ),
        ({"usage": {"prompt_tokens": 11, "completion_tokens": 9, "total_tokens": 450}}, Usage(11, 9)),
        (
            {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 61, "cached_tokens": 5}},
            Usage(9, 2, 5),
        ),
        ({"usage": "none", "x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 2}}}, Usage(9, 2)),
    ],
)
def test_usage_is_found_where_the_server_puts_it(fields, usage):
    assert read(stream(chunk({"content": "x"}, "stop", **fields)))[1].usage == usage


@pytest.mark.parametrize(
    ("server", "thought"),
    [
        ({"base_url": "https://generativelanguage.googleapis.com/v1beta/openai"}, 430),
        ({"base_url": "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/endpoints/openapi"}, 430),
        ({"base_url": "http://127.0.0.1:1/v1", "provider": "gemini"}, 430),
        ({"base_url": "https://generativelanguage.googleapis.com.example.org/v1"}, 0),
        ({"base_url": "https://example.org/v1"}, 0),
    ],
)
def test_what_only_googles_total_holds_was_thought_and_at_other_servers_nobody_knows(server, thought):
    said = {"prompt_tokens": 11, "completion_tokens": 9, "total_tokens": 450}
    said["prompt_tokens_details"] = {"cached_tokens": 5}
    asked = encoded(card=chat.card(**server))
    reply = read(stream(chunk({"content": "x"}, "stop", usage=said)), asked)[1]
    assert reply.usage == Usage(11, 9 + thought, 5, reasoning=thought)
    told = said | {"completion_tokens_details": {"reasoning_tokens": 0}}
    assert read(stream(chunk({"content": "x"}, "stop", usage=told)), asked)[1].usage == Usage(11, 9, 5)


def test_usage_is_found_in_moonshots_choice():
    last = chunk({}, "stop")
    last["choices"][0]["usage"] = {"prompt_tokens": 19, "completion_tokens": 13, "cached_tokens": 12}
    assert read(stream(chunk({"content": "x"}), last))[1].usage == Usage(19, 13, 12)


@pytest.mark.parametrize(
    ("reason", "trigger"),
    [
        ("error", Trigger.server_error),
        ("network_error", Trigger.server_error),
        ("insufficient_system_resource", Trigger.overloaded),
    ],
)
def test_a_reply_that_the_server_gave_up_is_a_fault(reason, trigger):
    fault = read(stream(chunk({"content": "x"}), chunk({}, reason)))[1]
    assert (fault.trigger, fault.partial_text) == (trigger, "x")
    data = {"choices": [{"message": {"content": "x"}, "finish_reason": reason}]}
    assert isinstance(CODEC.decode(encoded(tools=(NOW,)), json.dumps(data).encode()), CallFault)


@pytest.mark.parametrize(
    ("status", "error", "trigger", "text"),
    [
        (400, {"code": "tool_use_failed", "message": "no", "failed_generation": "x"}, Trigger.bad_reply, "no"),
        (402, {"message": "Insufficient Balance"}, Trigger.quota, "Balance"),
        (403, {"code": 403, "message": "requires moderation and was flagged"}, Trigger.content_filter, "flagged"),
        (
            400,
            {"code": 400, "message": "Provider returned error", "metadata": {"raw": "maximum context length is 8"}},
            Trigger.context_overflow,
            "Provider returned error maximum context length is 8",
        ),
        (
            400,
            {"code": "content_filter", "message": "m", "innererror": {"code": "ResponsibleAIPolicyViolation"}},
            Trigger.content_filter,
            "m",
        ),
        (400, {"code": 400, "message": "x", "type": "exceed_context_size_error"}, Trigger.context_overflow, "x"),
    ],
)
def test_the_servers_own_errors_are_understood(status, error, trigger, text):
    fault = CODEC.error(status, {}, json.dumps({"error": error}).encode())
    assert fault.trigger is trigger
    assert text in fault.text


def test_limits_are_read_from_the_headers_that_these_servers_share():
    headers = {"x-ratelimit-limit-requests": "30", "x-ratelimit-remaining-requests": "29"}
    headers |= {"x-ratelimit-reset-requests": "2m1s"}
    assert CODEC.limits(headers) == (RateLimit("requests", 30, 29, 121.0),)


@pytest.mark.parametrize("state", ["garbage", "{}", "5", "[]", "[1]", "[" * 500])
def test_details_that_were_kept_wrongly_do_not_go_back_and_a_note_says_so(state):
    own = Origin("openrouter", "openai-chat", "m-1")
    asked = encoded(
        Message.user("a"), Message("assistant", (Reasoning("hm", own, state), Text("x", own))), Message.user("b"),
        card=card("openrouter"),
    )  # fmt: skip
    assert json.loads(asked.body)["messages"][1] == {"role": "assistant", "content": "x", "reasoning": "hm"}
    assert [note for note in asked.notes if "reasoning_details" in note]


@pytest.mark.parametrize(
    ("provider", "title"), [("acme", "OpenAI Chat Completions"), ("vllm", "vLLM"), ("deepseek", ""), ("openrouter", "")]
)
def test_reasoning_that_a_server_does_not_take_back_is_noted(provider, title):
    sent = encoded(*conversation(provider), card=card(provider))
    told = (f"reasoning left out: {title} takes it back on turns that call tools",)
    assert sent.notes == (told if title else ())
    assert encoded(*conversation(provider)[:2], card=card(provider)).notes == ()
