import jsonschema
import pytest

from orchestra.dialects import compile_tool
from orchestra.dialects.tool_schema import compile_tools, rerooted
from orchestra.errors import ConfigError, ToolError
from orchestra.types import ToolSpec


def tool(schema, name="rows"):
    return ToolSpec(name, "does it", schema)


def parameters(compiled):
    return compiled.declaration["function"]["parameters"]


def test_an_object_schema_passes_through_untouched():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 1}},
        "$defs": {"x": {}},
        "required": ["a"],
    }
    compiled = compile_tool(tool(schema), "openai-chat")
    assert compiled.declaration == {
        "type": "function",
        "function": {"name": "rows", "description": "does it", "parameters": schema},
    }
    assert parameters(compiled) is schema
    assert (compiled.name, compiled.strict, compiled.losses) == ("rows", False, ())
    assert compiled.decode(compiled.encode({"a": 1})) == {"a": 1}


@pytest.mark.parametrize("schema", [{}, {"type": ["object", "null"]}, {"properties": {"a": {}}}, {"type": "object"}])
def test_a_root_that_does_not_say_object_is_made_to_say_it_since_arguments_are_always_one(schema):
    compiled = compile_tool(tool(schema), "openai-chat")
    assert parameters(compiled) == {**schema, "type": "object", "properties": schema.get("properties", {})}
    assert compiled.encode({"a": 1}) == {"a": 1}


STRING = {"type": "string"}
ROOTS = [
    {"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"oneOf": [{"type": "object", "properties": {"a": STRING}, "required": ["a"]}]},
    {"$ref": "#/$defs/X", "$defs": {"X": {"type": "object", "properties": {"a": {"$ref": "#/$defs/Y"}}}, "Y": STRING}},
]  # fmt: skip


@pytest.mark.parametrize("schema", ROOTS)
def test_a_root_that_servers_refuse_moves_under_arguments_without_a_loss(schema):
    compiled = compile_tool(tool(schema), "openai-chat")
    wire = parameters(compiled)
    assert wire["type"] == "object"
    assert not {"anyOf", "oneOf", "allOf", "$ref"} & wire.keys()
    for arguments in ({"a": "x"}, {"b": 1}, {"a": 3}, {}):
        original = jsonschema.Draft202012Validator(schema).is_valid(arguments)
        assert jsonschema.Draft202012Validator(wire).is_valid(compiled.encode(arguments)) == original
        assert compiled.decode(compiled.encode(arguments)) == arguments
    assert compiled.losses == ()


def test_arguments_that_a_model_did_not_wrap_are_understood():
    compiled = compile_tool(tool(ROOTS[0]), "openai-chat")
    assert compiled.decode({"a": 1}) == {"a": 1}
    assert compiled.decode({"arguments": {}, "a": 1}) == {"arguments": {}, "a": 1}
    assert compiled.decode({"arguments": "text"}) == {"arguments": "text"}
    assert compiled.decode(compiled.encode({"arguments": {"a": 1}})) == {"arguments": {"a": 1}}


@pytest.mark.parametrize("kind", ["string", ["array", "null"], 3])
def test_a_root_that_is_no_object_at_all_is_refused_with_the_way_out(kind):
    with pytest.raises(ToolError, match=r"tool 'rows': its schema's root has type .* put the value under a property"):
        compile_tool(tool({"type": kind}), "openai-chat")


def test_a_schema_that_is_no_json_object_is_refused():
    with pytest.raises(ToolError, match="tool 'rows': its schema must be a JSON object, got True"):
        compile_tool(tool(True), "openai-chat")


def test_anything_with_name_description_and_schema_compiles():
    class Mine:
        name, description, schema = "mine", "own", {"type": "object", "properties": {}}

    assert compile_tool(Mine(), "openai-chat").name == "mine"


def test_strict_mode_is_refused_until_it_exists():
    with pytest.raises(ConfigError, match=r"strict mode is not available yet for 'openai-chat'; use strict=\"auto\""):
        compile_tool(tool({}), "openai-chat", strict=True)
    assert compile_tool(tool({}), "openai-chat", strict=False).strict is False


def test_an_unknown_dialect_names_the_known_ones():
    with pytest.raises(ConfigError, match="unknown dialect 'klingon'; known: openai-chat"):
        compile_tool(tool({}), "klingon")


def test_tools_of_one_request_get_different_names_on_the_wire():
    compiled = compile_tools([tool({}, "a.b"), tool({}, "a_b"), tool({}, "日本")])
    assert list(compiled) == ["a.b", "a_b", "日本"]
    assert len({each.name for each in compiled.values()}) == 3
    assert compiled["a_b"].declaration["function"]["name"] == "a_b"


def test_only_references_into_the_schema_itself_move():
    schema = {
        "properties": {"$ref": {"type": "string"}, "self": {"$ref": "#"}, "far": {"$ref": "https://x/y#/z"}},
        "default": {"$ref": "#/no"},
        "enum": [{"$ref": "#/no"}],
        "allOf": [{"$ref": "#/$defs/A"}],
        "$defs": {"own": {"$id": "https://own", "properties": {"a": {"$ref": "#"}}}, "default": {"$ref": "#"}},
    }
    assert rerooted(schema, "#/here") == {
        "properties": {"$ref": {"type": "string"}, "self": {"$ref": "#/here"}, "far": {"$ref": "https://x/y#/z"}},
        "default": {"$ref": "#/no"},
        "enum": [{"$ref": "#/no"}],
        "allOf": [{"$ref": "#/here/$defs/A"}],
        "$defs": {"own": {"$id": "https://own", "properties": {"a": {"$ref": "#"}}}, "default": {"$ref": "#/here"}},
    }
