"""A decision in words, for `orchestra route --explain`."""

from __future__ import annotations

from orchestra.fleet.prices import in_words
from orchestra.types import Candidate, Decision, StepContext


def explain(decision: Decision, context: StepContext) -> str:
    """Plain text: what was chosen and why, what comes next, each candidate's numbers with sources, who was refused."""
    sections = [
        _chosen(decision, context),
        ["why", *(f"  {reason.policy}: {reason.text}" for reason in decision.reasons)],
        ["then", f"  up: {_names(decision.ladder)}", f"  sideways: {_names(decision.siblings)}"],
        ["candidates", *map(_row, decision.candidates)],
        ["refused", *(f"  {one.model}: {one.text} ({one.gate})" for one in decision.rejections)],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if len(lines) > 1)


def _chosen(decision: Decision, context: StepContext) -> list[str]:
    step, settings = context.step, decision.settings
    said = [
        f"step {step.name or step.id} ({step.kind}): {context.tokens:,} tokens in context",
        f"model {decision.model} ({decision.tier}), mode {decision.mode}",
        f"expected: quality {decision.quality:.2f}, {in_words(decision.cost)}, {decision.latency:.1f} s",
    ]
    if settings.max_tokens is not None:
        said.append(f"max tokens: {settings.max_tokens:,}")
    if settings.reasoning_effort is not None:
        said.append(f"reasoning effort: {settings.reasoning_effort}")
    return said


def _row(candidate: Candidate) -> str:
    sources = candidate.sources
    preference = f", preference {candidate.preference:+g}" if candidate.preference else ""
    health = f", health {candidate.health:.2f} (measured)" if candidate.health < 1.0 else ""
    reasons = "".join(f"\n    {reason.policy}: {reason.text}" for reason in candidate.reasons)
    return (
        f"  {candidate.card.name} ({candidate.card.tier}): score {candidate.score:.4f}{preference}; "
        f"quality {candidate.quality:.2f} ({sources.get('quality', 'policy')}), "
        f"{in_words(candidate.cost)} ({sources.get('cost', 'policy')}), "
        f"{candidate.latency:.1f} s ({sources.get('latency', 'policy')}){health}{reasons}"
    )


def _names(names: tuple[str, ...]) -> str:
    return " → ".join(names) or "none"
