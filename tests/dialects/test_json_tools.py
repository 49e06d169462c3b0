"""Tools for models that cannot call them natively."""

import json
from types import SimpleNamespace

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects import codec, json_tools
from orchestra.types import Image, Message, Origin, Text, ToolCall, ToolResult, ToolSpec, Trigger
from tests.dialects.chat import CODEC, NOW, ROWS, call, card, chunk, encoded, read, request, shown, stream

SMALL = card(capabilities={"tools": "json", "logprobs": True})
SCHEMA = {
    "type": "object",
    "properties": {"n": {"$ref": "#/$defs/N"}},
    "required": ["n"],
    "$defs": {"N": {"type": "integer"}},
}
RICH = ToolSpec(
    "rich",
    "All kinds",
    {
        "type": "object",
        "properties": {
            "unit": {"enum": ["kg", "g"], "description": "of mass"},
            "ids": {"type": "array", "items": {"type": "integer"}},
            "where": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}},
            "any": {},
        },
        "required": ["unit"],
        "$defs": {"A": {"type": "string"}},
    },
)


def ask(*messages, **fields):
    return encoded(*messages, card=SMALL, **fields)


def schema(asked):
    return json.loads(asked.body)["response_format"]["json_schema"]["schema"]


def prompt(asked):
    return json.loads(asked.body)["messages"][0]["content"]


def answer(raw, size=3, asked=None, finish="stop"):
    pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
    return read(
        stream(*(chunk({"content": piece}) for piece in pieces), chunk({}, finish)), asked or ask(tools=(ROWS, NOW))
    )


def test_an_answer_without_a_call_tells_which_model_gave_it():
    assert answer('{"answer": "42"}')[1].parts == (Text("42", Origin("acme", "openai-chat", "m-1")),)


def test_a_reply_is_one_typed_call_or_the_answer():
    asked = ask(tools=(ROWS, NOW))
    assert asked.json_tools
    assert "tools" not in json.loads(asked.body)
    assert schema(asked)["anyOf"][0] == {
        "type": "object",
        "properties": {"tool": {"const": "rows"}, "arguments": ROWS.schema},
        "required": ["tool", "arguments"],
        "additionalProperties": False,
    }
    assert schema(asked)["anyOf"][2]["properties"] == {"answer": {"type": "string"}}


def test_references_inside_tools_and_answer_still_hold_where_they_now_stand():
    validator = jsonschema.Draft202012Validator(schema(ask(tools=(NOW, RICH), output_schema=SCHEMA)))
    assert validator.is_valid({"tool": "rich", "arguments": {"unit": "kg", "where": {"a": "x"}}})
    assert not validator.is_valid({"tool": "rich", "arguments": {"unit": "kg", "where": {"a": 1}}})
    assert validator.is_valid({"answer": {"n": 1}})
    assert not validator.is_valid({"answer": {"n": "one"}})


def test_a_required_call_leaves_no_room_for_an_answer():
    asked = ask(tools=(ROWS,), tool_choice="required")
    assert len(schema(asked)["anyOf"]) == 1


def test_what_the_model_is_told_is_the_same_whether_or_not_it_has_to_call():
    assert prompt(ask(tools=(ROWS,), tool_choice="required")) == prompt(ask(tools=(ROWS,), tool_choice="auto"))


def test_without_tools_or_with_the_choice_none_the_model_is_asked_plainly():
    for asked in (ask(), ask(tools=(ROWS,), tool_choice="none")):
        assert not asked.json_tools
        assert "response_format" not in json.loads(asked.body)
        assert read(stream(chunk({"content": '{"answer": "x"}'}, "stop")), asked)[1].text == '{"answer": "x"}'


@pytest.mark.parametrize(
    "made",
    [
        card(capabilities={"tools": "json", "structured_output": False}),
        card(provider="deepseek", capabilities={"tools": "json"}),
        card(provider="groq", capabilities={"tools": "json", "structured_output": False}),
    ],
)
def test_where_no_schema_can_hold_a_reply_the_prompt_shows_it(made):
    asked = encoded(card=made, tools=(ROWS,), tool_choice="required", output_schema=SCHEMA)
    assert "response_format" not in json.loads(asked.body)
    assert prompt(asked).endswith(json.dumps(schema(ask(tools=(ROWS,), tool_choice="required", output_schema=SCHEMA))))
    assert any(note.endswith("it stands in the prompt") for note in asked.notes)


def test_what_the_signatures_tell_is_not_told_again():
    made = card(capabilities={"tools": "json", "structured_output": False})
    asked = encoded(card=made, tools=(ROWS,))
    assert prompt(asked) == prompt(ask(tools=(ROWS,)))
    assert asked.notes == ("output_schema left out: mine has none; it stands in the prompt",)


@pytest.mark.parametrize("dialect", ["anthropic", "bedrock-converse"])
def test_a_reply_whose_schema_cannot_be_enforced_is_asked_for_in_the_prompt_answer_and_all(dialect):
    made = card(dialect=dialect, capabilities={"tools": "json"})
    answer_of_anything = {"type": "object", "additionalProperties": True}
    asked = codec(dialect).encode(request(tools=(NOW,), output_schema=answer_of_anything), made)
    told = json.loads(asked.body)["system"][0]["text"]
    assert any("an open object cannot be enforced; it stands in the prompt" in note for note in asked.notes)
    assert json.dumps({"answer": answer_of_anything}) in told


def test_a_plain_output_schema_is_sent_as_it_is():
    asked = ask(output_schema=SCHEMA)
    assert schema(asked) == SCHEMA
    assert read(stream(chunk({"content": '{"n": 1}'}, "stop")), asked)[1].text == '{"n": 1}'


def test_the_prompt_shows_tools_as_signatures_behind_what_the_system_says():
    text = prompt(ask(Message.system("You count."), Message.user("hi"), tools=(ROWS, RICH)))
    assert text.startswith("You count.\n\n")
    assert "- rows(sql: string): Run one SELECT" in text
    assert '- rich(unit: "kg" | "g", ids?: array of integer, where?: {"type": "object", "properties": ' in text
    assert "any?: any): All kinds\n    unit: of mass" in text


def test_without_a_system_message_the_tools_make_one():
    roles = [each["role"] for each in json.loads(ask(tools=(ROWS,)).body)["messages"]]
    assert roles == ["system", "user"]


def test_earlier_calls_and_results_are_text_in_the_form_the_model_writes():
    call = ToolCall("c", "rows", {"sql": "ü"})
    sent = json.loads(
        ask(
            Message("assistant", (Text("let me see"), call, ToolCall("d", "rows", None, raw="{broken"))),
            Message("tool", (ToolResult("c", "rows", (Text("3"),)), ToolResult("d", "rows", (), is_error=True))),
            tools=(ROWS,),
        ).body
    )["messages"][1:]
    assert [each["role"] for each in sent] == ["assistant", "user"]
    assert sent[0]["content"] == 'let me see\n{"tool": "rows", "arguments": {"sql": "ü"}}\n{broken'
    assert sent[1]["content"].startswith("Result of rows: 3\nError from rows: (nothing)")


def after_result(is_error=False, tools=(ROWS,), **fields):
    result = ToolResult("c", "rows", (Text("3"),), is_error)
    asked = ask(Message("assistant", (ToolCall("c", "rows", {}),)), Message("tool", (result,)), tools=tools, **fields)
    return json.loads(asked.body)["messages"][-1]["content"]


def test_a_result_reminds_the_model_of_the_form_of_an_answer():
    assert after_result().endswith('3\nWhen this holds the answer, reply {"answer": "the answer in a sentence"}.')
    assert after_result(output_schema=SCHEMA).endswith('3\nWhen this holds the answer, reply {"answer": ...}.')


def test_nothing_reminds_of_an_answer_after_an_error_or_where_none_can_be_given():
    assert after_result(is_error=True) == "Error from rows: 3"
    assert after_result(tool_choice="required") == after_result(tools=()) == "Result of rows: 3"


def test_images_in_a_turn_of_results_stay_images():
    small = card(capabilities={"tools": "json", "images": True})
    seen = Message(
        "user", (ToolResult("c", "rows", (Text("3"),)), Text("a"), Image("image/png", url="https://x"), Text("b"))
    )
    sent = json.loads(encoded(Message("assistant", (ToolCall("c", "rows", {}),)), seen, card=small).body)["messages"]
    assert [piece["type"] for piece in sent[-1]["content"]] == ["text", "image_url", "text"]


def test_media_inside_a_result_go_with_its_words_where_results_may_hold_media():
    made = card(dialect="mistral", capabilities={"tools": "json", "images": True})
    seen = ToolResult("c", "look", (Text("a cat"), Image("image/png", url="https://x")))
    history = Message("assistant", (ToolCall("c", "look", {}),)), Message("tool", (seen,))
    sent = json.loads(codec("mistral").encode(request(Message.user("hi"), *history, tools=(NOW,)), made).body)
    told, image, _ = sent["messages"][-1]["content"]
    assert (told["text"], image["image_url"]) == ("Result of look: a cat", "https://x")


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_a_call_is_decoded_and_none_of_it_is_handed_on_as_text(size):
    raw = '{ "tool" : "rows", "arguments": {"sql": "SELECT \\"ü\\""} }'
    deltas, reply = answer(raw, size)
    assert deltas == []
    assert [(each.name, each.arguments) for each in reply.tool_calls] == [("rows", {"sql": 'SELECT "ü"'})]
    assert (reply.text, reply.raw, reply.finish) == ("", raw, "tool_calls")
    assert reply.tool_calls[0].id
    assert reply.tool_calls[0].origin is not None


@given(text=st.text(), size=st.integers(1, 9), ascii=st.booleans(), indent=st.sampled_from([None, 1]))
@settings(deadline=None)
def test_an_answer_streams_as_its_text_alone_whatever_it_says_and_however_it_is_split(text, size, ascii, indent):
    raw = json.dumps({"answer": text}, ensure_ascii=ascii, indent=indent)
    deltas, reply = answer(raw, size)
    assert shown(deltas) == reply.text == text
    assert reply.raw == raw
    assert reply.finish == "stop"


def test_an_answer_is_handed_on_while_it_is_still_being_written():
    reader = CODEC.reader(ask(tools=(ROWS,)))
    assert [delta.text for delta in reader.feed(stream(chunk({"content": '{"answer": "one \\u00'}), done=False))] == [
        "one "
    ]
    assert [delta.text for delta in reader.feed(stream(chunk({"content": "fc two"}), done=False))] == ["ü two"]


def test_half_a_surrogate_pair_waits_for_its_other_half():
    deltas, reply = answer('{"answer": "\\ud83d\\ude00 \\ud83d"}', 1)
    assert shown(deltas) == reply.text == "😀 \ufffd"
    deltas, reply = answer('{"answer": "\\ude00 lone"}', 1)
    assert shown(deltas) == reply.text == "\ufffd lone"


def test_a_structured_answer_is_handed_on_as_json_once_it_is_complete():
    asked = ask(tools=(ROWS,), output_schema=SCHEMA)
    deltas, reply = answer('{"answer": {"n": 7, "t": "ü"}}', 2, asked)
    assert shown(deltas) == reply.text == '{"n": 7, "t": "ü"}'
    assert len(deltas) == 1
    deltas, reply = answer('{"answer": "x"}', 2, ask(tools=(ROWS,), output_schema={"type": "string"}))
    assert shown(deltas) == reply.text == '"x"'


@pytest.mark.parametrize("done", [True, False])
def test_a_structured_answer_is_handed_on_when_the_stream_ends(done):
    asked = ask(tools=(ROWS,), output_schema=SCHEMA)
    deltas, reply = read(stream(chunk({"content": '{"answer": {"n": 7}}'}, "stop"), done=done), asked)
    assert shown(deltas) == reply.text == '{"n": 7}'


@pytest.mark.parametrize("piece", [" ", "{ ", "x"])
def test_a_reply_that_never_becomes_an_answer_is_not_searched_for_one_for_ever(piece, monkeypatch):
    opening, searched = json_tools._OPENING, []
    counting = SimpleNamespace(match=lambda text: searched.append(len(text)) or opening.match(text))
    monkeypatch.setattr(json_tools, "_OPENING", counting)
    read(stream(*[chunk({"content": piece})] * 900, chunk({}, "stop")), ask(tools=(ROWS,)))
    assert sum(searched) < 900 * 900 / 10


def test_a_state_goes_back_with_the_very_text_that_it_came_with():
    stated, called = Text("I look.", None, "c2ln"), ToolCall("1", "rows", {"sql": "x"}, "{}")
    written = '{"tool": "rows", "arguments": {"sql": "x"}}'
    for parts, told in (
        ((stated, called), (stated, Text(f"\n{written}"))),
        ((called, stated), (Text(written), stated)),
        ((stated, stated, called, Text("so")), (stated, stated, Text(f"\n{written}\nso"))),
    ):
        (flat,) = json_tools.flattened([Message("assistant", parts)])
        assert flat.parts == told


def test_the_whole_body_reads_the_same():
    message = {"role": "assistant", "content": '{"tool": "now", "arguments": {}}'}
    body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    assert CODEC.decode(ask(tools=(NOW,)), body).tool_calls[0].name == "now"


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ('{"tool": "rows", "arguments": {"sql":"a", "sql" : "b"}}', '{"sql":"a", "sql" : "b"}'),
        ('{"arguments": {"sql":"a"}, "tool": "rows"}', '{"sql": "a"}'),
        ('{"tool": "rows", "why": 1, "arguments": {"sql":"a"}}', '{"sql": "a"}'),
    ],
)
def test_a_call_keeps_its_arguments_as_they_were_written_where_that_can_be_told(raw, written):
    assert answer(raw)[1].tool_calls[0].raw == written


def test_a_truncated_call_has_no_arguments_and_keeps_what_was_written():
    deltas, reply = answer('{"tool": "rows", "arguments": {"sql": "SEL', finish="length")
    assert [(each.name, each.arguments, each.raw) for each in reply.tool_calls] == [("rows", None, '{"sql": "SEL')]
    assert (reply.finish, deltas) == ("length", [])
    assert answer('{"tool": "rows", "arg', finish="length")[1].tool_calls[0].raw == ', "arg'


def test_a_truncated_answer_is_the_text_so_far():
    deltas, reply = answer('{"answer": "half a sen', finish="length")
    assert shown(deltas) == reply.text == "half a sen"
    assert reply.finish == "length"


@pytest.mark.parametrize(("raw", "arguments"), [('{"tool": "now"}', {}), ('{"tool": "now", "arguments": "x"}', None)])
def test_arguments_may_be_missing_but_not_of_another_kind(raw, arguments):
    assert answer(raw)[1].tool_calls[0].arguments == arguments


@pytest.mark.parametrize("raw", ["just words", '{"other": 1}', "[1]", "", '{"answer": "a"} and more'])
def test_what_is_neither_call_nor_answer_is_text_and_is_handed_on_at_the_end(raw):
    deltas, reply = answer(raw)
    assert shown(deltas) == reply.text
    assert reply.tool_calls == ()
    assert reply.text in (raw, "a")


def test_a_fence_around_the_reply_is_removed_and_said():
    deltas, reply = answer('```json\n{"tool": "now", "arguments": {}}\n```')
    assert reply.tool_calls[0].name == "now"
    assert reply.mended == ("removed the code fence around the reply",)
    assert deltas == []
    assert shown(answer('```\n{"answer": "hi"}\n```')[0]) == "hi"


NATIVE = call(0, "c1", "now", "{}")


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("written", ["I shall look.", '{"answer": "I shall look."}'])
def test_a_call_that_stands_beside_the_text_is_a_call_too(written, size):
    pieces = [written[start : start + size] for start in range(0, len(written), size)]
    data = stream(*(chunk({"content": piece}) for piece in pieces), chunk(NATIVE), chunk({}, "tool_calls"))
    deltas, reply = read(data, ask(tools=(ROWS, NOW)))
    assert (shown(deltas), reply.text, reply.finish) == ("I shall look.", "I shall look.", "tool_calls")
    assert [(each.id, each.name, each.arguments) for each in reply.tool_calls] == [("c1", "now", {})]


def test_one_call_in_the_text_and_beside_it_is_made_once_and_said():
    data = stream(chunk({"content": '{"tool": "now", "arguments": {}}'}), chunk(NATIVE, "tool_calls"))
    _, reply = read(data, ask(tools=(ROWS, NOW)))
    assert [each.name for each in reply.tool_calls] == ["now"]
    assert reply.mended == ("a call that stood in the text and beside it was taken once",)


def test_another_call_beside_the_one_in_the_text_is_another_one():
    data = stream(chunk({"content": '{"tool": "rows", "arguments": {"sql": "a"}}'}), chunk(NATIVE, "tool_calls"))
    _, reply = read(data, ask(tools=(ROWS, NOW)))
    assert [each.name for each in reply.tool_calls] == ["rows", "now"]
    assert reply.mended == ()


def test_a_refusal_is_no_json_and_stays_as_it_is():
    _, reply = read(stream(chunk({"refusal": "no"}), chunk({}, "stop")), ask(tools=(ROWS,)))
    assert (reply.text, reply.finish) == ("no", "refusal")


def test_a_cut_keeps_the_answers_text_and_not_its_json():
    _, fault = read(stream(chunk({"content": '{"answer": "half'}), done=False), ask(tools=(ROWS,)))
    assert (fault.trigger, fault.partial_text) == (Trigger.stream_cut, "half")


def test_one_call_a_reply_is_noted_where_several_were_wanted():
    assert ask(tools=(ROWS,), parallel_tools=True).notes == ("parallel_tools left out: mine writes one call a reply",)
