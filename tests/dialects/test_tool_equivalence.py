"""Any schema, any arguments: what a dialect's declaration takes is what the original takes, once encoded."""

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing.exceptions import Unresolvable

from orchestra.dialects.tool_schema import DIALECTS, as_json_schema, compile_tool
from orchestra.types import ToolSpec

NAMES = st.sampled_from(["a", "b", "c", "a b"])
SIMPLE = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
VALUES = st.none() | st.booleans() | st.sampled_from([0, 1, 1.5, "", "a", "bb"])
LEAVES = st.one_of(
    st.booleans(),
    st.fixed_dictionaries({"type": SIMPLE | st.lists(SIMPLE, min_size=1, max_size=2, unique=True)}),
    st.fixed_dictionaries({"type": st.just("integer"), "minimum": st.integers(0, 1)}),
    st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"minLength": st.integers(0, 2), "pattern": st.just("^a$")}
    ),
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
        optional={
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "minItems": st.integers(0, 1),
        },
    )
    composed = st.sampled_from(["anyOf", "oneOf", "allOf"]).flatmap(
        lambda key: st.fixed_dictionaries(
            {key: st.lists(inner, min_size=1, max_size=3)}, optional={"description": st.just("d")}
        )
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
    except (RecursionError, Unresolvable):
        return None
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # of the library's persistent maps, where the stack ends in them
            return None
        raise


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


@pytest.mark.parametrize("dialect", DIALECTS)
@given(ROOTS, INSTANCES)
@settings(deadline=None, max_examples=60)
def test_a_schema_that_is_not_enforced_takes_exactly_what_the_original_takes(dialect, schema, arguments):
    compiled = compile_tool(ToolSpec("t", "", schema), dialect, strict=False)
    encoded = compiled.encode(arguments)
    assert compiled.decode(encoded) == arguments
    original = fits(schema, arguments)
    if original is not None and not compiled.losses:
        assert fits(as_json_schema(compiled, dialect), encoded) == original


def choices(pair):
    """Two objects told apart by a marker, neither open to what the other names."""
    (one, ones), (other, others) = pair

    def marked(word, inner):
        kind = {"const": word}
        return {
            "type": "object",
            "properties": {"kind": kind, "x": inner},
            "required": ["kind"],
            "additionalProperties": False,
        }

    def values(word, inner):
        return st.fixed_dictionaries({"kind": st.just(word)}, optional={"x": inner})

    return {"oneOf": [marked("p", one), marked("q", other)]}, values("p", ones) | values("q", others)


def an_object(properties):
    """An object of properties, each (its name, its schema and values, whether it is required)."""
    schemas = {name: schema for name, ((schema, _), _) in properties.items()}
    wanted = [name for name, (_, required) in properties.items() if required]
    values = {name: value for name, ((_, value), _) in properties.items()}
    return {"type": "object", "properties": schemas, "required": wanted}, st.fixed_dictionaries(
        {name: values[name] for name in wanted},
        optional={name: value for name, value in values.items() if name not in wanted},
    )


def objects(inner):
    return st.dictionaries(NAMES, st.tuples(inner, st.booleans()), min_size=1, max_size=3).map(an_object)


# Schemas as people write them, each with values that fit it.
PAIRS = st.recursive(
    st.sampled_from(
        [
            ({"type": "string"}, st.text(max_size=2)),
            ({"type": "integer", "maximum": 3}, st.integers(max_value=3)),
            ({"type": "string", "enum": ["x", "y", 1]}, st.sampled_from(["x", "y"])),
            ({"enum": ["x", 2]}, st.sampled_from(["x", 2])),
            ({"type": ["string", "null"]}, st.none() | st.text(max_size=2)),
            ({"$ref": "#/$defs/A", "description": "an A"}, st.sampled_from([{"n": 1}, {"n": 0, "o": "x"}])),
            ({"$ref": "#/$defs/T"}, st.sampled_from([{}, {"kids": []}, {"kids": [{}, {"kids": [{}]}]}])),
        ]
    ),
    lambda inner: (
        objects(inner)
        | inner.map(lambda pair: ({"type": "array", "items": pair[0]}, st.lists(pair[1], max_size=2)))
        | st.tuples(inner, inner).map(choices)
    ),
    max_leaves=5,
)
A, _ = an_object({"n": (({"type": "integer"}, ...), True), "o": (({"type": "string"}, ...), False)})
T = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/T"}}}}


@st.composite
def calls(draw):
    schema, values = draw(objects(PAIRS))
    return {**schema, "$defs": {"A": A, "T": T}}, draw(values)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(calls(), st.data())
@settings(deadline=None, max_examples=100)
def test_an_enforced_schema_takes_what_fits_the_original_and_nothing_that_does_not(dialect, call, data):
    schema, arguments = call
    compiled = compile_tool(ToolSpec("t", "", schema), dialect)
    declared = as_json_schema(compiled, dialect)
    assert compiled.losses == ()
    assert fits(declared, compiled.encode(arguments))
    assert compiled.decode(compiled.encode(arguments)) == arguments
    other = {**arguments, data.draw(NAMES): data.draw(VALUES)}
    if fits(declared, compiled.encode(other)):
        assert fits(schema, compiled.decode(compiled.encode(other)))


@pytest.mark.parametrize("dialect", [each for each in DIALECTS if each != "gemini"])
@given(ROOTS, INSTANCES)
@settings(deadline=None, max_examples=60)
def test_what_an_enforced_schema_refuses_the_original_refuses_or_does_not_name(dialect, schema, arguments):
    compiled = compile_tool(ToolSpec("t", "", schema), dialect)
    if compiled.strict and fits(closed(schema), arguments):
        assert fits(as_json_schema(compiled, dialect), compiled.encode(arguments))
        assert compiled.decode(compiled.encode(arguments)) == arguments
