"""Thinking, effort and required calls of one request to a Claude: settings that exclude one another, by model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestra.dialects.anthropic_models import Takes, takes
from orchestra.dialects.anthropic_turns import Turn, begins_with_thought
from orchestra.dialects.asked import Asked
from orchestra.dialects.loose import is_object


@dataclass(frozen=True, slots=True)
class Settled:
    """What goes out: `thinking`, `output_config.effort`, whether a call is forced, whether sampling may be set."""

    thinking: dict[str, Any] | None
    effort: str | None
    forced: bool
    sampling: bool
    notes: tuple[str, ...]


def settled(said: Asked, turns: Sequence[Turn], max_tokens: int) -> Settled:
    """The settings that the model takes together; `thinking` among the extra parameters beats the effort's own.

    Where a call is required it is forced and the model does not think, for the API refuses both at once; the newest
    models refuse to be forced at all, and are left to decide.
    """
    taken, notes = takes(said.card.model), list[str]()
    forced = bool(said.compiled) and said.tool_choice == "required"
    if forced and not taken.forced_tools:
        notes.append(f"tool_choice required left out: {said.card.model} refuses it")
        forced = False
    thinking, effort = _wanted(said, taken, turns, max_tokens, notes)
    if forced:
        if _is_on(thinking):
            notes.append("thinking left out: it cannot go with a required tool call")
        thinking = {"type": "disabled"} if taken.thinks else None
    if thinking == {"type": "disabled"} and effort in ("xhigh", "max"):
        notes.append(f"reasoning_effort {effort} left out: it cannot go without thinking")
        effort = None
    return Settled(thinking, effort, forced, taken.sampling and not _is_on(thinking), tuple(notes))


def _wanted(
    said: Asked, taken: Takes, turns: Sequence[Turn], max_tokens: int, notes: list[str]
) -> tuple[dict[str, Any] | None, str | None]:
    given, effort = said.extra.get("thinking"), said.parameters.reasoning_effort
    thinking: dict[str, Any] | None = given if is_object(given) else None
    if given is not None and thinking is None:
        notes.append("extra 'thinking' left out: it is no object")
    if effort is None:
        return thinking, None
    if taken.budget:
        if thinking is None:
            return _budget(effort, turns, max_tokens, notes), None
        notes.append(f"reasoning_effort {effort} left out: extra 'thinking' says how much {said.card.model} thinks")
        return thinking, None
    if effort not in taken.efforts:
        notes.append(
            f"reasoning_effort {effort!r} left out: {said.card.model} takes {', '.join(sorted(taken.efforts))}"
        )
        return thinking, None
    return thinking or ({"type": "adaptive"} if taken.adaptive else None), effort


def _budget(effort: str, turns: Sequence[Turn], max_tokens: int, notes: list[str]) -> dict[str, Any] | None:
    """Tokens for thinking; they count as output, so half of it is left for the answer."""
    budget = min(_BUDGETS.get(effort, 0), max(_LEAST, max_tokens // 2))
    if not budget:
        why = f"the model takes {', '.join(_BUDGETS)}"
    elif max_tokens <= _LEAST:
        why = f"{max_tokens} tokens leave no room for thinking"
    elif not begins_with_thought(turns):
        why = "the calls under way were made without thinking"
    else:
        return {"type": "enabled", "budget_tokens": budget}
    notes.append(f"reasoning_effort {effort} left out: {why}")
    return None


def _is_on(thinking: dict[str, Any] | None) -> bool:
    return thinking is not None and thinking.get("type") != "disabled"


_LEAST = 1_024  # the least that `budget_tokens` may say
_BUDGETS = {"low": 2_048, "medium": 8_192, "high": 24_576}
