import jsonschema
import pytest

from orchestra.dialects import tool_refs
from orchestra.dialects.tool_schema import as_json_schema, compile_tool
from orchestra.types import ToolSpec

STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def an_object(**properties):
    return {"type": "object", "properties": properties}


def declared(schema):
    compiled = compile_tool(ToolSpec("t", "", schema), "mistral", strict=False)
    return as_json_schema(compiled, "mistral"), compiled.losses


@pytest.mark.parametrize(
    "schema",
    [
        {**an_object(a={"$ref": "#/$defs/A"}, b={"$ref": "#"}), "$defs": {"A": STRING}},
        {**an_object(a={"$ref": "#/definitions/A"}), "definitions": {"A": STRING}},
        {"$id": "https://example.com/x", **an_object(a={"$ref": "#/$defs/A"}), "$defs": {"A": STRING}},
        an_object(a={"default": {"$ref": "#/nowhere"}, "enum": [{"$ref": 1}]}),
    ],
)
def test_references_that_every_provider_reads_stay_as_they_are(schema):
    assert declared(schema) == (schema, ())


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (
            an_object(
                **{
                    "a/b": an_object(x=INTEGER),
                    "c": {"$ref": "#/properties/a~1b"},
                    "d": {"$ref": "#/properties/a~1b/properties/x"},
                }
            ),
            {
                **an_object(**{"a/b": an_object(x=INTEGER), "c": {"$ref": "#/$defs/a_1b"}, "d": {"$ref": "#/$defs/x"}}),
                "$defs": {"a_1b": an_object(x=INTEGER), "x": INTEGER},
            },
        ),
        (
            {**an_object(a={"$ref": "#pos"}), "$defs": {"P": {"$anchor": "pos", **INTEGER}, "unused": STRING}},
            {**an_object(a={"$ref": "#/$defs/pos"}), "$defs": {"pos": INTEGER}},
        ),
        (
            {
                "$id": "https://example.com/root.json",
                **an_object(a={"$ref": "item"}, b={"$ref": "https://example.com/item#/$defs/K"}),
                "$defs": {"I": {"$id": "item", **an_object(k={"$ref": "#/$defs/K"}), "$defs": {"K": INTEGER}}},
            },
            {
                **an_object(a={"$ref": "#/$defs/item"}, b={"$ref": "#/$defs/K"}),
                "$defs": {"item": an_object(k={"$ref": "#/$defs/K"}), "K": INTEGER},
            },
        ),
        (
            {"$dynamicAnchor": "node", **an_object(kids={"type": "array", "items": {"$dynamicRef": "#node"}})},
            an_object(kids={"type": "array", "items": {"$ref": "#"}}),
        ),
        (
            {
                **an_object(a={"$ref": "#/$defs/A", "$dynamicRef": "#b"}),
                "$defs": {"A": STRING, "B": {"$dynamicAnchor": "b"}},
            },
            {**an_object(a={"$ref": "#/$defs/A", "allOf": [{"$ref": "#/$defs/b"}]}), "$defs": {"A": STRING, "b": {}}},
        ),
        (
            {
                **an_object(a={"$ref": "#/$defs/x%20y"}, b={"$ref": "#/x-own/0"}),
                "$defs": {"x y": True},
                "x-own": [INTEGER],
            },
            {
                **an_object(a={"$ref": "#/$defs/x_y"}, b={"$ref": "#/$defs/0"}),
                "x-own": [INTEGER],
                "$defs": {"x_y": True, "0": INTEGER},
            },
        ),
        (
            {
                **an_object(a={"$ref": "#/$defs/P"}, b={"$ref": "#/$defs/o/$defs/P"}),
                "$defs": {"P": STRING, "o": {"$defs": {"P": INTEGER}}},
            },
            {**an_object(a={"$ref": "#/$defs/P"}, b={"$ref": "#/$defs/P_2"}), "$defs": {"P": STRING, "P_2": INTEGER}},
        ),
    ],
)
def test_all_others_become_references_to_definitions(schema, said):
    assert declared(schema) == (said, ())


@pytest.mark.parametrize(
    "reference", ["#/$defs/gone", "https://example.com/other", "#nowhere", "#/type", "#/required/7", 3]
)
def test_a_reference_that_leads_nowhere_allows_any_value_and_is_a_loss(reference):
    schema = {**an_object(a={"$ref": reference, "title": "t"}, b=STRING), "required": ["b"]}
    said, losses = declared(schema)
    assert said["properties"]["a"] == {"title": "t"}
    assert losses == (f"#/properties/a: {reference!r} is not in the schema; any value is declared",)


def test_a_dynamic_reference_that_could_mean_several_places_is_a_loss():
    tree = {"$id": "tree", "$dynamicAnchor": "node", **an_object(kid={"$dynamicRef": "#node"})}
    schema = {
        "$id": "https://example.com/strict",
        "$dynamicAnchor": "node",
        **an_object(t={"$ref": "tree"}),
        "$defs": {"t": tree},
    }
    said, losses = declared(schema)
    assert said["$defs"]["tree"]["properties"]["kid"] == {}
    assert losses == ("#/$defs/tree/properties/kid: '#node' depends on where it is met; any value is declared",)


def test_references_that_would_multiply_are_written_once():
    definitions = {
        f"A{i}": an_object(x={"$ref": f"#/$defs/A{i + 1}"}, y={"$ref": f"#/$defs/A{i + 1}"}) for i in range(60)
    }
    schema = {**an_object(a={"$ref": "#/$defs/A0"}, b={"$ref": "#/$defs/A60"}), "$defs": {**definitions, "A60": STRING}}
    for dialect in ("gemini", "openai-chat", "anthropic"):
        compiled = compile_tool(ToolSpec("t", "", schema), dialect)
        assert compiled.losses == ()
        assert len(str(compiled.declaration)) < 20_000


def test_a_rewritten_schema_has_an_end_and_says_where_it_was_cut(monkeypatch):
    monkeypatch.setattr(tool_refs, "MOST", 10)
    inner = an_object(**dict.fromkeys("abcdef", STRING))
    said, losses = declared(an_object(a=inner, b={"$ref": "#/properties/a"}))
    assert losses == ("#/$defs/a/properties/a: more than 10 schemas; the rest may be any value",)
    assert said["$defs"]["a"]["properties"]["f"] == {}
    assert jsonschema.Draft202012Validator(said).is_valid({"b": {"a": "x", "f": "y"}})
