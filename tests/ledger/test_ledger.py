"""Ledger and Recorder: what is kept, who hears of it, and how runs are found."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from orchestra.errors import LedgerError
from orchestra.ledger import (
    AttemptEnded,
    Decided,
    Event,
    Judged,
    Ledger,
    Planned,
    Recorder,
    Row,
    RunEnded,
    RunStarted,
    StepEnded,
    StepStarted,
    ToolEnded,
    ToolStarted,
    new_run_id,
)
from orchestra.ledger.redact import Redactor
from orchestra.types import Candidate, Cost, Decision, ModelCard, Plan, Reason, Rejection, Step, StepContext, Trigger
from tests.ledger.stories import agent_story, call_story, write


def test_a_recorder_writes_rows_of_its_own_run_with_number_step_and_time(ledger: Ledger) -> None:
    Recorder(ledger, "run-1").record("s1", StepEnded("done", "small"))
    assert ledger.events("run-1") == [Row(1, "run-1", "s1", 1000.0, StepEnded("done", "small"))]
    assert ledger.events("run-2") == []


def test_content_is_heard_but_stored_only_when_asked_for(tmp_path: Path) -> None:
    for content in (False, True):
        ledger = Ledger(tmp_path / f"{content}.db", content=content)
        heard: list[Row] = []
        ledger.subscribe("run", heard.append)
        write(ledger, "run", agent_story())
        assert [row.event for row in heard] == [event for _, event in agent_story()]
        stored = repr([row.event for row in ledger.events("run")])
        written = [
            "how many rows?",
            "what people wrote",
            "raw of a2",
            "Write sql as a string.",
            "select count(*)",
            "344 rows",
        ]
        assert [text in stored for text in written] == [content] * len(written)
        ledger.close()


def test_what_a_trace_needs_is_stored_without_content_too(ledger: Ledger) -> None:
    write(ledger, "run", agent_story())
    stored = repr([row.event for row in ledger.events("run")])
    for text in ("count rows", "expected string, got 3", "the rule for kind 'act'", "the data demands 'eu'", "ab" * 32):
        assert text in stored


def test_without_a_path_nothing_is_kept_and_all_is_heard() -> None:
    heard: list[Row] = []
    ledger = Ledger(None, sinks=[heard.append])
    rows = write(ledger, "run", call_story())
    assert heard == rows
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5, 6]
    assert (ledger.path, ledger.events("run"), ledger.runs()) == (None, [], [])
    with pytest.raises(LedgerError, match=r"keeps nothing \(path None\); give it a path"):
        ledger.resolve("run")
    ledger.close()


@pytest.mark.interpreted
def test_what_nobody_keeps_or_hears_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    monkeypatch.setattr(Redactor, "value", lambda self, value: looked.append(value) or value)
    ledger, event = Ledger(None), RunStarted("task")
    ledger.append("run", "", event)
    stop = ledger.subscribe("run", lambda row: None)
    ledger.append("run", "", event)
    stop()
    ledger.append("run", "", event)
    assert looked == [event]


def test_a_listener_hears_its_run_from_subscribing_to_unsubscribing(ledger: Ledger) -> None:
    heard: list[Row] = []
    ledger.append("run", "", RunStarted("before"))
    stop = ledger.subscribe("run", heard.append)
    again = ledger.subscribe("run", heard.append)
    ledger.append("run", "", RunStarted("during"))
    ledger.append("other", "", RunStarted("elsewhere"))
    stop()
    stop()
    ledger.append("run", "", RunStarted("once"))
    again()
    ledger.append("run", "", RunStarted("after"))
    assert [row.event for row in heard] == [RunStarted("during"), RunStarted("during"), RunStarted("once")]


def test_a_row_is_stored_before_it_is_told(ledger: Ledger) -> None:
    found: list[list[Row]] = []
    ledger.subscribe("run", lambda row: found.append(ledger.events(row.run)))
    ledger.append("run", "", RunEnded("done"))
    assert found == [ledger.events("run")]
    assert len(found[0]) == 1


def test_a_listener_that_raises_is_logged_without_secrets_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Row] = []
    ledger = Ledger(None, secrets=["planted-secret"], sinks=[heard.append])

    def broken(row: Row) -> None:
        raise RuntimeError("cannot print planted-secret")

    ledger.subscribe("run", broken)
    with caplog.at_level(logging.ERROR, "orchestra.ledger"):
        ledger.append("run", "", RunStarted("a"))
    assert len(heard) == 1
    assert "failed on run_started 1: RuntimeError: cannot print [redacted]" in caplog.text
    assert "planted-secret" not in caplog.text


def test_listeners_may_come_and_go_from_many_threads(ledger: Ledger) -> None:
    heard: list[Row] = []

    def work(name: str) -> None:
        for _ in range(50):
            stop = ledger.subscribe(name, heard.append)
            ledger.append(name, "", RunStarted("a"))
            stop()

    threads = [threading.Thread(target=work, args=(f"run-{number % 4}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) >= 400
    assert ledger._listeners._of_run == {}


SECRET = "planted-exact-secret"
SHAPED = "sk-ant-api03-PLANTED0123456789"


def _planted(said: str) -> list[tuple[str, Event]]:
    card = ModelCard(
        "m", said, "p", "openai-chat", "t", base_url=f"http://u:{said}@h", tags=(said,), sources={said: said}
    )
    why = Reason(said, said)
    candidate = Candidate(card, 0, 0.5, None, 1.0, reasons=(why,), rejected=why, sources={said: said})
    refused = Rejection(said, said, said)
    chosen = Decision(said, said, "cost", (said,), reasons=(why,), rejections=(refused,), candidates=(candidate,))
    step = Step(said, said, said, output_schema={said: [said]}, metadata={said: {said: said}})
    return [
        ("", RunStarted(said, said, said, said)),
        (said, Planned(Plan(said, (step,), (said,)), 1, (said,))),
        (said, StepStarted(said, said, (said,))),
        (said, Decided(StepContext(step, said, signals={said: [{said: said}]}), chosen, said)),
        (said, AttemptEnded(said, said, said, Trigger.auth, raw_sha256=said, raw=said)),
        (
            said,
            Judged(said, said, Trigger.auth, (f"error: {said}!",), (said,), to_model=said, reason=said, feedback=said),
        ),
        (said, ToolStarted(said, said, arguments={said: said, "deep": {"json": f'{{"a": "{said}"}}', "list": [said]}})),
        (said, ToolEnded(said, said, result=f"ValueError('{said}')")),
        (said, StepEnded("failed", said, evidence=(said,), result=said)),
        ("", RunEnded("failed", reason=said, answer=said)),
    ]


@pytest.mark.parametrize("content", [False, True])
def test_no_planted_secret_reaches_the_files_bytes_a_listener_or_a_reader(file: Path, content: bool) -> None:
    heard: list[Row] = []
    ledger = Ledger(file, content=content, secrets=[SECRET], sinks=[heard.append])
    for said in (SECRET, SHAPED):
        write(ledger, f"run {said}", _planted(said))
    open_files = sorted(file.parent.iterdir())
    assert [path.name for path in open_files] == ["ledger.db", "ledger.db-shm", "ledger.db-wal"]
    raw = b"".join(path.read_bytes() for path in open_files)
    ledger.close()
    raw += file.read_bytes()
    seen = raw.decode("latin-1") + repr(heard)
    assert seen.count("[redacted]") > 100
    assert SECRET not in seen
    assert "PLANTED" not in seen


def test_a_run_whose_id_holds_a_secret_is_still_found_by_it(file: Path) -> None:
    ledger = Ledger(file, secrets=[SECRET])
    heard: list[Row] = []
    ledger.subscribe(f"run-{SECRET}", heard.append)
    ledger.append(f"run-{SECRET}", "", RunStarted("a"))
    assert [row.run for row in heard] == ["run-[redacted]"]
    assert ledger.events(f"run-{SECRET}") == heard
    ledger.close()


def test_runs_are_listed_newest_activity_first_with_what_they_took(ledger: Ledger) -> None:
    write(ledger, "agent", agent_story())
    write(ledger, "call", call_story(usd=None))
    ledger.append("dead", "s", StepStarted("go", "act"))
    dead, call, agent = ledger.runs()
    assert (dead.run, dead.agent, dead.state, dead.seconds, dead.steps) == ("dead", "", "running", 0.0, 1)
    assert (call.agent, call.state, call.seconds, call.cost, call.models) == (
        "complete",
        "done",
        0.9,
        Cost(None),
        ("small",),
    )
    assert (agent.agent, agent.steps, agent.attempts, agent.models) == ("analyst", 3, 5, ("strong", "small"))
    assert (agent.mode, agent.started, agent.task) == ("balanced", 1000.0, "")
    assert [run.run for run in ledger.runs(2)] == ["dead", "call"]
    assert ledger.runs(0) == []


def test_a_run_is_found_by_the_beginning_of_its_id(ledger: Ledger) -> None:
    for run in ("abc1", "abc2", "abcd", "b", "bb"):
        ledger.append(run, "", RunStarted("a"))
    assert ledger.resolve("abc1") == "abc1"
    assert ledger.resolve(" abcd\n") == "abcd"
    assert ledger.resolve("b") == "b"
    with pytest.raises(LedgerError, match=r"'abc' begins 3 runs in .*: abc1, abc2, abcd; give more of the id"):
        ledger.resolve("abc")


def test_a_prefix_of_very_many_runs_names_only_some(ledger: Ledger) -> None:
    for number in range(8):
        ledger.append(f"run-{number}", "", RunStarted("a"))
    with pytest.raises(LedgerError, match=r"run-0, run-1, run-2, run-3, run-4, …; give more"):
        ledger.resolve("run")


def test_a_run_that_is_not_found_names_the_nearest_and_the_latest(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="has no runs yet"):
        ledger.resolve("x")
    ledger.append("penguins-1", "", RunStarted("a"))
    ledger.append("whales-2", "", RunStarted("a"))
    with pytest.raises(
        LedgerError, match=r"no run begins with 'pengiuns-1' in .*; nearest: penguins-1; latest: whales-2"
    ):
        ledger.resolve("pengiuns-1")
    with pytest.raises(LedgerError, match=r"no run begins with 'ж' in .*\.db; latest: whales-2"):
        ledger.resolve("ж")
    with pytest.raises(LedgerError, match="latest: whales-2"):
        ledger.resolve("  ")


def test_run_ids_are_short_unique_and_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(1_700_000_000_000_000_000, 1_900_000_000_000_000_000, 10_000_000_000_000))
    monkeypatch.setattr("orchestra.ledger.runs.time.time_ns", lambda: next(times))
    ids = [new_run_id() for _ in range(1000)]
    assert {len(run) for run in ids} == {16}
    assert ids == sorted(ids)
    monkeypatch.setattr("orchestra.ledger.runs.time.time_ns", lambda: 1_700_000_000_000_000_000)
    assert len({new_run_id() for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("nanoseconds", "bits", "run"),
    [
        (0, 0, "0000000000000000"),
        (0, 2**25 - 1, "00000000000zzzzz"),
        (1_000, 0, "0000000000100000"),
        (1_700_000_000_000_000_999, 1, "1ga4gc1wg0000001"),
        ((2**55 - 1) * 1_000, 0, "zzzzzzzzzzz00000"),
    ],
)
def test_a_run_id_is_eleven_digits_of_the_microsecond_and_five_that_are_drawn(
    nanoseconds: int, bits: int, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    monkeypatch.setattr("orchestra.ledger.runs.time.time_ns", lambda: nanoseconds)
    monkeypatch.setattr("orchestra.ledger.runs.secrets.randbits", lambda count: drawn.append(count) or bits)
    assert new_run_id() == run
    assert drawn == [25]
