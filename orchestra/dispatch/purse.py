"""The money of a call or run: reserved before an attempt, settled after it."""

from __future__ import annotations

import asyncio

from orchestra.errors import BudgetExceeded
from orchestra.types import Cost

ROUNDING = 1e-12  # USD; sums of floats may be off by less


class Purse:
    """A cap in USD (None: no cap) that the concurrent attempts of one event loop share.

    What is spent and what is reserved never exceed the cap together. Under a cap a model whose price is unknown is
    refused unless `allow_unknown`. What a `part` holds and spends, the whole holds and spends too.
    """

    def __init__(self, cap: float | None, *, allow_unknown: bool = False, whole: Purse | None = None) -> None:
        self.cap = cap
        self.allow_unknown = allow_unknown
        self.whole = whole
        self.spent = 0.0
        self.held = 0.0
        self._open = 0  # reservations; what is held is a sum of floats and may miss 0 by a rounding
        self._settled = asyncio.Event()

    def part(self, cap: float | None, *, allow_unknown: bool = False) -> Purse:
        """A purse with a cap of its own (None: this one's) that never takes more than what this one has left."""
        return Purse(_least(cap, self.cap), allow_unknown=allow_unknown, whole=self)

    @property
    def open(self) -> int:
        """Attempts whose reservation may yet come back, all that share the money counted."""
        return self.whole.open if self.whole else self._open

    @property
    def left(self) -> float | None:
        """USD that are neither spent nor reserved; None without a cap."""
        own = None if self.cap is None else max(0.0, self.cap - self.spent - self.held)
        return _least(own, self.whole.left) if self.whole else own

    @property
    def unspent(self) -> float | None:
        """USD that are not spent, reserved ones included: most of a reservation comes back. None without a cap."""
        own = None if self.cap is None else max(0.0, self.cap - self.spent)
        return _least(own, self.whole.unspent) if self.whole else own

    def fits(self, bound: float | None) -> bool:
        """True where `reserve(bound)` would succeed now."""
        if self.left is None:
            return True
        return self.allow_unknown if bound is None else bound <= self.left + ROUNDING

    def reserve(self, bound: float | None, *, model: str = "the model") -> Reservation:
        """Hold `bound` USD, the most an attempt can cost (None: its price is unknown). Raises BudgetExceeded."""
        if self.fits(bound):
            return Reservation(self, bound or 0.0)
        if bound is None:
            raise BudgetExceeded(
                f"{model} has no known price, and a money cap of ${self.cap:g} is set; "
                "set its price in fleet.toml, or allow unknown prices (allow_unknown_price=True)"
            )
        raise BudgetExceeded(
            f"{model} may cost ${bound:.6f} for the next attempt; ${self.left:.6f} of ${self.cap:g} is left"
        )

    async def settled(self) -> None:
        """Wait until the next reservation is settled."""
        await (self.whole.settled() if self.whole else self._settled.wait())

    def hold(self, usd: float) -> None:
        """Set `usd` USD aside for an attempt; `reserve` is what attempts call."""
        self._open += 1
        self.held += usd
        if self.whole:
            self.whole.hold(usd)

    def settle(self, held: float, spent: float) -> None:
        """Give back `held` USD and spend `spent`; a reservation's own `settle` is what attempts call."""
        self._open -= 1
        self.held = self.held - held if self._open else 0.0
        self.spent += spent
        if self.whole:
            self.whole.settle(held, spent)
        self._settled.set()
        self._settled = asyncio.Event()


class Reservation:
    """Money held for one attempt until `settle` says what it really cost."""

    def __init__(self, purse: Purse, usd: float) -> None:
        self.usd = usd
        self._purse: Purse | None = purse
        purse.hold(usd)

    def settle(self, cost: Cost) -> None:
        """Spend `cost` and give back the rest; an unknown cost spends what was held. Only the first call counts."""
        if self._purse is not None:
            purse, self._purse = self._purse, None
            purse.settle(self.usd, self.usd if cost.usd is None else cost.usd)


def _least(one: float | None, other: float | None) -> float | None:
    return min((usd for usd in (one, other) if usd is not None), default=None)
