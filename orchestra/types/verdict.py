"""Triggers, whose fault they are, actions, and the verdict on a reply."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Whose fault a trigger is."""

    provider = "provider"
    request = "request"
    model = "model"
    unknown = "unknown"


class Trigger(StrEnum):
    """A typed failure. `fault` says whose; the recovery table says what to do."""

    rate_limited = "rate_limited"
    overloaded = "overloaded"
    timeout = "timeout"
    connection = "connection"
    server_error = "server_error"
    auth = "auth"
    quota = "quota"
    stream_cut = "stream_cut"
    bad_reply = "bad_reply"

    bad_request = "bad_request"
    context_overflow = "context_overflow"
    content_filter = "content_filter"

    unknown_tool = "unknown_tool"
    malformed_args = "malformed_args"
    schema_violation = "schema_violation"
    tool_rejected = "tool_rejected"
    tool_error = "tool_error"
    tool_timeout = "tool_timeout"
    repeated_call = "repeated_call"
    no_progress = "no_progress"
    no_call = "no_call"
    empty = "empty"
    refusal = "refusal"
    truncated = "truncated"
    bad_output = "bad_output"
    low_confidence = "low_confidence"
    judged_bad = "judged_bad"

    tool_unknown = "tool_unknown"

    @property
    def fault(self) -> Fault:
        """The group this trigger belongs to."""
        return _FAULTS[self]


_PROVIDER = "rate_limited overloaded timeout connection server_error auth quota stream_cut bad_reply"
_REQUEST = "bad_request context_overflow content_filter"
_FAULTS: dict[Trigger, Fault] = (
    dict.fromkeys(Trigger, Fault.model)
    | {Trigger(name): Fault.provider for name in _PROVIDER.split()}
    | {Trigger(name): Fault.request for name in _REQUEST.split()}
    | {Trigger.tool_unknown: Fault.unknown}
)


class Action(StrEnum):
    """What recovery may do next.

    `repair`: the same model again, told exactly what was wrong. `retry`: the same request again.
    `sibling`: sideways. `escalate`: up a rung.
    """

    repair = "repair"
    retry = "retry"
    sibling = "sibling"
    escalate = "escalate"
    wider_window = "wider_window"
    shrink_context = "shrink_context"
    replan = "replan"
    ask_human = "ask_human"
    fail = "fail"


FAILED_EACH_TIME = "and failed each time"
"""How evidence of a `repeated_call` ends where those before it had no result."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checks say of a reply: accepted, or a trigger with evidence.

    `evidence` says exactly what was wrong, one fault a line, in words the model can act on.
    `mended` lists lossless repairs that were made (fences, trailing commas).
    """

    trigger: Trigger | None = None
    evidence: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """True where the reply may be used."""
        return self.trigger is None
