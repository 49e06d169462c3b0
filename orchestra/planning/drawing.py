"""A plan as a mermaid flowchart: what needs what, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestra.types import Plan, Step


def mermaid(plan: Plan, states: Mapping[str, str] | None = None) -> str:
    """The text of a flowchart. `states` colours steps by id: done, failed, skipped, running; no other word does."""
    steps = [(f"s{number}", step) for number, step in enumerate(plan.steps)]
    marks = {step: f":::{state}" for step, state in (states or {}).items() if state in COLOURS}
    body = [
        f'    task(["{label(plan.task, *plan.flags)}"])',
        *(f'    {node}["{label(*_lines(step))}"]{marks.get(step.id, "")}' for node, step in steps),
        *_arrows(steps),
        *(f"    classDef {state} stroke:{colour}" for state, colour in COLOURS.items()),
    ]
    return "\n".join(["flowchart TD", *body])


COLOURS = {"done": "#2e7d32", "failed": "#c62828", "skipped": "#757575", "running": "#1565c0"}
"""The state of a step → the colour it is drawn in."""


def label(*lines: str) -> str:
    """Foreign text as the text of a node, one line each, empty ones left out.

    Mermaid reads entities between # and ; and takes quotes, brackets and angles for its own.
    """
    texts = [_plain(line) for line in lines]
    return "<br/>".join("".join(_ENTITIES.get(char, char) for char in text) for text in texts if text) or " "


_ENTITIES = {char: f"#{ord(char)};" for char in '#;"`<>&\\[]{}|'}
_WIDTH = 200  # characters of a line


def _plain(line: str) -> str:
    text = " ".join("".join(char if char.isprintable() else " " for char in line[: 4 * _WIDTH]).split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _lines(step: Step) -> Iterator[str]:
    yield f"{step.id}: {step.goal}" if step.goal else step.id
    if step.tools:
        yield f"tools: {', '.join(step.tools)}"
    if not step.critical:
        yield "optional"


def _arrows(steps: Sequence[tuple[str, Step]]) -> Iterator[str]:
    nodes = {step.id: node for node, step in steps}
    for node, step in steps:
        needs = [nodes[need] for need in step.needs if need in nodes]
        yield from (f"    {need} --> {node}" for need in needs or ["task"])
