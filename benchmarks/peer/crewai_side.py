"""CrewAI's side of benchmarks/integrations.py: calls of our LLM beside calls of one that has its answer."""

from __future__ import annotations

import asyncio
import os
from typing import Any

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", OTEL_SDK_DISABLED="true")

from canned import ASKED, SAID, canned_app, rounds  # the environment is read when crewai is imported
from crewai.events.types.llm_events import LLMCallType  # likewise
from crewai.llms.base_llm import BaseLLM, llm_call_context  # likewise

from orchestra.integrations.crewai import OrchestraLLM  # likewise

PARAMETERS = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {"name": f"tool_{number}", "description": "Looks something up.", "parameters": PARAMETERS},
    }
    for number in range(10)
]
TURNS: list[Any] = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": SAID}]


class Fake(BaseLLM):
    """CrewAI has no model for tests; this one tells of its calls as each LLM of CrewAI's does, and has its answer."""

    def call(self, messages: Any, tools: Any = None, *_: Any, **__: Any) -> str:
        """The answer."""
        with llm_call_context():
            self._emit_call_started_event(messages, tools)
            said = self._format_messages(messages)
            usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
            self._track_token_usage_internal(usage)
            self._emit_call_completed_event(SAID, LLMCallType.LLM_CALL, messages=said, usage=usage)
            return SAID

    async def acall(self, messages: Any, tools: Any = None, *_: Any, **__: Any) -> str:
        """The answer."""
        return self.call(messages, tools)


async def main() -> None:
    """Both LLMs' CPU for every line that comes in."""
    async with canned_app() as app:
        ours, fake = OrchestraLLM(app, step="rain"), Fake(model="fake")
        asked = [*TURNS * 4, TURNS[0]]
        await rounds(
            app,
            {
                "one message": (lambda: ours.acall(ASKED), lambda: fake.acall(ASKED)),
                "one message, from a thread": (
                    lambda: asyncio.to_thread(ours.call, ASKED),
                    lambda: asyncio.to_thread(fake.call, ASKED),
                ),
                "nine messages, ten tools": (lambda: ours.acall(asked, TOOLS), lambda: fake.acall(asked, TOOLS)),
            },
        )


if __name__ == "__main__":
    asyncio.run(main())
