"""Scripted models for the ready agents, and what they were told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestra import RecoveryPolicy, StepPolicy
from orchestra.runtime.catalog import load_agent
from orchestra.testing import ScriptedModel, scripted_app

BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])
NO_REPLAN = {"recovery": RecoveryPolicy(max_replans=0)}


def step(
    number: int, goal: str, *tools: str, needs: tuple[int, ...] = (), difficulty: str = "medium"
) -> dict[str, Any]:
    """A step of a plan as its planner writes it."""
    ids = [f"s{need}" for need in needs]
    return {"id": f"s{number}", "goal": goal, "needs": ids, "tools": list(tools), "difficulty": difficulty}


def plan(*steps: dict[str, Any]) -> str:
    return json.dumps({"steps": steps})


def models(steps: str, small: list[Any], strong: list[Any] | None = None) -> tuple[ScriptedModel, ScriptedModel]:
    """A small model for the steps, and a strong one that plans and is the rung above."""
    return ScriptedModel("small", small), ScriptedModel("strong", [steps, *(strong or [])], tier="capable")


async def ask(
    agent: str, given: tuple[ScriptedModel, ...], task: str, app: Any = None, **options: Any
) -> dict[str, Any]:
    """The answer of a ready agent, built with these options."""
    async with scripted_app(*given, **{"policies": [BOTH]} | (app or {})) as opened:
        return await load_agent(agent).build(opened, **options).ainvoke({"task": task})


def told(model: ScriptedModel, request: int = -1) -> str:
    """All that a request said, tools and messages."""
    return json.dumps(model.requests[request], ensure_ascii=False)


def results(model: ScriptedModel, request: int = -1) -> list[str]:
    """What tools answered, as the model was shown it."""
    return [message["content"] for message in model.requests[request]["messages"] if message["role"] == "tool"]


def tools(model: ScriptedModel, request: int = -1) -> list[str]:
    """The tools that a request declared."""
    return [tool["function"]["name"] for tool in model.requests[request].get("tools", ())]


def write(folder: Path, **files: str) -> Path:
    """Files by name; `__` in a name stands for the dot."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder
