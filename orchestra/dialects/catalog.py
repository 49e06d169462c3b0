"""The codecs that exist, by the dialect's name as written in fleet.toml."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from orchestra.dialects.anthropic import Anthropic
from orchestra.dialects.bedrock import BedrockConverse
from orchestra.dialects.codec import Codec
from orchestra.dialects.cohere import Cohere
from orchestra.dialects.gemini import Gemini
from orchestra.dialects.mistral import Mistral
from orchestra.dialects.openai_chat import OpenAIChat
from orchestra.dialects.openai_responses import OpenAIResponses
from orchestra.errors import ConfigError

CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        each.dialect: each
        for each in (
            OpenAIChat(),
            OpenAIResponses(),
            Anthropic(),
            Gemini(),
            BedrockConverse(),
            Mistral(),
            Cohere(),
        )
    }
)


def codec(dialect: str) -> Codec:
    """The codec of a dialect. Raises ConfigError that names the known ones."""
    if found := CODECS.get(dialect):
        return found
    near = get_close_matches(dialect, CODECS, 1, 0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"unknown dialect {dialect!r}; known: {', '.join(CODECS)}{hint}")
