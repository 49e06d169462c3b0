import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from orchestra.dialects.tool_schema import as_json_schema, compile_tool
from orchestra.types import ToolSpec

D4, D6, D7 = (f"http://json-schema.org/draft-0{number}/schema#" for number in (4, 6, 7))
D2019 = "https://json-schema.org/draft/2019-09/schema"
INTEGER, STRING = {"type": "integer"}, {"type": "string"}


def declared(schema):
    return as_json_schema(compile_tool(ToolSpec("t", "", schema), "anthropic", strict=False), "anthropic")


def an_object(**properties):
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    "draft", [D4, D6, D7, D2019, "https://json-schema.org/draft/2020-12/schema", "https://example.com/own"]
)
def test_a_schema_that_means_the_same_today_stays_as_it_is(draft):
    schema = {"$schema": draft, **an_object(a={"type": "string", "minLength": 1, "enum": ["x"]})}
    assert declared(schema) == schema


@pytest.mark.parametrize(
    ("draft", "old", "new"),
    [
        (
            D7,
            {"items": [INTEGER, STRING], "additionalItems": False},
            {"prefixItems": [INTEGER, STRING], "items": False},
        ),
        (D2019, {"items": [INTEGER]}, {"prefixItems": [INTEGER]}),
        (None, {"items": [INTEGER, {"items": [STRING]}]}, {"prefixItems": [INTEGER, {"prefixItems": [STRING]}]}),
        (D7, {"items": [], "additionalItems": INTEGER}, {"items": INTEGER}),
        (D7, {"items": INTEGER, "additionalItems": STRING}, {"items": INTEGER}),
        (D4, {"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        (None, {"maximum": 9, "exclusiveMaximum": True}, {"exclusiveMaximum": 9}),
        (D4, {"minimum": 1, "exclusiveMinimum": False}, {"minimum": 1}),
        (D4, {"exclusiveMinimum": True}, {}),
        (D4, {"const": 1, "contains": {}, "if": {}}, {}),
        (D6, {"if": {}, "then": False, "const": 1}, {"const": 1}),
        (
            D7,
            {"prefixItems": [INTEGER], "dependentRequired": {"a": ["b"]}, "if": {}, "then": {}},
            {"if": {}, "then": {}},
        ),
        (D2019, {"prefixItems": [INTEGER], "dependentRequired": {"a": ["b"]}}, {"dependentRequired": {"a": ["b"]}}),
        (
            D7,
            {"dependencies": {"a": ["b"], "c": {"required": ["d"]}, "e": False}},
            {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"required": ["d"]}, "e": False}},
        ),
        (D7, {"dependencies": {"a": ["b"]}}, {"dependentRequired": {"a": ["b"]}}),
        (D7, {"dependencies": {"a": {}}}, {"dependentSchemas": {"a": {}}}),
        (D7, {"$ref": "#/definitions/A", "minimum": 7, "title": "t"}, {"$ref": "#/definitions/A", "title": "t"}),
        (D2019, {"$recursiveRef": "#"}, {"$ref": "#"}),
    ],
)
def test_what_older_drafts_say_is_said_in_todays_words(draft, old, new):
    schema = {**an_object(v=old), "definitions": {"A": INTEGER}}
    assert declared({**schema, **({"$schema": draft} if draft else {})}) == {**schema, **an_object(v=new)}


def test_old_ways_to_name_a_schema_still_lead_to_it():
    for draft, key in ((D4, "id"), (D7, "$id")):
        schema = {"$schema": draft, **an_object(a={"$ref": "#x"}), "definitions": {"X": {key: "#x", **INTEGER}}}
        assert declared(schema) == {**an_object(a={"$ref": "#/$defs/x"}), "$defs": {"x": INTEGER}}


def test_recursion_of_2019_needs_no_anchor():
    schema = {"$schema": D2019, "$recursiveAnchor": True, **an_object(kid={"$recursiveRef": "#"})}
    assert declared(schema) == an_object(kid={"$ref": "#"})


@pytest.mark.parametrize("items", [[INTEGER, STRING], [INTEGER]])
@pytest.mark.parametrize("rest", [{}, {"additionalItems": False}, {"additionalItems": STRING}])
def test_the_same_values_fit_before_and_after(items, rest):
    schema = {"$schema": D7, **an_object(a={"type": "array", "items": items, **rest})}
    for value in ([], [1], [1, "x"], [1, 2], [1, "x", "y"], ["x"], [1, "x", 3]):
        before = validator_for(schema)(schema).is_valid({"a": value})
        assert Draft202012Validator(declared(schema)).is_valid({"a": value}) == before


@pytest.mark.parametrize(
    ("reference", "old", "meant"),
    [
        ("#/properties/p/items/1", {"items": [STRING, INTEGER], "additionalItems": STRING}, INTEGER),
        ("#/properties/p/additionalItems", {"items": [STRING], "additionalItems": INTEGER}, INTEGER),
        ("#/properties/p/dependencies/a", {"dependencies": {"a": {"required": ["z"]}}}, {"required": ["z"]}),
    ],
)
def test_a_reference_to_what_has_another_name_today_still_leads_there(reference, old, meant):
    tool = ToolSpec("t", "", {"$schema": D7, **an_object(p=old, q={"$ref": reference})})
    compiled = compile_tool(tool, "anthropic", strict=False)
    assert compiled.losses == ()
    assert list(as_json_schema(compiled, "anthropic")["$defs"].values()) == [meant]


@pytest.mark.parametrize("word", ["examples", "readOnly"])
def test_an_annotation_of_a_wrong_type_is_no_sign_of_an_older_draft(word):
    schema = an_object(a={"const": 5, word: "yes"})
    assert declared(schema) == schema
