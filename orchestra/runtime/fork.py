"""A fork: what of an older state the run that goes on from it takes over."""

from __future__ import annotations

from typing import Any

from langgraph.types import StateSnapshot


def fork(state: StateSnapshot, run: str) -> dict[str, Any]:
    """What is different in the state of the new run `run`.

    What people told the old one holds for it too. What they decided of acts does not: it does the acts again, and one
    yes is no yes to two payments. Questions that were answered there are open no more; a step asks its own anew.
    """
    answers: dict[str, Any] = state.values.get("answers", {})
    return {
        "run": run,
        "forked": state.values.get("run", ""),
        "cost": {},
        "usage": {},
        "seconds": 0.0,
        "answers": {name: None for name, one in answers.items() if one["decision"] != "answer"},
        "questions": state.values.get("questions", []) if "ask" in state.next else [],
    }
