"""stream: events in their order, what is announced, what is final, and how it is left."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from orchestra import Exhausted, OrchestraError, StreamCut
from orchestra.errors import ConfigError
from orchestra.ledger import AttemptEnded, RunEnded
from orchestra.testing import CallTool, CutStream, Error, Say, ScriptedModel, scripted_app
from orchestra.types import AttemptChanged, End, TextDelta
from tests.app.doubles import LOW, app_of, events, rain, rows


async def read(stream, texts):
    async for event in stream:
        texts.append(event.text)  # what came before an error counts


async def heard(app, prompt="x", **options):
    return [event async for event in app.stream(prompt, **options)]


async def test_text_arrives_in_pieces_then_usage_then_the_reply():
    async with app_of([Say("abcdef", chunks=3)]) as app:
        found = await heard(app)
    assert [event.type for event in found] == ["text", "text", "text", "usage", "end"]
    assert [event.text for event in found[:3]] == ["ab", "cd", "ef"]
    assert found[-1].reply.text == "abcdef"
    assert found[-1].reply.usage == found[-2].usage


async def test_reasoning_is_told_apart_from_the_answer():
    async with app_of([Say("yes", reasoning="hm", chunks=1)]) as app:
        found = await heard(app)
    assert [event.type for event in found][:2] == ["reasoning", "text"]
    assert found[-1].reply.text == "yes"


async def test_a_call_comes_whole_and_judged():
    async with app_of([CallTool("rain", city="Oslo")]) as app:
        found = await heard(app, tools=[rain])
    assert [event.type for event in found] == ["tool_call", "usage", "end"]
    assert found[0].call.arguments == {"city": "Oslo"}


async def test_escalation_and_failover_are_announced_with_who_and_why():
    small, strong = [CallTool("rian", city="x"), CallTool("rain")], [Error(500), CallTool("rain", city="Oslo")]
    async with app_of(small, strong) as app:
        found = await heard(app, tools=[rain])
    changes = [event for event in found if isinstance(event, AttemptChanged)]
    assert [(one.action, one.from_model, one.to_model, one.trigger) for one in changes] == [
        ("repair", "small", "small", "unknown_tool"),
        ("escalate", "small", "strong", "schema_violation"),
        ("retry", "strong", "strong", "server_error"),
    ]
    assert all(one.reason and not one.degraded for one in changes)
    assert found[-1].reply.model == "strong"


async def test_a_move_to_a_lower_tier_is_announced_as_degraded_and_so_is_the_reply():
    strong = ScriptedModel("strong", [Error(401)], tier="capable")
    async with scripted_app(ScriptedModel("small", ["still here"]), strong) as app:
        found = await heard(app, mode="quality")
    (change,) = [event for event in found if isinstance(event, AttemptChanged)]
    assert (change.action, change.to_model, change.degraded) == ("sibling", "small", True)
    assert found[-1].reply.degraded


async def test_a_stream_cut_after_its_first_text_is_a_typed_error_with_what_had_arrived(tmp_path):
    async with app_of([CutStream(Say("abcdef", chunks=3), after=2)], ["never asked"], ledger=tmp_path / "l.db") as app:
        texts: list[str] = []
        with pytest.raises(StreamCut) as raised:
            await read(app.stream("x"), texts)
        (ended,) = events(rows(app), RunEnded)
    assert "".join(texts) == raised.value.partial_text == "abcd"
    assert [one.trigger for one in raised.value.attempts] == ["stream_cut"]
    assert isinstance(raised.value, OrchestraError)
    assert ended.state == "failed"


async def test_a_stream_cut_before_its_first_text_goes_on_with_another_attempt():
    async with app_of([CutStream("lost", after=0), "whole"]) as app:
        found = await heard(app)
    assert [event.type for event in found if event.type != "text"] == ["attempt", "usage", "end"]
    assert found[-1].reply.text == "whole"


async def test_the_same_fault_is_mended_without_anyone_noticing_in_complete():
    async with app_of([CutStream(Say("abcdef", chunks=3), after=2), "whole"]) as app:
        reply = await app.complete("x")
    assert (reply.text, len(reply.attempts)) == ("whole", 2)


async def test_a_structured_answer_is_not_handed_on_before_it_is_judged():
    async with app_of(['{"n": "x"}', '{"n": 1}']) as app:
        found = await heard(app, output={"type": "object", "properties": {"n": {"type": "integer"}}})
    texts = [event.text for event in found if isinstance(event, TextDelta)]
    assert "".join(texts) == '{"n": 1}'
    assert found[-1].reply.output == {"n": 1}


async def test_a_stream_that_ends_without_an_answer_raises_what_complete_raises():
    async with app_of([""] * 9, [""] * 9) as app:
        with pytest.raises(Exhausted) as raised:
            await heard(app)
    assert len(raised.value.attempts) == 4


async def test_nothing_is_asked_before_the_first_event_is_wanted():
    model = ScriptedModel("small", ["x"])
    async with scripted_app(model) as app:
        stream = app.stream("x")
        assert model.requests == []
        assert isinstance([event async for event in stream][-1], End)
        with pytest.raises(ConfigError, match="bugdet"):
            await heard(app, bugdet=1)


async def test_a_stream_that_is_left_closes_its_exchange_and_its_run_at_once(tmp_path):
    async with app_of([Say("abcdef", chunks=3)], ledger=tmp_path / "l.db", policies=[LOW]) as app:
        async with aclosing(app.stream("x")) as stream:
            assert (await anext(stream)).text == "ab"
        found = rows(app)
        assert [event.state for event in events(found, RunEnded)] == ["cancelled"]
        assert len(events(found, AttemptEnded)) == 1


async def test_a_stream_that_is_held_hands_text_on_once_it_was_judged_so_that_no_failure_cuts_it():
    app = app_of(["I'm sorry, but I can't assist with that."] * 2, ["Oslo is wet."])
    seen = [event async for event in app.stream("How wet is Oslo?", hold=True)]
    assert [event.text for event in seen if event.type == "text"] == ["Oslo is wet."]
    assert seen[-1].reply.model == "strong"
