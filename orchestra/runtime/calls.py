"""complete and stream: one call as a run of its own with a single step, or as a part of a node's run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, TypeAlias, cast, get_args

from orchestra.checks import schema_fault
from orchestra.errors import CallError, ConfigError, NoCandidate
from orchestra.routing import StartAt, bind
from orchestra.runtime.ask import Ask, Writing
from orchestra.runtime.conversation import Conversation
from orchestra.runtime.engine import Engine
from orchestra.runtime.messages import Messages, canonical
from orchestra.runtime.node_run import Heard, NodeRun, Recorded, enclosing
from orchestra.runtime.options import CallOptions, as_step, check_extra, check_names, limits_of
from orchestra.runtime.scope import words
from orchestra.toolbox import Tool, as_tools
from orchestra.toolbox.faults import told
from orchestra.toolbox.typed import json_reader, typed
from orchestra.types import (
    End,
    Json,
    Reply,
    Step,
    StreamEvent,
    ToolCall,
    ToolChoice,
    ToolSpec,
    Verdict,
    check_settings,
)


async def complete(engine: Engine, messages: Messages, step: str | Step | None, options: CallOptions) -> Reply:
    """One accepted reply; see `Orchestra.complete`."""
    asked = _Asked(engine, messages, step, options)
    async with asked.run:
        try:
            return asked.hear(await asked.talk.reply(tool_choice=asked.tool_choice))
        except CallError as end:
            end.ruled = _ruled(asked.talk, end)
            raise


async def stream(
    engine: Engine, messages: Messages, step: str | Step | None, options: CallOptions
) -> AsyncIterator[StreamEvent]:
    """The reply as events; see `Orchestra.stream`."""
    asked = _Asked(engine, messages, step, options)
    reply: Reply | None = None
    async with asked.run, aclosing(asked.talk.stream(tool_choice=asked.tool_choice)) as events:
        try:
            async for event in events:
                if isinstance(event, End):
                    reply = asked.hear(event.reply)
                else:
                    yield event
        except CallError as end:
            end.ruled = _ruled(asked.talk, end)
            raise
    assert reply is not None, "a stream ends with End or raises"
    yield End(reply)  # after the run's last word: whoever has the reply may leave


class _Asked:
    """One call: a part of the run of the node in whose code it stands; elsewhere a run of its own.

    `run` is that in the ledger, from the call's first word to its last.
    """

    def __init__(self, engine: Engine, messages: Messages, step: str | Step | None, options: CallOptions) -> None:
        self._node = node = enclosing(engine)
        if node is not None:
            step, options = node.step if step is None else step, {**node.options, **options}
        self.tool_choice: ToolChoice
        ask, self.tool_choice = _ask(messages, "call" if step is None else step, options)
        if extra := ask.writing.extra:
            check_extra(extra, engine.fleet)
        if model := options.get("model"):
            engine = replace(engine, policies=(*engine.policies, bind(StartAt(model), engine.fleet)))
        limits = limits_of(options)
        scope, self._heard = (node.part(limits), node.heard) if node else (engine.scope(limits), Heard())
        self.talk = talk = Conversation(engine, scope, ask)
        self.run: AbstractAsyncContextManager[None] = (
            _part(node, talk) if node else Recorded(engine, scope, "complete", ask.messages[-1].text, self._heard)
        )

    def hear(self, reply: Reply) -> Reply:
        """The reply, of which the run knows from now on."""
        self._heard.add(reply)
        if self._node is not None:
            self._node.end(self.talk)
        return reply


_CANNOT = frozenset({"capability", "deprecated", "dialect", "window"})  # gates that tell what a model cannot do


def _ruled(talk: Conversation, end: CallError) -> bool:
    """Whether a rule bound the call that ended so: data tags, money, or a policy that dropped a model."""
    refused = end.rejections if isinstance(end, NoCandidate) else talk.decision.rejections
    return (
        bool(talk.scope.limits.data_tags or talk.engine.fleet.budgets)
        or talk.scope.purse.capped
        or any(one.gate not in _CANNOT for one in refused)
    )


@asynccontextmanager
async def _part(node: NodeRun, talk: Conversation) -> AsyncGenerator[None]:
    try:
        node.begin(talk)
        yield
    finally:  # the node's next row may be long in coming
        talk.engine.ledger.settle()


def _ask(messages: Messages, step: str | Step, options: CallOptions) -> tuple[Ask, ToolChoice]:
    """What is asked, and the tool choice; all is checked before anything is recorded."""
    check_names(options, CallOptions.__annotations__, "a call")
    failures, writing = _failures(options), _writing(options)
    schema, check, read = _output(options.get("output"))
    tools, tool_choice, check_call = _offered(options)
    ask = Ask(
        step=as_step(step),
        messages=canonical(messages),
        tools=tools,
        output_schema=schema,
        check=check,
        check_call=check_call,
        read=read,
        writing=writing,
        failures=failures,
        hold=options.get("hold", False),
    )
    return ask, tool_choice


def _failures(options: CallOptions) -> tuple[Verdict, ...]:
    failures: tuple[Any, ...] = tuple(options.get("failures", ()))  # strangers write them
    for verdict in failures:
        if not isinstance(verdict, Verdict) or verdict.accepted:
            raise ConfigError(f"failures: expected Verdicts with a trigger, got {verdict!r}")
    return failures


_AS_USUAL = Writing()
_WRITING = frozenset(field.name for field in fields(Writing))


def _writing(options: CallOptions) -> Writing:
    """How the call wants it written. Raises ConfigError."""
    if _WRITING.isdisjoint(options):
        return _AS_USUAL
    given: dict[str, Any] = {name: value for name, value in options.items() if name in _WRITING}
    if "stop" in given:
        given["stop"] = words(given["stop"])
    writing = Writing(**given)
    check_settings(
        max_tokens=writing.max_tokens,
        temperature=writing.temperature,
        seed=writing.seed,
        stop=writing.stop,
        extra=writing.extra,
    )
    return writing


_CheckCall: TypeAlias = Callable[[ToolCall], Sequence[str]]
_SPEC = attrgetter("spec")
_TOOL_CHOICES = get_args(ToolChoice)


def _offered(options: CallOptions) -> tuple[tuple[ToolSpec, ...], ToolChoice, _CheckCall | None]:
    """The tools to declare, the choice among them, and what they say of a call beyond their schemas.

    The only one that may be called is declared alone.
    """
    offered = as_tools(options.get("tools", ()))
    tools, check = tuple(map(_SPEC, offered)), _check_call(offered)
    choice: Any = options.get("tool_choice", "auto")  # strangers write it
    if choice in _TOOL_CHOICES:
        return tools, choice, check
    if named := tuple(tool for tool in tools if tool.name == choice):
        return named, "required", check
    known = ", ".join((*_TOOL_CHOICES, *(tool.name for tool in tools)))
    raise ConfigError(f"tool_choice {choice!r} is unknown; known: {known}")


def _check_call(tools: Sequence[Tool]) -> _CheckCall | None:
    """None where no tool knows more than its schema says."""
    known = {tool.name: tool for tool in tools if tool.converts}
    return (lambda call: known[call.name].validate(call.arguments) if call.name in known else ()) if known else None


def _output(
    output: Any,
) -> tuple[Mapping[str, Json] | None, Callable[[Json], Sequence[str]] | None, Callable[[Json], Any]]:
    """Schema, further check and reader of a structured answer; pydantic validates at this edge."""
    if output is None:
        return None, None, _as_it_is
    if isinstance(output, Mapping):
        schema = cast("Mapping[str, Json]", output)
        if fault := schema_fault(schema):
            raise ConfigError(f"output: the JSON Schema is not valid {fault}")
        return schema, None, _as_it_is
    if not hasattr(output, "model_json_schema"):
        raise ConfigError(f"output: expected a pydantic model or a JSON Schema, got {output!r}")
    from pydantic import ValidationError

    def fitted(value: Json) -> Any:
        return typed(value, output.model_validate, json_reader(output))

    def check(value: Json) -> Sequence[str]:
        try:
            fitted(value)
        except ValidationError as error:
            return told(error, "answer")
        return []

    def read(value: Json) -> Any:
        return None if value is None else fitted(value)

    return output.model_json_schema(), check, read


def _as_it_is(value: Json) -> Json:
    return value
