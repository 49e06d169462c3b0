"""Answers questions from a folder of documents, each fact cited as file:line: --data FOLDER.

A citation that is missing or false is a failure of the step, not prose: it goes back to the model, then up a rung.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from orchestra.checks.citations import (
    Citation,
    Finding,
    attributed,
    citation_faults,
    conflicts,
    finding_faults,
    untold,
)
from orchestra.errors import AgentError
from orchestra.toolbox import Tool, ToolFailed, ToolRejected, load_tools
from orchestra.toolbox.confined import Confined
from orchestra.toolbox.text import lines_of

if TYPE_CHECKING:
    from orchestra import Orchestra, Step
    from orchestra.runtime.agent import Agent
    from orchestra.runtime.steps import StepResult
    from orchestra.types import Json, ToolCall

PROMPT = Path(__file__).with_suffix(".md")
BYTES = 10_000_000  # of a document
LISTED = 20
NOT_FOUND = "Not found"
_HIT = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+): ", re.MULTILINE)  # as search_files tells lines
_NUMBERED = re.compile(r"^(?P<file>)(?P<line>\d+): ", re.MULTILINE)  # as read_file does
_FIELDS: dict[str, Json] = {
    "claim": {"type": "string", "minLength": 1, "description": "what the value is of"},
    "value": {"type": "string", "minLength": 1, "description": "copied from the line"},
    "file": {"type": "string", "minLength": 1},
    "line": {"type": "integer", "minimum": 1},
}
FINDINGS: dict[str, Json] = {
    "type": "object",
    "properties": {
        "findings": {
            "type": "array",
            "maxItems": 8,
            "items": {
                "type": "object",
                "properties": _FIELDS,
                "required": list(_FIELDS),
                "additionalProperties": False,
            },
        }
    },
    "required": ["findings"],
    "additionalProperties": False,
}
"""What a look-up gives: an empty list where the documents say nothing."""


def build(app: Orchestra, *, data: Path | None = None) -> Agent:
    """The researcher over the text files below `data`. Raises AgentError where that is no folder."""
    if data is None or not data.is_dir():
        given = "none was given" if data is None else f"{data} is none"
        raise AgentError(f"agent 'researcher' reads a folder of documents, and {given}: give --data FOLDER")
    folder = Confined(data)

    def settle(
        step: Step, result: StepResult, calls: Sequence[tuple[ToolCall, str]], upstream: Mapping[str, StepResult]
    ) -> StepResult | tuple[str, ...]:
        settled = sourced(step.goal, result, places(calls, upstream), Documents(folder))
        return settled if result.output is not None else candid(settled, upstream)

    names = list(Documents(folder))
    listed = ", ".join(names[:LISTED]) + (", ... (see search_files)" if len(names) > LISTED else "")
    return app.planner_executor(
        [_by_words(load_tools("search_files").search_files(data)), load_tools("read_file").read_file(data)],
        name="researcher",
        max_steps=6,
        background=PROMPT.read_text(encoding="utf-8").format(documents=listed or "none").strip(),
        step_output=FINDINGS,
        settle=settle,
        signals=conflicting,
    )


def sourced(
    goal: str, result: StepResult, known: Mapping[Citation, str], documents: Mapping[str, Sequence[str]]
) -> StepResult | tuple[str, ...]:
    """The result with its sources, or what is wrong with those it cites.

    Findings are put into words. Prose that stands at a `known` place but does not say so, as small models forget to,
    gets the source.
    """
    if result.output is not None:
        found = _findings(result)
        words = [f"{one.claim}: {one.value} [{one.file}:{one.line}]" for one in found]
        return finding_faults(found, documents) or replace(result, text="\n".join(words) or NOT_FOUND)
    if result.text.strip().casefold().startswith(NOT_FOUND.casefold()):
        return result
    text = attributed(result.text, known, documents, given=goal)
    return citation_faults(text, documents, given=goal) or replace(result, text=text)


def candid(settled: StepResult | tuple[str, ...], upstream: Mapping[str, StepResult]) -> StepResult | tuple[str, ...]:
    """The prose with what it hides of a conflict among the findings it builds on; faults as they are."""
    if isinstance(settled, tuple):
        return settled
    return replace(settled, text="\n".join([settled.text, *untold(settled.text, _found_by(upstream))]))


def places(calls: Sequence[tuple[ToolCall, str]], upstream: Mapping[str, StepResult]) -> dict[Citation, str]:
    """The lines that a step was shown by its tools and by the findings it builds on, these with their claims."""
    shown = {Citation(file, line, line): "" for call, text in calls for file, line in _shown(call, text)}
    return shown | {Citation(one.file, one.line, one.line): one.claim for one in _found_by(upstream)}


def conflicting(_: Step, upstream: Mapping[str, StepResult]) -> dict[str, Json]:
    """The signal `conflict` where what the step builds on gives different values for one claim."""
    return {"conflict": True} if conflicts(_found_by(upstream)) else {}


class Documents(Mapping[str, "Sequence[str]"]):
    """The text files of a folder, by their path in it, as lines."""

    def __init__(self, folder: Confined) -> None:
        self._folder = folder
        self._names = dict.fromkeys(folder.files())

    def __getitem__(self, name: str) -> Sequence[str]:
        path = str(PurePosixPath(name))
        if path not in self._names:
            raise KeyError(name)
        try:
            return lines_of(self._folder.read(path, BYTES)) or ()
        except (ToolFailed, ToolRejected) as gone:  # or too large
            raise KeyError(name) from gone

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _by_words(search: Tool) -> Tool:
    """The search with its query alone: small models fill an optional folder with one that they made up."""
    properties = cast("Mapping[str, Json]", search.schema["properties"])
    schema = {**search.schema, "properties": {"query": properties["query"]}}
    return replace(search, spec=replace(search.spec, schema=schema))


def _shown(call: ToolCall, text: str) -> Iterator[tuple[str, int]]:
    file = (call.arguments or {}).get("path", "")
    pattern = _NUMBERED if call.name == "read_file" else _HIT
    for match in pattern.finditer(text):
        yield str(PurePosixPath(match["file"] or str(file))), int(match["line"])


def _found_by(upstream: Mapping[str, StepResult]) -> list[Finding]:
    return [finding for result in upstream.values() for finding in _findings(result)]


def _findings(result: StepResult) -> list[Finding]:
    """Those of a result that has the form of FINDINGS; prose has none."""
    output = cast("Mapping[str, Any]", result.output if isinstance(result.output, Mapping) else {})
    found = [Finding(**one) for one in output.get("findings", ())]
    # small models copy a line as search_files tells it, with its place
    return [replace(one, value=one.value.removeprefix(f"{one.file}:{one.line}:").strip()) for one in found]
