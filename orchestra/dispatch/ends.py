"""How a call ends without an accepted reply: which exception, in which words."""

from __future__ import annotations

from collections.abc import Sequence

from orchestra.errors import BadRequest, ContentFiltered, DeadlineExceeded, Exhausted, HumanNeeded, Refused, StreamCut
from orchestra.types import Action, Attempt, Fault, Trigger


def refused(step: str, attempts: Sequence[Attempt], reason: str) -> Refused:
    """The end after the last attempt, whose trigger leads nowhere; `reason` says why."""
    last, trigger = _last(attempts)
    text = f"step {step!r}: {_failure(last)}; {reason}{_before(attempts)}"
    return _kind(last.action, trigger)(text, trigger=trigger, evidence=last.evidence, action=last.action)


def stream_cut(step: str, attempts: Sequence[Attempt], partial_text: str) -> StreamCut:
    """The end of a stream whose first pieces were handed on already."""
    last, trigger = _last(attempts)
    text = f"step {step!r}: {_failure(last)}; {len(partial_text)} characters had been handed on"
    return StreamCut(text, partial_text=partial_text, trigger=trigger, evidence=last.evidence)


def past_deadline(step: str, attempts: Sequence[Attempt]) -> DeadlineExceeded:
    """The end of a call whose deadline has passed."""
    last = (
        f" after {_failure(attempts[-1])}{_before(attempts)}" if attempts else " before the first attempt of this call"
    )
    return DeadlineExceeded(f"step {step!r}: the deadline passed{last}")


def _last(attempts: Sequence[Attempt]) -> tuple[Attempt, Trigger]:
    trigger = attempts[-1].trigger
    assert trigger is not None, "a call ends here only after a failure"
    return attempts[-1], trigger


def _kind(action: Action | None, trigger: Trigger) -> type[Refused]:
    if action is Action.ask_human:
        return HumanNeeded
    if action in (Action.replan, Action.shrink_context):
        return Exhausted  # the caller may go on, dispatch cannot
    if trigger is Trigger.content_filter:
        return ContentFiltered
    return BadRequest if trigger.fault is Fault.request else Exhausted


def _failure(attempt: Attempt) -> str:
    return f"{attempt.trigger} on {attempt.model}: {'; '.join(attempt.evidence)}"


def _before(attempts: Sequence[Attempt]) -> str:
    earlier = ", ".join(f"{one.trigger} on {one.model}" for one in attempts[:-1])
    return f" (before it: {earlier})" if earlier else ""
