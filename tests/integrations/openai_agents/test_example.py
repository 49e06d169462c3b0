"""The example runs as a reader would run it."""

from __future__ import annotations

from pathlib import Path

from orchestra.testing import CallTool
from tests.examples.running import ROOT, run


def test_12_a_bad_call_is_judged_made_well_by_the_stronger_model_and_answered_by_the_small_one(tmp_path: Path):
    bad = CallTool("price", thing="lamp")
    models = {"small": [bad, bad, "A lamp costs 79.5 euros."], "strong": CallTool("price", item="lamp")}
    ended, provider = run(ROOT / "examples" / "12_openai_agents.py", models, tmp_path)
    assert ended.returncode == 0, ended.stderr
    answer, *judged = ended.stdout.splitlines()
    assert answer == "A lamp costs 79.5 euros."
    assert [line.split() for line in judged] == [
        ["look_up", "small", "schema_violation"],
        ["look_up", "small", "schema_violation"],
        ["look_up", "strong", "accepted"],
        ["look_up", "small", "accepted"],
    ]
    assert (provider.count("small"), provider.count("strong")) == (3, 1)
