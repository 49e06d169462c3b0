"""Turns whose tools run elsewhere: what failed there takes the next call up the ladder, and the one after it down."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestra import RecoveryPolicy, Trigger
from orchestra.errors import ConfigError, HumanNeeded
from orchestra.ledger import Judged, Ledger
from orchestra.types import Verdict
from tests.app.doubles import app_of, events, rows

BROKE = Verdict(Trigger.tool_error, ("the database is locked",))


@pytest.mark.parametrize(
    ("failed", "served"), [(0, "small"), (1, "small"), (2, "strong"), (3, "strong"), (7, "strong")]
)
async def test_each_failure_takes_the_call_as_far_as_it_would_take_a_step_of_ours(failed, served):
    app = app_of(["from small"] * 3, ["from strong"] * 3)
    reply = await app.complete("hi", failures=[BROKE] * failed)
    assert (reply.model, reply.text) == (served, f"from {served}")


async def test_the_next_call_without_a_failure_starts_at_the_steps_own_tier():
    app = app_of(["from small"], ["from strong"])
    assert (await app.complete("hi", failures=[BROKE, BROKE])).model == "strong"
    assert (await app.complete("hi")).model == "small"


async def test_the_ledger_says_why_the_call_began_above_its_tier(tmp_path: Path):
    app = app_of([], ["done"], ledger=Ledger(tmp_path / "l.db"))
    async with app:
        await app.complete("hi", failures=[BROKE, BROKE])
        judged = events(rows(app), Judged)
    assert [(one.trigger, one.action, one.to_model) for one in judged[:2]] == [
        ("tool_error", "repair", "small"),
        ("tool_error", "escalate", "strong"),
    ]


async def test_a_call_that_fails_itself_goes_on_from_where_the_failures_led():
    app = app_of([""], ["done"])
    reply = await app.complete("hi", failures=[BROKE])  # its one repair is used up
    assert (reply.model, [attempt.action for attempt in reply.attempts]) == ("strong", ["escalate", None])


async def test_where_recovery_asks_a_person_the_call_says_so_and_no_model_is_asked():
    app = app_of([], recovery=RecoveryPolicy(overrides={"tool_error": "ask_human"}))
    with pytest.raises(HumanNeeded, match="the database is locked"):
        await app.complete("hi", failures=[BROKE])


@pytest.mark.parametrize("wrong", [Verdict(), "tool_error"])
async def test_a_failure_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match="failures: expected Verdicts with a trigger"):
        await app_of(["hi"]).complete("hi", failures=[wrong])
