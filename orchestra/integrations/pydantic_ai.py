"""pydantic-ai: an agent asks the app for every reply, under the step that its model names.

    agent = Agent(OrchestraModel(app, "research"), …)
    agent = Agent(capabilities=[select_step(app, lambda ctx: "plan" if ctx.run_step == 1 else "work")], …)

Bad calls are judged before they enter history; what a tool or an output validator sent back for another try takes the
next request up the ladder.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast

from pydantic_ai import RunContext
from pydantic_ai.capabilities import SelectModel
from pydantic_ai.exceptions import UnsupportedSettingWarning
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import (
    Model,
    ModelRequestParameters,
    ModelSelectionContext,
    StreamedResponse,
    check_allow_model_requests,
)
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings, ToolOrOutput, merge_model_settings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from orchestra import types as t
from orchestra.errors import CallError, ConfigError
from orchestra.fleet import message_tokens
from orchestra.integrations.pydantic_ai_errors import counted, told
from orchestra.integrations.pydantic_ai_messages import (
    NAME,
    failed_attempts,
    failures,
    folded,
    from_messages,
    noted,
    part_of,
    response,
)
from orchestra.integrations.tested import warn_untested
from orchestra.runtime.options import CallOptions, as_step, check_limits, check_names, check_step
from orchestra.toolbox.declared import Declaration, declared

if TYPE_CHECKING:
    from orchestra.app import Orchestra
    from orchestra.runtime.options import NodeOptions

warn_untested("pydantic-ai", "pydantic-ai-slim", ">=2.68,<3")

__all__ = ["OrchestraModel", "OrchestraSettings", "select_step"]

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

    `limits` hold for each call, as for OrchestraModel. Raises ConfigError.
    """
    check_limits(limits, "select_step")

    async def selected(context: ModelSelectionContext[Deps]) -> OrchestraModel:
        chosen = choose(context)
        step: Any = await chosen if isawaitable(chosen) else chosen  # strangers write it
        if not isinstance(step, str | t.Step):
            raise ConfigError(
                f"select_step: its function chose {step!r} for request {context.run_step} of a run; "
                "return the name of a step, or a Step, each time"
            )
        return OrchestraModel(app, step, **limits)

    return SelectModel(selected)


class OrchestraModel(Model[None]):
    """The model of one step: whichever of the fleet the app routes each request to. The app stays yours to close.

    Settings that not every model has are left out with an UnsupportedSettingWarning. Raises ConfigError for a step that
    is none, or looks like a misspelling, and for limits that are none.
    """

    unsupported_settings = frozenset({"timeout", "max_retries", "extra_headers", "extra_body"})

    def __init__(
        self,
        app: Orchestra,
        step: str | t.Step,
        *,
        settings: ModelSettings | None = None,
        **limits: Unpack[NodeOptions],
    ) -> None:
        super().__init__(settings=settings, profile=_PROFILE)
        check_limits(limits, "OrchestraModel")
        named = as_step(step)
        check_step(named.name or named.id, app.policies)
        self._app, self._step, self._limits = app, step, limits

    @property
    def model_name(self) -> str:
        """The step's name; a response tells the model that really served."""
        return self._step if isinstance(self._step, str) else self._step.name or self._step.id

    @property
    def system(self) -> str:
        """Which integration this is."""
        return NAME

    def prepare_messages(
        self, messages: list[ModelMessage], model_request_parameters: ModelRequestParameters | None = None
    ) -> list[ModelMessage]:
        """The framework's own preparation; what failed is noted in the last message, for it is no longer told apart.

        As JSON: where a run is made durable, the request is made elsewhere, from messages that were written down.
        """
        failed = failures(messages)
        prepared = super().prepare_messages(messages, model_request_parameters)
        if not failed:
            return prepared
        last = prepared[-1]  # of a history that is to be gone on with, a response
        return [*prepared[:-1], replace(last, metadata={**(last.metadata or {}), NAME: [*map(t.to_json, failed)]})]

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """One judged reply. Raises a CallError with `attempts`; ConfigError for what not every model can read.

        Where models of the fleet failed the CallError is a ModelAPIError, too, from which a FallbackModel goes on. The
        framework's RuntimeError where its ALLOW_MODEL_REQUESTS is False.
        """
        check_allow_model_requests()
        self._warn_of_the_rest(model_settings)
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        asked, options = self._asked(messages, settings, parameters)
        with told(self.model_name), counted():
            return response(await self._app.complete(asked, step=self._step, **options))

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002  # the framework's seam
    ) -> AsyncGenerator[StreamedResponse]:
        """The reply as it arrives. Raises as `request`, and StreamCut after the first text."""
        check_allow_model_requests()
        self._warn_of_the_rest(model_settings)
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        asked, options = self._asked(messages, settings, parameters)
        events = cast("AsyncGenerator[t.StreamEvent]", self._app.stream(asked, step=self._step, **options))
        async with aclosing(events):
            yield OrchestraStream(parameters, events, self.model_name)

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """About how many input tokens the request has: the estimate that routing goes by, with no model asked.

        For UsageLimits with `count_tokens_before_request`. What a provider reports of the reply may differ, and is of
        all attempts. Raises ConfigError as `request`.
        """
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        asked, options = self._asked(messages, settings, parameters)
        return RequestUsage(input_tokens=message_tokens(asked, [tool.spec for tool in options.get("tools", ())]))

    def _warn_of_the_rest(self, settings: ModelSettings | None) -> None:
        """The framework itself warns of a few settings only, and is silent about a provider's own and finer ones."""
        for name in (merge_model_settings(self.settings, settings) or {}).keys() - _HEEDED - self.unsupported_settings:
            instead = _INSTEAD.get(name, 'give it to the provider that does: orchestra_extra={"anthropic.…": …}')
            text = f"The `{name}` setting is left out: not every model of a fleet has it; {instead}"
            warnings.warn(text, UnsupportedSettingWarning, stacklevel=1)

    def _asked(
        self, messages: Sequence[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> tuple[tuple[t.Message, ...], CallOptions]:
        given = cast("OrchestraSettings", settings or {})
        standing = [part.content for part in self._get_instruction_parts(messages, parameters) or ()]
        ours = given.get("orchestra", {})
        check_names(ours, CallOptions.__annotations__, "model_settings['orchestra']")
        options: dict[str, Any] = {
            "failures": noted(messages[-1]) or failures(messages),
            "parallel_tools": given.get("parallel_tool_calls"),
            "max_tokens": given.get("max_tokens"),
            "temperature": given.get("temperature"),
            "seed": given.get("seed"),
            "stop": given.get("stop_sequences"),
            "extra": given.get("orchestra_extra"),
            "output": parameters.output_object and parameters.output_object.json_schema,
            **_offered(given, parameters),
            **self._limits,
            **ours,
        }
        kept = {name: value for name, value in options.items() if value is not None}
        return from_messages(messages, standing), cast("CallOptions", kept)


_PROFILE = ModelProfile(
    supports_tools=True,
    supports_json_schema_output=True,
    supports_json_object_output=True,
    supports_image_input=True,
    supports_document_input=True,
    supports_audio_file_input=False,
    supports_video_input=False,
    context_window=None,  # each model of a fleet has its own, and routing knows them
)


_HEEDED = frozenset(
    {
        "orchestra",
        "orchestra_extra",
        "max_tokens",
        "temperature",
        "seed",
        "stop_sequences",
        "parallel_tool_calls",
        "tool_choice",
        "request_timeout",  # this and what follows is the framework's own affair
        "first_event_timeout",
        "framing_announcement",
        "cache",  # each codec has its provider cache what stays
    }
)
_INSTEAD = {"thinking": "a rule for the step says how much is thought: reasoning_effort in fleet.toml"}


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
    tools = declared(_declaration(known[name]) for name in names if name in known)
    if choice == "required" and not tools:
        raise ConfigError(
            f"tool_choice {settings.get('tool_choice')!r}: no such tool; known: {', '.join(known) or '-'}"
        )
    return {"tools": tools, "tool_choice": choice if tools else "none"}


def _declaration(tool: ToolDefinition) -> Declaration:
    return Declaration(tool.name, tool.description, tool.parameters_json_schema)


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
        async for event in self._told():
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
                    (part,) = part_of(call)
                    yield manager.handle_part(vendor_part_id=call.id, part=part)
                case t.End(reply):
                    self._whole = folded(response(reply))
                    self._usage = self._whole.usage
                case _:  # usage comes with the end; another attempt is told in failed_attempts
                    pass

    async def _told(self) -> AsyncIterator[t.StreamEvent]:
        with told(self._step), counted():
            try:
                async for event in self._events:
                    yield event
            except CallError as error:  # a run counts what a stream took here
                self._usage = sum((one.usage for one in failed_attempts(error.attempts) if one.usage), self._usage)
                raise

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
        return NAME

    @property
    def provider_url(self) -> None:
        """Each model of a fleet has its own."""
        return None

    @property
    def timestamp(self) -> datetime:
        """When the request was made."""
        return self._timestamp
