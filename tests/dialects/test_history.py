"""What one provider and model may see of a conversation."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects.history import NO_RESULT, view, viewed
from orchestra.types import Document, Image, Message, Origin, Reasoning, Text, ToolCall, ToolResult
from tests.dialects.chat import card

OWN = Origin("acme", "openai-chat", "m-1")
OTHERS = (
    Origin("acme", "openai-chat", "m-2"),
    Origin("other", "openai-chat", "m-1"),
    Origin("acme", "gemini", "m-1"),
    None,
)
PNG = Image("image/png", data="QUJD")
BEDROCK = card(dialect="bedrock-converse", capabilities={"images": True})
SEES = card(capabilities={"images": True, "documents": True})

texts = st.sampled_from(["", " ", "a", "ü"])
origins = st.sampled_from([OWN, *OTHERS])
states = st.sampled_from([None, "opaque"])
ids = st.sampled_from(["c", "c-2", "d", ""])
content = (
    st.builds(Text, texts, origins, states) | st.just(PNG) | st.just(Document("application/pdf", "x", url="https://x"))
)
parts = st.one_of(
    st.builds(Text, texts, origins, states),
    st.builds(Reasoning, texts, origins, states),
    st.just(PNG),
    st.builds(ToolCall, ids, st.just("rows"), st.just({}), st.just("{}"), origins, states),
    st.builds(
        ToolResult, ids, st.just("rows"), st.lists(content, max_size=3).map(tuple), st.booleans(), origins, states
    ),
)
messages = st.lists(
    st.builds(
        Message, st.sampled_from(["system", "user", "assistant", "tool"]), st.lists(parts, max_size=4).map(tuple)
    ),
    max_size=8,
)


@given(messages=messages, model=st.sampled_from([card(), SEES]))
@settings(deadline=None)
def test_whatever_happened_the_view_is_a_history_that_providers_accept(messages, model):
    seen = view(messages, model)
    calls = [part.id for message in seen for part in message.parts if isinstance(part, ToolCall)]
    assert len(set(calls)) == len(calls)
    for place, message in enumerate(seen):
        assert message.parts
        here = [part.id for part in message.parts if isinstance(part, ToolCall)]
        results = [part.call_id for part in message.parts if isinstance(part, ToolResult)]
        assert not here or message.role == "assistant"
        assert not here or [part.call_id for part in seen[place + 1].parts] == here
        assert not results or (
            message.role == "tool"
            and [part.id for part in seen[place - 1].parts if isinstance(part, ToolCall)] == results
        )
        for part in message.parts:
            assert not isinstance(part, Reasoning) or (part.origin == OWN and message.role == "assistant")
            assert part.provider_state is None or part.origin == OWN
            assert not isinstance(part, Text) or part.text.strip()
            assert model is SEES or not isinstance(part, Image | Document)
            if isinstance(part, ToolResult):
                assert all(isinstance(item, Text) and item.text.strip() for item in part.content)


@given(messages=messages, model=st.sampled_from([card(), SEES]))
@settings(deadline=None)
def test_a_view_of_a_view_is_the_same_view(messages, model):
    assert view(view(messages, model), model) == view(messages, model)


@given(messages=messages)
@settings(deadline=None)
def test_no_text_is_lost_or_moved_before_what_was_said_earlier(messages):
    said = [part.text for message in messages for part in message.parts if isinstance(part, Text)]
    shown = [part.text for message in view(messages, card()) for part in message.parts if isinstance(part, Text)]
    assert "".join("".join(text for text in shown if not text.startswith("[")).split()) == "".join(
        "".join(said).split()
    )


def test_a_clean_history_stays_as_it_is():
    model = card(dialect="gemini")
    own = Origin("acme", "gemini", "m-1")
    call = ToolCall("c", "rows", {"sql": "1"}, "{}", own, "state")
    clean = (
        Message.system("s"),
        Message.user("u"),
        Message("assistant", (Reasoning("hm", own, "sig"), Text("see", own, "s"), Text("", own, "signed"), call)),
        Message("tool", (ToolResult("c", "rows", (Text("1"),)),)),
        Message.assistant("done"),
        Message.user("thanks"),
    )
    seen = viewed(clean, model)
    assert seen.messages == clean
    assert seen.notes == ()
    assert all(one is other for one, other in zip(seen.messages, clean, strict=True) if one.role != "tool")


def test_a_texts_state_stays_behind_where_the_dialect_has_no_place_for_it():
    call = ToolCall("c", "rows", {}, "{}", OWN, "state")
    assert view([Message("assistant", (Text("", OWN, "state"), call))], card())[0].parts == (call,)
    for origin in OTHERS:
        call = replace(call, origin=origin)
        assert view([Message("assistant", (call,))], card())[0].parts == (replace(call, provider_state=None),)


def test_reasoning_and_state_of_another_model_are_dropped_and_never_shown_as_text():
    for origin in OTHERS:
        message = Message("assistant", (Reasoning("secret", origin, "sig"), Text("hi", origin, "sig")))
        assert view([message], card()) == (Message("assistant", (Text("hi", origin),)),)
    assert view([Message("user", (Reasoning("nobody's", OWN, "sig"), Text("hi")))], card()) == (Message.user("hi"),)


def test_what_is_left_out_is_noted_once():
    foreign = Reasoning("x", OTHERS[0], "sig")
    stray = ToolCall("z", "rows", {})
    seen = viewed(
        [Message("assistant", (foreign, foreign, Text("a"), PNG)), Message("user", (stray, Text("b")))], card()
    )
    assert seen.notes == (
        "reasoning left out: it is not of this model",
        "image left out: only the user's messages and results carry one",
        "tool call 'z' left out: no model made it",
    )


def test_a_url_that_the_dialect_takes_nowhere_is_shown_to_the_model_but_stands_in_no_note():
    seen = viewed([Message("user", (Image("image/png", url="https://x/a.png?key=s3cret"),))], BEDROCK)
    assert seen.messages[0].text == "[image left out: Bedrock Converse takes no URL: https://x/a.png?key=s3cret]"
    assert seen.notes == ("image left out: Bedrock Converse takes no URL",)


def test_a_message_of_which_nothing_remains_is_absent():
    assert view([Message("assistant", (Reasoning("x"), Text(" \n"))), Message("user", ())], card()) == ()


def test_blank_text_between_two_texts_ends_the_first_and_is_absent_elsewhere():
    parts = (Text("\n"), Text("a"), Text("\n\n"), Text("b"), ToolCall("c", "rows", {}), Text(" "))
    assert view([Message("assistant", parts)], card())[0].parts == (Text("a\n\n"), Text("b"), ToolCall("c", "rows", {}))
    signed = Text("a", Origin("acme", "gemini", "m-1"), "sig")
    assert view([Message("assistant", (signed, Text(" ")))], card(dialect="gemini"))[1].parts == (signed,)


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_media_are_shown_only_where_users_and_tools_show_them(role):
    seen = view([Message(role, (Text("look"), PNG))], SEES)
    assert seen[0].parts[1] == Text("[image left out: only the user's messages and results carry one]")


def test_what_a_tool_message_says_beside_its_results_is_the_users():
    call = Message("assistant", (ToolCall("c", "rows", {}),))
    result = ToolResult("c", "rows", (Text("1"),))
    assert view([call, Message("tool", (result, Text("note")))], card())[1:] == (
        Message("tool", (result,)),
        Message.user("note"),
    )


@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "bedrock-converse"])
def test_a_conversation_begins_and_ends_with_the_users_turn_where_it_has_to(dialect):
    first, said, last = Message.system("s"), Message.assistant("hello"), Message.user("hi")
    model, go_on = card(dialect=dialect), Message.user("Continue.")
    assert view([first, said, last], model) == (first, go_on, said, last)
    assert view([first, last, said], model) == (first, last, said, go_on)
    assert view([said], model) == (go_on, said, go_on)
    assert view([first], model) == (first, go_on)
    assert view([first, said], card()) == (first, said)
    assert [note[:20] for note in viewed([said], model).notes] == ["'Continue.' put last", "'Continue.' put firs"]


def test_a_call_without_a_result_gets_a_neutral_error_and_a_result_without_a_call_is_dropped():
    call = ToolCall("c", "rows", {})
    stray = Message("tool", (ToolResult("z", "rows", (Text("?"),)),))
    assert view([stray, Message("assistant", (call,)), stray, Message.user("go on")], card()) == (
        Message("assistant", (call,)),
        Message("tool", (ToolResult("c", "rows", (Text(NO_RESULT),), is_error=True),)),
        Message.user("go on"),
    )


def test_results_move_behind_their_calls_in_call_order():
    one, two = ToolCall("1", "rows", {}), ToolCall("2", "rows", {})
    first, second = ToolResult("1", "rows", (Text("a"),)), ToolResult("2", "rows", (Text("b"),))
    history = [
        Message("assistant", (one, two)),
        Message.user("wait"),
        Message("tool", (second,)),
        Message("user", (first,)),
    ]
    assert view(history, card()) == (
        Message("assistant", (one, two)),
        Message("tool", (first, second)),
        Message.user("wait"),
    )


def test_a_second_result_for_the_same_call_is_dropped_with_a_note():
    call = Message("assistant", (ToolCall("c", "rows", {}),))
    results = [Message("tool", (ToolResult("c", "rows", (Text(text),)),)) for text in ("first", "second")]
    seen = viewed([call, *results], card())
    assert seen.messages == (call, results[0])
    assert seen.notes == ("tool result 'c' left out: another came before",)


def test_an_id_used_in_two_turns_is_renamed_and_each_call_keeps_its_own_result():
    def turn(text):
        return [
            Message("assistant", (ToolCall("c", "rows", {}),)),
            Message("tool", (ToolResult("c", "rows", (Text(text),)),)),
        ]

    seen = view([*turn("first"), *turn("second")], card())
    assert [part.id for message in seen for part in message.parts if isinstance(part, ToolCall)] == ["c", "c-2"]
    assert [part.call_id for part in (*seen[1].parts, *seen[3].parts)] == ["c", "c-2"]
    assert seen[3].parts[0].content == (Text("second"),)


def test_calls_of_one_message_that_share_an_id_take_its_results_in_their_order():
    calls = Message("assistant", (ToolCall("c", "rows", {"n": 1}), ToolCall("c", "rows", {"n": 2})))
    parts = [ToolResult("c", "rows", (Text(text),)) for text in ("for 1", "for 2")]
    for results in ([Message("tool", tuple(parts))], [Message("tool", (part,)) for part in parts]):
        seen = viewed([calls, *results], card())
        assert [(part.call_id, part.content[0].text) for part in seen.messages[1].parts] == [
            ("c", "for 1"),
            ("c-2", "for 2"),
        ]
        assert seen.notes == ()


def test_an_unanswered_call_does_not_take_the_result_of_a_later_one_with_its_id():
    calls = [Message("assistant", (ToolCall("c", "rows", {}),)) for _ in range(2)]
    seen = view([*calls, Message("tool", (ToolResult("c", "rows", (Text("late"),)),))], card())
    assert [message.parts[0].content[0].text for message in seen if message.role == "tool"] == [NO_RESULT, "late"]


def test_media_that_follow_their_results_are_noted():
    call = Message("assistant", (ToolCall("c", "plot", {}),))
    seen = viewed([call, Message("tool", (ToolResult("c", "plot", (PNG,)),))], SEES)
    assert seen.notes == ("media of tool results moved into a user's message behind them: results carry text only",)


def test_images_in_results_follow_in_a_user_message():
    call = Message("assistant", (ToolCall("c", "plot", {}), ToolCall("d", "plot", {})))
    results = Message("tool", (ToolResult("c", "plot", (Text("see"), PNG)), ToolResult("d", "plot", (PNG,))))
    assert view([call, results], SEES)[1:] == (
        Message(
            "tool",
            (ToolResult("c", "plot", (Text("see"),)), ToolResult("d", "plot", (Text("[see the next message]"),))),
        ),
        Message("user", (Text("Returned by plot (c):"), PNG, Text("Returned by plot (d):"), PNG)),
    )


def test_a_dialect_whose_results_carry_images_keeps_them_there():
    call = Message("assistant", (ToolCall("c", "plot", {}),))
    result = Message("tool", (ToolResult("c", "plot", (PNG,)),))
    assert view([call, result], card(dialect="openai-responses", capabilities={"images": True})) == (call, result)


def test_media_the_model_cannot_read_become_a_line_of_text():
    pdf = Document("application/pdf", "q3.pdf", url="https://x")
    assert view([Message("user", (PNG, pdf))], card())[0].parts == (
        Text("[image left out: this model cannot read image/png]"),
        Text("[document q3.pdf left out: this model cannot read application/pdf: https://x]"),
    )
