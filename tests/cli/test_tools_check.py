import pytest

from orchestra.cli import tool_check
from orchestra.cli.tool_check import check
from orchestra.dialects import CODECS
from orchestra.dialects.tool_schema import CompiledTool
from orchestra.errors import ToolError
from orchestra.types import ToolSpec

SCHEMA = {
    "type": "object",
    "properties": {"sql": {"type": "string"}, "limit": {"type": ["integer", "null"]}},
    "required": ["sql"],
}
ROWS = ToolSpec("shop.rows", "Run it", SCHEMA)


def as_is(arguments):
    return arguments


def compiled(monkeypatch, schema, encode=as_is, decode=as_is, strict=False):
    """What every tool is compiled to from now on."""
    made = CompiledTool("rows", {"type": "function", "function": {"parameters": schema}}, encode, decode, (), strict)
    monkeypatch.setattr(tool_check, "compile_tool", lambda tool, dialect: made)


def tally(*tools):
    return check(tools or [ROWS], ["openai-chat"], 0).dialects["openai-chat"]


def found(counted):
    names = ("raised", "narrowed", "widened", "roundtrip", "ambiguous")
    return {name for name in names if getattr(counted, name)}


def test_the_real_compiler_loses_nothing_in_any_dialect():
    checked = check([ROWS], CODECS, 0)
    for counted in checked.dialects.values():
        assert found(counted) == set()
        assert not counted.lost
        assert (counted.compiled, counted.renamed) == (1, 1)
    assert checked.dialects["anthropic"].strict == 1
    assert checked.valid > 5 < checked.invalid
    assert checked.invented


def test_the_same_schema_is_no_loss(monkeypatch):
    compiled(monkeypatch, SCHEMA)
    assert found(tally()) == set()


def test_a_translation_that_requires_what_was_optional_is_narrowed(monkeypatch):
    compiled(monkeypatch, SCHEMA | {"required": ["sql", "limit"]})
    counted = tally()
    assert found(counted) == {"narrowed"}
    assert counted.lost
    assert "limit" not in counted.examples[0]["arguments"]


def test_a_translation_that_refuses_only_what_nobody_named_is_not_narrowed(monkeypatch):
    compiled(monkeypatch, SCHEMA | {"additionalProperties": False})
    assert found(tally()) == set()


def test_a_translation_that_takes_more_is_widened_only_where_nothing_notices(monkeypatch):
    compiled(monkeypatch, {})
    assert found(tally()) == set()
    monkeypatch.setattr(tool_check, "violations", lambda schema, arguments: ())
    assert found(tally()) == {"widened"}
    compiled(monkeypatch, SCHEMA)
    assert found(tally()) == set()


def test_arguments_that_come_back_changed_are_a_roundtrip_failure(monkeypatch):
    compiled(monkeypatch, SCHEMA, decode=lambda given: {key: value for key, value in given.items() if key == "sql"})
    assert "roundtrip" in found(tally())


def test_a_lost_null_is_ambiguous_where_the_property_may_be_absent_and_a_failure_where_it_may_not(monkeypatch):
    def without_nulls(given):
        return {key: value for key, value in given.items() if value is not None}

    compiled(monkeypatch, SCHEMA, decode=without_nulls)
    counted = tally()
    assert found(counted) == {"ambiguous"}
    assert not counted.lost
    needed = ToolSpec("rows", "", SCHEMA | {"required": ["limit"]})
    assert "roundtrip" in found(tally(needed))


@pytest.mark.parametrize("where", ["compile", "encode"])
def test_whatever_raises_is_counted_and_the_others_go_on(monkeypatch, where):
    def fails(*_):
        raise ToolError("no such thing")

    if where == "compile":
        monkeypatch.setattr(tool_check, "compile_tool", fails)
    else:
        compiled(monkeypatch, SCHEMA, encode=fails)
    counted = tally(*[ROWS] * 5)
    assert (counted.raised, counted.compiled) == (5, 0)
    assert [one["error"] for one in counted.examples] == ["ToolError: no such thing"] * 3


def test_a_tool_without_arguments_is_compiled_and_said_to_be_unchecked():
    bad = ToolSpec("bad", "", {"type": "object", "properties": {"a": False}, "required": ["a"]})
    steps = []
    checked = check([bad, ROWS], ["gemini"], 0, lambda: steps.append(1))
    ((name, why),) = checked.unchecked
    assert (name, why[:13]) == ("bad", "Unsatisfiable")
    assert checked.dialects["gemini"].compiled == checked.tools == len(steps) == 2
    assert not checked.failed


def test_a_schema_that_is_none_fails_the_check_and_says_where():
    bad = ToolSpec("bad", "", {"type": "object", "properties": {"a": {"type": "Text"}}})
    checked = check([ROWS, bad], ["gemini"], 0)
    ((number, fault),) = checked.faulty
    assert (number, fault[:32]) == (1, "at #/properties/a/type: 'Text' i")
    assert checked.failed


def closing(tool, dialect):
    """Compiles as one who closes every object there is, whatever its neighbours name."""

    def closed(schema):
        if isinstance(schema, list):
            return [closed(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        inner = {key: closed(value) for key, value in schema.items()}
        return {**inner, "additionalProperties": False} if "properties" in schema else inner

    schema = closed(tool.schema)
    return CompiledTool("t", {"type": "function", "function": {"parameters": schema}}, as_is, as_is)


A, B = ({"type": "object", "properties": {name: {"type": "string"}}, "required": [name]} for name in "ab")


@pytest.mark.parametrize(
    "union",
    [
        {"anyOf": [A, B]},
        {"anyOf": [{"anyOf": [A, {"type": "integer"}]}, B]},
        {"anyOf": [{"type": "object", "properties": {"x": each}, "required": ["x"]} for each in (A, B)]},
        {"anyOf": [{"type": "array", "items": each} for each in (A, B)]},
    ],
)
def test_closing_an_alternative_to_what_its_neighbour_names_is_narrowing(monkeypatch, union):
    tool = ToolSpec("t", "", {"type": "object", "properties": {"u": union}, "required": ["u"]})
    assert found(tally(tool)) == set()
    monkeypatch.setattr(tool_check, "compile_tool", closing)
    assert found(tally(tool)) == {"narrowed"}


def test_a_tool_that_cannot_be_declared_at_all_is_faulty_and_not_raised_in_every_dialect():
    bad = {"type": "object", "$schema": "http://[x"}
    checked = check([ROWS, ToolSpec("list", "", {"type": "array"}), ToolSpec("bad", "", bad)], CODECS, 0)
    assert checked.faulty == [
        (1, "at #/type: 'array'; arguments are always an 'object'"),
        (2, "at #/$schema: no URI; give one, or leave it out"),
    ]
    assert all((each.raised, each.compiled) == (0, 1) for each in checked.dialects.values())
