"""The file: append-only, shared, and clear about what is wrong with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from orchestra.errors import LedgerError
from orchestra.ledger import Ledger, Row, RunEnded, RunStarted, ToolEnded


def test_a_ledger_is_made_with_its_folder_and_is_its_owners_alone(file: Path) -> None:
    Ledger(file).close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_rows_survive_closing_and_keep_their_order(file: Path) -> None:
    first = Ledger(file)
    first.append("run", "", RunStarted("a"))
    first.close()
    second = Ledger(file)
    second.append("run", "", RunEnded("done"))
    assert [row.event.type for row in second.events("run")] == ["run_started", "run_ended"]
    second.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE events SET run = 'other'",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events VALUES (1, 'r', '', 0, 'run_ended', '{}')",
        "UPDATE OR REPLACE events SET seq = 2 WHERE seq = 1",
    ],
)
def test_the_file_itself_refuses_to_change_or_forget_a_row(file: Path, ledger: Ledger, sql: str) -> None:
    ledger.append("run", "", RunStarted("a"))
    with closing(sqlite3.connect(file)) as other, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(sql)
    assert [row.event for row in ledger.events("run")] == [RunStarted("a")]


def test_the_file_is_in_wal_mode_with_synchronous_normal(ledger: Ledger) -> None:
    assert ledger._store is not None
    db = ledger._store._db
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (1,)


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def test_what_is_read_beside_keeps_nobody_from_writing_and_ends_where_the_ledger_is_closed(ledger: Ledger) -> None:
    store, begun, told = ledger._store, threading.Event(), list[str]()
    assert store is not None

    def read(db: sqlite3.Connection) -> None:
        begun.set()
        db.execute(ENDLESS).fetchall()

    def work() -> None:
        try:
            store.beside("read", read)
        except LedgerError as error:
            told.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(20)
    ledger.append("run", "", RunStarted("a"))
    assert [row.event for row in ledger.events("run")] == [RunStarted("a")]
    ledger.close()
    thread.join(20)
    assert not thread.is_alive()
    assert told == [f"cannot read {store}: the app was closed; make a new one for further calls"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_waits_for_what_is_read_beside(ledger: Ledger) -> None:
    """A child that is forked in its midst would wait for SQLite's own locks for ever."""
    begun, ended = threading.Event(), list[float]()

    def read(db: sqlite3.Connection) -> None:
        begun.set()
        time.sleep(0.2)
        ended.append(time.monotonic())

    store = ledger._store
    assert store
    thread = threading.Thread(target=store.beside, args=("read", read))
    thread.start()
    begun.wait()
    if not (child := os.fork()):
        os._exit(not ended)
    forked = time.monotonic()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert ended[0] <= forked
    store.beside("read", lambda db: None)


def test_what_is_read_beside_cannot_write(ledger: Ledger) -> None:
    assert ledger._store is not None
    with pytest.raises(LedgerError, match="it may not be written"):
        ledger._store.beside("read", lambda db: db.execute("INSERT INTO cards VALUES ('a', 'b')"))


def test_many_threads_lose_nothing(ledger: Ledger) -> None:
    def work(name: str) -> None:
        for number in range(25):
            ledger.append(name, "", ToolEnded(str(number), "t"))

    threads = [threading.Thread(target=work, args=(f"run-{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(20):
        calls = [row.event.call for row in ledger.events(f"run-{number}")]
        assert calls == [str(call) for call in range(25)]


WRITER = """
import sys
from orchestra.ledger import Ledger, ToolEnded
ledger = Ledger(sys.argv[1])
for number in range(int(sys.argv[3])):
    ledger.append(sys.argv[2], "", ToolEnded(str(number), "t", result="x" * 500))
    print(number, flush=True)
"""


def _writer(file: Path, run: str, rows: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(file), run, str(rows)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes_may_make_and_share_one_ledger_at_once(file: Path) -> None:
    writers = [_writer(file, f"run-{number}", 40) for number in range(4)]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    ledger = Ledger(file)
    assert {run.run: len(ledger.events(run.run)) for run in ledger.runs()} == {f"run-{n}": 40 for n in range(4)}
    ledger.close()


def test_what_was_appended_survives_the_killing_of_its_process(file: Path) -> None:
    with _writer(file, "run", 1_000_000) as writer:
        assert writer.stdout is not None
        seen = [int(writer.stdout.readline()) for _ in range(50)]
        writer.send_signal(signal.SIGKILL)
    ledger = Ledger(file)
    calls = [int(row.event.call) for row in ledger.events("run")]
    assert calls[: len(seen)] == seen
    assert calls == list(range(len(calls)))
    ledger.close()


def _append_in_child(ledger: Ledger) -> None:
    ledger.append("run", "child", RunStarted("child"))
    os._exit(0)


def test_a_new_file_that_another_process_is_about_to_make_is_waited_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.parent.mkdir()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("time.sleep", lambda _: other.execute("ROLLBACK"))  # while this one waits
        with closing(Ledger(file)) as ledger:
            ledger.append("run", "", RunStarted("a"))
            assert len(ledger.events("run")) == 1


def test_a_new_file_that_another_process_keeps_to_itself_is_told_of(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.parent.mkdir()
    monkeypatch.setattr("orchestra.ledger.schema.BUSY", 0.01)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another process has kept it locked"):
            Ledger(file)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_writes_through_a_connection_of_its_own(ledger: Ledger) -> None:
    ledger.append("run", "", RunStarted("parent"))
    assert ledger._store is not None
    child = multiprocessing.get_context("fork").Process(target=_append_in_child, args=(ledger,))
    with ledger._store._lock:  # held by the parent at the moment of the fork, as another thread might
        child.start()
    child.join(20)
    assert child.exitcode == 0
    ledger.append("run", "", RunEnded("done"))
    assert [row.step for row in ledger.events("run")] == ["", "child", ""]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_writes_into_the_file_that_is_there_when_it_begins(file: Path, ledger: Ledger) -> None:
    ledger.append("run", "", RunStarted("parent"))
    for part in file.parent.iterdir():
        part.unlink()
    with closing(Ledger(file)) as other:
        child = multiprocessing.get_context("fork").Process(target=_append_in_child, args=(ledger,))
        child.start()
        child.join(20)
        assert child.exitcode == 0
        assert [row.step for row in other.events("run")] == ["child"]


def test_a_process_that_is_not_the_one_that_opened_the_file_opens_it_again(ledger: Ledger) -> None:
    assert ledger._store is not None
    before, ledger._store._pid = ledger._store._db, -1
    ledger.append("run", "", RunStarted("a"))
    assert ledger._store._db is not before
    before.close()


def test_a_folder_is_refused_with_a_name_that_would_do(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"it is a folder; name a file, such as .*ledger\.db"):
        Ledger(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match=r"cannot open the ledger .*file/ledger\.db: .*give another path"):
        Ledger(tmp_path / "file" / "ledger.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LedgerError, match="give another path"):
        Ledger(tmp_path / "ledger.db")
    tmp_path.chmod(0o700)


def test_another_programs_database_is_refused_and_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE checkpoints (a)")
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"not a ledger but another SQLite database \(tables: checkpoints\)"):
        Ledger(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text("[models.small]\n" * 100)
    with pytest.raises(LedgerError, match="not an SQLite database; move it away, or give another path"):
        Ledger(path)
    assert path.read_text().startswith("[models.small]")


@pytest.mark.parametrize("version", [2, 0, "x"])
def test_a_ledger_of_another_schema_is_refused_naming_both_versions(file: Path, version: object) -> None:
    Ledger(file).close()
    with closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE orchestra_ledger SET version = ?", (version,))
        db.commit()
    with pytest.raises(
        LedgerError, match=f"schema version {version!r}, this orchestra reads 1: use the orchestra that"
    ):
        Ledger(file)


def test_a_damaged_file_is_named_as_such(file: Path) -> None:
    ledger = Ledger(file)
    for number in range(200):
        ledger.append("run", "", ToolEnded(str(number), "t"))
    ledger.close()
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(LedgerError, match="it is damaged; move it away"):
        Ledger(file).events("run")


def test_a_full_disk_ends_the_run_and_not_the_ledger(ledger: Ledger) -> None:
    ledger.append("run", "", RunStarted("a"))
    assert ledger._store is not None
    pages = ledger._store._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._store._db.execute(f"PRAGMA max_page_count = {pages}")
    heard: list[Row] = []
    ledger.subscribe("run", heard.append)
    with pytest.raises(LedgerError, match=r"cannot append to the ledger .*: the disk is full; free some space"):
        ledger.append("run", "x" * 100_000, RunStarted("too big"))
    assert heard == []
    ledger._store._db.execute("PRAGMA max_page_count = 1000000")
    ledger.append("run", "", RunEnded("failed"))
    assert [row.event.type for row in ledger.events("run")] == ["run_started", "run_ended"]


def test_a_ledger_in_whose_place_another_was_made_ends_the_run_as_well(file: Path, ledger: Ledger) -> None:
    ledger.append("run", "", RunStarted("a"))
    for part in file.parent.iterdir():
        part.unlink()
    other = Ledger(file)
    with pytest.raises(LedgerError, match="it was replaced by another file while it was open; run again"):
        ledger.append("run", "", RunEnded("done"))
    assert other.events("run") == []
    other.close()


def test_a_ledger_that_is_removed_under_a_run_ends_it(file: Path, ledger: Ledger) -> None:
    ledger.append("run", "", RunStarted("a"))
    file.unlink()
    with pytest.raises(LedgerError, match="it was removed while it was open"):
        ledger.append("run", "", RunEnded("done"))


def test_a_relative_path_stays_the_same_file_when_the_process_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = Ledger("here.db")
    monkeypatch.chdir("/")
    ledger.append("run", "", RunStarted("a"))
    assert ledger.path == tmp_path / "here.db"
    ledger.close()


def test_a_ledger_in_memory_is_refused_with_what_to_give_instead() -> None:
    with pytest.raises(LedgerError, match="name one, or give None to keep nothing"):
        Ledger(":memory:")


def test_a_ledger_that_lost_its_table_says_so(file: Path, ledger: Ledger) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("DROP TABLE events")
    with pytest.raises(LedgerError, match="no such table: events; check the file, or give another path"):
        ledger.events("run")


def test_a_file_that_became_read_only_ends_the_run(ledger: Ledger) -> None:
    assert ledger._store is not None
    ledger._store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(LedgerError, match="it may not be written; change its permissions"):
        ledger.append("run", "", RunStarted("a"))


def test_a_lock_that_another_process_keeps_is_said(file: Path, ledger: Ledger) -> None:
    assert ledger._store is not None
    ledger._store._db.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another process has kept it locked"):
            ledger.append("run", "", RunStarted("a"))
        other.execute("ROLLBACK")
    ledger.append("run", "", RunStarted("a"))


def test_a_closed_ledger_says_so_and_closing_twice_is_closing_once(file: Path) -> None:
    ledger = Ledger(file)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match=r"ledger\.db: .*closed"):
        ledger.append("run", "", RunStarted("a"))


def test_a_row_that_cannot_be_read_is_named(file: Path, ledger: Ledger) -> None:
    ledger.append("run", "", RunStarted("a"))
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("INSERT INTO events (run, step, time, type, data) VALUES ('run', '', 0, 'dreamt', '{}')")
        other.execute("INSERT INTO events (run, step, time, type, data) VALUES ('cut', '', 0, 'run_ended', '{')")
    with pytest.raises(LedgerError, match=r"has a row 2 that this orchestra cannot read: event type 'dreamt'"):
        ledger.events("run")
    with pytest.raises(LedgerError, match="has a row 3"):
        ledger.events("cut")


def test_a_name_that_is_no_text_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="cannot append"):
        ledger.append("run", "lone \ud800", RunStarted("a"))


def test_a_file_with_tables_of_which_nothing_is_known_is_opened_and_they_are_left(file: Path) -> None:
    with closing(Ledger(file)) as ledger:
        ledger.append("run-1", "", RunStarted("agent"))
    with closing(sqlite3.connect(file)) as db:
        db.executescript("CREATE TABLE summed (seq INTEGER NOT NULL); INSERT INTO summed VALUES (7)")
    with closing(Ledger(file)) as ledger:
        ledger.append("run-1", "", RunEnded("done"))
        assert len(ledger.events("run-1")) == 2
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT seq FROM summed").fetchall() == [(7,)]
