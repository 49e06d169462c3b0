"""Schemas for the answer: enforced where nothing is lost by it, else said in the prompt."""

import pytest

from orchestra.dialects.anthropic_schema import answer_schema

NULL = {"type": "null"}
MANY = dict.fromkeys("abcdefghijklmnopqrstuvwxy", NULL)
CLOSED = {"additionalProperties": False}


def one(schema, **root):
    """A schema as the only property of an object."""
    return {"type": "object", "properties": {"a": schema}, "required": ["a"]} | root


def written(schema, **root):
    found, rest = answer_schema(one(schema, **root))
    return found and found["properties"]["a"], rest


def test_objects_are_closed_and_optional_properties_stay_optional():
    schema = {"type": "object", "title": "T", "properties": {"a": {"type": "string"}, "b": {"type": "null"}}}
    assert answer_schema(schema) == (schema | CLOSED | {"required": []}, "")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "description": "d"},
        {"type": "string", "format": "date"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        {"enum": ["x", 1, None]},
        {"const": "x"},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
    ],
)
def test_what_can_be_enforced_is_said_as_it_is(schema):
    assert written(schema) == (schema, "")


@pytest.mark.parametrize(
    ("schema", "becomes", "rest"),
    [
        ({"type": "integer", "minimum": 1}, {"type": "integer", "description": "{minimum: 1}"}, "minimum"),
        (
            {"type": "string", "description": "d", "pattern": "^a", "maxLength": 2},
            {"type": "string", "description": 'd\n\n{pattern: "^a", maxLength: 2}'},
            "maxLength, pattern",
        ),
        ({"type": "string", "format": "x"}, {"type": "string", "description": '{format: "x"}'}, "format"),
        (
            {"type": "array", "items": {"type": "null"}, "minItems": 2},
            {"type": "array", "items": {"type": "null"}, "description": "{minItems: 2}"},
            "minItems",
        ),
        ({"type": "boolean", "default": True}, {"type": "boolean", "description": "{default: true}"}, ""),
    ],
)
def test_what_cannot_be_enforced_is_described_and_told(schema, becomes, rest):
    assert written(schema) == (becomes, rest)


def test_the_type_of_an_enumeration_is_in_its_values():
    assert written({"type": "string", "enum": ["x"]}) == ({"enum": ["x"]}, "")


def test_several_types_are_branches_each_with_its_own_keywords():
    schema = {"type": ["string", "array", "null"], "format": "date", "items": {"type": "integer"}, "description": "d"}
    branches = [{"type": "string", "format": "date"}, {"type": "array", "items": {"type": "integer"}}, {"type": "null"}]
    assert written(schema) == ({"description": "d", "anyOf": branches}, "")


def test_a_one_of_is_any_of_its_branches():
    assert written({"oneOf": [{"type": "string"}, {"type": "null"}]})[0] == {
        "anyOf": [{"type": "string"}, {"type": "null"}]
    }


def test_references_are_replaced_by_what_they_refer_to():
    text = {"type": "string"}
    assert written({"$ref": "#/$defs/a~1b"}, **{"$defs": {"a/b": text}}) == (text, "")
    assert written({"$ref": "#/definitions/T"}, definitions={"T": text}) == (text, "")
    twice = {"type": "object", "properties": {"x": {"$ref": "#/$defs/T"}, "y": {"$ref": "#/$defs/T"}}}
    assert written(twice, **{"$defs": {"T": text}})[0]["properties"] == {"x": text, "y": text}


@pytest.mark.parametrize(
    ("beside", "becomes", "rest"),
    [
        ({"description": "said here"}, {"description": "said here\n\nof a T"}, ""),
        ({"title": "Here"}, {"title": "Here"}, ""),
        ({"default": "x"}, {"description": 'of a T\n\n{default: "x"}'}, ""),
        (
            {"description": "said here", "maxLength": 3},
            {"description": "said here\n\nof a T\n\n{maxLength: 3}"},
            "maxLength",
        ),
        ({"type": "string"}, {}, ""),
        ({"enum": ["a"]}, {"description": 'of a T\n\n{enum: ["a"]}'}, "enum"),
    ],
)
def test_what_stands_beside_a_reference_is_said_with_what_it_refers_to(beside, becomes, rest):
    target = {"type": "string", "title": "T", "description": "of a T"}
    assert written({"$ref": "#/$defs/T", **beside}, **{"$defs": {"T": target}}) == (target | becomes, rest)


@pytest.mark.parametrize("key", ["properties", "allOf", "anyOf", "items", "unevaluatedProperties"])
def test_more_of_a_value_beside_a_reference_cannot_be_enforced(key):
    found = written({"$ref": "#/$defs/T", key: {}}, **{"$defs": {"T": one(NULL)}})
    assert found == (None, f"{key} beside a reference")


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (True, "a boolean schema"),
        ({}, "a schema without a type"),
        ({"type": "object"}, "an open object"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "an open object"),
        (one({"type": "string"}, additionalProperties=True), "an open object"),
        (one({"type": "string"}, additionalProperties={"type": "string"}), "an open object"),
        ({"type": "object", "properties": {"b": {"type": "null"}}, "required": ["c"]}, "an open object"),
        ({"type": "array"}, "an array of anything"),
        ({"type": "array", "prefixItems": []}, "prefixItems"),
        ({"type": "object", "allOf": [], "patternProperties": {}}, "allOf, patternProperties"),
        ({"enum": [{"a": 1}]}, "an enumeration of objects or arrays"),
        ({"const": [1]}, "an enumeration of objects or arrays"),
        ({"$ref": "https://x/y"}, "the reference https://x/y"),
        ({"$ref": "#/$defs/none"}, "the reference #/$defs/none"),
        ({"$ref": "#"}, "the reference #"),
        ({"$ref": "#/properties/a"}, "recursion"),
        ({"anyOf": [NULL], "properties": {"x": NULL}}, "unions beyond what can be enforced"),
        ({"anyOf": [{"type": ["null", "string"]}] * 20}, "unions beyond what can be enforced"),
        ({"type": "object", "properties": MANY}, "more than 24 optional properties"),
    ],
)  # fmt: skip
def test_a_schema_whose_enforcement_would_lose_answers_is_refused_with_the_reason(schema, why):
    assert written(schema) == (None, why)


def test_references_that_grow_without_end_are_refused():
    level = {"type": "string"}
    defs = {"d0": level}
    for n in range(1, 40):
        ref = {"$ref": f"#/$defs/d{n - 1}"}
        defs[f"d{n}"] = {"type": "object", "properties": {"x": ref, "y": ref}, "required": ["x", "y"]}
    assert written({"$ref": "#/$defs/d39"}, **{"$defs": defs}) == (None, "a schema too large")


def test_a_schema_that_is_too_deep_has_none_be_it_by_references_or_by_itself():
    nested = {"type": "string"}
    for _ in range(400):
        nested = {"type": "array", "items": nested}
    chain = {f"d{number}": {"$ref": f"#/$defs/d{number + 1}"} for number in range(400)}
    for schema in (one(nested), one({"$ref": "#/$defs/d0"}, **{"$defs": {**chain, "d400": NULL}})):
        assert answer_schema(schema) == (None, "a schema too large")
