"""Writes Python functions and runs their tests in a sandbox; the answer is code whose tests passed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from orchestra.toolbox import Tool, load_tools

if TYPE_CHECKING:
    from orchestra import Orchestra, Step
    from orchestra.runtime.agent import Agent
    from orchestra.runtime.steps import StepResult
    from orchestra.types import Json, ToolCall

PROMPT = Path(__file__).with_suffix(".md")
SECONDS = 10.0  # of one run of code and tests
_BLOCK = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


def build(app: Orchestra, *, seconds: float = SECONDS, allow_weak: bool = False) -> Agent:
    """The coder; a run of code and tests may take `seconds`. Failing tests go back to the model, then up a rung.

    `allow_weak`: also where no kernel holds what the code may do. Raises ToolError where that was not said.
    """
    return app.planner_executor(
        [_with_tests(load_tools("python_run").python_run(seconds, allow_weak=allow_weak))],
        name="coder",
        max_steps=1,  # testing apart from writing made small models write the code anew, and worse
        background=PROMPT.read_text(encoding="utf-8").strip(),
        settle=tested,
    )


def tested(
    step: Step, result: StepResult, calls: Sequence[tuple[ToolCall, str]], _: Mapping[str, StepResult]
) -> StepResult | tuple[str, ...]:
    """The step's result with the code whose tests passed last, or what is wrong with it.

    The code is that of the call: models change what they write a second time, and nobody has run that.
    """
    runs = [call.arguments or {} for call, _ in calls if call.name == "python_run"]
    passed = [str(run["code"]).strip() for run in runs if str(run["tests"]).strip()]
    if not passed:
        missing = "" if "python_run" in step.tools else "; a step that writes code needs the tool python_run"
        return (f"no tests have passed; call python_run with code and tests until they do{missing}",)
    prose = _BLOCK.sub("", result.text).strip()
    return replace(result, text=f"{prose}\n\n```python\n{passed[-1]}\n```".strip())


def _with_tests(run: Tool) -> Tool:
    """The tool with tests in every call: left a choice, small models run their code without any and call it done."""
    properties = cast("Mapping[str, Mapping[str, Json]]", run.schema["properties"])
    tests: dict[str, Json] = {"type": "string", "minLength": 1, "description": properties["tests"]["description"]}
    schema = {**run.schema, "properties": {**properties, "tests": tests}, "required": ["code", "tests"]}
    return replace(run, spec=replace(run.spec, schema=schema))
