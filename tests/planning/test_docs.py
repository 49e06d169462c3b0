"""The examples of docs/planning.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "planning.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_of_the_page_runs(block: str) -> None:
    exec(compile(block, "docs/planning.md", "exec"), {"__name__": "docs"})


def test_the_page_has_an_example() -> None:
    assert len(BLOCKS) == 1
