"""A line: so many places, and the runs that wait for one, served fairly.

Weighted fair queueing (Demers, Keshav and Shenker 1989) in its stride form: a run that waits holds a tag, the virtual
time at which its next turn is due; the least tag is served, and a turn moves the run's tag on by 1 / weight.
"""

from __future__ import annotations

import asyncio
import math
import threading
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count


class Line:
    """`places`, and the runs that wait for one. Nobody waits while a place is free.

    A place that a run gives back and may keep is given away `grace` turns of the event loop later, for one of its calls
    that comes just then and is more urgent. Callers may come from several event loops: an app's sync twins have one of
    their own.
    """

    def __init__(self, places: int, *, grace: int = 0) -> None:
        self._free, self._grace = places, grace
        self._now = 0.0  # virtual time: turns that a run of weight 1 has had
        self._runs: dict[str, _Run] = {}
        self._next: list[_Run] = []  # a heap of the same runs
        self._weight = 0.0  # of all waiting runs
        self._count = count()
        self._lock = threading.Lock()

    def ahead(self, run: str, weight: float) -> int:
        """The turns of others, and of `run` itself, before that of a call which came now; 0 where a place is free."""
        with self._lock:
            if self._free:
                return 0
            own = self._runs.get(run)
            tag = own.tag + len(own.waiters) / own.weight if own else self._now + 1 / weight
            return 1 + sum(min(len(one.waiters), one.turns_until(tag)) for one in self._next)

    @property
    def waiting(self) -> int:
        """Calls that wait for a place."""
        with self._lock:
            return sum(len(one.waiters) for one in self._next)

    @property
    def free(self) -> bool:
        """Whether a place is free: then nobody waits."""
        return self._free > 0

    def enter_at_once(self) -> bool:
        """Take a place where one is free."""
        with self._lock:
            return self._take()

    async def enter(self, run: str, rank: float, weight: float) -> None:
        """Take a place, in turn. A caller that is cancelled leaves the line, and a place it was just given goes on."""
        with self._lock:
            if self._take():
                return
            waiter = self._join(run, rank, weight)
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

    def _join(self, name: str, rank: float, weight: float) -> _Waiter:
        waiter = _Waiter((-rank, next(self._count)), name, asyncio.get_running_loop())
        if name not in self._runs:
            run = self._runs[name] = _Run(self._now + 1 / weight, next(self._count), weight)
            self._weight += weight
            heappush(self._next, run)
        heappush(self._runs[name].waiters, waiter)
        return waiter

    def _pass_on(self, run: str) -> None:
        """Serve who is next; where that is a call of `run` itself, it gives the place to who is next a little later."""
        while self._next and (waiter := self._next[0].waiters[0]).run == run:
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
        """The waiter whose turn it is; its run stands in line again if it has more."""
        run = heappop(self._next)
        self._now += 1 / self._weight
        waiter = heappop(run.waiters)
        if run.waiters:
            run.tag, run.place = run.tag + 1 / run.weight, next(self._count)
            heappush(self._next, run)
        else:
            self._forget(waiter.run)
        return waiter

    def _withdraw(self, waiter: _Waiter) -> None:
        run = self._runs.get(waiter.run)
        if run is None or waiter not in run.waiters:  # passed over when its event loop was closed
            return
        run.waiters.remove(waiter)
        heapify(run.waiters)
        if not run.waiters:
            self._next.remove(run)
            heapify(self._next)
            self._forget(waiter.run)

    def _forget(self, name: str) -> None:
        self._weight -= self._runs.pop(name).weight


@dataclass(slots=True, order=True)
class _Waiter:
    order: tuple[float, int]  # highest rank first, then the oldest
    run: str = field(compare=False)
    loop: asyncio.AbstractEventLoop = field(compare=False)
    called: asyncio.Event = field(default_factory=asyncio.Event, compare=False)
    served: bool = field(default=False, compare=False)
    given: int = field(default=0, compare=False)  # places it is to give to whoever is next by then, itself perhaps


@dataclass(slots=True, order=True)
class _Run:
    tag: float
    place: int  # among equal tags the one that has waited longest
    weight: float = field(compare=False)
    waiters: list[_Waiter] = field(default_factory=list[_Waiter], compare=False)

    def turns_until(self, tag: float) -> int:
        return max(0, 1 + math.floor((tag - self.tag) * self.weight))


def _call(waiter: _Waiter) -> bool:
    """Wake it; False where its event loop was closed under it."""
    try:
        waiter.loop.call_soon_threadsafe(waiter.called.set)
    except RuntimeError:
        return False
    return True
