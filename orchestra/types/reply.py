"""Reply: what a call gives back, and the attempts it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestra.types.call import Cost, Finish, Sent, Usage
from orchestra.types.decision import Decision
from orchestra.types.message import Message, ToolCall
from orchestra.types.verdict import Action, Trigger


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to one model. `trigger` is None where its reply was accepted. Seconds from start to end.

    `action` is what recovery did next. `raw_sha256` names the model's raw reply, `first_token` is in seconds.
    """

    id: str
    model: str
    trigger: Trigger | None = None
    evidence: tuple[str, ...] = ()
    action: Action | None = None
    sent: Sent = "yes"
    usage: Usage | None = None
    cost: Cost = Cost(0.0)
    seconds: float = 0.0
    first_token: float | None = None
    wire_model: str | None = None
    raw_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An accepted reply.

    `model` is the fleet's name, `wire_model` what the provider reported. `usage` is the accepted
    attempt's, `cost` the sum over attempts. `output` is the parsed structured answer: JSON, or an
    instance of the pydantic model that was asked for. `message` is what enters history.
    """

    text: str
    model: str
    message: Message
    wire_model: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    output: Any = None
    finish: Finish = "stop"
    usage: Usage | None = None
    cost: Cost = Cost(0.0)
    decisions: tuple[Decision, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    degraded: bool = False
    run: str = ""
