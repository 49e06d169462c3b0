"""The money of a call or run: reserved before an attempt, settled after it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress

from orchestra.errors import BudgetExceeded
from orchestra.types import Budget, Cost

ROUNDING = 1e-12  # USD; sums of floats may be off by less


class Purse:
    """A cap in USD (None: no cap) that concurrent attempts share, also those of several event loops.

    What is spent and what is reserved never exceed the cap together, nor that of any of the accounts it shares. Under a
    cap a model whose price is unknown is refused unless `allow_unknown`. `root` is the account of the whole run, of
    which this purse is a part.
    """

    def __init__(
        self,
        cap: float | None,
        *,
        allow_unknown: bool = False,
        spent: float = 0.0,
        shared: tuple[Account, ...] = (),
        root: Account | None = None,
    ) -> None:
        self.allow_unknown = allow_unknown
        self.own = Account(cap, spent=spent)
        self.accounts = (self.own, *shared)
        self.capped = any(account.cap is not None for account in self.accounts)
        self.root = root or self.own

    def part(self, cap: float | None, *, allow_unknown: bool = False) -> Purse:
        """A purse with a cap of its own (None: this one's) that never takes more than what this one has left."""
        return Purse(cap, allow_unknown=allow_unknown, shared=self.accounts, root=self.root)

    def anew(self, *, spent: float = 0.0, shared: Iterable[Account] = ()) -> Purse:
        """A new one with this one's cap, of which `spent` USD were spent before; it takes from `shared`, too."""
        more = [account for account in shared if account not in self.accounts]
        return Purse(
            self.own.cap,
            allow_unknown=self.allow_unknown,
            spent=spent,
            shared=(*self.accounts[1:], *more),
            root=None if self.root is self.own else self.root,
        )

    def within(self, budgets: Iterable[Account]) -> Purse:
        """A purse that takes from this one and from all `budgets`."""
        return Purse(None, allow_unknown=self.allow_unknown, shared=(*budgets, *self.accounts), root=self.root)

    @property
    def cap(self) -> float | None:
        """The least cap that holds for it, in USD; None where it is not `capped`."""
        return _least(account.cap for account in self.accounts)

    @property
    def spent(self) -> float:
        """USD that its attempts have cost."""
        return self.own.spent

    @property
    def held(self) -> float:
        """USD that are reserved for its attempts."""
        return self.own.held

    @property
    def open(self) -> int:
        """Its attempts whose reservation may yet come back."""
        return self.own.open

    @property
    def left(self) -> float | None:
        """USD that are neither spent nor reserved; None without a cap."""
        return _least(account.left for account in self.accounts)

    @property
    def unspent(self) -> float | None:
        """USD that are not spent, reserved ones included: most of a reservation comes back. None without a cap."""
        return _least(account.unspent for account in self.accounts) if self.capped else None

    def fits(self, bound: float | None) -> bool:
        """True where `reserve(bound)` would succeed now."""
        return not self._short(bound)

    def reserve(self, bound: float | None, *, model: str = "the model") -> Reservation:
        """Hold `bound` USD, the most an attempt can cost (None: its price is unknown). Raises BudgetExceeded."""
        with _LOCK:
            if not (short := self._short(bound)):
                return Reservation(self, bound or 0.0)
        raise BudgetExceeded(short[0].why(bound, model), budget=short[0].budget, caps=_raisable(short, bound))

    def too_low(self, pays: Callable[[float], bool]) -> tuple[float, ...]:
        """The caps in USD of which what is unspent, by itself, does not pay; none where no money pays."""
        unspent = [(account.cap, account.unspent) for account in self.accounts] if pays(_PLENTY) else ()
        return tuple(cap for cap, left in unspent if cap is not None and left is not None and not pays(left))

    async def settled(self, bound: float | None) -> None:
        """Wait until `bound` fits, or nothing that is given back can change any more that it does not."""
        with self._told() as again:
            while any(account.open for account in self._short(bound)):
                await again.wait()
                again.clear()

    def _short(self, bound: float | None) -> list[Account]:
        if not self.capped:
            return []
        unknown = self.allow_unknown
        return [account for account in self.accounts if not account.pays(bound, allow_unknown=unknown)]

    @contextmanager
    def _told(self) -> Generator[asyncio.Event]:
        """An event that is set whenever any money is given back."""
        loop, again = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the event loop was closed under it
                loop.call_soon_threadsafe(again.set)

        for account in self.accounts:
            account.waiting.add(wake)
        try:
            yield again
        finally:
            for account in self.accounts:
                account.waiting.discard(wake)


class Account:
    """One cap in USD (None: no cap) and what is taken of it; `reserve` of a purse is what attempts call.

    `budget` is the fleet's where it is one of those, and `others` what other processes have spent and reserved of it.
    """

    def __init__(self, cap: float | None, *, budget: Budget | None = None, spent: float = 0.0) -> None:
        self.cap, self.budget = cap, budget
        self.spent, self.held, self.others = spent, 0.0, 0.0
        self.open = 0  # reservations; what is held is a sum of floats and may miss 0 by a rounding
        self.waiting: set[Callable[[], None]] = set()

    @property
    def left(self) -> float | None:
        """As Purse.left."""
        return None if self.cap is None else max(0.0, self.cap - self.spent - self.others - self.held)

    @property
    def unspent(self) -> float | None:
        """As Purse.unspent."""
        return None if self.cap is None else max(0.0, self.cap - self.spent - self.others)

    def pays(self, bound: float | None, *, allow_unknown: bool) -> bool:
        """True where what is left is enough."""
        left = self.left
        return left is None or (allow_unknown if bound is None else bound <= left + ROUNDING)

    def why(self, bound: float | None, model: str) -> str:
        """Why it does not pay."""
        name = f"${self.cap:g}" if self.budget is None else f"the budget of {self.budget}"
        if bound is None:
            return (
                f"{model} has no known price, and a money cap of {name} is set; "
                "set its price in fleet.toml, or allow unknown prices (allow_unknown_price=True)"
            )
        return f"{model} may cost ${bound:.6f} for the next attempt; ${self.left:.6f} of {name} is left"


class Reservation:
    """Money held for one attempt until `settle` says what it really cost; `capped`: something bounds it."""

    def __init__(self, purse: Purse, usd: float) -> None:
        self.usd = usd
        self.capped = purse.capped
        self._accounts = purse.accounts
        for account in self._accounts:
            account.open += 1
            account.held += usd

    def settle(self, cost: Cost) -> None:
        """Spend `cost` and give back the rest; an unknown cost spends what was held. Only the first call counts."""
        spent = self.usd if cost.usd is None else cost.usd
        with _LOCK:
            accounts, self._accounts = self._accounts, ()
            for account in accounts:
                account.open -= 1
                account.held = account.held - self.usd if account.open else 0.0
                account.spent += spent
        if self.capped:
            for account in accounts:
                for wake in tuple(account.waiting):  # in one go: another thread may begin to wait meanwhile
                    wake()


_LOCK = threading.Lock()
"""One for all purses: an attempt takes from several accounts, and from all of them or none."""


_PLENTY = 1e9
"""USD that pay for whatever money pays for: a number, for policies may reckon with it."""


def _raisable(short: Sequence[Account], bound: float | None) -> tuple[float, ...]:
    """The caps of a call, node or run that stand in the way; none where a person who raises them does not help."""
    if bound is None or any(account.budget for account in short):
        return ()
    return tuple(account.cap for account in short if account.cap is not None)


def _least(sums: Iterable[float | None]) -> float | None:
    return min((usd for usd in sums if usd is not None), default=None)
