"""The example runs as a reader would run it."""

from __future__ import annotations

from pathlib import Path

from orchestra.testing import CallTool
from tests.examples.running import ROOT, run


def test_13_each_request_has_a_step_of_its_own_and_a_bad_call_is_told_by_the_response(tmp_path: Path):
    small = [
        CallTool("price", thing="lamp"),
        CallTool("price", item="lamp"),
        CallTool("final_result", item="lamp", euros=79.5),
    ]
    ended, provider = run(ROOT / "examples" / "13_pydantic_ai.py", {"small": small, "strong": "never"}, tmp_path)
    assert ended.returncode == 0, ended.stderr
    answer, looked, offered = ended.stdout.splitlines()
    assert answer == "lamp: 79.5 euros"
    assert looked.startswith("orchestra:look_up    small    small schema_violation: price: ")
    assert offered.split() == ["orchestra:offer", "small"]
    assert (provider.count("small"), provider.count("strong")) == (3, 0)
