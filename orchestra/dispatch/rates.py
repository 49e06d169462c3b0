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

    `freed` is called where something came back sooner than `wait` said; whoever waits sets it. Several threads may use
    one limiter.
    """

    def __init__(self, rules: RateRules) -> None:
        minutes = (
            _Window("requests", rules.requests_per_minute, MINUTE),
            _Window("tokens", rules.tokens_per_minute, MINUTE),
        )
        days = (_Window("requests", rules.requests_per_day, DAY), _Window("tokens", rules.tokens_per_day, DAY))
        self._windows = (*minutes, *(day for day in days if day.limit is not None))
        self._bounded = [window for window in self._windows if window.limit is not None]  # and those headers tell of
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
        return any(window.tokens and (window.limit is not None or now < window.whole) for window in self._bounded)

    def pause(self, now: float, tokens: int) -> float:
        """Seconds until one request of so many tokens is due where more want to than fit: what is left is spread.

        Given away at once, it would come back at once, and whoever came in between would wait for all of a minute.
        """
        with self._lock:
            apart = max(window.apart(now, tokens if window.tokens else 1) for window in self._windows)
        return max(0.0, self._last + apart - now)

    def reserve(self, now: float, tokens: int) -> Hold:
        """Count one request of so many tokens, whether it fits or not."""
        with self._lock:
            return self._reserve(now, tokens)

    def settle(self, hold: Hold, now: float, tokens: int | None) -> None:
        """Count the tokens it really took, more or fewer; None: it was never sent. Only the first call counts."""
        with self._lock:
            shares, hold.shares = hold.shares, []
            for share in shares:
                if tokens is None:
                    share.change(now, -hold.tokens if share.window.tokens else -1)
                elif share.window.tokens:
                    share.change(now, tokens - hold.tokens)
                    share.window.learn(hold.tokens, tokens)
        if tokens is None or tokens < hold.tokens:
            self.freed()

    def correct(self, now: float, limits: Iterable[RateLimit], *, hold: Hold | None = None) -> None:
        """Take in what a reply's headers say is left: no more than that until it is whole again, nor than the rules.

        `hold` is that of the request that was answered: what was reserved after it is not in the headers' numbers yet.
        """
        with self._lock:
            for said in limits:
                if said.remaining is not None and (window := self._window(said)):
                    window.correct(now, said.remaining, said.reset, hold)
                    if window not in self._bounded:
                        self._bounded.append(window)
        self.freed()

    def _wait(self, now: float, tokens: int, ahead: int) -> float:
        waits = [window.wait(now, tokens if window.tokens else 1, ahead) for window in self._bounded]
        return max(waits, default=0.0)

    def _reserve(self, now: float, tokens: int) -> Hold:
        self._last = now
        return Hold(self, tokens, [window.reserve(now, tokens if window.tokens else 1) for window in self._windows])

    def _window(self, said: RateLimit) -> _Window | None:
        """Headers do not say their period: it is the day where their limit is the day's rule, else the minute.

        Anthropic's limits on input and output alone are in `tokens` already, which is the tightest of them.
        """
        alike = [window for window in self._windows if window.counted == said.counted]
        return next((window for window in alike if window.span == DAY and window.limit == said.limit), None) or next(
            iter(alike), None
        )


class Hold:
    """What one request has taken of each window of a limiter, until it is settled."""

    __slots__ = ("limiter", "shares", "tokens")

    def __init__(self, limiter: RateLimiter, tokens: int, shares: list[_Share]) -> None:
        self.limiter, self.tokens, self.shares = limiter, tokens, shares


class _Slice:
    """What was reserved in one part of a window; it goes as a whole, when the last of it is a window old."""

    __slots__ = ("amount", "began", "gone", "last")

    def __init__(self, now: float) -> None:
        self.began = self.last = now
        self.amount, self.gone = 0, False


@dataclass(slots=True)
class _Share:
    """What one hold has of a window; `mark` is all that had been reserved of the window by then."""

    window: _Window
    slice: _Slice | None  # None: the window has no rule
    mark: int

    def change(self, now: float, by: int) -> None:
        window = self.window
        if self.slice is not None:
            window.expire(now)
            if not self.slice.gone:
                self.slice.amount += by
                window.used += by
        if self.mark > window.known:
            window.left -= by


class _Window:
    """At most `limit` in any `span` seconds, and at most `left` more until `whole`, as the provider has said."""

    __slots__ = (
        "asked",
        "counted",
        "known",
        "left",
        "limit",
        "reserved",
        "slices",
        "span",
        "tokens",
        "took",
        "used",
        "whole",
    )

    def __init__(self, counted: Counted, limit: int | None, span: float) -> None:
        self.counted, self.limit, self.span = counted, limit, span
        self.tokens = counted == "tokens"
        self.slices: deque[_Slice] = deque()
        self.used = self.reserved = self.left = self.known = 0
        self.whole = -math.inf
        self.asked = self.took = 1.0  # tokens lately, the older ones weighing less

    def wait(self, now: float, amount: int, ahead: int) -> float:
        wanted = amount * (1 + ahead)
        provider = self.whole - now if now < self.whole and wanted > self.left else 0.0
        if self.limit is None:
            return provider
        if amount > self.limit:
            return math.inf
        self.expire(now)
        if self.used + wanted <= self.limit:
            return provider
        over = self.used + amount - self.limit
        first = self._until(over) - now if over > 0 else 0.0
        return max(provider, first + ahead * amount * self._share * self.span / self.limit)

    def apart(self, now: float, amount: int) -> float:
        """Seconds between requests at which what is left lasts until some comes back, whenever that is."""
        if self.limit is None:
            return 0.0
        left, slowest = self.limit - self.used, self.span / self.limit
        for old in self.slices:
            slowest = max(slowest, (old.last + self.span - now) / max(left, 1))
            left += old.amount
        return amount * self._share * slowest

    def learn(self, asked: int, took: int) -> None:
        """What is reserved is an upper bound; to spread by it would leave most of the limit unused."""
        self.asked, self.took = MEMORY * self.asked + asked, MEMORY * self.took + took

    def reserve(self, now: float, amount: int) -> _Share:
        self.reserved += amount
        self.left -= amount
        return _Share(self, None if self.limit is None else self._sliced(now, amount), self.reserved)

    def _sliced(self, now: float, amount: int) -> _Slice:
        self.expire(now)
        if not self.slices or now - self.slices[-1].began >= self.span / SLICES:
            self.slices.append(_Slice(now))
        newest = self.slices[-1]
        newest.last = now
        newest.amount += amount
        self.used += amount
        return newest

    def expire(self, now: float) -> None:
        while self.slices and self.slices[0].last + self.span <= now:
            oldest = self.slices.popleft()
            oldest.gone = True
            self.used -= oldest.amount

    def correct(self, now: float, remaining: int, reset: float | None, hold: Hold | None) -> None:
        shares = [share for share in hold.shares if share.window is self] if hold else []
        self.known = shares[0].mark if shares else self.reserved
        self.left = remaining - (self.reserved - self.known)
        self.whole = now + (self.span if reset is None else reset)

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
