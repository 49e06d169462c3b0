"""Route by step: rules in Python, the context's own weight, and a policy of yours, with every reason.

Run it: python examples/02_route.py   (no model is called until the last line)
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestra import ContextPolicy, Orchestra, Step, StepContext, StepPolicy
from orchestra.types import Candidate, Reason

FLEET = os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml"))
RULES = StepPolicy(
    [
        {"match": {"kind": "plan"}, "tier": "capable"},
        {"match": {"contains": ["contract", "legal"]}, "tier": "capable", "max_tokens": 400},
        {"match": {"tools": ["rows"]}, "prefer": ["small", "strong"], "escalate": ["capable"]},
    ]
)


def strong_for_vips(context: StepContext, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """A policy is a pure function: it drops or re-scores candidates and says why."""
    if context.tenant != "vip":
        return candidates
    reason = Reason("strong_for_vips", "tenant 'vip' always gets the strongest tier there is")
    return [replace(c, preference=c.preference + c.rank, reasons=(*c.reasons, reason)) for c in candidates]


STEPS = {
    "a planner's step": StepContext(Step("p", kind="plan")),
    "a look-up with a tool": StepContext(Step("l", tools=("rows",)), tools=("rows",)),
    "a step about law": StepContext(Step("c"), text="Summarise this contract."),
    "a hard step": StepContext(Step("h", difficulty="hard")),
    "a VIP's easy step": StepContext(Step("e", difficulty="easy"), tenant="vip"),
}


async def main() -> None:
    async with Orchestra.from_file(FLEET, policies=[RULES, ContextPolicy(), strong_for_vips]) as app:
        for name, context in STEPS.items():
            decision = app.decide(context)
            print(f"{name}: {decision.model}, then {', '.join(decision.ladder) or 'nothing stronger'}")
            for reason in decision.reasons:
                print(f"    {reason.policy}: {reason.text}")
        reply = await app.complete("Say hello in French, one word.", step="greet", max_tokens=20)
        print(f"\n{reply.model} says: {reply.text}")


asyncio.run(main())
