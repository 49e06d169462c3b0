"""What a canonical request becomes on Cohere's wire."""

import json

import pytest

from orchestra.types import Document, Image, Message, Origin, Reasoning, Settings, Text, ToolCall, ToolResult, ToolSpec
from tests.dialects.cohere import CODEC, NOW, ROWS, body, card, encoded

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
OWN = Origin("cohere", "cohere", "c-1")
MAP = ToolSpec("map", "", {"type": "object", "additionalProperties": {"type": "string"}})


def turn(call, *content, is_error=False):
    return (Message("assistant", (call,)), Message("tool", (ToolResult(call.id, call.name, content, is_error),)))


def test_a_plain_request_holds_nothing_that_was_not_asked_for():
    sent = encoded(Message.system("be brief"), Message.user("hü"))
    assert json.loads(sent.body) == {
        "model": "c-1",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hü"}],
        "stream": True,
    }
    assert (sent.path, sent.notes, sent.stream, sent.card) == ("/v2/chat", (), True, card())
    assert dict(sent.headers) == {"content-type": "application/json", "accept": "text/event-stream"}


def test_a_key_is_a_bearer_token():
    assert CODEC.authorization("k") == (("authorization", "Bearer k"),)
    assert CODEC.authorization(None) == ()


def test_a_model_that_cannot_stream_is_asked_for_the_whole_reply():
    sent = encoded(card=card(capabilities={"streaming": False}))
    assert (json.loads(sent.body)["stream"], dict(sent.headers)["accept"]) == (False, "application/json")


def test_settings_go_out_under_coheres_names():
    sent = encoded(
        settings=Settings(max_tokens=99), temperature=0.0, seed=7, stop=("a", "b", "c", "d", "e", "f"), logprobs=True,
        output_schema=SCHEMA, card=card(capabilities={"logprobs": True}), extra={"cohere.k": 5},
    )  # fmt: skip
    wanted = {
        "max_tokens": 99,
        "temperature": 0.0,
        "seed": 7,
        "stop_sequences": ["a", "b", "c", "d", "e"],
        "logprobs": True,
        "k": 5,
        "response_format": {"type": "json_object", "json_schema": SCHEMA},
    }
    said = json.loads(sent.body)
    assert {key: said[key] for key in wanted} == wanted
    assert sent.notes == ("stop: 1 of 6 left out: Cohere v2 Chat takes 5, the text may go on behind them",)


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        (
            {"settings": Settings(reasoning_effort="low")},
            "reasoning_effort left out: Cohere v2 Chat has no such setting",
        ),
        (
            {"tools": (ROWS,), "parallel_tools": False},
            "parallel_tools left out: Cohere v2 Chat has no such switch",
        ),
        (
            {"tools": (ROWS,), "output_schema": SCHEMA},
            "output_schema left out: Cohere takes no response_format beside tools; it stands in the prompt",
        ),
    ],
)
def test_what_cohere_cannot_do_is_left_out_with_a_note(fields, note):
    sent = encoded(card=card(capabilities={"reasoning_effort": True}), **fields)
    assert sent.notes == (note,)
    assert not {"reasoning_effort", "parallel_tool_calls", "response_format"} & json.loads(sent.body).keys()


def test_a_schema_beside_tools_stands_in_the_prompt():
    assert json.dumps(SCHEMA) in body(tools=(ROWS,), output_schema=SCHEMA)["messages"][0]["content"]


@pytest.mark.parametrize(("choice", "said"), [("auto", None), ("required", "REQUIRED"), ("none", "NONE")])
def test_tool_choice_is_said_in_capitals_where_it_differs_from_the_default(choice, said):
    sent = body(tools=(ROWS, NOW), tool_choice=choice)
    assert sent.get("tool_choice") == said
    assert [each["function"]["name"] for each in sent["tools"]] == ["rows", "now"]


def test_tools_are_enforced_where_all_of_them_can_be():
    assert body(tools=(ROWS,))["strict_tools"] is True
    assert "strict_tools" not in body(tools=(ROWS, MAP))
    assert "strict_tools" not in body()


def test_calls_a_plan_and_results_keep_their_places():
    plan = Reasoning("first rows", OWN, "tool_plan")
    call = ToolCall("rows_1", "rows", {"sql": "ü"})
    sent = body(
        Message("assistant", (Reasoning("hm", OWN), plan, Text("let me see"), call)),
        Message("tool", (ToolResult("rows_1", "rows", (Text("no table"),), True),)),
        *turn(ToolCall("now_1", "now", {})),
        Message("assistant", (plan, Text("done"))),
        tools=(ROWS, NOW),
    )["messages"]
    assert sent == [
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "let me see"}],
            "tool_plan": "first rows",
            "tool_calls": [
                {"id": "rows_1", "type": "function", "function": {"name": "rows", "arguments": '{"sql": "ü"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "rows_1", "content": [{"type": "text", "text": "Error: no table"}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "now_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "now_1", "content": [{"type": "text", "text": "(nothing)"}]},
        {"role": "assistant", "content": "done", "tool_plan": "first rows"},
    ]


def test_another_models_plan_is_not_shown():
    foreign = Reasoning("secret", Origin("cohere", "cohere", "c-2"), "tool_plan")
    assert body(Message("assistant", (foreign, Text("done"))))["messages"][0] == {
        "role": "assistant",
        "content": "done",
    }


def test_one_system_message_stands_at_the_beginning():
    sent = encoded(Message.system("a"), Message.system("b"), Message.user("c"), Message.system("d"))
    assert json.loads(sent.body)["messages"] == [
        {"role": "system", "content": "a\n\nb"},
        {"role": "user", "content": "c"},
        {"role": "user", "content": "<system>\nd\n</system>"},
    ]
    assert sent.notes == ("system message within the conversation: said in the user's turn, in <system> tags",)


def test_images_are_blocks_and_those_of_results_follow_them():
    sees = card(capabilities={"images": True, "documents": True})
    shown = (Text("look"), Image("image/png", data="QUJD"), Image("image/png", url="https://x/y.png"))
    blocks = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
    ]
    assert body(Message("user", shown), card=sees)["messages"][0]["content"] == blocks
    after = body(*turn(ToolCall("c", "rows", {}), *shown), card=sees)["messages"]
    assert [each["role"] for each in after] == ["assistant", "tool", "user"]
    assert after[2]["content"][1:] == blocks[1:]
    pdf = Document("application/pdf", "a.pdf", data="QUJD")
    said = body(Message("user", (pdf,)), card=sees)["messages"][0]["content"]
    assert said == "[document a.pdf left out: Cohere v2 Chat takes none]"


def test_tools_of_models_that_have_none_are_not_declared():
    assert encoded(tools=(ROWS,), card=card(capabilities={"tools": "none"})).tools == ()
    speaks_json = encoded(tools=(ROWS,), card=card(capabilities={"tools": "json"}))
    assert speaks_json.json_tools
    assert json.loads(speaks_json.body)["response_format"]["type"] == "json_object"


def test_a_plan_that_came_to_nothing_is_left_out_with_a_note():
    sent = encoded(Message("assistant", (Reasoning("first rows", OWN, "tool_plan"),)), Message.user("go on"))
    assert json.loads(sent.body)["messages"] == [{"role": "user", "content": "go on"}]
    assert sent.notes == ("reasoning left out: a plan that came to nothing is no turn",)
