"""Tools and the forms of answers, in all the ways in which LangChain says them, as JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from langchain_core.messages import AIMessage
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool

from orchestra.checks import parse_output
from orchestra.errors import ConfigError
from orchestra.toolbox import Tool, as_tools
from orchestra.toolbox.declared import Declaration, declared
from orchestra.types import Json


def declaration(tool: Any, at: int) -> Mapping[str, Any]:
    """The tool as OpenAI-style JSON, which bindings and traces can hold; its schema stays what it was.

    Raises ConfigError for one that a provider runs itself; `at` is its place.
    """
    if isinstance(tool, Mapping) and "function" in tool:
        return cast("Mapping[str, Any]", tool)
    if isinstance(tool, Mapping | type):
        converted = convert_to_openai_tool(cast("Any", tool))
        if "function" not in converted:
            raise ConfigError(
                f"tools[{at}]: {converted.get('type')!r} runs at one provider; give a function, a tool or a schema"
            )
        return converted
    spec = as_tools([tool])[0].spec
    return {
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": spec.schema},
    }


def tools_of(offered: Iterable[Any]) -> list[Tool]:
    """What is offered as tools of ours. Raises ConfigError, ToolError."""
    functions = [declaration(tool, at)["function"] for at, tool in enumerate(offered)]
    return declared(Declaration(one["name"], one.get("description"), one.get("parameters")) for one in functions)


def tool_choice_of(choice: Any) -> Any:
    """LangChain's, OpenAI's and Anthropic's ways to say it as ours."""
    if isinstance(choice, bool):
        return "required" if choice else "auto"
    if isinstance(choice, Mapping):
        said = cast("dict[str, Any]", choice)
        choice = said.get("name") or said.get("function", {}).get("name") or said.get("type")
    return "required" if choice == "any" else choice


def output_of(schema: Any) -> Any:
    """A pydantic model or JSON Schema to hold answers to; what other forms say becomes JSON Schema."""
    if not isinstance(schema, Mapping):
        return schema if hasattr(schema, "model_json_schema") else convert_to_json_schema(schema)
    said = cast("dict[str, Any]", schema)
    if said.get("type") in _FORMATS:
        return _FORMATS[said["type"]]
    if "json_schema" in said:
        return said["json_schema"]["schema"]
    return convert_to_json_schema(said) if {"function", "parameters", "input_schema"} & said.keys() else said


def parsed_as(schema: Any, output: Any, message: AIMessage) -> Any:
    """The answer as the schema's value; the checks have found that it fits."""
    wanted = cast("Mapping[str, Json]", output if isinstance(output, Mapping) else output.model_json_schema())
    value, _ = parse_output(message.text, wanted)
    for read in ("model_validate", "parse_obj"):  # pydantic 2, pydantic 1
        if isinstance(schema, type) and hasattr(schema, read):
            return getattr(schema, read)(value)
    return value


_FORMATS: Mapping[str, Any] = {"json_object": {"type": "object"}, "text": None}  # OpenAI's response formats
