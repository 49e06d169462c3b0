"""Plans and models for tests of a run's durability: a step calls each of its tools once, then says what they said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestra import Orchestra, StepPolicy
from orchestra.testing import CallTool, ScriptedModel, scripted_app

PLANNER_IS_STRONG = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])
THREAD: Any = {"configurable": {"thread_id": "t"}}


def plan(*steps: tuple[str, list[str], list[str]], optional: tuple[str, ...] = ()) -> str:
    """A plan as the planner writes it, of (id, needs, tools)."""
    keys = ("id", "needs", "tools")
    more: dict[str, Any] = {"difficulty": "easy"}
    rows = [dict(zip(keys, one, strict=True)) | more | {"goal": f"do {one[0]}."} for one in steps]
    return json.dumps({"steps": [one | ({"critical": False} if one["id"] in optional else {}) for one in rows]})


def plans(*written: str | Callable[[], Any]) -> Callable[[dict[str, Any]], Any]:
    """A strong model that writes the first plan, the second where one is made anew, and else works as `obedient`."""

    def strong(body: dict[str, Any]) -> Any:
        if not body.get("response_format"):
            return obedient(body)
        reply = written["came to a halt" in users(body)[-1]]
        return reply() if callable(reply) else reply

    return strong


def obedient(body: Mapping[str, Any]) -> Any:
    """Calls each tool of the step that has given no result yet, with the step's id; then says the results."""
    step = step_of(body)
    said = [one["content"] for one in body["messages"] if one["role"] == "tool"]
    made = [
        each["function"]["name"]
        for one in body["messages"]
        for each in one.get("tool_calls", ())
        if one["role"] != "tool"
    ]
    for each in body.get("tools", ()):
        if (name := each["function"]["name"]) not in made:
            return CallTool(name, **({"question": f"what of {step}?"} if name == "ask_human" else {"item": step}))
    return f"{step}: {', '.join(said) or 'ok'}"


def step_of(body: Mapping[str, Any]) -> str:
    """The id in the goal of the step that is asked for; "answer" of the one that is added where no step answers all."""
    asked = next(one for one in reversed(users(body)) if "Your step:" in one).rpartition("Your step:")[2]
    return next(iter(re.findall(r"do (\w+)\.", asked)), "answer")


def users(body: Mapping[str, Any]) -> list[str]:
    """The user messages of a request."""
    return [one["content"] for one in body["messages"] if one["role"] == "user"]


def app_of(folder: Path | None, strong: Any, small: Any = obedient, **options: Any) -> Orchestra:
    """An app whose strong model plans and whose small model works, on the files of `folder`."""
    price = options.pop("price", None)
    card = {} if price is None else {"price": price}
    models = ScriptedModel("small", small, **card), ScriptedModel("strong", strong, tier="capable", **card)
    ledger = None if folder is None else folder / "l.db"
    return scripted_app(*models, **({"policies": [PLANNER_IS_STRONG], "ledger": ledger, "content": True} | options))


def events(app: Orchestra, run: str, kind: type) -> list[Any]:
    """The run's events of one kind."""
    return [row.event for row in app.ledger.events(run) if isinstance(row.event, kind)]


def asked(out: Mapping[str, Any]) -> dict[str, Any]:
    """The questions that are open, by their step."""
    return {one.value["step"]: one for one in out["__interrupt__"]}
