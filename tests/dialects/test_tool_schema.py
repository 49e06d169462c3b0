import json
from types import MappingProxyType

import jsonschema
import pytest

from orchestra.dialects import compile_tool
from orchestra.dialects.tool_schema import DIALECTS, as_json_schema, compile_tools, inexpressible, rerooted
from orchestra.errors import ConfigError, ToolError
from orchestra.types import ToolSpec


def tool(schema, name="rows", description="does it"):
    return ToolSpec(name, description, schema)


def declared(schema, dialect="openai-chat", strict=False):
    return as_json_schema(compile_tool(tool(schema), dialect, strict), dialect)


def test_an_object_schema_passes_through_untouched():
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"a": {"$ref": "#/definitions/x", "minimum": 1}},
        "definitions": {"x": {"type": "integer"}},
        "required": ["a"],
        "minProperties": 1,
    }
    compiled = compile_tool(tool({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}), "openai-chat")
    assert as_json_schema(compiled, "openai-chat") == {
        **schema,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
    }
    assert (compiled.name, compiled.strict, compiled.losses) == ("rows", False, ())
    assert compiled.decode(compiled.encode({"a": 1})) == {"a": 1}


def test_what_is_declared_does_not_change_with_the_schema_it_was_made_of():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    wire = declared(schema)
    schema["properties"]["a"]["type"] = "string"
    assert wire["properties"]["a"] == {"type": "integer"}


SAID = {"type": "object", "properties": {"a": {"type": "object"}}}
STRICT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
NAMED = {"name": "rows", "description": "does it"}


@pytest.mark.parametrize(
    ("dialect", "lenient", "strict"),
    [
        (
            "openai-chat",
            {"type": "function", "function": {**NAMED, "parameters": SAID}},
            {"type": "function", "function": {**NAMED, "parameters": STRICT, "strict": True}},
        ),
        (
            "openai-responses",
            {"type": "function", **NAMED, "parameters": SAID, "strict": False},
            {"type": "function", **NAMED, "parameters": STRICT, "strict": True},
        ),
        ("anthropic", {**NAMED, "input_schema": SAID}, {**NAMED, "input_schema": STRICT, "strict": True}),
        ("gemini", {**NAMED, "parametersJsonSchema": SAID}, {**NAMED, "parametersJsonSchema": STRICT}),
        (
            "bedrock-converse",
            {"toolSpec": {**NAMED, "inputSchema": {"json": SAID}}},
            {"toolSpec": {**NAMED, "inputSchema": {"json": STRICT}, "strict": True}},
        ),
        (
            "mistral",
            {"type": "function", "function": {**NAMED, "parameters": SAID}},
            {"type": "function", "function": {**NAMED, "parameters": STRICT, "strict": True}},
        ),
        (
            "cohere",
            {"type": "function", "function": {**NAMED, "parameters": SAID}},
            {"type": "function", "function": {**NAMED, "parameters": STRICT}},
        ),
    ],
)
def test_each_dialect_declares_a_tool_in_its_own_form(dialect, lenient, strict):
    assert compile_tool(tool(SAID), dialect).declaration == lenient
    assert compile_tool(tool(STRICT), dialect).declaration == strict
    assert compile_tool(tool(STRICT), dialect).strict == (dialect != "gemini")
    assert as_json_schema(compile_tool(tool(SAID), dialect), dialect) == SAID


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_tool_without_a_description_has_none_on_the_wire_since_an_empty_one_is_refused(dialect):
    compiled = compile_tool(tool(STRICT, description=""), dialect)
    assert "description" not in str(compiled.declaration)


@pytest.mark.parametrize("schema", [{}, {"type": ["object", "null"]}, {"properties": {"a": {}}}, {"type": "object"}])
def test_a_root_that_does_not_say_object_is_made_to_say_it_since_arguments_are_always_one(schema):
    compiled = compile_tool(tool(schema), "openai-chat")
    assert as_json_schema(compiled, "openai-chat") == {
        **schema,
        "type": "object",
        "properties": schema.get("properties", {}),
    }
    assert compiled.encode({"a": 1}) == {"a": 1}


STRING = {"type": "string"}
ROOTS = [
    {"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"oneOf": [{"type": "object", "properties": {"a": STRING}, "required": ["a"]}]},
    {"$ref": "#/$defs/X", "$defs": {"X": {"type": "object", "properties": {"a": {"$ref": "#/$defs/Y"}}}, "Y": STRING}},
    {"$ref": "#/$defs/X", "$defs": {"X": {"type": "object", "properties": {"a": STRING, "b": {"$ref": "#"}}}}},
    {"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}},
    {"enum": [{"a": "x"}, {"b": 1}]},
]  # fmt: skip


@pytest.mark.parametrize("schema", ROOTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_root_that_servers_refuse_moves_under_arguments_without_a_loss(dialect, schema):
    compiled = compile_tool(tool(schema), dialect, strict=False)
    wire = as_json_schema(compiled, dialect)
    assert wire["type"] == "object"
    assert not {"anyOf", "oneOf", "allOf", "$ref", "if", "enum"} & wire.keys()
    for arguments in ({"a": "x"}, {"b": 1}, {"a": 3}, {}, {"b": {"b": {"a": 1}}}):
        original = jsonschema.Draft202012Validator(schema).is_valid(arguments)
        assert jsonschema.Draft202012Validator(wire).is_valid(compiled.encode(arguments)) == original
        assert compiled.decode(compiled.encode(arguments)) == arguments
    shown = dialect == "gemini" and "enum" in schema  # it can hold a model to texts and numbers only
    assert len(compiled.losses) == (1 if shown else 0)


@pytest.mark.parametrize("key", ["filter[id]", "$top", "a b", "ключ", "x" * 65, ""])
def test_property_names_that_anthropic_refuses_at_the_root_move_down_where_it_does_not(key):
    schema = {"type": "object", "properties": {key: STRING}}
    for dialect in ("anthropic", "bedrock-converse"):
        compiled = compile_tool(tool(schema), dialect)
        assert list(as_json_schema(compiled, dialect)["properties"]) == ["arguments"]
        assert compiled.decode(compiled.encode({key: "v"})) == {key: "v"}
    assert key in declared(schema, "mistral")["properties"]


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


def test_the_dialects_that_cannot_say_a_tool_are_known_with_the_reason():
    assert inexpressible([tool({})], DIALECTS) == {}
    refused = inexpressible([tool({}), tool({"type": "array"}, "list")], ["gemini", "cohere"])
    assert list(refused) == ["gemini", "cohere"]
    assert refused["gemini"].startswith("tool 'list': its schema's root has type 'array'")


def test_anything_with_name_description_and_schema_compiles():
    class Mine:
        name, description, schema = "mine", "own", MappingProxyType({"properties": {"a": {"enum": ("x", "y")}}})

    wire = as_json_schema(compile_tool(Mine(), "openai-chat", strict=False), "openai-chat")
    assert wire == {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}}


def test_an_unknown_dialect_names_the_known_ones():
    with pytest.raises(ConfigError, match="unknown dialect 'klingon'; known: openai-chat, openai-responses"):
        compile_tool(tool({}), "klingon")


def test_tools_of_one_request_get_different_names_on_the_wire():
    compiled = compile_tools([tool({}, "a.b"), tool({}, "a_b"), tool({}, "日本")])
    assert list(compiled) == ["a.b", "a_b", "日本"]
    assert len({each.name for each in compiled.values()}) == 3
    assert compiled["a_b"].declaration["function"]["name"] == "a_b"


@pytest.mark.parametrize("value", [float("nan"), {1}, 1j])
def test_a_schema_that_is_no_json_is_refused(value):
    with pytest.raises(ToolError, match=r"tool 'rows': its schema is no JSON: .*; use only what json.dumps can write"):
        compile_tool(tool({"properties": {"a": {"default": value}}}), "gemini")


def test_a_schema_without_end_is_refused():
    schema = {"type": "object"}
    schema["not"] = schema
    with pytest.raises(ToolError, match="its schema is no JSON"):
        compile_tool(tool(schema), "openai-chat")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_schema_nested_deeper_than_any_value_may_be_is_cut_and_says_so(dialect):
    schema = STRING
    for _ in range(100):
        schema = {"type": "object", "properties": {"a": schema}}
    compiled = compile_tool(tool(schema), dialect)
    assert [loss.endswith("nested deeper than 64 schemas; any value is declared") for loss in compiled.losses] == [True]
    assert not compiled.strict
    assert str(as_json_schema(compiled, dialect)).count("properties") == 65


def test_openai_gets_items_for_every_array_since_it_refuses_arrays_without():
    properties = {
        "bare": {"type": "array"},
        "both": {"type": ["array", "null"]},
        "pair": {"type": "array", "prefixItems": [{"type": "array"}]},
        "said": {"type": "array", "items": {"type": "array", "items": STRING}},
        "data": {"default": {"type": "array"}},
        "flag": True,
    }
    for dialect in ("openai-chat", "openai-responses"):
        found = declared({"type": "object", "properties": properties}, dialect)["properties"]
        assert found == {
            **properties,
            "bare": {"type": "array", "items": {}},
            "both": {"type": ["array", "null"], "items": {}},
            "pair": {"type": "array", "prefixItems": [{"type": "array", "items": {}}], "items": {}},
        }
    assert declared({"type": "object", "properties": properties}, "mistral")["properties"] == properties


def test_openai_gets_no_items_where_they_would_count_as_evaluated():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "prefixItems": [STRING], "unevaluatedItems": False}},
    }
    assert declared(schema) == schema


def test_gemini_gets_what_its_json_schema_knows():
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "any": True,
            "none": False,
            "one": {"const": "x"},
            "two": {"const": True},
            "ref": {"$ref": "#/definitions/A", "description": "an A"},
            "also": {"$ref": "#/definitions/A", "anyOf": [{"required": ["n"]}]},
            "self": {"$ref": "#"},
        },
        "additionalProperties": False,
        "definitions": {"A": {"type": "object", "additionalProperties": True}},
    }
    found = declared(schema, "gemini")
    assert "$schema" not in found
    assert found["additionalProperties"] is False
    reference = {"$ref": "#/$defs/A"}
    assert found["properties"] == {
        "any": {},
        "none": {"not": {}},
        "one": {"enum": ["x"]},
        "two": {"const": True},
        "ref": {"anyOf": [reference], "description": "an A"},
        "also": {"anyOf": [{"required": ["n"]}], "allOf": [reference]},
        "self": {"$ref": "#/$defs/root"},
    }
    assert found["$defs"]["A"] == {"type": "object", "additionalProperties": True}
    assert found["$defs"]["root"]["properties"] == found["properties"]


@pytest.mark.parametrize("value", [True, {"x": 1}, [1]])
def test_gemini_is_shown_a_value_that_it_cannot_enforce_and_the_loss_is_told(value):
    for schema in ({"const": value}, {"enum": ["x", value, None]}):
        compiled = compile_tool(tool({"type": "object", "properties": {"a": schema}}), "gemini")
        assert as_json_schema(compiled, "gemini")["properties"]["a"] == schema
        (loss,) = compiled.losses
        assert loss == f"#/properties/a: {json.dumps(value)} is shown and not enforced, as it is no text or number"
        assert compile_tool(tool({"type": "object", "properties": {"a": schema}}), "cohere").losses == ()


def test_gemini_is_told_of_null_by_its_type():
    compiled = compile_tool(tool({"type": "object", "properties": {"a": {"const": None}}}), "gemini")
    assert as_json_schema(compiled, "gemini")["properties"]["a"] == {"const": None, "type": "null"}
    assert compiled.losses == ()


def in_a_row(number, between):
    """A schema whose definitions lead one to the next, each through `between`."""
    definitions = {f"d{index}": between({"$ref": f"#/$defs/d{index + 1}"}) for index in range(number)}
    return {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d0"}},
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {**definitions, f"d{number}": {"type": "string"}},
    }


def deep(levels, **more):
    schema = STRING
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return {**schema, **more}


ENDLESS = {
    "references": in_a_row(3_000, lambda inner: inner),
    "objects": in_a_row(1_000, lambda inner: {"type": "object", "properties": {"n": inner}, "required": ["n"]}),
    "unions": in_a_row(1_000, lambda inner: {"anyOf": [inner, {"type": "null"}]}),
    "an older draft": deep(300, **{"$schema": "http://json-schema.org/draft-07/schema#"}),
    "a list of items": deep(300, properties={"a": deep(200), "b": {"type": "array", "items": [STRING]}}),
    "an unknown keyword": {"type": "object", "properties": {"a": {"$ref": "#/x/y"}}, "x": {"y": deep(90)}},
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("schema", ENDLESS.values(), ids=ENDLESS)
def test_no_schema_is_too_deep_or_too_long_a_chain_to_be_declared(dialect, schema):
    assert inexpressible([tool(schema)], [dialect]) == {}
    compiled = compile_tool(tool(schema), dialect)
    assert compiled.decode(compiled.encode({"a": "x"})) == {"a": "x"}


@pytest.mark.parametrize("levels", [200, 2_000])
def test_a_value_far_deeper_than_any_reader_goes_makes_a_tool_inexpressible(levels):
    schema = {"type": "object", "properties": {"a": {"default": deep(levels)}}}
    assert list(inexpressible([tool(schema)], DIALECTS)) == list(DIALECTS)
    with pytest.raises(ToolError, match=r"tool 'rows': its schema .* nested"):
        compile_tool(tool(schema), "openai-chat")


def test_references_move_however_deep_they_stand():
    schema = {"$ref": "#"}
    for _ in range(5_000):
        schema = {"not": schema}
    moved = rerooted(schema, "#/here")
    for _ in range(5_000):
        moved = moved["not"]
    assert moved == {"$ref": "#/here"}


def test_a_set_is_no_list_of_names():
    with pytest.raises(ToolError, match=r"its schema is no JSON: \{'id'\} is a set; use only what json.dumps"):
        compile_tool(tool({"properties": {"id": STRING}, "required": {"id"}}), "openai-chat")


@pytest.mark.parametrize("strict", [0, 1, 1.0, None, "false", "AUTO"])
def test_strict_is_true_false_or_auto_and_nothing_else(strict):
    with pytest.raises(ConfigError, match=f'strict is {strict!r}; it is True, False or "auto"'):
        compile_tool(tool(STRICT), "openai-chat", strict)


def test_who_changes_a_declaration_changes_it_for_nobody_else():
    specs = tool(STRICT)
    compile_tool(specs, "openai-chat").declaration["function"]["parameters"]["properties"].clear()
    assert as_json_schema(compile_tool(specs, "openai-chat"), "openai-chat") == STRICT
    assert as_json_schema(compile_tools([specs])["rows"], "openai-chat") == STRICT


@pytest.mark.parametrize("key", ["$id", "$ref"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_identity_that_is_no_uri_leads_nowhere_and_is_a_loss(dialect, key):
    compiled = compile_tool(tool({"type": "object", "properties": {"a": {"$ref": "x", key: "http://[bad"}}}), dialect)
    (loss,) = compiled.losses
    assert loss.endswith("is not in the schema; any value is declared")


def test_compiling_again_costs_nothing_and_a_new_schema_is_compiled_anew():
    schema = {"type": "object", "properties": {"a": STRING}}
    first, second = (compile_tools([tool(schema)], "anthropic")["rows"] for _ in range(2))
    assert first is second
    assert compile_tools([tool(dict(schema))], "anthropic")["rows"] is not first
    assert compile_tools([tool(schema, description="other")], "anthropic")["rows"].declaration["description"] == "other"
    assert compile_tools([tool(schema)], "anthropic") != "rows"


def test_the_tools_of_a_request_are_the_callers_own_to_change():
    tools = [tool({"type": "object"})]
    compile_tools(tools).clear()
    assert list(compile_tools(tools)) == ["rows"]


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
