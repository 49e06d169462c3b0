"""Numbers that no provider means: they are none, whichever dialect says them."""

import json

import pytest

from orchestra.dialects import CODECS
from orchestra.dialects.loose import count, logprobs
from orchestra.types import Capabilities, Message, ModelCard, ModelReply, Request

ENDLESS = 10**400


def replied(dialect, body):
    card = ModelCard("m", "m", "p", dialect, "capable", capabilities=Capabilities())
    codec = CODECS[dialect]
    return codec.decode(codec.encode(Request((Message.user("q"),)), card), json.dumps(body).encode())


def bodies(number):
    """A reply of each dialect whose usage and log-probability are this number."""
    chat = {"message": {"content": "x"}, "finish_reason": "stop", "logprobs": {"content": [{"logprob": -number}]}}
    told = {"choices": [chat], "usage": {"prompt_tokens": number, "completion_tokens": 1}}
    yield "openai-chat", told
    yield "mistral", told
    text = {"type": "output_text", "text": "x", "logprobs": [{"logprob": -number}]}
    usage = {"input_tokens": number, "output_tokens": 1}
    yield "openai-responses", {
        "status": "completed", "output": [{"type": "message", "content": [text]}], "usage": usage,
    }  # fmt: skip
    yield "anthropic", {"content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn", "usage": usage}
    yield (
        "gemini",
        {
            "candidates": [
                {
                    "content": {"parts": [{"text": "x"}]},
                    "finishReason": "STOP",
                    "logprobsResult": {"chosenCandidates": [{"logProbability": -number}]},
                }
            ],
            "usageMetadata": {"promptTokenCount": number, "candidatesTokenCount": 1},
        },
    )
    yield (
        "bedrock-converse",
        {
            "output": {"message": {"content": [{"text": "x"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": number, "outputTokens": 1},
        },
    )
    yield (
        "cohere",
        {
            "message": {"content": [{"type": "text", "text": "x"}]},
            "finish_reason": "COMPLETE",
            "logprobs": [{"logprobs": [-number]}],
            "usage": {"billed_units": usage},
        },
    )


@pytest.mark.parametrize("number", [ENDLESS, 10**30, 2**40 + 1, 1e300])
def test_a_number_that_no_reply_can_have_is_neither_a_count_nor_a_probability(number):
    for dialect, body in bodies(number):
        reply = replied(dialect, body)
        assert isinstance(reply, ModelReply), dialect
        assert (reply.text, reply.usage, reply.logprob) == ("x", None, None), dialect


def test_what_a_reply_can_have_is_read():
    for dialect, body in bodies(7):
        assert replied(dialect, body).usage.input == 7, dialect
    assert [count(one) for one in (7, 7.0, 2**40, True, 1.5, -1, float("inf"), "7")] == [7, 7, 2**40, 0, 0, 0, 0, 0]
    assert logprobs([-0.5, -9999, 0, 1, True, None, -ENDLESS, float("-inf")]) == [-0.5, -9999.0, 0.0]
