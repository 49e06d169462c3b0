"""A key that is planted everywhere a provider may put it shows up nowhere."""

from __future__ import annotations

import logging
import traceback

import pytest

from orchestra import Exhausted
from orchestra.ledger import Ledger
from orchestra.testing import Error, Say
from tests.app.doubles import KEY, serving

LEAKS = [
    Error(401, {"error": {"message": f"Incorrect API key provided: {KEY}", "type": KEY, "code": KEY}}),
    Error(500, f"<html>upstream said {KEY}</html>", {"x-debug": KEY, "retry-after": KEY}),
    Error(429, {"error": {"message": f"Bearer {KEY} has no quota", "code": "insufficient_quota"}}),
]


def bytes_of(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".toml")


async def read(stream, told):
    async for event in stream:
        told.append(event)  # what came before an error counts


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("FLEET_TEST_KEY", KEY)
    return KEY


@pytest.mark.parametrize("leak", LEAKS, ids=["body", "html-and-headers", "quota"])
async def test_a_key_in_an_error_is_in_no_exception_event_log_or_ledger(leak, key, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    told = []
    async with serving(tmp_path, {"small": leak, "strong": leak}, content=True) as (provider, app):
        with pytest.raises(Exhausted) as raised:
            await read(app.stream(f"my key is {key}"), told)
        (run,) = app.ledger.runs()
        told += app.ledger.events(run.run)
    assert provider.requests
    assert key not in "".join(traceback.format_exception(raised.value))
    assert key not in repr(raised.value.attempts)
    assert key not in repr(told)
    assert key not in caplog.text
    assert key.encode() not in bytes_of(tmp_path)


@pytest.mark.parametrize("own_ledger", [False, True], ids=["path", "ledger"])
async def test_a_key_that_a_model_repeats_reaches_the_caller_but_not_the_ledger(own_ledger, key, tmp_path):
    ledger = Ledger(tmp_path / "l.db", content=True) if own_ledger else tmp_path / "l.db"
    options = {} if own_ledger else {"content": True}
    async with serving(tmp_path, {"small": Say(f"your key is {key}")}, ledger=ledger, **options) as (_, app):
        reply = await app.complete("what is my key?")
        kept = repr(app.ledger.events(reply.run))
    assert key in reply.text
    assert key not in kept
    assert "[redacted]" in kept
    assert key.encode() not in bytes_of(tmp_path)


async def test_the_checkpoints_of_an_agent_hold_no_key(key, tmp_path):
    async with serving(tmp_path, {"small": LEAKS[0], "strong": LEAKS[0]}) as (_, app):
        answer = await app.planner_executor().ainvoke({"task": "anything"})
    assert answer["state"] == "failed"
    assert key not in repr(answer)
    assert (tmp_path / "checkpoints.db").exists()
    assert key.encode() not in bytes_of(tmp_path)


async def test_a_key_that_is_set_only_after_the_app_was_made_is_kept_out_as_well(monkeypatch, tmp_path):
    monkeypatch.delenv("FLEET_TEST_KEY", raising=False)
    async with serving(tmp_path, {"small": Say(f"your key is {KEY}")}, content=True) as (_, app):
        monkeypatch.setenv("FLEET_TEST_KEY", KEY)
        await app.complete("what is my key?")
    assert KEY.encode() not in bytes_of(tmp_path)


async def test_a_placeholder_that_is_the_name_of_a_model_stays_readable(tmp_path, monkeypatch):
    monkeypatch.setenv("FLEET_TEST_KEY", "strong")
    async with serving(tmp_path, {"strong": "hello"}) as (_, app):
        reply = await app.complete("hi", model="strong")
        assert {row.event.model for row in app.ledger.events(reply.run) if hasattr(row.event, "model")} == {"strong"}
