"""A run that is killed anywhere, again and again, ends as if nothing had happened."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked to be killed")
def test_two_hundred_kills_lose_nothing_and_repeat_nothing(capsys):
    command = [sys.executable, "-m", "tests.chaos", "--kills", "200"]  # another process: this one has threads
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    with capsys.disabled():
        print(f"\n{ended.stdout.strip()}")
    assert ended.returncode == 0, ended.stderr + ended.stdout
