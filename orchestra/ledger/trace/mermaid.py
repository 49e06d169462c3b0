"""A run as a mermaid flowchart: its steps by their needs, each with the way its attempts went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestra.ledger.events import Row
from orchestra.ledger.runs import summary
from orchestra.ledger.views import AttemptView, StepView, steps
from orchestra.ledger.wording import plain, seconds


def mermaid(rows: Sequence[Row]) -> str:
    """The text of a flowchart; `rows` are all of one run, at least one."""
    run, views = summary(rows), steps(rows)
    nodes = {view.id: f"s{number}" for number, view in enumerate(views)}
    body = [
        f'    run(["{_label(run.agent, run.run, run.state, seconds(run.seconds))}"])',
        *(f'    {nodes[view.id]}["{_label(*_step(view))}"]:::{view.state}' for view in views),
        *_edges(views, nodes),
        *(f"    classDef {state} stroke:{colour}" for state, colour in _COLOURS.items()),
    ]
    return "\n".join(["flowchart TD", *body])


_COLOURS = {
    "done": "#2e7d32",
    "failed": "#c62828",
    "skipped": "#757575",
    "running": "#1565c0",
    "waiting": "#f9a825",
}


def _edges(views: Sequence[StepView], nodes: dict[str, str]) -> Iterator[str]:
    for view in views:
        needs = [nodes[need] for need in view.needs if need in nodes]
        yield from (f"    {need} --> {nodes[view.id]}" for need in needs or ["run"])


def _step(view: StepView) -> Iterator[str]:
    yield f"{view.id}: {plain(view.goal, 60)}" if view.goal else view.id
    yield from (_attempt(attempt) for attempt in view.attempts)
    yield from (f"tool {tool.tool}: {tool.trigger or tool.state}" for tool in view.tools)
    yield from (f"? {one.kind} {one.tool}: {one.decision or one.state}" for one in view.questions)


def _attempt(attempt: AttemptView) -> str:
    sign = {"accepted": "✓", "refused": "✗", "open": "…"}[attempt.state]
    after = f" → {attempt.action}" if attempt.action else ""
    return f"{sign} {attempt.model}{f' {attempt.trigger}' if attempt.trigger else ''}{after}"


def _label(*lines: str) -> str:
    """Mermaid reads entities between # and ; and takes quotes, brackets and angles for its own."""
    return "<br/>".join("".join(_ENTITIES.get(char, char) for char in plain(line)) for line in lines if line)


_ENTITIES = {char: f"#{ord(char)};" for char in '#;"`<>&\\[]{}|'}
