"""Orchestra: planner-executor agents as graphs, every step routed to the model that fits it.

task → planning → Plan → runtime (steps whose needs are done) → Step
     → routing (fleet candidates → gates → scores) → Decision
     → dispatch (dialect codec → transport → reply) → checks → Verdict
     → recovery ↺ (same model · sibling · stronger · replan · human)
     → ledger (every event) → answer
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestra.app import Orchestra
    from orchestra.dialects import compile_tool
    from orchestra.errors import (
        BudgetExceeded,
        DeadlineExceeded,
        Exhausted,
        NoCandidate,
        OrchestraError,
        StreamCut,
    )
    from orchestra.fleet import Fleet
    from orchestra.recovery import RecoveryPolicy
    from orchestra.routing import ContextPolicy, Policy, StepPolicy
    from orchestra.toolbox import Tool, ToolRejected
    from orchestra.toolbox.tool import tool  # mypy takes that of the room for the file of this name
    from orchestra.types import Action, Decision, Message, Plan, Reply, Step, StepContext, Trigger

_HOMES = {
    "Action": "types",
    "BudgetExceeded": "errors",
    "ContextPolicy": "routing",
    "DeadlineExceeded": "errors",
    "Decision": "types",
    "Exhausted": "errors",
    "Fleet": "fleet",
    "Message": "types",
    "NoCandidate": "errors",
    "Orchestra": "app",
    "OrchestraError": "errors",
    "Plan": "types",
    "Policy": "routing",
    "RecoveryPolicy": "recovery",
    "Reply": "types",
    "Step": "types",
    "StepContext": "types",
    "StepPolicy": "routing",
    "StreamCut": "errors",
    "Tool": "toolbox",
    "ToolRejected": "toolbox",
    "Trigger": "types",
    "compile_tool": "dialects",
    "tool": "toolbox.tool",
}

__all__ = [
    "Action",
    "BudgetExceeded",
    "ContextPolicy",
    "DeadlineExceeded",
    "Decision",
    "Exhausted",
    "Fleet",
    "Message",
    "NoCandidate",
    "Orchestra",
    "OrchestraError",
    "Plan",
    "Policy",
    "RecoveryPolicy",
    "Reply",
    "Step",
    "StepContext",
    "StepPolicy",
    "StreamCut",
    "Tool",
    "ToolRejected",
    "Trigger",
    "compile_tool",
    "tool",
]


if not TYPE_CHECKING:  # a type checker that saw it would take every misspelt name for one that is there

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'orchestra' has no attribute {name!r}")
        value = getattr(import_module(f"orchestra.{_HOMES[name]}"), name)
        globals()[name] = value  # so that __getattr__ is asked once per name
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
