import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from orchestra.checks import schema, violations

ROWS = {
    "type": "object",
    "properties": {
        "sql": {"type": "string", "minLength": 3, "pattern": "^SELECT"},
        "limit": {"type": ["integer", "null"], "minimum": 1, "maximum": 100},
        "mode": {"enum": ["fast", "slow"]},
        "filters": {
            "type": "array",
            "maxItems": 2,
            "uniqueItems": True,
            "items": {"type": "object", "required": ["op"]},
        },
        "at": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]},
    },
    "required": ["sql"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ({"sql": "SELECT 1", "limit": None, "mode": "fast"}, ()),
        ({}, ("sql: required, but not given",)),
        (
            {"sq1": "SELECT 1"},
            (
                "sql: required, but not given",
                "sq1: no such property; nearest: sql; known: sql, limit, mode, filters, at",
            ),
        ),
        ({"sql": 3}, ("sql: expected string, got 3 (integer)",)),
        ({"sql": "DROP é"}, ('sql: expected text that matches the pattern ^SELECT, got "DROP é"',)),
        (
            {"sql": "SELECT 1", "limit": "ten"},
            ('limit: expected integer or null, got "ten" (string)',),
        ),
        ({"sql": "SELECT 1", "limit": 0}, ("limit: expected at least 1, got 0",)),
        ({"sql": "SELECT 1", "mode": "fsat"}, ('mode: expected one of "fast", "slow", got "fsat"; nearest: fast',)),
        ({"sql": "SELECT 1", "mode": "x"}, ('mode: expected one of "fast", "slow", got "x"',)),
        ({"sql": "SELECT 1", "mode": 1}, ('mode: expected one of "fast", "slow", got 1',)),
        ({"sql": "SELECT 1", "filters": [{"op": 1}, {}]}, ("filters[1].op: required, but not given",)),
        (
            {"sql": "SELECT 1", "filters": [{"op": 1}, {"op": 1}]},
            ('filters: expected no item twice, got [{"op": 1}, {"op": 1}]',),
        ),
        ({"sql": "SELECT 1", "at": 3}, ("at: expected string or array, got 3 (integer)",)),
        ({"sql": "SELECT 1", "at": [1, "b"]}, ('at[1]: expected integer, got "b" (string)',)),
        ([1], ("the value: expected object, got [1] (array)",)),
    ],
)
def test_each_violation_names_the_place_the_expectation_and_the_value(arguments, lines):
    assert violations(ROWS, arguments) == lines


@pytest.mark.parametrize(
    ("schema", "value", "line"),
    [
        ({"const": "a"}, "b", 'the value: expected "a", got "b"'),
        (
            {"oneOf": [{}, {"type": "integer"}]},
            1,
            "the value: fits more than one of the alternatives, expected exactly one",
        ),
        ({"not": {"type": "null"}}, None, "the value: None should not be valid under {'type': 'null'}"),
        (False, 1, "the value: False schema does not allow 1"),
        ({"multipleOf": 5}, 3, "the value: expected a multiple of 5, got 3"),
        (
            {"patternProperties": {"^x": {}}, "additionalProperties": False},
            {"x1": 1, "y": 2},
            "y: no such property; known: none",
        ),
    ],
)
def test_every_keyword_gets_words(schema, value, line):
    assert violations(schema, value) == (line,)


def test_of_several_alternatives_the_closest_one_is_explained():
    far = {"type": "object", "required": ["a", "b", "c"]}
    near = {"type": "object", "required": ["x"]}
    for alternatives in ([far, near], [near, far]):
        assert violations({"anyOf": alternatives}, {}) == ("x: required, but not given",)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "strin"}, "the schema itself is not valid: type: 'strin'"),
        ({"required": True}, "the schema itself is not valid: required"),
        ({"properties": {"a": {"minimum": "1"}}}, "the schema itself is not valid: properties.a.minimum"),
        ({"$schema": ["x"]}, "the schema itself is not valid: $schema"),
        ({"type": {1}}, "the schema itself cannot be used"),
        ({"$ref": "#/$defs/gone"}, "the schema itself cannot be used: PointerToNowhere"),
        ({"$ref": "http://127.0.0.1:9/schema.json"}, "the schema itself cannot be used: Unresolvable"),
        ({"patternProperties": {"(": {}}}, "the schema itself cannot be used"),
        ({"$ref": "#"}, "the value or its schema is nested without end"),
    ],
)
def test_a_schema_that_cannot_be_used_is_a_text_never_an_exception(schema, says):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (line,) = violations(schema, {"a": 1})
    assert line.startswith(says)


def test_a_pattern_of_another_regex_dialect_does_not_make_the_tool_unusable():
    schema = {"type": "object", "properties": {"a": {"pattern": "^\\p{L}+$"}, "b": {"pattern": "^x"}}}
    assert violations(schema, {"a": "ä", "b": "xy"}) == ()
    assert violations(schema, {"a": "ä", "b": 7}) == ()
    assert violations(schema, {"a": "ä", "b": "y"}) != ()


def test_formats_are_annotations_as_the_specification_has_it():
    assert violations({"format": "date"}, "tomorrow") == ()


def test_a_schema_changed_in_place_is_read_anew():
    schema = {"type": "string"}
    assert violations(schema, "a") == ()
    schema["type"] = "integer"
    assert violations(schema, "a") == ('the value: expected integer, got "a" (string)',)


def test_the_draft_that_the_schema_names_decides():
    draft4 = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True}
    assert violations(draft4, 1) != ()
    assert violations(draft4, 2) == ()


def test_tuples_and_other_mappings_count_as_arrays_and_objects():
    from types import MappingProxyType

    schema = MappingProxyType({"type": "object", "properties": {"a": {"type": "array"}}})
    assert violations(schema, MappingProxyType({"a": (1, 2)})) == ()


def test_values_that_are_no_json_are_shown_as_python_writes_them():
    assert violations({"type": "string"}, {1j}) == ('the value: expected string, got "{1j}" (set)',)


def test_many_violations_and_huge_values_stay_readable():
    lines = violations({"items": {"type": "integer"}}, ["x" * 1_000_000] * 50)
    assert len(lines) == 11
    assert lines[-1] == "… and 40 more"
    assert all(len(line) < 200 for line in lines)


def test_long_lists_of_choices_are_cut():
    (line,) = violations({"enum": [f"choice {n}" for n in range(100)]}, 1)
    assert '"choice 19", … (80 more), got 1' in line


@pytest.mark.interpreted
def test_endless_nesting_is_a_text(monkeypatch):
    monkeypatch.setattr(schema, "_fits", lambda *_: False)  # jsonschema-rs has no end to its stack
    deep = []
    for _ in range(5000):
        deep = [deep]
    assert violations({"items": {"$ref": "#"}}, deep) == ("the value or its schema is nested without end",)


SIMPLE = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
SCHEMAS = st.recursive(
    st.booleans()
    | st.fixed_dictionaries(
        {}, optional={"type": SIMPLE, "minimum": st.integers(-3, 3), "minLength": st.integers(0, 2)}
    )
    | st.builds(lambda values: {"enum": values}, st.lists(st.integers(0, 3) | st.text(max_size=2), min_size=1)),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": SIMPLE,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "additionalProperties": inner,
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "oneOf": st.lists(inner, min_size=1, max_size=3),
            "not": inner,
        },
    ),
    max_leaves=6,
)
INSTANCES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(SCHEMAS, INSTANCES)
def test_a_value_has_violations_exactly_where_the_reference_validator_says_so(schema, instance):
    lines = violations(schema, instance)
    assert bool(lines) is not Draft202012Validator(schema).is_valid(instance)
    assert json.dumps(lines)
