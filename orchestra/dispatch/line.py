"""A line: so many places, and the tenants and runs that wait for one, served fairly.

Weighted fair queueing (Demers, Keshav and Shenker 1989) in its stride form, once among tenants and once among the runs
of each: who waits holds a tag, the virtual time at which its next turn is due; the least tag is served, and a turn
moves it on by 1 / weight. A tenant's turn weighs what the run weighs that has it, so that priorities hold among all:
its tag follows from who is first in it, whether that one came late, or was and left.
"""

from __future__ import annotations

import asyncio
import math
import threading
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count


class Line:
    """`places`, and who waits for one. Nobody waits while a place is free; what names no tenant is of one, "".

    A place that a run gives back and may keep is given away `grace` turns of the event loop later, for one of its calls
    that comes just then and is more urgent. Callers may come from several event loops: an app's sync twins have one of
    their own.
    """

    def __init__(self, places: int, *, grace: int = 0) -> None:
        self._free, self._grace = places, grace
        self._now = 0.0  # virtual time: the tag that was served last (Golestani 1994)
        self._tenants: dict[str, _Tenant] = {}
        self._next: list[_Tenant] = []  # a heap of the same tenants
        self._count = count()
        self._lock = threading.Lock()

    def ahead(self, run: str, weight: float, *, tenant: str = "") -> int:
        """The turns of others, and of `run` itself, before that of a call which came now; 0 where a place is free."""
        with self._lock:
            if self._free:
                return 0
            own = self._tenants.get(tenant)
            turns, due = own.ahead(run, weight) if own else (0, self._now)
            return 1 + turns + sum(one.turns_until(due + 1 / weight) for one in self._next if one is not own)

    @property
    def waiting(self) -> int:
        """Calls that wait for a place."""
        with self._lock:
            return sum(one.waiting for one in self._next)

    @property
    def free(self) -> bool:
        """Whether a place is free: then nobody waits."""
        return self._free > 0

    def enter_at_once(self) -> bool:
        """Take a place where one is free."""
        with self._lock:
            return self._take()

    async def enter(self, run: str, rank: float, weight: float, *, tenant: str = "") -> None:
        """Take a place, in turn. A caller that is cancelled leaves the line, and a place it was just given goes on."""
        with self._lock:
            if self._take():
                return
            waiter = self._join(tenant, run, rank, weight)
        try:
            while not await self._served(waiter):
                for _ in range(self._grace):
                    await asyncio.sleep(0)
                self._give(waiter)
            self._give(waiter)
        except BaseException:
            self._gone(waiter)
            raise

    def leave(self, run: str) -> None:
        """Give back a place that `run` held."""
        with self._lock:
            self._pass_on(run)

    def _take(self) -> bool:
        taken = self._free > 0
        self._free -= taken
        return taken

    async def _served(self, waiter: _Waiter) -> bool:
        """Waits until called; False: to give away the places it was handed."""
        await waiter.called.wait()
        waiter.called.clear()
        return waiter.served

    def _give(self, waiter: _Waiter) -> None:
        with self._lock:
            given, waiter.given = waiter.given, 0
            for _ in range(given):
                self._serve()

    def _gone(self, waiter: _Waiter) -> None:
        with self._lock:
            if not waiter.served:
                self._withdraw(waiter)
            for _ in range(waiter.given + waiter.served):
                self._pass_on(waiter.run)

    def _join(self, name: str, run: str, rank: float, weight: float) -> _Waiter:
        waiter = _Waiter((-rank, next(self._count)), name, run, asyncio.get_running_loop())
        if (tenant := self._tenants.get(name)) is None:
            tenant = self._tenants[name] = _Tenant(self._now + 1 / weight, next(self._count), since=self._now)
            heappush(self._next, tenant)
        tenant.join(waiter, weight, next(self._count))
        self._stand(tenant)
        return waiter

    def _stand(self, tenant: _Tenant) -> None:
        """Move it to where its next turn is due, now that another may be first in it."""
        if tenant.tag != tenant.due:
            tenant.tag = tenant.due
            heapify(self._next)

    def _pass_on(self, run: str) -> None:
        """Serve who is next; where that is a call of `run` itself, it gives the place to who is next a little later."""
        while self._next and (waiter := self._next[0].first).run == run:
            if _call(waiter):
                waiter.given += 1
                return
            self._withdraw(waiter)
        self._serve()

    def _serve(self) -> None:
        while self._next:
            waiter = self._turn()
            waiter.served = True
            if _call(waiter):
                return
            waiter.served = False
        self._free += 1

    def _turn(self) -> _Waiter:
        """The waiter whose turn it is; its tenant stands in line again if it has more."""
        tenant = heappop(self._next)
        self._now = max(self._now, tenant.tag)
        waiter = tenant.turn(next(self._count))
        if tenant.runs:
            tenant.since, tenant.place = tenant.tag, next(self._count)
            tenant.tag = tenant.due
            heappush(self._next, tenant)
        else:
            del self._tenants[waiter.tenant]
        return waiter

    def _withdraw(self, waiter: _Waiter) -> None:
        tenant = self._tenants.get(waiter.tenant)
        if tenant is None or not tenant.withdraw(waiter):
            return
        if tenant.runs:
            self._stand(tenant)
        else:
            self._next.remove(tenant)
            heapify(self._next)
            del self._tenants[waiter.tenant]


@dataclass(slots=True, order=True)
class _Waiter:
    order: tuple[float, int]  # highest rank first, then the oldest
    tenant: str = field(compare=False)
    run: str = field(compare=False)
    loop: asyncio.AbstractEventLoop = field(compare=False)
    called: asyncio.Event = field(default_factory=asyncio.Event, compare=False)
    served: bool = field(default=False, compare=False)
    given: int = field(default=0, compare=False)  # places it is to give to whoever is next by then, itself perhaps


@dataclass(slots=True, order=True)
class _Tenant:
    tag: float
    place: int  # among equal tags the one that has waited longest
    since: float = field(compare=False)  # the line's virtual time when it came, or the tag of its last turn
    runs: dict[str, _Run] = field(default_factory=dict[str, "_Run"], compare=False)
    _next: list[_Run] = field(default_factory=list["_Run"], compare=False)  # a heap of the same runs
    _now: float = field(default=0.0, compare=False)  # virtual time: turns that a run of weight 1 has had
    _weight: float = field(default=0.0, compare=False)  # of all waiting runs

    @property
    def first(self) -> _Waiter:
        """Whose turn is next."""
        return self._next[0].waiters[0]

    @property
    def due(self) -> float:
        """When its next turn is due, in the line's virtual time."""
        return self.since + 1 / self._next[0].weight

    @property
    def waiting(self) -> int:
        return sum(len(one.waiters) for one in self._next)

    def ahead(self, name: str, weight: float) -> tuple[int, float]:
        """The turns before that of a call which came now, and when in the line's virtual time the last of them ends."""
        own = self.runs.get(name)
        tag = own.tag + len(own.waiters) / own.weight if own else self._now + 1 / weight
        turns = [(one.turns_until(tag), one) for one in self._next]
        return sum(some for some, _ in turns), self.since + sum(some / one.weight for some, one in turns)

    def turns_until(self, tag: float) -> int:
        """How many it has until then, each taken to last as long as they do on average."""
        waiting, lasting = self.waiting, sum(len(one.waiters) / one.weight for one in self._next)
        return _turns(waiting, tag - self.tag, waiting / lasting)

    def join(self, waiter: _Waiter, weight: float, place: int) -> None:
        if waiter.run not in self.runs:
            run = self.runs[waiter.run] = _Run(self._now + 1 / weight, place, weight)
            self._weight += weight
            heappush(self._next, run)
        heappush(self.runs[waiter.run].waiters, waiter)

    def turn(self, place: int) -> _Waiter:
        """The waiter whose turn it is; its run stands in line again if it has more."""
        run = heappop(self._next)
        self._now += 1 / self._weight
        waiter = heappop(run.waiters)
        if run.waiters:
            run.tag, run.place = run.tag + 1 / run.weight, place
            heappush(self._next, run)
        else:
            self._forget(waiter.run)
        return waiter

    def withdraw(self, waiter: _Waiter) -> bool:
        """Whether it stood here; one that was passed over when its event loop was closed does not."""
        run = self.runs.get(waiter.run)
        if run is None or waiter not in run.waiters:
            return False
        run.waiters.remove(waiter)
        heapify(run.waiters)
        if not run.waiters:
            self._next.remove(run)
            heapify(self._next)
            self._forget(waiter.run)
        return True

    def _forget(self, name: str) -> None:
        self._weight -= self.runs.pop(name).weight


@dataclass(slots=True, order=True)
class _Run:
    tag: float
    place: int  # as a tenant's
    weight: float = field(compare=False)
    waiters: list[_Waiter] = field(default_factory=list["_Waiter"], compare=False)

    def turns_until(self, tag: float) -> int:
        return _turns(len(self.waiters), tag - self.tag, self.weight)


def _turns(most: int, span: float, weight: float) -> int:
    """How many of them are due until `span` after the first one's tag."""
    return min(most, max(0, 1 + math.floor(span * weight)))


def _call(waiter: _Waiter) -> bool:
    """Wake it; False where its event loop was closed under it."""
    try:
        waiter.loop.call_soon_threadsafe(waiter.called.set)
    except RuntimeError:
        return False
    return True
