"""A crew that died goes on from its checkpoint, on the app of ORCHESTRA_FLEET."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from crewai import Crew
from crewai.events import TaskCompletedEvent, crewai_event_bus
from crewai.events.base_events import BaseEvent
from crewai.events.event_bus import CrewAIEventsBus
from crewai.state.checkpoint_config import CheckpointConfig

from orchestra.errors import BadRequest
from orchestra.integrations.crewai import FLEET, OrchestraLLM
from orchestra.testing import CallTool, Error, FakeProvider
from tests.app.doubles import fleet_file
from tests.integrations.crewai.doubles import RAN, RainTool, agent, task


def kept(folder: Path) -> list[Path]:
    crewai_event_bus.flush()
    return sorted(folder.rglob("*.json"), key=lambda path: path.stat().st_mtime_ns)


@pytest.fixture(autouse=True)
def written_before_the_next_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """CrewAI goes on while another thread writes the checkpoint, which fails where an event is added meanwhile."""
    emit = CrewAIEventsBus.emit

    def waiting(bus: CrewAIEventsBus, source: Any, event: BaseEvent) -> Future[None] | None:
        handled = emit(bus, source, event)
        if isinstance(event, TaskCompletedEvent) and handled is not None:
            handled.result()
        return handled

    monkeypatch.setattr(CrewAIEventsBus, "emit", waiting)


async def test_a_finished_task_is_not_done_again_and_the_next_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    RAN.clear()
    small = ["noted", CallTool("rain", city="Oslo"), Error(400), CallTool("rain", city="Oslo"), "800 mm."]
    async with FakeProvider({"small": small, "strong": "never"}) as provider:
        monkeypatch.setenv(FLEET, str(fleet_file(tmp_path, provider)))
        monkeypatch.setenv("ORCHESTRA_LEDGER", str(tmp_path / "l.db"))
        llm = OrchestraLLM(mode="cost")
        one = agent(llm, RainTool(), max_retry_limit=0)
        written = CheckpointConfig(location=str(tmp_path / "kept"), on_events=["task_completed"])
        died = Crew(agents=[one], tasks=[task(one, "first"), task(one)], checkpoint=written)
        with pytest.raises(BadRequest):
            await asyncio.to_thread(died.kickoff)
        (checkpoint,) = kept(tmp_path / "kept")
        again = Crew.from_checkpoint(CheckpointConfig(restore_from=checkpoint))
        restored = again.agents[0].llm
        assert (type(restored), restored.limits, restored.app) == (OrchestraLLM, {"mode": "cost"}, llm.app)
        result = await asyncio.to_thread(again.kickoff)
        assert provider.count("small") == 5
        await llm.app.aclose()
    assert (result.raw, RAN) == ("800 mm.", ["Oslo", "Oslo"])
