"""The sync twins: the same calls without an event loop, refused inside of one."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from orchestra import Exhausted, Fleet, Orchestra
from orchestra.errors import ConfigError, SyncInLoop
from orchestra.ledger import RunEnded
from orchestra.testing import FakeProvider, Say, Silence
from orchestra.types import ModelCard, Price
from tests.app.doubles import KEY, app_of, events, fleet_file, rows


def test_calls_streams_and_close_work_without_an_event_loop(tmp_path):
    app = app_of(["one", Say("two", chunks=3)], ledger=tmp_path / "l.db")
    assert app.complete_sync("x").text == "one"
    assert [event.type for event in app.stream_sync("x")] == ["text"] * 3 + ["usage", "end"]
    assert [event.state for event in events(rows(app), RunEnded)] == ["done", "done"]
    app.close()


def test_errors_come_through():
    app = app_of([""] * 9, [""] * 9)
    with pytest.raises(Exhausted):
        app.complete_sync("x")
    with pytest.raises(ConfigError, match="blank"):
        list(app.stream_sync(" "))
    app.close()


def test_a_stream_that_is_left_ends_its_run(tmp_path):
    app = app_of([Say("abcdef", chunks=3)], ledger=tmp_path / "l.db")
    stream = app.stream_sync("x")
    assert next(stream).text == "ab"
    stream.close()
    assert [event.state for event in events(rows(app), RunEnded)] == ["cancelled"]
    app.close()


@pytest.mark.parametrize(
    ("call", "instead"),
    [
        (lambda app: app.complete_sync("x"), r"complete_sync .*; await complete\(...\) instead"),
        (lambda app: app.stream_sync("x"), r"stream_sync .*; iterate over stream\(...\) with async for instead"),
        (lambda app: app.close(), r"close .*; await aclose\(\) instead"),
        (lambda app: app.planner_executor().invoke({"task": "x"}), r"invoke .*; await ainvoke\(...\) instead"),
    ],
)
async def test_inside_an_event_loop_they_refuse_and_name_the_way_out(call, instead):
    async with app_of([]) as app:
        with pytest.raises(SyncInLoop, match=instead):
            call(app)


def test_close_may_be_called_twice_and_an_app_without_a_ledger_may_still_be_used_after():
    app = app_of(["one", "two"])
    app.complete_sync("x")
    app.close()
    app.close()
    assert app.complete_sync("x").text == "two"
    app.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "orchestra-sync"]


def test_after_close_a_kept_ledger_says_that_it_is_closed(tmp_path):
    app = app_of(["one"], ledger=tmp_path / "l.db")
    app.close()
    with pytest.raises(Exception, match="closed") as raised:
        app.complete_sync("x")
    assert type(raised.value).__name__ == "LedgerError"
    app.close()


def test_many_threads_may_call_at_once_over_real_connections(tmp_path, monkeypatch):
    monkeypatch.setenv("FLEET_TEST_KEY", KEY)
    with FakeProvider({"small": lambda body: body["messages"][-1]["content"] * 2}) as provider:
        app = Orchestra.from_file(fleet_file(tmp_path, provider), ledger=tmp_path / "l.db")
        with ThreadPoolExecutor(16) as pool:
            replies = list(pool.map(lambda i: app.complete_sync(f"<{i}>").text, range(50)))
        app.close()
    assert replies == [f"<{i}><{i}>" for i in range(50)]


def test_a_thread_that_still_waits_is_let_go_when_the_app_is_closed():
    asked = threading.Event()

    def silent(request):
        asked.set()
        return Silence()

    app = app_of(silent)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(app.complete_sync, "x")
        assert asked.wait(10)
        app.close()
        with pytest.raises(CancelledError):
            waiting.result(10)


async def test_aclose_also_closes_what_the_sync_twins_opened_in_their_own_loop():
    async with FakeProvider({"m": "hello"}) as provider:
        card = ModelCard("m", "m", "fake", "openai-chat", "efficient", base_url=provider.base_url, price=Price(0, 0))
        app = Orchestra(Fleet.from_cards([card]), ledger=None)
        await app.complete("x")
        await asyncio.to_thread(app.complete_sync, "x")
        await app.aclose()
        assert not [thread for thread in threading.enumerate() if thread.name == "orchestra-sync"]


@pytest.mark.parametrize(
    "begin",
    [
        lambda app: app.complete("hi"),
        lambda app: anext(app.stream("hi")),
        lambda app: app.__aenter__(),
        lambda app: app.__aexit__(None, None, None),
        lambda app: app.aclose(),
    ],
)
def test_elsewhere_than_on_asyncio_the_error_names_the_ways_out(begin):
    with pytest.raises(ConfigError, match=r"runs on asyncio.*anyio's asyncio backend.*the sync twins in a thread"):
        begin(app_of(["hello"])).__await__().send(None)
