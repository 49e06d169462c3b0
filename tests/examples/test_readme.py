"""What the README shows runs as it stands there, in a folder where only a fleet.toml lies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestra.testing import CallTool
from tests.examples.running import ROOT, run

BLOCKS = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)
WHOLE = [
    block for block in BLOCKS if re.search(r"^asyncio\.run\(|^import orchestra|^from orchestra", block, re.MULTILINE)
]
STEPS = [
    {"id": "s1", "goal": "price of a lamp", "needs": [], "tools": ["price"], "difficulty": "easy"},
    {"id": "s2", "goal": "price of a chair", "needs": [], "tools": ["price"], "difficulty": "easy"},
    {"id": "s3", "goal": "say both", "needs": ["s1", "s2"], "tools": [], "difficulty": "easy"},
]


def model(body: dict[str, Any]) -> Any:
    """A model for whatever the README asks: it plans, looks prices up, and says them."""
    if "split a task" in body["messages"][0]["content"]:
        return json.dumps({"steps": STEPS})
    text = next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user")
    if results := [m["content"] for m in body["messages"] if m["role"] == "tool"]:
        return f"{results[-1]} euros"
    if not body.get("tools"):
        return "79.5 and 129 euros."
    return CallTool("price", item="lamp" if "lamp" in text.rpartition("Your step:")[2] else "chair")


def test_the_readme_has_an_example_that_is_short_and_whole():
    assert WHOLE
    assert WHOLE[0].count("\n") <= 20


@pytest.mark.parametrize("block", WHOLE, ids=range(len(WHOLE)))
def test_a_block_that_stands_alone_runs_as_it_stands(block: str, tmp_path: Path):
    script = tmp_path / "readme.py"
    script.write_text(block, encoding="utf-8")
    ended, provider = run(script, {"small": model, "strong": model}, tmp_path)
    assert ended.returncode == 0, ended.stderr
    if "ainvoke" in block:
        assert ended.stdout.startswith("79.5 and 129 euros.")
        assert len(provider.requests) == 6
