"""Runs that are killed by SIGKILL again and again, each time gone on with by a new process, until they end."""

from __future__ import annotations

import importlib
import json
import os
import random
import select
import shutil
import signal
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.findings import findings
from tests.chaos.life import RUN, spend
from tests.chaos.world import World

MOST = 40
"""Kills after which a run may go on in peace."""


@dataclass
class Tally:
    """How many runs came to their end after how many kills, and what was wrong, one text each."""

    runs: int = 0
    kills: int = 0
    replanned: int = 0
    forked: int = 0
    wrong: list[str] = field(default_factory=list[str])


def kill_until(kills: int, seed: str) -> Iterator[Tally]:
    """Worlds numbered on from `seed`, until so many processes were killed; the tally after each of them."""
    tally = Tally()
    _import_all(seed)
    while tally.kills < kills:
        _one(f"{seed}.{tally.runs}", tally)
        tally.runs += 1
        yield tally


def _import_all(seed: str) -> None:
    """Import here, once, what a whole life imports: a child that has to would mostly be killed importing."""
    world, folder = World.of(random.Random(seed)), Path(tempfile.mkdtemp(prefix="chaos-"))
    assert _spawn(world, folder, seed, None, None) == 0, (folder / "broken").read_text("utf-8")
    for name in (folder / "modules").read_text("utf-8").split():
        importlib.import_module(name)
    shutil.rmtree(folder)


def _one(name: str, tally: Tally) -> None:
    """A run in a world of its own; its folder stays where something was wrong."""
    rng = random.Random(name)
    world = World.of(rng)
    tally.replanned += world.breaks is not None
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    wrong = _to_its_end(world, folder, name, rng, tally)
    if wrong:
        tally.wrong += [f"world {name} ({folder}): {one}" for one in wrong]
    else:
        shutil.rmtree(folder)


def _to_its_end(world: World, folder: Path, name: str, rng: random.Random, tally: Tally) -> list[str]:
    for life in range(MOST + 1):
        point, seconds = (None, None) if life == MOST else _moment(rng)
        ended = _spawn(world, folder, f"{name}.{life}", point, seconds)
        if ended == 0:
            out = json.loads((folder / "out.json").read_text("utf-8"))
            tally.forked += out["run"] != RUN
            return findings(world, folder, out)
        if ended != -signal.SIGKILL:
            return [(folder / "broken").read_text("utf-8")]
        tally.kills += 1
    return [f"it was killed {MOST} times and did not end in peace either"]


def _moment(rng: random.Random) -> tuple[int | None, float | None]:
    """When a process is to die: at which point of its work, or after how many seconds."""
    if rng.random() < 0.7:
        return rng.randint(1, rng.choice([30, 120, 240])), None
    return None, rng.uniform(0.0, 0.4)


def _spawn(world: World, folder: Path, seed: str, point: int | None, seconds: float | None) -> int:
    """A child's exit code, negative for the signal that killed it."""
    heard, told = os.pipe()
    child = os.fork()
    if not child:
        os.close(heard)
        try:
            spend(world, folder, seed, point)
            os._exit(0)
        except BaseException:  # noqa: BLE001  # whatever it was, its parent reports it
            (folder / "broken").write_text(traceback.format_exc(), "utf-8")
            os._exit(1)
    os.close(told)
    if not select.select([heard], [], [], seconds)[0]:  # it closes when the child has ended
        os.kill(child, signal.SIGKILL)
    os.close(heard)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
