"""Every tool of the data and every hard schema, as each dialect declares it, against the official type of a tool."""

import gzip
import json
import os
from pathlib import Path

import anthropic.types
import botocore.session
import cohere
import mistralai.client.models
import openai.types.chat
import openai.types.responses
import pytest
from google.genai import types as genai

from orchestra.dialects.tool_schema import DIALECTS, compile_tool, compile_tools
from orchestra.types import ToolSpec
from tests.sdk.closed import NotAccepted, check

DATA = Path(os.environ.get("ORCHESTRA_DATA", Path(__file__).parents[3] / "shared" / "data")) / "tools"
_BEDROCK = botocore.session.get_session().get_service_model("bedrock-runtime")
TOOLS = {
    "openai-chat": openai.types.chat.ChatCompletionFunctionToolParam,
    "openai-responses": openai.types.responses.FunctionToolParam,
    "anthropic": anthropic.types.ToolParam,
    "gemini": genai.FunctionDeclaration,
    "bedrock-converse": _BEDROCK.shape_for("Tool"),
    "mistral": mistralai.client.models.Tool,
    "cohere": cohere.ToolV2,
}
STRING = {"type": "string"}
HARD = [
    {},
    {"type": ["object", "null"], "properties": {"a": True, "b": False}},
    {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#/properties/a"}}, "required": ["a"]},
    {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [STRING, {"type": "object", "properties": {"a": STRING}}]}}},
    {"allOf": [{"type": "object", "properties": {"a": {"const": None}}}], "unevaluatedProperties": False},
    {"enum": [{"a": 1}, {"a": 2.5}]},
    {
        "type": "object",
        "properties": {"a b": {"enum": [1, None, True, "x", [1], {"y": 2}]}},
        "additionalProperties": STRING,
    },
    {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"p": {"items": [STRING]}}},
    {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {"n": STRING}}}},
    },
    {"type": "object", "properties": {"x" * 200: {"type": "string", "default": "é", "format": "uri"}}},
]
NAMES = ["rows", "shop.cart.add", "look up", "поиск", "x" * 200, "1st", "", "-"]


@pytest.mark.parametrize("strict", ["auto", False])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_hard_schemas_and_names_are_declared_as_the_provider_types_it(dialect, strict):
    for number, schema in enumerate(HARD):
        compiled = compile_tool(ToolSpec(NAMES[number % len(NAMES)], "Does é.", schema), dialect, strict)
        check(TOOLS[dialect], compiled.declaration)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_real_tools_are_declared_as_the_provider_types_it(dialect):
    path = DATA / "tool_schemas.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no data at {path}; set ORCHESTRA_DATA")
    with gzip.open(path, "rt") as lines:
        specs = [ToolSpec(row["name"], row["description"], row["schema"]) for row in map(json.loads, lines)]
    assert len(specs) > 2_000
    for spec in specs:
        check(TOOLS[dialect], compile_tool(spec, dialect).declaration)
    for compiled in compile_tools(specs[:40], dialect).values():
        check(TOOLS[dialect], compiled.declaration)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_declaration_with_a_word_too_many_is_refused(dialect):
    compiled = compile_tool(ToolSpec("t", "", {}), dialect)
    with pytest.raises(NotAccepted):
        check(TOOLS[dialect], {**compiled.declaration, "invented": 1})
