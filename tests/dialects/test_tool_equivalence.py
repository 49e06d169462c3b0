"""Any schema, any arguments: what a dialect's declaration takes is what the original takes, once encoded."""

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects.tool_schema import DIALECTS, as_json_schema, compile_tool
from orchestra.types import ToolSpec

NAMES = st.sampled_from(["a", "b", "c", "a b"])
SIMPLE = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
VALUES = st.none() | st.booleans() | st.sampled_from([0, 1, 1.5, "", "a", "bb"])
LEAVES = st.one_of(
    st.booleans(),
    st.fixed_dictionaries({"type": SIMPLE | st.lists(SIMPLE, min_size=1, max_size=2, unique=True)}),
    st.fixed_dictionaries({"type": st.just("integer"), "minimum": st.integers(0, 1)}),
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": st.integers(0, 2), "pattern": st.just("^a$")}),
    st.builds(lambda values: {"enum": values}, st.lists(VALUES, min_size=1, max_size=3)),
    st.builds(lambda value: {"const": value}, VALUES),
    st.fixed_dictionaries({"$ref": st.sampled_from(["#", "#/$defs/A", "#/$defs/B", "#here", "#/properties/a"])}),
)


def compound(inner):
    objects = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(NAMES, inner, max_size=3)},
        optional={"required": st.lists(NAMES, max_size=2, unique=True), "additionalProperties": st.just(False) | inner},
    )
    lists = st.fixed_dictionaries(
        {"type": st.just("array")},
        optional={"items": inner, "prefixItems": st.lists(inner, min_size=1, max_size=2), "minItems": st.integers(0, 1)},
    )
    composed = st.sampled_from(["anyOf", "oneOf", "allOf"]).flatmap(
        lambda key: st.fixed_dictionaries({key: st.lists(inner, min_size=1, max_size=3)}, optional={"description": st.just("d")})
    )
    return objects | objects | lists | composed | st.fixed_dictionaries({"not": inner})


SCHEMAS = st.recursive(LEAVES, compound, max_leaves=5)
ROOTS = st.builds(
    lambda root, a, b, here: {**root, "$defs": {"A": a, "B": b, "Here": {"$anchor": "here", **here}}},
    compound(SCHEMAS).filter(lambda root: root.get("type") != "array"),
    SCHEMAS,
    SCHEMAS,
    compound(LEAVES),
)
INSTANCES = st.dictionaries(
    NAMES | st.just("d"),
    st.recursive(
        VALUES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=5
    ),
    max_size=3,
)


def fits(schema, value):
    """None where the schema never ends."""
    try:
        return jsonschema.Draft202012Validator(schema).is_valid(value)
    except Exception as error:  # references without end, or into what is no schema
        assert isinstance(error, RecursionError) or type(error).__module__.startswith(("referencing", "jsonschema")), error
        return None


def closed(schema):
    """The schema with every object closed that names properties and does not say whether more may come."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: item if key in ("enum", "const") else closed(item) for key, item in schema.items()}
    if isinstance(schema.get("type"), str) and "properties" in schema:
        result.setdefault("additionalProperties", False)
    return result


def closed_by_name(schema):
    result = {}
    for key, item in schema.items():
        result[key] = item
    return result


@pytest.mark.parametrize("dialect", DIALECTS)
@given(ROOTS, INSTANCES)
@settings(deadline=None, max_examples=150)
def test_a_schema_that_is_not_enforced_takes_exactly_what_the_original_takes(dialect, schema, arguments):
    compiled = compile_tool(ToolSpec("t", "", schema), dialect, strict=False)
    encoded = compiled.encode(arguments)
    assert compiled.decode(encoded) == arguments
    original = fits(schema, arguments)
    if original is not None and not compiled.losses:
        assert fits(as_json_schema(compiled, dialect), encoded) == original


@pytest.mark.parametrize("dialect", [each for each in DIALECTS if each != "gemini"])
@given(ROOTS, INSTANCES)
@settings(deadline=None, max_examples=150)
def test_an_enforced_schema_takes_exactly_what_the_original_takes_with_nothing_invented(dialect, schema, arguments):
    compiled = compile_tool(ToolSpec("t", "", schema), dialect)
    if not compiled.strict:
        return
    assert compiled.losses == ()
    encoded = compiled.encode(arguments)
    meant = fits(closed(schema), arguments)
    enforced = fits(as_json_schema(compiled, dialect), encoded)
    if meant:
        assert enforced
        assert compiled.decode(encoded) == arguments
    if enforced:
        assert fits(schema, compiled.decode(encoded))
