"""Strings that were looked through once: a row of nothing else is as safe as one that is looked through."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest

from orchestra.ledger import AttemptEnded, AttemptStarted, Event, Judged, Ledger, RunStarted, StepStarted
from orchestra.ledger.harmless import Harmless
from orchestra.ledger.redact import MARK, Redactor

SECRET = "zebra-lion-panda"


@pytest.fixture
def looked_through(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rows that were looked through."""
    texts: list[str] = []
    suspects = Redactor.suspects

    def told(self: Redactor, text: str) -> bool:
        texts.append(text)
        return suspects(self, text)

    monkeypatch.setattr(Redactor, "suspects", told)
    return texts


def _stored(file: Path) -> str:
    with closing(sqlite3.connect(file)) as db:
        return "\n".join(map(str, db.execute("SELECT run, step, data FROM events")))


@pytest.mark.interpreted
def test_a_row_of_strings_that_were_looked_through_is_not_looked_through_again(
    ledger: Ledger, looked_through: list[str]
) -> None:
    ledger.append("run", "s", AttemptStarted("a1", "m", notes=("told",)))
    ledger.append("run", "s", AttemptEnded("a1", "m", raw_sha256="0" * 64))
    ledger.append("run", "s", Judged("a1", "m", reason="told"))
    assert len(looked_through) == 2  # "told" alone and ("told",) are not the same
    ledger.append("run", "s", Judged("a1", "m", reason="told"))
    assert len(looked_through) == 2


@pytest.mark.parametrize("told", ["run", "step", "model", "evidence", "reason"])
def test_every_string_counts(told: str, file: Path) -> None:
    ledger = Ledger(file, secrets=[SECRET])
    ledger.append("run", "s", Judged("a1", "m", evidence=("e",), reason="r"))
    changed = {"run": "run", "step": "s", "model": "m", "evidence": ("e",), "reason": "r"}
    changed |= {told: (SECRET,) if told == "evidence" else SECRET}
    run, step = changed.pop("run"), changed.pop("step")
    ledger.append(run, step, Judged("a1", **changed))
    ledger.close()
    assert SECRET not in _stored(file)
    assert MARK in _stored(file)


def test_a_secret_that_is_learnt_later_was_harmless_only_until_then(file: Path, ledger: Ledger) -> None:
    ledger.append("run", "s", Judged("a1", SECRET))
    ledger.hide([SECRET])
    ledger.append("run", "s", Judged("a1", SECRET))
    ledger.settle()
    assert _stored(file).count(SECRET) == 1


@pytest.mark.interpreted
def test_what_was_looked_through_before_another_thread_learnt_a_secret_is_not_remembered(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    suspects = Redactor.suspects

    def learns_then(self: Redactor, text: str) -> bool:
        found = suspects(self, text)
        ledger.hide([SECRET])
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Redactor, "suspects", learns_then)
        ledger.append("run", "s", Judged("a1", SECRET))
    ledger.append("run", "s", Judged("a1", SECRET))
    ledger.settle()
    assert _stored(file).count(SECRET) == 1  # the row that was under way


@pytest.mark.interpreted
def test_what_is_not_stored_is_not_asked_for_and_what_is_stored_is(file: Path, looked_through: list[str]) -> None:
    for content, looks in ((False, 1), (True, 2)):
        looked_through.clear()
        ledger = Ledger(file, content=content)
        for task in ("one", "two"):
            ledger.append("run", "", RunStarted("a", task=task))
        ledger.close()
        assert len(looked_through) == looks


@pytest.mark.interpreted
def test_long_rows_are_not_remembered(ledger: Ledger, looked_through: list[str]) -> None:
    for _ in range(2):
        ledger.append("run", "s", StepStarted("long" * 300, "work"))
    assert len(looked_through) == 2


@pytest.mark.interpreted
def test_a_list_where_a_tuple_should_be_is_looked_through(ledger: Ledger, looked_through: list[str]) -> None:
    evidence: Any = ["one", "two"]
    for _ in range(2):
        ledger.append("run", "s", Judged("a1", "m", evidence=evidence))
    assert len(looked_through) == 2


def test_no_more_is_remembered_than_some_thousand_strings() -> None:
    harmless = Harmless(content=False)
    for number in range(10_000):
        harmless.add(harmless.memory, "run", "s", Judged(f"a{number}", "m"))
    assert not harmless.known("run", "s", Judged("a0", "m"))
    assert harmless.known("run", "s", Judged("a9999", "m"))


@pytest.mark.interpreted
@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.type)
def test_events_that_hold_more_than_strings_are_looked_through_every_time(kind: Any) -> None:
    """Those whose strings can be told by their fields' types alone."""
    nested = {"planned", "decided"}
    with_content = {"tool_started", "human_asked"}
    event = object.__new__(kind)
    for name in kind.__slots__:
        object.__setattr__(event, name, "x")
    for content in (False, True):
        harmless = Harmless(content=content)
        harmless.add(harmless.memory, "run", "s", event)
        told = kind.type in nested or (content and kind.type in with_content)
        assert harmless.known("run", "s", event) is not told
