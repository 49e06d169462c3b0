"""Any history through any codec is a request that the provider's own SDK accepts, closed; so are the replies in it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects import CODECS
from orchestra.types import Message, Request
from tests.dialects.history_replies import MODELS, card, reply_body
from tests.dialects.history_stories import TOOLS, stories
from tests.sdk.closed import REPLIES, REQUESTS, check


@pytest.fixture(params=list(CODECS), scope="module")
def dialect(request):
    return request.param


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_any_history_is_a_request_that_the_sdk_accepts(dialect, data):
    messages = (*data.draw(stories()).messages, Message.user("go on"))
    tools = data.draw(st.sampled_from([TOOLS, ()]))
    choice = data.draw(st.sampled_from(["auto", "required", "none"]))
    for model in MODELS[dialect]:
        seen = data.draw(st.booleans())
        can = {"images": seen, "documents": seen, "tools": data.draw(st.sampled_from(["native", "native", "json"]))}
        encoded = CODECS[dialect].encode(Request(messages, tools, choice), card(dialect, model, **can))
        check(REQUESTS[dialect], json.loads(encoded.body))


@given(story=stories())
@settings(deadline=None, max_examples=60)
def test_the_replies_that_these_histories_hold_are_what_the_providers_write(story):
    for to, spoken, _ in story.spoken:
        check(REPLIES[to.dialect], reply_body(to.dialect, to.model, spoken))
