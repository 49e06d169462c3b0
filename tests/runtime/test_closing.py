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
