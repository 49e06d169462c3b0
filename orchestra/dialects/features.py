"""What each dialect can say, as data: requests are cut to it, and docs/dialects.md is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from orchestra.dialects.tool_names import CALL_IDS, TOOL_NAMES, Spelling
from orchestra.types import ToolChoice

Carrier: TypeAlias = Literal["data", "url"]


@dataclass(frozen=True, slots=True)
class Features:
    """What a dialect can say. What it cannot is dropped with a note, or moved to where it can be said.

    `tool_names` and `call_ids` are the spellings the provider takes. `tool_choice`: what of it can be said; `none` is
    otherwise said by declaring no tool. `structured`: a schema for the answer, else it stands in the prompt.
    `stop` is how many stop sequences fit. `images` and `documents` say how they may be carried. `result_media`: tool
    results carry them too, else they follow in a user message. `error_flag`: a failed result is marked as such, else
    its text begins with "Error: ". `replays`: opaque state of earlier replies goes back. `strict`: the provider can be
    made to enforce a tool's schema. `cache_markers`: what may be cached is marked, else the provider sees to it itself.
    `undeclared_calls`: history may hold calls of tools although the request declares none. `user_turns`: a conversation
    has to begin and end with the user's turn.
    """

    dialect: str
    title: str
    tool_names: Spelling = TOOL_NAMES
    call_ids: Spelling = CALL_IDS
    tool_choice: frozenset[ToolChoice] = frozenset({"auto", "required", "none"})
    parallel_switch: bool = True
    structured: bool = True
    strict: bool = False
    temperature: bool = True
    seed: bool = True
    stop: int = 4
    logprobs: bool = False
    reasoning_effort: bool = True
    images: frozenset[Carrier] = frozenset({"data", "url"})
    documents: frozenset[Carrier] = frozenset({"data"})
    result_media: bool = True
    error_flag: bool = True
    replays: bool = True
    cache_markers: bool = False
    undeclared_calls: bool = True
    user_turns: bool = False


_DATA: frozenset[Carrier] = frozenset({"data"})
_BOTH: frozenset[Carrier] = frozenset({"data", "url"})

FEATURES: Mapping[str, Features] = MappingProxyType(
    {
        each.dialect: each
        for each in (
            Features(
                "openai-chat",
                "OpenAI Chat Completions",
                strict=True,
                logprobs=True,
                result_media=False,
                error_flag=False,
                replays=False,
            ),
            Features(
                "openai-responses",
                "OpenAI Responses",
                call_ids=Spelling(limit=64),
                strict=True,
                seed=False,
                stop=0,
                logprobs=True,
                documents=_BOTH,
                error_flag=False,
            ),
            Features(
                "anthropic",
                "Anthropic Messages",
                tool_names=Spelling(limit=128),
                call_ids=Spelling(limit=64),
                strict=True,
                temperature=False,
                seed=False,
                stop=64,
                documents=_BOTH,
                cache_markers=True,
                undeclared_calls=False,
                user_turns=True,
            ),
            Features(
                "gemini",
                "Gemini generateContent",
                tool_names=Spelling(lead="A-Za-z_"),
                parallel_switch=False,
                stop=5,
                logprobs=True,
                documents=_BOTH,
                user_turns=True,
            ),
            Features(
                "bedrock-converse",
                "Bedrock Converse",
                call_ids=Spelling("A-Za-z0-9_.:-"),
                tool_choice=frozenset({"auto", "required"}),
                parallel_switch=False,
                strict=True,
                seed=False,
                images=_DATA,
                documents=_DATA,
                cache_markers=True,
                undeclared_calls=False,
                user_turns=True,
            ),
            Features(
                "mistral",
                "Mistral Chat",
                call_ids=Spelling("A-Za-z0-9", limit=9, exact=True),
                strict=True,
                logprobs=True,
                documents=_BOTH,
                error_flag=False,
            ),
            Features(
                "cohere",
                "Cohere v2 Chat",
                parallel_switch=False,
                strict=True,
                stop=5,
                logprobs=True,
                reasoning_effort=False,
                documents=frozenset(),
                result_media=False,
                error_flag=False,
            ),
        )
    }
)
