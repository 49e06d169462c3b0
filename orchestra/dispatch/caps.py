"""Caps: a fleet's budgets over all runs, held beside each call's own money.

What was spent in a period is read from the ledger when the first call asks for it, so that a restart forgets nothing:
beside the event loop, for it may take long. From then on this process's attempts are counted as they reserve and
settle, and those of others on the same ledger as they write it.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from secrets import token_hex
from typing import TypeAlias
from weakref import WeakKeyDictionary

from orchestra.dispatch.purse import Account, Purse
from orchestra.errors import LedgerError
from orchestra.ledger import Charge, Charges
from orchestra.transport.forks import begins_anew
from orchestra.types import EACH, Budget, Labels, Period


class Caps:
    """The accounts of a fleet's `budgets`; threads may share them.

    `charges` is None where the ledger keeps nothing: then every period begins with the process. Attempts whose money is
    reserved here say `holder` in the ledger, by which they are told from those of others. A forked child has one of its
    own, and reads anew what was spent.
    """

    def __init__(self, budgets: Iterable[Budget], charges: Charges | None, holder: str) -> None:
        self.budgets = tuple(budgets)
        self._begin(charges, holder)
        if charges and self._books:
            charges.index()
        begins_anew(self)

    def _begin(self, charges: Charges | None, holder: str) -> None:
        self.holder, self._charges = holder, charges
        most = _KEPT if charges else _KEPT_ALONE
        self._books = tuple(_Book(budget, most) for budget in self.budgets if budget.per != "run")
        self._of_runs = tuple(budget for budget in self.budgets if budget.per == "run")
        self._by_label = _ByLabel((*(book.budget for book in self._books), *self._of_runs))
        self._hour: float | None = None
        self._readings: dict[_Span, Future[None]] = {}
        self._runs: WeakKeyDictionary[Account, tuple[_Period, ...]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """What the parent holds and spends from now on is another process's."""
        self._begin(self._charges and self._charges.anew(), f"{self.holder}-{token_hex(4)}")

    def purse_for(self, now: float, labels: Labels, whole: Purse) -> Purse | None:
        """What an attempt is paid from: `whole`, the call's purse, and every budget that the attempt falls under.

        None where what was spent of one of these is not `known` yet. `now` is in Unix seconds. Raises LedgerError where
        a budget applies and the ledger cannot be read.
        """
        matching = self._by_label.of(labels)
        if not matching:
            return whole
        with self._lock:
            self._see(now)
            runs = self._periods_of(whole.root, labels.run) if self._of_runs else ()
            first, accounts = len(self._books), list[Account]()
            for place in matching:
                period = self._books[place].present if place < first else runs[place - first]
                if period is None:
                    return None
                if account := period.account(labels):
                    accounts.append(account)
            return whole.within(accounts)

    async def known(self, now: float, labels: Labels) -> None:
        """Wait until what was spent of the budgets that these labels fall under is read. Raises LedgerError."""
        with self._lock:
            self._see(now)
            matching = [place for place in self._by_label.of(labels) if place < len(self._books)]
            unknown = {book.span for place in matching if not (book := self._books[place]).present}
            readings = [self._reading(span) for span in unknown]
        for one in readings:
            try:
                await asyncio.wrap_future(one)
            except LedgerError as error:  # others wait for it too, and each error tells its own call's attempts
                raise LedgerError(str(error)) from error

    def _see(self, now: float) -> None:
        """Count what others have added, and turn the books to the periods of `now`."""
        if self._charges and self._books and (added := self._charges.new()):
            self._enter(added, {place: book.periods.values() for place, book in enumerate(self._books)})
        if now // _HOUR != self._hour:
            for book in self._books:
                book.turn_to(now)
                if not (self._charges or book.present):
                    book.keep(_Period(book.budget, *book.span))
            self._hour = now // _HOUR

    def _reading(self, span: _Span) -> Future[None]:
        """That of a span which is under way, or a new one, for all books that are turned to it."""
        if span not in self._readings:
            books = [place for place, book in enumerate(self._books) if book.span == span and not book.present]
            done = Future[None]()
            done.set_running_or_notify_cancel()  # who waits for it no longer does not end it
            threading.Thread(target=self._read, args=(span, books, done), daemon=True).start()
            self._readings[span] = done
        return self._readings[span]

    def _read(self, span: _Span, places: Sequence[int], done: Future[None]) -> None:
        try:
            assert self._charges, "without a ledger all is known"
            fresh = {place: _Period(self._books[place].budget, *span) for place in places}
            until = self._start(self._charges, span, fresh)
            with self._lock:
                self._enter(self._charges.after(until), {place: (one,) for place, one in fresh.items()})
                for place, period in fresh.items():
                    self._books[place].keep(period)
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            self._end(span)
            done.set_exception(error)
        else:
            self._end(span)
            done.set_result(None)

    def _end(self, span: _Span) -> None:
        with self._lock:
            del self._readings[span]

    def _start(self, charges: Charges, span: _Span, fresh: Mapping[int, _Period]) -> int:
        """Count what was taken in periods of which nothing is known yet; up to which row."""
        taken = charges.within(*span, {name for one in fresh.values() for name in one.budget.match})
        for labels, usd in taken.sums:
            for place in self._by_label.of(labels):
                if place in fresh and (account := fresh[place].account(labels)):
                    account.others += usd
        periods = {place: (one,) for place, one in fresh.items()}
        self._enter(taken.open, periods)
        for one in fresh.values():
            one.entered = taken.until
        self._enter(late := charges.after(taken.until), periods)  # it took a while, and the others did not wait
        return late[-1].seq if late else taken.until

    def _enter(self, charges: Iterable[Charge], periods: Mapping[int, Collection[_Period]]) -> None:
        """Count charges of others: what this process holds is in accounts that are kept."""
        for charge in charges:
            if charge.holder != self.holder:
                for place in periods if charge.ended else self._by_label.of(charge.labels):
                    for period in periods.get(place, ()):
                        period.enter(charge)

    def _periods_of(self, run: Account, name: str) -> tuple[_Period, ...]:
        """Those of a run, kept as long as it is at work here; what it spent before is in them."""
        if run not in self._runs:
            periods = self._runs[run] = tuple(_Period(budget) for budget in self._of_runs)
            if self._charges:
                for charge in self._charges.of(name):
                    for period in periods:
                        period.enter(charge)
        return self._runs[run]


_HOUR = 3_600.0
"""Seconds; no period begins within one."""

_Span: TypeAlias = tuple[float, float]
"""When a period begins and ends, Unix seconds."""


class _ByLabel:
    """Budgets by their places, found without a look at each: most name one tenant, model or key."""

    def __init__(self, budgets: Sequence[Budget]) -> None:
        self._budgets = budgets
        self._named: dict[str, dict[str, list[int]]] = {}
        self._others: list[int] = []
        for place, budget in enumerate(budgets):
            name = next((name for name, values in budget.match.items() if EACH not in values), None)
            if name is None:
                self._others.append(place)
            else:
                for value in dict.fromkeys(budget.match[name]):
                    self._named.setdefault(name, {}).setdefault(value, []).append(place)

    def of(self, labels: Labels) -> list[int]:
        """The places of those that these labels fall under, in order."""
        near = [*self._others]
        for name, values in self._named.items():
            near += values.get(getattr(labels, name), ())
        return [place for place in sorted(near) if self._budgets[place].account(labels) is not None]


class _Book:
    """The periods of one budget that the clock has shown last, by when they began; what was spent in them is known.

    Those beside the present one are kept for a clock that is wrong for a while, at `most` as many in all. Where a
    ledger tells what was spent in them, others need not be; but never is one forgotten that money may come back to.
    """

    def __init__(self, budget: Budget, most: int) -> None:
        self.budget, self.most = budget, most
        self.span: _Span = (-math.inf, -math.inf)
        self.present: _Period | None = None  # None where what was spent in it is not known
        self.periods: dict[float, _Period] = {}  # the one that was shown last is the last

    def turn_to(self, now: float) -> None:
        """Make the period of `now` the present one."""
        begins = _begins(self.budget.per, now)
        self.span = begins, _ends(self.budget.per, begins)
        self.present = self.periods.pop(begins, None)
        if self.present:
            self.periods[begins] = self.present

    def keep(self, period: _Period) -> None:
        """Add one, of which is known what was spent in it."""
        idle = [begins for begins, one in self.periods.items() if not one.open]
        for begins in idle[: max(0, len(self.periods) + 1 - self.most)]:
            del self.periods[begins]
        self.periods[period.begins] = period
        self.present = self.periods.get(self.span[0])


_KEPT = 2
"""How many periods of a budget are kept beside a ledger: about the end of one, a clock may show now this, now that."""

_KEPT_ALONE = 25
"""And where nothing else remembers them: the hours of a day, and the present one."""


class _Period:
    """The accounts of a budget from `begins` until `ends`, Unix seconds, by the labels that have one each."""

    def __init__(self, budget: Budget, begins: float = -math.inf, ends: float = math.inf) -> None:
        self.budget, self.begins, self.ends = budget, begins, ends
        self.accounts: dict[tuple[str, ...], Account] = {}
        self.entered = 0  # up to which row others' charges are counted
        self._pending: dict[str, tuple[Account, float]] = {}  # attempts of others, and what is held for each

    @property
    def open(self) -> bool:
        """Whether attempts of this process are under way in it."""
        return any(account.open for account in self.accounts.values())

    def account(self, labels: Labels) -> Account | None:
        name = self.budget.account(labels)
        if name is None:
            return None
        if name not in self.accounts:
            self.accounts[name] = Account(self.budget.usd, budget=self.budget)
        return self.accounts[name]

    def enter(self, charge: Charge) -> None:
        """Count, once, what an attempt of others took here. A cost that nobody knows is what was held for it."""
        if charge.seq <= self.entered:
            return
        self.entered = charge.seq
        if charge.ended:
            account, held = self._pending.pop(charge.attempt, (None, 0.0))
            if account and charge.usd is not None:
                account.others += charge.usd - held
        elif self.begins <= charge.time < self.ends and (account := self.account(charge.labels)):
            held = charge.usd or 0.0
            account.others += held
            self._pending[charge.attempt] = account, held


def _begins(per: Period, now: float) -> float:
    """When the hour, day or month of `now` began, in UTC."""
    began = datetime.fromtimestamp(now, UTC).replace(minute=0, second=0, microsecond=0)
    if per != "hour":
        began = began.replace(hour=0)
    if per == "month":
        began = began.replace(day=1)
    return began.timestamp()


def _ends(per: Period, begins: float) -> float:
    return _begins(per, begins + _LONGEST[per])


_LONGEST: Mapping[Period, float] = {"hour": 3_600.0, "day": 86_400.0, "month": 31 * 86_400.0}
