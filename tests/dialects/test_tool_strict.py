import pytest

from orchestra.dialects.tool_schema import as_json_schema, compile_tool, compile_tools
from orchestra.errors import ToolError
from orchestra.types import ToolSpec

STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def an_object(required=(), **properties):
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def closed(required=(), **properties):
    return {**an_object(required, **properties), "additionalProperties": False}


def compiled(schema, dialect="openai-chat", strict="auto"):
    return compile_tool(ToolSpec("t", "", schema), dialect, strict)


def strict(schema, dialect="openai-chat"):
    found = compiled(schema, dialect)
    assert found.strict, found.lenient
    return as_json_schema(found, dialect)


def why(schema, dialect="openai-chat"):
    found = compiled(schema, dialect)
    assert not found.strict
    return found.lenient


def test_openai_gets_every_property_as_required_and_null_for_an_absent_one():
    inner = an_object(["x"], x=INTEGER, y={"enum": ["p", "q"]})
    found = compiled(
        an_object(["a"], a=STRING, b=inner, c={"type": "array", "items": inner}, d={"type": ["string", "integer"]})
    )
    nullable = closed(["x", "y"], x=INTEGER, y={"type": ["string", "null"], "enum": ["p", "q", None]})
    assert as_json_schema(found, "openai-chat") == closed(
        ["a", "b", "c", "d"],
        a=STRING,
        b={**nullable, "type": ["object", "null"]},
        c={"type": ["array", "null"], "items": nullable},
        d={"type": ["string", "integer", "null"]},
    )
    for arguments, written in [
        ({"a": "s"}, {"a": "s", "b": None, "c": None, "d": None}),
        ({"a": "s", "b": {"x": 1}, "d": 3}, {"a": "s", "b": {"x": 1, "y": None}, "c": None, "d": 3}),
        (
            {"a": "s", "c": [{"x": 1}, {"x": 2, "y": "p"}]},
            {"a": "s", "b": None, "c": [{"x": 1, "y": None}, {"x": 2, "y": "p"}], "d": None},
        ),
    ]:
        assert found.encode(arguments) == written
        assert found.decode(written) == arguments


def test_arguments_that_do_not_fit_go_both_ways_as_they_are():
    found = compiled(
        an_object(["a"], a=an_object(x=INTEGER), b={"anyOf": [STRING, {"type": "array", "items": STRING}]})
    )
    for arguments in ({"a": [1], "b": 3}, {"a": "x", "b": {"y": 1}, "c": {"d": None}}):
        assert found.decode(found.encode(arguments)) == arguments


def test_a_null_that_could_be_meant_keeps_a_tool_from_being_strict_for_openai_only():
    schema = an_object(a={"type": ["string", "null"]})
    assert why(schema) == ("#/properties/a: may be absent and may be null, which cannot be told apart",)
    assert strict(schema, "anthropic") == {**schema, "additionalProperties": False}
    assert strict(an_object(["a"], a={"type": ["string", "null"]}))["required"] == ["a"]


@pytest.mark.parametrize("dialect", ["anthropic", "bedrock-converse", "mistral"])
def test_where_properties_may_be_optional_they_stay_so(dialect):
    schema = an_object(["a"], a=STRING, b=INTEGER)
    found = compiled(schema, dialect)
    assert as_json_schema(found, dialect) == {**schema, "additionalProperties": False}
    assert found.encode({"a": "x"}) == {"a": "x"}
    assert compiled(schema, "cohere").strict
    assert as_json_schema(compiled(schema, "cohere"), "cohere") == schema


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"type": "object"}, "takes properties that it does not name"),
        ({"type": "object", "additionalProperties": STRING}, "takes properties that it does not name"),
        ({**an_object(x=STRING), "additionalProperties": True}, "takes properties that it does not name"),
        ({**closed(x=STRING), "patternProperties": {"^x": STRING}}, "patternProperties cannot be enforced"),
        (an_object(["y"], x=STRING), "requires 'y', which it does not describe"),
        ({"type": "array"}, "allows any value"),
        ({"type": "array", "items": False}, "allows no value"),
        ({"type": "array", "items": STRING, "uniqueItems": True}, "uniqueItems cannot be enforced"),
        ({"type": "string", "minLength": 1}, "minLength cannot be enforced"),
        ({"type": "string", "pattern": "ab"}, "pattern cannot be enforced"),
        ({"type": "string", "pattern": "^a|b$"}, "pattern cannot be enforced"),
        ({"type": "string", "pattern": "^(?!x).*$"}, "pattern cannot be enforced"),
        ({"type": "string", "pattern": r"^\bx$"}, "pattern cannot be enforced"),
        ({"not": STRING}, "not cannot be enforced here"),
        ({"type": "string", "not": {"const": "x"}}, "not cannot be enforced here"),
        ({"type": "string", "anyOf": [{"const": "x"}]}, "anyOf cannot be enforced here"),
        ({"allOf": [STRING, {"minLength": 1}]}, "allOf cannot be enforced"),
        ({"oneOf": [INTEGER, {"type": "number"}]}, "the alternatives of oneOf overlap"),
        ({"anyOf": [closed(x=STRING), closed(x=INTEGER)]}, "the alternatives of anyOf overlap"),
        ({"anyOf": [closed(["x"], x=STRING), an_object(["y"], y=STRING)]}, "an alternative of anyOf takes properties"),
        ({"description": "anything"}, "has no type"),
        ({"type": "Boolean"}, "has no type"),
        ({"enum": [{"x": 1}]}, "lists values that are no texts, numbers or booleans"),
        ({"enum": ["x"], "const": "y"}, "has no type"),
        ({"enum": [1], "const": True}, "has no type"),
        (True, "allows any value"),
        ({"$ref": "#/$defs/Any"}, "#/$defs/Any allows any value"),
        ({"$ref": "#/$defs/Loop"}, "a reference leads back to itself"),
        ({"$ref": "#/$defs/gone"}, "'#/$defs/gone' is not in the schema; any value is declared"),
    ],
)
def test_a_schema_that_would_lose_something_is_not_strict_and_says_why(schema, fault):
    whole = {
        **an_object(["a"], a=schema),
        "$defs": {"Any": True, "Loop": {"anyOf": [STRING, {"$ref": "#/$defs/Loop"}]}},
    }
    assert any(fault in reason for reason in why(whole))
    with pytest.raises(ToolError, match=r"tool 't' cannot be strict for 'openai-chat': #.*; change its schema, or use"):
        compiled(whole, strict=True)
    assert compiled(whole, strict=False).lenient == ()


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"const": "x"}, {"type": "string", "enum": ["x"]}),
        ({"enum": [1, 2.5, 1]}, {"type": "number", "enum": [1, 2.5, 1]}),
        ({"enum": [1, 2.0]}, {"type": "integer", "enum": [1, 2.0]}),
        ({"enum": ["x", None, True]}, {"type": ["boolean", "null", "string"], "enum": ["x", None, True]}),
        ({"type": "number", "enum": [1, "x"]}, {"type": "integer", "enum": [1]}),
        ({"enum": ["x", "y"], "const": "y"}, {"type": "string", "enum": ["y"]}),
        ({"type": "string", "minLength": 0, "minimum": 3}, STRING),
        ({"type": "integer", "minimum": 1, "multipleOf": 2}, {"type": "integer", "minimum": 1, "multipleOf": 2}),
        ({"type": "string", "pattern": "^[a-z]+$"}, {"type": "string", "pattern": "^[a-z]+$"}),
        ({"type": "string", "pattern": "^(a|b)$"}, {"type": "string", "pattern": "^(a|b)$"}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"type": "string", "format": "uri"}, {"type": "string", "description": '(format: "uri")'}),
        ({"type": "integer", "format": "date"}, {"type": "integer", "description": '(format: "date")'}),
        (
            {**STRING, "title": "T", "description": "Why.", "default": "é", "examples": [1], "$comment": "no"},
            {**STRING, "title": "T", "description": 'Why. (default: "é"; examples: [1])'},
        ),
        ({"allOf": [STRING], "description": "d"}, {"type": "string", "description": "d"}),
        ({"oneOf": [STRING, INTEGER]}, {"anyOf": [STRING, INTEGER]}),
        ({"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}),
        ({"$ref": "#/$defs/A", "description": "d"}, {"anyOf": [{"$ref": "#/$defs/A"}], "description": "d"}),
        ({"allOf": [{"$ref": "#/$defs/A"}], "title": "t"}, {"anyOf": [{"$ref": "#/$defs/A"}], "title": "t"}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        (closed(), {**closed(), "properties": {}}),
    ],
)
def test_what_can_be_enforced_is_said_as_the_provider_says_it(schema, said):
    whole = {**an_object(["a"], a=schema), "$defs": {"A": STRING}}
    assert strict(whole)["properties"]["a"] == said


def test_an_optional_reference_and_an_optional_union_may_be_null():
    schema = {
        **an_object(a={"$ref": "#/$defs/A"}, b={"anyOf": [STRING, INTEGER], "title": "b"}),
        "$defs": {"A": STRING},
    }
    assert strict(schema) == {
        **closed(
            ["a", "b"],
            a={"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]},
            b={"anyOf": [STRING, INTEGER, {"type": "null"}], "title": "b"},
        ),
        "$defs": {"A": STRING},
    }


def test_alternatives_with_optional_properties_are_told_apart_by_their_marker():
    one = closed(["kind"], kind={"const": "p"}, x=STRING)
    other = closed(["kind"], kind={"enum": ["q", "r"]}, y=closed(z=INTEGER))
    schema = {**an_object(["v"], v={"oneOf": [{"$ref": "#/$defs/One"}, other]}), "$defs": {"One": one}}
    found = compiled(schema)
    assert found.strict
    for arguments, written in [
        ({"v": {"kind": "p"}}, {"v": {"kind": "p", "x": None}}),
        ({"v": {"kind": "r"}}, {"v": {"kind": "r", "y": None}}),
        ({"v": {"kind": "q", "y": {}}}, {"v": {"kind": "q", "y": {"z": None}}}),
        ({"v": {"kind": ["s"]}}, {"v": {"kind": ["s"]}}),
        ({"v": 3}, {"v": 3}),
    ]:
        assert found.encode(arguments) == written
        assert found.decode(written) == arguments


A, B = an_object(["a"], a=STRING), an_object(["b"], b=STRING)
WIDE = {
    "in an alternative of an alternative": {"anyOf": [{"anyOf": [A, INTEGER]}, B]},
    "behind a reference": {"anyOf": [{"$ref": "#/$defs/A"}, B]},
    "in a property of both": {"anyOf": [an_object(["x"], x=A), an_object(["x"], x=B)]},
    "in the items of both": {"anyOf": [{"type": "array", "items": A}, {"type": "array", "items": B}]},
    "in an alternative's property": {"anyOf": [an_object(["x"], x={"anyOf": [A, INTEGER]}), an_object(["x"], x=B)]},
    "beside a tree": {"anyOf": [{"$ref": "#/$defs/T"}, an_object(t={"type": "array", "items": an_object(t=A)})]},
}


@pytest.mark.parametrize("schema", WIDE.values(), ids=WIDE)
@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic", "bedrock-converse", "mistral"])
def test_an_object_stays_open_to_what_another_alternative_names_at_its_place(dialect, schema):
    tree = an_object(t={"type": "array", "items": {"$ref": "#/$defs/T"}})
    whole = {**an_object(["u"], u=schema), "$defs": {"A": A, "T": tree}}
    assert not compiled(whole, dialect).strict


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"anyOf": [closed(["a"], a=STRING), INTEGER]}, closed(["b"], b=STRING)]},
        {"anyOf": [an_object(["x"], x=A), {**an_object(["x"], x=A), "title": "the same"}]},
        {"anyOf": [{"type": "array", "items": A}, STRING, {"type": "null"}]},
        {"anyOf": [{"$ref": "#/$defs/T"}, {"allOf": [{"$ref": "#/$defs/T"}]}]},
    ],
)
def test_alternatives_that_name_the_same_or_say_that_no_more_may_come_are_closed(schema):
    tree = an_object(["t"], t={"type": "array", "items": {"$ref": "#/$defs/T"}})
    assert compiled({**an_object(["u"], u=schema), "$defs": {"T": tree}}).strict


def test_alternatives_beyond_what_is_looked_at_are_not_closed(monkeypatch):
    schema = {"anyOf": [an_object(["x"], x=A), {**an_object(["x"], x=A), "title": "the same"}]}
    monkeypatch.setattr("orchestra.dialects.tool_unions.MOST", 2)
    assert any("takes properties that it does not name" in reason for reason in why(an_object(["u"], u=schema)))


def test_texts_that_another_type_rules_out_tell_no_alternatives_apart():
    texts = [{"enum": ["a"], "type": "integer"}, {"enum": ["b"]}, STRING]
    assert any("the alternatives of oneOf overlap" in reason for reason in why(an_object(["u"], u={"oneOf": texts})))


def test_the_words_of_a_schema_and_of_the_one_in_its_all_of_are_both_said():
    inner = {**STRING, "title": "In", "description": "Inner.", "default": "q"}
    said = strict(an_object(["a"], a={"allOf": [inner], "title": "Out", "description": "Outer."}))["properties"]["a"]
    assert said == {**STRING, "title": "Out", "description": 'Outer. Inner. (default: "q") (title: "In")'}
    assert strict(an_object(["a"], a={"allOf": [inner]}))["properties"]["a"]["title"] == "In"


def test_a_tree_of_sixty_levels_goes_both_ways():
    found = compiled({**an_object(["v"], v=INTEGER, w=STRING, kids={"type": "array", "items": {"$ref": "#"}})})
    assert found.strict
    value, written = {"v": 0}, {"v": 0, "w": None, "kids": None}
    for number in range(60):
        value, written = {"v": number, "kids": [value]}, {"v": number, "kids": [written], "w": None}
    assert found.encode(value) == written
    assert found.decode(written) == value


def test_an_alternative_that_is_no_object_has_no_nulls():
    found = compiled(an_object(v={"anyOf": [closed(x=INTEGER), STRING], "title": "v"}, w={"allOf": [STRING]}))
    assert found.strict
    assert found.encode({"v": "x"}) == {"v": "x", "w": None}
    assert found.encode({"v": {}}) == {"v": {"x": None}, "w": None}
    assert found.decode({"v": {"x": None}, "w": None}) == {"v": {}}


def test_a_recursive_schema_is_strict_for_openai_and_for_nobody_else():
    schema = an_object(["v"], v=INTEGER, next={"$ref": "#"})
    found = compiled(schema)
    assert found.strict
    assert found.encode({"v": 1, "next": {"v": 2}}) == {"v": 1, "next": {"v": 2, "next": None}}
    for dialect in ("anthropic", "bedrock-converse", "mistral", "cohere"):
        assert why(schema, dialect) == ("#: a recursive schema cannot be enforced",)


def test_a_schema_under_arguments_can_be_strict_too():
    found = compiled({"anyOf": [an_object(a=STRING)]})
    assert found.strict
    assert found.encode({}) == {"arguments": {"a": None}}
    assert found.decode({"arguments": {"a": None}}) == {}


def test_cohere_knows_neither_unions_nor_tools_without_a_required_property():
    assert why(an_object(["a"], a={"anyOf": [STRING, INTEGER]}), "cohere") == (
        "#/properties/a: anyOf cannot be enforced",
    )
    assert why(an_object(["a"], a={"type": ["string", "null"]}), "cohere") == (
        "#/properties/a: more than one type cannot be enforced",
    )
    described = {**an_object(["a"], a={"$ref": "#/$defs/A", "title": "t"}), "$defs": {"A": STRING}}
    assert why(described, "cohere") == ("#/properties/a: words beside a reference cannot be said",)
    assert why(an_object(a=STRING), "cohere") == ("#: no property is required",)


def test_anthropic_enforces_one_item_at_least_but_no_more():
    one = {"type": "array", "items": STRING, "minItems": 1}
    assert strict(an_object(a=one), "anthropic")["properties"]["a"] == one
    assert why(an_object(a={**one, "minItems": 2}), "anthropic") == ("#/properties/a: minItems cannot be enforced",)


def test_gemini_cannot_be_strict_and_says_so():
    assert why(closed(a=STRING), "gemini") == ("Gemini generateContent enforces no schemas of tools",)
    with pytest.raises(ToolError, match="'gemini': Gemini generateContent enforces no schemas"):
        compiled(closed(a=STRING), "gemini", strict=True)


def nested(levels):
    schema = STRING
    for _ in range(levels):
        schema = an_object(["a"], a=schema)
    return schema


def test_openais_limits_hold():
    assert compiled(nested(10)).strict
    assert why(nested(11)) == ("#: 11 levels, at most 10",)
    through = {**an_object(["a"], a={"$ref": "#/$defs/A"}), "$defs": {"A": nested(10)}}
    assert why(through) == ("#: 11 levels, at most 10",)
    words = [f"word {number}" for number in range(1001)]
    assert why(an_object(["a"], a={"enum": words})) == ("#: 1,001 enum values, at most 1,000",)
    assert why(an_object(["a"], a={"enum": ["x" * 120_000]})) == ("#: 120,001 characters, at most 120,000",)
    names = {f"p{number}": STRING for number in range(5001)}
    assert why(an_object(list(names), **names)) == ("#: 5,001 properties, at most 5,000",)


def listed(count, length):
    """An enum of so many texts, all of them together so long."""
    texts = [f"{number:04}" for number in range(count - 1)]
    return {"enum": [*texts, "x" * (length - 4 * len(texts))]}


def test_openai_limits_the_texts_of_one_long_enum():
    assert compiled(an_object(["a"], a=listed(250, 15_001))).strict
    assert compiled(an_object(["a"], a=listed(251, 15_000))).strict
    assert compiled(an_object(["a", "b"], a=listed(251, 15_000), b=listed(300, 15_000))).strict
    assert why(an_object(["a"], a=listed(251, 15_001))) == (
        "#: 15,001 characters in one enum of more than 250 values, at most 15,000",
    )


def test_names_definitions_and_values_are_counted_to_the_character():
    schema = {**an_object(["ab"], ab={"$ref": "#/$defs/Def"}), "$defs": {"Def": {"enum": ["x" * 119_995]}}}
    assert compiled(schema).strict
    schema["$defs"]["Def"]["enum"].append("y")
    assert why(dict(schema)) == ("#: 120,001 characters, at most 120,000",)


def test_a_chain_of_references_counts_its_levels_wherever_it_comes_back_to_itself():
    def ring(size):
        kinds = {f"D{each}": an_object(["n"], n={"$ref": f"#/$defs/D{(each + 1) % size}"}) for each in range(size)}
        return {**an_object(["a"], a={"$ref": "#/$defs/D0"}), "$defs": kinds}

    assert compiled(ring(9)).strict
    assert why(ring(10)) == ("#: 11 levels, at most 10",)


def tools(count, schema):
    return [ToolSpec(f"t{number}", "", dict(schema)) for number in range(count)]


@pytest.mark.parametrize(
    ("schema", "fit", "fault"),
    [
        (closed(["a"], a=STRING), 20, "the request has 21 tools, at most 20"),
        (closed(a=STRING, b=STRING), 12, "the request has 26 optional properties, at most 24"),
        (closed(["a"], a={"type": ["string", "null"]}), 16, "the request has 17 unions, at most 16"),
    ],
)
@pytest.mark.parametrize("dialect", ["anthropic", "bedrock-converse"])
def test_anthropics_limits_hold_for_the_tools_of_a_request_together(dialect, schema, fit, fault):
    found = list(compile_tools(tools(fit + 2, schema), dialect).values())
    assert [each.strict for each in found] == [True] * fit + [False] * 2
    assert found[-1].lenient == (fault,)
    assert "strict" not in found[-1].declaration
    assert all(each.strict for each in compile_tools(tools(fit + 2, schema), "mistral").values())


def test_a_tool_beyond_the_limits_does_not_keep_a_smaller_one_behind_it_from_being_strict():
    many = closed(**{f"p{number}": STRING for number in range(20)})
    specs = [ToolSpec("one", "", many), ToolSpec("two", "", dict(many)), ToolSpec("three", "", closed(["a"], a=STRING))]
    assert [each.strict for each in compile_tools(specs, "anthropic").values()] == [True, False, True]


def test_cohere_enforces_all_tools_of_a_request_or_none():
    specs = [ToolSpec("one", "", closed(["a"], a=STRING)), ToolSpec("two", "", an_object(a=STRING))]
    assert [each.strict for each in compile_tools(specs, "cohere").values()] == [False, False]
    assert compile_tools(specs, "cohere")["one"].lenient == ("another tool of the request cannot be strict",)
    assert compile_tools(specs[:1], "cohere")["one"].strict
