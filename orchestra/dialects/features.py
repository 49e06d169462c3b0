"""What each dialect can say, as data: requests are cut to it, and docs/dialects.md is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from orchestra.dialects.tool_names import CALL_IDS, TOOL_NAMES, Spelling
from orchestra.types import Document, Image, ToolChoice

Carrier: TypeAlias = Literal["data", "url"]

_INT64 = range(-(2**63), 2**63)
_NONE = range(0)
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_PDF = frozenset({"application/pdf"})
_OPEN_XML = "application/vnd.openxmlformats-officedocument"
_WORD = frozenset({"application/msword", f"{_OPEN_XML}.wordprocessingml.document"})
_EXCEL = frozenset({"application/vnd.ms-excel", f"{_OPEN_XML}.spreadsheetml.sheet"})
_SLIDES = frozenset({"application/vnd.ms-powerpoint", f"{_OPEN_XML}.presentationml.presentation"})
_TEXTS = frozenset({"text/*", "application/json", "application/xml"})


@dataclass(frozen=True, slots=True)
class Features:
    """What a dialect can say. What it cannot is dropped with a note, or moved to where it can be said.

    `tool_names` and `call_ids` are the spellings the provider takes. `tool_choice`: what of it can be said; `none` is
    otherwise said by declaring no tool. `structured`: a schema for the answer, else it stands in the prompt.
    `temperature` is the most it may be, 0 where there is none; `seed` what it may be. `least_tokens` is the least that
    `max_tokens` may be; `stop` is how many stop sequences fit. `images` and `documents` say how they may be carried,
    `image_types` and `document_types` of which media types they may be (`text/*`: of all texts). `result_media`: tool
    results carry them too, of `result_types` where those are fewer, else they follow in a user message. `error_flag`: a
    failed result is marked as such, else its text begins with "Error: ". `replays`: opaque state of earlier texts
    goes back, as that of calls does. `strict`: the provider can be made to enforce a tool's schema. `cache_markers`:
    what may be cached is marked, else the provider sees to it itself. `undeclared_calls`: history may hold calls of
    tools although the request declares none. `user_turns`: a conversation has to begin and end with the user's turn.
    `text_parts`: a message of several texts, a user's or the system's, goes out as several, else as one, a line apart.
    """

    dialect: str
    title: str
    tool_names: Spelling = TOOL_NAMES
    call_ids: Spelling = CALL_IDS
    tool_choice: frozenset[ToolChoice] = frozenset({"auto", "required", "none"})
    parallel_switch: bool = True
    structured: bool = True
    strict: bool = False
    temperature: float = 2
    seed: range = _INT64
    least_tokens: int = 1
    stop: int = 4
    logprobs: bool = False
    reasoning_effort: bool = True
    images: frozenset[Carrier] = frozenset({"data", "url"})
    documents: frozenset[Carrier] = frozenset({"data"})
    image_types: frozenset[str] = _IMAGES
    document_types: frozenset[str] = _PDF
    result_media: bool = True
    result_types: frozenset[str] | None = None
    error_flag: bool = True
    replays: bool = True
    cache_markers: bool = False
    undeclared_calls: bool = True
    user_turns: bool = False
    text_parts: bool = True

    def takes(self, part: Image | Document, *, in_result: bool) -> bool:
        """Whether an image or a document is of a media type that may be sent, in a user's message or in a result.

        An address of an image that nobody said the type of (`image/*`) may be sent wherever images may.
        """
        types = self.image_types if isinstance(part, Image) else self.document_types
        if in_result and self.result_types is not None:
            types = types & self.result_types
        if part.url and part.media_type == "image/*":
            return any(one.startswith("image/") for one in types)
        return part.media_type in types or f"{part.media_type.partition('/')[0]}/*" in types


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
                seed=_NONE,
                least_tokens=16,
                stop=0,
                logprobs=True,
                documents=_BOTH,
                # developers.openai.com/api/docs/guides/file-inputs
                document_types=_PDF | _WORD | _EXCEL | _SLIDES | _TEXTS,
                error_flag=False,
            ),
            Features(
                "anthropic",
                "Anthropic Messages",
                tool_names=Spelling(limit=128),
                call_ids=Spelling(limit=64),
                strict=True,
                temperature=0,
                seed=_NONE,
                stop=64,
                documents=_BOTH,
                document_types=_PDF | {"text/*"},
                cache_markers=True,
                undeclared_calls=False,
                user_turns=True,
            ),
            Features(
                "gemini",
                "Gemini generateContent",
                tool_names=Spelling(lead="A-Za-z_"),
                parallel_switch=False,
                seed=range(-(2**31), 2**31),
                stop=5,
                logprobs=True,
                documents=_BOTH,
                # firebase.google.com/docs/ai-logic/input-file-requirements
                image_types=frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"}),
                document_types=_PDF | {"text/*", "audio/*", "video/*"},
                # ai.google.dev/gemini-api/docs/function-calling, "Multimodal function responses"
                result_types=frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"}),
                user_turns=True,
            ),
            Features(
                "bedrock-converse",
                "Bedrock Converse",
                call_ids=Spelling("A-Za-z0-9_.:-"),
                tool_choice=frozenset({"auto", "required"}),
                parallel_switch=False,
                strict=True,
                temperature=1,
                seed=_NONE,
                images=_DATA,
                documents=_DATA,
                document_types=_PDF | _WORD | _EXCEL | _TEXTS,
                cache_markers=True,
                undeclared_calls=False,
                user_turns=True,
            ),
            Features(
                "mistral",
                "Mistral Chat",
                call_ids=Spelling("A-Za-z0-9", limit=9, exact=True),
                strict=True,
                temperature=1.5,
                seed=range(2**63),
                logprobs=True,
                documents=_BOTH,
                document_types=_PDF | _WORD | _SLIDES,
                error_flag=False,
            ),
            Features(
                "cohere",
                "Cohere v2 Chat",
                parallel_switch=False,
                strict=True,
                seed=range(2**64),
                stop=5,
                logprobs=True,
                reasoning_effort=False,
                documents=frozenset(),
                document_types=frozenset(),
                result_media=False,
                error_flag=False,
            ),
        )
    }
)
