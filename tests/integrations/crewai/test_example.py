"""The example runs as a reader would run it."""

from __future__ import annotations

from pathlib import Path

from orchestra.testing import CallTool
from tests.examples.running import ROOT, run


def test_11_tasks_are_steps_and_a_bad_call_never_reaches_the_crew(tmp_path: Path):
    bad = CallTool("price", thing="lamp")
    models = {"small": [bad, bad, "79.50 euros.", "A lamp is 79.50 euros."], "strong": CallTool("price", item="lamp")}
    ended, provider = run(ROOT / "examples" / "11_crewai.py", models, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-6:] == [
        "A lamp is 79.50 euros.",
        "look_up  small   schema_violation",
        "look_up  small   schema_violation",
        "look_up  strong  accepted",
        "look_up  small   accepted",
        "letter   small   accepted",
    ]
    assert (provider.count("small"), provider.count("strong")) == (4, 1)
