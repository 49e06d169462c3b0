"""Whose call it is, and its step: of CrewAI's task and agent, also where CrewAI leaves both out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary, ref

from crewai.utilities.token_counter_callback import TokenCalcHandler

from orchestra import types as t


def asking(task: Any, agent: Any, callbacks: Sequence[Any] | None) -> tuple[Any, Any]:
    """Task and agent of a call; where CrewAI names neither, those for which its executor asked before.

    An executor hands a token counter of its own over with each call, with the one for a last answer at `max_iter` too.
    """
    counters = [one for one in callbacks or () if isinstance(one, TokenCalcHandler)]
    if task is None and agent is None:
        return next((_asked(one) for one in counters if one in _ASKED), (None, None))
    for one in counters:
        _ASKED[one] = _weak(task), _weak(agent)
    return task, agent


def step_of(task: Any, agent: Any, tools: Sequence[Any]) -> t.Step:
    """The step of a call that CrewAI makes for this task and agent."""
    agent = agent or getattr(task, "agent", None)
    role = str(getattr(agent, "role", "")).strip()
    name = getattr(task, "name", None) or role or "call"
    goal = str(getattr(task, "description", ""))
    return t.Step(name, goal, _kind(agent, role, tools), name, tags=(role,) if role else ())


_ASKED: WeakKeyDictionary[Any, tuple[Callable[[], Any], Callable[[], Any]]] = WeakKeyDictionary()
_PLANNERS = frozenset({"Task Execution Planner"})  # CrewAI's own agent, made for Crew(planning=True)
_PLANNING = "create_reasoning_plan"  # the function by which an agent with a planning_config plans


def _asked(counter: Any) -> tuple[Any, Any]:
    task, agent = _ASKED[counter]
    return task(), agent()


def _weak(one: Any) -> Callable[[], Any]:
    """A way to it that does not keep it: an agent's executor holds the counter."""
    return ref(one) if one is not None else lambda: None


def _kind(agent: Any, role: str, tools: Sequence[Any]) -> str:
    if role in _PLANNERS or any(tool.name == _PLANNING for tool in tools):
        return "plan"
    crew = getattr(agent, "crew", None)
    return "manage" if crew and crew.manager_agent is agent else "act"
