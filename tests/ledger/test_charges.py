"""Charges: what attempts hold and cost, as whoever shares a ledger reads it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestra.errors import LedgerError
from orchestra.ledger import AttemptEnded, AttemptStarted, Charge, Charges, Decided, Ledger
from orchestra.ledger import charges as charges_module
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


@pytest.fixture
def at_a_time(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows are summed up at a time, alone in a list."""
    most, summed = [1000], charges_module._sum_up
    monkeypatch.setattr(charges_module, "_sum_up", lambda db, _: summed(db, most[0]))
    return most


def taken(charges: Charges, begins: float, ends: float) -> float:
    """USD that were spent or are held for what began in that time."""
    spending = charges.within(begins, ends)
    held: dict[str, float] = {}
    for one in spending.charges:
        if not one.ended:
            held[one.attempt] = one.usd or 0.0
        elif one.attempt in held and one.usd is not None:
            held[one.attempt] = one.usd
    return sum(usd for _, usd in spending.sums) + sum(held.values())


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
    began, ended = charges.within(0.0, HOUR).charges
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


def test_attempts_are_found_by_when_they_began_whenever_they_end_and_however_much_is_summed_up(
    ledgers: tuple[Ledger, Ledger], clock: Clock, at_a_time: list[int]
) -> None:
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
    for rows in (10, 9, 1, 3, 1):
        at_a_time[0] = rows
        charges.keep_up()
        assert taken(charges, 2 * HOUR, 3 * HOUR) == 4.25
        assert taken(charges, 0.0, 24 * HOUR) == 5.75


def test_what_ends_after_its_beginning_was_summed_up_is_counted_as_what_it_cost(
    ledgers: tuple[Ledger, Ledger], at_a_time: list[int]
) -> None:
    ledger, _ = ledgers
    charges = ledger.charges()
    assert charges is not None
    at_a_time[0] = 1
    for name in ("a1", "a2", "unknown"):
        ledger.append("run-1", "s1", AttemptStarted(name, "small", reserved=1.0))
    charges.sum_up()
    assert taken(charges, 0.0, HOUR) == 3.0
    ledger.append("run-1", "s1", AttemptEnded("a1", "small", cost=Cost(0.25)))
    assert taken(charges, 0.0, HOUR) == 2.25
    charges.sum_up()
    ledger.append("run-1", "s1", AttemptEnded("unknown", "small", cost=Cost(None)))
    ledger.append("run-1", "s1", AttemptEnded("a1", "small", cost=Cost(0.5)))
    charges.sum_up()
    spending = charges.within(0.0, HOUR)
    assert [one.attempt for one in spending.charges] == ["a2"]
    assert sum(usd for _, usd in spending.sums) == 1.25


def test_sums_tell_apart_the_labels_that_are_asked_for(ledgers: tuple[Ledger, Ledger], at_a_time: list[int]) -> None:
    ledger, _ = ledgers
    for tenant, feature in (("acme", "search"), ("acme", "chat"), ("other", "chat")):
        decide(ledger, Step("s1"), tenant=tenant, feature=feature)
        attempt(ledger, f"{tenant}-{feature}")
    at_a_time[0] = 1
    charges = ledger.charges()
    assert charges is not None
    charges.sum_up()
    assert dict(charges.within(0.0, HOUR, ("tenant",)).sums) == {
        Labels(tenant="acme"): 1.0,
        Labels(tenant="other"): 0.5,
    }
    assert dict(charges.within(0.0, HOUR, ()).sums) == {Labels(): 1.5}
    assert Labels("", "other", "chat", "s1", "small", "K") in dict(charges.within(0.0, HOUR).sums)


def test_several_sum_up_one_file_and_none_counts_a_row_twice(
    ledgers: tuple[Ledger, Ledger], at_a_time: list[int]
) -> None:
    readers = [reader for ledger in ledgers if (reader := ledger.charges())]
    at_a_time[0] = 3
    for number in range(20):
        attempt(ledgers[number % 2], f"a{number}")
        readers[number % 3 % 2].keep_up()
        assert [taken(reader, 0.0, HOUR) for reader in readers] == [(number + 1) / 2] * 2
    for reader in readers:
        reader.sum_up()
    assert [len(reader.within(0.0, HOUR).charges) for reader in readers] == [2, 2]  # of 40 rows


def test_a_ledger_of_an_earlier_version_gains_the_sums(file: Path, at_a_time: list[int]) -> None:
    with closing(Ledger(file)) as ledger:
        attempt(ledger, "a1")
    with closing(sqlite3.connect(file)) as db:
        for table in ("spent", "unsettled", "summed"):
            db.execute(f"DROP TABLE {table}")
        db.execute("CREATE INDEX attempts_by_time ON events (time) WHERE type = 'attempt_started'")
        db.commit()
    at_a_time[0] = 1
    with closing(Ledger(file)) as ledger:
        charges = ledger.charges()
        assert charges is not None
        charges.sum_up()
        spending = charges.within(0.0, 1e12)
        assert (sum(usd for _, usd in spending.sums), spending.until, spending.charges) == (0.5, 2, ())


def test_what_this_process_alone_has_written_is_not_read_when_another_one_writes(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    ledger, other = ledgers
    charges = ledger.charges()
    assert charges is not None
    assert charges.new() == []
    attempt(ledger, "mine")
    charges.keep_up()
    attempt(other, "theirs")
    charges.keep_up()
    attempt(ledger, "mine too")
    assert [one.attempt for one in charges.new() if not one.ended] == ["theirs", "mine too"]


def test_each_reader_reads_for_itself(ledgers: tuple[Ledger, Ledger]) -> None:
    ledger, other = ledgers
    readers = [reader for reader in (ledger.charges(), ledger.charges()) if reader]
    assert [reader.new() for reader in readers] == [[], []]
    attempt(other, "a1")
    assert [len(reader.new()) for reader in readers] == [2, 2]
    assert [reader.anew().new() for reader in readers] == [[], []]


def test_where_the_file_can_have_no_sums_charges_are_read_without_them(file: Path, at_a_time: list[int]) -> None:
    with closing(Ledger(file)) as ledger:
        attempt(ledger, "a1")
        at_a_time[0] = 1
        assert ledger._store
        ledger._store.use("fill", lambda db: db.execute("PRAGMA query_only = ON"))
        charges = ledger.charges()
        assert charges is not None
        charges.sum_up()
        charges.keep_up()
        spending = charges.within(0.0, 1e12)
        assert (spending.sums, spending.until, len(spending.charges)) == ((), 0, 2)


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
