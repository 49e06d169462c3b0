"""`complete` is `stream` to whoever wants the end alone: the same attempts, waits, rows and errors."""

import asyncio

import pytest

from orchestra.errors import ConfigError, OrchestraError
from orchestra.ledger import AttemptStarted
from orchestra.transport import TransportFault
from orchestra.types import Capabilities, Trigger
from tests.dispatch.doubles import ROWS, SILENCE, Bench, Served, call_tool, card, error, frame, say

DOWN = TransportFault(Trigger.connection, "refused", sent="no")
SCRIPTS = {
    "at once": {"small": [say("ok")]},
    "after a retry": {"small": [error(500), say("ok")]},
    "sideways": {"small": [error(500), error(500)], "twin": [say("ok")]},
    "after a bad call": {"small": [call_tool("rows", "{}"), call_tool("rows", '{"sql": "SELECT 1"}')]},
    "after a cut": {"small": [Served([frame({"content": "half"})]), say("ok")]},
    "never": {name: [DOWN] * 3 for name in ("small", "twin", "strong", "giant")},
    "refused": {"small": [error(400)]},
}


async def ended(bench, run):
    try:
        accepted = await run(bench.call(tools=(ROWS,)))
        end = (accepted.reply, accepted.verdict, accepted.ladder, accepted.cost, accepted.degraded)
        attempts = accepted.attempts
    except OrchestraError as error:
        end, attempts = (type(error), str(error)), error.attempts
    return end, [(one.model, one.trigger, one.action, one.sent) for one in attempts], bench.clock.slept


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
async def test_complete_ends_as_stream_ends(script):
    one, other = (Bench({name: list(answers) for name, answers in script.items()}) for _ in range(2))
    assert await ended(one, one.dispatcher.complete) == await ended(other, other.run)
    assert [type(event) for _, event in one.rows] == [type(event) for _, event in other.rows]
    assert one.transport.closed == other.transport.closed


async def test_complete_passes_over_a_model_that_cannot_be_asked():
    bench = Bench({"twin": [say("ok")]}, broken={"small": ConfigError("set A_KEY")})
    accepted = await bench.dispatcher.complete(bench.call())
    assert [(one.model, one.trigger, one.sent) for one in accepted.attempts] == [
        ("small", Trigger.auth, "no"),
        ("twin", None, "yes"),
    ]
    assert bench.transport.models == ["twin"]


async def test_a_cancelled_complete_gives_everything_back_and_says_so():
    bench = Bench({"small": [Served([frame({"content": "half"}), SILENCE])]})
    task = asyncio.create_task(bench.dispatcher.complete(bench.call()))
    await asyncio.wait_for(bench.transport.waiting.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = bench.rows.ended
    assert (row.raw, row.cost.estimated, row.trigger) == ("half", True, None)
    assert bench.transport.closed == 1
    assert [lane.calls for lane in bench.dispatcher.traffic.lanes["small"]] == [0]


@pytest.mark.parametrize(("streaming", "whole"), [(True, None), (False, True)])
async def test_the_ledger_tells_which_reply_was_asked_for_in_one_piece(streaming: bool, whole: bool | None):
    cards = (card("small", capabilities=Capabilities(streaming=streaming)),)
    in_one = Served([b'{"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}'])
    bench = Bench({"small": [say("ok") if streaming else in_one]}, cards=cards)
    assert (await bench.dispatcher.complete(bench.call())).reply.text == "ok"
    assert [event.whole for _, event in bench.rows if isinstance(event, AttemptStarted)] == [whole]
