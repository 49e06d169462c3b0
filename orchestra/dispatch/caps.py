"""Caps: a fleet's budgets over all runs, held beside each call's own money.

What was spent in a period is read from the ledger when the clock shows it, so that a restart forgets nothing. From then
on this process's attempts are counted as they reserve and settle, and those of others on the same ledger as they write
it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from weakref import WeakKeyDictionary

from orchestra.dispatch.purse import Account, Purse
from orchestra.ledger import Charge, Charges, Taken
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
        self._named = frozenset(name for book in self._books for name in book.budget.match)
        self._hour: float | None = None
        self._runs: WeakKeyDictionary[Account, tuple[_Period, ...]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """What the parent holds and spends from now on is another process's."""
        self._begin(self._charges and self._charges.anew(), f"{self.holder}-{token_hex(4)}")

    def purse_for(self, now: float, labels: Labels, whole: Purse) -> Purse:
        """What an attempt is paid from: `whole`, the call's purse, and every budget that the attempt falls under.

        `now` is in Unix seconds. Raises LedgerError where a budget applies and the ledger cannot be read.
        """
        matching = self._by_label.of(labels)
        if not matching:
            return whole
        with self._lock:
            self._see(now)
            runs = self._periods_of(whole.root, labels.run) if self._of_runs else ()
            first = len(self._books)
            periods = [self._books[place].present if place < first else runs[place - first] for place in matching]
            return whole.within(account for period in periods if (account := period.account(labels)))

    def _see(self, now: float) -> None:
        """Turn the books to the periods of `now`, each only once all that was spent there is known."""
        turned = now // _HOUR != self._hour
        present = [book.at(now) for book in self._books] if turned else []
        if self._charges and self._books:
            books = zip(present, self._books, strict=False)
            self._catch_up(self._charges, {place: one for place, (one, book) in enumerate(books) if one not in book})
        for one, book in zip(present, self._books, strict=False):
            book.turn_to(one)
        self._hour = now // _HOUR

    def _catch_up(self, charges: Charges, fresh: Mapping[int, _Period]) -> None:
        """Read what others have added to the periods that are kept, and all there is of those that are not yet."""
        if added := charges.new():
            self._enter(added, {place: book.periods.values() for place, book in enumerate(self._books)})
        if fresh:
            begins, ends = min(one.begins for one in fresh.values()), max(one.ends for one in fresh.values())
            self._start(charges.within(begins, ends, self._named), fresh)

    def _start(self, taken: Taken, fresh: Mapping[int, _Period]) -> None:
        """Count what was taken in periods of which nothing is known yet."""
        for hour, labels, usd in taken.sums:
            for place in self._by_label.of(labels):
                if place in fresh:
                    fresh[place].count(hour, labels, usd)
        self._enter(taken.open, {place: (one,) for place, one in fresh.items()})
        for one in fresh.values():
            one.entered = max(one.entered, taken.until)

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
        self.periods: dict[float, _Period] = {}  # the present one is the last

    @property
    def present(self) -> _Period:
        return self.periods[next(reversed(self.periods))]

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

    def count(self, hour: float, labels: Labels, usd: float) -> None:
        """Count what attempts took that are over, if the hour in which they began is of this period."""
        if self.begins <= hour < self.ends and (account := self.account(labels)):
            account.others += usd

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
