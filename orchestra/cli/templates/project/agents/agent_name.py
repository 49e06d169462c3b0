"""Answers questions about the words of a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestra.toolbox import load_tools

if TYPE_CHECKING:
    from orchestra import Orchestra
    from orchestra.runtime.agent import Agent

PROMPT = Path(__file__).with_suffix(".md")
TOOLS = Path(__file__).parents[1] / "tools"


def build(app: Orchestra) -> Agent:
    """The agent on `app`: `orchestra run agent_name "…"` builds it and runs a task."""
    tools = [load_tools(TOOLS / "count_words.py").count_words]
    background = PROMPT.read_text(encoding="utf-8")
    return app.planner_executor(tools, name="agent_name", max_steps=4, background=background)
