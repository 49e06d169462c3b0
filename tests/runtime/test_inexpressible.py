"""A tool that a dialect cannot declare takes its models out before anything is sent."""

import pytest

from orchestra.dialects import inexpressible
from orchestra.errors import NoCandidate
from orchestra.runtime import turn_decision
from orchestra.testing import ScriptedModel, scripted_app
from orchestra.toolbox import Tool
from orchestra.types import ToolSpec

SOUND = ToolSpec("sound", "Fine", {"type": "object", "properties": {}})
UNSAID = ToolSpec("odd", "No object fits", {"type": "array", "items": {}})


def test_a_dialect_is_named_with_the_tool_and_the_reason():
    found = inexpressible([SOUND, UNSAID], ["anthropic", "gemini"])
    assert set(found) == {"anthropic", "gemini"}
    assert all("tool 'odd'" in reason and "arguments are always an object" in reason for reason in found.values())
    assert inexpressible([SOUND], ["anthropic"]) == {}


async def test_no_request_is_made_of_a_model_that_cannot_be_told_of_a_tool(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        turn_decision, "inexpressible", lambda tools, dialects: dict.fromkeys(dialects, "tool 'odd': no")
    )
    small = ScriptedModel("small", ["never asked"])
    async with scripted_app(small) as app:
        with pytest.raises(NoCandidate, match="tool 'odd': no"):
            await app.complete("hi", tools=[Tool.from_schema("odd", "Odd", dict(SOUND.schema))])
    assert small.requests == []
