"""Runs a script as a reader would, against a provider that stands in for the models of its fleet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestra.testing import FakeProvider
from tests.app.doubles import KEY, fleet_file

ROOT = Path(__file__).parents[2]


def run(script: Path, models: Mapping[str, Any], folder: Path) -> tuple[subprocess.CompletedProcess[str], FakeProvider]:
    """The finished script and the provider it asked. It works in `folder`, where its fleet.toml lies."""
    with FakeProvider(models) as provider:
        fleet = fleet_file(folder, provider)
        known = {"ORCHESTRA_FLEET": str(fleet), "FLEET_TEST_KEY": KEY, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
        ended = subprocess.run(
            [sys.executable, str(script)],
            cwd=folder,
            env=os.environ | known,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return ended, provider
