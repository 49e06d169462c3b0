"""Tools and the forms of answers, in all the ways in which LangChain says them, as JSON Schema."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias, TypeGuard, cast

from langchain_core.messages import AIMessage
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from pydantic import BaseModel, ValidationError

from orchestra.checks import parse_output
from orchestra.errors import ConfigError
from orchestra.toolbox import Tool, as_tools
from orchestra.toolbox.declared import Declaration, declared
from orchestra.toolbox.faults import told
from orchestra.toolbox.typed import json_reader, typed
from orchestra.types import Json

Forms: TypeAlias = Mapping[str, type[BaseModel]]
"""Pydantic models by the names under which answers in them are asked for: of a tool, or of a response format."""


def declaration(tool: Any, at: int) -> Mapping[str, Any]:
    """The tool as OpenAI-style JSON, which bindings and traces can hold; its schema stays what it was.

    Raises ConfigError for one that a provider runs itself, or that says too little; `at` is its place.
    """
    if isinstance(tool, Mapping):
        said = cast("Mapping[str, Any]", tool)
        return said if "function" in said else _converted(_flat(said, at), at)
    if isinstance(tool, type):
        return _converted(tool, at)
    spec = as_tools([tool])[0].spec
    return {
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": spec.schema},
    }


def tools_of(offered: Iterable[Any], forms: Forms = MappingProxyType({})) -> list[Tool]:
    """What is offered as tools of ours; a call of one named in `forms` has to pass that model's validators too.

    Raises ConfigError, ToolError.
    """
    functions = [declaration(tool, at)["function"] for at, tool in enumerate(offered)]
    tools = declared(Declaration(one["name"], one.get("description"), one.get("parameters")) for one in functions)
    if not forms:
        return tools
    return [replace(tool, convert=partial(_fit, forms[tool.name])) if tool.name in forms else tool for tool in tools]


def forms_of(tools: Sequence[Any], declarations: Iterable[Mapping[str, Any]]) -> Forms:
    """The pydantic models among tools, by the names under which they were declared."""
    named = zip(tools, declarations, strict=True)
    return {said["function"]["name"]: tool for tool, said in named if is_model(tool)}


def tool_choice_of(choice: Any) -> Any:
    """LangChain's, OpenAI's and Anthropic's ways to say it as ours."""
    if isinstance(choice, bool):
        return "required" if choice else "auto"
    if isinstance(choice, Mapping):
        said = cast("dict[str, Any]", choice)
        choice = said.get("name") or said.get("function", {}).get("name") or said.get("type") or said
    return "required" if choice == "any" else choice


def output_of(schema: Any, forms: Forms = MappingProxyType({})) -> Any:
    """A pydantic model or JSON Schema to hold answers to; what other forms say becomes JSON Schema.

    A schema whose name is in `forms` is that model.
    """
    if not isinstance(schema, Mapping):
        return schema if hasattr(schema, "model_json_schema") else convert_to_json_schema(schema)
    said = cast("dict[str, Any]", schema)
    if said.get("type") in _FORMATS:
        return _FORMATS[said["type"]]
    if "json_schema" in said:
        return forms.get(said["json_schema"].get("name", ""), said["json_schema"]["schema"])
    return convert_to_json_schema(said) if {"function", "parameters", "input_schema"} & said.keys() else said


def parsed_as(schema: Any, output: Any, message: AIMessage) -> Any:
    """The answer as the schema's value; the checks have found that it fits."""
    wanted = cast("Mapping[str, Json]", output if isinstance(output, Mapping) else output.model_json_schema())
    value, _ = parse_output(message.text, wanted)
    if is_model(schema):
        return typed(value, schema.model_validate, json_reader(schema))
    if isinstance(schema, type) and hasattr(schema, "parse_obj"):  # pydantic 1
        return cast("Any", schema).parse_obj(value)
    return value


@contextmanager
def judged_by(forms: Forms) -> Generator[None]:
    """Calls of an app's chat model in this block are judged by these forms; a request for another model has none."""
    before = _AROUND.set(forms)
    try:
        yield
    finally:
        _AROUND.reset(before)


def forms_around() -> Forms:
    """Those of the block around the call."""
    return _AROUND.get()


def is_model(given: Any) -> TypeGuard[type[BaseModel]]:
    """Whether it is a pydantic model, of pydantic 2."""
    return isinstance(given, type) and issubclass(given, BaseModel)


def _flat(said: Mapping[str, Any], at: int) -> Mapping[str, Any]:
    """A declaration without a frame: OpenAI's of its responses, Anthropic's, a JSON Schema with its title."""
    kind = said.get("type")
    if kind == "custom" and "input_schema" not in said:
        raise ConfigError(
            f"tools[{at}]: a custom tool is called with free text, which one provider's models alone can write; "
            "give a function, a tool or a schema"
        )
    known = kind in ("function", "object") or {"parameters", "input_schema"} & said.keys()
    if not isinstance(kind, str):
        return said
    if not known:
        raise ConfigError(f"tools[{at}]: {kind!r} runs at one provider; give a function, a tool or a schema")
    return said if kind == "object" else {name: value for name, value in said.items() if name != "type"}


def _converted(tool: Any, at: int) -> Mapping[str, Any]:
    try:
        return convert_to_openai_tool(tool)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ConfigError(
            f"tools[{at}]: {tool!r} says no name or no schema; give a function, a tool or a schema"
        ) from None


def _fit(form: type[BaseModel], arguments: Mapping[str, Json]) -> tuple[dict[str, Any], list[str]]:
    """The arguments of a call that is an answer in this form, and what its validators refuse."""
    try:
        form.model_validate(arguments)
    except ValidationError as error:
        return {}, told(error, "arguments")
    return dict(arguments), []


_AROUND: ContextVar[Forms] = ContextVar("orchestra_langchain_forms", default=MappingProxyType({}))
_FORMATS: Mapping[str, Any] = {"json_object": {"type": "object"}, "text": None}  # OpenAI's response formats
