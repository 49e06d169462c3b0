"""What a step asks of its model, and what its journal keeps of the answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestra.recovery import Ladder
from orchestra.types import (
    Action,
    Finish,
    Json,
    Message,
    Part,
    Step,
    ToolCall,
    ToolResult,
    ToolSpec,
    Upstream,
    Usage,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Writing:
    """How the model is to write, as `Request` has it; `max_tokens` beats routing's own setting."""

    parallel_tools: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    extra: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step stands in its plan: its expected turns, those of the longest path behind it, replans left.

    By its turns the run's deadline is shared out, and the longest path is served first.
    """

    turns: float = 1.0
    behind: float = 0.0
    replans: int = 0


@dataclass(frozen=True, slots=True)
class InPlan:
    """What a step of a plan has, and a single call has not.

    `seconds` is what the step may take at most. `shrinks`, as the place's `replans`, is what recovery may still ask of
    the run beyond another model. `grounded`: numbers of the answer must follow from what was given or looked up. `keep`
    takes a result that is left out of a shrunk history and gives its handle, `whole` gives it back.
    """

    upstream: tuple[Upstream, ...] = ()
    signals: Mapping[str, Json] = field(default_factory=dict[str, Json])
    seconds: float = math.inf
    place: Place = Place()
    shrinks: int = 0
    grounded: bool = False
    keep: Callable[[ToolResult], str] = lambda _: ""
    whole: Callable[[ToolResult], ToolResult] = lambda result: result


@dataclass(frozen=True, slots=True)
class Ask:
    """What a step asks of its model.

    `grammar` is the part of `output_schema` that an embedded model is held to (`Request`). `check` finds faults in a
    parsed structured answer beyond its schema, `check_call` those of a call, `read` makes of the answer what is handed
    out. `failures` are those of turns elsewhere, oldest first: they say where on its ladder the step begins. `hold`: a
    stream hands text on only once it was judged.
    """

    step: Step
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    output_schema: Mapping[str, Json] | None = None
    grammar: Mapping[str, Json] | None = None
    check: Callable[[Json], Sequence[str]] | None = None
    check_call: Callable[[ToolCall], Sequence[str]] | None = None
    read: Callable[[Json], Any] = lambda value: value
    writing: Writing = Writing()
    in_plan: InPlan = InPlan()
    failures: tuple[Verdict, ...] = ()
    hold: bool = False


@dataclass(frozen=True, slots=True)
class KeptReply:
    """An accepted reply as the journal keeps it, with where the step stood then."""

    parts: tuple[Part, ...]
    finish: Finish
    usage: Usage | None
    wire_model: str | None
    ladder: Ladder
    degraded: bool


@dataclass(frozen=True, slots=True)
class KeptMove:
    """What recovery decided after a tool turn; no `ladder` where that ended the step."""

    action: Action
    ladder: Ladder | None
    reason: str
    feedback: str


def unmistakable(parts: Sequence[Part], calls: Iterable[ToolCall], turn: int) -> tuple[Part, ...] | None:
    """The parts, calls under ids that no earlier one of `calls` has: some models number each turn's calls from 0.

    None where they are unmistakable as they are.
    """
    taken = {call.id for call in calls}
    if not any(isinstance(part, ToolCall) and part.id in taken for part in parts):
        return None
    return tuple(
        replace(part, id=f"{part.id}-{turn}") if isinstance(part, ToolCall) and part.id in taken else part
        for part in parts
    )


def calls_in(messages: Iterable[Message]) -> list[ToolCall]:
    """The calls that models made in these messages, in order."""
    return [part for message in messages for part in message.parts if isinstance(part, ToolCall)]


def calls_since_asked(messages: Sequence[Message]) -> list[ToolCall]:
    """The calls after the user's last word: one that an earlier question led to may be right for this one too."""
    calls: list[ToolCall] = []
    for message in reversed(messages):
        if message.role == "user":
            break
        calls[:0] = [part for part in message.parts if isinstance(part, ToolCall)]
    return calls
