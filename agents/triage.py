"""Classifies a ticket, looks up customer, orders and known issues, and drafts the reply: --data FILE.

Only models with the tag `pii` are asked, and no reply is sent before a person has approved it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestra.errors import AgentError
from orchestra.toolbox import Tool, ToolRejected, load_tools, tool
from orchestra.toolbox.adopt import as_tools
from orchestra.toolbox.data import MORE, in_words, open_data

if TYPE_CHECKING:
    from orchestra import Orchestra
    from orchestra.runtime.agent import Agent

PROMPT = Path(__file__).with_suffix(".md")
OUTBOX = Path("outbox")
DATA_TAGS = ("pii",)


def build(
    app: Orchestra, *, data: Path | None = None, send_reply: Any = None, data_tags: Sequence[str] = DATA_TAGS
) -> Agent:
    """The triage over the tables of `data`; only models that have every one of `data_tags` see ticket and tables.

    `send_reply` is a tool, or a function, with arguments of your own that sends; without it replies are written to
    the folder `outbox`. Raises AgentError without a file and for a tool that sends without approval, ConfigError for
    a file that holds no table.
    """
    if data is None:
        raise AgentError("agent 'triage' needs tables of customers and orders: give --data FILE (.csv, .sqlite, .db)")
    source = open_data(data)
    tables = in_words(source)
    tools = [load_tools("sqlite_query").sqlite_query(source), _sending(send_reply)]
    if tables.endswith(MORE):
        tools.append(load_tools("describe_table").describe_table(source))
    background = PROMPT.read_text(encoding="utf-8").format(tables=tables)
    return app.planner_executor(tools, name="triage", max_steps=6, background=background, data_tags=data_tags)


def outbox(folder: Path = OUTBOX) -> Tool:
    """The tool `send_reply` that writes each reply to a file of `folder`: a queue for whatever really sends."""

    @tool(needs_approval=True)
    def send_reply(to: str, subject: str, text: str, idempotency_key: str) -> str:
        """Send the reply to the customer. A person reads and approves it first.

        Args:
            to: the customer's e-mail address, from the ticket or the tables
            subject: one line
            text: the whole reply, with greeting and regards
            idempotency_key: the same for every try of one call
        """
        _demand_lines(to, subject)
        letter = f"To: {to}\nSubject: {subject}\n\n{text.strip()}\n"
        # asked to send the same reply again after a crash, it finds its own file
        name = hashlib.sha256(idempotency_key.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.txt"
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(letter)
        except FileExistsError:
            return f"this reply had already been written to {path}"
        return f"the reply was written to {path}"

    return send_reply


def _sending(given: Any) -> Tool:
    if given is None:
        return outbox()
    (sends,) = as_tools([given])
    if not sends.needs_approval:
        way_out = "declare it with @tool(needs_approval=True)"
        raise AgentError(f"agent 'triage': the tool {sends.name!r} would send without a person's approval; {way_out}")
    return sends


def _demand_lines(to: str, subject: str) -> None:
    """One printable line each: a line break would begin another header of the letter."""
    for name, value in (("to", to), ("subject", subject)):
        if not value.strip() or not value.isprintable():
            raise ToolRejected(f"{name} must be one line of text, got {value!r:.100}")
    if to.count("@") != 1 or " " in to.strip():
        raise ToolRejected(f"to must be one e-mail address, got {to!r:.100}")
