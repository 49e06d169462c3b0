"""Caps: a fleet's budgets over all runs, held beside each call's own money.

What was spent in a period that still runs is read from the ledger once, so that a restart forgets nothing. From then on
this process's attempts are counted as they reserve and settle, and those of others on the same ledger as they write it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from secrets import token_hex
from typing import TypeAlias
from weakref import WeakKeyDictionary

from orchestra.dispatch.purse import Account, Purse
from orchestra.ledger import Charge, Charges
from orchestra.transport.forks import begins_anew
from orchestra.types import Budget, Labels, Period


class Caps:
    """The accounts of a fleet's `budgets`; threads may share them.

    `charges` is None where the ledger keeps nothing: then every period begins with the process. Attempts whose money is
    reserved here say `holder` in the ledger, by which they are told from those of others. A forked child has one of its
    own, and reads anew what was spent.
    """

    def __init__(self, budgets: Iterable[Budget], charges: Charges | None, holder: str) -> None:
        self.budgets = tuple(budgets)
        self._begin(charges, holder)
        begins_anew(self)

    def _begin(self, charges: Charges | None, holder: str) -> None:
        self.holder, self._charges = holder, charges
        self._periods = tuple(_Book(budget) for budget in self.budgets if budget.per != "run")
        self._runs: WeakKeyDictionary[Account, tuple[_Book, ...]] = WeakKeyDictionary()
        self._pending: _Pending = {}
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """What the parent holds and spends from now on is another process's."""
        self._begin(self._charges and self._charges.anew(), f"{self.holder}-{token_hex(4)}")

    def purse_for(self, now: float, labels: Labels, whole: Purse) -> Purse:
        """What an attempt is paid from: `whole`, the call's purse, and every budget that the attempt falls under.

        `now` is in Unix seconds. Raises LedgerError where a budget applies and the ledger cannot be read.
        """
        if all(budget.account(labels) is None for budget in self.budgets):
            return whole
        with self._lock:
            self._catch_up(now)
            books = (*self._periods, *self._books_of(whole.root, labels.run))
            return whole.within(account for book in books if (account := book.account(labels)))

    def _catch_up(self, now: float) -> None:
        for book in self._periods:
            book.turn_to(now)
        if self._charges and self._periods:
            if any(book.begins < book.since for book in self._periods):
                self._read_anew(self._charges)
            new = self._charges.new(min(book.begins for book in self._periods))
            _enter([one for one in new if one.holder != self.holder], self._periods, self._pending)

    def _read_anew(self, charges: Charges) -> None:
        """At first, and where a clock that was ahead is right again."""
        self._charges, self._pending = charges.anew(), {}
        for book in self._periods:
            book.begin_anew()

    def _books_of(self, run: Account, name: str) -> tuple[_Book, ...]:
        """The books of a run, kept as long as it is at work here; what it spent before is in them."""
        if run not in self._runs:
            books = self._runs[run] = tuple(_Book(budget) for budget in self.budgets if budget.per == "run")
            if self._charges and books:
                _enter(self._charges.of(name), books, {})
        return self._runs[run]


class _Book:
    """The accounts of one budget in the period that began at `begins`, by the labels that have one each.

    Those of some periods beside it are kept: a clock that was wrong for a while leads back to them. What others spent
    is known of periods that began at `since` or later.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget, self.begins, self.since = budget, -math.inf, math.inf
        self.periods: dict[float, _Accounts] = {}

    def turn_to(self, now: float) -> None:
        self.begins = _begins(self.budget.per, now)

    def account(self, labels: Labels, begins: float | None = None) -> Account | None:
        """That of these labels in the present period, or in the one that began at `begins`."""
        name = self.budget.account(labels)
        if name is None:
            return None
        accounts = self._in(self.begins if begins is None else begins)
        if name not in accounts:
            accounts[name] = Account(self.budget.usd, budget=self.budget)
        return accounts[name]

    def account_at(self, time: float, labels: Labels) -> Account | None:
        """That of an attempt that began at `time`, Unix seconds; None in a period that is over."""
        begins = _begins(self.budget.per, time)
        return self.account(labels, begins) if begins >= self.begins or begins in self.periods else None

    def begin_anew(self) -> None:
        """What others spent is about to be read from the present period on."""
        self.since = self.begins
        for accounts in self.periods.values():
            for account in accounts.values():
                account.others = 0.0

    def _in(self, begins: float) -> _Accounts:
        if begins not in self.periods:
            self.periods[begins] = {}
            if len(self.periods) > _PERIODS:
                del self.periods[min(self.periods.keys() - {begins, self.begins})]
                self.since = max(self.since, min(self.periods))
        return self.periods[begins]


_Accounts: TypeAlias = dict[tuple[str, ...], Account]

_PERIODS = 4
"""How many periods of a budget are kept: the present one, and those before and after it that a clock has shown."""


_Pending: TypeAlias = dict[str, tuple[list[Account], float]]
"""Attempts of others that have not ended: what is held for each, and where."""


def _enter(charges: Iterable[Charge], books: Iterable[_Book], pending: _Pending) -> None:
    """Count what others have reserved and spent. An attempt that costs nobody knows what costs what was held for it."""
    for charge in charges:
        if charge.ended:
            accounts, held = pending.pop(charge.attempt, ([], 0.0))
            more = 0.0 if charge.usd is None else charge.usd - held
        else:
            accounts = [account for book in books if (account := book.account_at(charge.time, charge.labels))]
            more = charge.usd or 0.0
            pending[charge.attempt] = accounts, more
        for account in accounts:
            account.others += more


def _begins(per: Period, now: float) -> float:
    """When the hour, day or month of `now` began, in UTC; a run's only period has no beginning."""
    if per == "run":
        return -math.inf
    began = datetime.fromtimestamp(now, UTC).replace(minute=0, second=0, microsecond=0)
    if per != "hour":
        began = began.replace(hour=0)
    if per == "month":
        began = began.replace(day=1)
    return began.timestamp()
