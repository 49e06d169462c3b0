"""What a canonical request becomes on Converse's wire, and what is noted of what it cannot say."""

import json
from dataclasses import replace

import pytest

from orchestra.types import (
    Document,
    Image,
    Message,
    Origin,
    Price,
    Reasoning,
    Settings,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from tests.dialects.bedrock import CODEC, FULL, MINE, NOW, ORIGIN, ROWS, body, card, delta, encoded, end, read

CALLED = Message("assistant", (ToolCall("c1", "rows", {"sql": "1"}),))
ANSWERED = Message("tool", (ToolResult("c1", "rows", (Text("7"),)),))
PDF = Document("application/pdf", "a_report.pdf", data="QUJD")
CACHED = {"cachePoint": {"type": "default"}}


@pytest.mark.parametrize(
    ("model", "written"),
    [
        ("us.amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1%3A0"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x.y",
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.x.y",
        ),
    ],
)
def test_the_model_stands_percent_encoded_in_the_path(model, written):
    asked = encoded(card=card(model=model))
    assert (asked.path, asked.stream) == (f"/model/{written}/converse-stream", True)
    assert dict(asked.headers)["accept"] == "application/vnd.amazon.eventstream"
    whole = encoded(card=card(model=model, capabilities={"streaming": False}))
    assert (whole.path, whole.stream) == (f"/model/{written}/converse", False)
    assert dict(whole.headers)["accept"] == "application/json"


def test_a_key_is_a_bearer_token():
    assert CODEC.authorization("abc") == (("authorization", "Bearer abc"),)
    assert CODEC.authorization(None) == ()
    assert CODEC.dialect == "bedrock-converse"


def test_a_plain_question_is_all_that_is_said():
    asked = encoded(Message.system("be brief"), Message.user("hi"))
    assert json.loads(asked.body) == {
        "system": [{"text": "be brief"}],
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
    }
    assert asked.notes == ()


def test_settings_stand_in_the_inference_section():
    asked = body(settings=Settings(max_tokens=9), temperature=0.5, stop=("a", "b"))
    assert asked["inferenceConfig"] == {"maxTokens": 9, "temperature": 0.5, "stopSequences": ["a", "b"]}


def test_a_temperature_above_what_bedrock_takes_is_lowered_with_a_note():
    asked = encoded(temperature=1.7)
    assert json.loads(asked.body)["inferenceConfig"] == {"temperature": 1}
    assert asked.notes == ("temperature 1.7 lowered to 1, the most Bedrock Converse takes",)


def test_what_converse_cannot_say_is_noted():
    asked = encoded(
        tools=(ROWS,), seed=3, parallel_tools=False, logprobs=True, card=card(capabilities={"logprobs": True})
    )
    assert len(asked.notes) == 3
    assert all("Bedrock Converse" in note for note in asked.notes)


def test_a_call_and_its_result_are_blocks_of_two_turns():
    failed = Message("tool", (ToolResult("c1", "rows", (Text("no"),), is_error=True),))
    asked = body(Message.user("q"), CALLED, failed, Message.user("and?"), tools=(ROWS,))
    assert asked["messages"][1:] == [
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "rows", "input": {"sql": "1"}}}]},
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "c1", "content": [{"text": "no"}], "status": "error"}},
                {"text": "and?"},
            ],
        },
    ]


def test_a_success_is_not_marked_and_may_be_empty():
    empty = Message("tool", (ToolResult("c1", "rows", ()),))
    asked = body(Message.user("q"), CALLED, empty, tools=(ROWS,))
    assert asked["messages"][2]["content"] == [{"toolResult": {"toolUseId": "c1", "content": []}}]


def test_tools_are_declared_and_a_call_can_be_demanded():
    asked = body(tools=(ROWS, NOW), tool_choice="required")["toolConfig"]
    assert [tool["toolSpec"]["name"] for tool in asked["tools"]] == ["rows", "now"]
    assert asked["toolChoice"] == {"any": {}}
    assert "toolChoice" not in body(tools=(ROWS,))["toolConfig"]


def test_no_tool_is_declared_where_none_may_be_called():
    assert "toolConfig" not in body(tools=(ROWS,), tool_choice="none")


def test_where_the_history_has_calls_no_choice_of_none_is_noted():
    asked = encoded(Message.user("q"), CALLED, ANSWERED, tools=(ROWS,), tool_choice="none")
    assert "toolConfig" in json.loads(asked.body)
    assert asked.notes == ("tool_choice none left out: Bedrock Converse cannot say it",)


def test_the_historys_tools_are_declared_where_the_request_has_none():
    asked = encoded(Message.user("q"), CALLED, ANSWERED)
    (tool,) = json.loads(asked.body)["toolConfig"]["tools"]
    assert tool["toolSpec"]["name"] == "rows"
    assert "declared without their schemas" in asked.notes[0]


def test_names_and_ids_are_spelled_as_bedrock_wants_them():
    odd = ToolSpec("my.rows", "", {"type": "object", "properties": {}})
    asked = body(
        Message.user("q"),
        Message("assistant", (ToolCall("a b", "my.rows", {}), ToolCall("x.y:z-1", "my.rows", {}))),
        tools=(odd,),
    )
    calls = [block["toolUse"] for block in asked["messages"][1]["content"]]
    assert [call["toolUseId"] for call in calls] == ["a_b", "x.y:z-1"]
    assert {call["name"] for call in calls} == {asked["toolConfig"]["tools"][0]["toolSpec"]["name"]} == {"my_rows"}


def test_the_answers_schema_is_closed_and_a_text():
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    asked = encoded(output_schema=schema)
    said = json.loads(asked.body)["outputConfig"]["textFormat"]
    assert said["type"] == "json_schema"
    assert said["structure"]["jsonSchema"]["name"] == "reply"
    written = json.loads(said["structure"]["jsonSchema"]["schema"])
    assert written["additionalProperties"] is False
    assert "minimum" not in written["properties"]["n"]
    assert asked.structured
    assert asked.notes == ("output_schema: minimum stands in descriptions and is not enforced",)


def test_a_schema_that_cannot_be_enforced_stands_in_the_prompt():
    asked = encoded(output_schema={"type": "object", "additionalProperties": {"type": "integer"}})
    said = json.loads(asked.body)
    assert "outputConfig" not in said
    assert "additionalProperties" in said["system"][0]["text"]
    assert asked.notes == ("output_schema left out: an open object cannot be enforced; it stands in the prompt",)


@pytest.mark.parametrize(
    ("model", "section"),
    [
        ("anthropic.claude-opus-x-v1:0", {"outputConfig": {"effort": "high"}}),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", {"outputConfig": {"effort": "high"}}),
        ("openai.gpt-oss-20b-1:0", {"additionalModelRequestFields": {"reasoning_effort": "high"}}),
        ("us.openai.gpt-6-luna", {"additionalModelRequestFields": {"reasoning": {"effort": "high"}}}),
        (
            "us.amazon.nova-2-lite-v1:0",
            {"additionalModelRequestFields": {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}},
        ),
    ],
)
def test_the_effort_stands_where_the_family_reads_it(model, section):
    asked = body(card=card(model=model), settings=Settings(reasoning_effort="high"))
    assert {key: value for key, value in asked.items() if key != "messages"} == section


def test_novas_high_effort_gives_way_to_a_bound_on_its_words():
    nova = card(model="amazon.nova-2-lite-v1:0")
    asked = encoded(card=nova, settings=Settings(max_tokens=9, reasoning_effort="high"))
    fields = json.loads(asked.body)["additionalModelRequestFields"]
    assert fields["reasoningConfig"]["maxReasoningEffort"] == "medium"
    assert asked.notes == ("reasoning_effort high lowered to medium: with high, Nova takes no max_tokens",)


def test_an_effort_that_the_model_has_not_is_noted():
    asked = encoded(card=card(capabilities={"reasoning_effort": False}), settings=Settings(reasoning_effort="low"))
    assert "outputConfig" not in json.loads(asked.body)
    assert asked.notes == ("reasoning_effort left out: mine has no such setting",)


def test_parameters_for_bedrock_are_merged_and_others_are_noted():
    extra = {"bedrock.additionalModelRequestFields": {"top_k": 5}, "bedrock.inferenceConfig": {"topP": 0.5}}
    asked = encoded(extra=extra | {"anthropic.top_k": 1}, settings=Settings(max_tokens=9))
    said = json.loads(asked.body)
    assert said["additionalModelRequestFields"] == {"top_k": 5}
    assert said["inferenceConfig"] == {"maxTokens": 9, "topP": 0.5}
    assert len(asked.notes) == 1


def test_a_parameter_of_the_models_own_goes_where_converse_takes_such():
    extra = {
        "bedrock.top_k": 5,
        "bedrock.thinking": {"type": "adaptive"},
        "bedrock.topP": 0.5,
        "bedrock.serviceTier": {"type": "priority"},
        "bedrock-converse.additionalModelRequestFields": {"top_k": 7},
    }
    said = body(extra=extra, settings=Settings(max_tokens=9))
    assert said["additionalModelRequestFields"] == {"top_k": 7, "thinking": {"type": "adaptive"}}
    assert said["inferenceConfig"] == {"maxTokens": 9, "topP": 0.5}
    assert said["serviceTier"] == {"type": "priority"}
    assert not {"top_k", "thinking", "topP"} & said.keys()


def test_a_parameter_never_replaces_what_the_request_says_wherever_it_belongs():
    nova = replace(MINE, model="amazon.nova-2", capabilities=replace(MINE.capabilities, reasoning_effort=True))
    asked = encoded(
        card=nova,
        extra={"bedrock.maxTokens": 5, "bedrock.reasoningConfig": {"type": "off"}},
        settings=Settings(max_tokens=9, reasoning_effort="low"),
    )
    said = json.loads(asked.body)
    assert said["inferenceConfig"] == {"maxTokens": 9}
    assert said["additionalModelRequestFields"]["reasoningConfig"]["type"] == "enabled"
    assert len(asked.notes) == 2


def test_a_section_that_is_no_object_gives_way_to_what_belongs_there_with_a_note():
    extra = {"bedrock.additionalModelRequestFields": "text", "bedrock.top_k": 5, "bedrock.seed": 1}
    asked = encoded(extra=extra)
    assert json.loads(asked.body)["additionalModelRequestFields"] == {"top_k": 5, "seed": 1}
    (note,) = asked.notes
    assert note.startswith("extra 'additionalModelRequestFields' left out: it is no object")


def test_images_and_documents_are_carried_by_the_user_and_in_results():
    picture = Image("image/jpg", data="QUJD")
    seen = Message("user", (Text("look"), picture, PDF))
    result = Message("tool", (ToolResult("c1", "rows", (Text("7"), picture, PDF)),))
    asked = encoded(seen, CALLED, result, tools=(ROWS,))
    said = json.loads(asked.body)["messages"]
    image = {"image": {"format": "jpeg", "source": {"bytes": "QUJD"}}}
    assert said[0]["content"] == [
        {"text": "look"},
        image,
        {"document": {"name": "a report", "format": "pdf", "source": {"bytes": "QUJD"}}},
    ]
    assert said[2]["content"][0]["toolResult"]["content"] == [
        {"text": "7"},
        image,
        {"document": {"name": "a report 2", "format": "pdf", "source": {"bytes": "QUJD"}}},
    ]
    assert asked.notes == (
        "document 'a_report.pdf' sent as 'a report': Bedrock Converse takes few characters",
        "document 'a_report.pdf' sent as 'a report 2': Bedrock Converse takes few characters",
    )


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("", "document"),
        ("über_alles.PDF", "ber alles"),
        ("a (1) [x] - b", "a (1) [x] - b"),
        ("тест", "document"),
        ("x" * 300, "x" * 190),
        ("a\t \nb", "a b"),
    ],
)
def test_a_documents_name_has_only_what_the_api_takes(name, sent):
    said = body(Message("user", (Text("see"), replace(PDF, name=name))))
    assert said["messages"][0]["content"][1]["document"]["name"] == sent


@pytest.mark.parametrize(
    ("media_type", "form"),
    [("text/x-python", "txt"), ("text/markdown", "md"), ("application/msword", "doc"), ("application/json", "txt")],
)
def test_documents_have_a_format(media_type, form):
    said = body(Message("user", (Text("see"), Document(media_type, "a", data="QUJD"))))
    assert said["messages"][0]["content"][1]["document"]["format"] == form


def test_media_in_a_format_that_bedrock_does_not_know_are_left_out_with_a_note():
    odd = (Image("image/tiff", data="QUJD"), Document("application/zip", "z", data="QUJD"))
    asked = encoded(Message("user", odd))
    assert json.loads(asked.body)["messages"][0]["content"] == [
        {"text": "[image left out: Bedrock Converse takes no image/tiff]"},
        {"text": "[document z left out: Bedrock Converse takes no application/zip]"},
    ]
    assert len(asked.notes) == 2


def test_a_document_never_stands_without_text():
    asked = encoded(Message("user", (PDF,)))
    assert json.loads(asked.body)["messages"][0]["content"][1] == {"text": "See the document."}
    assert "text put beside a document: Bedrock Converse takes none alone" in asked.notes


def test_a_system_prompt_is_text_only():
    asked = body(Message("system", (Text("s"), Image("image/png", data="QUJD"))), Message.user("q"))
    assert all(list(block) == ["text"] for block in asked["system"])


def test_reasoning_goes_back_byte_exact():
    reply = read(FULL)[1]
    said = body(Message.user("q"), Message("assistant", reply.parts), tools=(ROWS, NOW))
    assert said["messages"][1]["content"][:2] == [
        {"reasoningContent": {"reasoningText": {"text": "hm so", "signature": "c2lnbmVk"}}},
        {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
    ]


def test_reasoning_without_a_signature_is_left_out_with_a_note():
    thought = Message("assistant", (Reasoning("hm", ORIGIN), Text("so")))
    asked = encoded(Message.user("q"), thought, Message.user("and?"))
    assert json.loads(asked.body)["messages"][1]["content"] == [{"text": "so"}]
    assert asked.notes == ("reasoning without a signature left out: Bedrock Converse does not take it back",)


def test_a_thought_that_led_to_nothing_is_left_out_with_a_note():
    alone = Message("assistant", (Reasoning("hm", ORIGIN, '{"signature": "x"}'),))
    asked = encoded(Message.user("q"), alone, Message.user("and?"))
    assert json.loads(asked.body)["messages"] == [{"role": "user", "content": [{"text": "q"}, {"text": "and?"}]}]
    assert any("reasoning at the end of a turn left out" in note for note in asked.notes)


def test_a_later_system_message_keeps_its_place_with_a_note():
    asked = encoded(Message.system("s"), Message.user("q"), Message.system("now in French"))
    said = json.loads(asked.body)
    assert said["system"] == [{"text": "s"}]
    assert said["messages"][0]["content"] == [{"text": "q"}, {"text": "<system>\nnow in French\n</system>"}]
    assert asked.notes == ("system message within the conversation: said in the user's turn, in <system> tags",)


def test_reasoning_of_another_model_is_never_shown():
    foreign = Reasoning("hm", Origin("bedrock", "bedrock-converse", "another"), '{"signature": "x"}')
    said = body(Message.user("q"), Message("assistant", (foreign, Text("so"))), Message.user("and?"))
    assert "reasoningContent" not in json.dumps(said)


PRICED = card(price=Price(1, 5, 0.1))


def test_growing_prefixes_are_marked_where_cached_input_has_a_price():
    said = body(Message.system("s"), Message.user("q"), CALLED, ANSWERED, tools=(ROWS,), card=PRICED)
    assert said["system"][-1] == CACHED
    assert [message["content"][-1] == CACHED for message in said["messages"]] == [True, False, True]
    assert json.dumps(said).count("cachePoint") == 3


def test_a_mark_never_stands_right_behind_a_document():
    said = body(Message("user", (Text("see"), PDF)), tools=(ROWS,), card=PRICED)
    assert [next(iter(block)) for block in said["messages"][0]["content"]] == ["text", "cachePoint", "document"]


def test_a_single_question_is_not_written_to_the_cache():
    assert "cachePoint" not in json.dumps(body(Message.user("q"), card=PRICED))


def test_a_model_without_a_cache_gets_no_marks():
    for one in (MINE, card(price=Price(1, 5))):
        assert "cachePoint" not in json.dumps(body(Message.system("s"), Message.user("q"), tools=(ROWS,), card=one))


def test_a_model_that_writes_calls_as_json_gets_no_tool_blocks():
    asked = encoded(Message.user("q"), CALLED, ANSWERED, tools=(ROWS,), card=card(capabilities={"tools": "json"}))
    assert "toolConfig" not in json.loads(asked.body)
    assert "toolUse" not in asked.body.decode()
    _, reply = read(delta(0, text='{"tool": "rows", "arguments": {"sql": "1"}}') + end(), asked)
    assert reply.tool_calls[0].arguments == {"sql": "1"}
