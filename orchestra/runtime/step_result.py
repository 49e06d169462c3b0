"""StepResult: how a step ended; and what `settle`, which has the last word on it, has said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from orchestra.errors import ConfigError
from orchestra.runtime.scope import words
from orchestra.types import Json, OutcomeState, Step, ToolCall, Trigger, Verdict

Signals: TypeAlias = "Callable[[Step, Mapping[str, StepResult]], Mapping[str, Json]]"
Settle: TypeAlias = (
    "Callable[[Step, StepResult, Sequence[tuple[ToolCall, str]], Mapping[str, StepResult]], StepResult | Iterable[str]]"
)
"""From a step, its result, its calls that succeeded with what they gave, and its upstream results."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step ended: its text, its parsed output where a schema asked for one, and by which model.

    `replan`: it asks for other steps. `acts` are its calls that changed something, in words.
    """

    state: OutcomeState
    text: str = ""
    output: Json = None
    model: str | None = None
    turns: int = 0
    tokens: int = 0
    degraded: bool = False
    trigger: Trigger | None = None
    evidence: tuple[str, ...] = ()
    replan: bool = False
    acts: tuple[str, ...] = ()


def settled(said: Any, result: StepResult) -> StepResult | Verdict:
    """What `settle` has said of a result. Raises ConfigError where that is neither a result nor faults."""
    if isinstance(said, StepResult):
        return said
    if not isinstance(said, Iterable):
        raise ConfigError(f"settle: got {type(said).__name__}; {_SETTLE}")
    faults = words(cast("Iterable[str]", said or ()))
    if odd := next((type(fault).__name__ for fault in faults if not isinstance(cast("object", fault), str)), None):
        raise ConfigError(f"settle: got a {odd} among the faults; {_SETTLE}")
    return Verdict(Trigger.judged_bad, faults) if faults else result


_SETTLE = "return the StepResult to take, or its faults, one a text"
