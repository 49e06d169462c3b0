"""A stream commits once: before the first piece is handed on everything fails over, after it nothing does."""

import pytest

from orchestra.checks import Expect
from orchestra.dispatch import Accepted
from orchestra.errors import StreamCut
from orchestra.transport import TransportFault
from orchestra.types import Action, AttemptChanged, ReasoningDelta, TextDelta, Trigger
from tests.dispatch.doubles import DONE, ROWS, USAGE, Bench, Served, call_tool, error, frame, say, think

CUT = TransportFault(Trigger.stream_cut, "the reply broke off", sent="yes")


async def test_pieces_are_handed_on_as_they_arrive_and_make_up_the_reply():
    bench = Bench({"small": [say("für", "ty", "-two")]})
    accepted = await bench.run(commit=True)
    assert bench.texts == ["für", "ty", "-two"]
    assert "".join(bench.texts) == accepted.reply.text


async def test_without_commit_nothing_is_handed_on():
    bench = Bench({"small": [say("forty")]})
    await bench.run()
    assert [type(event) for event in bench.events] == [Accepted]


async def test_before_the_first_piece_a_fault_fails_over_and_is_announced():
    bench = Bench({"small": [error(429)], "twin": [say("ok")]})
    await bench.run(commit=True)
    assert [type(event) for event in bench.events] == [AttemptChanged, TextDelta, Accepted]
    change = bench.events[0]
    assert (change.action, change.from_model, change.to_model) == (Action.sibling, "small", "twin")
    assert change.trigger is Trigger.rate_limited
    assert change.reason


async def test_a_cut_after_the_first_piece_is_a_typed_error_with_the_partial_text():
    bench = Bench(
        {"small": [Served([frame({"content": "half of "}), frame({"content": "it"}), CUT])], "twin": [say("x")]}
    )
    with pytest.raises(StreamCut) as caught:
        await bench.run(commit=True)
    assert caught.value.partial_text == "half of it" == "".join(bench.texts)
    assert caught.value.trigger is Trigger.stream_cut
    assert [one.action for one in caught.value.attempts] == [Action.fail]
    assert bench.transport.models == ["small"]
    assert bench.rows.ended[0].raw == "half of it"
    assert "never continued by another reply" in bench.rows.judged[0].reason


async def test_a_cut_before_commit_is_never_a_truncated_success():
    bench = Bench({"small": [Served([frame({"content": "half"}), CUT]), say("whole")]})
    assert (await bench.run()).reply.text == "whole"
    assert bench.transport.models == ["small", "small"]


@pytest.mark.parametrize("end", [[], [b"data: {oops\n\n"], [frame(), DONE][:1]])
async def test_a_stream_without_its_end_is_no_success(end):
    bench = Bench({"small": [Served([frame({"content": "half"}), *end])]})
    with pytest.raises(StreamCut):
        await bench.run(commit=True)


async def test_a_cut_after_the_explicit_end_is_a_whole_reply():
    bench = Bench({"small": [Served([frame({"content": "whole"}), frame(finish="stop"), CUT])]})
    accepted = await bench.run(commit=True)
    assert accepted.reply.text == "whole"
    assert accepted.cost.estimated


async def test_a_refused_verdict_after_commit_is_a_cut_and_never_a_splice():
    bench = Bench({"small": [say("and so o", finish="length")], "strong": [say("ok")]})
    with pytest.raises(StreamCut) as caught:
        await bench.run(commit=True)
    assert caught.value.trigger is Trigger.truncated
    assert bench.transport.models == ["small"]


async def test_reasoning_that_was_handed_on_commits_too():
    bench = Bench({"small": [Served([think("hmm"), CUT])], "twin": [say("ok")]})
    with pytest.raises(StreamCut) as caught:
        await bench.run(commit=True)
    assert bench.events == [ReasoningDelta("hmm")]
    assert caught.value.partial_text == ""


async def test_text_before_a_good_call_is_handed_on():
    call = call_tool("rows", '{"sql": "x"}')
    bench = Bench({"small": [Served([frame({"content": "let me look"}), *call.pieces])]})
    accepted = await bench.run(commit=True, tools=(ROWS,))
    assert bench.texts == ["let me look"]
    assert accepted.reply.tool_calls


async def test_a_bad_call_without_text_before_it_still_fails_over():
    bench = Bench({"small": [call_tool("nope", "{}"), say("ok")]})
    await bench.run(commit=True, tools=(ROWS,))
    assert bench.moves == [(Action.repair, "small")]


@pytest.mark.parametrize("fence", [("",), ("\n ", ""), ("``", "`json", "\n"), ("```\n",)])
async def test_a_call_that_is_written_as_text_is_not_handed_on_and_still_fails_over(fence):
    written = ('{"name": "rows", ', '"arguments": {"sql": "x"}}', "\n```" if "`" in "".join(fence) else "")
    bench = Bench({"small": [say(*fence, *written), call_tool("rows", '{"sql": "x"}')]})
    await bench.run(commit=True, tools=(ROWS,))
    assert bench.moves == [(Action.repair, "small")]
    assert bench.texts == []


async def test_text_that_only_begins_like_a_written_call_comes_whole_once_it_is_accepted():
    bench = Bench({"small": [say("{", "n", "} is a set")]})
    await bench.run(commit=True, tools=(ROWS,))
    assert bench.texts == ["{n} is a set"]


@pytest.mark.parametrize(
    "pieces", [("``", "`py\n", "print(3)\n```", "!"), ("\n", "it is", " {3}"), ("`rows`", " has it")]
)
async def test_text_that_can_be_no_call_is_handed_on_from_its_beginning(pieces):
    bench = Bench({"small": [say(*pieces)]})
    await bench.run(commit=True, tools=(ROWS,))
    assert "".join(bench.texts) == "".join(pieces)
    assert len(bench.texts) > 1


async def test_where_a_call_is_required_no_text_is_handed_on_before_there_is_one():
    bench = Bench({"small": [say("I would", " rather not"), call_tool("rows", '{"sql": "x"}')]})
    await bench.run(commit=True, tools=(ROWS,), expect=Expect(tools=(ROWS,), require_call=True))
    assert bench.moves == [(Action.repair, "small")]
    assert bench.texts == []


async def test_a_structured_answer_is_handed_on_only_once_it_is_accepted():
    schema = {"type": "object", "required": ["n"]}
    bench = Bench({"small": [say("{}"), say('{"n"', ": 4}")]})
    await bench.run(commit=True, output_schema=schema)
    assert [type(event) for event in bench.events] == [AttemptChanged, TextDelta, Accepted]
    assert bench.texts == ['{"n": 4}']


async def test_a_whole_reply_of_a_model_that_cannot_stream_is_handed_on_at_once():
    whole = b'{"choices": [{"message": {"content": "all at once"}, "finish_reason": "stop"}]}'
    bench = Bench({"small": [Served([whole], headers={"content-type": "application/json"})]})
    await bench.run(commit=True)
    assert bench.texts == ["all at once"]


async def test_an_error_inside_the_stream_counts_like_a_cut():
    inside = b'data: {"error": {"message": "overloaded", "type": "server_error", "code": 503}}\n\n'
    bench = Bench({"small": [Served([frame({"content": "half"}), inside])]})
    with pytest.raises(StreamCut) as caught:
        await bench.run(commit=True)
    assert caught.value.partial_text == "half"
    assert bench.transport.opened == bench.transport.closed == 1


async def test_usage_after_the_text_is_part_of_the_accepted_reply():
    bench = Bench({"small": [Served([frame({"content": "ok"}), frame(finish="stop"), USAGE, DONE])]})
    accepted = await bench.run(commit=True)
    assert accepted.reply.usage.input == 100
    assert not accepted.cost.estimated


async def test_text_in_the_same_chunk_as_the_fault_is_not_lost():
    both = frame({"content": " and this"}) + b"data: {oops\n\n"
    bench = Bench({"small": [Served([frame({"content": "this"}), both])]})
    with pytest.raises(StreamCut) as caught:
        await bench.run(commit=True)
    assert caught.value.partial_text == "".join(bench.texts) == "this and this"


async def test_text_in_the_same_chunk_as_the_fault_follows_reasoning_that_was_handed_on():
    both = frame({"content": "so"}) + b"data: {oops\n\n"
    bench = Bench({"small": [Served([think("hmm"), both])]})
    with pytest.raises(StreamCut) as caught:
        await bench.run(commit=True)
    assert bench.events == [ReasoningDelta("hmm"), TextDelta("so")]
    assert caught.value.partial_text == "so"


async def test_text_that_comes_together_with_the_fault_and_after_nothing_lets_another_model_answer():
    bench = Bench({"small": [Served([frame({"content": "half"}) + b"data: {oops\n\n"])], "twin": [say("whole")]})
    await bench.run(commit=True)
    assert bench.texts == ["whole"]
