import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.checks import Expect, judge, mend_calls
from orchestra.types import Finish, ModelReply, Text, ToolCall, ToolSpec, Trigger, Verdict

ROWS = ToolSpec(
    "rows",
    "Run one SELECT.",
    {
        "type": "object",
        "properties": {"sql": {"type": "string"}, "limit": {"type": "integer"}},
        "required": ["sql"],
        "additionalProperties": False,
    },
)
NOW = ToolSpec("now", "The time.", {"type": "object", "properties": {}})
EXPECT = Expect(tools=(ROWS, NOW))


def reply(*calls: ToolCall, finish: Finish = "tool_calls") -> ModelReply:
    return ModelReply(calls, finish)


def call(name="rows", arguments=None, raw="", id="c1") -> ToolCall:
    return ToolCall(id, name, arguments, raw)


def verdict(*calls: ToolCall, expect: Expect = EXPECT, finish: Finish = "tool_calls") -> Verdict:
    return judge(mend_calls(reply(*calls, finish=finish), expect), expect)


def test_a_call_that_fits_its_tool_is_accepted():
    assert verdict(call(arguments={"sql": "SELECT 1"}, raw='{"sql": "SELECT 1"}')) == Verdict()


def test_an_unknown_tool_is_told_with_the_nearest_spelling_and_all_known_tools():
    assert verdict(call("Row", {})) == Verdict(
        Trigger.unknown_tool, ("Row: no tool has this name; nearest: rows; known: rows, now",)
    )
    assert verdict(call("zzz", {}), expect=Expect()).evidence == ("zzz: no tool has this name; known: none",)


def test_a_hundred_known_tools_are_not_all_listed():
    tools = tuple(ToolSpec(f"tool_{n}", "", {}) for n in range(100))
    (line,) = verdict(call("tool_x" * 50_000, {}), expect=Expect(tools=tools)).evidence
    assert "tool_19, … (80 more)" in line
    assert len(line) < 500


@pytest.mark.parametrize(
    ("arguments", "raw", "lines"),
    [
        (None, "[1, 2]", ("rows: expected a JSON object, got array [1, 2]",)),
        (None, "7", ("rows: expected a JSON object, got integer 7",)),
        (None, '"words"', ('rows: expected a JSON object, got string "words"',)),
        (None, '{"sql": "a', ("rows: the arguments are not JSON: Unterminated string",)),
        (None, "", ("rows: no arguments were given", "rows: sql: required, but not given")),
        (None, '{"sql": "a", "sql": "b"}', ('rows: the arguments are not JSON: "sql" is given more than once',)),
        ({"sql": "b"}, '{"sql": "a", "sql": "b"}', ('rows: "sql" is given more than once',)),
        ({"sql": "a", "limit": float("nan")}, "", ("rows: nan is not a JSON number",)),
    ],
)
def test_arguments_that_are_no_sound_json_object_are_malformed_and_the_text_says_where(arguments, raw, lines):
    found = verdict(call(arguments=arguments, raw=raw))
    assert found.trigger is Trigger.malformed_args
    assert len(found.evidence) == len(lines)
    assert all(line.startswith(start) for line, start in zip(found.evidence, lines, strict=True))


def test_deeply_nested_arguments_are_malformed_whether_as_text_or_decoded():
    deep: object = 1
    for _ in range(70):
        deep = [deep]
    for made in (call(arguments={"sql": deep}), call(raw='{"sql": ' + "[" * 70 + "]" * 70 + "}")):
        found = verdict(made)
        assert found.trigger is Trigger.malformed_args
        assert "nested deeper than 64 levels" in found.evidence[0]


def test_a_schema_violation_lists_every_wrong_argument():
    found = verdict(call(arguments={"sq1": "x", "limit": "ten"}))
    assert found == Verdict(
        Trigger.schema_violation,
        (
            'rows: limit: expected integer, got "ten" (string)',
            "rows: sql: required, but not given",
            "rows: sq1: no such property; nearest: sql; known: sql, limit",
        ),
    )


def test_all_calls_of_a_reply_are_judged_and_the_most_specific_trigger_is_named():
    found = verdict(
        call(arguments={"sql": 3}, id="c1"),
        call("now", {}, id="c2"),
        call(raw="{'oops", id="c3"),
        call("row", {}, id="c4"),
    )
    assert found.trigger is Trigger.unknown_tool
    assert [line.split(":")[0] for line in found.evidence] == ["call 1 (rows)", "call 3 (rows)", "call 4 (row)"]


def test_a_call_may_be_made_as_often_as_expected_and_then_counts_as_repeated():
    made = call(arguments={"sql": "SELECT 1", "limit": 3})
    same = call(arguments={"limit": 3, "sql": "SELECT 1"}, id="c9")
    assert verdict(same, expect=Expect(tools=(ROWS,), earlier_calls=(made,))).accepted
    found = verdict(same, expect=Expect(tools=(ROWS,), earlier_calls=(made, made)))
    assert found.trigger is Trigger.repeated_call
    assert found.evidence[0].startswith("rows: this call was made 2 times already")
    assert (
        verdict(same, expect=Expect(tools=(ROWS,), earlier_calls=(made,), repeats=0)).trigger is Trigger.repeated_call
    )
    other = call(arguments={"sql": "SELECT 2"})
    assert verdict(other, expect=Expect(tools=(ROWS,), earlier_calls=(made, made))).accepted


@pytest.mark.parametrize(
    ("failed", "told"), [({"c1", "c2"}, True), ({"c1"}, False), ({"c2", "c3"}, False), ((), False)]
)
def test_a_repeated_call_is_said_to_have_failed_where_each_of_those_before_it_did(failed, told):
    made = [call(arguments={"sql": "SELECT 1"}, id=f"c{n}") for n in (1, 2, 3)]
    found = verdict(made[2], expect=Expect(tools=(ROWS,), earlier_calls=tuple(made[:2]), failed_calls=failed))
    text = 'rows: this call was made 2 times already with the arguments {"sql": "SELECT 1"}'
    assert found.evidence == (f"{text} and failed each time" if told else text,)


def test_the_same_call_several_times_in_one_reply_counts_too():
    calls = [call(arguments={"sql": "SELECT 1"}, id=f"c{n}") for n in range(3)]
    assert verdict(*calls[:2]).accepted
    assert verdict(*calls).trigger is Trigger.repeated_call


def test_earlier_calls_without_readable_arguments_are_compared_by_their_text():
    unread = call(raw="{'")
    assert verdict(call(arguments={"sql": "x"}), expect=Expect(tools=(ROWS,), earlier_calls=(unread, unread))).accepted


@pytest.mark.parametrize("raw", ["", "  ", "null", "None"])
def test_no_arguments_become_an_empty_object_only_if_that_fits_the_tool(raw):
    mended = mend_calls(reply(call("now", None, raw)), EXPECT)
    assert mended.tool_calls[0].arguments == {}
    assert mended.mended == ("now: wrote {} for no arguments",)
    assert judge(mended, EXPECT) == Verdict(mended=mended.mended)
    assert mend_calls(reply(call("rows", None, raw)), EXPECT).tool_calls[0].arguments is None
    assert mend_calls(reply(call("unknown", None, raw)), EXPECT).tool_calls[0].arguments is None


def test_sloppy_arguments_are_mended_with_a_note_and_keep_their_raw_text():
    raw = "{'sql': 'SELECT 1',}"
    mended = mend_calls(ModelReply((Text("x"), call(raw=raw)), "stop", mended=("before",)), EXPECT)
    assert mended.tool_calls[0].arguments == {"sql": "SELECT 1"}
    assert mended.tool_calls[0].raw == raw
    assert mended.mended == (
        "before",
        "rows: replaced the quotes by double quotes",
        "rows: removed a trailing comma",
    )
    assert judge(mended, EXPECT).accepted


def test_arguments_encoded_twice_are_unwrapped_once():
    found = mend_calls(reply(call(raw=json.dumps(json.dumps({"sql": "ü"})))), EXPECT)
    assert found.tool_calls[0].arguments == {"sql": "ü"}
    assert found.mended == ("rows: unwrapped the JSON from a JSON string",)
    assert mend_calls(reply(call(raw='"words"')), EXPECT).tool_calls[0].arguments is None


@pytest.mark.parametrize("finish", ["length", "other", "content_filter", "refusal"])
def test_a_reply_that_did_not_end_by_itself_is_never_mended(finish):
    before = reply(call(raw='{"sql": "SELECT 1"'), call("now", None, ""), finish=finish)
    assert mend_calls(before, EXPECT) is before
    assert not judge(before, EXPECT).accepted


ARGUMENTS = st.dictionaries(
    st.sampled_from(["sql", "limit", "x"]), st.text(max_size=5) | st.integers() | st.lists(st.integers(), max_size=3)
)


@settings(deadline=None)
@given(ARGUMENTS, st.data())
def test_a_prefix_of_valid_arguments_cut_at_the_limit_is_never_accepted(arguments, data):
    whole = json.dumps(arguments)
    raw = whole[: data.draw(st.integers(0, len(whole)))]
    expect = Expect(tools=(ToolSpec("rows", "", {}),))
    cut = mend_calls(reply(call(raw=raw), finish="length"), expect)
    assert cut.tool_calls[0].arguments is None
    assert judge(cut, expect).trigger is Trigger.truncated


@settings(deadline=None)
@given(st.text(max_size=40) | ARGUMENTS.map(json.dumps) | ARGUMENTS.map(repr), st.sampled_from(["rows", "now", "x"]))
def test_mending_twice_is_mending_once_and_every_reply_gets_a_verdict(raw, name):
    once = mend_calls(reply(call(name, None, raw)), EXPECT)
    assert mend_calls(once, EXPECT) == once
    found = judge(once, EXPECT)
    assert found.accepted is (found.evidence == ())


def test_mended_arguments_that_speak_of_something_given_more_than_once_are_no_double_keys():
    assert verdict(call(raw='{"sql": "is given more than once",}')).accepted


def test_a_call_that_fits_its_schema_is_refused_for_what_the_schema_cannot_say():
    expect = Expect(tools=(ROWS, NOW), check_call=lambda call: ["sql: no SELECT"] if call.name == "rows" else ())
    refused = Verdict(Trigger.schema_violation, ("rows: sql: no SELECT",))
    assert verdict(call(arguments={"sql": "DROP x"}), expect=expect) == refused
    assert verdict(call(arguments={"sql": 1}), expect=expect).evidence == verdict(call(arguments={"sql": 1})).evidence
    assert verdict(call("now", {}), expect=expect) == Verdict()
