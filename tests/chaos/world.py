"""A world made from a seed: a plan, tools that write down what they do, models that answer by their prompt alone."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from orchestra import Tool, tool
from orchestra.testing import CallTool, Say, ScriptedModel, Slow
from orchestra.toolbox import Replan, ToolFailed, ask_human

TOOLS = ("look", "put", "pay", "wire", "ship")
ACTS = ("pay", "ship")
"""Tools whose calls must not be repeated: neither read-only nor idempotent, and without a key."""

Call: TypeAlias = tuple[str, str, int]
"""Tool, step name, which one."""


@dataclass(frozen=True)
class Doing:
    """What a step does: calls turn by turn, how slowly, and what goes wrong with it."""

    name: str
    needs: tuple[str, ...]
    turns: tuple[tuple[Call, ...], ...]
    seconds: float
    clumsy: bool = False  # the small model writes calls that no tool takes
    asks: bool = False  # it asks a person before it answers


@dataclass
class World:
    """A task's plan with names for steps, since ids change with a new plan. `breaks` fails until it is planned anew.

    `forks`: whoever goes on with the run forks it as soon as there is an older state with a plan.
    """

    steps: dict[str, Doing]
    breaks: str | None = None
    breaking: str = "replan"
    forks: bool = False
    ids: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, rng: random.Random) -> World:
        """Any world: some of any plan, most of lanes side by side, of which the first is the slowest."""
        lanes = rng.choice([0, 2, 3])
        names = [f"ä{number}" for number in range(rng.randint(6, 8) if lanes else rng.randint(3, 6))]
        steps: dict[str, Doing] = {}
        for at, name in enumerate(names):
            if lanes:
                before = names[at - lanes : at - lanes + 1] if at >= lanes else []
                steps[name] = _doing(rng, name, before, 0.01 * (lanes - 1 - at % lanes), most=1)
            else:
                steps[name] = _doing(rng, name, _some(rng, names[:at]), rng.choice([0.0, 0.001, 0.004]), most=2)
        needed = {need for one in steps.values() for need in one.needs}
        last = tuple(name for name in names if name not in needed)
        steps["end"] = Doing("end", last, (), 0.0)
        able = [name for name in names if steps[name].turns]
        breaks = rng.choice(able) if able and rng.random() < 0.5 else None
        return cls(steps, breaks, rng.choice(["replan", "failed"]), forks=rng.random() < 0.3)

    def expected(self) -> str:
        """What an undisturbed run answers, by plain calculation."""
        said: dict[str, str] = {}
        for name, one in self.steps.items():
            results = [_result(call) for turn in one.turns for call in turn]
            answer = [f"answer {name}"] if one.asks else []
            said[name] = _said(name, [(need, said[need]) for need in one.needs], results + answer)
        return said["end"]

    def models(self, log: Log) -> tuple[ScriptedModel, ScriptedModel]:
        """The small one and the strong one."""
        return (
            ScriptedModel("small", lambda body: self._reply("small", body, log)),
            ScriptedModel("strong", lambda body: self._reply("strong", body, log), tier="capable"),
        )

    def tools(self, log: Log) -> list[Tool]:
        """Every kind of tool there is; each call leaves a line as it begins and one as its effect is there."""
        return [_tool(name, log, self) for name in TOOLS] + [_breaking(log, self.breaking), ask_human]

    def _reply(self, model: str, body: Mapping[str, Any], log: Log) -> Any:
        if body.get("response_format"):
            asked = _users(body)[-1]
            log.write("asked", "plan" if "came to a halt" not in asked else "plan2", model)
            return Slow(0.002, self._plan(asked))
        return self._turn(model, body, log)

    def _plan(self, asked: str) -> str:
        kept: dict[str, str] = {}
        if "came to a halt" in asked:
            kept = {name: sid for sid, name in _HEADER.findall(asked.partition("Not finished:")[0])}
        left = [one for one in self.steps.values() if one.name not in kept]
        first = len(self.steps) + 1 if kept or "came to a halt" in asked else 1
        ids = kept | {one.name: f"s{number}" for number, one in enumerate(left, first)}
        broken = self.breaks if first == 1 else None
        return json.dumps(
            {
                "steps": [
                    {
                        "id": ids[one.name],
                        "goal": f"goal {one.name}.",
                        "needs": [ids[need] for need in one.needs],
                        "tools": ["crack"] if one.name == broken else _tools(one),
                        "difficulty": "easy",
                    }
                    for one in left
                ]
            }
        )

    def _turn(self, model: str, body: Mapping[str, Any], log: Log) -> Any:
        asked = _users(body)
        at = next(place for place in reversed(range(len(asked))) if "Your step:" in asked[place])
        one = self.steps[_GOAL.findall(asked[at].rpartition("Your step:")[2])[0]]
        results = [line for m in body["messages"] if m["role"] == "tool" for line in m["content"].splitlines()]
        names = [each["function"]["name"] for each in body.get("tools", ())]
        log.write("asked", one.name, model)
        return Slow(one.seconds, self._said(model, one, asked[at], results, names))

    def _said(self, model: str, one: Doing, asked: str, results: list[str], tools: list[str]) -> Any:
        if "crack" in tools:
            return CallTool("crack", name=one.name, part=len(results) + (9 if model == "strong" else 0))
        if one.clumsy and model == "small":
            return CallTool("lok", name=one.name)
        done = [line for line in results if line.endswith(" ok")]
        for turn in one.turns:
            if left := [call for call in turn if _result(call) not in done]:
                return Say(calls=tuple(CallTool(tool, name=name, part=part) for tool, name, part in left))
        if one.asks and f"answer {one.name}" not in results:
            return CallTool("ask_human", question=f"what of {one.name}?")
        seen = [(name, text) for _, name, text in _SEEN.findall(asked)]
        answer = [f"answer {one.name}"] if one.asks else []
        return _said(one.name, seen, done + answer)


class Log:
    """What happened in the world, one line each, whoever is killed: the kernel appends a line whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hook: Callable[[], None] = lambda: None
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)

    def write(self, *words: object) -> None:
        """One line."""
        self.hook()
        os.write(self._file, ("\t".join(map(str, words)) + "\n").encode())
        self.hook()

    def lines(self, kind: str) -> list[tuple[str, ...]]:
        """The lines that begin with this word, without it."""
        rows = [tuple(line.split("\t")) for line in self.path.read_text("utf-8").splitlines()]
        return [row[1:] for row in rows if row[0] == kind]


class Logs(NamedTuple):
    """What the first run did, and what a fork of it did, which does again what was not finished where it began."""

    first: Log
    fork: Log

    @classmethod
    def of(cls, folder: Path) -> Logs:
        """Those of a world's folder."""
        return cls(Log(folder / "log"), Log(folder / "fork.log"))


_GOAL = re.compile(r"goal (\w+)\.")
_HEADER = re.compile(r"\[(s\d+)\] goal (\w+)\.")
_SEEN = re.compile(r"\[(s\d+)\] goal (\w+)\.\n(\S+)")


def _doing(rng: random.Random, name: str, needs: Sequence[str], seconds: float, *, most: int) -> Doing:
    turns = [
        tuple((rng.choice(TOOLS), name, 10 * turn + part) for part in range(rng.randint(1, 3)))
        for turn in range(rng.randint(0, most))
    ]
    return Doing(name, tuple(needs), tuple(turns), seconds, bool(turns) and rng.random() < 0.25, rng.random() < 0.2)


def _some(rng: random.Random, names: list[str]) -> list[str]:
    return sorted(rng.sample(names, rng.randint(0, min(2, len(names)))))


def _tools(one: Doing) -> list[str]:
    called = {call[0] for turn in one.turns for call in turn}
    return sorted(called) + (["ask_human"] if one.asks else [])


def _result(call: Call) -> str:
    return "{} {} {} ok".format(*call)


def _said(name: str, seen: Iterable[tuple[str, str]], results: Iterable[str]) -> str:
    text = json.dumps([name, sorted(seen), sorted(results)])
    return f"{name}={hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _users(body: Mapping[str, Any]) -> list[str]:
    return [one["content"] for one in body["messages"] if one["role"] == "user"]


def _tool(kind: str, log: Log, world: World) -> Tool:
    async def plain(name: str, part: int) -> str:
        return await _effect(log, world, (kind, name, part))

    async def keyed(name: str, part: int, idempotency_key: str) -> str:
        return await _effect(log, world, (kind, name, part), idempotency_key)

    made = keyed if kind == "wire" else plain
    made.__name__ = kind
    made.__doc__ = f"{kind} it.\n\nArgs:\n    name: of what\n    part: which"
    return tool(read_only=kind == "look", idempotent=kind == "put", needs_approval=kind == "ship")(made)


async def _effect(log: Log, world: World, call: Call, key: str = "") -> str:
    log.write("begun", *call, key)
    await asyncio.sleep(world.steps[call[1]].seconds)
    log.write("effect", *call, key)
    return _result(call)


def _breaking(log: Log, way: str) -> Tool:
    @tool
    async def crack(name: str, part: int) -> str:
        """Crack it.

        Args:
            name: of what
            part: which
        """
        log.write("begun", "crack", name, part, "")
        log.write("effect", "crack", name, part, "")
        raise Replan("it has moved") if way == "replan" else ToolFailed("it is stuck")

    return crack
