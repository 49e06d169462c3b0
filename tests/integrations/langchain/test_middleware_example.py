"""The example runs as a reader would run it, and prints what it promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestra.testing import CallTool
from tests.examples.running import ROOT, run


def weak(body: dict[str, Any]) -> Any:
    last = body["messages"][-1]
    return f"{last['content']} are left." if last["role"] == "tool" else CallTool("stocks", item="lemonade")


def test_14_the_agent_gets_its_answer_and_history_holds_nothing_of_what_went_wrong(tmp_path: Path):
    models = {"small": weak, "strong": CallTool("stock", item="lemonade")}
    ended, provider = run(ROOT / "examples/14_create_agent.py", models, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "turn 0 small: unknown_tool → repair",
        "turn 0 small: unknown_tool → escalate",
        "turn 0 strong: ok",
        "turn 1 small: ok",
        "in history: ['human', 'ai', 'tool', 'ai']",
        "24 bottles are left.",
    ]
    assert [one.model for one in provider.requests] == ["small", "small", "strong", "small"]
