"""What a canonical request becomes in Google's generateContent."""

import json

import pytest

from orchestra.types import Document, Image, Message, Reasoning, Settings, Text, ToolCall, ToolResult, ToolSpec
from tests.dialects.gemini import CODEC, NEW, NOW, OLD, ROWS, body, card, encoded, origin, turns

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
USER = Message.user("hi")
UNSIGNED = "skip_thought_signature_validator"


def state(**fields):
    return json.dumps(fields)


def result(call, *content, is_error=False):
    return Message("tool", (ToolResult(call, "rows", content, is_error),))


def test_a_plain_request_holds_nothing_that_was_not_asked_for():
    assert body(Message.system("be brief"), Message.user("hü"), Message.assistant("so"), Message.user("and?")) == {
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hü"}]},
            {"role": "model", "parts": [{"text": "so"}]},
            {"role": "user", "parts": [{"text": "and?"}]},
        ],
    }


def test_the_path_names_model_and_method_and_no_header_holds_a_secret():
    sent = encoded()
    assert sent.path == "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse"
    assert dict(sent.headers) == {"content-type": "application/json", "accept": "text/event-stream"}
    assert (sent.notes, sent.stream, sent.card, sent.json_tools, sent.structured) == ((), True, NEW, False, False)


def test_a_model_that_cannot_stream_is_asked_for_the_whole_reply():
    sent = encoded(card=card(capabilities={"streaming": False}))
    assert sent.path == "/v1beta/models/gemini-3-flash:generateContent"
    assert (dict(sent.headers)["accept"], sent.stream) == ("application/json", False)


@pytest.mark.parametrize(
    ("base_url", "model", "path"),
    [
        ("https://generativelanguage.googleapis.com", "tunedModels/mine", "/v1beta/tunedModels/mine:"),
        ("https://generativelanguage.googleapis.com/v1beta", "gemini-3-pro", "/models/gemini-3-pro:"),
        ("https://aiplatform.googleapis.com/v1/publishers/google", "gemini-3-pro", "/models/gemini-3-pro:"),
        ("http://127.0.0.1:80/v1beta1/", "models/x", "/models/x:"),
        ("http://127.0.0.1:80/v1beta1?api-version=1", "models/x", "/models/x:"),
        (None, "odd model?x", "/v1beta/models/odd%20model%3Fx:"),
        ("https://v1.example.com/vendor", "a/b", "/v1beta/models/a/b:"),
    ],
)
def test_a_version_is_named_once_and_the_model_stays_within_its_place(base_url, model, path):
    assert encoded(card=card(base_url=base_url, model=model)).path.startswith(path)


def test_a_key_is_googles_own_header():
    assert CODEC.authorization("k") == (("x-goog-api-key", "k"),)
    assert CODEC.authorization(None) == ()


def test_an_access_token_of_googles_goes_as_one():
    assert CODEC.authorization("ya29.c.b0Aaek") == (("authorization", "Bearer ya29.c.b0Aaek"),)
    assert CODEC.authorization("AQ.Ab8RN6") == (("x-goog-api-key", "AQ.Ab8RN6"),)


def test_tools_are_declared_and_the_choice_is_said_only_when_it_differs_from_the_default():
    plain = body(tools=(ROWS, NOW))
    declared = plain["tools"][0]["functionDeclarations"]
    assert [each["name"] for each in declared] == ["rows", "now"]
    assert declared[0]["parametersJsonSchema"] == ROWS.schema
    assert "toolConfig" not in plain
    for choice, mode in (("required", "ANY"), ("none", "NONE")):
        assert body(tools=(ROWS,), tool_choice=choice)["toolConfig"] == {"functionCallingConfig": {"mode": mode}}


def test_there_is_no_switch_for_parallel_calls_and_a_note_says_so():
    sent = encoded(tools=(ROWS,), parallel_tools=False)
    assert sent.notes == ("parallel_tools left out: Gemini generateContent has no such switch",)


def test_settings_go_out_under_googles_names():
    able = card(capabilities={"logprobs": True})
    sent = body(
        settings=Settings(max_tokens=99), temperature=0.0, seed=7, stop=("END",), logprobs=True,
        output_schema=SCHEMA, card=able,
    )  # fmt: skip
    assert sent["generationConfig"] == {
        "maxOutputTokens": 99,
        "temperature": 0.0,
        "seed": 7,
        "stopSequences": ["END"],
        "responseLogprobs": True,
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }


def test_only_five_stop_sequences_fit_and_a_note_says_so():
    sent = encoded(stop=tuple("abcdefg"))
    assert json.loads(sent.body)["generationConfig"]["stopSequences"] == list("abcde")
    assert sent.notes == ("stop: 2 of 7 left out: Gemini generateContent takes 5, the text may go on behind them",)


def test_since_gemini_3_an_answers_schema_goes_beside_tools():
    for model in ("gemini-3-pro", "models/gemini-3.5-flash-preview", "gemini-flash-latest", "gemini-10-pro"):
        sent = encoded(output_schema=SCHEMA, tools=(ROWS,), card=card(model=model))
        assert json.loads(sent.body)["generationConfig"]["responseJsonSchema"] == SCHEMA
        assert (sent.notes, sent.structured) == ((), True)


def answer(schema):
    """What an answer's schema becomes, and the notes on it."""
    sent = encoded(output_schema=schema, card=NEW)
    return json.loads(sent.body).get("generationConfig", {}).get("responseJsonSchema"), sent.notes


def test_what_stands_beside_a_reference_in_an_answers_schema_stands_around_it():
    part = {"$ref": "#/$defs/P", "description": "the first"}
    schema = {"type": "object", "properties": {"a": part}, "$defs": {"P": {"type": "string"}}}
    around = {"description": "the first", "anyOf": [{"$ref": "#/$defs/P"}]}
    assert answer(schema) == (schema | {"properties": {"a": around}}, ())


def test_an_answers_schema_is_said_in_the_keywords_that_are_known():
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"a": {"const": "x"}, "b": {"$ref": "#/properties/a"}, "c": {"enum": [True]}},
    }
    said, notes = answer(schema)
    assert said["properties"]["a"] == {"enum": ["x"]}
    assert said["properties"]["b"] == {"$ref": "#/$defs/a"}
    assert said["$defs"] == {"a": {"enum": ["x"]}}
    assert notes == ("output_schema: #/properties/c: true is shown and not enforced, as it is no text or number",)


def test_an_answers_schema_that_is_too_deep_to_be_said_stands_in_the_prompt():
    deep = 1
    for _ in range(400):
        deep = [deep]
    said, notes = answer({"type": "object", "default": deep})
    assert said is None
    assert notes[0].startswith("output_schema left out: its schema holds a value nested deeper than")


def test_older_models_refuse_a_schema_beside_tools_so_it_stands_in_the_prompt_and_a_note_says_so():
    sent = encoded(output_schema=SCHEMA, tools=(ROWS,), card=OLD)
    said = json.loads(sent.body)
    assert "generationConfig" not in said
    assert json.dumps(SCHEMA) in said["systemInstruction"]["parts"][0]["text"]
    assert sent.notes == ("output_schema left out: mine takes none beside tools; it stands in the prompt",)
    assert (sent.structured, sent.card) == (True, OLD)
    assert body(output_schema=SCHEMA, card=OLD)["generationConfig"]["responseJsonSchema"] == SCHEMA


def test_an_older_model_that_writes_its_calls_as_json_keeps_its_schema():
    sent = encoded(output_schema=SCHEMA, tools=(ROWS,), card=card(model="gemma", capabilities={"tools": "json"}))
    assert "anyOf" in json.loads(sent.body)["generationConfig"]["responseJsonSchema"]


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-3-pro", "low", {"thinkingLevel": "LOW"}),
        ("gemini-3-pro", "minimal", {"thinkingLevel": "MINIMAL"}),
        ("gemini-2.5-pro", "low", {"thinkingBudget": 1024}),
        ("gemini-2.5-pro", "medium", {"thinkingBudget": 8192}),
        ("gemini-2.5-pro", "high", {"thinkingBudget": 24576}),
    ],
)
def test_effort_is_a_level_since_gemini_3_and_a_budget_before(model, effort, config):
    sent = encoded(
        settings=Settings(reasoning_effort=effort), card=card(model=model, capabilities={"reasoning_effort": True})
    )
    assert json.loads(sent.body)["generationConfig"] == {"thinkingConfig": config}
    assert sent.notes == ()


@pytest.mark.parametrize(("model", "effort"), [("gemini-3-pro", "none"), ("gemini-2.5-pro", "xhigh")])
def test_an_effort_the_model_does_not_know_is_left_out_with_a_note(model, effort):
    sent = encoded(
        settings=Settings(reasoning_effort=effort), card=card(model=model, capabilities={"reasoning_effort": True})
    )
    assert "generationConfig" not in json.loads(sent.body)
    assert sent.notes[0].startswith(f"reasoning_effort '{effort}' left out: mine knows minimal, low, medium, high")


def test_extra_parameters_go_where_google_wants_them_and_never_replace_what_the_request_says():
    sent = encoded(
        temperature=0.5,
        extra={
            "gemini.topK": 5,
            "google.temperature": 1,
            "gemini.generationConfig": {"thinkingConfig": {"includeThoughts": True}},
            "gemini.safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
            "gemini.serviceTier": "flex",
            "gemini.contents": [],
            "other.x": 1,
        },
    )
    said = json.loads(sent.body)
    assert said["generationConfig"] == {"temperature": 0.5, "topK": 5, "thinkingConfig": {"includeThoughts": True}}
    assert (said["safetySettings"][0]["threshold"], said["serviceTier"]) == ("OFF", "flex")
    assert said["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]
    assert set(sent.notes) == {
        "extra 'contents' left out: the request itself sets it",
        "extra 'generationConfig.temperature' left out: the request itself sets it",
        "extra 'other.x' left out: it is not for google or gemini",
    }


def test_a_configuration_that_is_no_object_gives_way_to_what_belongs_there_with_a_note():
    sent = encoded(extra={"gemini.generationConfig": 5, "gemini.topK": 5})
    assert json.loads(sent.body)["generationConfig"] == {"topK": 5}
    (note,) = sent.notes
    assert note.startswith("extra 'generationConfig' left out: it is no object")


def test_system_messages_are_one_instruction_and_a_note_says_which_were_moved():
    sent = encoded(Message.system("a"), USER, Message.system("b"), Message.assistant("x"), USER)
    assert json.loads(sent.body)["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert sent.notes == ("system messages moved to the front: Gemini has one place for them",)
    assert encoded(Message.system("a"), Message.system("b"), USER).notes == ()


def test_results_of_one_turn_are_one_users_turn_in_the_order_of_the_calls():
    calls = Message("assistant", (Text("let me see"), ToolCall("a", "rows", {"sql": "ü"}), ToolCall("b", "now", {})))
    results = Message("tool", (ToolResult("b", "now", (Text("noon"),)), ToolResult("a", "rows", (Text("no"),), True)))
    assert turns(USER, calls, results, card=OLD, tools=(ROWS, NOW))[1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "let me see"},
                {"functionCall": {"name": "rows", "args": {"sql": "ü"}}},
                {"functionCall": {"name": "now", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "rows", "response": {"error": "no"}}},
                {"functionResponse": {"name": "now", "response": {"output": "noon"}}},
            ],
        },
    ]


def test_an_id_goes_back_only_where_the_provider_gave_it_and_on_the_result_too():
    given = ToolCall("renamed", "rows", {}, origin=origin(), provider_state=state(id="gc_1", thoughtSignature="c2ln"))
    nameless = ToolCall("call_1", "now", {}, origin=origin(), provider_state=state(thoughtSignature="c2ln"))
    foreign = ToolCall("call_2", "now", {}, provider_state=state(id="gc_9"))
    calls = Message("assistant", (given, nameless, foreign))
    results = Message("tool", tuple(ToolResult(each.id, each.name, (Text("1"),)) for each in calls.parts))
    said = turns(USER, calls, results)
    assert [part["functionCall"].get("id") for part in said[1]["parts"]] == ["gc_1", None, None]
    assert [part["functionResponse"].get("id") for part in said[2]["parts"]] == ["gc_1", None, None]


def test_signatures_go_back_on_the_very_part_they_came_with():
    parts = (
        Reasoning("plan", origin(), state(thoughtSignature="t1")),
        Text("a", origin()),
        Text("b", origin(), state(thoughtSignature="t2")),
        Text("", origin(), state(thoughtSignature="t3")),
        ToolCall("c", "rows", {}, origin=origin(), provider_state=state(id="x", thoughtSignature="t4")),
    )
    assert turns(USER, Message("assistant", parts), result("c", Text("1")))[1]["parts"] == [
        {"text": "plan", "thought": True, "thoughtSignature": "t1"},
        {"text": "a"},
        {"text": "b", "thoughtSignature": "t2"},
        {"text": "", "thoughtSignature": "t3"},
        {"functionCall": {"id": "x", "name": "rows", "args": {}}, "thoughtSignature": "t4"},
    ]


def test_a_part_of_another_kind_goes_back_whole():
    ran = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "c2ln"}
    said = turns(USER, Message("assistant", (Reasoning("", origin(), json.dumps(ran)), Text("1"))), USER)
    assert said[1]["parts"] == [ran, {"text": "1"}]


@pytest.mark.parametrize("broken", ["", "nonsense", "[]", '{"thoughtSignature": 7}', '{"thoughtSignature": ""}'])
def test_state_that_is_none_is_nothing(broken):
    parts = (Reasoning("hm", origin(), broken), Text("so", origin(), broken))
    assert turns(USER, Message("assistant", parts), USER)[1]["parts"] == [{"text": "so"}]


def test_unsigned_and_foreign_reasoning_stays_out_and_a_turn_of_nothing_else_too():
    own = Message("assistant", (Reasoning("hm", origin()),))
    foreign = Message("assistant", (Reasoning("hm", origin("other"), state(thoughtSignature="x")),))
    assert [turn["role"] for turn in turns(USER, own, own, USER, foreign, USER)] == ["user", "user", "user"]
    assert encoded(USER, own, own, USER).notes == ("reasoning left out: it came without a signature",)


def signed(*messages, card=NEW):
    parts = [part for turn in turns(*messages, card=card) for part in turn["parts"] if "functionCall" in part]
    return [part.get("thoughtSignature") for part in parts]


def test_calls_of_other_models_are_marked_as_unsigned_in_the_current_turn_only():
    def step(number):
        made = (ToolCall(f"a{number}", "rows", {}), ToolCall(f"b{number}", "now", {}))
        answers = tuple(ToolResult(each.id, each.name, (Text("1"),)) for each in made)
        return Message("assistant", made), Message("tool", answers)

    history = (USER, *step(1), Message.user("more"), *step(2), *step(3))
    assert signed(*history) == [None, None, UNSIGNED, None, UNSIGNED, None]
    assert signed(*history, Message.user("and?")) == [None] * 6
    assert signed(*history, card=OLD) == [None] * 6
    assert signed(*history, card=card(model="tuned")) == [None] * 6


def test_a_signature_of_its_own_is_never_replaced():
    own = ToolCall("a", "rows", {}, origin=origin(), provider_state=state(thoughtSignature="c2ln"))
    assert signed(USER, Message("assistant", (own, ToolCall("b", "now", {})))) == ["c2ln", None]


def test_neighbouring_turns_of_the_model_are_one_since_a_call_may_not_follow_another_of_its_turns():
    call = Message("assistant", (ToolCall("c", "rows", {}),))
    said = turns(USER, Message.assistant("wait"), call, result("c", Text("1")))
    assert [turn["role"] for turn in said] == ["user", "model", "user"]
    assert len(said[1]["parts"]) == 2


@pytest.mark.parametrize(
    ("messages", "begun", "ended"),
    [
        ((Message.system("s"),), True, True),
        ((Message.assistant("hello"), USER), True, False),
        ((USER, Message.assistant("hello")), False, True),
        ((Message.assistant("hello"),), True, True),
        ((USER, Message.assistant("hello"), USER), False, False),
    ],
)
def test_a_conversation_begins_and_ends_with_the_user_and_a_note_says_where_that_was_made_so(messages, begun, ended):
    go_on = {"role": "user", "parts": [{"text": "Continue."}]}
    sent = encoded(*messages)
    said = json.loads(sent.body)["contents"]
    assert (said[0] == go_on, said[-1] == go_on) == (begun, ended)
    assert bool(sent.notes) == (begun or ended)


SEES = {"images": True, "documents": True}


def test_images_and_documents_are_written_inline_or_as_a_reference():
    sent = encoded(
        Message("user", (
            Text("look"),
            Image("image/png", data="QUJD"),
            Image("image/png", url="https://x/y.png"),
            Document("application/pdf", data="QUJD"),
            Document("application/pdf", "b.pdf", url="https://x/b.pdf"),
        )),
        card=card(capabilities=SEES),
    )  # fmt: skip
    assert json.loads(sent.body)["contents"][0]["parts"] == [
        {"text": "look"},
        {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://x/y.png"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "QUJD"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x/b.pdf"}},
    ]
    assert sent.notes == ("document name 'b.pdf' left out: Gemini has no place for it",)


def shown(model):
    calls = Message("assistant", (ToolCall("a", "rows", {}), ToolCall("b", "now", {})))
    results = (
        ToolResult("a", "rows", (Text("a map"), Image("image/png", data="QUJD"))),
        ToolResult("b", "now", (Image("image/png", url="https://x/y.png"),)),
    )
    return encoded(USER, calls, Message("tool", results), card=card(model=model, capabilities=SEES))


def test_since_gemini_3_media_are_part_of_the_result():
    sent = shown("gemini-3-pro")
    first, second = (part["functionResponse"] for part in json.loads(sent.body)["contents"][2]["parts"])
    assert (first["response"], first["parts"]) == (
        {"output": "a map"},
        [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}],
    )
    assert second["response"] == {"output": ""}
    assert second["parts"] == [{"fileData": {"mimeType": "image/png", "fileUri": "https://x/y.png"}}]
    assert sent.notes == ()


def test_older_models_see_media_in_a_turn_after_all_results_and_a_note_says_so():
    sent = shown("gemini-2.5-pro")
    results, media = json.loads(sent.body)["contents"][2:]
    outputs = [part["functionResponse"]["response"]["output"] for part in results["parts"]]
    assert outputs == ["a map", "[see the next message]"]
    assert media == {
        "role": "user",
        "parts": [
            {"text": "Returned by rows:"},
            {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
            {"text": "Returned by now:"},
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x/y.png"}},
        ],
    }
    assert sent.notes == (
        "media returned by rows moved after the results: mine takes none inside them",
        "media returned by now moved after the results: mine takes none inside them",
    )


def test_names_are_spelled_alike_everywhere_and_arguments_as_the_tool_was_declared():
    odd = ToolSpec("3 shops", "", {"type": "object", "properties": {}})
    said = body(USER, Message("assistant", (ToolCall("c", "3 shops", {"a": 1}),)), result("c", Text("1")), tools=(odd,))
    name = said["tools"][0]["functionDeclarations"][0]["name"]
    assert name[0].isalpha()
    assert said["contents"][1]["parts"][0]["functionCall"] == {"name": name, "args": {"a": 1}}
    assert said["contents"][2]["parts"][0]["functionResponse"]["name"] == name


def test_unreadable_arguments_still_make_a_request_that_google_can_read():
    said = turns(USER, Message("assistant", (ToolCall("c", "rows", None, raw='{"sql": '),)), result("c", Text("bad")))
    assert said[1]["parts"][0]["functionCall"]["args"] == {"unreadable": '{"sql": '}


def test_the_same_request_is_the_same_bytes():
    made = [encoded(tools=(ROWS, NOW), extra={"gemini.topK": 1}).body for _ in range(2)]
    assert made[0] == made[1]
