"""Stream events: what a caller sees while a reply arrives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from orchestra.types.call import Usage
from orchestra.types.message import ToolCall
from orchestra.types.reply import Reply
from orchestra.types.verdict import Action, Trigger


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text."""

    type: ClassVar[Literal["text"]] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning."""

    type: ClassVar[Literal["reasoning"]] = "reasoning"
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallReady:
    """A whole tool call that has passed its checks."""

    type: ClassVar[Literal["tool_call"]] = "tool_call"
    call: ToolCall


@dataclass(frozen=True, slots=True)
class UsageReported:
    """Tokens of the accepted attempt."""

    type: ClassVar[Literal["usage"]] = "usage"
    usage: Usage


@dataclass(frozen=True, slots=True)
class AttemptChanged:
    """Another attempt follows: failover, escalation or degradation, with the reason."""

    type: ClassVar[Literal["attempt"]] = "attempt"
    action: Action
    from_model: str
    to_model: str
    trigger: Trigger
    reason: str
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """The stream is complete; carries the Reply."""

    type: ClassVar[Literal["end"]] = "end"
    reply: Reply


StreamEvent: TypeAlias = TextDelta | ReasoningDelta | ToolCallReady | UsageReported | AttemptChanged | End
