"""Google's generateContent, as the Gemini API and Vertex AI speak it: the codec and how a request is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from orchestra.dialects.asked import Asked, in_sections
from orchestra.dialects.codec import Spelled
from orchestra.dialects.gemini_contents import contents, since_gemini_3
from orchestra.dialects.tool_form import Unsayable, gemini_answer
from orchestra.types import ModelCard


def spelled(said: Asked) -> Spelled:
    """The request as the card's model wants it: nothing that was not asked for, and notes on what cannot be said.

    `base_url` as google-genai has it; where it already holds a version (`…/v1beta`, Vertex AI's
    `…/v1/publishers/google`), none is added. An extra parameter that is no field of the request itself
    (`gemini.topK`) is one of `generationConfig`.
    """
    card, stream = said.card, said.card.capabilities.streaming
    if said.output_schema is not None and said.compiled and not since_gemini_3(card.model):
        said = said.in_prompt(f"{card.name} takes none beside tools")
    said, unenforced = _answered(said)
    turns, moved = contents(said)
    thinking, unthought = _thinking(said)
    misplaced: list[str] = []
    placed = said._replace(extra=in_sections(said.extra, _section, misplaced)) if said.extra else said
    body = turns | _tools(said) | _config(said, thinking)
    return Spelled(placed, _path(card, stream=stream), body, stream, (*unenforced, *moved, *unthought, *misplaced))


_VERSIONED = re.compile(r"/v\d\w*([/?]|$)")
_RESOURCES = ("models/", "tunedModels/", "publishers/", "projects/", "endpoints/")


def _path(card: ModelCard, *, stream: bool) -> str:
    version = "" if _VERSIONED.search(card.base_url or "") else "/v1beta"
    model = card.model if card.model.startswith(_RESOURCES) else f"models/{card.model}"
    return f"{version}/{quote(model)}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"


def _answered(said: Asked) -> tuple[Asked, tuple[str, ...]]:
    """The answer's schema in the keywords that Gemini knows, with notes on the rest; else in the prompt."""
    if said.output_schema is None:
        return said, ()
    try:
        schema, losses = gemini_answer(said.output_schema)
    except Unsayable as error:
        return said.in_prompt(str(error)), ()
    return said._replace(output_schema=schema), tuple(f"output_schema: {loss}" for loss in losses)


def _tools(said: Asked) -> dict[str, Any]:
    if not said.compiled:
        return {}
    section: dict[str, Any] = {"tools": said.declared(_together)}
    if said.tool_choice == "auto":
        return section
    mode = "ANY" if said.tool_choice == "required" else "NONE"
    return section | {"toolConfig": {"functionCallingConfig": {"mode": mode}}}


def _together(declarations: list[Any]) -> list[Any]:
    return [{"functionDeclarations": declarations}]


def _config(said: Asked, thinking: dict[str, Any] | None) -> dict[str, Any]:
    given = said.parameters
    wanted = {
        "responseMimeType": None if said.output_schema is None else "application/json",
        "responseJsonSchema": said.output_schema,
        "maxOutputTokens": given.max_tokens,
        "thinkingConfig": thinking,
        "temperature": given.temperature,
        "seed": given.seed,
        "stopSequences": list(given.stop) or None,
        "responseLogprobs": given.logprobs or None,
    }
    config = {name: value for name, value in wanted.items() if value is not None}
    return {"generationConfig": config} if config else {}


# As Google's own OpenAI-compatible endpoint translates reasoning_effort for models before Gemini 3.
_BUDGETS: Final[Mapping[str, int]] = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")


def _thinking(said: Asked) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """`thinkingConfig` for the effort that is asked for: a level since Gemini 3, a budget of tokens before."""
    effort = said.parameters.reasoning_effort
    modern = since_gemini_3(said.card.model)
    if effort is None:
        return None, ()
    if effort not in (known := _LEVELS if modern else tuple(_BUDGETS)):
        return None, (f"reasoning_effort {effort!r} left out: {said.card.name} knows {', '.join(known)}",)
    return {"thinkingLevel": effort.upper()} if modern else {"thinkingBudget": _BUDGETS[effort]}, ()


# Of the request itself: the rest of it, which the codec writes, is named too, so that nothing takes its place.
_FIELDS = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent"}
    | {"labels", "serviceTier", "store", "continuationToken"}
)


def _section(name: str) -> str | None:
    """Where an extra parameter belongs."""
    return None if name in _FIELDS else "generationConfig"
