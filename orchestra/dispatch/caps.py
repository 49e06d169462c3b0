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
            new = self._charges.new(min(book.begins for book in self._periods))
            _enter([one for one in new if one.holder != self.holder], self._periods, self._pending)

    def _books_of(self, run: Account, name: str) -> tuple[_Book, ...]:
        """The books of a run, kept as long as it is at work here; what it spent before is in them."""
        if run not in self._runs:
            books = self._runs[run] = tuple(_Book(budget) for budget in self.budgets if budget.per == "run")
            if self._charges and books:
                _enter(self._charges.of(name), books, {})
        return self._runs[run]


class _Book:
    """The accounts of one budget in the period that began at `begins`, by the labels that have one each."""

    def __init__(self, budget: Budget) -> None:
        self.budget, self.begins = budget, -math.inf
        self.accounts: dict[tuple[str, ...], Account] = {}

    def turn_to(self, now: float) -> None:
        begins = _begins(self.budget.per, now)
        if begins > self.begins:
            self.begins, self.accounts = begins, {}

    def account(self, labels: Labels) -> Account | None:
        name = self.budget.account(labels)
        if name is None:
            return None
        if name not in self.accounts:
            self.accounts[name] = Account(self.budget.usd, budget=self.budget)
        return self.accounts[name]


_Pending: TypeAlias = dict[str, tuple[list[Account], float]]
"""Attempts of others that have not ended: what is held for each, and where."""


def _enter(charges: Iterable[Charge], books: Iterable[_Book], pending: _Pending) -> None:
    """Count what others have reserved and spent. An attempt that costs nobody knows what costs what was held for it."""
    for charge in charges:
        if charge.ended:
            accounts, held = pending.pop(charge.attempt, ([], 0.0))
            more = 0.0 if charge.usd is None else charge.usd - held
        else:
            running = (book for book in books if book.begins <= charge.time)
            accounts = [account for book in running if (account := book.account(charge.labels))]
            more = charge.usd or 0.0
            pending[charge.attempt] = accounts, more
        for account in accounts:
            account.others += more


def _begins(per: Period, now: float) -> float:
    """When the hour, day or month of `now` began, in UTC."""
    began = datetime.fromtimestamp(now, UTC).replace(minute=0, second=0, microsecond=0)
    if per != "hour":
        began = began.replace(hour=0)
    if per == "month":
        began = began.replace(day=1)
    return began.timestamp()
