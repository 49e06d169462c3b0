"""Expect: what a reply is held against."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from orchestra.types import Json, ToolCall, ToolSpec


@dataclass(frozen=True, slots=True)
class Expect:
    """What a good reply looks like.

    `tools`: what may be called. `output_schema`: JSON Schema of the answer. `check`: finds faults of a parsed answer
    beyond its schema, one a line; `check_call` those of a call's arguments. `require_call`: an answer without a call
    is a fault; leave it False where abstaining may be right. `earlier_calls`: calls of this step so far; the same
    call may stand among them `repeats` times before it counts as repeated; `failed_calls` are the ids of those that
    have no result. `min_logprob`: least mean token log-probability. `allow_empty`: an empty answer is an answer.
    `grounds`: the texts that the numbers of an answer in prose must follow from; empty: not checked. `goal`: what calls
    are made for, and whose words they must name as far as these are terms of the tool. `window`: the model's window in
    tokens, None where unknown.
    """

    tools: tuple[ToolSpec, ...] = ()
    output_schema: Mapping[str, Json] | None = None
    check: Callable[[Json], Sequence[str]] | None = None
    check_call: Callable[[ToolCall], Sequence[str]] | None = None
    require_call: bool = False
    earlier_calls: tuple[ToolCall, ...] = ()
    failed_calls: Collection[str] = ()
    min_logprob: float | None = None
    repeats: int = 1
    allow_empty: bool = False
    grounds: tuple[str, ...] = ()
    goal: str = ""
    window: int | None = None
