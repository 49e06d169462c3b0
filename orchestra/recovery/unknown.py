"""A call that was started and whose end was never recorded: what to do about it."""

from __future__ import annotations

from orchestra.recovery.policy import RecoveryPolicy
from orchestra.recovery.table import Standing
from orchestra.types import Action, ToolSpec, Trigger


def after_unknown(policy: RecoveryPolicy, tool: ToolSpec) -> Action:
    """`retry` where the call may be repeated, else what the table says: a person knows, or nobody does."""
    if tool.read_only or tool.idempotent:
        return Action.retry
    return policy.action(Trigger.tool_unknown, Standing.fresh)
