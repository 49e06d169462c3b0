import importlib.metadata
import sys

import pytest
from jsonschema import Draft202012Validator

from orchestra.cli import tool_instances
from orchestra.cli.tool_instances import instances, ready
from orchestra.cli.tool_outline import NoInstances, draft7, judge, named, outline
from orchestra.errors import ConfigError

TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
ROWS = {"type": "object", "properties": {"sql": TEXT, "limit": WHOLE}, "required": ["sql"]}


def test_the_same_seed_makes_the_same_arguments_and_another_one_others():
    assert instances(ROWS, 1) == instances(ROWS, 1)
    assert instances(ROWS, 1) != instances(ROWS, 2)


def test_arguments_are_sorted_by_what_the_schema_itself_says_of_them():
    made, fits = instances(ROWS, 0), Draft202012Validator(ROWS).is_valid
    assert all(map(fits, (*made.valid, *made.invented)))
    assert not any(map(fits, made.invalid))
    assert all(each.keys() <= {"sql", "limit"} for each in made.valid)
    assert all(each.keys() - {"sql", "limit"} for each in made.invented)
    assert all((made.valid, made.invented, made.invalid))
    assert {"limit" in each for each in made.valid} == {True, False}


@pytest.mark.parametrize(
    ("schema", "needed"),
    [
        (
            {"type": "object", "properties": {"v": WHOLE, "next": {"$ref": "#"}}, "required": ["v"]},
            lambda each: "next" in each.get("next", {}),
        ),
        (
            {"type": "object", "properties": {"t": {"$ref": "#/$defs/T"}}, "$defs": {"T": ROWS}},
            lambda each: "limit" in each.get("t", {}),
        ),
        (
            {"type": "object", "properties": {"p": {"type": "array", "prefixItems": [WHOLE, TEXT], "items": False}}},
            lambda each: len(each.get("p", ())) == 2,
        ),
        (
            {"type": "object", "properties": {"a": TEXT, "b": TEXT}, "dependentRequired": {"a": ["b"]}},
            lambda each: "b" in each,
        ),
        ({"allOf": [ROWS, {"properties": {"more": WHOLE}, "required": ["more"]}]}, lambda each: "limit" in each),
        ({"type": "object", "additionalProperties": WHOLE}, bool),
        ({"type": "object", "required": ["x"]}, lambda each: "x" in each),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#", **ROWS, "dependencies": {"limit": ["sql"]}},
            lambda each: "limit" in each,
        ),
        ({}, lambda each: each == {}),
        ({"$ref": "#/$defs/A", "$defs": {"A": True}}, lambda each: each == {}),
    ],
)
def test_hard_schemas_have_arguments_too(schema, needed):
    made = [one for seed in range(3) for one in instances(schema, seed).valid]
    assert any(map(needed, made)), made


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "Unsatisfiable"),
        ({"type": "object", "properties": {"a": TEXT}, "required": ["a"], "not": {"required": ["a"]}}, "Unsatisfiable"),
        ({"type": "string"}, "no arguments that fit it were found"),
        ({"$ref": "#/$defs/A", "$defs": {"A": False}}, "its root allows nothing"),
    ],
)
def test_where_there_are_none_it_says_why(schema, why):
    with pytest.raises(NoInstances, match=why):
        instances(schema, 0)


def test_schemas_that_grow_when_written_out_or_never_end_are_given_up():
    grown = {f"d{n}": {"type": "object", "properties": {"a": _ref(n + 1), "b": _ref(n + 1)}} for n in range(20)}
    with pytest.raises(NoInstances, match="more than 5,000 schemas"):
        instances({"properties": {"a": _ref(0)}, "$defs": grown | {"d20": TEXT}}, 0)
    deep: dict = {"type": "object"}
    for _ in range(5_000):
        deep = {"type": "object", "properties": {"a": deep}}
    with pytest.raises(NoInstances, match="nested too deeply"):
        instances(deep, 0)


def _ref(number):
    return {"$ref": f"#/$defs/d{number}"}


def test_what_any_alternative_names_is_named_whichever_of_them_fits():
    one = {"properties": {"kind": {"const": "a"}, "x": WHOLE}, "required": ["kind"]}
    other = {"properties": {"kind": {"const": "b"}, "y": WHOLE}, "required": ["kind"]}
    shape = outline({"type": "object", "properties": {"v": {"anyOf": [one, other]}}})
    given = {"v": {"kind": "a", "x": 1, "y": 2, "w": 3}, "z": 3}
    assert named(given, shape) == {"v": {"kind": "a", "x": 1, "y": 2}}


def test_names_come_from_every_schema_that_holds_at_once_and_maps_name_none():
    shape = outline(
        {
            "properties": {"a": {"type": "array", "items": {"properties": {"n": WHOLE}}}},
            "allOf": [{"properties": {"b": {"additionalProperties": {"properties": {"n": WHOLE}}}}}],
            "if": {"properties": {"c": TEXT}},
            "dependentSchemas": {"a": {"properties": {"d": {"prefixItems": [{"properties": {"n": WHOLE}}]}}}},
        }
    )
    said = {"a": [{"n": 1, "x": 2}], "b": {"any": {"n": 1, "x": 2}}, "c": "t", "d": [{"x": 1}, {"x": 1}], "e": 1}
    kept = {"a": [{"n": 1}], "b": {"any": {"n": 1}}, "c": "t", "d": [{}, {"x": 1}]}
    assert named(said, shape) == kept


def test_draft_7_spells_what_came_later_and_closes_only_what_stands_alone():
    later = {"prefixItems": [WHOLE], "items": TEXT, "dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": ROWS}}
    assert draft7(later) == {
        "items": [WHOLE],
        "additionalItems": TEXT,
        "dependencies": {"a": ["b"], "c": ROWS},
    }
    assert draft7(ROWS) == ROWS | {"additionalProperties": False}
    assert draft7({"allOf": [ROWS]}) == {"allOf": [ROWS]}
    assert draft7(ROWS | {"required": ["other"]}) == ROWS | {"required": ["other"]}


def test_a_schema_that_cannot_be_used_judges_nothing():
    fits = judge({"properties": {"a": {"$ref": "https://example.com/nowhere"}, "b": {"pattern": "("}}})
    assert fits({"a": 1}) is None
    assert fits({"b": "x"}) is None
    assert fits({}) is True


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis_jsonschema", None)
    with pytest.raises(ConfigError, match=r"pip install 'orchestra-agents\[check\]' \(hypothesis_jsonschema is not"):
        ready()


def test_packages_that_do_not_fit_together_are_no_silent_success(monkeypatch):
    def refuse(schema, seed):
        raise NoInstances("AttributeError: more")

    monkeypatch.setattr(tool_instances, "_made", refuse)
    versions = f"hypothesis {importlib.metadata.version('hypothesis')}"
    with pytest.raises(ConfigError, match=rf"{versions}, hypothesis-jsonschema .* do not work together: Attr"):
        ready()
    monkeypatch.undo()
    ready()
