"""Whose call it is, and its step: of CrewAI's task and agent, also where CrewAI leaves both out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary, ref

from crewai.context import get_current_task_id
from crewai.utilities.token_counter_callback import TokenCalcHandler

from orchestra import types as t


def asking(llm: Any, task: Any, agent: Any, callbacks: Sequence[Any] | None) -> tuple[Any, Any]:
    """Task and agent of a call of this LLM; where CrewAI names neither, those for which it asked before.

    An executor hands a token counter of its own over with each call, with the one for a last answer at `max_iter` too.
    Without one it is the agent with this LLM that is at work on the current task, as where CrewAI turns an answer into
    `output_pydantic`.
    """
    counters = [one for one in callbacks or () if isinstance(one, TokenCalcHandler)]
    if task is None and agent is None:
        return next((_asked(one) for one in counters if one in _ASKED), None) or _at_work(llm)
    for one in counters:
        _ASKED[one] = _weak(task), _weak(agent)
    if task is not None and agent is not None:
        _TASKS[str(task.id)], _AGENTS[str(task.id)] = task, agent
    return task, agent


def step_of(task: Any, agent: Any, tools: Sequence[Any]) -> t.Step:
    """The step of a call that CrewAI makes for this task and agent."""
    agent = agent or getattr(task, "agent", None)
    role = str(getattr(agent, "role", "")).strip()
    name = getattr(task, "name", None) or role or "call"
    goal = str(getattr(task, "description", ""))
    return t.Step(name, goal, _kind(agent, role, tools), name, tags=(role,) if role else ())


_ASKED: WeakKeyDictionary[Any, tuple[Callable[[], Any], Callable[[], Any]]] = WeakKeyDictionary()
_TASKS: WeakValueDictionary[str, Any] = WeakValueDictionary()
_AGENTS: WeakValueDictionary[str, Any] = WeakValueDictionary()
_PLANNERS = frozenset({"Task Execution Planner"})  # CrewAI's own agent, made for Crew(planning=True)
_PLANNING = "create_reasoning_plan"  # the function by which an agent with a planning_config plans


def _asked(counter: Any) -> tuple[Any, Any]:
    task, agent = _ASKED[counter]
    return task(), agent()


def _at_work(llm: Any) -> tuple[Any, Any]:
    current = get_current_task_id() or ""
    agent = _AGENTS.get(current)
    return (_TASKS.get(current), agent) if getattr(agent, "llm", None) is llm else (None, None)


def _weak(one: Any) -> Callable[[], Any]:
    """A way to it that does not keep it: an agent's executor holds the counter."""
    return ref(one) if one is not None else lambda: None


def _kind(agent: Any, role: str, tools: Sequence[Any]) -> str:
    if role in _PLANNERS or any(tool.name == _PLANNING for tool in tools):
        return "plan"
    crew = getattr(agent, "crew", None)
    return "manage" if crew and crew.manager_agent is agent else "act"
