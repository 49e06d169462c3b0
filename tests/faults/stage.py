"""A fleet of three models at two fake providers over real HTTP, and the accounts that must balance afterwards."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from orchestra import Orchestra, OrchestraError
from orchestra.dispatch import Dispatcher
from orchestra.dispatch.rates import Hold, RateLimiter
from orchestra.fleet import Fleet
from orchestra.ledger import AttemptEnded, AttemptStarted, Judged, Row, RunEnded
from orchestra.ledger.views import AttemptView, attempts
from orchestra.testing import FakeProvider, Received, Say
from orchestra.transport import TransportFault, WireRequest
from orchestra.types import AttemptChanged, Reply, Sent, TextDelta

DIALECTS = ("openai-chat", "anthropic", "gemini")
WAYS = ("complete", "stream")

OK = Say("forty-two", usage=(20, 5))
ALONE = ("alone",)
"""Data tags of a call that only the primary may serve."""

DEADLINE = 20.0
"""Seconds a call may take here; nothing that is as it should be comes near it."""

GRACE = 5.0
"""Seconds after its deadline in which a call surely has ended, on the slowest machine; else it hangs."""

FLEET = """
[models.primary]
model = "primary"
provider = "one"
dialect = "{primary}"
base_url = "{one}"
tier = "efficient"
tags = ["alone"]
price = {{ input = 1.0, output = 2.0 }}
window = 16_000
timeouts = {{ connect = 5, first_token = {first_token}, chunk = {chunk}, total = 10 }}

[models.fallback]
model = "fallback"
provider = "two"
dialect = "{fallback}"
base_url = "{two}"
tier = "efficient"
price = {{ input = 3.0, output = 5.0 }}
window = 16_000
timeouts = {{ first_token = {others}, chunk = {others} }}

[models.wide]
model = "wide"
provider = "two"
dialect = "{wide}"
base_url = "{three}"
tier = "capable"
price = {{ input = 7.0, output = 11.0 }}
window = 200_000
timeouts = {{ first_token = {others}, chunk = {others} }}

[providers.two]
requests_per_minute = 1_000_000

[[routing.steps]]
prefer = ["primary", "fallback", "wide"]

[[budgets]]
match = {{ feature = "faults" }}
usd = 1000.0
per = "month"
"""


class Ahead:
    """The time, and what was slept without waiting: a back-off costs a test nothing."""

    def __init__(self) -> None:
        self.ahead, self.slept = 0.0, list[float]()

    def __call__(self) -> float:
        return time.monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ahead += seconds
        await asyncio.sleep(0)


@dataclass
class Ended:
    """How a call ended, and what was seen of it until then."""

    reply: Reply | None = None
    error: OrchestraError | None = None
    texts: list[str] = field(default_factory=list)
    changes: list[AttemptChanged] = field(default_factory=list)

    @property
    def triggers(self) -> list[str | None]:
        end = self.reply or self.error
        return [one.trigger and one.trigger.value for one in end.attempts]


class Stage:
    """The app, its providers and its clock; `ask` makes a call in one of the two WAYS."""

    def __init__(self, app: Orchestra, providers: Mapping[str, FakeProvider], clock: Ahead) -> None:
        self.app, self.providers, self.clock = app, providers, clock

    async def ask(self, way: str, text: str = "How many rows?", **options: Any) -> Ended:
        """Ask, and say how it ended. TimeoutError: it has not ended by its deadline."""
        ended = Ended()
        options = {"deadline": DEADLINE, "step": "ask", "feature": "faults", **options}
        text = f"step {options['step']}: {text}"
        async with asyncio.timeout(options["deadline"] + GRACE):
            try:
                if way == "complete":
                    ended.reply = await self.app.complete(text, **options)
                else:
                    await self._stream(text, options, ended)
            except OrchestraError as error:
                ended.error = error
        return ended

    async def _stream(self, text: str, options: Mapping[str, Any], ended: Ended) -> None:
        async for event in self.app.stream(text, **options):
            if event.type == "text":
                assert isinstance(event, TextDelta)
                ended.texts.append(event.text)
            elif event.type == "attempt":
                ended.changes.append(event)
            elif event.type == "end":
                ended.reply = event.reply

    @property
    def requests(self) -> list[Received]:
        """All that the providers have seen."""
        return [request for provider in self.providers.values() for request in provider.requests]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Requests that primary, fallback and wide have seen."""
        one, two = self.providers.values()
        return one.count("primary"), two.count("fallback"), two.count("wide")

    @property
    def rows(self) -> list[Row]:
        """All that is in the ledger, in order."""
        rows = [row for run in self.app.ledger.runs(10**6) for row in self.app.ledger.events(run.run)]
        return sorted(rows, key=lambda row: row.seq)

    @property
    def attempts(self) -> list[AttemptView]:
        """All attempts that are in the ledger, in order."""
        return list(attempts(self.rows))


@asynccontextmanager
async def stage(
    dialect: str | tuple[str, str, str],
    primary: Any,
    fallback: Any = OK,
    wide: Any = OK,
    *,
    more: str = "",
    slept: bool = False,
    **timeouts: float,
) -> AsyncIterator[Stage]:
    """A stage whose models, of one dialect or each of its own, behave as told; `slept`: back-off takes its time.

    `timeouts` are the primary's `first_token` and `chunk`, and `others` for both of the other two models.
    At its end each request has its attempt, each attempt its end and its reason, and nothing may be left.
    """
    before = asyncio.all_tasks()
    one, two = FakeProvider({"primary": primary}), FakeProvider({"fallback": fallback, "wide": wide})
    with TemporaryDirectory() as folder, _noted() as holds:
        async with one, two:
            it = _built((dialect,) * 3 if isinstance(dialect, str) else dialect, one, two, more, timeouts, Path(folder))
            if not slept:
                _skip_sleep(it)
            try:
                await _warm(it.app)
                yield it
                wrong = [*_unaccounted(it), *_held(it.app, holds)]
                assert not wrong, "\n".join(wrong)
            finally:
                await it.app.aclose()
            await _gone(it, before)


def _built(
    dialects: tuple[str, str, str],
    one: FakeProvider,
    two: FakeProvider,
    more: str,
    timeouts: Mapping[str, float],
    folder: Path,
) -> Stage:
    places = [provider.base_url_of(dialect) for provider, dialect in zip((one, two, two), dialects, strict=True)]
    text = FLEET.format(
        **dict(zip(("primary", "fallback", "wide"), dialects, strict=True)),
        **dict(zip(("one", "two", "three"), places, strict=True)),
        **({"first_token": 5, "chunk": 5, "others": 10} | timeouts),
    )
    app = Orchestra(Fleet.from_toml(text + more), concurrency=64, ledger=folder / "ledger.db")
    return Stage(app, {"one": one, "two": two}, Ahead())


async def _warm(app: Orchestra) -> None:
    """Load the transport's library by a request to where nobody listens: that takes longer than some deadlines here."""
    with suppress(TransportFault):
        await app.transport.send(WireRequest("http://127.0.0.1:1/", (), b""))


@contextmanager
def _noted() -> Iterator[list[Hold]]:
    """All that is reserved of rate limits."""
    holds, at_once = list[Hold](), RateLimiter.at_once

    def noted(limiter: RateLimiter, now: float, tokens: int) -> Hold | None:
        if hold := at_once(limiter, now, tokens):
            holds.append(hold)
        return hold

    with patch.object(RateLimiter, "at_once", noted):
        yield holds


def _skip_sleep(it: Stage) -> None:
    """A dispatcher that sleeps on the stage's clock, in the place of the app's own."""
    app, old = it.app, it.app.engine.dispatcher
    endpoints, caps = old._means.endpoints, old._means.caps
    new = Dispatcher(
        app.fleet,
        endpoints,
        app.transport,
        app.engine.recovery,
        concurrency=64,
        caps=caps,
        clock=it.clock,
        sleep=it.clock.sleep,
    )
    app.engine = replace(app.engine, dispatcher=new, clock=it.clock)


def _unaccounted(it: Stage) -> Iterator[str]:
    """Requests without an attempt, attempts without a request, an end, a verdict or a reason.

    One that was given up before the head of a response is `unknown`: it has one request or none. Of a cancelled call
    nobody waits for a verdict, nor knows what its provider has read.
    """
    rows = it.rows
    left = {row.run for row in rows if isinstance(row.event, RunEnded) and row.event.state == "cancelled"}
    begun, ended, judged = (_ids(rows, kind) for kind in (AttemptStarted, AttemptEnded, Judged))
    if begun != ended or max(begun.values(), default=1) > 1:
        yield f"attempts begun and ended differ: {begun - ended} {ended - begun}"
    if unjudged := begun - judged - _ids((row for row in rows if row.run in left), AttemptStarted):
        yield f"attempts without a verdict: {unjudged}"
    for row in rows:
        if isinstance(row.event, Judged) and row.event.trigger and not (row.event.reason and row.event.evidence):
            yield f"no reason: {row.event}"
    seen = Counter((asked(request), request.model) for request in it.requests)
    if more := seen - _sent(rows, "yes", "unknown"):
        yield f"requests without an attempt: {more}"
    if fewer := _sent((row for row in rows if row.run not in left), "yes") - seen:
        yield f"attempts without a request: {fewer}"


def _sent(rows: Iterable[Row], *sent: Sent) -> Counter[tuple[str, str]]:
    """How many attempts of a step at a model say so of their request."""
    events = ((row.step, row.event) for row in rows if isinstance(row.event, AttemptEnded))
    return Counter((step, event.model) for step, event in events if event.sent in sent)


def _ids(rows: Iterable[Row], kind: type[AttemptStarted | AttemptEnded | Judged]) -> Counter[str]:
    return Counter(row.event.attempt for row in rows if isinstance(row.event, kind))


def asked(request: Received) -> str:
    """The step in which it was asked."""
    return re.search(r"step (\S+):", str(request.body))[1]


def _held(app: Orchestra, holds: Iterable[Hold]) -> Iterator[str]:
    """What attempts hold that have ended: a connection, places, money, a share of a rate limit."""
    if taken := app.transport._sessions.get().connector._acquired:
        yield f"{len(taken)} connections are neither closed nor given back"
    if unsettled := sum(not hold.settled for hold in holds):
        yield f"{unsettled} of what was reserved of rate limits is left"
    means = app.engine.dispatcher._means
    for lane in (lane for lanes in means.traffic.lanes.values() for lane in lanes):
        if lane.calls or lane.breaker._probes:
            yield f"{lane.target} has {lane.calls} calls in flight, {lane.breaker._probes} places of probes are taken"
    for line in {line for lines in (*means.slots._lines.values(), means.slots._others) for line in lines}:
        if line._free != 64 or line.waiting:
            yield f"{line._free} of 64 slots are free, {line.waiting} wait"
    for period in (period for book in means.caps._books for period in book.periods.values()):
        for account in period.accounts.values():
            if account.open or account.held:
                yield f"{account.open} reservations, ${account.held} are left"


async def _gone(it: Stage, before: set[asyncio.Task[Any]]) -> None:
    """Until the providers have seen every connection close and no task is left. TimeoutError: there is a leak."""
    async with asyncio.timeout(5):
        while not _all_gone(it, before):  # noqa: ASYNC110  # providers and loops count, they do not signal
            await asyncio.sleep(0)


def _all_gone(it: Stage, before: set[asyncio.Task[Any]]) -> bool:
    open_ones = any(provider.open_connections for provider in it.providers.values())
    return not open_ones and asyncio.all_tasks() <= before
