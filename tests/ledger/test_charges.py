"""Charges: what attempts hold and cost, as whoever shares a ledger reads it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestra.errors import LedgerError
from orchestra.ledger import AttemptEnded, AttemptStarted, Charge, Charges, Decided, Ledger
from orchestra.types import Cost, Decision, Labels, Step, StepContext


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledgers(file: Path, clock: Clock) -> Iterator[tuple[Ledger, Ledger]]:
    """Two on one file."""
    both = Ledger(file, clock=clock), Ledger(file, clock=clock)
    yield both
    for ledger in both:
        ledger.close()


HOUR = 3600.0


def taken(charges: Charges, begins: float, ends: float) -> float:
    """USD that were spent or are held for what began in that time."""
    found = charges.within(begins, ends)
    return sum(usd for *_, usd in found.sums) + sum(one.usd or 0.0 for one in found.open)


def attempt(ledger: Ledger, name: str, *, run: str = "run-1", usd: float | None = 0.5) -> None:
    ledger.append(run, "s1", AttemptStarted(name, "small", reserved=1.0, holder="caps-1", key="K"))
    ledger.append(run, "s1", AttemptEnded(name, "small", cost=Cost(usd)))


def decide(ledger: Ledger, step: Step, **labels: str) -> None:
    ledger.append("run-1", "s1", Decided(StepContext(step, **labels), Decision("small", "efficient", "balanced")))


def test_an_attempt_is_a_charge_when_it_begins_and_another_when_it_ends(ledgers: tuple[Ledger, Ledger]) -> None:
    ledger, _ = ledgers
    decide(ledger, Step("s1", name="look up"), tenant="acme", feature="search")
    attempt(ledger, "a1")
    charges = ledger.charges()
    assert charges is not None
    labels = Labels("run-1", "acme", "search", "look up", "small", "K")
    began, ended = charges.of("run-1")
    assert began == Charge("a1", 100.0, ended=False, usd=1.0, labels=labels, holder="caps-1")
    assert (ended.attempt, ended.ended, ended.usd) == ("a1", True, 0.5)
    assert began.seq < ended.seq


def test_an_attempt_is_booked_to_the_decision_before_it_and_a_step_without_a_name_to_its_id(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    ledger, _ = ledgers
    attempt(ledger, "a0")
    decide(ledger, Step("s1"), tenant="acme")
    attempt(ledger, "a1")
    decide(ledger, Step("s1"), tenant="other")
    charges = ledger.charges()
    assert charges is not None
    labels = {one.attempt: one.labels for one in charges.of("run-1") if not one.ended}
    assert (labels["a0"].tenant, labels["a0"].step) == ("", "")
    assert (labels["a1"].tenant, labels["a1"].step) == ("acme", "s1")


def test_an_unknown_cost_is_none(ledgers: tuple[Ledger, Ledger]) -> None:
    ledger, _ = ledgers
    attempt(ledger, "a1", usd=None)
    charges = ledger.charges()
    assert charges is not None
    assert [one.usd for one in charges.of("run-1")] == [1.0, None]


def test_only_what_is_new_is_read_and_only_where_somebody_else_has_written(ledgers: tuple[Ledger, Ledger]) -> None:
    ledger, other = ledgers
    attempt(ledger, "old")
    charges = ledger.charges()
    assert charges is not None
    assert charges.new() == []
    attempt(ledger, "mine")
    assert charges.new() == []
    attempt(other, "theirs")
    assert [one.attempt for one in charges.new() if not one.ended] == ["mine", "theirs"]
    assert charges.new() == []


def test_attempts_are_found_by_when_they_began_whenever_they_end(ledgers: tuple[Ledger, Ledger], clock: Clock) -> None:
    ledger, _ = ledgers
    clock.now = 9 * HOUR
    attempt(ledger, "ahead", run="run-0")
    clock.now = 1 * HOUR
    attempt(ledger, "before", run="run-0")
    clock.now = 2 * HOUR
    ledger.append("run-1", "s1", AttemptStarted("a1", "small", reserved=1.0))
    clock.now = 0.5 * HOUR
    ledger.append("run-1", "s1", AttemptEnded("a1", "small", cost=Cost(0.25)))
    clock.now = 3 * HOUR - 1e-6
    ledger.append("run-1", "s1", AttemptStarted("open", "small", reserved=4.0))
    clock.now = 3 * HOUR
    attempt(ledger, "after", run="run-2")
    charges = ledger.charges()
    assert charges is not None
    for _ in range(2):
        assert taken(charges, 2 * HOUR, 3 * HOUR) == 4.25
        assert taken(charges, 0.0, 24 * HOUR) == 5.75
        charges.index()


def test_of_attempts_that_are_over_there_is_a_sum_and_the_others_are_told_one_by_one(
    ledgers: tuple[Ledger, Ledger], clock: Clock
) -> None:
    ledger, _ = ledgers
    for name in ("a1", "a2", "unknown"):
        ledger.append("run-1", "s1", AttemptStarted(name, "small", reserved=1.0, holder="caps-1"))
    ledger.append("run-1", "s1", AttemptEnded("unknown", "small", cost=Cost(None)))
    ledger.append("run-1", "s1", AttemptEnded("a1", "small", cost=Cost(0.5)))
    ledger.append("run-1", "s1", AttemptEnded("a1", "small", cost=Cost(0.25)))
    clock.now = HOUR
    attempt(ledger, "later")
    charges = ledger.charges()
    assert charges is not None
    found = charges.within(0.0, 2 * HOUR, ("model",))
    assert found.sums == ((Labels(model="small"), 2.0),)
    labels = Labels("run-1", "", "", "", "small")
    assert found.open == (Charge("a2", 100.0, ended=False, usd=1.0, labels=labels, holder="caps-1"),)
    assert found.until == 8


def test_sums_tell_apart_the_labels_that_are_asked_for(ledgers: tuple[Ledger, Ledger]) -> None:
    ledger, _ = ledgers
    for tenant, feature in (("acme", "search"), ("acme", "chat"), ("other", "chat")):
        decide(ledger, Step("s1", name="look"), tenant=tenant, feature=feature)
        attempt(ledger, f"{tenant}-{feature}")
    charges = ledger.charges()
    assert charges is not None
    assert charges.within(0.0, HOUR, ("tenant",)).sums == (
        (Labels(tenant="acme"), 1.0),
        (Labels(tenant="other"), 0.5),
    )
    assert charges.within(0.0, HOUR, ("key", "step")).sums == ((Labels(step="look", key="K"), 1.5),)
    assert charges.within(0.0, HOUR, ()).sums == ((Labels(), 1.5),)
    assert [labels for labels, _ in charges.within(0.0, HOUR).sums][2] == Labels(
        "", "other", "chat", "look", "small", "K"
    )


def test_decisions_are_looked_at_only_for_labels_that_stand_in_them(ledgers: tuple[Ledger, Ledger]) -> None:
    ledger, _ = ledgers
    decide(ledger, Step("s1"), tenant="acme")
    ledger.append("run-1", "s1", AttemptStarted("a1", "small", reserved=1.0))
    charges = ledger.charges()
    assert charges is not None
    for by, tenant in ((("model", "key"), ""), ((), ""), (("feature",), "acme"), (("step", "key"), "acme")):
        (one,) = charges.within(0.0, HOUR, by).open
        assert one.labels.tenant == tenant


def test_each_reader_reads_for_itself(ledgers: tuple[Ledger, Ledger]) -> None:
    ledger, other = ledgers
    readers = [reader for reader in (ledger.charges(), ledger.charges()) if reader]
    assert [reader.new() for reader in readers] == [[], []]
    attempt(other, "a1")
    assert [len(reader.new()) for reader in readers] == [2, 2]
    assert [reader.anew().new() for reader in readers] == [[], []]


def test_where_the_file_can_have_no_index_charges_are_read_without_it(file: Path) -> None:
    with closing(Ledger(file)) as ledger:
        attempt(ledger, "a1")
        with closing(sqlite3.connect(file)) as db:
            (size,) = db.execute("PRAGMA page_count").fetchone()
        assert ledger._store
        ledger._store.use("fill", lambda db: db.execute(f"PRAGMA max_page_count = {size}"))
        charges = ledger.charges()
        assert charges is not None
        charges.index()
        with closing(sqlite3.connect(file)) as db:
            assert not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'attempts_by_time'").fetchall()
        assert taken(charges, 0.0, 1e12) == 0.5


def test_of_a_run_only_its_own_charges_are_read(ledgers: tuple[Ledger, Ledger]) -> None:
    ledger, other = ledgers
    attempt(ledger, "a1")
    attempt(other, "b1", run="run-2")
    charges = ledger.charges()
    assert charges is not None
    assert {one.attempt for one in charges.of("run-2")} == {"b1"}
    assert charges.of("run-3") == []


def test_a_ledger_that_keeps_nothing_has_no_charges() -> None:
    assert Ledger(None).charges() is None


def test_charges_of_a_closed_ledger_cannot_be_read(file: Path) -> None:
    ledger = Ledger(file)
    charges = ledger.charges()
    assert charges is not None
    ledger.close()
    with pytest.raises(LedgerError, match="cannot read the ledger"):
        charges.new()
