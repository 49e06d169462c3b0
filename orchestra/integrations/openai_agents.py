"""openai-agents: its runner asks the app for every reply, under the step that the agent's model names.

    Agent(name="Research", model="orchestra/research", …)
    await Runner.run(agent, "…", run_config=run_config(app))

Bad calls are judged before the runner sees them; what a tool failed with takes the next turn up the ladder.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack, cast

from agents.items import TResponseStreamEvent
from openai.types.responses import ResponsePromptParam
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from agents import (
    AgentOutputSchemaBase,
    FunctionTool,
    Handoff,
    Model,
    ModelBehaviorError,
    ModelProvider,
    ModelResponse,
    ModelSettings,
    ModelTracing,
    RunConfig,
    SpanError,
    Tool,
    TResponseInputItem,
    generation_span,
)
from orchestra import types as t
from orchestra.errors import ConfigError, IgnoredSetting
from orchestra.integrations.openai_agents_items import answer_items, from_items, new_mark, tell_failure
from orchestra.integrations.openai_agents_settings import options_of
from orchestra.integrations.openai_agents_stream import Written
from orchestra.integrations.openai_agents_usage import told, usage_of
from orchestra.integrations.tested import warn_untested
from orchestra.recovery import failures
from orchestra.routing import declared_steps
from orchestra.runtime.options import as_step, check_limits, check_step
from orchestra.toolbox.declared import Declaration, declared
from orchestra.toolbox.defaults import defaults_optional, null_by_default

if TYPE_CHECKING:
    from orchestra.app import Orchestra
    from orchestra.runtime.options import CallOptions, NodeOptions

warn_untested("openai-agents", "openai-agents", ">=0.24,<0.25")

__all__ = ["IgnoredSetting", "OrchestraModel", "OrchestraProvider", "run_config", "tell_failure"]

PREFIX = "orchestra/"


def run_config(app: Orchestra, **limits: Unpack[NodeOptions]) -> RunConfig:
    """A RunConfig whose models are the app's; as for OrchestraProvider.

    A name without the prefix that no rule speaks of may be that of a model somebody forgot: it warns IgnoredSetting.
    Tracing is off, because the runner would send its traces to OpenAI; the app's ledger has every call. Set
    `tracing_disabled` to False where your own processors keep them here.
    """
    check_limits(limits, "run_config")
    return RunConfig(model_provider=_Only(app, **limits), tracing_disabled=True)


class OrchestraProvider(ModelProvider):
    """Models by the name of a step: `orchestra/research`, or `research`; an agent without a model is step "call".

    `limits` hold for each call (`mode`, `budget`, `tenant`, `hold` …); ConfigError for others. The app stays yours to
    close.
    """

    def __init__(self, app: Orchestra, **limits: Unpack[NodeOptions]) -> None:
        check_limits(limits, "OrchestraProvider")
        self._app, self._limits = app, limits

    def get_model(self, model_name: str | None) -> Model:
        """The model of a step. Raises ConfigError for what looks like a misspelling of a step that a rule speaks of."""
        step = (model_name or "call").removeprefix(PREFIX)
        check_step(step, self._app.policies)
        return OrchestraModel(self._app, step, **self._limits)


class _Only(OrchestraProvider):
    """The one provider of its runs. Beside others the prefix has led here, and is taken off already."""

    def get_model(self, model_name: str | None) -> Model:
        found = super().get_model(model_name)
        if model_name and not model_name.startswith(PREFIX) and model_name not in declared_steps(self._app.policies):
            text = (
                f"an agent's model {model_name!r} is taken for a step, and no rule speaks of it; a step is written "
                f"{PREFIX + model_name!r}, and which models serve it is for fleet.toml to say"
            )
            warnings.warn(text, IgnoredSetting, stacklevel=1)
        return found


class OrchestraModel(Model):
    """The model of one step: whichever of the fleet the app routes each call to.

    `ModelSettings(extra_args={"orchestra": {"mode": "cost"}})` sets options of a single agent's calls, and
    `extra_args={"anthropic.top_k": 5}` a provider's own parameters.
    """

    def __init__(self, app: Orchestra, step: str | t.Step, **limits: Unpack[NodeOptions]) -> None:
        check_limits(limits, "OrchestraModel")
        self._app, self._step, self._limits = app, step, limits

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],  # noqa: A002  # the SDK's own name
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff[Any, Any]],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> ModelResponse:
        """One judged reply. Raises a CallError with `attempts`; ConfigError for what only OpenAI's server can do."""
        _here(previous_response_id=previous_response_id, conversation_id=conversation_id, prompt=prompt)
        messages = _asked(input, system_instructions)
        options = self._options(messages, model_settings, tools, output_schema, handoffs)
        with _span(tracing) as span:
            reply = await self._app.complete(messages, step=self._step_of(model_settings), **options)
            output = answer_items(reply, new_mark())
            if not tracing.is_disabled():
                _trace(span.span_data, tracing, reply, input, output)
        return ModelResponse(output=output, usage=usage_of(reply), response_id=None, request_id=reply.run)

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],  # noqa: A002  # the SDK's own name
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff[Any, Any]],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The reply as events of a Responses stream. Raises as `get_response`, and StreamCut after the first text."""
        _here(previous_response_id=previous_response_id, conversation_id=conversation_id, prompt=prompt)
        messages = _asked(input, system_instructions)
        options = self._options(messages, model_settings, tools, output_schema, handoffs)
        written = Written()
        with _span(tracing) as span:
            yield written.created()
            found = self._app.stream(messages, step=self._step_of(model_settings), **options)
            async with aclosing(cast("AsyncGenerator[t.StreamEvent]", found)) as events:
                async for event in events:
                    if isinstance(event, t.End) and not tracing.is_disabled():
                        _trace(span.span_data, tracing, event.reply, input, written.items(event.reply))
                    for one in written.of(event):
                        yield one

    def _options(
        self,
        messages: Sequence[t.Message],
        settings: ModelSettings,
        tools: Sequence[Tool],
        schema: AgentOutputSchemaBase | None,
        handoffs: Sequence[Handoff[Any, Any]],
    ) -> CallOptions:
        given: dict[str, Any] = {
            "tools": declared([*map(_tool, tools), *map(_handoff, handoffs)]),
            "output": None if schema is None or schema.is_plain_text() else _Output(schema),
            **options_of(settings),
        }
        options = {"failures": failures(messages), **self._limits, **given}
        return cast("CallOptions", {name: value for name, value in options.items() if value is not None})

    def _step_of(self, settings: ModelSettings) -> t.Step:
        step = as_step(self._step)
        return replace(step, metadata={**step.metadata, **settings.metadata}) if settings.metadata else step


def _here(**kept_elsewhere: object) -> None:
    for name, value in kept_elsewhere.items():
        if value is not None:
            raise ConfigError(
                f"{name}: OpenAI's server keeps that, and another model of the fleet could not read it; "
                "leave it out, and give the runner the conversation: a session, or result.to_input_list()"
            )


def _asked(given: str | list[TResponseInputItem], system: str | None) -> tuple[t.Message, ...]:
    """The conversation. Raises ConfigError for results alone, all that is left where only what is new is sent."""
    found = from_items(given, system)
    if {message.role for message in found} - {"system"} == {"tool"}:
        raise ConfigError(
            "input: results of tools, and nothing of what led to them; give the model the whole conversation: without "
            "auto_previous_response_id, and where there is a call_model_input_filter with one that keeps the calls"
        )
    return found


def _tool(tool: Tool) -> Declaration:
    if not isinstance(tool, FunctionTool):
        raise ConfigError(
            f"tool {tool.name!r}: a {type(tool).__name__} is for OpenAI's models alone, wherever it runs, and another "
            "model of the fleet could not call it; give a function_tool or an MCP server of your own"
        )
    for name, needed in _needs_openai(tool):
        if needed:
            raise ConfigError(
                f"tool {tool.qualified_name!r}: {name} is for OpenAI's own tool search and code, which another "
                "model of the fleet has not; give it as a plain function_tool"
            )
    # for OpenAI's strict mode the SDK has written all as required; it reads the arguments by the tool's own schema
    return Declaration(tool.name, tool.description, tool.params_json_schema, tool.strict_json_schema)


def _needs_openai(tool: FunctionTool) -> Iterator[tuple[str, bool]]:
    """What of it the runner refuses to run where another model calls it by its name."""
    yield "defer_loading", tool.defer_loading
    yield "tool_namespace", tool.qualified_name != tool.name
    yield "allowed_callers", tool.allowed_callers is not None and "direct" not in tool.allowed_callers


def _handoff(handoff: Handoff[Any, Any]) -> Declaration:
    schema, strict = handoff.input_json_schema, handoff.strict_json_schema
    return Declaration(handoff.tool_name, handoff.tool_description, schema, strict)


class _Output:
    """An agent's output type as `output`: its schema, and its own validation on top."""

    def __init__(self, schema: AgentOutputSchemaBase) -> None:
        self._schema = schema

    def model_json_schema(self) -> dict[str, Any]:
        """As the type reads answers: for OpenAI's strict mode the SDK has written all as required."""
        schema = self._schema.json_schema()
        return defaults_optional(null_by_default(schema)) if self._schema.is_strict_json_schema() else schema

    def model_validate(self, value: t.Json) -> t.Json:
        """The value as it came: the runner reads it once more."""
        try:
            self._schema.validate_json(json.dumps(value))
        except ModelBehaviorError as error:
            fault = PydanticCustomError("output", "{fault}", {"fault": str(error)})
            raise ValidationError.from_exception_data(self._schema.name(), [{"type": fault, "input": value}]) from error
        return value


@contextmanager
def _span(tracing: ModelTracing) -> Generator[Any]:
    """The span of one reply. A call that fails within is told on it as the SDK does; its words may be content."""
    with generation_span(disabled=tracing.is_disabled()) as span:
        try:
            yield span
        except Exception as error:
            said = str(error) if tracing.include_data() else type(error).__name__
            span.set_error(SpanError(message="Error getting response", data={"error": said}))
            raise


def _trace(
    data: Any, tracing: ModelTracing, reply: t.Reply, given: str | list[TResponseInputItem], output: list[Any]
) -> None:
    """What a span tells: who really served, and what was said only where that may be kept."""
    data.model = reply.wire_model or reply.model
    data.model_config = {"step_model": reply.model, "run": reply.run, "attempts": len(reply.attempts)}
    data.usage = told(usage_of(reply)).model_dump()
    if tracing.include_data():
        data.input = [{"role": "user", "content": given}] if isinstance(given, str) else given
        data.output = [item.model_dump() for item in output]
