"""ask_human: the tool by which a model asks the person who runs it; the runtime answers it with an interrupt."""

from __future__ import annotations

from orchestra.toolbox.tool import Tool
from orchestra.types import ToolSpec

ask_human = Tool(  # not from_schema: its check of the schema would load jsonschema with every `import orchestra`
    ToolSpec(
        name="ask_human",
        description="Ask the person who gave the task, where only they can know or decide. One short question.",
        schema={
            "type": "object",
            "properties": {
                "question": {"type": "string", "minLength": 1, "description": "the question, in one sentence"}
            },
            "required": ["question"],
            "additionalProperties": False,
        },
        read_only=True,
        idempotent=True,
    )
)
"""Give it to an agent like any tool. It has no function: the run pauses until the question is answered."""
