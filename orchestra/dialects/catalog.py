"""The codecs that exist, by the dialect's name as written in fleet.toml."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from orchestra.dialects import anthropic, bedrock, cohere, gemini, mistral, openai_chat, openai_responses
from orchestra.dialects.anthropic_reading import AnthropicReading
from orchestra.dialects.aws_events import AwsEventStream
from orchestra.dialects.bedrock_reading import BedrockReading, bedrock_fault
from orchestra.dialects.chat_reading import ChatReading
from orchestra.dialects.codec import Codec
from orchestra.dialects.cohere_reading import CohereReading
from orchestra.dialects.gemini_reading import GeminiReading
from orchestra.dialects.mistral_reading import MistralReading
from orchestra.dialects.rate_limits import anthropic_limits, cohere_limits, mistral_limits, openai_limits
from orchestra.dialects.responses_reading import ResponsesReading
from orchestra.errors import ConfigError

_ALL = (
    Codec("openai-chat", openai_chat.spelled, ChatReading, openai_limits),
    Codec("openai-responses", openai_responses.spelled, ResponsesReading, openai_limits),
    Codec("anthropic", anthropic.spelled, AnthropicReading, anthropic_limits, key=("x-api-key", "")),
    # Google's own headers tell nothing of limits; gateways add OpenAI's.
    Codec("gemini", gemini.spelled, GeminiReading, openai_limits, key=("x-goog-api-key", "")),
    Codec(
        "bedrock-converse",
        bedrock.spelled,
        BedrockReading,
        limits=lambda _headers: (),  # Amazon tells its quotas in the console only
        error=bedrock_fault,
        streams="application/vnd.amazon.eventstream",
        frames=AwsEventStream,
    ),
    Codec("mistral", mistral.spelled, MistralReading, mistral_limits),
    Codec("cohere", cohere.spelled, CohereReading, cohere_limits),
)
CODECS: Mapping[str, Codec] = MappingProxyType({each.dialect: each for each in _ALL})


def codec(dialect: str) -> Codec:
    """The codec of a dialect. Raises ConfigError that names the known ones."""
    if found := CODECS.get(dialect):
        return found
    near = get_close_matches(dialect, CODECS, 1, 0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"unknown dialect {dialect!r}; known: {', '.join(CODECS)}{hint}")
