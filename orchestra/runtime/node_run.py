"""A run made of calls: one call's own, or all that a hand-written node asks in one execution."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from orchestra.errors import ConfigError, OrchestraError, Refused
from orchestra.ledger import RunEnded, RunStarted, RunState, StepEnded, StepStarted
from orchestra.runtime.conversation import Conversation, Stand
from orchestra.runtime.engine import Engine
from orchestra.runtime.options import NodeOptions, limits_of
from orchestra.runtime.scope import Limits, RunScope
from orchestra.runtime.tool_scope import around
from orchestra.types import Message, Reply, Step, ToolCall, ToolResult, Trigger, Verdict


class Heard:
    """What models have answered in a run so far: `turns` replies, the last one, whether any was degraded."""

    turns = 0
    last: Reply | None = None
    degraded = False

    def add(self, reply: Reply) -> None:
        """One more accepted reply."""
        self.turns += 1
        self.last = reply
        self.degraded |= reply.degraded


@dataclass(slots=True)
class NodeRun:
    """One execution of a node: the run its calls belong to, and what they fall back on.

    With a `stand` its calls are turns of one step, which go on from there; `failed` is what tools showed after the
    last, and `unsound` the calls of the turns at the end in which every call failed without any effect.
    """

    engine: Engine
    step: Step
    options: NodeOptions
    scope: RunScope
    heard: Heard
    ended: bool = False
    stand: Stand | None = None
    failed: Verdict = Verdict()
    unsound: frozenset[str] = frozenset()

    def begin(self, talk: Conversation) -> None:
        """Before a call's first model is asked. Raises Exhausted or HumanNeeded where none is left to try."""
        if self.stand is not None and self._is_turn(talk):
            talk.go_on(self.stand, self.failed, _at_end(talk.messages, self.unsound) if self.unsound else 0)

    def end(self, talk: Conversation) -> None:
        """After a call has its reply."""
        if self.stand is not None and self._is_turn(talk):
            self.stand, self.failed = talk.stand, Verdict()

    def _is_turn(self, talk: Conversation) -> bool:
        """Not what is asked beside it: for another step, without the agent's tools, such as which of them to offer."""
        asked, own = talk.ask.step, self.step
        return bool(talk.tools) or (asked.name or asked.id) == (own.name or own.id)

    def part(self, limits: Limits) -> RunScope:
        """The scope of a call within: its own limits, and never more than what the node has left."""
        outer = around(self.engine.dispatcher)
        if outer is not None:
            limits = outer.limits(limits)
        scope = replace(
            self.scope,
            purse=self.scope.purse.part(limits.budget, allow_unknown=limits.allow_unknown_price),
            deadline=min(self.scope.deadline, self.engine.clock() + limits.deadline),
            limits=replace(limits, at_cap=self.scope.limits.at_cap),
        )
        return scope if outer is None else outer.narrowed(scope)


def enclosing(engine: Engine) -> NodeRun | None:
    """The innermost node of this app whose code is running here.

    Raises ConfigError in a task that outlived its node: what it spent would be on no account.
    """
    for found in reversed(_NODES.get()):
        if found.engine is not engine:
            continue
        if found.ended:
            raise ConfigError(
                f"a call of node {found.step.id!r} began after the node had ended; await it before the node returns, "
                "or start its task in a context of its own: create_task(…, context=contextvars.Context())"
            )
        return found
    return None


@contextmanager
def node_run(engine: Engine, step: Step, options: NodeOptions) -> Generator[None]:
    """One execution of a node: calls made in this block are one run, whose rows go to LangGraph's custom stream."""
    writer = _writer()  # imports LangGraph, a second of a new process, which is none of the deadline's
    outer, heard = enclosing(engine), Heard()
    if outer is not None:
        options = {**outer.options, **options}
    scope = _scope(engine, options, outer)
    inner = NodeRun(engine, step, options, scope, heard)
    run = Recorded(engine, scope, step.name or step.id, step.goal, heard)
    with _streaming(engine, scope.run, writer), run, within(inner), _step(scope, step, heard):
        yield


@contextmanager
def within(node: NodeRun) -> Generator[None]:
    """Calls made in this block are the node's."""
    token = _NODES.set((*_NODES.get(), node))
    try:
        yield
    finally:
        _NODES.reset(token)
        node.ended = True


class Recorded:
    """A run from its first word in the ledger to its last, which says how the block ended.

    With `async with`, calls that end well at once share a transaction for their last words.
    """

    def __init__(self, engine: Engine, scope: RunScope, agent: str, task: str, heard: Heard) -> None:
        self._engine, self._recorder, self._heard = engine, scope.recorder, heard
        mode = scope.limits.mode or engine.router.mode
        self._first = RunStarted(agent, task, engine.fleet.fingerprint, mode)

    def __enter__(self) -> None:
        self._started = self._engine.clock()
        self._recorder.record("", self._first)

    def __exit__(self, kind: object, end: BaseException | None, trace: object) -> None:
        self._recorder.record("", self._ended(*ending(end)))

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, kind: object, end: BaseException | None, trace: object) -> None:
        if end is not None:
            self.__exit__(kind, end, trace)
        else:
            await self._recorder.write("", self._ended("done", ""))

    def _ended(self, state: RunState, reason: str) -> RunEnded:
        last = self._heard.last
        answer = last.text if last and state == "done" else ""
        return RunEnded(state, self._engine.clock() - self._started, reason, answer)


def _at_end(messages: Iterable[Message], calls: frozenset[str]) -> int:
    """How many messages at the end are turns of these calls alone; other middleware leaves some out, or adds some."""
    found = 0
    for count, message in enumerate(reversed([*messages]), 1):
        of = {
            part.id if isinstance(part, ToolCall) else part.call_id
            for part in message.parts
            if isinstance(part, ToolCall | ToolResult)
        }
        if not of or not of <= calls:
            break
        if message.role == "assistant":
            found = count
    return found


_NODES: ContextVar[tuple[NodeRun, ...]] = ContextVar("orchestra_nodes", default=())


def _scope(engine: Engine, options: NodeOptions, outer: NodeRun | None) -> RunScope:
    """Without a deadline of its own a node may go on; each of its calls has one."""
    limits = limits_of(options)
    scope = engine.scope(limits)
    if outer is not None:
        part = outer.part(limits)
        scope = replace(scope, purse=part.purse, deadline=part.deadline)
    return scope if "deadline" in options else replace(scope, deadline=math.inf)


@contextmanager
def _streaming(engine: Engine, run: str, writer: Callable[[Any], None] | None) -> Generator[None]:
    stop = engine.ledger.subscribe(run, writer) if writer else None
    try:
        yield
    finally:
        if stop:
            stop()


def _writer() -> Callable[[Any], None] | None:
    from langgraph.config import get_stream_writer

    try:
        return get_stream_writer()
    except (RuntimeError, KeyError):  # called as a plain function: no graph listens
        return None


@contextmanager
def _step(scope: RunScope, step: Step, heard: Heard) -> Generator[None]:
    """The step's rows. One that was left, by cancellation or to ask a person, has no end yet."""
    scope.recorder.record(step.id, StepStarted(step.goal, step.kind, step.needs))
    try:
        yield
    except Exception as error:
        state, reason = ending(error)
        if state != "interrupted":
            trigger = error.trigger if isinstance(error, Refused) else None
            scope.recorder.record(step.id, _ended(heard, state, trigger, (reason,) if reason else ()))
        raise
    scope.recorder.record(step.id, _ended(heard, "done"))


def _ended(heard: Heard, state: RunState, trigger: Trigger | None = None, evidence: tuple[str, ...] = ()) -> StepEnded:
    last = heard.last
    return StepEnded(
        state="failed" if state == "failed" else "done",
        model=last.model if last else None,
        turns=heard.turns,
        degraded=heard.degraded,
        trigger=trigger,
        evidence=evidence,
        result=last.text if last else "",
    )


def ending(end: BaseException | None) -> tuple[RunState, str]:
    """How a run ended that an exception left, if any; LangGraph's own are its way to go on elsewhere."""
    if end is None:
        return "done", ""
    if isinstance(end, OrchestraError):
        return "failed", str(end)
    if not isinstance(end, Exception):
        return "cancelled", "the caller stopped"
    from langgraph.errors import GraphInterrupt, ParentCommand

    if isinstance(end, GraphInterrupt):
        return "interrupted", "a person was asked"
    return ("done", "") if isinstance(end, ParentCommand) else ("failed", f"{type(end).__name__}: {end}")
