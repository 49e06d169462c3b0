"""Leases: at most one task of one process is at work on a run, and a dead one never keeps it."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestra.errors import LedgerError, OrchestraError, RunOwned
from orchestra.ledger import Ledger, lease, process
from orchestra.ledger.process import Process, here, lives


@pytest.fixture(params=["file", "memory"])
def book(request: pytest.FixtureRequest, file: Path) -> Iterator[Ledger]:
    """A ledger with a file, and one without: among the tasks of a process leases are the same."""
    ledger = Ledger(file if request.param == "file" else None, clock=lambda: 1_700_000_000.0)
    yield ledger
    ledger.close()


def test_a_run_that_is_claimed_is_refused_to_another_task_until_it_is_released(book: Ledger) -> None:
    held = book.claim("run")
    with pytest.raises(RunOwned, match=r"^run run is at work in another task of this process \(\d+\)") as refused:
        book.claim("run")
    assert refused.value.owner == f"another task of this process ({os.getpid()}) since 2023-11-14 22:13:20 UTC"
    assert str(refused.value).endswith(" UTC; wait for its end, or cancel that task")  # to end oneself is no advice
    assert isinstance(refused.value, OrchestraError)
    book.claim("other").release()
    held.release()
    book.claim("run").release()


def test_a_lease_is_released_at_the_end_of_its_block_however_that_ends(book: Ledger) -> None:
    with book.claim("run") as held:
        assert held.run == "run"
    with pytest.raises(ZeroDivisionError), book.claim("run"):
        raise ZeroDivisionError
    book.claim("run").release()


def test_releasing_twice_does_not_release_what_another_task_claimed_meanwhile(book: Ledger) -> None:
    first = book.claim("run")
    first.release()
    with book.claim("run"):
        first.release()
        with pytest.raises(RunOwned):
            book.claim("run")


def test_a_release_that_fails_hides_no_error_and_keeps_this_process_from_nothing(
    ledger: Ledger, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TRIGGER full BEFORE DELETE ON leases BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(ZeroDivisionError), ledger.claim("run"):
        raise ZeroDivisionError
    assert "disk full" in caplog.text
    with closing(sqlite3.connect(file)) as other:
        other.execute("DROP TRIGGER full")
    with ledger.claim("run"), closing(Ledger(file)) as second, pytest.raises(RunOwned):
        second.claim("run")


def test_a_claim_that_fails_leaves_nothing_behind(ledger: Ledger, file: Path) -> None:
    before = set(lease._working)
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON leases BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(LedgerError, match="disk full"):
        ledger.claim("run")
    assert lease._working == before


def test_of_many_threads_that_claim_at_once_exactly_one_wins(book: Ledger) -> None:
    won: list[int] = []
    start = threading.Barrier(12)

    def work(number: int) -> None:
        start.wait()
        try:
            book.claim("run")
        except RunOwned:
            return
        won.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_run_whose_id_holds_a_secret_is_one_run(file: Path) -> None:
    ledger = Ledger(file, secrets=["planted-exact-secret"])
    with ledger.claim("run-planted-exact-secret"), pytest.raises(RunOwned, match=r"run run-\[redacted\] is at work"):
        ledger.claim("run-planted-exact-secret")
    ledger.close()


def test_closing_a_ledger_releases_what_it_held_and_only_that(file: Path) -> None:
    first, second = Ledger(file), Ledger(file)
    stale, _ = first.claim("a"), second.claim("b")
    first.close()
    stale.release()
    second.claim("a").release()
    with pytest.raises(RunOwned, match="another task of this process"):
        second.claim("b")
    with pytest.raises(LedgerError, match=r"cannot claim a run in the ledger .*closed"):
        first.claim("c")
    second.close()


def test_a_ledger_that_cannot_release_what_it_held_is_closed_all_the_same(ledger: Ledger) -> None:
    ledger.claim("run")
    ledger._store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(LedgerError, match="cannot release runs in the ledger"):
        ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.events("run")


CLAIMER = """
import sys
from orchestra.errors import RunOwned
from orchestra.ledger import Ledger
ledger = Ledger(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    ledger.claim("run")
    print("won", flush=True)
except RunOwned as error:
    print(error.owner, flush=True)
sys.stdin.readline()
"""


def _claimer(file: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CLAIMER, str(file)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert _said(process) == "ready"
    return process


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_of_two_processes_that_claim_at_once_one_wins_and_the_other_says_who_did(file: Path) -> None:
    Ledger(file).close()
    with _claimer(file) as one, _claimer(file) as two:
        _tell(one)
        _tell(two)
        said = {one.pid: _said(one), two.pid: _said(two)}
        (winner,) = [pid for pid, words in said.items() if words == "won"]
        (loser,) = [words for words in said.values() if words != "won"]
        assert loser.startswith(f"process {winner} on {here().node} since ")
        _tell(one)
        _tell(two)


def test_a_killed_process_loses_its_lease_at_once_even_before_anybody_buried_it(file: Path) -> None:
    ledger = Ledger(file)
    with _claimer(file) as holder:
        _tell(holder)
        assert _said(holder) == "won"
        with pytest.raises(RunOwned, match=f"at work in process {holder.pid} on "):
            ledger.claim("run")
        holder.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and still a zombie
        ledger.claim("run").release()
    ledger.close()


def _release_in_child(held: lease.Lease) -> None:
    held.release()
    held.leases.close()
    os._exit(0)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_release_what_its_parent_holds(ledger: Ledger) -> None:
    with ledger.claim("run") as held:
        child = multiprocessing.get_context("fork").Process(target=_release_in_child, args=(held,))
        child.start()
        child.join(20)
        assert child.exitcode == 0
        with pytest.raises(RunOwned):
            ledger.claim("run")


def _move(file: Path, **columns: object) -> None:
    """The lease as another process would have written it."""
    with closing(sqlite3.connect(file)) as db:
        for name, value in columns.items():
            db.execute(f"UPDATE leases SET {name} = ?", [value])
        db.commit()


@pytest.fixture
def now() -> list[float]:
    """The time, for a test to change."""
    return [1_700_000_000.0]


@pytest.fixture
def timed(file: Path, now: list[float]) -> Iterator[Ledger]:
    """A ledger whose clock is `now`."""
    ledger = Ledger(file, clock=lambda: now[0])
    yield ledger
    ledger.close()


def test_another_host_keeps_its_lease_until_it_has_been_silent_for_thirty_seconds(
    file: Path, timed: Ledger, now: list[float]
) -> None:
    timed.claim("run")
    _move(file, host="elsewhere", node="box", pid=7)
    now[0] += 29.5
    with pytest.raises(RunOwned, match=r"process 7 on box since 2023-11-14 22:13:20 UTC, heard of 30 s ago; wait for"):
        timed.claim("run")
    now[0] -= 40.0  # a clock that is behind the other host's
    with pytest.raises(RunOwned, match="heard of 0 s ago"):
        timed.claim("run")
    now[0] += 40.5
    timed.claim("run")


def test_a_heartbeat_keeps_the_leases_of_this_process_alive(file: Path, timed: Ledger, now: list[float]) -> None:
    timed._leases.renew()
    timed.claim("a")
    timed.claim("b").release()
    now[0] += 25.0
    timed._leases.renew()
    _move(file, host="elsewhere")
    now[0] += 25.0
    with pytest.raises(RunOwned, match="heard of 25 s ago"):
        timed.claim("a")


def test_a_heartbeat_that_fails_is_logged_and_tried_again(
    timed: Ledger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed.claim("run")
    timed._store._db.execute("PRAGMA query_only = ON")
    with caplog.at_level(logging.WARNING, "orchestra.ledger"):
        timed._leases.renew()
    timed._store._db.execute("PRAGMA query_only = OFF")
    assert "cannot renew leases in the ledger" in caplog.text


def test_the_heart_beats_while_its_ledger_is_open(timed: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    beaten = threading.Event()
    monkeypatch.setattr(lease, "BEAT", 0.001)
    monkeypatch.setattr(timed._leases, "renew", beaten.set)
    timed.claim("run")
    timed.claim("other")
    heart = timed._leases._heart
    assert heart is not None
    assert beaten.wait(20)
    timed.close()
    assert not heart.is_alive()


def test_a_heart_stops_when_nobody_holds_its_ledger_any_more(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.001)
    ledger = Ledger(file)
    ledger.claim("run").release()
    heart, store = ledger._leases._heart, ledger._store
    assert heart is not None
    del ledger
    gc.collect()
    heart.join(20)
    assert not heart.is_alive()
    store.close()


def test_a_process_that_took_over_a_dead_ones_number_is_not_that_one(file: Path, timed: Ledger) -> None:
    timed.claim("run")
    _move(file, pid=os.getppid(), started="1")
    timed.claim("run")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system does not tell when a process started")
def test_this_process_is_known_by_its_number_its_start_and_its_host() -> None:
    me = here()
    assert (me.pid, str(me)) == (os.getpid(), f"process {os.getpid()} on {me.node}")
    assert me.started.isdigit()
    assert "pid:[" in me.host
    assert lives(me) is True


def test_what_is_not_known_of_a_process_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    me = here()
    assert lives(Process("elsewhere", me.pid, me.started, "box")) is None
    assert lives(Process(me.host, me.pid, "", me.node)) is True  # the system is mute: its number is in use
    assert lives(Process(me.host, me.pid, "1", me.node)) is False
    monkeypatch.setattr(process, "_POSIX", False)
    assert lives(me) is None


def test_a_process_that_is_gone_does_not_live() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert lives(Process(here().host, gone.pid, "", here().node)) is False


def test_another_users_process_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, sign: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    assert lives(Process(here().host, 1, "?", "box")) is True


def test_a_system_without_proc_is_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    mute = process._describe.__wrapped__(os.getpid())
    assert (mute.host, mute.started) == (here().node, "")
