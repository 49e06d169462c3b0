"""Asking: every configuration answers every question, and each answer is judged and written down at once."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.agents.questions import Question
from benchmarks.agents.results import Result, Results, marked
from orchestra import Orchestra
from orchestra.fleet import Fleet
from orchestra.ledger import Ledger, Planned, new_run_id, totals
from orchestra.runtime.catalog import Runnable, load_agent

AGENT = Path(__file__).parents[2] / "agents" / "analyst.py"

OpenApp = Callable[[Fleet, Ledger], Orchestra]


def open_app(fleet: Fleet, ledger: Ledger) -> Orchestra:
    """The app of one configuration, on a ledger that all of them share."""
    return Orchestra(fleet, ledger=ledger)


async def ask(
    questions: Sequence[Question],
    fleets: Mapping[str, Fleet],
    results: Results,
    *,
    repeat: int = 1,
    open_app: OpenApp = open_app,
) -> None:
    """Ask what `results` does not hold yet; a ledger with all content lies beside them, for `orchestra trace`."""
    ledger = Ledger(results.path.with_suffix(".db"), content=True)
    async with AsyncExitStack() as stack:
        stack.callback(ledger.close)
        apps = {name: await stack.enter_async_context(open_app(fleet, ledger)) for name, fleet in fleets.items()}
        agents: dict[tuple[str, Path], Runnable] = {}
        for number, (question, turn, name) in enumerate(_order(questions, tuple(fleets), repeat)):
            if (name, question.id, turn) in results.found:
                continue
            app = apps[name]
            if (name, question.data) not in agents:
                await warm(app)
                agents[name, question.data] = load_agent(str(AGENT)).build(app, data=question.data)
            result = await _answered(app, agents[name, question.data], question, (name, turn))
            results.add(result)
            _tell(number + 1, len(questions) * len(fleets) * repeat, result)


async def warm(app: Orchestra) -> None:
    """Load embedded weights now: no question pays for it."""
    for card in app.fleet.models.values():
        if card.weights is not None:
            await app.servers.endpoint(card)


def _order(questions: Sequence[Question], names: Sequence[str], repeat: int) -> Iterator[tuple[Question, int, str]]:
    """Question by question: a configuration's luck with the machine is the others' too. Each is first in turn."""
    for turn in range(repeat):
        for number, question in enumerate(questions):
            first = (number + turn) % len(names)
            for name in (*names[first:], *names[:first]):
                yield question, turn, name


async def _answered(app: Orchestra, agent: Runnable, question: Question, place: tuple[str, int]) -> Result:
    run = new_run_id()
    began = time.perf_counter()
    ended = await agent.ainvoke({"task": question.text, "run": run})
    result = _result(ended, question, place, time.perf_counter() - began, app)
    return marked(result, question)


def _result(
    ended: Mapping[str, Any], question: Question, place: tuple[str, int], seconds: float, app: Orchestra
) -> Result:
    rows = app.ledger.events(ended["run"])
    took = totals(rows)
    return Result(
        configuration=place[0],
        id=question.id,
        repeat=place[1],
        level=question.level,
        digest=question.digest,
        fleet=app.fleet.fingerprint,
        run=ended["run"],
        state=ended["state"],
        answer=ended.get("answer") or "",
        correct=False,
        fault=ended.get("reason") or "",
        seconds=round(seconds, 3),
        tokens={name: one.usage.input + one.usage.output for name, one in took.models.items()},
        attempts=took.attempts,
        escalations=took.escalations,
        replans=max((row.event.version for row in rows if isinstance(row.event, Planned)), default=1) - 1,
        triggers=dict(took.triggers),
        usd=took.cost.usd,
    )


def _tell(number: int, total: int, result: Result) -> None:
    said = "right" if result.correct else f"{'WRONG' if result.false_accept else 'failed'}: {result.fault}"
    line = f"{number}/{total} {result.id} {result.configuration:9} {result.seconds:6.1f} s  {said}"
    print(" ".join(line.splitlines())[:200], file=sys.stderr, flush=True)
