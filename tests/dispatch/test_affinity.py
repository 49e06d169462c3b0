"""By what a cached prompt is found again."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from orchestra.dispatch.affinity import DECLARATION, SHORTEST, Sessions, affinity
from orchestra.dispatch.target import Target
from orchestra.types import Image, Message, Request, Text, ToolSpec

RULES = Message.system("r" * SHORTEST)
TOOLS = tuple(ToolSpec(f"t{number}", "", {}) for number in range(3))
A, B = Target("m", "lab", "A"), Target("m", "lab", "B")


def asked(*texts: str, system: Message = RULES, tools: tuple[ToolSpec, ...] = ()) -> Request:
    return Request((system, *(Message.user(text) for text in texts)), tools)


def test_a_conversation_keeps_its_names_as_it_grows():
    first = asked("hello")
    messages = (*first.messages, Message.assistant("hi"), Message.user("and now?"), Message.system("late"))
    assert affinity(replace(first, messages=messages)) == affinity(first)


def test_conversations_that_begin_alike_share_their_prefix_only():
    one, other = affinity(asked("hello")), affinity(asked("good day"))
    assert one.prefix == other.prefix != ""
    assert one.conversation != other.conversation


def test_other_system_messages_and_other_tools_are_another_prefix():
    found = [
        affinity(asked("hello")),
        affinity(asked("hello", system=Message.system("s" * SHORTEST))),
        affinity(asked("hello", tools=TOOLS)),
        affinity(asked("hello", tools=TOOLS[::-1])),
    ]
    assert len({one.prefix for one in found}) == len({one.conversation for one in found}) == 4


def test_a_prefix_too_short_to_be_cached_has_no_name_but_its_conversation_has():
    short = affinity(asked("hello", system=Message.system("r" * (SHORTEST - 1))))
    assert short.prefix == ""
    assert short.conversation != affinity(asked("good day", system=Message.system("r" * (SHORTEST - 1)))).conversation


def test_declarations_of_tools_count_towards_the_prefix():
    system = Message.system("r" * (SHORTEST - 3 * DECLARATION))
    assert affinity(asked("hello", system=system, tools=TOOLS)).prefix
    assert not affinity(asked("hello", system=system, tools=TOOLS[1:])).prefix


def test_the_beginning_may_be_missing_hold_an_image_or_half_a_character():
    image = Message("user", (Image("image/png", data="aGk="), Text("\ud800")))
    requests = [Request(()), Request((image,)), Request((Message.system("\ud800"),))]
    assert len({affinity(request).conversation for request in requests}) == 3


@given(st.lists(st.text(max_size=3), min_size=3, max_size=3), st.lists(st.text(max_size=3), min_size=3, max_size=3))
def test_different_beginnings_have_different_names(one: list[str], other: list[str]):
    def name(texts: list[str]) -> str:
        tool, system, user = (text.replace("\0", "") for text in texts)
        return affinity(asked(user, system=Message.system(system), tools=(ToolSpec(tool, "", {}),))).conversation

    without = [[text.replace("\0", "") for text in texts] for texts in (one, other)]
    assert (name(one) == name(other)) == (without[0] == without[1])


def test_a_session_is_where_its_conversation_was_last():
    sessions = Sessions()
    assert sessions.last("talk", "m") is None
    sessions.keep("talk", A)
    sessions.keep("talk", B)
    assert sessions.last("talk", "m") == B


def test_a_conversation_has_a_session_with_each_of_its_models():
    sessions, strong = Sessions(), Target("strong", "lab", "A")
    sessions.keep("talk", B)
    sessions.keep("talk", strong)
    assert (sessions.last("talk", "m"), sessions.last("talk", "strong")) == (B, strong)


def test_of_too_many_sessions_the_longest_silent_is_forgotten():
    sessions = Sessions(most=2)
    for name in ("old", "new", "old", "newest"):
        sessions.keep(name, A)
    assert [sessions.last(name, "m") for name in ("old", "new", "newest")] == [A, None, A]
