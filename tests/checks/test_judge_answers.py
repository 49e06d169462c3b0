import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.checks import Expect, judge, parse_output
from orchestra.types import Finish, Image, ModelReply, Reasoning, Text, ToolCall, ToolSpec, Trigger, Usage, Verdict

TOOL = ToolSpec("rows", "", {"type": "object"})
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}


def say(text: str, finish: Finish = "stop", **more) -> ModelReply:
    return ModelReply((Text(text),), finish, **more)


def test_plain_text_is_accepted_with_or_without_tools_because_abstaining_may_be_right():
    assert judge(say("42"), Expect()) == Verdict()
    assert judge(say("No tool is needed: 42."), Expect(tools=(TOOL,))) == Verdict()


def test_no_call_is_a_fault_only_where_a_call_was_required_or_announced():
    missing = judge(say("I would query it."), Expect(tools=(TOOL,), require_call=True))
    assert missing == Verdict(Trigger.no_call, ("a tool call was required and none was made; known: rows",))
    assert judge(say("Calling.", "tool_calls"), Expect(tools=(TOOL,))).trigger is Trigger.no_call


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "rows", "arguments": {"sql": "x"}}',
        '```json\n{"tool": "rows", "parameters": {}}\n```',
        "{'name': 'rows', 'arguments': {}}",
    ],
)
def test_a_call_written_as_text_was_not_made(text):
    found = judge(say(text), Expect(tools=(TOOL,)))
    assert found == Verdict(Trigger.no_call, ("the call of rows was written as text, so it was not made",))


@pytest.mark.parametrize(
    "text", ['{"name": "other", "arguments": {}}', '{"name": "rows"}', "[1, {}", "{}", '{"name": 1, "arguments": {}}']
)
def test_other_json_in_an_answer_is_no_call(text):
    assert judge(say(text), Expect(tools=(TOOL,))).accepted


def test_a_structured_answer_may_look_like_a_call():
    schema = {"type": "object", "required": ["name", "arguments"]}
    text = '{"name": "rows", "arguments": {}}'
    assert judge(say(text), Expect(tools=(TOOL,), output_schema=schema)).accepted


@pytest.mark.parametrize("text", ["", " \n\t", "\u2003"])
def test_an_empty_reply_is_empty_unless_that_is_allowed(text):
    assert judge(say(text), Expect()) == Verdict(Trigger.empty, ("the reply holds nothing",))
    assert judge(say(text), Expect(allow_empty=True)).accepted
    assert judge(ModelReply((), "stop"), Expect()).trigger is Trigger.empty


def test_reasoning_alone_is_empty_but_an_image_is_an_answer():
    assert judge(ModelReply((Reasoning("hm"),), "stop"), Expect()).evidence == (
        "the reply holds only reasoning, no answer",
    )
    assert judge(ModelReply((Image("image/png", data=""),), "stop"), Expect()).accepted


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, I cannot assist with that request.",
        "Sorry, but I can't do that.",
        "As an AI language model, I am not able to comply.",
        "Unfortunately, I'm unable to fulfill this request.",
        "I won't help with this.",
    ],
)
def test_a_short_reply_that_declines_the_task_is_a_refusal(text):
    found = judge(say(text), Expect(require_call=True))
    assert found.trigger is Trigger.refusal
    assert text in found.evidence[0]


@pytest.mark.parametrize(
    "text",
    [
        "I cannot find any penguin heavier than 7 kg.",
        "I'm sorry, the table holds no such column; it has year and mass.",
        "Unfortunately, sales fell by 3 %.",
        "The clerk said: I can't help with that.",
        "I can't help with that. " + "But here is a long and useful answer. " * 20,
    ],
)
def test_an_answer_with_regrets_is_no_refusal(text):
    assert judge(say(text), Expect()).accepted


def test_a_refusal_reported_by_the_provider_counts_whatever_the_words():
    assert judge(say("Nope.", "refusal"), Expect()) == Verdict(Trigger.refusal, ("the model refused: Nope.",))
    assert judge(ModelReply((), "refusal"), Expect()).evidence == ("the model refused: no words given",)


def test_a_stop_by_the_content_filter_is_the_requests_fault():
    assert judge(say("Once upon", "content_filter"), Expect()).trigger is Trigger.content_filter


def test_a_cut_reply_is_truncated_whatever_it_holds():
    assert judge(say("1", "length", usage=Usage(10, 5)), Expect(output_schema={"type": "integer"})) == Verdict(
        Trigger.truncated, ("the reply was cut at the output limit after 5 tokens",)
    )
    assert judge(say("1", "length"), Expect()).evidence == ("the reply was cut at the output limit",)


def test_a_reply_cut_because_the_window_was_full_is_a_context_overflow():
    cut = say("1", "length", usage=Usage(90, 10))
    assert judge(cut, Expect(window=100)) == Verdict(
        Trigger.context_overflow, ("100 tokens filled the window of 100 tokens",)
    )
    assert judge(cut, Expect(window=101)).trigger is Trigger.truncated


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("The answer is 3.", "the answer is not JSON: Expecting value at character 1, near The answer is 3."),
        ('{"answer": "3"}', 'answer: expected integer, got "3" (string)'),
        ("{}", "answer: required, but not given"),
        ('{"answer": 3, "answer": 4}', 'the answer is not JSON: "answer" is given more than once'),
    ],
)
def test_an_answer_that_misses_its_schema_is_bad_output_with_every_fault(text, line):
    assert judge(say(text), Expect(output_schema=SCHEMA)) == Verdict(Trigger.bad_output, (line,))


def test_a_structured_answer_is_mended_visibly_and_parsed_to_the_same_value():
    text = "```json\n{'answer': 3}\n```"
    assert judge(say(text), Expect(output_schema=SCHEMA)).mended == (
        "took the JSON out of its code fence",
        "replaced the quotes by double quotes",
    )
    assert parse_output(text, SCHEMA)[0] == {"answer": 3}
    assert parse_output('{"answer": 3}', SCHEMA) == ({"answer": 3}, ())
    assert parse_output("three", SCHEMA) == (None, ())


def test_a_structured_answer_with_an_unknown_end_is_read_but_not_mended():
    assert judge(say('{"answer": 3}', "other"), Expect(output_schema=SCHEMA)) == Verdict()
    assert judge(say('{"answer": 3', "other"), Expect(output_schema=SCHEMA)).trigger is Trigger.bad_output


def test_a_check_beyond_the_schema_is_asked_only_about_answers_that_fit_it():
    asked: list[object] = []

    def even(value):
        asked.append(value)
        return () if value["answer"] % 2 == 0 else (f"answer: {value['answer']} is odd",)

    expect = Expect(output_schema=SCHEMA, check=even)
    assert judge(say("{}"), expect).trigger is Trigger.bad_output
    assert judge(say('{"answer": 4}'), expect).accepted
    assert judge(say('{"answer": 3}'), expect) == Verdict(Trigger.bad_output, ("answer: 3 is odd",))
    assert asked == [{"answer": 4}, {"answer": 3}]


def test_calls_are_not_held_against_the_schema_of_the_answer():
    calls = ModelReply((ToolCall("1", "rows", {}),), "tool_calls")
    assert judge(calls, Expect(tools=(TOOL,), output_schema=SCHEMA)).accepted


def test_low_confidence_is_judged_of_calls_and_structured_answers_where_a_bound_and_a_probability_exist():
    unsure = say('{"n": 42}', logprob=-1.07)
    form = {"type": "object"}
    assert judge(unsure, Expect(output_schema=form, min_logprob=-0.5)) == Verdict(
        Trigger.low_confidence, ("mean token log-probability -1.07 is below -0.50",)
    )
    assert judge(unsure, Expect(output_schema=form, min_logprob=-1.07)).accepted
    assert judge(unsure, Expect(output_schema=form)).accepted
    assert judge(say('{"n": 42}'), Expect(output_schema=form, min_logprob=-0.5)).accepted
    call = ModelReply((ToolCall("1", "rows", {}),), "tool_calls", logprob=-2.0)
    assert judge(call, Expect(tools=(TOOL,), min_logprob=-1.0)).trigger is Trigger.low_confidence


def test_prose_has_many_right_next_words_and_is_not_judged_by_their_probability():
    assert judge(say("It rained.", logprob=-3.0), Expect(min_logprob=-1.0)).accepted


def test_the_most_specific_check_speaks_first():
    worst = ModelReply((Text("I can't help with that."), ToolCall("1", "gone", None)), "length", logprob=-9.0)
    expect = Expect(tools=(TOOL,), output_schema=SCHEMA, require_call=True, min_logprob=-1.0)
    assert judge(worst, expect).trigger is Trigger.truncated
    assert judge(ModelReply(worst.parts, "tool_calls", logprob=-9.0), expect).trigger is Trigger.unknown_tool
    assert judge(say("I can't help with that.", logprob=-9.0), expect).trigger is Trigger.refusal
    assert judge(say("three", logprob=-9.0), expect).trigger is Trigger.no_call


@settings(deadline=None)
@given(st.integers() | st.lists(st.integers()) | st.dictionaries(st.text(), st.integers()), st.data())
def test_a_prefix_of_a_valid_answer_cut_at_the_limit_is_never_accepted(value, data):
    whole = json.dumps(value)
    prefix = whole[: data.draw(st.integers(0, len(whole)))]
    assert not judge(say(prefix, "length"), Expect(output_schema={})).accepted
