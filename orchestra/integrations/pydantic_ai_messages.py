"""pydantic-ai's messages and canonical ones: what a model of ours wrote keeps its state and comes back unchanged."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from pydantic_ai.messages import (
    ERROR_OUTCOMES,
    BinaryContent,
    CachePoint,
    DocumentUrl,
    FinishReason,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelRequestAttempt,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    RetryFeedbackPart,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.usage import RequestUsage

from orchestra import types as t
from orchestra.dialects.loose import parse_object
from orchestra.dialects.texts import shown
from orchestra.errors import ConfigError
from orchestra.recovery import unbroken

NAME = "orchestra"
"""Of the integration as a provider, and the key of what no other provider may see."""


def from_messages(messages: Sequence[ModelMessage], instructions: Sequence[str] = ()) -> tuple[t.Message, ...]:
    """A prepared history as canonical messages; each part that a model of ours wrote with its state.

    Thoughts that were written elsewhere are kept without their state: they go to no other model. Raises ConfigError for
    what not every model can read, and for results alone, of whose calls no model would be shown anything.
    """
    turns: list[tuple[t.Role, list[t.Part]]] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            turns.append(("assistant", [found for part in message.parts for found in _said(part)]))
            continue
        for part in message.parts:
            role, parts = _told(part)
            if role == "tool" and turns and turns[-1][0] == "tool":
                turns[-1][1].extend(parts)
            else:
                turns.append((role, parts))
    if {role for role, parts in turns if parts} - {"system"} == {"tool"}:
        raise ConfigError(
            "messages: results of tools, and nothing of what led to them; where a history processor shortens the "
            "messages, have it keep the response that made the calls and the prompt before it"
        )
    standing = next((at for at, (role, _) in enumerate(turns) if role != "system"), len(turns))
    turns[standing:standing] = [("system", [t.Text(text)]) for text in instructions if text]
    return tuple(t.Message(role, tuple(parts)) for role, parts in turns if parts)


def to_parts(message: t.Message) -> list[ModelResponsePart]:
    """An assistant's message as the framework's parts, in order; `from_messages` reads back the very same ones."""
    return [found for part in message.parts for found in part_of(part)]


def failures(messages: Sequence[ModelMessage]) -> list[t.Verdict]:
    """What was sent back for another try in the last turns, oldest first; a turn in which nothing was is the end."""
    requests = (message for message in reversed(messages) if isinstance(message, ModelRequest))
    return unbroken([failed for part in message.parts if (failed := _failed(part))] for message in requests)


def noted(message: ModelMessage) -> list[t.Verdict]:
    """What preparation noted as failed in its metadata, where the user's own may stand as well. Raises ConfigError."""
    found: Any = (message.metadata or {}).get(NAME) or []
    try:
        return [t.from_json(t.Verdict, one) for one in found]
    except (t.JsonMismatch, TypeError):  # TypeError: there is nothing to go through
        raise ConfigError(
            f"messages: metadata[{NAME!r}] of a {type(message).__name__} is not what a model of yours notes there; "
            "keep your own under another key"
        ) from None


_TOOL_FAULTS = {
    "validation_error": t.Trigger.schema_violation,
    "unknown_tool": t.Trigger.unknown_tool,
    "unavailable_tool": t.Trigger.unknown_tool,
    "model_retry": t.Trigger.tool_rejected,
}
_ANSWER_FAULTS = {
    "validation_error": t.Trigger.bad_output,
    "no_output": t.Trigger.empty,
    "model_retry": t.Trigger.judged_bad,
}


def _failed(part: ModelRequestPart) -> t.Verdict | None:
    match part:
        case ToolReturnPart(outcome="retried", retry=retry):
            trigger = _TOOL_FAULTS.get(retry.cause if retry else "", t.Trigger.tool_rejected)
        case ToolReturnPart(outcome="failed"):
            trigger = t.Trigger.tool_error
        case RetryFeedbackPart(retry=retry):
            return t.Verdict(_ANSWER_FAULTS[retry.cause], (str(part.content),))
        case _:
            return None
    return t.Verdict(trigger, (f"{part.tool_name}: {part.model_response_str(wrap_if_error=False)}",))


def _told(part: ModelRequestPart) -> tuple[t.Role, list[t.Part]]:
    match part:
        case SystemPromptPart(content=text):
            return "system", [t.Text(text)]
        case UserPromptPart(content=str(text)):
            return "user", [t.Text(text)]
        case UserPromptPart(content=content):
            return "user", [found for item in content for found in _content(item)]
        case ToolReturnPart():
            return "tool", [_result(part)]
        case _:
            raise ConfigError(
                f"messages: a {type(part).__name__} is not prepared; an Agent does that, "
                "for a direct request call model.prepare_messages(messages) first"
            )


def _result(part: ToolReturnPart) -> t.ToolResult:
    text = part.model_response_str(wrap_if_error=False)
    files = [cast("t.Text | t.Image | t.Document", found) for item in part.files for found in _content(item)]
    content = (*([t.Text(text)] if text else []), *files)
    return t.ToolResult(part.tool_call_id, part.tool_name, content, is_error=part.outcome in ERROR_OUTCOMES)


def _content(item: UserContent) -> Iterator[t.Part]:
    match item:
        case str(text) | TextContent(content=text):
            if text:
                yield t.Text(text)
        case ImageUrl(url=url):
            yield t.Image(item.media_type, url=url)
        case DocumentUrl(url=url):
            yield t.Document(item.media_type, url=url)
        case BinaryContent(data=data, media_type=media) if t.Document(media, data="").in_words:
            told = shown(t.Document(media, item.identifier, base64.b64encode(data).decode()))
            yield cast("t.Text", told)  # in the words of the framework itself
        case BinaryContent(data=data, media_type=media) if item.is_image:
            yield t.Image(media, data=base64.b64encode(data).decode())
        case BinaryContent(data=data, media_type=media) if item.is_document:
            yield t.Document(media, item.identifier, data=base64.b64encode(data).decode())
        case CachePoint():  # routing and the codecs place their own
            return
        case _:
            raise ConfigError(
                f"messages: a {type(item).__name__} cannot be shown to every model of a fleet; "
                "known: text, ImageUrl, DocumentUrl, BinaryContent of a text, an image or a document"
            )


def _said(part: ModelResponsePart) -> Iterator[t.Part]:
    match part:
        case TextPart(content=text):
            if text:
                yield t.Text(text, **_state(part))
        case ThinkingPart(content=text):
            yield t.Reasoning(text, **_state(part))
        case ToolCallPart(tool_name=name, tool_call_id=call_id):
            raw = part.args if isinstance(part.args, str) else json.dumps(part.args or {}, ensure_ascii=False)
            yield t.ToolCall(call_id, name, parse_object(raw or "{}"), raw, **_state(part))
        case _:  # what ran at another provider, or files: other models of a fleet cannot read them back
            return


def _state(part: TextPart | ThinkingPart | ToolCallPart) -> dict[str, Any]:
    """What `part_of` kept; a browser, through which the framework's UI adapters send it, may have changed it."""
    details: Any = part.provider_details or {}
    kept: Any = cast("Mapping[str, Any]", details).get(NAME) if isinstance(details, Mapping) else details
    match kept:
        case None:
            return {}
        case {"origin": [str(provider), str(api), str(model)], "state": str() | None as state}:
            return {"origin": t.Origin(provider, api, model), "provider_state": state}
        case _:
            raise ConfigError(
                f"messages: provider_details[{NAME!r}] of a {type(part).__name__} is not what a model of yours left "
                "there; put it back as it was, or leave provider_details out"
            )


def part_of(part: t.Part) -> Iterator[ModelResponsePart]:
    """The part that says this one; none for an image or a document, with which no model of a fleet answers."""
    kept: dict[str, Any] = {}
    if part.origin:
        origin = [part.origin.provider, part.origin.api, part.origin.model]
        details = {NAME: {"origin": origin, "state": part.provider_state}}
        kept = {"provider_name": NAME, "provider_details": details}
    match part:
        case t.Text(text):
            yield TextPart(text, **kept)
        case t.Reasoning(text):
            yield ThinkingPart(text, **kept)
        case t.ToolCall(call_id, name, arguments, raw):
            said = raw if parse_object(raw or "{}") == arguments else json.dumps(arguments, ensure_ascii=False)
            yield ToolCallPart(name, said, call_id, **kept)
        case _:
            return


def response(reply: t.Reply) -> ModelResponse:
    """The reply, who really served, what that took, and what had failed before; the run adds all of it up."""
    accepted = next((one for one in reply.attempts if one.trigger is None), None)
    return ModelResponse(
        parts=_answer(reply),
        model_name=reply.wire_model or reply.model,
        provider_name=NAME,
        provider_response_id=reply.run or None,
        provider_details={"model": reply.model, "degraded": reply.degraded},
        usage=_usage(reply.usage, accepted.cost.usd if accepted else None),
        finish_reason=_FINISHES.get(reply.finish),
        failed_attempts=list(failed_attempts(reply.attempts)) or None,
    )


def _answer(reply: t.Reply) -> list[ModelResponsePart]:
    """The reply's parts; a structured answer without what was around it, for the agent parses the text."""
    if reply.output is None:
        return to_parts(reply.message)
    rest = [part for part in reply.message.parts if isinstance(part, t.Reasoning)]
    origin = next((part.origin for part in reply.message.parts if isinstance(part, t.Text)), None)
    answer = t.Text(json.dumps(reply.output, ensure_ascii=False), origin)
    return to_parts(t.Message("assistant", (*rest, answer)))


_FINISHES: Mapping[t.Finish, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}


def _usage(used: t.Usage | None, usd: float | None) -> RequestUsage:
    cost = None if usd is None else Decimal(str(usd))
    if used is None:
        return RequestUsage(unmeasured_requests=1, cost=cost)
    return RequestUsage(
        input_tokens=used.input,
        output_tokens=used.output,
        cache_read_tokens=used.cached_input,
        cache_write_tokens=used.cache_write,
        output_reasoning_tokens=used.reasoning,
        cost=cost,
    )


def folded(whole: ModelResponse) -> ModelResponse:
    """The response with the usage of all its attempts as its own: of a stream's failed ones the run counts none."""
    failed = whole.failed_attempts or []
    usage = sum((one.usage for one in failed if one.usage), start=whole.usage)
    return replace(whole, usage=usage, failed_attempts=[replace(one, usage=None) for one in failed] or None)


def failed_attempts(attempts: Sequence[t.Attempt]) -> Iterator[ModelRequestAttempt]:
    """Those of a call's attempts that came to nothing, with what each took."""
    begun = datetime.now(UTC) - timedelta(seconds=sum(one.seconds for one in attempts))
    for one in attempts:
        took = timedelta(seconds=one.seconds)
        if one.trigger is not None:
            yield ModelRequestAttempt(
                model_name=one.model,
                provider_name=NAME,
                outcome="rejected" if one.trigger.fault is t.Fault.model else "error",
                error=f"{one.trigger}: {'; '.join(one.evidence)}",
                timestamp=begun,
                duration=took,
                usage=_usage(one.usage, one.cost.usd) if one.usage or one.cost.usd else None,
            )
        begun += took
