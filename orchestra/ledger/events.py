"""The ledger's events: what happened, append-only, enough to audit, to bill, to resume and to replay.

Fields listed in a class's `content` hold what people and models wrote; they are stored only when asked for
(`Ledger(content=True)`), but listeners in the process always see them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from orchestra.types import (
    Action,
    Cost,
    Decision,
    Finish,
    Json,
    Plan,
    Sent,
    StepContext,
    Trigger,
    Usage,
)

StepState: TypeAlias = Literal["done", "failed", "skipped"]
RunState: TypeAlias = Literal["done", "failed", "cancelled", "interrupted"]
QuestionKind: TypeAlias = Literal["approval", "question", "unknown", "stuck", "budget"]
WaitReason: TypeAlias = Literal["backoff", "rate_limit", "slot", "money"]
BreakerState: TypeAlias = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run or a single call begins. `agent` is its name, `fleet` the fingerprint of the fleet."""

    type: ClassVar[Literal["run_started"]] = "run_started"
    content: ClassVar[tuple[str, ...]] = ("task",)
    agent: str
    task: str = ""
    fleet: str = ""
    mode: str = ""


@dataclass(frozen=True, slots=True)
class RunResumed:
    """A run goes on, by `process`, after an interruption or its process's death. `notes` say what was adapted."""

    type: ClassVar[Literal["run_resumed"]] = "run_resumed"
    content: ClassVar[tuple[str, ...]] = ()
    agent: str
    process: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Invoked:
    """How a command line began the run, so that another can build the same agent: names and paths as given."""

    type: ClassVar[Literal["invoked"]] = "invoked"
    content: ClassVar[tuple[str, ...]] = ()
    agent: str
    data: str = ""
    fleet: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan was accepted. `faults` are what was wrong with the plans refused before it.

    `version` counts from 1; of a later one `reason` says why it was made and `kept` which finished steps stay.
    """

    type: ClassVar[Literal["planned"]] = "planned"
    content: ClassVar[tuple[str, ...]] = ()
    plan: Plan
    version: int = 1
    faults: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step's needs are done and it begins."""

    type: ClassVar[Literal["step_started"]] = "step_started"
    content: ClassVar[tuple[str, ...]] = ()
    goal: str
    kind: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """Routing chose. `policies` is the fingerprint of the policies that decided."""

    type: ClassVar[Literal["decided"]] = "decided"
    content: ClassVar[tuple[str, ...]] = ()
    context: StepContext
    decision: Decision
    policies: str = ""


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A request is about to be sent to a model. `turn` counts the step's turns from 0, `rung` rungs climbed.

    `reserved` is the money held for it in USD, 0 of a model that is free, None where none is held, and `holder` the app
    whose budgets count it already.
    `key` is the name of the API key, never its value, "" where there is none, and `place` the base_url or region, ""
    where the model has one only. Attempts of one `call` brought one reply: retries and failovers of each other; in
    ledgers of earlier versions it is "". `whole`: no stream is asked for, because the dialect or the model has none, or
    because nothing is asked; else None.
    """

    type: ClassVar[Literal["attempt_started"]] = "attempt_started"
    content: ClassVar[tuple[str, ...]] = ()
    attempt: str
    model: str
    turn: int = 0
    rung: int = 0
    degraded: bool = False
    notes: tuple[str, ...] = ()
    reserved: float | None = None
    holder: str | None = None
    key: str = ""
    place: str = ""
    call: str = ""
    whole: Literal[True] | None = None


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt is over: `trigger` is None where a complete reply arrived (its verdict follows). Seconds."""

    type: ClassVar[Literal["attempt_ended"]] = "attempt_ended"
    content: ClassVar[tuple[str, ...]] = ("raw",)
    attempt: str
    model: str
    wire_model: str | None = None
    trigger: Trigger | None = None
    status: int | None = None
    sent: Sent = "yes"
    finish: Finish | None = None
    usage: Usage | None = None
    cost: Cost = Cost(0.0)
    seconds: float = 0.0
    first_token: float | None = None
    raw_sha256: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on an attempt, and what recovery does next (`action` None: accepted). `feedback` as sent."""

    type: ClassVar[Literal["verdict"]] = "verdict"
    content: ClassVar[tuple[str, ...]] = ("feedback",)
    attempt: str
    model: str
    trigger: Trigger | None = None
    evidence: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    action: Action | None = None
    to_model: str | None = None
    reason: str = ""
    feedback: str = ""


@dataclass(frozen=True, slots=True)
class Waited:
    """A call has waited `seconds` before an attempt on a target (model, provider, key's name, place), and `why`."""

    type: ClassVar[Literal["waited"]] = "waited"
    content: ClassVar[tuple[str, ...]] = ()
    model: str
    seconds: float
    why: WaitReason
    provider: str = ""
    key: str = ""
    place: str = ""
    call: str = ""


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """The circuit breaker of a target (model, provider, key's name, place) changed its state, and the reason.

    `wait` is in how many seconds it lets a call through again, 0.0 where it does now.
    """

    type: ClassVar[Literal["breaker_changed"]] = "breaker_changed"
    content: ClassVar[tuple[str, ...]] = ()
    model: str
    state: BreakerState
    wait: float = 0.0
    reason: str = ""
    provider: str = ""
    key: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool is about to run; written before it does."""

    type: ClassVar[Literal["tool_started"]] = "tool_started"
    content: ClassVar[tuple[str, ...]] = ("arguments",)
    call: str
    tool: str
    turn: int = 0
    read_only: bool = False
    idempotent: bool = False
    arguments: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """A tool's end: `trigger` is None where it succeeded, else one of tool_error, tool_timeout, tool_rejected."""

    type: ClassVar[Literal["tool_ended"]] = "tool_ended"
    content: ClassVar[tuple[str, ...]] = ("result",)
    call: str
    tool: str
    trigger: Trigger | None = None
    seconds: float = 0.0
    size: int = 0
    result: str = ""


@dataclass(frozen=True, slots=True)
class HumanAsked:
    """A person is asked: to approve a call, a question, what became of an unknown call, for money.

    `question` is its id; the same question may be asked again after a resume.
    """

    type: ClassVar[Literal["human_asked"]] = "human_asked"
    content: ClassVar[tuple[str, ...]] = ("text", "arguments")
    question: str
    kind: QuestionKind
    tool: str = ""
    text: str = ""
    arguments: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, slots=True)
class HumanAnswered:
    """A person's answer to the question of that id: the `decision` and what they wrote."""

    type: ClassVar[Literal["human_answered"]] = "human_answered"
    content: ClassVar[tuple[str, ...]] = ("text",)
    question: str
    decision: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class ContextShrunk:
    """A step's messages were cut down to fit: tokens before and after (`exact`: counted by the model's tokenizer).

    `pruned` counts tool results cut, `summarised` messages replaced by a summary that `model` wrote.
    """

    type: ClassVar[Literal["context_shrunk"]] = "context_shrunk"
    content: ClassVar[tuple[str, ...]] = ()
    turn: int
    before: int
    after: int
    pruned: int
    summarised: int
    exact: bool
    model: str = ""


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step is over, on which model; `trigger` and `evidence` say why it failed."""

    type: ClassVar[Literal["step_ended"]] = "step_ended"
    content: ClassVar[tuple[str, ...]] = ("result",)
    state: StepState
    model: str | None = None
    turns: int = 0
    degraded: bool = False
    trigger: Trigger | None = None
    evidence: tuple[str, ...] = ()
    result: str = ""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run is over, or was left for now: after `interrupted` it can be resumed."""

    type: ClassVar[Literal["run_ended"]] = "run_ended"
    content: ClassVar[tuple[str, ...]] = ("answer",)
    state: RunState
    seconds: float = 0.0
    reason: str = ""
    answer: str = ""


Event: TypeAlias = (
    RunStarted
    | RunResumed
    | Invoked
    | Planned
    | StepStarted
    | Decided
    | AttemptStarted
    | AttemptEnded
    | Judged
    | Waited
    | BreakerChanged
    | ToolStarted
    | ToolEnded
    | HumanAsked
    | HumanAnswered
    | ContextShrunk
    | StepEnded
    | RunEnded
)


@dataclass(frozen=True, slots=True)
class Row:
    """An event in its place: sequence number, run, step ("" for the run itself), Unix seconds."""

    seq: int
    run: str
    step: str
    time: float
    event: Event
