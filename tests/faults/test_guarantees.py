"""docs/guarantees.md names tests that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "guarantees.md"
NAMED = sorted(set(re.findall(r"`(\w+\.py)::(\w+)`", PAGE.read_text("utf-8"))))


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_every_test_that_holds_a_guarantee_exists(file, test):
    assert [path for path in TESTS.rglob(file) if f"def {test}(" in path.read_text("utf-8")]


def test_every_scenario_is_guaranteed():
    scenarios = re.findall(r"def (test_s\d\d\w*)\(", (TESTS / "faults" / "test_scenarios.py").read_text("utf-8"))
    assert {name[:8] for name in scenarios} == {name[:8] for _, name in NAMED if re.match(r"test_s\d\d_", name)}
