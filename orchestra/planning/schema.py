"""The form in which a planner writes a plan, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast, get_args

from orchestra.errors import PlanError
from orchestra.planning.replan import fresh_ids
from orchestra.types import Difficulty, Json, Plan, Step, ToolSpec

_NO_PLAN = Plan("", ())
SELF_NEED = "self_need"  # the flag of a plan whose steps needed themselves, as the smallest planners write


def plan_schema(
    tools: Sequence[ToolSpec], max_steps: int, *, before: Plan = _NO_PLAN, kept: Sequence[str] = ()
) -> dict[str, Json]:
    """The JSON Schema of a plan of at most `max_steps` new steps that may call `tools`.

    Step ids are an enum (s1, s2, …, after those of the plan `before`), so that a need cannot name a step that no plan
    has, and so are the names of the tools. Needs may also name `kept` steps.
    `critical` may be left out. Only its description here says what it is for: told in the prompt, the smallest planners
    call half of their steps dispensable.
    """
    ids = fresh_ids(before, max_steps)
    return _plan(_step_schema(tools, {"enum": list(ids)}, (*kept, *ids)), max_steps)


def ordered_plan_schema(
    tools: Sequence[ToolSpec], max_steps: int, *, before: Plan = _NO_PLAN, kept: Sequence[str] = ()
) -> dict[str, Json]:
    """The part of `plan_schema` in which a step may only need `kept` steps and those of a smaller number.

    Held to it a planner can write no cycle, where a small one lets two steps wait for each other, and no list longer
    than what there is to name, where it writes one name until it is cut.
    """
    ids = fresh_ids(before, max_steps)
    choices = [
        _step_schema(tools, {"const": sid}, (*kept, *ids[:number]), bounded=True) for number, sid in enumerate(ids)
    ]
    return _plan({"anyOf": choices}, max_steps)


def read_plan(task: str, value: Json) -> Plan:
    """The plan that a planner wrote as `value`; `needs`, `tools`, `difficulty` and `critical` may be left out.

    Where a step needs itself this need is left out, for it can mean nothing, and the plan is flagged `self_need`.

    Raises PlanError with every place that has not the form of `plan_schema`. Whether the plan can be
    executed is for `faults` to say.
    """
    wrong: list[str] = []
    items = _items(value, wrong)
    steps = tuple(_step(item, f"steps[{at}]", wrong) for at, item in enumerate(items))
    if wrong:
        raise PlanError(f"this is no plan: {'; '.join(wrong)}", faults=tuple(wrong))
    sound = tuple(replace(step, needs=tuple(need for need in step.needs if need != step.id)) for step in steps)
    return Plan(task, sound, flags=(SELF_NEED,) if sound != steps else ())


def _plan(step: Json, max_steps: int) -> dict[str, Json]:
    return _object({"steps": {"type": "array", "minItems": 1, "maxItems": max_steps, "items": step}}, ["steps"])


def _step_schema(tools: Sequence[ToolSpec], own: Json, needs: Sequence[str], *, bounded: bool = False) -> Json:
    fields: dict[str, Json] = {
        "id": own,
        "goal": {"type": "string", "minLength": 1},
        "needs": _some_of(needs, bounded=bounded),
        "tools": _some_of([tool.name for tool in tools], bounded=bounded),
        "difficulty": {"enum": list(get_args(Difficulty))},
        "critical": {"type": "boolean", "description": "false only where the answer can do without this step"},
    }
    return _object(fields, [name for name in fields if name != "critical" and (tools or name != "tools")])


def _some_of(names: Sequence[str], *, bounded: bool) -> Json:
    if not names:
        return {"type": "array", "items": {"type": "string"}, "maxItems": 0}
    most = {"maxItems": len(names)} if bounded else {}
    return {"type": "array", "items": {"enum": list(names)}, **most}


def _object(fields: Mapping[str, Json], required: Sequence[str]) -> dict[str, Json]:
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def _items(value: Json, wrong: list[str]) -> Sequence[Json]:
    steps = value.get("steps") if isinstance(value, Mapping) else None
    if isinstance(steps, list | tuple):
        return cast("Sequence[Json]", steps)
    wrong.append(f'the plan must be an object {{"steps": [...]}}, not {_short(value)}')
    return ()


def _step(item: Json, place: str, wrong: list[str]) -> Step:
    if not isinstance(item, Mapping):
        wrong.append(f"{place}: expected an object, got {_short(item)}")
        return Step("")
    return Step(
        id=_text(item, "id", place, wrong),
        goal=_text(item, "goal", place, wrong).strip(),
        needs=_texts(item, "needs", place, wrong),
        tools=_texts(item, "tools", place, wrong),
        difficulty=_difficulty(item, place, wrong),
        critical=_flag(item, "critical", place, wrong),
    )


def _text(item: Mapping[str, Json], key: str, place: str, wrong: list[str]) -> str:
    value = item.get(key)
    if isinstance(value, str):
        return value
    wrong.append(f"{place}.{key}: expected text, got {_short(value) if key in item else 'nothing'}")
    return ""


def _texts(item: Mapping[str, Json], key: str, place: str, wrong: list[str]) -> tuple[str, ...]:
    value = item.get(key) or ()
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in cast("Sequence[Json]", value)):
        return tuple(dict.fromkeys(cast("Sequence[str]", value)))
    wrong.append(f"{place}.{key}: expected a list of texts, got {_short(value)}")
    return ()


def _difficulty(item: Mapping[str, Json], place: str, wrong: list[str]) -> Difficulty | None:
    value = item.get("difficulty")
    if value is None or value in get_args(Difficulty):
        return cast("Difficulty | None", value)
    wrong.append(f"{place}.difficulty: expected {', '.join(get_args(Difficulty))}, got {_short(value)}")
    return None


def _flag(item: Mapping[str, Json], key: str, place: str, wrong: list[str]) -> bool:
    value = item.get(key, True)
    if not isinstance(value, bool):
        wrong.append(f"{place}.{key}: expected true or false, got {_short(value)}")
    return value is not False


def _short(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
