"""Budgets over all runs: what matches pays, a restart forgets nothing, several processes share."""

import asyncio
import gc
import multiprocessing
import sqlite3
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestra.dispatch import Purse
from orchestra.dispatch import caps as caps_module
from orchestra.dispatch.caps import Caps
from orchestra.errors import BudgetExceeded, LedgerError
from orchestra.ledger import AttemptEnded, AttemptStarted, Charges, Decided, Ledger
from orchestra.types import Budget, Cost, Decision, Labels, Step, StepContext

NUMBERS = count()
NOON = datetime(2026, 11, 22, 12, 30, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86_400.0


class Life:
    """One process with these budgets, until it ends; attempts are made and recorded as dispatch does it."""

    def __init__(self, budgets, file=None, now=NOON):
        self.now, self.purses = now, {}
        me = weakref.proxy(self)
        self.ledger = Ledger(file, clock=lambda: me.now)
        weakref.finalize(self, self.ledger.close)  # Python 3.13 warns of a file that is only dropped
        self.caps = Caps(budgets, self.ledger.charges(), f"life-{next(NUMBERS)}")

    def purse(self, run="r", whole=None, **labels):
        self.purses.setdefault(run, Purse(None))
        labels, whole = Labels(run=run, **labels), whole or self.purses[run]
        while (purse := self.caps.purse_for(self.now, labels, whole)) is None:
            with ThreadPoolExecutor(1) as pool:  # some tests run an event loop
                pool.submit(asyncio.run, self.caps.known(self.now, labels)).result()
        return purse

    def begin(self, usd, run="r", whole=None, **labels):
        """Raises BudgetExceeded; else the end of the attempt, to be called with its cost."""
        reservation = self.purse(run, whole, **labels).reserve(usd)
        name = f"a{next(NUMBERS)}"
        step = Step("s", name=labels.get("step", ""))
        context = StepContext(step, tenant=labels.get("tenant"), feature=labels.get("feature"))
        self.ledger.append(run, "s", Decided(context, Decision("m", "efficient", "balanced")))
        facts = {"reserved": reservation.usd, "holder": self.caps.holder, "key": labels.get("key", "")}
        self.ledger.append(run, "s", AttemptStarted(name, labels.get("model", "m"), **facts))

        def end(cost):
            reservation.settle(Cost(cost))
            self.ledger.append(run, "s", AttemptEnded(name, "m", cost=Cost(cost)))

        return end

    def spend(self, usd, **labels):
        self.begin(usd, **labels)(usd)

    def left(self, **labels):
        left = self.purse(**labels).left
        return left if left is None else pytest.approx(left)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ledger.db"


ACME = Budget(5.0, "day", {"tenant": ("acme",)})


def test_a_call_that_no_budget_matches_pays_from_its_own_purse_alone():
    life, whole = Life([ACME]), Purse(1.0)
    assert life.purse(whole=whole, tenant="other") is whole
    assert life.purse(whole=whole) is whole


def test_all_runs_that_match_share_a_budget_and_others_have_none():
    life = Life([ACME])
    life.spend(3.0, run="r1", tenant="acme")
    life.spend(1.5, run="r2", tenant="acme")
    assert life.left(run="r3", tenant="acme") == 0.5
    assert life.left(run="r3", tenant="other") is None


def test_what_does_not_fit_a_budget_is_refused_with_its_name():
    life = Life([ACME])
    life.spend(4.0, tenant="acme")
    text = r"may cost \$2.000000 for the next attempt; \$1.000000 of the budget of \$5 a day for tenant 'acme' is left"
    with pytest.raises(BudgetExceeded, match=text) as caught:
        life.begin(2.0, tenant="acme")
    assert caught.value.budget == ACME


def test_the_calls_own_cap_holds_beside_the_budgets_and_names_none():
    life, whole = Life([ACME]), Purse(1.0)
    life.spend(0.75, whole=whole, tenant="acme")
    assert (whole.spent, whole.left) == (0.75, 0.25)
    with pytest.raises(BudgetExceeded, match=r"\$0.250000 of \$1 is left") as caught:
        life.begin(0.5, whole=whole, tenant="acme")
    assert caught.value.budget is None


def test_what_one_of_several_budgets_refuses_is_taken_from_none():
    life = Life([ACME, Budget(1.0, "hour", {"model": ("m",)})])
    with pytest.raises(BudgetExceeded, match="a hour for model 'm'"):
        life.begin(2.0, tenant="acme", model="m")
    assert life.left(tenant="acme", model="n") == 5.0


def test_a_model_of_unknown_price_is_refused_under_a_budget():
    with pytest.raises(BudgetExceeded, match=r"no known price, and a money cap of the budget of \$5 a day"):
        Life([ACME]).begin(None, tenant="acme")


@pytest.mark.parametrize("label", ["tenant", "feature", "step", "model", "key"])
def test_every_label_can_be_matched_and_a_restart_forgets_none(label, file):
    budgets = [Budget(5.0, "day", {label: ("x",)})]
    Life(budgets, file).spend(2.0, **{label: "x"})
    life = Life(budgets, file)
    assert life.left(**{label: "x"}) == 3.0
    assert life.left(**{label: "y"}) is None


def test_a_star_gives_each_value_a_budget_of_its_own(file):
    budgets = [Budget(5.0, "day", {"tenant": ("*",)})]
    Life(budgets, file).spend(2.0, tenant="a")
    life = Life(budgets, file)
    life.spend(1.0, tenant="b")
    assert (life.left(tenant="a"), life.left(tenant="b"), life.left(tenant="c")) == (3.0, 4.0, 5.0)
    assert life.left() is None


@pytest.mark.parametrize(
    ("per", "until"),
    [
        ("hour", datetime(2026, 11, 22, 13, tzinfo=UTC)),
        ("day", datetime(2026, 11, 23, tzinfo=UTC)),
        ("month", datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_a_period_ends_by_the_clock_in_utc_and_a_restart_in_it_remembers(per, until, file):
    budgets = [Budget(5.0, per)]
    life = Life(budgets, file)
    life.spend(2.0)
    life.now = until.timestamp() - 1
    assert (life.left(), Life(budgets, file, life.now).left()) == (3.0, 3.0)
    life.now = until.timestamp()
    assert (life.left(), Life(budgets, file, life.now).left()) == (5.0, 5.0)


def test_what_was_spent_before_the_hour_is_of_the_day_alone_also_after_a_restart(file):
    budgets = [Budget(5.0, "hour"), Budget(6.0, "day")]
    Life(budgets, file, NOON - HOUR).spend(2.0)
    assert Life(budgets, file).left() == 4.0


def test_what_is_settled_in_the_next_period_is_not_booked_to_it():
    life = Life([Budget(5.0, "hour")])
    end = life.begin(2.0)
    life.now += HOUR
    end(1.0)
    assert life.left() == 5.0


def test_a_clock_that_was_behind_for_a_while_finds_its_books_as_they_were(file):
    life = Life([Budget(5.0, "hour")], file)
    life.spend(2.0)
    life.now -= HOUR
    life.spend(4.0)
    assert life.left() == 1.0
    life.now += HOUR
    assert life.left() == 3.0


def test_a_clock_that_was_ahead_for_a_while_finds_its_books_as_they_were_and_what_it_spent_ahead(file):
    one, other = (Life([Budget(5.0, "day")], file) for _ in range(2))
    end = one.begin(2.0)
    one.now = other.now = NOON + DAY
    one.spend(4.0)
    assert (one.left(), other.left()) == (1.0, 1.0)
    end(1.5)
    one.now = other.now = NOON
    assert (one.left(), other.left()) == (3.5, 3.5)
    one.now = other.now = NOON + DAY
    assert (one.left(), other.left()) == (1.0, 1.0)


@pytest.mark.parametrize("wrong", [-DAY, -400 * DAY, DAY, 40 * DAY])
@pytest.mark.parametrize("restarted", ["before", "meanwhile", "after"])
def test_a_restart_about_a_clock_that_was_wrong_forgets_nothing(restarted, wrong, file):
    budgets = [Budget(5.0, "day"), Budget(9.0, "month")]
    life = Life(budgets, file)
    life.spend(2.0)
    life = Life(budgets, file, NOON) if restarted == "before" else life
    life.now = NOON + wrong
    life = Life(budgets, file, life.now) if restarted == "meanwhile" else life
    life.spend(1.0)
    life.now = NOON
    life = Life(budgets, file, NOON) if restarted == "after" else life
    assert life.left() == 3.0


@pytest.mark.parametrize(("kept", "most"), [(True, 2), (False, 25)], ids=["ledger", "no ledger"])
def test_a_clock_that_shows_one_hour_after_the_other_leaves_few_books(kept, most, file):
    life = Life([Budget(5.0, "hour")], file if kept else None)
    for _ in range(50):
        life.spend(2.0)
        life.now += HOUR
    assert life.left() == 5.0
    assert len(life.caps._books[0].periods) == most


@pytest.mark.parametrize("kept", [True, False], ids=["ledger", "no ledger"])
def test_a_clock_that_shows_the_hours_of_a_day_before_it_is_right_again_costs_no_money(kept, file):
    life = Life([Budget(5.0, "hour")], file if kept else None)
    for ahead in range(25):
        life.now = NOON + ahead * HOUR
        life.spend(2.0 + ahead / 10)
    for ahead in (0, 24, 13, 0):
        life.now = NOON + ahead * HOUR
        assert life.left() == 3.0 - ahead / 10


def test_what_is_under_way_is_not_forgotten_however_many_hours_the_clock_shows_meanwhile(file):
    life = Life([Budget(5.0, "hour")], file)
    end = life.begin(3.0)
    for _ in range(9):
        life.now += HOUR
        life.spend(1.0)
    life.now = NOON
    assert life.left() == 2.0
    end(1.0)
    assert life.left() == 4.0


def test_what_ends_elsewhere_while_the_clock_is_wrong_is_seen_when_it_is_right_again(file):
    one, other = (Life([Budget(5.0, "hour"), Budget(9.0, "day")], file) for _ in range(2))
    end, cut = one.begin(3.0), one.begin(1.0)
    assert other.left() == 1.0
    for _ in range(4):
        other.now += HOUR
        other.spend(0.5)
    end(2.0)
    other.now = NOON
    assert (one.left(), other.left()) == (2.0, 2.0)
    cut(0.5)
    assert (one.left(), other.left()) == (2.5, 2.5)


@pytest.fixture
def reads(monkeypatch):
    """When the periods began and ended whose charges were read."""
    spans, within = [], Charges.within
    monkeypatch.setattr(Charges, "within", lambda self, *span: spans.append(span[:2]) or within(self, *span))
    return spans


def test_a_period_is_read_once_also_while_the_clock_shows_now_the_one_and_now_the_next(reads, file):
    life = Life([Budget(5.0, "hour")], file)
    for _ in range(3):
        life.spend(1.0)
        life.now += HOUR
        life.left()
        life.now -= HOUR
    began = NOON // HOUR * HOUR
    assert reads == [(began, began + HOUR), (began + HOUR, began + 2 * HOUR)]


def test_the_period_that_the_clock_showed_before_is_kept_not_the_one_that_began_before(reads, file):
    life = Life([Budget(5.0, "hour")], file)
    for ahead in (0, 1, 0, 2, 0):
        life.now = NOON + ahead * HOUR
        life.left()
    assert len(reads) == 3


def test_without_a_ledger_the_period_is_forgotten_that_the_clock_has_not_shown_for_longest():
    life = Life([Budget(5.0, "hour")])
    life.spend(2.0)
    for ahead in (*range(25), 5, 0, 25, 0):
        life.now = NOON + ahead * HOUR
        left = life.left()
    assert left == 3.0


@pytest.mark.parametrize(("read", "turn"), [("new", 0), ("new", 1), ("within", 0), ("after", 0), ("after", 1)])
@pytest.mark.parametrize("over", [False, True], ids=["open", "over"])
@pytest.mark.parametrize("afterwards", [True, False], ids=["and after it", "before it"])
@pytest.mark.interpreted
def test_what_others_write_before_or_after_a_reading_counts_once(over, read, turn, afterwards, monkeypatch, file):
    budgets = [ACME, Budget(9.0, "hour", {"tenant": ("acme",)})]
    one, other = Life(budgets, file), Life(budgets, file)
    one.spend(0.25, tenant="acme")
    reading, mine = getattr(Charges, read), one.caps._charges

    def late(charges, *span):
        if charges is not mine or next(turns) != turn:  # the other process reads for itself
            return reading(charges, *span)
        ends.append(other.begin(2.0, tenant="acme"))
        if over:
            ends.pop()(1.0)
        if not afterwards:
            other.spend(0.5, tenant="acme")
        found = reading(charges, *span)
        if afterwards:
            other.spend(0.5, tenant="acme")
        return found

    for hour in (1, 2):
        ends, turns = [], count()
        one.now = other.now = NOON + hour * HOUR
        with monkeypatch.context() as patch:
            patch.setattr(Charges, read, late)
            one.left(tenant="acme")
        for end in ends:
            end(1.0)
        lefts = [[account.left for account in life.purse(tenant="acme").accounts[1:3]] for life in (one, other)]
        assert lefts == [[4.75 - 1.5 * hour, 7.5]] * 2


def test_what_others_wrote_with_a_clock_that_was_ahead_is_not_read_before_its_time(reads, file):
    budgets = [Budget(5.0, "hour", {"tenant": (name,)}) for name in ("acme", "other")]
    ahead, life = Life(budgets, file, NOON + DAY), Life(budgets, file)
    for _ in range(9):
        ahead.spend(1.0, tenant="acme")
        ahead.now += HOUR
        assert life.left(tenant="other") == 5.0
    assert len(reads) == 10
    life.now = ahead.now - HOUR
    assert life.left(tenant="acme") == 4.0


def test_a_month_is_read_from_its_first_day_to_its_last(reads, file):
    Life([Budget(5.0, "month")], file, datetime(2024, 2, 29, 23, tzinfo=UTC).timestamp()).left()
    assert reads == [tuple(datetime(2024, month, 1, tzinfo=UTC).timestamp() for month in (2, 3))]


def test_what_could_not_be_read_is_read_by_the_next_call(monkeypatch, file):
    Life([ACME], file).spend(2.0, tenant="acme")
    life = Life([ACME], file)
    with monkeypatch.context() as patch:
        patch.setattr(Charges, "within", lambda *_: (_ for _ in ()).throw(LedgerError("cannot read")))
        with pytest.raises(LedgerError):
            life.left(tenant="acme")
    assert life.left(tenant="acme") == 3.0


def test_attempts_under_way_count_whatever_the_clock_showed_when_they_began(file):
    life = Life([ACME], file, NOON + 600)
    life.begin(1.0, tenant="acme")
    life.now = NOON
    life.begin(2.0, tenant="acme")
    assert Life([ACME], file).left(tenant="acme") == 2.0


class Held:
    """Readings that last until they are let go; `begun` is how many were begun."""

    def __init__(self, monkeypatch):
        self.begun, self.go, within = 0, Event(), Charges.within
        monkeypatch.setattr(Charges, "within", lambda *given: (self.wait(), within(*given))[1])

    def wait(self):
        self.begun += 1
        assert self.go.wait(20)


async def test_one_reading_serves_all_that_wait_for_it_and_nobody_whom_the_budget_does_not_match(monkeypatch, file):
    Life([ACME], file).spend(2.0, tenant="acme")
    life, held = Life([ACME], file), Held(monkeypatch)
    acme = Labels("r", "acme")
    assert life.caps.purse_for(NOON, acme, Purse(None)) is None
    waiting = [asyncio.create_task(life.caps.known(NOON, acme)) for _ in range(9)]
    await asyncio.sleep(0.01)
    assert life.purse(tenant="other").cap is None
    assert [task.done() for task in waiting] == [False] * 9
    waiting.pop().cancel()
    held.go.set()
    await asyncio.gather(*waiting)
    assert (held.begun, life.left(tenant="acme")) == (1, 3.0)


async def test_each_who_waited_for_a_reading_that_failed_has_an_error_of_its_own(monkeypatch, file):
    life = Life([ACME], file)
    acme = Labels("r", "acme")

    def broken(*_):
        raise LedgerError("the disk is gone")

    monkeypatch.setattr(Charges, "within", broken)
    ended = await asyncio.gather(*[life.caps.known(NOON, acme) for _ in range(3)], return_exceptions=True)
    assert [str(error) for error in ended] == ["the disk is gone"] * 3
    assert len({id(error) for error in ended}) == 3  # each tells the attempts of its own call


async def test_budgets_of_another_period_that_are_known_do_not_wait_for_a_reading(monkeypatch, file):
    budgets = [Budget(5.0, "month", {"tenant": ("acme",)}), Budget(6.0, "hour", {"tenant": ("other",)})]
    life = Life(budgets, file)
    await life.caps.known(NOON, Labels(tenant="other"))
    held = Held(monkeypatch)
    waiting = asyncio.create_task(life.caps.known(NOON, Labels(tenant="acme")))
    await asyncio.sleep(0.01)
    assert life.left(tenant="other") == 6.0
    held.go.set()
    await waiting
    assert (held.begun, life.left(tenant="acme")) == (1, 5.0)


async def test_a_reading_whose_callers_event_loop_was_closed_serves_those_who_come_later(monkeypatch, file):
    Life([ACME], file).spend(2.0, tenant="acme")
    life, held = Life([ACME], file), Held(monkeypatch)

    async def leave():
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await life.caps.known(NOON, Labels(tenant="acme"))

    thread = Thread(target=asyncio.run, args=(leave(),))
    thread.start()
    thread.join()
    held.go.set()
    await life.caps.known(NOON, Labels(tenant="acme"))
    assert (held.begun, life.left(tenant="acme")) == (1, 3.0)


def test_each_run_has_a_budget_of_its_own_and_a_resumed_one_what_it_had_left(file):
    budgets = [Budget(5.0, "run", {"step": ("look",)})]
    life = Life(budgets, file)
    life.spend(2.0, run="r1", step="look")
    life.spend(9.0, run="r1", step="other")
    assert (life.left(run="r1", step="look"), life.left(run="r2", step="look")) == (3.0, 5.0)
    assert Life(budgets, file).left(run="r1", step="look") == 3.0
    life.now += DAY
    assert life.left(run="r1", step="look") == 3.0


def test_parts_of_a_run_share_its_budget_and_it_is_forgotten_with_the_run():
    life, whole = Life([Budget(5.0, "run")]), Purse(None)
    life.spend(2.0, whole=whole.part(None))
    assert life.left(whole=whole.part(None)) == 3.0
    assert len(life.caps._runs) == 1
    del whole
    gc.collect()
    assert len(life.caps._runs) == 0


def test_without_a_ledger_file_a_budget_begins_with_the_process():
    budgets = [ACME, Budget(5.0, "run")]
    life = Life(budgets)
    life.spend(2.0, tenant="acme")
    assert life.left(tenant="acme") == 3.0
    assert Life(budgets).left(tenant="acme") == 5.0


@pytest.mark.parametrize(("per", "found"), [("day", 1), ("run", 0)])
def test_the_index_for_budgets_with_periods_is_made_before_any_call(per, found, file):
    life = Life([Budget(5.0, per)], file)
    for _ in range(2):
        with closing(sqlite3.connect(file)) as db:
            made = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'attempts_by_time'").fetchone()
        assert made == (found,)
        life.spend(1.0)


def test_a_process_that_comes_new_finds_what_the_others_know(file):
    budgets = [Budget(9.0, "month", {"tenant": ("*",)}), Budget(9.0, "day"), Budget(9.0, "hour", {"model": ("m", "m")})]
    one, other = Life(budgets, file, NOON - HOUR), Life(budgets, file)
    one.spend(1.0, tenant="a")
    end = one.begin(3.0, tenant="a")
    one.now = NOON
    other.spend(0.5, tenant="b")
    later = other.begin(2.0, tenant="a")
    lives = [one, other, Life(budgets, file)]
    assert [life.purse(tenant="a").left for life in lives] == [2.5, 2.5, 2.5]
    end(1.5)
    later(1.0)
    one.spend(0.25, tenant="c")
    for life in (*lives, Life(budgets, file)):
        assert [life.purse(tenant=name).accounts[1].left for name in "abc"] == [5.5, 8.5, 8.75]


@pytest.mark.interpreted
def test_the_present_periods_are_looked_for_once_an_hour(monkeypatch):
    looked, turn = [], caps_module._Book.turn_to
    monkeypatch.setattr(caps_module._Book, "turn_to", lambda book, now: looked.append(now) or turn(book, now))
    life = Life([Budget(5.0, "day"), Budget(9.0, "hour", {"model": ("m",)})])
    began = NOON // HOUR * HOUR
    for now in (NOON, NOON + 1, began, began + HOUR - 1e-3, began + HOUR, began + HOUR + 9, NOON):
        life.now = now
        life.spend(0.5)
    assert looked == [NOON, NOON, began + HOUR, began + HOUR, NOON, NOON]


def test_of_many_budgets_only_those_that_match_pay_in_their_order():
    named = [Budget(1.0 + number, "day", {"tenant": (f"t{number}", "all")}) for number in range(4)]
    budgets = [Budget(9.0, "run"), *named, Budget(8.0, "day", {"tenant": ("*",), "model": ("m",)}), Budget(7.0, "hour")]
    caps = [account.cap for account in Life(budgets).purse(tenant="t2", model="m").accounts]
    assert caps == [None, 3.0, 8.0, 7.0, 9.0, None]
    caps = [account.cap for account in Life(budgets).purse(tenant="all", model="n").accounts]
    assert caps == [None, 1.0, 2.0, 3.0, 4.0, 7.0, 9.0, None]


# Several processes on one ledger.


def test_processes_see_what_the_others_hold_and_what_of_it_comes_back(file):
    one, other = Life([ACME], file), Life([ACME], file)
    end = one.begin(3.0, tenant="acme")
    assert other.left(tenant="acme") == 2.0
    with pytest.raises(BudgetExceeded):
        other.begin(3.0, tenant="acme")
    end(1.0)
    assert (one.left(tenant="acme"), other.left(tenant="acme")) == (4.0, 4.0)
    other.spend(1.0, tenant="acme")
    assert (one.left(tenant="acme"), other.left(tenant="acme")) == (3.0, 3.0)


def test_an_attempt_whose_cost_nobody_knows_has_cost_what_was_held_for_it(file):
    one, other = Life([ACME], file), Life([ACME], file)
    one.begin(3.0, tenant="acme")(None)
    assert (one.left(tenant="acme"), other.left(tenant="acme")) == (2.0, 2.0)


def test_an_attempt_that_its_process_did_not_outlive_keeps_what_was_held_for_it(file):
    Life([ACME], file).begin(3.0, tenant="acme")
    assert Life([ACME], file).left(tenant="acme") == 2.0


def test_an_attempt_of_another_process_that_began_in_the_last_period_is_not_booked_to_this_one(file):
    one, other = Life([Budget(5.0, "hour")], file), Life([Budget(5.0, "hour")], file)
    before = one.begin(2.0)
    assert other.left() == 3.0
    one.now = other.now = NOON + HOUR
    before(1.0)
    assert other.left() == 5.0
    assert Life([Budget(5.0, "hour")], file, one.now).left() == 5.0


def test_rows_of_a_ledger_that_knew_no_labels_count_where_none_is_asked_for(file):
    with closing(Ledger(file, clock=lambda: NOON)) as ledger:
        ledger.append("r", "s", AttemptStarted("a", "m"))
        ledger.append("r", "s", AttemptEnded("a", "m", cost=Cost(2.0)))
    assert Life([Budget(5.0, "day")], file).left() == 3.0
    assert Life([ACME], file).left(tenant="acme") == 5.0


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_forked_from_one_process_see_what_the_others_spend(file):
    parent = Life([ACME], file)
    parent.spend(1.0, tenant="acme")
    parent.begin(0.5, tenant="acme")  # under way at the moment of the fork
    with parent.caps._lock:  # so may another thread hold it
        assert [_in_a_fork(parent) for _ in range(2)] == [3.5, 2.5]
    assert parent.left(tenant="acme") == 1.5
    assert Life([ACME], file).left(tenant="acme") == 1.5


def test_a_fork_of_a_process_whose_ledger_keeps_nothing_begins_every_period_anew():
    parent = Life([ACME])
    parent.spend(1.0, tenant="acme")
    parent.caps.after_fork()
    assert parent.left(tenant="acme") == 5.0


def _in_a_fork(life):
    """What a forked child finds left of the budget, of which it then spends 1.0."""
    context = multiprocessing.get_context("fork")
    said = context.SimpleQueue()
    child = context.Process(target=lambda: said.put(life.purse(tenant="acme").left) or life.spend(1.0, tenant="acme"))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    return said.get()


def test_concurrent_threads_never_take_more_than_a_budget():
    life = Life([ACME])
    taken = []

    def work(name):
        for _ in range(200):
            with suppress(BudgetExceeded):
                life.purse(run=name, tenant="acme").reserve(0.05)
                taken.append(0.05)

    threads = [Thread(target=work, args=(f"r{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 100


class Shared(RuleBasedStateMachine):
    """Processes that come, spend, die and come again, beside the plain list of what each attempt holds or has cost."""

    BUDGETS = (
        Budget(4.0, "day", {"tenant": ("a",)}),
        Budget(3.0, "hour", {"tenant": ("*",)}),
        Budget(2.0, "run", {"model": ("m",)}),
    )

    @initialize()
    def begin(self):
        self.folder = TemporaryDirectory()
        self.file = Path(self.folder.name) / "ledger.db"
        self.now, self.lives, self.attempts = NOON, [Life(self.BUDGETS, self.file)], []

    @rule()
    def a_process_comes(self):
        self.lives.append(Life(self.BUDGETS, self.file, self.now))

    @precondition(lambda self: self.lives)
    @rule(pick=st.integers(0, 9))
    def a_process_dies(self, pick):
        self.lives.pop(pick % len(self.lives)).ledger.close()

    @rule(minutes=st.integers(0, 45))
    def time_passes(self, minutes):
        self.now += 60.0 * minutes
        for life in self.lives:
            life.now = self.now

    @precondition(lambda self: self.lives)
    @rule(pick=st.integers(0, 9), tenant=st.sampled_from("ab"), model=st.sampled_from("mn"), cents=st.integers(1, 250))
    def someone_reserves(self, pick, tenant, model, cents):
        life = self.lives[pick % len(self.lives)]
        labels = {"tenant": tenant, "model": model, "run": f"{life.caps.holder}-{model}"}
        held = [self.taken(budget, Labels(**labels)) for budget in self.BUDGETS]
        short = any(
            taken is not None and taken + cents > round(100 * budget.usd)
            for budget, taken in zip(self.BUDGETS, held, strict=True)
        )
        try:
            end = life.begin(cents / 100, **labels)
        except BudgetExceeded:
            assert short
        else:
            assert not short
            self.attempts.append([self.now, Labels(**labels), cents, end, life])

    @precondition(lambda self: any(one[3] for one in self.attempts))
    @rule(pick=st.integers(0, 99), share=st.floats(0, 1))
    def someone_settles(self, pick, share):
        live = [one for one in self.attempts if one[3] and one[4] in self.lives]
        if live:
            one = live[pick % len(live)]
            one[2] = int(share * one[2])
            one[3](one[2] / 100)
            one[3] = None

    def taken(self, budget, labels):
        """Cents that are held or spent of the account these labels fall under, as of now."""
        name = budget.account(labels)
        if name is None:
            return None
        spans = {"hour": HOUR, "day": DAY, "run": None}
        span = spans[budget.per]
        return sum(
            cents
            for began, its, cents, _, _ in self.attempts
            if budget.account(its) == name
            and (its.run == labels.run if span is None else began // span == self.now // span)
        )

    @invariant()
    def no_cap_is_exceeded(self):
        for budget in self.BUDGETS if hasattr(self, "attempts") else ():
            for _, labels, *_ in self.attempts:
                assert (self.taken(budget, labels) or 0) <= round(100 * budget.usd)

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestShared = Shared.TestCase
TestShared.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
