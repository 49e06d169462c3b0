"""The log lines as documentation: a table of every event, its keys and when it is written, made from the classes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import get_args

from orchestra.ledger.events import Event
from orchestra.ledger.sinks.structlog import LINE, keys


def event_table() -> str:
    """The generated part of docs/observability.md: a Markdown table."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield f"Every line has {', '.join(f'`{key}`' for key in LINE)}."
    yield ""
    yield "| event | keys | when |"
    yield "|---|---|---|"
    for cls in get_args(Event):
        # The docstring's first paragraph: what happened.
        what = " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split())
        yield f"| `{cls.type}` | {', '.join(f'`{key}`' for key in keys(cls))} | {what} |"
