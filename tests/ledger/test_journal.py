"""The journal: what a run must not do twice, kept with the event that says so, and gone when it is no longer needed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import LedgerError
from orchestra.ledger import Ledger, Recorder, Row, RunStarted, StepEnded, ToolEnded
from orchestra.types import (
    Image,
    Message,
    Origin,
    Plan,
    Reasoning,
    Step,
    Text,
    ToolCall,
    ToolResult,
    Trigger,
    from_json,
)

SECRET = "planted-exact-secret"
SHAPED = "sk-ant-api03-PLANTED0123456789"


@pytest.fixture(params=["file", "memory"])
def book(request: pytest.FixtureRequest, file: Path) -> Iterator[Ledger]:
    """A ledger with a file, and one without: a journal is the same in both."""
    ledger = Ledger(file if request.param == "file" else None, secrets=[SECRET])
    yield ledger
    ledger.close()


def test_what_was_kept_is_found_again_in_the_order_in_which_it_was_first_kept(book: Ledger) -> None:
    book.keep("run", "s", "z", {"text": "first"})
    book.append("run", "s", ToolEnded("c", "t"), keep=("a", [1, 2.5, None, True, "ünï\ud800"]))
    Recorder(book, "run").record("s", StepEnded("done"), keep=("m", "last"))
    assert list(book.kept("run", "s").items()) == [
        ("z", {"text": "first"}),
        ("a", [1, 2.5, None, True, "ünï\ud800"]),
        ("m", "last"),
    ]


def test_runs_and_steps_do_not_see_each_others_entries(book: Ledger) -> None:
    book.keep("run", "s", "k", 1)
    book.keep("run", "t", "k", 2)
    book.keep("other", "s", "k", 3)
    assert (book.kept("run", "s"), book.kept("run", "t"), book.kept("other", "s")) == ({"k": 1}, {"k": 2}, {"k": 3})
    assert book.kept("run", "") == book.kept("none", "s") == {}


def test_a_later_entry_takes_the_place_of_an_earlier_one_of_its_key(book: Ledger) -> None:
    for value in ("started", None, "done"):
        book.keep("run", "s", "call", value)
        book.keep("run", "s", "next", 0)
    assert list(book.kept("run", "s").items()) == [("call", "done"), ("next", 0)]


def test_an_entry_in_the_file_is_as_it_was_when_it_was_kept(ledger: Ledger) -> None:
    value: dict[str, list[int]] = {"seen": [1]}
    ledger.keep("run", "s", "k", value)
    value["seen"].append(2)
    assert ledger.kept("run", "s") == {"k": {"seen": [1]}}


def test_forgetting_a_run_takes_its_entries_and_no_others(book: Ledger) -> None:
    book.append("run", "s", RunStarted("a"), keep=("k", 1))
    book.keep("run", "t", "k", 2)
    book.keep("other", "s", "k", 3)
    rows = book.events("run")
    book.forget("run")
    book.forget("run")
    assert (book.kept("run", "s"), book.kept("run", "t"), book.kept("other", "s")) == ({}, {}, {"k": 3})
    assert book.events("run") == rows


def test_what_is_forgotten_is_overwritten_in_the_file(file: Path) -> None:
    ledger = Ledger(file)
    ledger.keep("run", "s", "k", "what the customer wrote " * 400)
    ledger.forget("run")
    ledger.close()
    assert b"what the customer wrote" not in file.read_bytes()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(alphabet="aé\ud800\x00 \n\"'"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet="aé "), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="aé\x01.:/ "), JSON)
def test_any_json_under_any_key_is_found_as_it_was(key: str, value: object) -> None:
    ledger = Ledger(None)
    ledger.keep("run", "s", key, value)
    assert ledger.kept("run", "s") == {key: value}
    ledger.close()


def test_mappings_of_any_kind_and_tuples_are_kept_as_plain_json(book: Ledger) -> None:
    book.keep("run", "s", "k", MappingProxyType({"a": (1, MappingProxyType({"b": 2}))}))
    assert book.kept("run", "s") == {"k": {"a": [1, {"b": 2}]}}


@pytest.mark.parametrize("wrong", [object(), {"a": {1, 2}}, {("a",): 1}, {"id": UUID(int=1)}])
def test_what_is_not_json_is_refused_and_its_event_is_not_recorded(ledger: Ledger, wrong: object) -> None:
    heard: list[Row] = []
    ledger.subscribe("run", heard.append)
    with pytest.raises(LedgerError, match=r"entry 'reply' of step 's' is not plain JSON"):
        ledger.append("run", "s", ToolEnded("c", "t"), keep=("reply", wrong))
    assert (ledger.events("run"), ledger.kept("run", "s"), heard) == ([], {}, [])


def test_what_is_not_json_is_refused_in_memory_once_somebody_asks_for_it() -> None:
    ledger = Ledger(None)
    ledger.keep("run", "s", "reply", {"a": {1, 2}})
    with pytest.raises(LedgerError, match=r"an entry of step 's' is not plain JSON: .*set"):
        ledger.kept("run", "s")


MESSAGE = Message(
    "assistant",
    (
        Reasoning("hm", Origin("p", "a", "m"), provider_state=f"Bearer {SHAPED}"),
        Text("ünï\ud800"),
        ToolCall("c", "rows", {"sql": "SELECT 1", "deep": [1.5, None, {"a": True}]}, raw="{}"),
        ToolResult("c", "rows", (Text("344"), Image("image/png", url="https://example.org")), is_error=True),
    ),
)


@pytest.mark.parametrize(
    "value", [MESSAGE, (MESSAGE, MESSAGE), Plan("t", (Step("s", "look", needs=("r",)),)), Trigger.quota]
)
def test_values_of_ours_are_kept_as_their_json_and_read_back_the_same(book: Ledger, value: object) -> None:
    book.keep("run", "s", "k", value)
    cls: Any = tuple[Message, ...] if isinstance(value, tuple) else type(value)
    assert from_json(cls, book.kept("run", "s")["k"]) == value


def test_secrets_leave_values_of_ours_too(book: Ledger) -> None:
    book.keep("run", "s", "k", Message.user(f"the key is {SECRET}"))
    assert from_json(Message, book.kept("run", "s")["k"]) == Message.user("the key is [redacted]")


def test_an_event_whose_entry_cannot_be_written_is_not_written_either(file: Path, ledger: Ledger) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TRIGGER no BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'not now'); END")
    heard: list[Row] = []
    ledger.subscribe("run", heard.append)
    with pytest.raises(LedgerError, match="not now"):
        ledger.append("run", "s", ToolEnded("c", "t"), keep=("k", 1))
    with closing(sqlite3.connect(file)) as other:
        other.execute("DROP TRIGGER no")
    assert (ledger.events("run"), ledger.kept("run", "s"), heard) == ([], {}, [])
    ledger.append("run", "s", ToolEnded("d", "t"), keep=("k", 2))
    assert (len(ledger.events("run")), ledger.kept("run", "s")) == (1, {"k": 2})


def test_an_entry_whose_event_cannot_be_written_is_not_written_either(file: Path, ledger: Ledger) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TRIGGER no BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'not now'); END")
    with pytest.raises(LedgerError, match="not now"):
        ledger.append("run", "s", ToolEnded("c", "t"), keep=("k", 1))
    assert (ledger.events("run"), ledger.kept("run", "s")) == ([], {})


def test_a_full_disk_takes_neither_the_event_nor_its_entry(ledger: Ledger) -> None:
    ledger.keep("run", "s", "before", 1)
    db = ledger._store._db
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(LedgerError, match="the disk is full; free some space"):
        ledger.append("run", "s", ToolEnded("c", "t"), keep=("reply", "x" * 200_000))
    db.execute("PRAGMA max_page_count = 1000000")
    assert (ledger.events("run"), ledger.kept("run", "s")) == ([], {"before": 1})
    ledger.append("run", "s", ToolEnded("c", "t"), keep=("reply", "y"))
    assert ledger.kept("run", "s") == {"before": 1, "reply": "y"}


def test_a_seq_is_the_events_own_whether_or_not_something_is_kept(ledger: Ledger) -> None:
    heard: list[Row] = []
    ledger.subscribe("run", heard.append)
    for n in range(6):
        ledger.append("run", "s", ToolEnded(str(n), "t"), keep=("k", n) if n % 2 else None)
    assert [row.seq for row in heard] == [1, 2, 3, 4, 5, 6]
    assert ledger.events("run") == heard


@pytest.mark.parametrize("content", [False, True])
def test_a_resume_needs_content_so_it_is_kept_whether_or_not_the_ledger_keeps_any(file: Path, content: bool) -> None:
    ledger = Ledger(file, content=content)
    ledger.append("run", "s", ToolEnded("c", "t", result="344 rows"), keep=("c", {"result": "344 rows"}))
    assert ledger.kept("run", "s") == {"c": {"result": "344 rows"}}
    ledger.close()


def test_no_known_secret_is_kept_wherever_it_stands(file: Path) -> None:
    ledger = Ledger(file, secrets=[SECRET])
    value = {
        "text": f"the key is {SECRET}",
        SECRET: [SECRET],
        "deep": [{"json": f'{{"a":"{SECRET}"}}'}],
        "provider_state": {"note": f"a {SECRET} b"},
    }
    ledger.append(f"run {SECRET}", SECRET, ToolEnded("c", "t"), keep=("k", value))
    assert ledger.kept(f"run {SECRET}", SECRET) == {
        "k": {
            "text": "the key is [redacted]",
            "[redacted]": ["[redacted]"],
            "deep": [{"json": '{"a":"[redacted]"}'}],
            "provider_state": {"note": "a [redacted] b"},
        }
    }
    raw = b"".join(path.read_bytes() for path in file.parent.iterdir()).decode("latin-1")
    assert SECRET not in raw
    ledger.forget(f"run {SECRET}")
    assert ledger.kept(f"run {SECRET}", SECRET) == {}
    ledger.close()


def test_what_merely_looks_like_a_secret_comes_back_as_it_was_for_it_may_be_executed(book: Ledger) -> None:
    value = {
        "page_token": "CAUQAA",
        "text": f"your reset token: 4711-ABCD, password=hunter22, {SHAPED}",
        "provider_state": {"signature": f"Bearer {SHAPED}", "n": [1.0, None]},
    }
    book.keep("run", "s", "reply", value)
    assert book.kept("run", "s")["reply"] == book.without_secrets(value) == value


def test_secrets_that_are_learnt_later_are_hidden_in_journals_too(book: Ledger) -> None:
    book.hide(["learnt-on-the-way"])
    book.keep("run", "s", "k", {"provider_state": "learnt-on-the-way", "text": "learnt-on-the-way"})
    assert book.kept("run", "s") == {"k": {"provider_state": "[redacted]", "text": "[redacted]"}}


def test_a_key_that_merely_looks_like_a_secret_is_found_again(book: Ledger) -> None:
    key = "turn 0 call token=abcdef123456"  # call ids are the model's own words
    book.keep("run", "s", key, "done")
    book.keep("run", "s", f"{SECRET}", "done")
    assert list(book.kept("run", "s")) == [key, "[redacted]"]


OLD = """
CREATE TABLE orchestra_ledger (version INTEGER NOT NULL); INSERT INTO orchestra_ledger VALUES (1);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, run TEXT NOT NULL, step TEXT NOT NULL, time REAL NOT NULL,
    type TEXT NOT NULL, data TEXT NOT NULL
);
CREATE INDEX events_of_run ON events (run);
"""


def test_a_ledger_made_before_there_were_journals_opens_and_gains_them(file: Path) -> None:
    file.parent.mkdir()
    started = json.dumps({"agent": "a", "task": "", "fleet": "f", "mode": ""})
    with closing(sqlite3.connect(file)) as db:
        db.executescript(OLD)
        db.execute(
            "INSERT INTO events (run, step, time, type, data) VALUES ('run', '', 1.0, 'run_started', ?)", [started]
        )
        db.commit()
    ledger = Ledger(file)
    assert [row.event for row in ledger.events("run")] == [RunStarted("a", fleet="f")]
    ledger.append("run", "s", ToolEnded("c", "t"), keep=("k", 1))
    ledger.claim("run").release()
    assert (len(ledger.events("run")), ledger.kept("run", "s")) == (2, {"k": 1})
    ledger.close()


def test_a_ledger_in_memory_that_was_closed_says_so() -> None:
    ledger = Ledger(None)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match=r"the ledger in memory: the app was closed"):
        ledger.keep("run", "s", "k", 1)
