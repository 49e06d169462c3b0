"""A fleet of three models at two fake providers over real HTTP, and the accounts that must balance afterwards."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from orchestra import Orchestra, OrchestraError
from orchestra.dispatch import Dispatcher
from orchestra.fleet import Fleet
from orchestra.ledger import AttemptEnded, AttemptStarted, Judged, Row
from orchestra.ledger.views import AttemptView, attempts
from orchestra.runtime.endpoints import FleetEndpoints
from orchestra.runtime.network import FleetNetwork
from orchestra.testing import Behaviour, FakeProvider, Say
from orchestra.types import AttemptChanged, Reply, TextDelta

DIALECTS = ("openai-chat", "anthropic", "gemini")
WAYS = ("complete", "stream")

OK = Say("forty-two", usage=(20, 5))
ALONE = ("alone",)
"""Data tags of a call that only the primary may serve."""

DEADLINE = 20.0
"""Seconds a call may take here; nothing that is as it should be comes near it."""

FLEET = """
[models.primary]
model = "primary"
provider = "one"
dialect = "{dialect}"
base_url = "{one}"
tier = "efficient"
tags = ["alone"]
price = {{ input = 1.0, output = 2.0 }}
window = 16_000
timeouts = {{ connect = 5, first_token = {first_token}, chunk = {chunk}, total = 10 }}

[models.fallback]
model = "fallback"
provider = "two"
dialect = "{dialect}"
base_url = "{two}"
tier = "efficient"
price = {{ input = 3.0, output = 5.0 }}
window = 16_000

[models.wide]
model = "wide"
provider = "two"
dialect = "{dialect}"
base_url = "{two}"
tier = "capable"
price = {{ input = 7.0, output = 11.0 }}
window = 200_000

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
        async with asyncio.timeout(options["deadline"] + 5):
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
    dialect: str, primary: Any, fallback: Any = OK, wide: Behaviour = OK, *, more: str = "", **timeouts: float
) -> AsyncIterator[Stage]:
    """A stage whose models behave as told; at its end nothing may be left, and every request has its attempt."""
    before = asyncio.all_tasks()
    one, two = FakeProvider({"primary": primary}), FakeProvider({"fallback": fallback, "wide": wide})
    with TemporaryDirectory() as folder:
        async with one, two:
            places = {"one": one.base_url_of(dialect), "two": two.base_url_of(dialect)}
            text = FLEET.format(dialect=dialect, **places, **({"first_token": 5, "chunk": 5} | timeouts))
            clock = Ahead()
            app = _timed(
                Orchestra(Fleet.from_toml(text + more), concurrency=64, ledger=Path(folder) / "ledger.db"), clock
            )
            it = Stage(app, {"one": one, "two": two}, clock)
            try:
                yield it
                wrong = [*_unaccounted(it), *_held(app)]
                assert not wrong, "\n".join(wrong)
            finally:
                await app.aclose()
            await _gone(it)
    assert asyncio.all_tasks() <= before, "tasks are left"


def _timed(app: Orchestra, clock: Ahead) -> Orchestra:
    """The app with a dispatcher that sleeps on `clock`."""
    network = FleetNetwork(app.fleet.network, app.ledger.hide)
    endpoints = FleetEndpoints(app.servers, app.ledger.hide, headers=network.headers)
    dispatcher = Dispatcher(
        app.fleet,
        endpoints,
        app.transport,
        app.engine.recovery,
        concurrency=64,
        caps=app.engine.dispatcher._means.caps,
        clock=clock,
        sleep=clock.sleep,
    )
    app.engine = replace(app.engine, dispatcher=dispatcher, clock=clock)
    return app


def _unaccounted(it: Stage) -> Iterator[str]:
    """Requests without an attempt, attempts without a request, an end or a reason."""
    rows = it.rows
    started, ended, judged = (_ids(rows, kind) for kind in (AttemptStarted, AttemptEnded, Judged))
    if started != ended or max(started.values(), default=1) > 1:
        yield f"attempts begun and ended differ: {started - ended} {ended - started}"
    if started != judged:
        yield f"attempts without a verdict: {started - judged}"
    for row in rows:
        if isinstance(row.event, Judged) and row.event.trigger and not (row.event.reason and row.event.evidence):
            yield f"no reason: {row.event}"
    seen = Counter(request.model for provider in it.providers.values() for request in provider.requests)
    sent = Counter(one.model for one in it.attempts if one.sent != "no")
    if seen != sent:
        yield f"requests seen {seen}, attempts that say they were sent {sent}"


def _ids(rows: list[Row], kind: type[AttemptStarted | AttemptEnded | Judged]) -> Counter[str]:
    return Counter(row.event.attempt for row in rows if isinstance(row.event, kind))


def _held(app: Orchestra) -> Iterator[str]:
    """What attempts hold that have ended: places, money."""
    means = app.engine.dispatcher._means
    for target, lane in means.traffic._lanes.items():
        if lane.calls or lane.breaker._probes:
            yield f"{target} has {lane.calls} calls in flight, {lane.breaker._probes} places of probes are taken"
    for line in {line for lines in (*means.slots._lines.values(), means.slots._others) for line in lines}:
        if line._free != 64 or line.waiting:
            yield f"{line._free} of 64 slots are free, {line.waiting} wait"
    for book in means.caps._periods:
        for account in book.accounts.values():
            if account.open or account.held:
                yield f"{account.open} reservations, ${account.held} are left"


async def _gone(it: Stage) -> None:
    """Until the providers have seen every connection close."""
    async with asyncio.timeout(5):
        while any(provider.open_connections for provider in it.providers.values()):  # noqa: ASYNC110  # they only count
            await asyncio.sleep(0)
