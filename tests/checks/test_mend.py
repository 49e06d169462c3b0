import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.checks import mend
from orchestra.checks.strict import DEPTH, NotJson, read_json, value_fault

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), VALUES, min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("text", "value", "note"),
    [
        ('```json\n{"a": 1}\n```', {"a": 1}, "took the JSON out of its code fence"),
        ('```\n{"a": 1}```', {"a": 1}, "took the JSON out of its code fence"),
        ('Here it is:\n```json\n{"a": 1}\n```\nDone.', {"a": 1}, "took the JSON out of its code fence"),
        ('```json\n{"a": 1}', {"a": 1}, "took the JSON out of its code fence"),
        ('{"a": [1, 2,],}', {"a": [1, 2]}, "removed a trailing comma"),
        ("{'a': 'say \"hi\"'}", {"a": 'say "hi"'}, "replaced the quotes by double quotes"),
        ("{“a”: “ü”}", {"a": "ü"}, "replaced the quotes by double quotes"),
        ('{"q": "select\n\t1"}', {"q": "select\n\t1"}, "escaped line breaks and control characters in strings"),
        ('{"q": "it\\\'s"}', {"q": "it's"}, "replaced a backslash and apostrophe by the apostrophe"),
        ('{"a": True, "b": None, "c": False}', {"a": True, "b": None, "c": False}, "wrote Python's constants as JSON"),
        ('{"a": {"b": 1}', {"a": {"b": 1}}, "added the missing } at the end"),
        ("[1, 2", [1, 2], "added the missing ] at the end"),
        ('{"a": 1}}', {"a": 1}, "removed a surplus }"),
    ],
)
def test_sloppy_json_that_can_mean_one_thing_only_is_mended_and_says_how(text, value, note):
    assert mend(text) == (value, (note,))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain words",
        "}",
        '{"a": 1,',
        '{"a":',
        '{"a": [1, 2',
        '{"a": "cut',
        "{",
        "[",
        "[,]",
        "[1,,]",
        '{"a": [1}',
        "{'a': 'don't'}",
        '{"a" "b"}',
        '{"a": 1}{"b": 2}',
        '{"a": 1, "a": 2}',
        "{'a': 1, 'a': 2}",
        '{"a": tru e}',
        '{"a": NaN,}',
        '{"a": 1e999}',
        '{"a": "\\d"}',
        '```json\n{"a": 1}\n```\nor\n```json\n{"a": 2}\n```',
    ],
)
def test_what_could_mean_two_things_is_not_mended(text):
    assert mend(text) is None


@settings(deadline=None)
@given(VALUES)
def test_valid_json_is_never_touched(value):
    assert mend(json.dumps(value)) == (value, ())


@settings(deadline=None)
@given(VALUES)
def test_a_python_literal_is_mended_to_exactly_its_value_or_not_at_all(value):
    found = mend(repr(value))
    assert found is None or found[0] == value


@settings(deadline=None)
@given(OBJECTS, st.data())
def test_a_prefix_is_mended_only_where_nothing_but_the_last_bracket_is_missing(value, data):
    whole = json.dumps(value)
    cut = data.draw(st.integers(0, len(whole) - 1))
    found = mend(whole[:cut])
    if found is not None:
        assert found[1][0].startswith("added the missing }")
        assert list(found[0]) == list(value)[: len(found[0])]


@settings(deadline=None)
@given(st.text(alphabet="{}[],:'\"“”\\ntrue1`\n ", max_size=60))
def test_any_text_is_mended_or_left_without_an_exception_and_its_value_survives_json(text):
    found = mend(text)
    if found is not None:
        assert read_json(json.dumps(found[0])) == found[0]


@pytest.mark.parametrize("text", ["'" * 200_000, "[" * 200_000, "```" * 100_000, '{"a": "' + "x\n" * 100_000])
def test_hostile_lengths_end_in_a_plain_no(text):
    assert mend(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1 "b": 2}', 'Expecting \',\' delimiter at character 9, near {"a": 1 "b": 2}'),
        ("", "Expecting value at character 1"),
        ('{"a": 1, "a": 1}', '"a" is given more than once'),
        ("[NaN]", "NaN is not a JSON number"),
        ("-Infinity", "-Infinity is not a JSON number"),
        ("1e999", "inf is not a JSON number"),
        ("9" * 5000, "a number has too many digits"),
        ("\ufeff{}", "a byte order mark stands before it"),
        ('"\\ud800"', "\\ud800 is half a character"),
        ("[" * 100_000 + "]" * 100_000, f"nested deeper than {DEPTH} levels"),
        ("[" * 66 + "]" * 66, f"nested deeper than {DEPTH} levels"),
    ],
)
def test_strict_reading_says_why_a_text_is_not_json(text, why):
    with pytest.raises(NotJson) as refused:
        read_json(text)
    assert str(refused.value) == why


def test_decoded_values_are_held_to_the_same_strictness_keys_included():
    assert value_fault({"a": [1, 2.5, None, True, "ü"]}) is None
    assert value_fault({"a": ({"b": float("nan")},)}) == "nan is not a JSON number"
    assert value_fault({"\udfff": 1}) == "\\udfff is half a character"


def test_which_of_many_keys_is_given_twice_is_found_in_one_pass():
    text = "{" + "".join(f'"k{at}": 1, ' for at in range(100_000)) + '"k99999": 1}'
    with pytest.raises(NotJson, match='"k99999" is given more than once'):
        read_json(text)
