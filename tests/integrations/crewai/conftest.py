"""What holds for every test with CrewAI: it gets a key, sends no telemetry, and writes beside the test."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.doubles import KEY

os.environ.update(  # read when crewai is imported
    CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", OTEL_SDK_DISABLED="true"
)
with warnings.catch_warnings(action="ignore"):  # it warns of its own modules while they are imported
    from crewai.events import crewai_event_bus
    from crewai.events.types.llm_events import (
        LLMCallCompletedEvent,
        LLMCallFailedEvent,
        LLMCallStartedEvent,
        LLMStreamChunkEvent,
        LLMThinkingChunkEvent,
    )

KINDS = (
    LLMCallStartedEvent,
    LLMStreamChunkEvent,
    LLMThinkingChunkEvent,
    LLMCallCompletedEvent,
    LLMCallFailedEvent,
)


@pytest.fixture(autouse=True)
def own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLEET_TEST_KEY", KEY)
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def ran() -> list[str]:
    """What the tools of a test were called with."""
    return []


@pytest.fixture
def heard() -> Iterator[Callable[[], list[Any]]]:
    """CrewAI's events about LLM calls so far, in order."""
    found: list[Any] = []

    def so_far() -> list[Any]:
        crewai_event_bus.flush()
        return sorted(found, key=lambda event: event.emission_sequence)

    with crewai_event_bus.scoped_handlers():
        for kind in KINDS:
            crewai_event_bus.on(kind)(lambda source, event: found.append(event))
        yield so_far


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A warning of CrewAI's about its own deprecated fields is no fault of ours."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:crewai"))
