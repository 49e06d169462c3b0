"""An app that is closed while calls and runs of its own event loop are under way."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from orchestra import tool
from orchestra.dispatch.under_way import UnderWay
from orchestra.errors import LedgerError
from orchestra.ledger import AttemptEnded, Ledger
from orchestra.testing import Error, ScriptedModel, Silence, Stall, scripted_app, scripted_transport
from tests.runtime.scripts import PLANNER_IS_STRONG, THREAD, obedient, plan, plans, step_of


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


class _LongGoodbye:
    """A transport whose responses take a while to close, as those of TLS connections do."""

    def __init__(self, model: ScriptedModel) -> None:
        self._inner = scripted_transport(model)
        self.open = 0
        self.closed = False

    async def send(self, request: Any) -> Any:
        assert not self.closed, "a connection was opened anew"
        self.open += 1
        response = await self._inner.send(request)
        close = response.aclose

        async def aclose() -> None:
            for _ in range(199):
                await asyncio.sleep(0)
            self.open -= 1
            await close()

        response.aclose = aclose  # type: ignore[method-assign]
        return response

    async def aclose(self) -> None:
        self.closed = True
        for _ in range(99):
            await asyncio.sleep(0)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_response_that_takes_its_time_to_close_is_waited_for(
    call: Callable[[Any], Any], tmp_path: Path
) -> None:
    asked = asyncio.Event()

    def model(_: dict[str, Any]) -> Any:
        asked.set()
        return Stall()

    small = ScriptedModel("small", model)
    app = scripted_app(small, ledger=tmp_path / "l.db", transport=(wire := _LongGoodbye(small)))
    under_way = asyncio.create_task(call(app))
    await asyncio.wait_for(asked.wait(), 10)
    for _ in range(20):
        await asyncio.sleep(0)
    assert wire.open == 1
    await app.aclose()
    assert wire.open == 0
    await asyncio.wait([under_way], timeout=2)
    assert "'call': the app was closed" in str(under_way.exception())
    with _read_again(tmp_path) as ledger:
        (run,) = ledger.runs()
        assert (run.state, run.attempts) == ("failed", 1)
        assert any(isinstance(row.event, AttemptEnded) for row in ledger.events(run.run))


async def test_a_stream_that_was_left_has_its_last_word_though_the_app_is_closed_at_once(tmp_path: Path) -> None:
    step = {"id": "s1", "goal": "g", "needs": [], "difficulty": "easy"}
    model = ScriptedModel("small", lambda body: json.dumps({"steps": [step]}) if body.get("response_format") else "hi")
    async with scripted_app(model, ledger=tmp_path / "l.db") as app:
        async for _ in app.stream("x"):
            break
        left = 0
        async for _ in app.planner_executor().astream({"task": "t"}, stream_mode="custom"):
            left += 1
            if left == 3:
                break
    with _read_again(tmp_path) as ledger:
        assert [run.state for run in ledger.runs()] == ["cancelled", "cancelled"]


async def test_a_call_that_begins_while_sync_twins_are_ended_is_refused() -> None:
    asked, over = threading.Event(), asyncio.Event()

    def model(_: dict[str, Any]) -> Any:
        asked.set()
        return Silence()

    app = scripted_app(ScriptedModel("small", model))
    thread = threading.Thread(target=lambda: suppressed(lambda: app.complete_sync("x")))
    thread.start()
    await asyncio.to_thread(asked.wait, 10)
    drained = app.portal.drain

    async def drain(*given: Any) -> None:
        with pytest.raises(LedgerError, match="the app was closed"):
            await app.complete("x")
        over.set()
        await drained(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.portal, "drain", drain)
        await app.aclose()
    assert over.is_set()
    await asyncio.to_thread(thread.join, 10)


def suppressed(call: Callable[[], Any]) -> None:
    with suppress(CancelledError, asyncio.CancelledError):
        call()


async def test_a_call_that_begins_while_the_app_is_closed_is_refused(tmp_path: Path) -> None:
    asked = asyncio.Event()

    def model(_: dict[str, Any]) -> Any:
        asked.set()
        return Silence()

    small = ScriptedModel("small", model)
    app = scripted_app(small, ledger=tmp_path / "l.db", transport=_LongGoodbye(small))

    async def agent(app: Any) -> None:
        await app.planner_executor().ainvoke({"task": "t"})

    async def stubborn() -> list[str]:
        told: list[str] = []
        calls: list[Callable[[Any], Any]] = [*CALLS.values(), agent]
        for call in calls:
            try:
                await call(app)
            except LedgerError as error:
                told.append(str(error))
            for _ in range(20):
                await asyncio.sleep(0)
        return told

    trying = asyncio.create_task(stubborn())
    await asyncio.wait_for(asked.wait(), 10)
    for _ in range(20):
        await asyncio.sleep(0)
    await app.aclose()
    told = await asyncio.wait_for(trying, 2)
    assert len(told) == 3
    assert all("the app was closed" in one for one in told)
    assert len(small.requests) == 1
    with _read_again(tmp_path) as ledger:
        assert {run.state for run in ledger.runs()} == {"failed"}


async def test_the_run_of_a_node_has_its_last_word(tmp_path: Path) -> None:
    from langgraph.graph import START, MessagesState, StateGraph

    asked = asyncio.Event()

    def model(_: dict[str, Any]) -> Any:
        asked.set()
        return Silence()

    app = scripted_app(ScriptedModel("small", model), ledger=tmp_path / "l.db")

    async def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [(await app.complete(state["messages"])).text]}

    graph: Any = StateGraph(MessagesState).add_node("answer", app.node(answer, step="answer"))  # type: ignore[call-overload]
    going = asyncio.create_task(graph.add_edge(START, "answer").compile().ainvoke({"messages": "x"}))
    await asyncio.wait_for(asked.wait(), 10)
    await app.aclose()
    await asyncio.wait([going], timeout=2)
    assert "'answer': the app was closed" in str(going.exception())
    with _read_again(tmp_path) as ledger:
        assert [run.state for run in ledger.runs()] == ["failed"]


@pytest.mark.parametrize("waits", [("a model",), ("a tool",), ("a model", "a tool")], ids=" and ".join)
async def test_an_agents_run_has_its_last_word_and_can_be_resumed(waits: tuple[str, ...], tmp_path: Path) -> None:
    hang, at_work = set(waits), asyncio.Event()

    def begin(what: str) -> bool:
        """Whether that hangs; all that do are at work once each has begun."""
        if what not in hang:
            return False
        begun.add(what)
        if begun == hang:
            at_work.set()
        return True

    begun: set[str] = set()

    @tool(read_only=True)
    async def look(item: str) -> str:
        """Look it up.

        Args:
            item: what
        """
        if begin("a tool"):
            await asyncio.Event().wait()
        return f"found {item}"

    def small(body: dict[str, Any]) -> Any:
        return Silence() if step_of(body) == "s1" and begin("a model") else obedient(body)

    def agent_of(app: Any) -> Any:
        return app.planner_executor([look])

    strong = ScriptedModel("strong", plans(plan(("s1", [], []), ("s2", [], ["look"]))), tier="capable")
    models = ScriptedModel("small", small), strong
    app = scripted_app(*models, policies=[PLANNER_IS_STRONG], ledger=tmp_path / "l.db")
    going = asyncio.create_task(agent_of(app).ainvoke({"task": "t", "run": "r"}, THREAD))
    waited = asyncio.create_task(at_work.wait())
    await asyncio.wait([going, waited], timeout=10, return_when="FIRST_COMPLETED")
    assert not going.done(), going.result()
    for _ in range(20):
        await asyncio.sleep(0)
    await app.aclose()
    await asyncio.wait([going], timeout=2)
    assert isinstance(going.exception(), LedgerError)
    assert "run 'r': the app was closed" in str(going.exception())
    with _read_again(tmp_path) as ledger:
        (run,) = ledger.runs()
        assert run.state == "failed"
        assert "the app was closed" in run.reason

    hang.clear()
    async with scripted_app(*models, policies=[PLANNER_IS_STRONG], ledger=tmp_path / "l.db") as app:
        out = await agent_of(app).ainvoke({"run": "r"}, THREAD)
        assert out["state"] == "done"
        assert app.ledger.runs()[0].state == "done"


async def test_what_waits_in_the_loop_of_another_thread_is_left_alone() -> None:
    under_way, elsewhere = UnderWay(), asyncio.new_event_loop()

    async def wait(waits: Callable[[], None]) -> None:
        with under_way.waiting("x"):
            waits()
            await asyncio.Event().wait()

    there, here = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=elsewhere.run_forever)
    thread.start()
    try:
        other = asyncio.run_coroutine_threadsafe(wait(there.set), elsewhere)
        own = asyncio.create_task(wait(here.set))
        await here.wait()
        assert await asyncio.to_thread(there.wait, 10)
        await asyncio.wait_for(under_way.end(), 2)
        await asyncio.wait([own], timeout=2)
        assert "the app was closed" in str(own.exception())
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0), elsewhere))
        assert not other.done()
        other.cancel()
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0), elsewhere))
    finally:
        elsewhere.call_soon_threadsafe(elsewhere.stop)
        thread.join()
        elsewhere.close()


@contextmanager
def _read_again(folder: Path) -> Generator[Ledger]:
    ledger = Ledger(folder / "l.db")
    try:
        yield ledger
    finally:
        ledger.close()
