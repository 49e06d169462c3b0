"""An app that is closed while calls of its own event loop are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from orchestra.errors import LedgerError
from orchestra.ledger import AttemptEnded, Ledger
from orchestra.testing import Error, ScriptedModel, Silence, scripted_app


async def _read(app: Any) -> None:
    async for _ in app.stream("x"):
        pass


CALLS: dict[str, Callable[[Any], Any]] = {"complete": lambda app: app.complete("x"), "stream": _read}
WAITS = {"a request": Silence(), "a back-off": Error(429, headers={"retry-after": "30"})}


@pytest.mark.parametrize("behaviour", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_calls_under_way_are_told_at_once_and_the_ledger_has_their_ends(
    call: Callable[[Any], Any], behaviour: Any, tmp_path: Path
) -> None:
    asked = asyncio.Event()

    def model(_: dict[str, Any]) -> Any:
        asked.set()
        return behaviour

    app = scripted_app(ScriptedModel("small", model), ledger=tmp_path / "l.db")
    calls = [asyncio.create_task(call(app)) for _ in range(2)]
    await asyncio.wait_for(asked.wait(), 10)
    for _ in range(20):
        await asyncio.sleep(0)
    await app.aclose()
    done, _ = await asyncio.wait(calls, timeout=2)
    assert len(done) == 2
    for one in done:
        assert isinstance(one.exception(), LedgerError)
        assert "'call': the app was closed" in str(one.exception())
    ledger = Ledger(tmp_path / "l.db")
    for run in ledger.runs():
        assert (run.state, run.attempts) == ("failed", 1)
        assert any(isinstance(row.event, AttemptEnded) for row in ledger.events(run.run))
    ledger.close()


async def _node(app: Any) -> None:
    async def work(_: object) -> None:
        await app.complete("x")

    await app.node(work, step="work")({})


BEGUN_LATER: dict[str, Callable[[Any], Any]] = {
    **CALLS,
    "complete_sync": lambda app: asyncio.to_thread(app.complete_sync, "x"),
    "stream_sync": lambda app: asyncio.to_thread(lambda: list(app.stream_sync("x"))),
    "node": _node,
    "agent": lambda app: app.planner_executor().ainvoke({"task": "x"}),
    "chat model": lambda app: app.chat_model(step="work").ainvoke("x"),
}


@pytest.mark.parametrize("call", BEGUN_LATER.values(), ids=BEGUN_LATER)
async def test_a_call_on_an_app_that_was_closed_says_so(call: Callable[[Any], Any], tmp_path: Path) -> None:
    app = scripted_app(ScriptedModel("small", "never asked"), ledger=tmp_path / "l.db")
    await app.aclose()
    with pytest.raises(LedgerError, match="the app was closed; make a new one"):
        await call(app)
    app.portal.close()


async def test_whoever_cancels_a_call_while_the_app_is_closed_finds_it_cancelled(tmp_path: Path) -> None:
    asked = asyncio.Event()

    def model(_: dict[str, Any]) -> Any:
        asked.set()
        return Silence()

    app = scripted_app(ScriptedModel("small", model), ledger=tmp_path / "l.db")
    call = asyncio.create_task(app.complete("x"))
    await asyncio.wait_for(asked.wait(), 10)
    call.cancel()
    await app.aclose()
    with suppress(LedgerError):
        await asyncio.wait([call], timeout=2)
    assert call.cancelled()
