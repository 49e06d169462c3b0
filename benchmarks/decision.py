"""Microseconds of CPU per routing decision, beside the simplest rule: the lowest tier that has a model.

    python benchmarks/decision.py

The promise is 50 µs over 20 candidates with the default policies. Each number is the best of several rounds in this
one process; read the ratios, not the digits.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable, Mapping
from dataclasses import replace

from orchestra.fleet import DEFAULT_TIERS, Fleet, gate, revise
from orchestra.routing import decide, default_policies
from orchestra.types import Candidate, Match, ModelCard, Price, Step, StepContext, StepRule, Upstream

RULES = (
    StepRule(Match(kind=("plan",)), tier="capable"),
    StepRule(Match(tools=("rows",), tokens_over=1_000), prefer=("model07",), escalate=("frontier",), max_tokens=800),
    StepRule(Match(contains=("refactor", "traceback"), code=True), tier="capable", reasoning_effort="low"),
    StepRule(Match(tags=("legal",)), tier="frontier"),
)
PLAIN = StepContext(
    Step("s1", goal="Sum the sales"), text="Sum the sales of May by region", tokens=900, output_tokens=200
)
CASES = {
    "plain step": PLAIN,
    "a rule matches": replace(PLAIN, step=Step("s1", kind="plan")),
    "rule with every setting": replace(PLAIN, tools=("rows",), tokens=2_000),
    "context raises the tier": replace(
        PLAIN, step=Step("s1", difficulty="hard"), upstream=tuple(Upstream(f"u{i}", "done") for i in range(4))
    ),
    "money, deadline, tags": replace(PLAIN, money_left=1.0, deadline=30.0, data_tags=("eu",), tools=("sql",)),
}


def fleet_of(size: int) -> Fleet:
    """A fleet of `size` models over three tiers, all with prices and the region eu."""
    cards = [
        ModelCard(
            name=f"model{i:02}",
            model=f"model{i:02}",
            provider="openai",
            dialect="openai-chat",
            tier=DEFAULT_TIERS[i % 3],
            price=Price(0.1 * (i + 1), 0.5 * (i + 1)),
            window=128_000,
            regions=("eu",),
        )
        for i in range(size)
    ]
    rules = RULES if size > 7 else tuple(replace(rule, prefer=()) for rule in RULES)
    return Fleet.from_cards(cards, rules=rules)


def microseconds(work: Callable[[], object], number: int = 200, rounds: int = 40) -> float:
    """CPU time of one call, the best of `rounds`."""
    return min(timeit.repeat(work, timer=time.process_time, number=number, repeat=rounds)) / number * 1e6


def main() -> None:
    """Print one row per case and fleet size, then what the parts cost."""
    print(f"{'µs CPU per decision':28}{'1 model':>10}{'5 models':>10}{'20 models':>10}")
    fleets = [fleet_of(size) for size in (1, 5, 20)]
    for name, context in CASES.items():
        print(f"{name:28}" + "".join(f"{_decision(fleet, context):10.1f}" for fleet in fleets))
    sick = [_decision(fleet, PLAIN, dict.fromkeys(fleet.models, 0.9)) for fleet in fleets]
    print(f"{'no model in full health':28}" + "".join(f"{each:10.1f}" for each in sick))
    simplest = [microseconds(lambda fleet=fleet: min(fleet.facts, key=lambda one: one.rank)) for fleet in fleets]
    print(f"{'baseline: min by tier':28}" + "".join(f"{each:10.1f}" for each in simplest))
    _parts(fleets[-1])


def _decision(fleet: Fleet, context: StepContext, health: Mapping[str, float] | None = None) -> float:
    policies = default_policies(fleet)
    return microseconds(lambda: decide(fleet, policies, context, health=health))


def _parts(fleet: Fleet) -> None:
    candidate = gate(fleet, PLAIN)[0][0]
    values = [getattr(candidate, name) for name in Candidate.__slots__]
    print(f"\n{'gates and estimates, 20':28}{microseconds(lambda: gate(fleet, PLAIN)):10.1f}")
    print(f"{'revise one candidate':28}{microseconds(lambda: revise(candidate)):10.2f}")
    print(f"{'the same by its __init__':28}{microseconds(lambda: Candidate(*values)):10.2f}")


if __name__ == "__main__":
    main()
