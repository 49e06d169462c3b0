"""The next move: the table's row, read until an action can be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from orchestra.recovery.feedback import feedback
from orchestra.recovery.ladder import Ladder, after
from orchestra.recovery.policy import RecoveryPolicy
from orchestra.recovery.table import Standing
from orchestra.types import Action, CallFault, Decision, Fault, ToolSpec, Trigger, Verdict

_ENDS = frozenset({Action.shrink_context, Action.replan, Action.ask_human, Action.fail})


@dataclass(frozen=True, slots=True)
class Move:
    """What to do next and where it leads.

    `ladder` is the standing after the move. `to_model` is who serves next, None where dispatch asks nobody
    further (shrink_context, replan, ask_human, fail). `feedback` is for `repair` only: the words to add for the model.
    """

    action: Action
    ladder: Ladder
    to_model: str | None
    reason: str
    feedback: str = ""


def next_move(
    policy: RecoveryPolicy,
    decision: Decision,
    ladder: Ladder,
    verdict: Verdict | CallFault,
    *,
    tool: ToolSpec | None = None,
) -> Move:
    """The move that follows a refused reply or a failed attempt. Total: there is always one, and asking on always ends.

    `tool` is the tool that was running, where one was: a `tool_unknown` call is repeated if it is read-only or
    idempotent. Where the provider says whether to send the request again, it has its way. Raises ValueError for an
    accepted verdict: there is nothing to recover from.
    """
    trigger = verdict.trigger
    if trigger is None:
        raise ValueError("next_move: the verdict is accepted, there is nothing to recover from")
    evidence = verdict.evidence if isinstance(verdict, Verdict) else (verdict.text,)
    for action in _allowed(_actions(policy, trigger, tool), verdict):
        there = after(action, policy, decision, ladder)
        if there is not None:
            return _move(action, trigger, evidence, ladder, there)
    return _move(Action.fail, trigger, evidence, ladder, ladder)


def tolerated(policy: RecoveryPolicy, decision: Decision, ladder: Ladder, verdict: Verdict, *, acts: bool) -> Verdict:
    """The verdict, or an accepted one that says why a doubtful reply is kept.

    Low confidence is a reason to ask a stronger model. Where none is left, a form or a look-up is kept; a call that
    `acts` (changes something) is not, nor anything where the policy overrides this trigger: a person decides.
    """
    doubt = Trigger.low_confidence
    if verdict.trigger is not doubt or acts or doubt in policy.overrides:
        return verdict
    if next_move(policy, decision, ladder, verdict).to_model is not None:
        return verdict
    return Verdict(mended=(*verdict.mended, f"kept although {verdict.evidence[0]}: no stronger model is left"))


def _allowed(actions: list[Action], verdict: Verdict | CallFault) -> list[Action]:
    """The actions, by the provider's word on sending the request again; where it asks for it even a 400 may pass."""
    said = verdict.should_retry if isinstance(verdict, CallFault) else None
    if said is False:
        return [action for action in actions if action is not Action.retry]
    asked = said and verdict.trigger is not None and verdict.trigger.fault is Fault.request
    return [Action.retry, *actions] if asked else actions


def _actions(policy: RecoveryPolicy, trigger: Trigger, tool: ToolSpec | None) -> list[Action]:
    row = [policy.action(trigger, standing) for standing in Standing]
    repeatable = tool is not None and (tool.read_only or tool.idempotent)
    return [Action.retry, *row] if trigger is Trigger.tool_unknown and repeatable else row


def _move(action: Action, trigger: Trigger, evidence: tuple[str, ...], ladder: Ladder, there: Ladder) -> Move:
    words = feedback(trigger, evidence) if action is Action.repair else ""
    to_model = None if action in _ENDS else there.model
    lower = ", a lower tier" if there.degraded and there.model != ladder.model else ""
    reason = f"{trigger.value} on {ladder.model}: {_REASONS[action].format(there)}{lower}"
    return Move(action, there, to_model, reason, words)


_REASONS: Mapping[Action, str] = MappingProxyType(
    {
        Action.repair: "tell it what was wrong, time {0.repairs}",
        Action.retry: "the same request again, time {0.retries}",
        Action.sibling: "sideways to {0.model}",
        Action.escalate: "up to {0.model}, rung {0.rung}",
        Action.wider_window: "to the wider window of {0.model}",
        Action.shrink_context: "with a smaller context",
        Action.replan: "the step cannot be done as planned",
        Action.ask_human: "a person has to decide",
        Action.fail: "nothing is left to try",
    }
)
