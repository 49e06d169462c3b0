"""What must be true of a run that was killed again and again, read from its ledger and from what the world saw."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestra.ledger import (
    AttemptEnded,
    AttemptStarted,
    Judged,
    Ledger,
    Row,
    RunEnded,
    StepEnded,
    StepStarted,
    ToolEnded,
    ToolStarted,
    attempts,
    steps,
    tools,
    totals,
)
from tests.chaos.life import RUN
from tests.chaos.world import ACTS, Log, Logs, World


def findings(world: World, folder: Path, out: dict[str, Any]) -> list[str]:
    """What is wrong, in words; nothing where every promise was kept."""
    ledger, logs = Ledger(folder / "l.db"), Logs.of(folder)
    run, log = out["run"], logs.first if out["run"] == RUN else logs.fork
    rows, first = ledger.events(run), ledger.events(RUN)
    try:
        ledger.claim(run).release()
        wrong = [*_answer(world, out), *_effects(log), *_once(rows), *_requests(rows, log), *_pairs(rows, "done")]
        if run != RUN:
            wrong += [*_twice(logs.first), *_once(first), *_requests(first, logs.first), *_pairs(first, "cancelled")]
        return wrong + list(_views(rows))
    finally:
        ledger.close()


def _answer(world: World, out: dict[str, Any]) -> Iterator[str]:
    if (out["state"], out["answer"]) != ("done", world.expected()):
        yield f"the answer is {out['answer']!r} ({out['state']}: {out['reason']}), not {world.expected()!r}"


def _effects(log: Log) -> Iterator[str]:
    """No act twice, nor begun twice unless a person said so; one key per call, and none for two calls."""
    effects = Counter(line[:3] for line in log.lines("effect"))
    begun = {line[:3] for line in log.lines("begun") if line[0] in ACTS}
    yield from (f"{call} has no effect" for call in begun if not effects[call])
    yield from _twice(log)
    calls, keys = defaultdict[str, set[Any]](set), defaultdict[Any, set[str]](set)
    for *call, key in (line for line in log.lines("begun") if line[0] == "wire"):
        calls[key].add(tuple(call))
        keys[tuple(call)].add(key)
    yield from (f"key {key!r} stands for {sorted(found)}" for key, found in calls.items() if len(found) > 1 or not key)
    yield from (f"{call} was made under the keys {sorted(found)}" for call, found in keys.items() if len(found) > 1)


def _twice(log: Log) -> Iterator[str]:
    """Acts of a run, which a fork may have left before its end, that were made or begun too often."""
    begun, effects = (Counter(line[:3] for line in log.lines(kind)) for kind in ("begun", "effect"))
    repeats = Counter(log.lines("repeat"))
    for call in [call for call in begun if call[0] in ACTS]:
        if effects[call] > 1 or begun[call] > 1 + repeats[call]:
            yield f"{call}: {effects[call]} effects, begun {begun[call]} times, to be repeated {repeats[call]} times"


def _once(rows: Sequence[Row]) -> Iterator[str]:
    """Nothing whose end is recorded goes on: no step, no accepted turn, no call."""
    ended: set[tuple[Any, ...]] = set()
    turns: dict[tuple[str, str], int] = {}  # of attempts and of calls
    for row in rows:
        match row.event:
            case AttemptStarted(attempt=name, turn=turn):
                turns[row.step, name] = turn
                key: tuple[Any, ...] = (row.step, turn)
            case ToolStarted(call=name, turn=turn):
                turns[row.step, name] = turn
                key = (row.step, turn, name)
            case Judged(attempt=name, trigger=None):
                key = (row.step, turns[row.step, name])
            case ToolEnded(call=name):
                key = (row.step, turns.get((row.step, name), -1), name)
            case StepStarted() | StepEnded():
                key = (row.step,)
            case _:
                continue
        if key in ended or (row.step,) in ended:
            yield f"{key} goes on after its end: row {row.seq}, {row.event.type}"
        if isinstance(row.event, StepEnded | ToolEnded | Judged):
            ended.add(key)


def _requests(rows: Sequence[Row], log: Log) -> Iterator[str]:
    """Whatever was asked or executed had its row before."""
    started = [row.event for row in rows if isinstance(row.event, ToolStarted)]
    calls = [(one.tool, one.arguments.get("name"), str(one.arguments.get("part"))) for one in started]
    known = Counter(calls)
    begun = Counter(line[:3] for line in log.lines("begun"))
    yield from (f"{call} began without a row" for call in begun if begun[call] > known[call])
    attempted = sum(isinstance(row.event, AttemptStarted) for row in rows)
    if (asked := len(log.lines("asked"))) > attempted:
        yield f"{asked} requests went out, {attempted} are recorded"


def _pairs(rows: Sequence[Row], last: str) -> Iterator[str]:
    """Every end has its start, every step its end, and the run's end is the last word."""
    begun: set[tuple[str, str]] = set()
    for row in rows:
        match row.event:
            case StepStarted():
                begun.add((row.step, ""))
            case StepEnded():
                if (row.step, "") not in begun:
                    yield f"step {row.step} ended and never began"
            case AttemptStarted(attempt=name) | ToolStarted(call=name):
                begun.add((row.step, name))
            case AttemptEnded(attempt=name) | ToolEnded(call=name):
                if (row.step, name) not in begun:
                    yield f"{row.event.type} {name} of {row.step} has no start"
            case _:
                pass
    if not isinstance(rows[-1].event, RunEnded) or rows[-1].event.state != last:
        yield f"the run's last word is {rows[-1].event}"


def _views(rows: Sequence[Row]) -> Iterator[str]:
    took = totals(rows)
    if took.attempts != took.accepted + took.refused + took.open or took.attempts != len(attempts(rows)):
        yield f"the totals do not add up: {took}"
    yield from (f"step {one.id} is still {one.state}" for one in steps(rows) if one.state in {"running", "waiting"})
    yield from (f"tool {one.tool} of {one.step} is open and no later one ended" for one in _left_open(rows))


def _left_open(rows: Sequence[Row]) -> Iterator[Any]:
    """Calls that were begun and neither ended, nor begun again, nor said to be done by a person."""
    found = tools(rows)
    answered = {row.step for row in rows if row.event.type == "human_answered"}
    for at, one in enumerate(found):
        again = any((two.step, two.call, two.turn) == (one.step, one.call, one.turn) for two in found[at + 1 :])
        if one.state == "open" and not again and one.step not in answered:
            yield one
