"""pydantic-ai: an agent asks the app for every reply, under the step that its model names.

    agent = Agent(OrchestraModel(app, "research"), …)
    agent = Agent(capabilities=[select_step(app, lambda ctx: "plan" if ctx.run_step == 1 else "work")], …)

Bad calls are judged before they enter history; what a tool or an output validator sent back for another try takes the
next request up the ladder.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast

from pydantic_ai import RunContext
from pydantic_ai.capabilities import SelectModel
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
    ModelResponseStreamEvent,
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
from pydantic_ai.models import Model, ModelRequestParameters, ModelSelectionContext, StreamedResponse
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings, ToolOrOutput
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from orchestra import types as t
from orchestra.errors import ConfigError
from orchestra.integrations.tested import warn_untested
from orchestra.toolbox import Tool

if TYPE_CHECKING:
    from orchestra.app import Orchestra
    from orchestra.runtime.options import CallOptions, NodeOptions

warn_untested("pydantic-ai", "pydantic-ai-slim", ">=2.68,<3")

Deps = TypeVar("Deps")


class OrchestraSettings(ModelSettings, total=False):
    """Model settings of an agent or a run: the framework's own, and these.

    `orchestra` are options of a call (`mode`, `budget`, `tenant` …), `orchestra_extra` a provider's own parameters by
    namespace (`anthropic.top_k`).
    """

    orchestra: NodeOptions
    orchestra_extra: Mapping[str, t.Json]


def select_step(
    app: Orchestra,
    choose: Callable[[ModelSelectionContext[Deps]], str | t.Step | Awaitable[str | t.Step]],
    **limits: Unpack[NodeOptions],
) -> SelectModel[Deps]:
    """A capability that gives each request of a run a step of its own: `choose` names it from the run so far.

    `limits` hold for each call, as for OrchestraModel.
    """

    async def selected(context: ModelSelectionContext[Deps]) -> OrchestraModel:
        chosen = choose(context)
        return OrchestraModel(app, await chosen if isawaitable(chosen) else chosen, **limits)

    return SelectModel(selected)


class OrchestraModel(Model[None]):
    """The model of one step: whichever of the fleet the app routes each request to. The app stays yours to close."""

    unsupported_settings = frozenset(
        {
            "timeout",
            "max_retries",
            "extra_headers",
            "extra_body",
            "top_p",
            "top_k",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
            "service_tier",
        }
    )

    def __init__(
        self,
        app: Orchestra,
        step: str | t.Step,
        *,
        settings: ModelSettings | None = None,
        **limits: Unpack[NodeOptions],
    ) -> None:
        super().__init__(settings=settings, profile=_PROFILE)
        self._app, self._step, self._limits = app, step, limits

    @property
    def model_name(self) -> str:
        """The step's name; a response tells the model that really served."""
        return self._step if isinstance(self._step, str) else self._step.name or self._step.id

    @property
    def system(self) -> str:
        """Which integration this is."""
        return _NAME

    def prepare_messages(
        self, messages: list[ModelMessage], model_request_parameters: ModelRequestParameters | None = None
    ) -> list[ModelMessage]:
        """The framework's own preparation; what failed is noted in the last request, for it is no longer told apart."""
        failed = failures(messages)
        prepared = super().prepare_messages(messages, model_request_parameters)
        if not failed:
            return prepared
        last = prepared[-1]
        assert isinstance(last, ModelRequest), "what was sent back is answered by a request"
        return [*prepared[:-1], replace(last, metadata={**(last.metadata or {}), _NAME: failed})]

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """One judged reply. Raises a CallError with `attempts`; ConfigError for what not every model can read."""
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        asked, options = self._asked(messages, settings, parameters)
        return _response(await self._app.complete(asked, step=self._step, **options))

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002  # the framework's seam
    ) -> AsyncGenerator[StreamedResponse]:
        """The reply as it arrives. Raises as `request`, and StreamCut after the first text."""
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        asked, options = self._asked(messages, settings, parameters)
        events = cast("AsyncGenerator[t.StreamEvent]", self._app.stream(asked, step=self._step, **options))
        async with aclosing(events):
            yield OrchestraStream(parameters, events, self.model_name)

    def _asked(
        self, messages: Sequence[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> tuple[tuple[t.Message, ...], CallOptions]:
        given = cast("OrchestraSettings", settings or {})
        standing = [part.content for part in self._get_instruction_parts(messages, parameters) or ()]
        last = messages[-1]
        options: dict[str, Any] = {
            "failures": (last.metadata or {}).get(_NAME) or failures(messages),
            "parallel_tools": given.get("parallel_tool_calls"),
            "max_tokens": given.get("max_tokens"),
            "temperature": given.get("temperature"),
            "seed": given.get("seed"),
            "stop": given.get("stop_sequences"),
            "extra": given.get("orchestra_extra"),
            "output": parameters.output_object and parameters.output_object.json_schema,
            **_offered(given, parameters),
            **self._limits,
            **given.get("orchestra", {}),
        }
        kept = {name: value for name, value in options.items() if value is not None}
        return from_messages(messages, standing), cast("CallOptions", kept)


def from_messages(messages: Sequence[ModelMessage], instructions: Sequence[str] = ()) -> tuple[t.Message, ...]:
    """A prepared history as canonical messages; each part that a model of ours wrote with its state.

    Thoughts that were written elsewhere are kept without their state: they go to no other model. Raises ConfigError for
    what not every model can read.
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
    standing = next((at for at, (role, _) in enumerate(turns) if role != "system"), len(turns))
    turns[standing:standing] = [("system", [t.Text(text)]) for text in instructions if text]
    return tuple(t.Message(role, tuple(parts)) for role, parts in turns if parts)


def to_parts(message: t.Message) -> list[ModelResponsePart]:
    """An assistant's message as the framework's parts, in order; `from_messages` reads back the very same ones."""
    return [found for part in message.parts for found in _part(part)]


def failures(messages: Sequence[ModelMessage]) -> list[t.Verdict]:
    """What was sent back for another try in the last turns, oldest first; a turn in which nothing was is the end."""
    found: list[t.Verdict] = []
    for message in reversed(messages):
        if isinstance(message, ModelResponse):
            continue
        bad = [failed for part in message.parts if (failed := _failed(part))]
        if not bad:
            break
        found.append(t.Verdict(bad[0].trigger, tuple(line for one in bad for line in one.evidence)))
    return found[::-1]


_NAME = "orchestra"
_PROFILE = ModelProfile(
    supports_tools=True,
    supports_json_schema_output=True,
    supports_json_object_output=True,
    supports_image_input=True,
    supports_document_input=True,
    supports_audio_file_input=False,
    supports_video_input=False,
)
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
    files = [cast("t.Image | t.Document", found) for item in part.files for found in _content(item)]
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
        case BinaryContent(data=data, media_type=media) if item.is_image:
            yield t.Image(media, data=base64.b64encode(data).decode())
        case BinaryContent(data=data, media_type=media) if item.is_document:
            yield t.Document(media, item.identifier, data=base64.b64encode(data).decode())
        case CachePoint():  # routing and the codecs place their own
            return
        case _:
            raise ConfigError(
                f"messages: a {type(item).__name__} cannot be shown to every model of a fleet; "
                "known: text, ImageUrl, DocumentUrl, BinaryContent of an image or a document"
            )


def _said(part: ModelResponsePart) -> Iterator[t.Part]:
    match part:
        case TextPart(content=text):
            if text:
                yield t.Text(text, **_state(part))
        case ThinkingPart(content=text):
            yield t.Reasoning(text, **_state(part))
        case ToolCallPart(tool_name=name, tool_call_id=call_id):
            raw = part.args_as_json_str()
            yield t.ToolCall(call_id, name, _arguments(raw), raw, **_state(part))
        case _:  # what ran at another provider, or files: other models of a fleet cannot read them back
            return


def _arguments(raw: str) -> Mapping[str, t.Json] | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return cast("Mapping[str, t.Json]", found) if isinstance(found, dict) else None


def _state(part: TextPart | ThinkingPart | ToolCallPart) -> dict[str, Any]:
    kept: Any = (part.provider_details or {}).get(_NAME)
    return {"origin": t.Origin(*kept["origin"]), "provider_state": kept["state"]} if kept else {}


def _part(part: t.Part) -> Iterator[ModelResponsePart]:
    kept: dict[str, Any] = {}
    if part.origin:
        origin = [part.origin.provider, part.origin.api, part.origin.model]
        details = {_NAME: {"origin": origin, "state": part.provider_state}}
        kept = {"provider_name": _NAME, "provider_details": details}
    match part:
        case t.Text(text):
            yield TextPart(text, **kept)
        case t.Reasoning(text):
            yield ThinkingPart(text, **kept)
        case t.ToolCall(call_id, name, arguments, raw):
            said = raw if _arguments(raw) == arguments else json.dumps(arguments, ensure_ascii=False)
            yield ToolCallPart(name, said, call_id, **kept)
        case _:  # no model of a fleet answers with images or documents
            return


def _offered(settings: ModelSettings, parameters: ModelRequestParameters) -> dict[str, Any]:
    """The tools to show, and the choice among them; the ones that must be called are the only ones shown."""
    known, outputs = parameters.declared_tool_defs, [tool.name for tool in parameters.output_tools]
    free, choice = "auto" if parameters.allow_text_output else "required", settings.get("tool_choice")
    match choice:
        case None | "auto":
            names, choice = list(known), free
        case "required":
            names = [tool.name for tool in parameters.declared_function_tools]
        case "none" | []:
            names, choice = outputs, free
        case ToolOrOutput(function_tools=chosen):
            names, choice = [*chosen, *outputs], free
        case chosen:
            names, choice = chosen, "required"
    tools = [_tool(known[name]) for name in names if name in known]
    if choice == "required" and not tools:
        raise ConfigError(
            f"tool_choice {settings.get('tool_choice')!r}: no such tool; known: {', '.join(known) or '-'}"
        )
    return {"tools": tools, "tool_choice": choice if tools else "none"}


def _tool(tool: ToolDefinition) -> Tool:
    return Tool.from_schema(tool.name, tool.description or "", tool.parameters_json_schema)


def _answer(reply: t.Reply) -> list[ModelResponsePart]:
    """The reply's parts; a structured answer without what was around it, for the agent parses the text."""
    if reply.output is None:
        return to_parts(reply.message)
    rest = [part for part in reply.message.parts if isinstance(part, t.Reasoning)]
    origin = next((part.origin for part in reply.message.parts if isinstance(part, t.Text)), None)
    answer = t.Text(json.dumps(reply.output, ensure_ascii=False), origin)
    return to_parts(t.Message("assistant", (*rest, answer)))


def _response(reply: t.Reply) -> ModelResponse:
    """The reply, who really served, what that took, and what had failed before; the run adds all of it up."""
    accepted = next((one for one in reply.attempts if one.trigger is None), None)
    return ModelResponse(
        parts=_answer(reply),
        model_name=reply.wire_model or reply.model,
        provider_name=_NAME,
        provider_response_id=reply.run or None,
        provider_details={"model": reply.model, "degraded": reply.degraded},
        usage=_usage(reply.usage, accepted.cost.usd if accepted else None),
        finish_reason=_FINISHES.get(reply.finish),
        failed_attempts=list(_failures(reply.attempts)) or None,
    )


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


def _failures(attempts: Sequence[t.Attempt]) -> Iterator[ModelRequestAttempt]:
    begun = datetime.now(UTC) - timedelta(seconds=sum(one.seconds for one in attempts))
    for one in attempts:
        took = timedelta(seconds=one.seconds)
        if one.trigger is not None:
            yield ModelRequestAttempt(
                model_name=one.model,
                provider_name=_NAME,
                outcome="rejected" if one.trigger.fault is t.Fault.model else "error",
                error=f"{one.trigger}: {'; '.join(one.evidence)}",
                timestamp=begun,
                duration=took,
                usage=_usage(one.usage, one.cost.usd) if one.usage else None,
            )
        begun += took


@dataclass
class OrchestraStream(StreamedResponse):
    """A reply as it arrives; once whole, its parts are those of the accepted reply, with their state."""

    _events: AsyncGenerator[t.StreamEvent]
    _step: str
    _timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    _whole: ModelResponse | None = None

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        manager, block = self._parts_manager, 0
        kind: type[t.StreamEvent] | None = None
        async for event in self._events:
            block += type(event) is not kind
            kind = type(event)
            match event:
                case t.TextDelta(text):
                    for one in manager.handle_text_delta(vendor_part_id=block, content=text):
                        yield one
                case t.ReasoningDelta(text):
                    for one in manager.handle_thinking_delta(vendor_part_id=block, content=text):
                        yield one
                case t.ToolCallReady(call):
                    (part,) = _part(call)
                    yield manager.handle_part(vendor_part_id=call.id, part=part)
                case t.End(reply):
                    self._whole = _response(reply)
                    self._usage = self._whole.usage
                case _:  # usage comes with the end; another attempt is told in failed_attempts
                    pass

    def get(self) -> ModelResponse:
        """The response so far; at the end the accepted reply itself."""
        return self._whole or super().get()

    async def close_stream(self) -> None:
        """Stop: the connection is closed, and what had come stays."""
        await self._events.aclose()

    @property
    def model_name(self) -> str:
        """The model that really served, once that is known; else the step."""
        return (self._whole.model_name if self._whole else None) or self._step

    @property
    def provider_name(self) -> str:
        """Which integration this is."""
        return _NAME

    @property
    def provider_url(self) -> None:
        """Each model of a fleet has its own."""
        return None

    @property
    def timestamp(self) -> datetime:
        """When the request was made."""
        return self._timestamp
