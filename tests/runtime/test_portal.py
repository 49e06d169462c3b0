"""Ctrl-C in synchronous code: what it interrupts is at rest when it comes out, and comes out as itself."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestra import tool
from orchestra.ledger import Ledger, RunEnded
from orchestra.runtime import portal as module
from orchestra.runtime.portal import Portal
from orchestra.testing import ScriptedModel, Silence, scripted_app
from tests.runtime.scripts import THREAD, app_of, events, plans
from tests.runtime.till import PAYS, TASK


@pytest.fixture
def portal() -> Iterator[Portal]:
    made = Portal()
    yield made
    made.close()


class Interrupted:
    """Work in whose midst the user presses Ctrl-C; `ended` once it has cleaned up, which takes some rounds."""

    def __init__(self, rounds: int = 2000) -> None:
        self.ended, self._rounds = threading.Event(), rounds

    async def work(self) -> None:
        main = threading.main_thread().ident
        assert main
        asyncio.get_running_loop().call_later(
            0.05, signal.pthread_kill, main, signal.SIGINT
        )  # the caller waits by then
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(self._rounds):
                await asyncio.sleep(0)
            self.ended.set()

    async def items(self) -> AsyncIterator[int]:
        yield 1
        await self.work()


def test_work_that_is_interrupted_has_come_to_its_end_when_the_caller_goes_on(portal):
    interrupted = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        portal.run("invoke", interrupted.work)
    assert interrupted.ended.is_set()


def test_a_stream_that_is_interrupted_ends_in_the_interrupt_and_is_closed(portal):
    interrupted, found = Interrupted(), list[int]()
    with pytest.raises(KeyboardInterrupt):
        found.extend(portal.iterate("stream", interrupted.items))
    assert interrupted.ended.is_set()


def test_work_that_does_not_come_to_its_end_is_not_waited_for_for_ever(portal, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    interrupted = Interrupted(rounds=50_000)
    with pytest.raises(KeyboardInterrupt):
        list(portal.iterate("stream", interrupted.items))
    assert not interrupted.ended.is_set()
    assert interrupted.ended.wait(30)


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_run_that_is_interrupted_can_be_resumed_at_once(way, tmp_path):
    interrupted, paid = [Interrupted()], list[str]()

    @tool(idempotent=True)
    async def pay(item: str) -> str:
        """Pay.

        Args:
            item: for what
        """
        paid.append(item)
        while interrupted:
            await interrupted.pop().work()
        return "paid"

    app = app_of(tmp_path, plans(PAYS))
    agent: Any = app.planner_executor([pay])
    with pytest.raises(KeyboardInterrupt):
        agent.invoke(TASK, THREAD) if way == "invoke" else list(agent.stream(TASK, THREAD))
    out = agent.invoke({"run": "r"}, THREAD)
    assert (out["answer"], paid) == ("s1: paid", ["s1", "s1"])
    assert [one.state for one in events(app, "r", RunEnded)] == ["cancelled", "done"]
    app.close()


def states(file: Path) -> list[str]:
    with closing(Ledger(file)) as ledger:
        return [one.state for one in ledger.runs()]


@pytest.mark.parametrize("way", ["close", "aclose"])
def test_an_app_that_is_closed_under_calls_of_other_threads_cancels_them_and_their_runs_say_so(way, tmp_path):
    begun, ended = threading.Semaphore(0), list[str]()

    def model(body: dict[str, Any]) -> Silence:
        begun.release()
        return Silence()

    app = scripted_app(ScriptedModel("small", model), ledger=tmp_path / "l.db")

    def call(work: Any) -> None:
        with pytest.raises(CancelledError):
            work()
        ended.append("cancelled")

    calls = (lambda: app.complete_sync("x"), lambda: list(app.stream_sync("x")))
    threads = [threading.Thread(target=call, args=(one,)) for one in calls]
    for one in threads:
        one.start()
    assert begun.acquire(timeout=30)
    assert begun.acquire(timeout=30)
    app.close() if way == "close" else asyncio.run(app.aclose())
    for one in threads:
        one.join(30)
    assert ended == ["cancelled"] * 2
    assert states(tmp_path / "l.db") == ["cancelled"] * 2
    assert "orchestra-sync" not in {one.name for one in threading.enumerate()}


def test_a_reader_whose_app_is_closed_between_two_pieces_is_told_and_its_run_says_so(tmp_path):
    app = scripted_app(ScriptedModel("small", "one piece and another"), ledger=tmp_path / "l.db")
    events = app.stream_sync("x")
    assert next(events)
    app.close()
    with pytest.raises(CancelledError, match="the app was closed"):
        list(events)
    assert states(tmp_path / "l.db") == ["cancelled"]
    assert "orchestra-sync" not in {one.name for one in threading.enumerate()}


def test_an_app_may_be_closed_by_several_threads_at_once():
    app, ended = scripted_app(ScriptedModel("small", "hi")), list[str]()
    app.complete_sync("x")

    def close() -> None:
        app.close()
        ended.append("closed")

    threads = [threading.Thread(target=close) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert ended == ["closed"] * 4
