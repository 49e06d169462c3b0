"""planner_executor: plan → execute → finish as a LangGraph graph."""

from __future__ import annotations

from typing import Any, cast

from langgraph.graph import END, START, StateGraph

from orchestra.runtime.agent import Agent
from orchestra.runtime.checkpoints import Checkpoints
from orchestra.runtime.engine import Engine
from orchestra.runtime.nodes import Blueprint, Nodes
from orchestra.runtime.portal import Portal
from orchestra.runtime.runs import Runs
from orchestra.runtime.state import RunState


def planner_executor(engine: Engine, blueprint: Blueprint, checkpoints: Checkpoints, portal: Portal) -> Agent:
    """The compiled graph."""
    runs = Runs(engine, blueprint.limits)
    nodes = Nodes(engine, blueprint, runs)
    graph: Any = StateGraph(RunState)  # its own types are partly unknown to strict checking
    graph.add_node("plan", nodes.plan)
    graph.add_node("execute", nodes.execute)
    graph.add_node("finish", nodes.finish)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", _after_plan, ["execute", "finish"])
    graph.add_edge("execute", "finish")
    graph.add_edge("finish", END)
    compiled = graph.compile(name=blueprint.name)
    parts = dict(cast("dict[str, Any]", vars(compiled)))
    parts.pop("__orig_class__", None)  # typing's own mark, no argument of the class
    return Agent(runs=runs, checkpoints=checkpoints, portal=portal, **parts)


def _after_plan(state: RunState) -> str:
    return "finish" if state.get("plan_only") or not state.get("plan") else "execute"
