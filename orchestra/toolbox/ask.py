"""ask_human: the tool by which a model asks the person who runs it; the runtime answers it with an interrupt."""

from __future__ import annotations

from orchestra.toolbox.tool import Tool

ask_human = Tool.from_schema(
    "ask_human",
    "Ask the person who gave the task, where only they can know or decide. One short question.",
    {
        "type": "object",
        "properties": {"question": {"type": "string", "minLength": 1, "description": "the question, in one sentence"}},
        "required": ["question"],
        "additionalProperties": False,
    },
    read_only=True,
    idempotent=True,
)
"""Give it to an agent like any tool. It has no function: the run pauses until the question is answered."""
