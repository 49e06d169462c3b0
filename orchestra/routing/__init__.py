"""routing: fleet candidates → gates → **scores → Decision**. Which model serves this step, and why."""

from orchestra.fleet.candidates import revise
from orchestra.routing.composition import bind, compose
from orchestra.routing.context_policy import ContextPolicy
from orchestra.routing.decision import Router, decide, default_policies
from orchestra.routing.explanation import explain
from orchestra.routing.features import Features, PromptCache, features, prompt_cache
from orchestra.routing.policy import Policy, fingerprint, reject
from orchestra.routing.start_at import StartAt
from orchestra.routing.step_policy import StepPolicy, declared_steps

__all__ = [
    "ContextPolicy",
    "Features",
    "Policy",
    "PromptCache",
    "Router",
    "StartAt",
    "StepPolicy",
    "bind",
    "compose",
    "decide",
    "declared_steps",
    "default_policies",
    "explain",
    "features",
    "fingerprint",
    "prompt_cache",
    "reject",
    "revise",
]
