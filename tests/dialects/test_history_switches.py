"""Any history through any provider: it goes out in the order that provider demands, and its own state comes back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects import CODECS
from orchestra.types import Message, Request
from tests.dialects.history_replies import card, replayed_state, written_state
from tests.dialects.history_rules import broken_rules
from tests.dialects.history_stories import CARDS, MODELS, TOOLS, stories

# These take any order of turns, and so are sent what the caller says; that has to be something.
SAID_AS_IT_IS = ("openai-chat", "openai-responses", "cohere")


def sent(card, messages, tools=TOOLS):
    return json.loads(CODECS[card.dialect].encode(Request(tuple(messages), tools), card).body)


@pytest.fixture(params=list(CODECS), scope="module")
def dialect(request):
    return request.param


@given(data=st.data())
@settings(deadline=None, max_examples=80)
def test_any_history_goes_out_in_the_order_that_the_provider_demands(dialect, data):
    story = data.draw(stories())
    messages = [*story.messages, Message.user("go on")] if dialect in SAID_AS_IT_IS else story.messages
    tools = data.draw(st.sampled_from([TOOLS, (TOOLS[0],), ()]))
    for model in MODELS[dialect]:
        sight = data.draw(st.booleans())
        to = card(dialect, model, images=sight, documents=sight)
        assert broken_rules(to, sent(to, messages, tools)) == []


@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_models_without_native_tools_get_the_same_history_as_plain_turns(dialect, data):
    story = data.draw(stories())
    messages = [*story.messages, Message.user("go on")] if dialect in SAID_AS_IT_IS else story.messages
    to = card(dialect, MODELS[dialect][0], tools=data.draw(st.sampled_from(["json", "none"])))
    body = sent(to, messages)
    assert broken_rules(to, body) == []
    assert "tools" not in body
    assert "toolConfig" not in body


@given(data=st.data())
@settings(deadline=None, max_examples=80)
def test_switching_back_replays_the_models_own_state_byte_exact(dialect, data):
    story = data.draw(stories(cut=False))
    for to in [one for one in CARDS if one.dialect == dialect]:
        owed = [piece for spoken in story.owed(to) for piece in written_state(dialect, spoken)]
        assert replayed_state(dialect, sent(to, story.messages)) == owed


@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_no_other_model_gets_a_byte_of_it(dialect, data):
    story = data.draw(stories())
    for to in [one for one in CARDS if one.dialect == dialect]:
        body = json.dumps(sent(to, story.messages))
        for other, spoken, _ in story.spoken:
            assert other is to or spoken.state not in body
