"""Servers of chat completions, as the official client speaks to them and its types know them."""

import json

import openai
import pytest
from openai._models import FinalRequestOptions

from orchestra.dialects import codec
from orchestra.dialects.chat_profiles import PROFILES
from orchestra.types import Message, Settings
from tests.dialects import chat
from tests.sdk.closed import REQUESTS, check

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize("deployment", [None, "d"])
def test_azure_is_asked_where_the_official_client_asks(deployment):
    official = openai.AzureOpenAI(
        api_key="secret",
        api_version="2024-10-21",
        azure_endpoint="https://x.openai.azure.com",
        azure_deployment=deployment,
    )
    with official:
        options = FinalRequestOptions(method="post", url="/chat/completions", json_data={"model": "m-1"})
        wanted = official._build_request(options)
        base_url = f"{official.base_url}".rstrip("/")
    ours = chat.encoded(card=chat.card(provider="azure", base_url=f"{base_url}?api-version=2024-10-21"))
    assert f"{base_url}{ours.path}?api-version=2024-10-21" == str(wanted.url)
    assert wanted.headers[ours.key_header] == "secret"
    assert "authorization" not in wanted.headers


@pytest.mark.parametrize("provider", [name for name in PROFILES if name not in {"openrouter", "llama.cpp"}])
@pytest.mark.parametrize(
    "asked",
    [
        {"tools": (chat.ROWS, chat.NOW), "tool_choice": "required", "parallel_tools": False, "seed": 1},
        {"output_schema": SCHEMA, "logprobs": True, "stop": ("x",)},
        {"settings": Settings(max_tokens=9, reasoning_effort="low")},
    ],
)
def test_the_official_types_accept_what_is_said_to_every_server_that_only_leaves_things_out(provider, asked):
    able = chat.card(provider=provider, capabilities={"logprobs": True, "reasoning_effort": True})
    sent = codec("openai-chat").encode(chat.request(Message.user("u"), **asked), able)
    check(REQUESTS["openai-chat"], json.loads(sent.body))
