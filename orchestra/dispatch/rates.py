"""Rate limits of one key: requests and tokens, by the minute and by the day, reserved before and settled after.

A sliding window, not GCRA. In no span of a minute (a day) is more let through than the rule says, so the limit holds
whether the provider counts by the clock's minute, by a sliding one or by a bucket that refills; GCRA lets a whole burst
and its refill through in one minute, up to twice the rule. A new process knows nothing of what the one before it has
sent: it may pass the limit once, and the provider's headers correct it from the first reply on.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate

from orchestra.dialects.rate_limits import Counted, RateLimit
from orchestra.fleet import ProviderLimits

MINUTE, DAY = 60.0, 86_400.0
SLICES = 240
"""Parts of a window in which reservations are added up: a reservation comes back at most that part of a window late."""

MEMORY = 0.95
"""What is left of the weight of a settled request after the next one."""


@dataclass(frozen=True, slots=True)
class RateRules:
    """What a key may take, as the user states it; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_day: int | None = None

    @classmethod
    def of(cls, limits: ProviderLimits) -> RateRules:
        """The rules for each key of a provider."""
        return cls(limits.requests_per_minute, limits.tokens_per_minute, limits.requests_per_day, limits.tokens_per_day)


class RateLimiter:
    """The limits of one key; seconds on one clock that never goes back, tokens of input and output together.

    `freed` is called where something came back sooner than `wait` said; whoever waits sets it. `largest` is the most
    tokens of one request that may ever fit. Several threads may use one limiter.
    """

    def __init__(self, rules: RateRules) -> None:
        by_rule: tuple[tuple[Counted, int | None, float], ...] = (
            ("requests", rules.requests_per_minute, MINUTE),
            ("tokens", rules.tokens_per_minute, MINUTE),
            ("requests", rules.requests_per_day, DAY),
            ("tokens", rules.tokens_per_day, DAY),
        )
        self._windows = [_Window(counted, limit, span) for counted, limit, span in by_rule if limit is not None]
        self._by_tokens = any(window.tokens for window in self._windows)
        self.largest = min((window.limit for window in self._windows if window.tokens), default=math.inf)
        self._told: dict[tuple[Counted, float], _Told] = {}  # by what is counted, and the seconds of its window
        self._requests = self._tokens = 0  # all that was ever reserved
        self._last = -math.inf
        self._lock = threading.Lock()
        self.freed: Callable[[], None] = nobody

    def wait(self, now: float, tokens: int, *, ahead: int = 0) -> float:
        """Seconds until one request of so many tokens fits; 0.0: now; infinity: never.

        With `ahead` others of its size before it, about that long.
        """
        with self._lock:
            return self._wait(now, tokens, ahead)

    def at_once(self, now: float, tokens: int) -> Hold | None:
        """`reserve` where one request of so many tokens fits now; None where it does not."""
        with self._lock:
            return None if self._wait(now, tokens, 0) else self._reserve(now, tokens)

    def counts_tokens(self, now: float) -> bool:
        """Whether a request's tokens matter now; else they need not be counted."""
        told = tuple(self._told.values())  # in one go: another thread may hear of a limit meanwhile
        return self._by_tokens or any(one.tokens and now < one.whole for one in told)

    def pause(self, now: float, tokens: int) -> float:
        """Seconds until one request of so many tokens is due where more want to than fit: what is left is spread.

        Given away at once, it would come back at once, and whoever came in between would wait for all of a minute.
        """
        with self._lock:
            apart = max((one.apart(now, tokens if one.tokens else 1) for one in self._windows), default=0.0)
        return max(0.0, self._last + apart - now)

    def reserve(self, now: float, tokens: int) -> Hold:
        """Count one request of so many tokens, whether it fits or not."""
        with self._lock:
            return self._reserve(now, tokens)

    def settle(self, hold: Hold, now: float, tokens: int | None) -> None:
        """Count the tokens it really took, more or fewer; None: it was never sent. Only the first call counts."""
        requests, more = (-1, -hold.tokens) if tokens is None else (0, tokens - hold.tokens)
        with self._lock:
            if hold.settled:
                return
            hold.settled = True
            for window, part in hold.parts:
                window.change(now, part, more if window.tokens else requests)
                if window.tokens and tokens is not None:
                    window.learn(hold.tokens, tokens)
            for told in self._told.values():
                told.change(hold, more if told.tokens else requests)
        if tokens is None or more < 0:
            self.freed()

    def correct(self, now: float, limits: Iterable[RateLimit], *, hold: Hold | None = None) -> None:
        """Take in what a reply's headers say is left: no more than that until it is whole again, nor than the rules.

        `hold` is that of the request that was answered: what was reserved after it is not in the headers' numbers yet.
        """
        with self._lock:
            known = hold.known if hold else (self._requests, self._tokens)
            for said in limits:
                # Anthropic's limits on input and output alone are in `tokens` already, the tightest of them.
                if said.remaining is not None and said.counted in ("requests", "tokens"):
                    span = self._span(said)
                    whole = now + (span if said.reset is None else said.reset)
                    self._told[said.counted, span] = _Told(said.counted, said.remaining, known, whole)
        self.freed()

    def _wait(self, now: float, tokens: int, ahead: int) -> float:
        waits = [one.wait(now, tokens if one.tokens else 1, ahead) for one in self._windows]
        for one in self._told.values():
            reserved, amount = (self._tokens, tokens) if one.tokens else (self._requests, 1)
            waits.append(one.wait(now, reserved, amount * (1 + ahead)))
        return max(waits, default=0.0)

    def _reserve(self, now: float, tokens: int) -> Hold:
        self._last = now
        self._requests += 1
        self._tokens += tokens
        parts = [(window, window.reserve(now, tokens if window.tokens else 1)) for window in self._windows]
        return Hold(self, tokens, (self._requests, self._tokens), parts)

    def _span(self, said: RateLimit) -> float:
        """Headers do not say their period: it is the day where their limit is the day's rule, else the minute."""
        named = (said.counted, said.limit, DAY)
        return DAY if any((one.counted, one.limit, one.span) == named for one in self._windows) else MINUTE


class Hold:
    """One request that has its place within a limiter's limits, until it is settled.

    `parts` are what it has of each window, `known` the requests and tokens that were reserved of the limiter up to it.
    """

    __slots__ = ("known", "limiter", "parts", "settled", "tokens")

    def __init__(
        self, limiter: RateLimiter, tokens: int, known: tuple[int, int], parts: list[tuple[_Window, _Slice]]
    ) -> None:
        self.limiter, self.tokens, self.known, self.parts = limiter, tokens, known, parts
        self.settled = False


class _Told:
    """What a reply's headers said: `remaining` more, until it is whole, than what was `known` to be reserved."""

    __slots__ = ("known", "tokens", "upto", "whole")

    def __init__(self, counted: Counted, remaining: int, known: tuple[int, int], whole: float) -> None:
        self.tokens, self.whole = counted == "tokens", whole
        self.known = known[self.tokens]
        self.upto = self.known + remaining

    def wait(self, now: float, reserved: int, wanted: int) -> float:
        return self.whole - now if now < self.whole and reserved + wanted > self.upto else 0.0

    def change(self, hold: Hold, by: int) -> None:
        if hold.known[self.tokens] > self.known:
            self.upto -= by


class _Slice:
    """What was reserved in one part of a window; it goes as a whole, when the last of it is a window old."""

    __slots__ = ("amount", "began", "gone", "last")

    def __init__(self, now: float) -> None:
        self.began = self.last = now
        self.amount, self.gone = 0, False


class _Window:
    """At most `limit` in any `span` seconds."""

    __slots__ = ("asked", "counted", "limit", "slices", "span", "tokens", "took", "used")

    def __init__(self, counted: Counted, limit: int, span: float) -> None:
        self.counted, self.limit, self.span = counted, limit, span
        self.tokens = counted == "tokens"
        self.slices: deque[_Slice] = deque()
        self.used = 0
        self.asked = self.took = 1.0  # tokens lately, the older ones weighing less

    def wait(self, now: float, amount: int, ahead: int) -> float:
        if amount > self.limit:
            return math.inf
        self.expire(now)
        if self.used + amount * (1 + ahead) <= self.limit:
            return 0.0
        over = self.used + amount - self.limit
        first = self._until(over) - now if over > 0 else 0.0
        return max(0.0, first + ahead * amount * self._share * self.span / self.limit)

    def apart(self, now: float, amount: int) -> float:
        """Seconds between requests at which what is left lasts until some comes back, whenever that is."""
        left, slowest = self.limit - self.used, self.span / self.limit
        for old in self.slices:
            slowest = max(slowest, (old.last + self.span - now) / max(left, 1))
            left += old.amount
        return amount * self._share * slowest

    def learn(self, asked: int, took: int) -> None:
        """What is reserved is an upper bound; to spread by it would leave most of the limit unused."""
        self.asked, self.took = MEMORY * self.asked + asked, MEMORY * self.took + took

    def reserve(self, now: float, amount: int) -> _Slice:
        self.expire(now)
        if not self.slices or now - self.slices[-1].began >= self.span / SLICES:
            self.slices.append(_Slice(now))
        newest = self.slices[-1]
        newest.last = now
        newest.amount += amount
        self.used += amount
        return newest

    def change(self, now: float, part: _Slice, by: int) -> None:
        self.expire(now)
        if not part.gone:
            part.amount += by
            self.used += by

    def expire(self, now: float) -> None:
        while self.slices and self.slices[0].last + self.span <= now:
            oldest = self.slices.popleft()
            oldest.gone = True
            self.used -= oldest.amount

    @property
    def _share(self) -> float:
        """What is taken in the end of what is reserved, as a share."""
        return self.took / self.asked

    def _until(self, over: int) -> float:
        """When so much of what is used has gone."""
        gone = accumulate(old.amount for old in self.slices)
        return self.span + next(old.last for old, amount in zip(self.slices, gone, strict=True) if amount >= over)


def nobody() -> None:
    """Who is told where nobody waits."""
