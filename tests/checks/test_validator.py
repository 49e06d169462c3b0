import gzip
import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings

from orchestra.checks import schema_fault, validator, violations
from tests.checks.test_schema import INSTANCES, SCHEMAS

DATA = Path(os.environ.get("ORCHESTRA_DATA", Path(__file__).parents[3] / "shared" / "data")) / "tools"


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"properties": {"a": {"type": "text"}}}, "at #/properties/a/type: 'text' is no type; known: array, boolean"),
        ({"type": ["string", "Boolean"]}, "at #/type/1: 'Boolean' is not one of ['array', "),
        ({"properties": {"type": "string"}}, "at #/properties/type: 'string' is not of type 'object', 'boolean'"),
        (
            {"items": {"$ref": "#/$defs/A"}, "$defs": {"A": {"$ref": "#/items"}}},
            "at #/items/$ref: '#/$defs/A' leads back",
        ),
        ({"properties": {"a/b~": {"minimum": "1"}}}, "at #/properties/a~1b~0/minimum: '1' is not of type 'number'"),
        ({"required": "a"}, "at #/required: 'a' is not of type 'array'"),
        (
            {"items": {"$ref": "#/$defs/gone"}},
            "at #/items/$ref: '#/$defs/gone' leads nowhere in the schema; put what it names",
        ),
        (
            {"anyOf": [True, {"$ref": "https://example.com/x"}]},
            "at #/anyOf/1/$ref: 'https://example.com/x' leads nowhere",
        ),
        ({"$id": "https://example.com/a", "$ref": "b"}, "at #/$ref: 'b' leads nowhere"),
    ],
)
def test_a_fault_of_a_schema_names_its_place_as_a_json_pointer(schema, fault):
    assert schema_fault(schema).startswith(fault)


@pytest.mark.parametrize("key", ["$id", "id"])
def test_an_identity_that_is_no_uri_is_a_fault_at_its_place(key):
    draft = "http://json-schema.org/draft-04/schema#" if key == "id" else "https://json-schema.org/draft/2020-12/schema"
    inner = {key: "http://[bad", "properties": {"b": {"$ref": "x"}}}
    schema = {"$schema": draft, "properties": {"a/b": inner, "id": {"type": "string"}}}
    assert schema_fault(schema) == f"at #/properties/a~1b/{key}: Invalid IPv6 URL; give a URI, or leave it out"
    assert violations({key: "http://[bad", "$schema": draft, "type": "string"}, 3) != ()


@pytest.mark.parametrize(
    "draft", ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"]
)
def test_a_schema_too_deep_to_be_checked_is_a_fault(draft):
    schema = {"type": "string"}
    for _ in range(400):
        schema = {"type": "object", "properties": {"a": schema}}
    assert schema_fault({**schema, "$schema": draft}) == "at #: nested without end, or too deeply to be checked"


def test_a_long_chain_of_references_is_followed_once():
    names = [f"d{number}" for number in range(300)]
    chain = {name: {"$ref": f"#/$defs/{after}"} for name, after in pairwise(names)}
    assert schema_fault({"$ref": "#/$defs/d0", "$defs": {**chain, "d299": {"type": "string"}}}) == ""
    looped = {"$ref": "#/$defs/d0", "$defs": {**chain, "d299": {"$ref": "#/$defs/d150"}}}
    assert "leads back to itself" in schema_fault(looped)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/A", "$defs": {"A": {"$anchor": "here", "not": {"$ref": "#here"}}}},
        {"$id": "https://example.com/a", "$ref": "b#/$defs/C", "$defs": {"B": {"$id": "b", "$defs": {"C": True}}}},
        {"properties": {"$ref": {"type": "string"}}, "default": {"$ref": "#/nowhere"}},
        {"$schema": "http://json-schema.org/draft-04/schema#", "id": "https://example.com/x", "items": {"$ref": "#"}},
        {"$schema": "https://example.com/our-own", "type": "object"},
    ],
)
def test_references_that_lead_somewhere_are_no_fault(schema):
    assert schema_fault(schema) == ""


def test_a_schema_that_only_an_older_draft_knows_is_read_by_that_draft():
    pair = {"type": "array", "items": [{"type": "integer"}, {"type": "string"}]}
    assert schema_fault(pair) == ""
    assert violations(pair, [1, "x"]) == ()
    assert violations(pair, ["x"]) != ()
    above = {"minimum": 1, "exclusiveMinimum": True}
    assert schema_fault(above) == ""
    assert violations(above, 2) == ()
    assert violations(above, 1) != ()


class Engine:
    """Stands for jsonschema-rs: notes what it is asked and takes what it is told to."""

    def __init__(self, takes):
        self.takes, self.asked = takes, []

    def Draft202012Validator(self, schema, **options):
        assert options == {"validate_formats": False, "offline": True}
        if "refused" in schema:
            raise ValueError("a schema that it does not take")
        return self

    def is_valid(self, value):
        self.asked.append(value)
        if isinstance(value, tuple):
            raise TypeError("no JSON")
        return self.takes


@pytest.fixture
def engine(monkeypatch):
    def use(takes):
        made = Engine(takes)
        monkeypatch.setattr(validator, "_engine", lambda: made)
        validator.quick_of.cache_clear()
        return made

    yield use
    validator.quick_of.cache_clear()


def test_what_the_quick_engine_takes_is_taken_and_what_it_refuses_is_judged_in_words(engine):
    quick = engine(takes=True)
    assert violations({"type": "string"}, 3) == ()
    assert quick.asked == [3]
    engine(takes=False)
    assert violations({"type": "string"}, 3) == ("the value: expected string, got 3 (integer)",)
    assert violations({"type": "string"}, "x") == ()


def test_what_the_quick_engine_cannot_read_is_judged_without_it(engine):
    engine(takes=True)
    assert violations({"type": "array", "maxItems": 1}, (1, 2)) == ("the value: expected at most 1 items, got [1, 2]",)
    assert violations({"type": "string", "refused": True}, 3) != ()
    assert violations({"$ref": "#"}, 3) == ("the value or its schema is nested without end",)
    assert violations({"$schema": "http://json-schema.org/draft-03/schema#", "type": "string"}, 3) != ()


def test_without_the_quick_engine_nothing_changes(engine, monkeypatch):
    engine(takes=True)
    monkeypatch.setattr(validator, "_engine", lambda: None)
    assert violations({"type": "string"}, 3) != ()


def test_a_missing_engine_is_no_engine(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(validator, "import_module", missing)
    validator._engine.cache_clear()
    assert validator._engine() is None
    validator._engine.cache_clear()


def both(schema, value):
    """What the quick engine says, and jsonschema alone."""
    quick = validator.quick_of(json.dumps(schema))(value)
    slow = validator.validator_of(json.dumps(schema))
    return quick, not isinstance(slow, str) and slow.is_valid(value)


@settings(deadline=None, max_examples=300)
@given(SCHEMAS, INSTANCES)
def test_both_engines_agree_on_any_schema(schema, instance):
    pytest.importorskip("jsonschema_rs")
    quick, slow = both(schema, instance)
    assert quick == slow


def test_both_engines_agree_over_the_data():
    pytest.importorskip("jsonschema_rs")
    path = DATA / "tool_schemas.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no data at {path}; set ORCHESTRA_DATA")
    values = [{}, {"a": 1}, [], "x"]
    with gzip.open(path, "rt") as lines:
        for line in lines:
            schema = json.loads(line)["schema"]
            full = {name: _example(part) for name, part in schema.get("properties", {}).items()}
            for value in (*values, full, {**full, "more": None}, dict.fromkeys(full, "x"), dict.fromkeys(full, 1)):
                quick, slow = both(schema, value)
                assert quick == slow, (schema, value)


def _example(schema):
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: _example(part) for name, part in schema.get("properties", {}).items()}
    return {"array": [], "integer": 1, "number": 1.5, "boolean": True, "null": None}.get(kind, "x")


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"$schema": "http://[bad"}, "at #/$schema: no URI"),
        ({"items": {"$schema": "http://[bad"}}, "at #/items/$schema: no URI"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "at #/$schema: draft-03 is not supported; known:"),
        ({"default": {1}}, "at #/default: {1} is no JSON"),
        ({"properties": {"a/b": {"default": [1, float("nan")]}}}, "at #/properties/a~1b/default/1: nan is no JSON"),
        ({"x": {b"k": 1}}, "at #/x: b'k' is no JSON"),
    ],
)
def test_a_schema_of_no_known_draft_or_of_no_json_is_a_fault_at_its_place(schema, fault):
    assert schema_fault(schema).startswith(fault)


@pytest.mark.parametrize("key", ["examples", "readOnly", "deprecated"])
def test_an_annotation_of_a_wrong_type_changes_neither_the_draft_nor_what_fits(key):
    schema = {"properties": {"a": {"const": 5, key: "yes"}}, "dependentRequired": {"a": ["b"]}}
    assert schema_fault(schema) == ""
    assert len(violations(schema, {"a": 6})) == 2


def test_a_draft_named_inside_a_schema_does_not_change_how_it_is_read():
    inner = {"$schema": "http://json-schema.org/draft-04/schema#", "const": 5}
    assert violations({"properties": {"a": inner}}, {"a": 6}) != ()
