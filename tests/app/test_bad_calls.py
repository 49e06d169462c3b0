"""What orchestra is for: a cheap model calls a tool wrongly, does so again when told, and a stronger one does it."""

from __future__ import annotations

import json

import pytest

from orchestra import StepPolicy, tool
from orchestra.ledger import Judged, StepEnded, ToolStarted, totals
from orchestra.testing import CallTool, Error, Say, ScriptedModel, scripted_app
from orchestra.types import Price
from tests.app.doubles import events

PLAN = json.dumps(
    {"steps": [{"id": "s1", "goal": "rain in Oslo", "needs": [], "tools": ["rain"], "difficulty": "easy"}]}
)
BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])
GOOD = CallTool("rain", city="Oslo")
BAD = {
    "unknown_tool": CallTool("rainfall", city="Oslo"),
    "malformed_args": CallTool.written("rain", '{"city": "Oslo" and more}'),
    "schema_violation": CallTool("rain", town="Oslo"),
    "no_call": "It rains a lot in Oslo.",
    "empty": "",
    "truncated": Say(calls=(CallTool.written("rain", '{"city": "Os'),), finish="length"),
    "refusal": "I'm sorry, but I can't assist with that.",
}


def models(*small, plan=PLAN, strong=(GOOD, "800 mm")):
    """A small model that says these things, and a strong one that plans, then says those."""
    return (
        ScriptedModel("small", list(small), price=Price(1, 2)),
        ScriptedModel("strong", [plan, *strong], tier="capable", price=Price(10, 20)),
    )


@pytest.fixture
def ran():
    return []


@pytest.fixture
def rain(ran):
    @tool(read_only=True)
    def rain(city: str) -> int:
        """Millimetres of rain.

        Args:
            city: the city's name
        """
        ran.append(city)
        return 800

    return rain


async def run(given, rain, folder, **options):
    async with scripted_app(*given, policies=[BOTH], ledger=folder / "l.db", **options) as app:
        answer = await app.planner_executor([rain]).ainvoke({"task": "How much rain has Oslo?"})
        return answer, app.ledger.events(answer["run"])


@pytest.mark.parametrize("trigger", BAD)
async def test_a_call_that_stays_bad_never_runs_and_goes_up_once(trigger, rain, ran, tmp_path):
    small, strong = models(BAD[trigger], BAD[trigger])
    answer, found = await run((small, strong), rain, tmp_path)
    assert (answer["state"], answer["answer"]) == ("done", "800 mm")
    judged = [(one.model, one.trigger, one.action, one.to_model) for one in events(found, Judged) if one.trigger]
    assert judged == [("small", trigger, "repair", "small"), ("small", trigger, "escalate", "strong")]
    assert totals(found).escalations == 1
    assert (ran, len(events(found, ToolStarted))) == (["Oslo"], 1)
    assert {one.model for one in events(found, StepEnded)} == {"strong"}
    evidence = next(one.evidence for one in events(found, Judged) if one.trigger)
    assert all(line in small.requests[1]["messages"][-1]["content"] for line in evidence)


@pytest.mark.parametrize("trigger", BAD)
async def test_a_call_that_is_right_the_second_time_costs_no_stronger_model(trigger, rain, ran, tmp_path):
    small, strong = models(BAD[trigger], GOOD, "800 mm")
    answer, found = await run((small, strong), rain, tmp_path)
    assert answer["answer"] == "800 mm"
    assert totals(found).escalations == 0
    assert len(strong.requests) == 1  # the plan
    assert ran == ["Oslo"]


async def test_what_can_be_mended_without_loss_is_mended_and_said_so(rain, ran, tmp_path):
    answer, found = await run(models(CallTool.written("rain", "{'city': 'Oslo',}"), "800 mm"), rain, tmp_path)
    assert (answer["state"], ran) == ("done", ["Oslo"])
    assert any(one.mended for one in events(found, Judged))


async def test_the_same_call_again_and_again_is_stopped_and_goes_up(rain, ran, tmp_path):
    small, strong = models(GOOD, GOOD, GOOD, GOOD, GOOD, strong=["800 mm"])
    answer, found = await run((small, strong), rain, tmp_path)
    assert answer["answer"] == "800 mm"
    assert {one.trigger for one in events(found, Judged)} >= {"repeated_call", None}
    assert len(ran) == len(events(found, ToolStarted)) <= 2


async def test_an_outage_goes_sideways_where_a_bad_call_goes_up(rain, ran, tmp_path):
    other = ScriptedModel("other", [GOOD, "800 mm"], price=Price(1.5, 2))
    small, strong = models(Error(500), Error(500))
    answer, found = await run((small, other, strong), rain, tmp_path)
    assert answer["answer"] == "800 mm"
    assert [(one.trigger, one.action, one.to_model) for one in events(found, Judged) if one.trigger] == [
        ("server_error", "retry", "small"),
        ("server_error", "sibling", "other"),
    ]
    assert len(strong.requests) == 1


async def test_the_step_after_an_escalation_starts_at_its_own_tier_again(rain, tmp_path):
    steps = [
        {"id": "s1", "goal": "rain in Oslo", "needs": [], "tools": ["rain"], "difficulty": "easy"},
        {"id": "s2", "goal": "say it", "needs": ["s1"], "tools": [], "difficulty": "easy"},
    ]
    given = models("", "", "It is 800 mm.", plan=json.dumps({"steps": steps}))
    answer, found = await run(given, rain, tmp_path)
    assert answer["answer"] == "It is 800 mm."
    served = {row.step: row.event.model for row in found if isinstance(row.event, StepEnded)}
    assert served == {"plan": "strong", "s1": "strong", "s2": "small"}
