"""OpenAI's chat completions, spoken by most servers: the codec and how a request is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestra.dialects.asked import Asked
from orchestra.dialects.chat_profiles import ChatProfile, path_of, profile_of
from orchestra.dialects.chat_reading import BESIDE_CALLS
from orchestra.dialects.codec import Spelled
from orchestra.dialects.loose import json_text, parse_object
from orchestra.dialects.reasoning_details import returned
from orchestra.dialects.texts import failed
from orchestra.dialects.think_tags import TAGGED, tagged
from orchestra.types import (
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from orchestra.types.message import apart


def spelled(said: Asked) -> Spelled:
    """The request as the card's server wants it: nothing that was not asked for, and notes on what cannot be said."""
    card = said.card
    profile = profile_of(card)
    if said.output_schema is not None and said.compiled and not profile.schema_beside_tools:
        said = said.in_prompt(f"{profile.features.title} takes none beside tools")
    stream = card.capabilities.streaming and (profile.schema_streamed or said.output_schema is None)
    body, notes = _body(said, profile, stream=stream), _unreturned(said, profile)
    return Spelled(said, path_of(card, profile), body, stream, notes, key_header=profile.key_header)


def _body(said: Asked, profile: ChatProfile, *, stream: bool) -> dict[str, Any]:
    """The sections in the order in which people read them."""
    body: dict[str, Any] = {"model": said.card.model, "messages": _messages(said, profile)}
    body |= _tools(said) | _settings(said, profile)
    body["stream"] = stream
    if stream:
        body["stream_options"] = {"include_usage": True}
    return body


def _tools(said: Asked) -> dict[str, Any]:
    if not said.compiled:
        return {}
    section: dict[str, Any] = {"tools": said.declared()}
    if said.tool_choice != "auto":
        section["tool_choice"] = said.tool_choice
    return section if said.parallel_tools is None else section | {"parallel_tool_calls": said.parallel_tools}


def _settings(said: Asked, profile: ChatProfile) -> dict[str, Any]:
    schema, given = said.output_schema, said.parameters
    # Reasoning models refuse max_tokens; everything else, older servers included, understands it.
    limit = "max_completion_tokens" if said.card.capabilities.reasoning_effort else "max_tokens"
    wanted: dict[str, Any] = {
        "response_format": schema and {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}},
        profile.limit or limit: given.max_tokens,
        "temperature": given.temperature,
        "seed": given.seed,
        "stop": list(given.stop) or None,
        "logprobs": given.logprobs or None,
    }
    wanted = {name: value for name, value in wanted.items() if value is not None}
    return wanted | _effort(given.reasoning_effort, profile) if given.reasoning_effort else wanted


def _effort(effort: str, profile: ChatProfile) -> dict[str, Any]:
    said: Any = effort
    for name in reversed(profile.effort):
        said = {name: said}
    return said


_MEDIA = frozenset((Image, Document))


def _messages(said: Asked, profile: ChatProfile) -> list[dict[str, Any]]:
    """One chat message for each turn, and one for each tool result."""
    demanded = profile.reasoning_demanded and bool(said.ids)
    items: list[dict[str, Any]] = []
    for message in said.messages:
        if message.role == "tool":
            items += [_result(part, said) for part in message.parts if isinstance(part, ToolResult)]
        elif message.role == "assistant":
            items += _assistant(message, said, profile, demanded=demanded)
        else:
            items.append({"role": message.role, "content": _content(message, profile)})
    return items


def _assistant(message: Message, said: Asked, profile: ChatProfile, *, demanded: bool) -> list[dict[str, Any]]:
    """The turn; none where all that it holds is reasoning that this server does not take back.

    Where a thought is demanded a turn without any has a blank one: an empty one counts as none.
    """
    calls = [_call(part, said) for part in message.parts if isinstance(part, ToolCall)]
    thoughts = [] if message.plain else _returning(message.parts, profile, calls=bool(calls))
    within, thought = tagged(thoughts), _thought(thoughts, profile)
    text = within + message.text
    if not (text or calls or thought):
        return []
    if demanded and not (within or thought) and (calls or profile.reasoning_turns == "all"):
        thought = {profile.reasoning: " "}
    return [{"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {}), **thought}]


def _returning(parts: Iterable[Part], profile: ChatProfile, *, calls: bool) -> list[Reasoning]:
    """The thoughts of a turn that the server takes back."""
    if not calls and profile.reasoning_turns != "all":
        return []
    return [part for part in parts if isinstance(part, Reasoning)]


def _thought(thoughts: Iterable[Reasoning], profile: ChatProfile) -> dict[str, Any]:
    """Those that return in a field of their own."""
    thoughts = [thought for thought in thoughts if thought.provider_state != TAGGED]
    if profile.details and (details := _details(thoughts)):
        return {"reasoning_details": details}
    text = "".join(part.text for part in thoughts)
    return {profile.reasoning: text} if text else {}


def _details(thoughts: Iterable[Reasoning]) -> list[Any]:
    """The opaque details of a turn: all of them stand with its first thought."""
    return returned(next((part.provider_state for part in thoughts if part.provider_state), ""))


def _unreturned(said: Asked, profile: ChatProfile) -> tuple[str, ...]:
    """Notes where reasoning, or details that were kept of it, cannot go back."""
    turns = [turn.parts for turn in said.messages if not turn.plain and Reasoning in map(type, turn.parts)]
    if not turns:
        return ()
    states = [part.provider_state for parts in turns for part in parts if isinstance(part, Reasoning)]
    if profile.details and any(state and state != TAGGED and not returned(state) for state in states):
        return ("reasoning_details left out: what was kept of them is no list of objects",)
    if profile.reasoning_turns == "calls" and not all(ToolCall in map(type, turn) for turn in turns):
        return (f"reasoning left out: {profile.features.title} takes it back on turns that call tools",)
    return ()


def _call(call: ToolCall, said: Asked) -> dict[str, Any]:
    function = {"name": said.names[call.name], "arguments": json_text(said.arguments(call))}
    written = {"id": said.ids[call.id], "type": "function", "function": function}
    beside = parse_object(call.provider_state) if call.provider_state else None
    return written | {BESIDE_CALLS: beside} if beside else written


def _result(result: ToolResult, said: Asked) -> dict[str, Any]:
    content = apart(failed(result.content) if result.is_error else result.content)
    return {"role": "tool", "tool_call_id": said.ids[result.call_id], "content": content}


def _content(message: Message, profile: ChatProfile) -> str | list[dict[str, Any]]:
    """Its text, or its pieces where it holds media, or several texts that the server reads as several."""
    several = len(message.parts) > 1 and profile.features.text_parts
    if not several and _MEDIA.isdisjoint(map(type, message.parts)):
        return apart(message.parts)
    return [_piece(part) for part in message.parts if isinstance(part, Text | Image | Document)]


def _piece(part: Text | Image | Document) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": part.url or f"data:{part.media_type};base64,{part.data}"}}
    data = part.url or f"data:{part.media_type};base64,{part.data}"
    return {"type": "file", "file": {"filename": part.name or "document", "file_data": data}}
