"""complete and stream: one call as a run of its own with a single step, or as a part of a node's run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, cast, get_args

from orchestra.checks import schema_fault
from orchestra.errors import ConfigError
from orchestra.routing import StartAt, bind
from orchestra.runtime.ask import Ask
from orchestra.runtime.conversation import Conversation
from orchestra.runtime.engine import Engine
from orchestra.runtime.messages import Messages, canonical
from orchestra.runtime.node_run import Heard, NodeRun, enclosing, recorded_call
from orchestra.runtime.options import CallOptions, as_step, check_names, limits_of
from orchestra.runtime.scope import Limits, RunScope, words
from orchestra.toolbox import as_tools
from orchestra.types import End, Json, Reply, Step, StreamEvent, ToolChoice, ToolSpec, check_settings


async def complete(engine: Engine, messages: Messages, step: str | Step | None, options: CallOptions) -> Reply:
    """One accepted reply; see `Orchestra.complete`."""
    async with aclosing(_events(engine, messages, step, options, commit=False)) as events:
        async for event in events:
            if isinstance(event, End):
                return event.reply
    raise AssertionError("a stream ends with End or raises")


async def stream(
    engine: Engine, messages: Messages, step: str | Step | None, options: CallOptions
) -> AsyncIterator[StreamEvent]:
    """The reply as events; see `Orchestra.stream`."""
    async with aclosing(_events(engine, messages, step, options, commit=True)) as events:
        async for event in events:
            yield event


async def _events(
    engine: Engine, messages: Messages, step: str | Step | None, options: CallOptions, *, commit: bool
) -> AsyncGenerator[StreamEvent]:
    node = enclosing(engine)
    options = {**node.options, **options} if node else options
    if step is None:
        step = node.step if node else "call"
    ask, read, tool_choice = _ask(messages, step, options)
    if model := options.get("model"):
        engine = replace(engine, policies=(*engine.policies, bind(StartAt(model), engine.fleet)))
    reply: Reply | None = None
    async with _run(engine, node, ask, limits_of(options)) as (scope, heard):
        conversation = Conversation(engine, scope, ask)
        if node:
            node.begin(conversation)
        async with aclosing(conversation.stream(tool_choice=tool_choice, commit=commit)) as events:
            async for event in events:
                if not isinstance(event, End):
                    yield event
                    continue
                heard.add(event.reply)
                if node:
                    node.end(conversation)
                found = event.reply.output
                reply = replace(event.reply, output=read(found)) if found is not None else event.reply
    assert reply is not None, "a stream ends with End or raises"
    yield End(reply)  # after the run's last word: whoever has the reply may leave


@asynccontextmanager
async def _run(
    engine: Engine, node: NodeRun | None, ask: Ask, limits: Limits
) -> AsyncGenerator[tuple[RunScope, Heard]]:
    """A part of the node's run; elsewhere a run of the call's own."""
    if node is not None:
        try:
            yield node.part(limits), node.heard
        finally:  # the node's next row may be long in coming
            engine.ledger.settle()
        return
    scope, heard = engine.scope(limits), Heard()
    async with recorded_call(engine, scope, "complete", ask.messages[-1].text, heard):
        yield scope, heard


def _ask(messages: Messages, step: str | Step, options: CallOptions) -> tuple[Ask, Callable[[Json], Any], ToolChoice]:
    check_names(options, CallOptions.__annotations__, "a call")
    _check_values(options)
    schema, check, read = _output(options.get("output"))
    tools, tool_choice = _offered(options)
    ask = Ask(
        step=as_step(step),
        messages=canonical(messages),
        tools=tools,
        output_schema=schema,
        check=check,
        parallel_tools=options.get("parallel_tools"),
        max_tokens=options.get("max_tokens"),
        temperature=options.get("temperature"),
        seed=options.get("seed"),
        stop=words(options.get("stop", ())),
        extra=options.get("extra", {}),
    )
    return ask, read, tool_choice


def _offered(options: CallOptions) -> tuple[tuple[ToolSpec, ...], ToolChoice]:
    """The tools to declare, and the choice among them; the only one that may be called is declared alone."""
    tools = tuple(tool.spec for tool in as_tools(options.get("tools", ())))
    choice: Any = options.get("tool_choice", "auto")  # strangers write it
    if choice in get_args(ToolChoice):
        return tools, choice
    if named := tuple(tool for tool in tools if tool.name == choice):
        return named, "required"
    known = ", ".join((*get_args(ToolChoice), *(tool.name for tool in tools)))
    raise ConfigError(f"tool_choice {choice!r} is unknown; known: {known}")


def _check_values(options: CallOptions) -> None:
    """Before anything is recorded of a call that cannot be made."""
    given = cast("Mapping[str, Any]", options)  # strangers write them
    check_settings(
        max_tokens=given.get("max_tokens"),
        temperature=given.get("temperature"),
        seed=given.get("seed"),
        stop=words(given.get("stop", ())),
        extra=given.get("extra"),
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
