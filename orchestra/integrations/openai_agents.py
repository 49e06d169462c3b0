"""openai-agents: its runner asks the app for every reply, under the step that the agent's model names.

    Agent(name="Research", model="orchestra/research", …)
    await Runner.run(agent, "…", run_config=run_config(app))

Bad calls are judged before the runner sees them; what a tool failed with takes the next turn up the ladder.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Unpack, cast

from agents.items import TResponseOutputItem, TResponseStreamEvent
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseCreatedEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseFunctionToolCall,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponsePromptParam,
    ResponseReasoningItem,
    ResponseReasoningSummaryTextDeltaEvent,
    ResponseReasoningSummaryTextDoneEvent,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
    ResponseUsage,
)
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails
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
    RunContextWrapper,
    Tool,
    TResponseInputItem,
    Usage,
    default_tool_error_function,
    generation_span,
)
from orchestra import types as t
from orchestra.errors import ConfigError
from orchestra.integrations.tested import warn_untested
from orchestra.toolbox import Tool as OrchestraTool

if TYPE_CHECKING:
    from orchestra.app import Orchestra
    from orchestra.runtime.options import CallOptions, NodeOptions

warn_untested("openai-agents", "openai-agents", ">=0.24,<0.25")

PREFIX = "orchestra/"


def run_config(app: Orchestra, *, steps: Sequence[str] | None = None, **limits: Unpack[NodeOptions]) -> RunConfig:
    """A RunConfig whose models are the app's; as for OrchestraProvider.

    Tracing is off, because the runner would send its traces to OpenAI; the app's ledger has every call. Set
    `tracing_disabled` to False where your own processors keep them here.
    """
    return RunConfig(model_provider=OrchestraProvider(app, steps=steps, **limits), tracing_disabled=True)


class OrchestraProvider(ModelProvider):
    """Models by the name of a step: `orchestra/research`, or `research`; an agent without a model is step "call".

    `steps` are the names there are; left out, every name is one. `limits` hold for each call (`mode`, `budget`,
    `tenant`, `hold` …). The app stays yours to close.
    """

    def __init__(self, app: Orchestra, *, steps: Sequence[str] | None = None, **limits: Unpack[NodeOptions]) -> None:
        self._app, self._steps, self._limits = app, steps, limits

    def get_model(self, model_name: str | None) -> Model:
        """The model of a step. Raises ConfigError for one that is not among `steps`."""
        step = (model_name or "call").removeprefix(PREFIX)
        if model_name is not None and self._steps is not None and step not in self._steps:
            near = "".join(f"did you mean {one!r}? " for one in get_close_matches(step, self._steps, n=1))
            raise ConfigError(f"model {model_name!r}: no step {step!r}; {near}known: {', '.join(self._steps)}")
        return OrchestraModel(self._app, step, **self._limits)


class OrchestraModel(Model):
    """The model of one step: whichever of the fleet the app routes each call to.

    `ModelSettings(extra_args={"orchestra": {"mode": "cost"}})` sets options of a single agent's calls, and
    `extra_args={"anthropic.top_k": 5}` a provider's own parameters.
    """

    def __init__(self, app: Orchestra, step: str | t.Step, **limits: Unpack[NodeOptions]) -> None:
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
        messages = from_items(input, system_instructions)
        options = self._options(messages, model_settings, tools, output_schema, handoffs)
        with generation_span(disabled=tracing.is_disabled()) as span:
            reply = await self._app.complete(messages, step=self._step, **options)
            output = _output(reply)
            _trace(span.span_data, tracing, reply, input, output)
        return ModelResponse(output=output, usage=_usage(reply), response_id=None, request_id=reply.run)

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
        messages = from_items(input, system_instructions)
        options = self._options(messages, model_settings, tools, output_schema, handoffs)
        written = _Written()
        with generation_span(disabled=tracing.is_disabled()) as span:
            yield written.created()
            found = cast("AsyncGenerator[t.StreamEvent]", self._app.stream(messages, step=self._step, **options))
            async with aclosing(found) as events:
                async for event in events:
                    if isinstance(event, t.End):
                        _trace(span.span_data, tracing, event.reply, input, _output(event.reply))
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
        declared = [*map(_tool, tools), *map(_handoff, handoffs)]
        given: dict[str, Any] = {
            "parallel_tools": settings.parallel_tool_calls,
            "max_tokens": settings.max_tokens,
            "temperature": settings.temperature,
            "output": None if schema is None or schema.is_plain_text() else _Output(schema),
            **_choice(settings.tool_choice, declared),
            **_extra(settings),
        }
        options = {"failures": failures(messages), **self._limits, **given}
        return cast("CallOptions", {name: value for name, value in options.items() if value is not None})


def tell_failure(_context: RunContextWrapper[Any], error: Exception) -> str:
    """A tool's `failure_error_function` that tells the model what happened, and counts as a failure of the tool.

    The SDK's own says only that something did; that counts, too. What another one says is taken for a result.
    """
    return f"{_FAILED}{error}"


def from_items(items: str | Iterable[TResponseInputItem], system: str | None = None) -> tuple[t.Message, ...]:
    """A conversation of the SDK as canonical messages; each part that a model of ours wrote with its state.

    Reasoning that was written elsewhere is kept without its state: it goes to no other model. Raises ConfigError for an
    item that only OpenAI's server can read.
    """
    turns: list[tuple[t.Role, list[t.Part]]] = [("system", [t.Text(system)])] if system else []
    names: dict[str, str] = {}
    given: Iterable[Any] = [{"role": "user", "content": items}] if isinstance(items, str) else items
    for item in given:
        role, parts = _read(item, names)
        if turns and role == turns[-1][0] and role in _TURNS:
            turns[-1][1].extend(parts)
        elif parts:
            turns.append((role, list(parts)))
    return tuple(t.Message(role, tuple(parts)) for role, parts in turns)


def to_items(message: t.Message) -> list[TResponseOutputItem]:
    """An assistant's message as the SDK's items, one a part, in order; `from_items` reads back the very same parts."""
    return [item for part in message.parts for item in _item(part)]


def failures(messages: Sequence[t.Message]) -> list[t.Verdict]:
    """What the tools of the last turns failed with, oldest first; a turn in which none did is the end of it."""
    found: list[t.Verdict] = []
    for message in reversed(messages):
        if message.role == "tool":
            bad = [part for part in message.parts if isinstance(part, t.ToolResult) and part.is_error]
            if not bad:
                break
            found.append(t.Verdict(t.Trigger.tool_error, tuple(f"{one.name}: {_text(one)}" for one in bad)))
        elif message.role != "assistant":
            break
    return found[::-1]


_TURNS = frozenset({"assistant", "tool"})  # of which each is several items
_ROLES: dict[str, t.Role] = {"user": "user", "system": "system", "developer": "system", "assistant": "assistant"}
_FAILED = "The tool failed: "
_STATE = "orchestra"  # the key, in an item's provider_data, of what no other provider may see


def _text(result: t.ToolResult) -> str:
    return "".join(part.text for part in result.content if isinstance(part, t.Text))


def _read(item: Mapping[str, Any], names: dict[str, str]) -> tuple[t.Role, Sequence[t.Part]]:
    match item:
        case {"type": "function_call", "call_id": call_id, "name": name, "arguments": raw}:
            names[call_id] = name
            return "assistant", [t.ToolCall(call_id, name, _arguments(raw), raw, **_state(item))]
        case {"type": "function_call_output", "call_id": str(call_id), "output": output}:
            return "tool", [_result(call_id, names.get(call_id, ""), output)]
        case {"type": "reasoning"}:
            return "assistant", [t.Reasoning("".join(one["text"] for one in item.get("summary", ())), **_state(item))]
        case {"role": str(role), "content": content} if role in _ROLES:
            return _ROLES[role], _parts(content, _state(item))
        case _:
            kind = item.get("type") or item.get("role")
            raise ConfigError(
                f"input: an item of type {kind!r} cannot be shown to every model of a fleet; "
                "known: message, function_call, function_call_output, reasoning"
            )


def _result(call_id: str, name: str, output: Any) -> t.ToolResult:
    parts = tuple(part for part in _parts(output, {}) if isinstance(part, t.Text | t.Image | t.Document))
    failed = isinstance(output, str) and output.startswith((_FAILED, _STOCK_FAILURE, f"Tool {name!r} timed out after"))
    return t.ToolResult(call_id, name, parts, is_error=failed)


_STOCK_FAILURE = default_tool_error_function(cast("Any", None), Exception())


def _parts(content: Any, state: Mapping[str, Any]) -> list[t.Part]:
    if isinstance(content, str):
        return [t.Text(content, **state)] if content else []
    return [part for block in content for part in _part(block, state)]


def _part(block: Mapping[str, Any], state: Mapping[str, Any]) -> Iterator[t.Part]:
    match block:
        case {"text": str(text)} | {"refusal": str(text)}:
            if text:
                yield t.Text(text, **state)
        case {"type": "input_image", "image_url": str(url)}:
            media, data = _data(url)
            yield t.Image(media or "image/*", data=data, url=None if data else url)
        case {"type": "input_file", "file_data": str(url)} | {"type": "input_file", "file_url": str(url)}:
            media, data = _data(url)
            yield t.Document(media or "application/pdf", block.get("filename", ""), data, None if data else url)
        case _:
            raise ConfigError(
                f"input: a part {block.get('type')!r} with {', '.join(block)} cannot be shown to every model of a "
                "fleet; known: input_text, input_image with image_url, input_file with file_data or file_url"
            )


def _data(url: str) -> tuple[str, str | None]:
    head, found, data = url.partition(";base64,")
    return (head.removeprefix("data:"), data) if found else ("", None)


def _arguments(raw: str) -> Mapping[str, t.Json] | None:
    try:
        found = json.loads(raw or "{}")
    except ValueError:
        return None
    return cast("Mapping[str, t.Json]", found) if isinstance(found, dict) else None


def _state(item: Mapping[str, Any]) -> dict[str, Any]:
    kept: Any = (item.get("provider_data") or _NOTHING).get(_STATE)
    return {"origin": t.Origin(*kept["origin"]), "provider_state": kept["state"]} if kept else {}


_NOTHING: Mapping[str, Any] = {}


def _item(part: t.Part) -> Iterator[TResponseOutputItem]:
    fields: dict[str, Any] = {"id": FAKE_RESPONSES_ID}
    if part.origin:
        kept = part.origin
        state = {"origin": [kept.provider, kept.api, kept.model], "state": part.provider_state}
        fields["provider_data"] = {_STATE: state}
    match part:
        case t.Text(text):
            content: Any = [{"type": "output_text", "text": text, "annotations": []}]
            fields |= {"type": "message", "role": "assistant", "status": "completed", "content": content}
            yield ResponseOutputMessage.model_validate(fields)
        case t.Reasoning(text):
            fields |= {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}] if text else []}
            yield ResponseReasoningItem.model_validate(fields)
        case t.ToolCall(call_id, name, arguments, raw):
            said = raw if _arguments(raw) == arguments else json.dumps(arguments, ensure_ascii=False)
            fields |= {"type": "function_call", "call_id": call_id, "name": name, "arguments": said}
            yield ResponseFunctionToolCall.model_validate(fields)
        case _:  # no model of a fleet answers with images or documents
            return


def _here(**kept_elsewhere: object) -> None:
    for name, value in kept_elsewhere.items():
        if value is not None:
            raise ConfigError(
                f"{name}: OpenAI's server keeps that, and another model of the fleet could not read it; "
                "leave it out, and give the runner the conversation: a session, or result.to_input_list()"
            )


def _tool(tool: Tool) -> OrchestraTool:
    if not isinstance(tool, FunctionTool):
        raise ConfigError(
            f"tool {tool.name!r}: a {type(tool).__name__} runs at OpenAI, and another model of the fleet could not "
            "call it; give a function_tool or an MCP server of your own"
        )
    return OrchestraTool.from_schema(tool.name, tool.description, tool.params_json_schema or _NO_ARGUMENTS)


def _handoff(handoff: Handoff[Any, Any]) -> OrchestraTool:
    schema = handoff.input_json_schema or _NO_ARGUMENTS
    return OrchestraTool.from_schema(handoff.tool_name, handoff.tool_description, schema)


_NO_ARGUMENTS: Mapping[str, t.Json] = {"type": "object", "properties": {}}


def _choice(choice: Any, declared: Sequence[OrchestraTool]) -> dict[str, Any]:
    """A tool that must be called is the only one shown."""
    if choice in (None, "auto", "required", "none"):
        return {"tools": declared, "tool_choice": choice}
    chosen = [tool for tool in declared if tool.name == choice]
    if not chosen:
        known = ", ".join(["auto", "required", "none", *(tool.name for tool in declared)])
        raise ConfigError(f"tool_choice {choice!r} is unknown; known: {known}")
    return {"tools": chosen, "tool_choice": "required"}


def _extra(settings: ModelSettings) -> dict[str, Any]:
    """Options among the extra arguments. Raises ConfigError for a setting that would be lost."""
    for name in _PROVIDERS_OWN:
        if getattr(settings, name) is not None:
            raise ConfigError(
                f"model_settings.{name}: not every model of a fleet has it; give it to the provider that does: "
                f'extra_args={{"openai.{name}": …}}, or set it in fleet.toml'
            )
    extra = dict(settings.extra_args or {})
    return {**extra.pop(_STATE, {}), "extra": extra or None}


_PROVIDERS_OWN = (
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "top_logprobs",
    "extra_query",
    "extra_body",
    "extra_headers",
    "context_management",
)


class _Output:
    """An agent's output type as `output`: its schema, and its own validation on top."""

    def __init__(self, schema: AgentOutputSchemaBase) -> None:
        self._schema = schema

    def model_json_schema(self) -> dict[str, Any]:
        return self._schema.json_schema()

    def model_validate(self, value: t.Json) -> t.Json:
        """The value as it came: the runner reads it once more."""
        try:
            self._schema.validate_json(json.dumps(value))
        except ModelBehaviorError as error:
            fault = PydanticCustomError("output", "{fault}", {"fault": str(error)})
            raise ValidationError.from_exception_data(self._schema.name(), [{"type": fault, "input": value}]) from error
        return value


def _output(reply: t.Reply) -> list[TResponseOutputItem]:
    """The reply's items; a structured answer without what was around it, for the runner parses the text."""
    if reply.output is None:
        return to_items(reply.message)
    rest = [part for part in reply.message.parts if isinstance(part, t.Reasoning)]
    origin = next((part.origin for part in reply.message.parts if isinstance(part, t.Text)), None)
    answer = t.Text(json.dumps(reply.output, ensure_ascii=False), origin)
    return to_items(t.Message("assistant", (*rest, answer)))


def _usage(reply: t.Reply) -> Usage:
    said = _response_usage(reply)
    if said is None:
        return Usage(requests=1)
    return Usage(
        requests=1,
        input_tokens=said.input_tokens,
        output_tokens=said.output_tokens,
        total_tokens=said.total_tokens,
        input_tokens_details=said.input_tokens_details,
        output_tokens_details=said.output_tokens_details,
    )


def _response_usage(reply: t.Reply) -> ResponseUsage | None:
    if (used := reply.usage) is None:
        return None
    details = InputTokensDetails(cached_tokens=used.cached_input, cache_write_tokens=used.cache_write)
    return ResponseUsage(
        input_tokens=used.input,
        output_tokens=used.output,
        total_tokens=used.input + used.output,
        input_tokens_details=details,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=used.reasoning),
    )


def _trace(
    data: Any, tracing: ModelTracing, reply: t.Reply, given: str | list[TResponseInputItem], output: list[Any]
) -> None:
    """What a span tells: who really served, and what was said only where that may be kept."""
    data.model = reply.wire_model or reply.model
    data.model_config = {"step_model": reply.model, "run": reply.run, "attempts": len(reply.attempts)}
    if used := _response_usage(reply):
        data.usage = used.model_dump()
    if tracing.include_data():
        data.input = [{"role": "user", "content": given}] if isinstance(given, str) else given
        data.output = [item.model_dump() for item in output]


class _Written:
    """The events of one Responses stream: items open and close, each under the next index."""

    def __init__(self) -> None:
        self._number = self._index = -1
        self._open: type[t.TextDelta | t.ReasoningDelta] | None = None
        self._pieces: list[str] = []

    def created(self) -> TResponseStreamEvent:
        return ResponseCreatedEvent(type="response.created", response=_response(None), **self._next())

    def of(self, event: t.StreamEvent) -> Iterator[TResponseStreamEvent]:
        match event:
            case t.TextDelta(piece) | t.ReasoningDelta(piece):
                if self._open is not type(event):
                    yield from self._close()
                    yield from self._begin(type(event))
                self._pieces.append(piece)
                yield self._piece(piece)
            case t.ToolCallReady(call):
                yield from self._close()
                yield from self._call(call)
            case t.End(reply):
                yield from self._close()
                yield ResponseCompletedEvent(type="response.completed", response=_response(reply), **self._next())
            case _:  # usage comes with the end; another attempt has no event in this format
                return

    def _next(self) -> dict[str, Any]:
        self._number += 1
        return {"sequence_number": self._number}

    def _at(self) -> dict[str, Any]:
        return {"output_index": self._index, **self._next()}

    def _in(self) -> dict[str, Any]:
        return {"item_id": FAKE_RESPONSES_ID, **self._at()}

    def _begin(self, kind: type[t.TextDelta | t.ReasoningDelta]) -> Iterator[TResponseStreamEvent]:
        self._open, self._pieces = kind, []
        self._index += 1
        if kind is t.ReasoningDelta:
            item: Any = ResponseReasoningItem(id=FAKE_RESPONSES_ID, type="reasoning", summary=[])
        else:
            item = ResponseOutputMessage(
                id=FAKE_RESPONSES_ID, type="message", role="assistant", status="in_progress", content=[]
            )
        yield ResponseOutputItemAddedEvent(type="response.output_item.added", item=item, **self._at())
        if kind is t.TextDelta:
            part = ResponseOutputText(type="output_text", text="", annotations=[])
            yield ResponseContentPartAddedEvent(
                type="response.content_part.added", content_index=0, part=part, **self._in()
            )

    def _piece(self, piece: str) -> TResponseStreamEvent:
        if self._open is t.ReasoningDelta:
            return ResponseReasoningSummaryTextDeltaEvent(
                type="response.reasoning_summary_text.delta", summary_index=0, delta=piece, **self._in()
            )
        return ResponseTextDeltaEvent(
            type="response.output_text.delta", content_index=0, delta=piece, logprobs=[], **self._in()
        )

    def _close(self) -> Iterator[TResponseStreamEvent]:
        text, kind, self._open = "".join(self._pieces), self._open, None
        if kind is None:
            return
        if kind is t.ReasoningDelta:
            yield ResponseReasoningSummaryTextDoneEvent(
                type="response.reasoning_summary_text.done", summary_index=0, text=text, **self._in()
            )
            part: t.Part = t.Reasoning(text)
        else:
            yield ResponseTextDoneEvent(
                type="response.output_text.done", content_index=0, text=text, logprobs=[], **self._in()
            )
            whole = ResponseOutputText(type="output_text", text=text, annotations=[])
            yield ResponseContentPartDoneEvent(
                type="response.content_part.done", content_index=0, part=whole, **self._in()
            )
            part = t.Text(text)
        (item,) = _item(part)
        yield ResponseOutputItemDoneEvent(type="response.output_item.done", item=item, **self._at())

    def _call(self, call: t.ToolCall) -> Iterator[TResponseStreamEvent]:
        self._index += 1
        (item,) = _item(call)
        assert isinstance(item, ResponseFunctionToolCall)
        begun = item.model_copy(update={"arguments": ""})
        yield ResponseOutputItemAddedEvent(type="response.output_item.added", item=begun, **self._at())
        yield ResponseFunctionCallArgumentsDeltaEvent(
            type="response.function_call_arguments.delta", delta=item.arguments, **self._in()
        )
        yield ResponseFunctionCallArgumentsDoneEvent(
            type="response.function_call_arguments.done", arguments=item.arguments, **self._in()
        )
        yield ResponseOutputItemDoneEvent(type="response.output_item.done", item=item, **self._at())


def _response(reply: t.Reply | None) -> Response:
    found = Response(
        id=FAKE_RESPONSES_ID,
        created_at=time.time(),
        model=(reply.wire_model or reply.model) if reply else "",
        object="response",
        output=_output(reply) if reply else [],
        usage=_response_usage(reply) if reply else None,
        tools=[],
        tool_choice="auto",
        parallel_tool_calls=True,
    )
    if reply:
        # where the SDK's own clients put it, and its runner looks
        found._request_id = reply.run  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # no public way
    return found
