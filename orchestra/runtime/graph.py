"""planner_executor: plan → execute (↺ ask, replan) → finish as a LangGraph graph."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from orchestra.runtime.agent import Agent
from orchestra.runtime.checkpoints import Checkpoints
from orchestra.runtime.engine import Engine
from orchestra.runtime.nodes import Blueprint, Nodes
from orchestra.runtime.outcome import replans
from orchestra.runtime.portal import Portal
from orchestra.runtime.runs import Runs
from orchestra.runtime.state import RunState

import_module("jsonschema")  # a run's first check would load it, and hold up every other step meanwhile


def planner_executor(engine: Engine, blueprint: Blueprint, checkpoints: Checkpoints, portal: Portal) -> Agent:
    """The compiled graph."""
    runs = Runs(engine, blueprint.name, blueprint.limits)
    nodes = Nodes(engine, blueprint, runs)

    async def after(state: RunState) -> str | list[Send]:  # LangGraph calls a plain function in a thread
        """People first, then a new plan where one is needed, then the steps that are left, then the end."""
        if questions := state.get("questions"):
            return [Send("ask", {"run": state["run"], "question": one}) for one in questions]
        if not state.get("plan") or state.get("plan_only") or state.get("state") == "failed":
            return "finish"
        return "replan" if replans(state, engine.recovery.max_replans) else _goes_on(state)

    graph: Any = StateGraph(RunState)  # its own types are partly unknown to strict checking
    for name in ("plan", "execute", "ask", "replan", "finish"):
        graph.add_node(name, getattr(nodes, name))
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", after, ["ask", "execute", "replan", "finish"])
    graph.add_conditional_edges("execute", after, ["ask", "execute", "replan", "finish"])
    graph.add_conditional_edges("replan", after, ["ask", "execute", "replan", "finish"])
    graph.add_conditional_edges("ask", _after_ask, ["plan", "execute", "replan"])
    graph.add_edge("finish", END)
    compiled = graph.compile(name=blueprint.name)
    parts = dict(cast("dict[str, Any]", vars(compiled)))
    parts.pop("__orig_class__", None)  # typing's own mark, no argument of the class
    return Agent(runs=runs, checkpoints=checkpoints, portal=portal, **parts)


def _goes_on(state: RunState) -> str:
    plan, steps = state["plan"] or {}, state.get("steps", {})
    return "finish" if all(one["id"] in steps for one in plan["steps"]) else "execute"


async def _after_ask(state: RunState) -> str:
    """Back to where the question came from; the steps of a plan that no longer holds are not touched."""
    if not state.get("plan"):
        return "plan"
    return "replan" if state.get("changed") else "execute"
