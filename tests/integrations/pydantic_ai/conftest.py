"""What holds for every test with the framework: a key for the fleet's models, and nothing written elsewhere."""

from __future__ import annotations

import pytest

from tests.app.doubles import KEY


@pytest.fixture(autouse=True)
def own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_TEST_KEY", KEY)


@pytest.fixture
def ran() -> list[str]:
    """What the tools of a test were called with."""
    return []
