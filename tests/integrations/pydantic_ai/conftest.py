"""What holds for every test with the framework: a key for the fleet's models, and nothing written elsewhere."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.app.doubles import KEY

collect_ignore_glob = [] if find_spec("pydantic_ai") else ["*.py"]  # it is in an environment of its own


@pytest.fixture(autouse=True)
def own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_TEST_KEY", KEY)


@pytest.fixture
def ran() -> list[str]:
    """What the tools of a test were called with."""
    return []
