"""Rows that may wait: they are written with the next one, and never later than in the event loop's next turn."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from orchestra.errors import LedgerError
from orchestra.ledger import AttemptEnded, AttemptStarted, Judged, Ledger, Row, RunEnded, RunStarted
from orchestra.ledger.store import MOST, Store

STARTED, ENDED = RunStarted("a"), RunEnded("done")


def _in_file(file: Path) -> list[str]:
    """What another process sees."""
    with closing(sqlite3.connect(file)) as other:
        return [kind for (kind,) in other.execute("SELECT type FROM events ORDER BY seq")]


async def test_a_row_that_may_wait_is_written_with_the_next_and_before_it(file: Path, ledger: Ledger) -> None:
    ledger.append("run", "", STARTED)
    assert _in_file(file) == []
    ledger.append("run", "s", AttemptStarted("a1", "m"))
    assert _in_file(file) == ["run_started", "attempt_started"]


async def test_it_waits_no_longer_than_to_the_loops_next_turn(file: Path, ledger: Ledger) -> None:
    ledger.append("run", "", STARTED)
    ledger.append("other", "s", Judged("a1", "m"))
    await asyncio.sleep(0)
    assert _in_file(file) == ["run_started", "verdict"]


async def test_a_reader_finds_what_waits(ledger: Ledger) -> None:
    ledger.append("run", "", STARTED)
    assert [row.event for row in ledger.events("run")] == [STARTED]
    ledger.append("ran", "", STARTED)
    assert ledger.resolve("ra") == "ran"
    ledger.append("third", "", STARTED)
    assert ledger.runs()[0].run == "third"


async def test_closing_writes_what_waits(file: Path, ledger: Ledger) -> None:
    ledger.append("run", "", STARTED)
    ledger.close()
    assert _in_file(file) == ["run_started"]
    with pytest.raises(LedgerError, match="closed"):
        ledger.append("run", "", STARTED)


async def test_whoever_listens_hears_a_row_with_its_number(file: Path, ledger: Ledger) -> None:
    heard: list[int] = []
    ledger.subscribe("run", lambda row: heard.append(row.seq))
    ledger.append("run", "", STARTED)
    assert heard == [1]
    assert _in_file(file) == ["run_started"]


async def test_a_journals_entry_never_waits(file: Path, ledger: Ledger) -> None:
    ledger.append("run", "s", Judged("a1", "m"), keep=("reply", True))
    assert _in_file(file) == ["verdict"]


async def test_a_name_that_the_file_may_refuse_keeps_no_other_row_from_it(file: Path, ledger: Ledger) -> None:
    ledger.append("run", "", STARTED)
    with pytest.raises(LedgerError):
        ledger.append("run\ud800", "", STARTED)
    ledger.append("run", "", ENDED)
    assert _in_file(file) == ["run_started", "run_ended"]


async def test_what_could_not_be_written_is_held_on_and_the_next_row_says_so(file: Path, ledger: Ledger) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TRIGGER no BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'not now'); END")
        ledger.append("run", "", STARTED)
        await asyncio.sleep(0)
        with pytest.raises(LedgerError, match="not now"):
            ledger.append("run", "", ENDED)
        other.execute("DROP TRIGGER no")
    ledger.append("run", "", ENDED)
    assert _in_file(file) == ["run_started", "run_ended"]


async def test_no_more_is_held_of_a_file_that_nobody_can_write_than_memory_bears(file: Path, ledger: Ledger) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TRIGGER no BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'not now'); END")
        for _ in range(MOST):
            ledger.append("run", "", STARTED)
        for _ in range(3):
            with pytest.raises(LedgerError, match="not now"):
                ledger.append("more", "", STARTED)
        other.execute("DROP TRIGGER no")
    ledger.append("last", "", STARTED)
    assert len(_in_file(file)) == MOST + 1
    assert ledger.events("more") == []


@pytest.mark.interpreted
async def test_what_tasks_write_in_one_turn_of_their_loop_shares_a_transaction(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = Store.write
    monkeypatch.setattr(Store, "write", lambda self, *new: (written.append(len(self.held)), write(self, *new))[1])

    async def call(run: str) -> None:
        ledger.append(run, "", STARTED)
        await ledger.write(run, "s", AttemptStarted("a1", "m"))
        ledger.append(run, "s", AttemptEnded("a1", "m"))
        await ledger.write(run, "", ENDED)

    await asyncio.gather(*(call(f"run-{number}") for number in range(5)))
    assert written == [10, 10]
    for number in range(5):
        kinds = [row.event.type for row in ledger.events(f"run-{number}")]
        assert kinds == ["run_started", "attempt_started", "attempt_ended", "run_ended"]


async def test_what_is_written_is_in_the_file_when_that_is_done_whoever_else_writes(file: Path, ledger: Ledger) -> None:
    async def sync() -> None:
        ledger.append("third", "s", AttemptStarted("a1", "m"))

    await asyncio.gather(ledger.write("run", "", ENDED), sync())
    assert sorted(_in_file(file)) == ["attempt_started", "run_ended"]


async def test_a_listener_hears_what_is_written_with_its_number(file: Path, ledger: Ledger) -> None:
    heard: list[int] = []
    ledger.subscribe("run", lambda row: heard.append(row.seq))
    await ledger.write("run", "", ENDED)
    assert heard == [1]
    assert _in_file(file) == ["run_ended"]


async def test_each_of_those_whose_rows_could_not_be_written_is_told_and_the_rows_are_held_on(
    file: Path, ledger: Ledger
) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TRIGGER no BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'not now'); END")
        told = await asyncio.gather(*(ledger.write("run", "", ENDED) for _ in range(3)), return_exceptions=True)
        other.execute("DROP TRIGGER no")
    assert [type(error) for error in told] == [LedgerError] * 3
    assert "not now" in str(told[0])
    ledger.settle()
    assert _in_file(file) == ["run_ended"] * 3


async def test_what_its_writer_no_longer_waits_for_is_written_all_the_same(file: Path, ledger: Ledger) -> None:
    writing = asyncio.create_task(ledger.write("run", "", ENDED))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert _in_file(file) == ["run_ended"]


def test_where_no_event_loop_runs_nothing_waits(file: Path, ledger: Ledger) -> None:
    ledger.append("run", "", STARTED)
    assert _in_file(file) == ["run_started"]


def test_nothing_kept_has_nothing_to_settle() -> None:
    Ledger(None).settle()


def test_what_a_process_holds_is_not_written_by_its_fork(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.parent.mkdir()
    store = Store(file)
    assert store.hold(("run", "", 0.0, "run_started", "{}"))
    before = store._db
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a child
    assert store.hold(("child", "", 0.0, "run_started", "{}"))
    assert [row[1] for row in store.rows("run") + store.rows("child")] == ["child"]
    store.close()
    before.close()


@pytest.mark.parametrize("secret", ["planted-secret", 'a "quoted" secret', "one\\with\\slashes", "gehe\u00efmnis"])
async def test_no_secret_stands_in_the_names_of_rows_that_waited(file: Path, secret: str) -> None:
    with closing(Ledger(file, secrets=[secret])) as ledger:
        heard: list[Row] = []
        ledger.append(f"run {secret}", f"step {secret}", STARTED)
        stop = ledger.subscribe(f"run {secret}", heard.append)
        ledger.append(f"run {secret}", "", ENDED)
        stop()
        rows = ledger.events(f"run {secret}")
    assert [(row.run, row.step) for row in rows] == [("run [redacted]", "step [redacted]"), ("run [redacted]", "")]
    assert heard == rows[1:]


@pytest.mark.parametrize(
    ("run", "step", "stored"),
    [
        ("planted-secret", "step", ("[redacted]", "step")),
        ("run", "planted-secret", ("run", "[redacted]")),
        ("run", "token=planted", ("run", "token=[redacted]")),
    ],
)
async def test_a_secret_in_either_name_of_a_row_that_waits_is_seen(
    file: Path, run: str, step: str, stored: tuple[str, str]
) -> None:
    with closing(Ledger(file, secrets=["planted-secret"])) as ledger:
        ledger.append(run, step, STARTED)
        (row,) = ledger.events(run)
    assert (row.run, row.step) == stored
