"""StepContext: all a policy may look at, fetched and computed beforehand so that policies stay pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from orchestra.types.json import Json
from orchestra.types.plan import Step
from orchestra.types.verdict import Trigger

Mode: TypeAlias = Literal["quality", "balanced", "cost", "latency"]
Priority: TypeAlias = Literal["low", "normal", "high"]
OutcomeState: TypeAlias = Literal["done", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Upstream:
    """How a needed step ended. Two outcomes of one `name` with different `digest` conflict."""

    step: str
    state: OutcomeState
    name: str = ""
    model: str | None = None
    tokens: int = 0
    digest: str = ""
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier attempt of this run: which step and model, and the trigger if it was refused."""

    step: str
    model: str
    trigger: Trigger | None = None


@dataclass(frozen=True, slots=True)
class StepContext:
    """What the step is and what has happened so far.

    `tenant` and `feature`: for whom and for which part of the user's product it is done.
    `tokens`: tokens in context. `deadline`: seconds left. `money_left`: USD left. `data_tags`:
    compliance tags the data demands of a model. `current_model` with `cached_tokens`: who served this
    conversation last and how much of its prompt cache a switch would lose. `draw`: one random number in
    [0, 1). `signals`: what had to be fetched beforehand.
    """

    step: Step
    text: str = ""
    tokens: int = 0
    output_tokens: int | None = None
    modalities: tuple[str, ...] = ("text",)
    tools: tuple[str, ...] = ()
    structured: bool = False
    upstream: tuple[Upstream, ...] = ()
    history: tuple[Earlier, ...] = ()
    tenant: str | None = None
    feature: str | None = None
    priority: Priority = "normal"
    deadline: float | None = None
    money_left: float | None = None
    allow_unknown_price: bool = False
    data_tags: tuple[str, ...] = ()
    documents: int = 0
    mode: Mode | None = None
    current_model: str | None = None
    cached_tokens: int = 0
    signals: Mapping[str, Json] = field(default_factory=dict[str, Json])
    draw: float = 0.0
