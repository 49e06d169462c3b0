"""What a canonical request becomes as a message to Claude."""

import base64
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
)
from tests.dialects.anthropic import (
    CODEC,
    MARK,
    MINE,
    NOW,
    ROWS,
    body,
    call,
    card,
    encoded,
    read,
    stop,
    stream,
    text,
    turns,
    unmarked,
)

ANSWER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
ORIGIN = Origin("anthropic", "anthropic", "claude-sonnet-4-5")
USER = Message.user("u")


def called(*calls):
    return Message("assistant", calls)


def answered(*results):
    return Message("tool", results)


def result(call_id, *content, name="rows", is_error=False):
    return ToolResult(call_id, name, content, is_error)


CALL = ToolCall("c1", "rows", {"sql": "ü"})
TURN = (USER, called(CALL), answered(result("c1", Text("7"))))
EFFORT = {"settings": Settings(reasoning_effort="high")}


def test_a_plain_request_holds_nothing_that_was_not_asked_for():
    assert body(Message.user("hü")) == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 8000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hü"}]}],
        "stream": True,
    }


def test_path_and_headers_carry_no_secret_and_name_the_version():
    sent = encoded()
    assert sent.path == "/v1/messages"
    assert dict(sent.headers) == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "anthropic-version": "2026-10-21",
    }
    assert (sent.notes, sent.stream, sent.card, sent.json_tools, sent.structured) == ((), True, MINE, False, False)


def test_a_key_has_a_header_of_its_own():
    assert CODEC.dialect == "anthropic"
    assert CODEC.authorization("k") == (("x-api-key", "k"),)
    assert CODEC.authorization(None) == ()


def test_a_model_that_cannot_stream_is_asked_for_the_whole_reply():
    sent = encoded(card=card(capabilities={"streaming": False}))
    assert (json.loads(sent.body)["stream"], sent.stream) == (False, False)
    assert dict(sent.headers)["accept"] == "application/json"


def test_the_limit_of_output_and_stop_sequences_are_said():
    sent = encoded(settings=Settings(max_tokens=99), stop=("END", "\n"))
    assert (json.loads(sent.body)["max_tokens"], json.loads(sent.body)["stop_sequences"]) == (99, ["END"])
    assert sent.notes == ("stop: white space left out: it is refused",)
    lowered = encoded(settings=Settings(max_tokens=9000))
    assert json.loads(lowered.body)["max_tokens"] == 8000
    assert lowered.notes == ("max_tokens 9000 lowered to 8000, the most mine writes",)


def test_what_the_provider_has_no_setting_for_is_left_out_with_a_note():
    sent = encoded(temperature=0.5, seed=7, logprobs=True)
    assert json.loads(sent.body) == body()
    assert [note.split(" left out")[0] for note in sent.notes] == ["temperature", "seed", "logprobs"]


def test_leading_system_messages_are_the_system_prompt_and_later_ones_keep_their_place_marked():
    sent = encoded(Message.system("a"), Message.system("b"), USER, Message.system("c"), Message.user("v"))
    assert unmarked(json.loads(sent.body)["system"]) == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    said = [block["text"] for block in json.loads(sent.body)["messages"][0]["content"]]
    assert said == ["u", "<system>\nc\n</system>", "v"]
    assert sent.notes == ("system message within the conversation: said in the user's turn, in <system> tags",)


def test_a_system_prompt_holds_text_only():
    sent = encoded(Message("system", (Text("a"), Image("image/png", data="QUJD"))), USER)
    assert [block["type"] for block in json.loads(sent.body)["system"]] == ["text", "text"]
    assert len(sent.notes) == 1


def test_results_of_one_turn_stand_in_call_order_before_what_the_user_says_then():
    two = ToolCall("c2", "now", {})
    asked = (
        USER,
        called(Text("let me see"), CALL, two),
        answered(result("c2", name="now"), result("c1", Text("no table"), Text("!"), is_error=True)),
        Message.user("well?"),
        Message.user("so?"),
    )
    assert turns(*asked, tools=(ROWS, NOW))[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "let me see"},
                {"type": "tool_use", "id": "c1", "name": "rows", "input": {"sql": "ü"}},
                {"type": "tool_use", "id": "c2", "name": "now", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": [{"type": "text", "text": "no table"}, {"type": "text", "text": "!"}],
                    "is_error": True,
                },
                {"type": "tool_result", "tool_use_id": "c2"},
                {"type": "text", "text": "well?"},
                {"type": "text", "text": "so?"},
            ],
        },
    ]


def test_neighbouring_turns_of_one_side_are_one_and_white_space_is_none():
    asked = (USER, Message.assistant(" \n"), Message.user("v"), Message.assistant("a"), Message.assistant("b"), USER)
    said = [(turn["role"], [block["text"] for block in turn["content"]]) for turn in turns(*asked)]
    assert said == [("user", ["u", "v"]), ("assistant", ["a", "b"]), ("user", ["u"])]


def test_a_conversation_begins_and_ends_with_the_user():
    sent = encoded(Message.assistant("a"))
    assert [turn["role"] for turn in json.loads(sent.body)["messages"]] == ["user", "assistant", "user"]
    assert len(sent.notes) == 2
    assert [turn["role"] for turn in turns(Message.system("only"))] == ["user"]


def test_images_and_documents_go_inline_or_as_a_reference_also_in_results():
    media = (
        Image("image/png", data="QUJD"),
        Image("image/png", url="https://x/y.png"),
        Document("application/pdf", "a.pdf", data="QUJD"),
        Document("application/pdf", url="https://x/b.pdf"),
        Document("text/markdown", "c.md", data=base64.b64encode("# ü".encode()).decode()),
    )
    blocks = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "QUJD"},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "url", "url": "https://x/b.pdf"}},
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "# ü"},
            "title": "c.md",
        },
    ]
    assert turns(Message("user", media))[0]["content"] == blocks
    sent = turns(USER, called(CALL), answered(result("c1", *media)), tools=(ROWS,))
    assert sent[2]["content"] == [{"type": "tool_result", "tool_use_id": "c1", "content": blocks}]


@pytest.mark.parametrize(
    "part",
    [
        Document("text/plain", url="https://x/y.txt"),
        Document("text/plain", data="no base64!"),
        Document("text/plain", data=""),
    ],
)
def test_texts_that_are_elsewhere_or_none_become_a_line_with_a_note(part):
    sent = encoded(Message("user", (part,)))
    line = f"[{part.type} left out: {part.media_type}]"
    assert json.loads(sent.body)["messages"][0]["content"] == [{"type": "text", "text": line}]
    assert sent.notes == (f"{part.type} left out: Anthropic Messages takes no {part.media_type}",)


def test_a_text_that_is_no_utf_8_is_a_document_with_a_mark_where_it_is_none():
    sent = encoded(Message("user", (Document("text/csv", "a.csv", data="dHL4cw=="),)))
    source = {"type": "text", "media_type": "text/plain", "data": "tr\ufffds"}
    block = {"type": "document", "source": source, "title": "a.csv"}
    assert json.loads(sent.body)["messages"][0]["content"] == [block]
    assert sent.notes == ()


def test_media_of_a_reply_become_a_line_and_those_of_a_failed_call_follow_the_results():
    image = Image("image/png", data="QUJD")
    sent = encoded(USER, called(image, CALL), answered(result("c1", image, Text("no"), is_error=True)), tools=(ROWS,))
    _, reply, results = unmarked(json.loads(sent.body)["messages"])
    assert [block["type"] for block in reply["content"]] == ["text", "tool_use"]
    assert [block["type"] for block in results["content"]] == ["tool_result", "text", "image"]
    assert results["content"][0]["content"] == [{"type": "text", "text": "no"}]
    assert len(sent.notes) == 2


def test_what_a_model_wrote_instead_of_arguments_goes_back_as_an_object():
    sent = turns(USER, called(ToolCall("c1", "rows", None, '{"sql": ')), tools=(ROWS,))
    assert sent[1]["content"][0]["input"] == {"unreadable": '{"sql": '}


def test_names_and_ids_are_spelled_as_the_provider_takes_them():
    sent = turns(USER, called(ToolCall("call.1|x", "shop.cart", {})), answered(result("call.1|x", name="shop.cart")))
    use, back = sent[1]["content"][0], sent[2]["content"][0]
    assert use["id"] == back["tool_use_id"]
    assert not set(use["id"] + use["name"]) & set(".|")


def test_tools_are_declared_and_choice_and_parallelism_are_said_only_when_they_differ_from_the_default():
    plain = body(tools=(ROWS, NOW))
    assert [tool["name"] for tool in plain["tools"]] == ["rows", "now"]
    assert plain["tools"][0]["input_schema"]["properties"] == ROWS.schema["properties"]
    assert "tool_choice" not in plain
    assert "tool_choice" not in body(tools=(ROWS,), parallel_tools=True)
    assert body(tools=(ROWS,), tool_choice="required")["tool_choice"] == {"type": "any"}
    assert body(tools=(ROWS,), tool_choice="none", parallel_tools=False)["tool_choice"] == {"type": "none"}
    single = body(tools=(ROWS,), parallel_tools=False)["tool_choice"]
    assert single == {"type": "auto", "disable_parallel_tool_use": True}
    assert "tool_choice" not in body(tool_choice="none")


def test_an_answers_schema_is_its_format_and_what_is_not_enforced_is_noted():
    sent = encoded(output_schema=ANSWER)
    assert json.loads(sent.body)["output_config"] == {"format": {"type": "json_schema", "schema": ANSWER}}
    assert (sent.structured, sent.notes) == (True, ())
    bounded = encoded(output_schema=ANSWER | {"properties": {"n": {"type": "integer", "minimum": 1}}})
    assert bounded.notes == ("output_schema: minimum not enforced, said in descriptions",)


def test_a_schema_that_cannot_be_enforced_stands_in_the_prompt():
    sent = encoded(Message.system("s"), USER, output_schema={"type": "object"})
    assert "output_config" not in json.loads(sent.body)
    assert json.loads(sent.body)["system"][0]["text"].startswith("s\n\nAnswer with JSON only")
    assert sent.notes == ("output_schema left out: an open object cannot be enforced; it stands in the prompt",)
    assert sent.structured


def test_calls_as_json_are_described_once_where_their_schema_cannot_be_enforced():
    sent = encoded(USER, tools=(NOW,), card=card(capabilities={"tools": "json"}))
    assert "output_config" not in json.loads(sent.body)
    assert "Answer with JSON only" not in json.loads(sent.body)["system"][0]["text"]
    assert encoded(USER, tools=(ROWS,), card=card(capabilities={"tools": "json"})).json_tools


def test_thoughts_and_opaque_blocks_go_back_unchanged_and_in_order_but_never_last():
    thinking = {"type": "thinking", "thinking": "hm", "signature": "c2ln+/="}
    redacted = {"type": "redacted_thinking", "data": "b3BhcXVl"}
    other = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}}
    use = {"type": "tool_use", "id": "c1", "name": "rows", "input": {"sql": "1"}, "caller": {"type": "direct"}}
    said = [thinking, redacted, {"type": "text", "text": "a"}, other, thinking, use]
    asked = encoded(tools=(ROWS,))
    data = json.dumps({"content": said, "stop_reason": "tool_use"}).encode()
    reply = CODEC.decode(asked, data)
    back = turns(USER, Message("assistant", reply.parts), tools=(ROWS,))
    assert back[1]["content"] == said
    trailing = Message("assistant", (*reply.parts[:3], reply.parts[0]))
    assert turns(USER, trailing, USER)[1]["content"] == said[:3]


def test_thoughts_of_others_and_thoughts_without_their_signature_are_left_out():
    state = '{"type": "thinking", "signature": "s"}'
    other = Origin("anthropic", "anthropic", "claude-opus-4-5")
    parts = (Reasoning("a", other, state), Reasoning("b", ORIGIN), Reasoning("c", ORIGIN, "no JSON"), Text("t"))
    assert turns(USER, Message("assistant", parts), USER)[1]["content"] == [{"type": "text", "text": "t"}]
    assert turns(USER, Message("assistant", parts[:3]), Message.user("v"))[0]["content"] == [
        {"type": "text", "text": "u"},
        {"type": "text", "text": "v"},
    ]


def test_a_streamed_thought_goes_back_as_it_came():
    from tests.dialects.anthropic import block

    signed = block(
        0, "thinking", ("thinking_delta", "thinking", "ü\n"), ("signature_delta", "signature", "+/="), thinking=""
    )
    _, reply = read(stream(signed, call(1, "c1", "rows", '{"sql": "1"}'), stop("tool_use")), encoded(tools=(ROWS,)))
    back = turns(USER, Message("assistant", reply.parts), tools=(ROWS,))[1]["content"]
    assert back[0] == {"type": "thinking", "thinking": "ü\n", "signature": "+/="}
    plain = read(stream(text(0, "x"), stop()), encoded())[1]
    assert turns(USER, Message("assistant", plain.parts), USER)[1]["content"] == [{"type": "text", "text": "x"}]


# model → thinking, effort at reasoning_effort "high"
@pytest.mark.parametrize(
    ("model", "thinking", "effort"),
    [
        ("claude-haiku-4-5", {"type": "enabled", "budget_tokens": 4000}, None),
        ("claude-sonnet-4-20250514", {"type": "enabled", "budget_tokens": 4000}, None),
        ("claude-opus-4-5-20251101", {"type": "enabled", "budget_tokens": 4000}, None),
        ("claude-opus-4-6", {"type": "adaptive"}, "high"),
        ("anthropic/claude-sonnet-4.6", {"type": "adaptive"}, "high"),
        ("claude-opus-5", {"type": "adaptive"}, "high"),
        ("claude-haiku-5-5", {"type": "adaptive"}, "high"),
        ("claude-mythos-preview", {"type": "adaptive"}, "high"),
        ("someones-own", None, "high"),
    ],
)
def test_effort_is_said_as_each_generation_takes_it(model, thinking, effort):
    sent = body(card=card(model), **EFFORT)
    assert (sent.get("thinking"), sent.get("output_config")) == (thinking, effort and {"effort": effort})
    assert encoded(card=card(model), **EFFORT).notes == ()


@pytest.mark.parametrize(
    ("model", "effort", "taken"),
    [
        ("claude-opus-4-6", "max", True),
        ("claude-opus-4-6", "xhigh", False),
        ("claude-opus-4-7", "xhigh", True),
        ("claude-opus-5", "minimal", False),
        ("claude-haiku-4-5", "max", False),
        ("claude-3-5-haiku-latest", "low", True),
    ],
)
def test_an_effort_the_model_does_not_know_is_left_out_with_a_note(model, effort, taken):
    sent = encoded(card=card(model), settings=Settings(reasoning_effort=effort))
    assert not sent.notes if taken else f"reasoning_effort {effort}".split()[0] in sent.notes[0]
    assert ("output_config" in json.loads(sent.body)) is taken


def test_a_budget_leaves_room_for_the_answer():
    def budget(effort, most):
        sent = encoded(settings=Settings(most, effort))
        return json.loads(sent.body).get("thinking", {}).get("budget_tokens"), len(sent.notes)

    assert budget("low", None) == (2048, 0)
    assert budget("high", 3000) == (1500, 0)
    assert budget("high", 1100) == (1024, 0)
    assert budget("high", 1024) == (None, 1)


def test_a_budget_is_not_given_in_the_middle_of_calls_that_were_made_without_thinking():
    sent = encoded(*TURN, tools=(ROWS,), **EFFORT)
    assert "thinking" not in json.loads(sent.body)
    assert sent.notes == ("reasoning_effort high left out: the calls under way were made without thinking",)
    thought = Reasoning("hm", ORIGIN, '{"type": "thinking", "signature": "s"}')
    assert "thinking" in body(USER, called(thought, CALL), TURN[2], tools=(ROWS,), **EFFORT)
    assert "thinking" in body(*TURN, Message.assistant("done"), USER, tools=(ROWS,), **EFFORT)
    assert "thinking" in body(*TURN, tools=(ROWS,), card=card("claude-opus-4-6"), **EFFORT)


@pytest.mark.parametrize(
    ("model", "choice", "thinking", "notes"),
    [
        ("claude-haiku-4-5", "any", None, 1),
        ("claude-opus-4-6", "any", None, 1),
        ("claude-opus-5", "any", {"type": "disabled"}, 1),
        ("claude-opus-5-5", None, {"type": "adaptive"}, 1),
        ("claude-fable-5", None, {"type": "adaptive"}, 1),
        ("claude-mythos-preview", None, {"type": "adaptive"}, 1),
        ("someones-own", "any", None, 0),
    ],
)
def test_a_required_call_never_goes_out_with_a_thought(model, choice, thinking, notes):
    sent = encoded(tools=(ROWS,), tool_choice="required", card=card(model), **EFFORT)
    said = json.loads(sent.body)
    assert (said.get("tool_choice", {}).get("type"), said.get("thinking")) == (choice, thinking)
    assert len(sent.notes) == notes


def test_a_required_call_without_effort_stops_the_thinking_of_models_that_think_by_themselves():
    sent = encoded(tools=(ROWS,), tool_choice="required", card=card("claude-sonnet-5"))
    assert json.loads(sent.body)["thinking"] == {"type": "disabled"}
    assert sent.notes == ()
    most = encoded(
        tools=(ROWS,), tool_choice="required", card=card("claude-opus-5"), settings=Settings(reasoning_effort="max")
    )
    assert "output_config" not in json.loads(most.body)
    assert most.notes[-1] == "reasoning_effort max left out: it cannot go without thinking"


def test_thinking_among_the_extra_parameters_beats_the_one_of_the_effort():
    shown = {"type": "adaptive", "display": "summarized"}
    sent = body(card=card("claude-opus-5-5"), extra={"anthropic.thinking": shown}, **EFFORT)
    assert (sent["thinking"], sent["output_config"]) == (shown, {"effort": "high"})
    forced = encoded(tools=(ROWS,), tool_choice="required", extra={"anthropic.thinking": {"type": "enabled"}})
    assert "thinking" not in json.loads(forced.body)
    assert forced.notes == ("thinking left out: it cannot go with a required tool call",)
    assert encoded(extra={"anthropic.thinking": "yes"}).notes == ("extra 'thinking' left out: it is no object",)
    off = body(card=card("claude-opus-5"), extra={"anthropic.thinking": {"type": "disabled"}})
    assert off["thinking"] == {"type": "disabled"}


def test_extra_parameters_reach_only_their_own_provider():
    sent = encoded(extra={"anthropic.metadata": {"user_id": "u"}, "openai.user": "u", "anthropic.model": "no"})
    assert json.loads(sent.body)["metadata"] == {"user_id": "u"}
    assert json.loads(sent.body)["model"] == "claude-sonnet-4-5"
    assert len(sent.notes) == 2


def test_sampling_is_set_in_the_last_version_that_knows_it_and_where_the_model_takes_it():
    sent = encoded(extra={"anthropic.top_k": 5, "anthropic.temperature": 0.5})
    assert (json.loads(sent.body)["top_k"], json.loads(sent.body)["temperature"]) == (5, 0.5)
    assert dict(sent.headers)["anthropic-version"] == "2023-06-01"
    assert sent.notes == ("anthropic-version 2023-06-01 used, the last to know temperature, top_k",)
    for refused in (encoded(extra={"anthropic.top_k": 5}, card=card("claude-opus-4-7")),
                    encoded(extra={"anthropic.top_k": 5}, **EFFORT)):  # fmt: skip
        assert "top_k" not in json.loads(refused.body)
        assert dict(refused.headers)["anthropic-version"] == "2026-10-21"
        assert len(refused.notes) == 1


def marks(sent):
    """Where the marks are: tools, system, and (turn, block) of the conversation."""
    found = [name for name in ("tools", "system") for block in sent.get(name, ()) if "cache_control" in block]
    for number, turn in enumerate(sent["messages"]):
        found += [(number, place) for place, block in enumerate(turn["content"]) if "cache_control" in block]
    return found


def test_the_cache_is_marked_at_tools_system_and_the_users_last_two_turns():
    asked = (Message.system("a"), Message.system("b"), *TURN, Message.user("w"), Message.assistant("x"), USER)
    assert marks(body(*asked, tools=(ROWS, NOW))) == ["tools", "system", (2, 1), (4, 0)]
    assert body(*asked, tools=(ROWS, NOW))["tools"][1]["cache_control"] == MARK["cache_control"]
    assert marks(body(Message.system("a"), USER)) == ["system"]
    assert marks(body(USER, tools=(ROWS,))) == ["tools", (0, 0)]
    assert marks(body(USER, extra={"anthropic.cache_control": {"type": "ephemeral"}}, tools=(ROWS,))) == []


def test_a_growing_conversation_begins_as_the_request_before_did():
    history = [Message.system("s"), USER]
    before = None
    for number in range(4):
        now = body(*history, tools=(ROWS,))
        if before is not None:
            assert unmarked(now["messages"])[: len(before["messages"])] == unmarked(before["messages"])
            assert (now["tools"], now["system"]) == (before["tools"], before["system"])
            assert set(marks(now)) & {marks(before)[-1]}  # where the last request wrote, this one reads
        before = now
        one = ToolCall(f"c{number}", "rows", {"sql": "1"})
        history += [called(one), answered(result(one.id, Text("7")))]


def test_compiled_tools_are_not_changed_by_the_marks():
    sent = encoded(tools=(ROWS,))
    assert all("cache_control" not in tool.declaration for tool in sent.compiled.values())


def test_the_same_request_is_the_same_bytes():
    made = [CODEC.encode(Request(TURN, tools=(ROWS, NOW), extra={"anthropic.a": 1}), MINE).body for _ in range(2)]
    assert made[0] == made[1]


def test_thoughts_that_do_not_go_back_are_noted():
    signed = Reasoning("c", ORIGIN, '{"type": "thinking", "signature": "s"}')
    sent = encoded(Message("assistant", (Reasoning("b", ORIGIN), Text("t"), signed)), USER)
    assert sent.notes == (
        "'Continue.' put first: Anthropic Messages wants a user's turn there",
        "reasoning without a signature left out: Anthropic Messages does not take it back",
        "reasoning at the end of a turn left out: Anthropic Messages refuses it there",
    )


def test_an_effort_beside_thinking_of_ones_own_is_left_out_with_a_note_where_both_say_the_same():
    own = {"anthropic.thinking": {"type": "enabled", "budget_tokens": 2000}}
    sent = encoded(USER, extra=own, **EFFORT)
    assert json.loads(sent.body)["thinking"]["budget_tokens"] == 2000
    assert sent.notes == ("reasoning_effort high left out: extra 'thinking' says how much claude-sonnet-4-5 thinks",)
