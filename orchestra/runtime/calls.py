"""complete and stream: one call as a run of its own with a single step."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, TypedDict, cast, get_args

from orchestra.checks import schema_fault
from orchestra.errors import ConfigError, OrchestraError
from orchestra.ledger import RunEnded, RunStarted
from orchestra.runtime.conversation import Ask, Conversation
from orchestra.runtime.engine import Engine
from orchestra.runtime.messages import Messages, canonical
from orchestra.runtime.scope import Limits, check_count, check_number, words
from orchestra.toolbox import as_tools
from orchestra.types import End, Json, Mode, Priority, Reply, Step, StreamEvent, ToolChoice


class CallOptions(TypedDict, total=False):
    """Options of a call.

    tools: Tools, functions or LangChain tools the model may call.
    output: a pydantic model or a JSON Schema that the answer must fit.
    mode: quality, balanced, cost or latency. budget: USD for the whole call. deadline: seconds for the whole call.
    extra: provider parameters by namespace (`anthropic.top_k`).
    """

    tools: Sequence[Any]
    tool_choice: ToolChoice
    parallel_tools: bool
    output: Any
    mode: Mode
    budget: float
    allow_unknown_price: bool
    deadline: float
    tenant: str
    priority: Priority
    data_tags: Sequence[str]
    max_tokens: int
    temperature: float
    seed: int
    stop: Sequence[str]
    extra: Mapping[str, Json]


async def complete(engine: Engine, messages: Messages, step: str | Step, options: CallOptions) -> Reply:
    """One accepted reply; see `Orchestra.complete`."""
    async with aclosing(_events(engine, messages, step, options, commit=False)) as events:
        async for event in events:
            if isinstance(event, End):
                return event.reply
    raise AssertionError("a stream ends with End or raises")


async def stream(
    engine: Engine, messages: Messages, step: str | Step, options: CallOptions
) -> AsyncIterator[StreamEvent]:
    """The reply as events; see `Orchestra.stream`."""
    async with aclosing(_events(engine, messages, step, options, commit=True)) as events:
        async for event in events:
            yield event


async def _events(
    engine: Engine, messages: Messages, step: str | Step, options: CallOptions, *, commit: bool
) -> AsyncGenerator[StreamEvent]:
    ask, read = _ask(messages, step, options)
    scope = engine.scope(_limits(options))
    started = engine.clock()
    mode = scope.limits.mode or engine.mode or engine.fleet.mode
    scope.recorder.record("", RunStarted("complete", ask.messages[-1].text, engine.fleet.fingerprint, mode))
    state, reason, answer = "cancelled", "the caller stopped", ""
    try:
        conversation = Conversation(engine, scope, ask)
        tool_choice = options.get("tool_choice", "auto")
        async with aclosing(conversation.stream(tool_choice=tool_choice, commit=commit)) as events:
            async for event in events:
                if not isinstance(event, End):
                    yield event
                    continue
                state, reason, answer = "done", "", event.reply.text
                yield End(replace(event.reply, output=read(event.reply.output)))
    except Exception as error:
        kind = "" if isinstance(error, OrchestraError) else f"{type(error).__name__}: "
        state, reason = "failed", f"{kind}{error}"
        raise
    finally:
        scope.recorder.record("", RunEnded(state, engine.clock() - started, reason, answer))


def _ask(messages: Messages, step: str | Step, options: CallOptions) -> tuple[Ask, Callable[[Json], Any]]:
    for name in options.keys() - CallOptions.__annotations__.keys():
        known = sorted(CallOptions.__annotations__)
        near = "".join(f"did you mean {one!r}? " for one in get_close_matches(name, known, n=1))
        raise ConfigError(f"{name}: no option of a call; {near}known: {', '.join(known)}")
    _check_numbers(options)
    schema, check, read = _output(options.get("output"))
    ask = Ask(
        step=_step(step),
        messages=canonical(messages),
        tools=tuple(tool.spec for tool in as_tools(options.get("tools", ()))),
        output_schema=schema,
        check=check,
        parallel_tools=options.get("parallel_tools"),
        max_tokens=options.get("max_tokens"),
        temperature=options.get("temperature"),
        seed=options.get("seed"),
        stop=words(options.get("stop", ())),
        extra=options.get("extra", {}),
    )
    return ask, read


def _step(step: Any) -> Step:
    if isinstance(step, Step) and step.id:
        return step
    if not isinstance(step, str) or not step.strip():
        raise ConfigError(f"step: expected a name or a Step with an id, got {step!r}")
    return Step(id=step, name=step, kind=step)


def _check_numbers(options: CallOptions) -> None:
    given = cast("Mapping[str, Any]", options)  # strangers write them
    if given.get("tool_choice", "auto") not in get_args(ToolChoice):
        raise ConfigError(f"tool_choice {given['tool_choice']!r} is unknown; known: {', '.join(get_args(ToolChoice))}")
    if given.get("max_tokens") is not None:
        check_count("max_tokens", given["max_tokens"])
    if given.get("temperature") is not None:
        check_number("temperature", given["temperature"], "degree")
    if not isinstance(given.get("seed"), int | None):
        raise ConfigError(f"seed: expected a whole number, got {given['seed']!r}")


def _limits(options: CallOptions) -> Limits:
    return Limits(
        deadline=options.get("deadline", Limits().deadline),
        budget=options.get("budget"),
        allow_unknown_price=options.get("allow_unknown_price", False),
        mode=options.get("mode"),
        tenant=options.get("tenant"),
        priority=options.get("priority", "normal"),
        data_tags=words(options.get("data_tags", ())),
    )


def _output(
    output: Any,
) -> tuple[Mapping[str, Json] | None, Callable[[Json], Sequence[str]] | None, Callable[[Json], Any]]:
    """Schema, further check and reader of a structured answer; pydantic validates at this edge."""
    if isinstance(output, Mapping) and (fault := schema_fault(cast("Mapping[str, Json]", output))):
        raise ConfigError(f"output: the JSON Schema is not valid {fault}")
    if output is None or isinstance(output, Mapping):
        return cast("Mapping[str, Json] | None", output), None, lambda value: value
    if not hasattr(output, "model_json_schema"):
        raise ConfigError(f"output: expected a pydantic model or a JSON Schema, got {output!r}")
    from pydantic import ValidationError

    def check(value: Json) -> Sequence[str]:
        try:
            output.model_validate(value)
        except ValidationError as error:
            return [f"{'.'.join(map(str, one['loc'])) or 'answer'}: {one['msg']}" for one in error.errors()]
        return []

    def read(value: Json) -> Any:
        return None if value is None else output.model_validate(value)

    return output.model_json_schema(), check, read
