"""Whether a run that was begun by an earlier version of its agent can go on with this one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from orchestra.errors import ConfigError
from orchestra.toolbox import Tool
from orchestra.types import Json, Step, to_json

if TYPE_CHECKING:
    from orchestra.runtime.nodes import Blueprint


def fingerprints(tools: Mapping[str, Tool]) -> dict[str, str]:
    """Eight letters per tool that change with what a model is told of it and with what may be done with it."""
    return {name: _digest(to_json(tool.spec)) for name, tool in tools.items()}


def parts(blueprint: Blueprint, fleet: str) -> dict[str, str]:
    """The agent's name, and eight letters for each of its parts beside the tools; `fleet` is its fingerprint."""
    work = blueprint.work
    rest = {
        "fleet": fleet,
        "max_turns": work.max_turns,
        "step_output": work.step_output,
        "background": blueprint.background,
    }
    return {"name": blueprint.name} | {part: _digest(to_json(value)) for part, value in rest.items()}


def part_changes(run: str, before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """How the parts of an agent have changed, in words. Raises ConfigError where the run is another agent's."""
    if before and before["name"] != now["name"]:
        raise ConfigError(
            f"run {run} is of the agent {before['name']!r}, and this one is {now['name']!r}: resume it with its own "
            "agent, or begin a run of this one"
        )
    other = (part for part in now if before.get(part, now[part]) != now[part])
    return tuple(f"{part} has changed; it is used as it is now" for part in other)


def changes(run: str, before: Mapping[str, str], now: Mapping[str, str], unfinished: Iterable[Step]) -> tuple[str, ...]:
    """How an agent's tools have changed since the run began, in words; the run goes on with them as they are `now`.

    Raises ConfigError where steps that are not finished need a tool that is gone: the agent has to get it back, or the
    rest has to be planned anew.
    """
    lost = {name: step.id for step in unfinished for name in step.tools if name not in now}
    if lost:
        gone = ", ".join(f"{name!r} (step {sid!r})" for name, sid in lost.items())
        known = ", ".join(now) or "none"
        raise ConfigError(
            f"run {run} needs tools that this version of the agent does not have: {gone}; its tools: {known}. "
            "Give them back, or resume with `changed`, a text that says what is different: the rest is planned anew"
        )
    notes = [f"tool {name!r} is new" for name in now if name not in before]
    notes += [f"tool {name!r} is gone; no step that is left needs it" for name in before if name not in now]
    other = [name for name in now if before.get(name, now[name]) != now[name]]
    notes += [f"tool {name!r} has changed; it is used as it is now" for name in other]
    return tuple(notes) if before else ()


def _digest(value: Json) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
