"""Caps: a fleet's budgets over all runs, held beside each call's own money.

What was spent in a period is read from the ledger when the clock shows it, so that a restart forgets nothing. From then
on this process's attempts are counted as they reserve and settle, and those of others on the same ledger as they write
it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from secrets import token_hex
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
        if charges and self._periods:
            charges.index()
        begins_anew(self)

    def _begin(self, charges: Charges | None, holder: str) -> None:
        self.holder, self._charges = holder, charges
        most = _KEPT if charges else _KEPT_ALONE
        self._periods = tuple(_Book(budget, most) for budget in self.budgets if budget.per != "run")
        self._runs: WeakKeyDictionary[Account, tuple[_Period, ...]] = WeakKeyDictionary()
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
            periods = (*self._periods_at(now), *self._periods_of(whole.root, labels.run))
            return whole.within(account for period in periods if (account := period.account(labels)))

    def _periods_at(self, now: float) -> list[_Period]:
        """The present periods. A book is turned to one only once all that was spent there is known."""
        present = [book.at(now) for book in self._periods]
        if self._charges and present:
            self._catch_up(
                self._charges, [one for one, book in zip(present, self._periods, strict=True) if one not in book]
            )
        for one, book in zip(present, self._periods, strict=True):
            book.turn_to(one)
        return present

    def _catch_up(self, charges: Charges, fresh: Sequence[_Period]) -> None:
        """Read what others have added to the periods that are kept, and all there is of those that are not yet."""
        added = [one for one in charges.new() if one.holder != self.holder]
        _enter(added, [period for book in self._periods for period in book.periods.values()])
        if fresh:
            found = charges.within(min(one.begins for one in fresh), max(one.ends for one in fresh))
            over = {one.attempt for one in found if one.ended}  # what this process holds is in accounts that are kept
            _enter([one for one in found if one.holder != self.holder or one.attempt in over], fresh)

    def _periods_of(self, run: Account, name: str) -> tuple[_Period, ...]:
        """Those of a run, kept as long as it is at work here; what it spent before is in them."""
        if run not in self._runs:
            periods = self._runs[run] = tuple(_Period(budget) for budget in self.budgets if budget.per == "run")
            if self._charges and periods:
                _enter(self._charges.of(name), periods)
        return self._runs[run]


class _Book:
    """The periods of one budget that the clock has shown last, by when they began; what was spent in them is known.

    Those beside the present one are kept for a clock that is wrong for a while, at `most` as many in all. Where a
    ledger tells what was spent in them, others need not be; but never is one forgotten that money may come back to.
    """

    def __init__(self, budget: Budget, most: int) -> None:
        self.budget, self.most = budget, most
        self.periods: dict[float, _Period] = {}  # the present one is the last

    def __contains__(self, period: _Period) -> bool:
        return period.begins in self.periods

    def at(self, now: float) -> _Period:
        """That of `now`; a new one where it is not in the book."""
        begins = _begins(self.budget.per, now)
        return self.periods.get(begins) or _Period(self.budget, begins, _ends(self.budget.per, begins))

    def turn_to(self, period: _Period) -> None:
        """Make it the present one."""
        if self.periods and next(reversed(self.periods)) == period.begins:
            return
        self.periods.pop(period.begins, None)
        idle = [begins for begins, one in self.periods.items() if not one.open]
        for begins in idle[: max(0, len(self.periods) + 1 - self.most)]:
            del self.periods[begins]
        self.periods[period.begins] = period


_KEPT = 2
"""How many periods of a budget are kept beside a ledger: about the end of one, a clock may show now this, now that."""

_KEPT_ALONE = 25
"""And where nothing else remembers them: the hours of a day, and the present one."""


class _Period:
    """The accounts of a budget from `begins` until `ends`, Unix seconds, by the labels that have one each."""

    def __init__(self, budget: Budget, begins: float = -math.inf, ends: float = math.inf) -> None:
        self.budget, self.begins, self.ends = budget, begins, ends
        self.accounts: dict[tuple[str, ...], Account] = {}
        self._entered = 0
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
        if charge.seq <= self._entered:
            return
        self._entered = charge.seq
        if charge.ended:
            account, held = self._pending.pop(charge.attempt, (None, 0.0))
            if account and charge.usd is not None:
                account.others += charge.usd - held
        elif self.begins <= charge.time < self.ends and (account := self.account(charge.labels)):
            held = charge.usd or 0.0
            account.others += held
            self._pending[charge.attempt] = account, held


def _enter(charges: Iterable[Charge], periods: Sequence[_Period]) -> None:
    for charge in charges:
        for period in periods:
            period.enter(charge)


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
