"""Rows of the recovery table that a user wrote for what tools show."""

import json

import pytest

from orchestra import RecoveryPolicy, StepPolicy, tool
from orchestra.testing import CallTool, ScriptedModel, scripted_app

LOW = StepPolicy([{"tier": "efficient"}])
PLAN = json.dumps({"steps": [{"id": "s1", "goal": "do it", "needs": [], "tools": ["act"], "difficulty": "easy"}]})


@tool
def act(number: int) -> str:
    """Do it.

    Args:
        number: which
    """
    if number == 13:
        raise ValueError("unlucky")
    return "done"


@pytest.mark.parametrize("row", ["wider_window", ["shrink_context", "wider_window"], ["shrink_context", "escalate"]])
async def test_a_tools_failure_leads_where_its_row_says(row):
    small = ScriptedModel("small", [PLAN, CallTool("act", number=13)])
    wide = ScriptedModel("wide", [CallTool("act", number=1), "did it"], tier="capable", window=100_000)
    recovery = RecoveryPolicy(overrides={"tool_error": row}, max_replans=0)
    async with scripted_app(small, wide, policies=[LOW], recovery=recovery) as app:
        out = await app.planner_executor([act]).ainvoke({"task": "Do it"})
    assert (out["state"], out["answer"], out["steps"]["s1"]["model"]) == ("done", "did it", "wide")
