"""The official types as judges: a JSON value is what a provider's own SDK says it is, with nothing unknown in it.

As they come, the types are no judges: TypedDicts drop unknown keys, `Iterable` is checked only when it is read, models
take any key, open enumerations any word. So each is closed first: in pydantic's schema of the type every object forbids
what it does not name and iterables are lists, and validation is strict, by the names on the wire.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_type_hints

import anthropic.types
import botocore.session
import cohere
import mistralai.client.models
import openai.types.chat.completion_create_params
import openai.types.responses
import openai.types.responses.response_create_params
from botocore.model import Shape
from botocore.validate import ParamValidator
from cohere.v2.raw_client import RawV2Client
from google.genai import types as genai
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.alias_generators import to_camel
from pydantic_core import SchemaValidator

_SERVICE = botocore.session.get_session().get_service_model("bedrock-runtime")


class GeminiRequest(BaseModel):
    """The body of `models.generateContent`: google-genai has types for its members, not for the whole."""

    model_config = ConfigDict(alias_generator=to_camel)

    contents: list[genai.Content]
    system_instruction: genai.Content | None = None
    tools: list[genai.Tool] | None = None
    tool_config: genai.ToolConfig | None = None
    generation_config: genai.GenerationConfig | None = None
    safety_settings: list[genai.SafetySetting] | None = None
    cached_content: str | None = None
    labels: dict[str, str] | None = None
    service_tier: genai.ServiceTier | None = None
    store: bool | None = None


def _parameters(method: object, **fixed: Any) -> type[BaseModel]:
    """The body of a request that an SDK describes only as the parameters of a method."""
    hints = get_type_hints(method)
    fields = {
        name: (hints[name], ... if parameter.default is inspect.Parameter.empty else None)
        for name, parameter in inspect.signature(method).parameters.items()
        if name not in {"self", "request_options"}
    }
    return create_model("V2ChatRequest", __module__="cohere", **fields, **fixed)


REQUESTS: dict[str, Any] = {
    "openai-chat": openai.types.chat.completion_create_params.CompletionCreateParams,
    "openai-responses": openai.types.responses.response_create_params.ResponseCreateParams,
    "anthropic": anthropic.types.MessageCreateParams,
    "gemini": GeminiRequest,
    "bedrock-converse": _SERVICE.operation_model("ConverseStream").input_shape,
    "mistral": mistralai.client.models.ChatCompletionRequest,
    "cohere": _parameters(RawV2Client.chat_stream, stream=(bool, ...)),
}
"""The official type of each dialect's request body."""

REPLIES: dict[str, Any] = {
    "openai-chat": openai.types.chat.ChatCompletion,
    "openai-responses": openai.types.responses.Response,
    "anthropic": anthropic.types.Message,
    "gemini": genai.GenerateContentResponse,
    "bedrock-converse": _SERVICE.operation_model("Converse").output_shape,
    "mistral": mistralai.client.models.ChatCompletionResponse,
    "cohere": cohere.V2ChatResponse,
}
"""The official type of each dialect's whole reply."""

EVENTS: dict[str, Any] = {
    "openai-chat": openai.types.chat.ChatCompletionChunk,
    "openai-responses": openai.types.responses.ResponseStreamEvent,
    "anthropic": anthropic.types.RawMessageStreamEvent,
    "gemini": genai.GenerateContentResponse,
    "bedrock-converse": _SERVICE.shape_for("ConverseStreamOutput"),
    "mistral": mistralai.client.models.CompletionChunk,
    "cohere": cohere.V2ChatStreamResponse,
}
"""The official type of each event of a dialect's streamed reply."""


class NotAccepted(AssertionError):
    """The official type refuses the value; says which type, where, and why."""


def check(type_: Any, value: Any) -> None:
    """Holds a plain JSON value against an official type, closed. Raises NotAccepted."""
    decode(type_, value)


def decode(type_: Any, value: Any) -> Any:
    """The value as the official type has it, whose models are instances. Raises NotAccepted.

    Bedrock's types are botocore's shapes; blobs, base64 on the wire, come back as bytes.
    """
    if isinstance(type_, Shape):
        return _of_shape(type_, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # google-genai takes an unknown word of an enumeration with a warning
            return _validator(type_).validate_json(json.dumps(value), strict=True, by_alias=True, by_name=False)
    except ValidationError as refused:
        raise NotAccepted(_report(type_, _said(refused, value), value)) from None
    except UserWarning as warning:
        raise NotAccepted(_report(type_, [str(warning)], value)) from None


@cache
def _validator(type_: Any) -> SchemaValidator:
    schema: Mapping[str, Any] = TypeAdapter(type_).core_schema
    # Some SDKs build a schema only when it is read; and models would come with validators made before they were closed.
    return SchemaValidator(_closed(dict(schema)), _use_prebuilt=False)


def _closed(schema: Any) -> Any:
    """Pydantic's schema of a type with every object closed and every iterable read at once."""
    if isinstance(schema, list | tuple):
        return type(schema)(_closed(each) for each in schema)
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "function-before":  # it would mend the value before it is judged
        return _closed(schema["schema"])
    result = {key: _closed_under(key, value) for key, value in schema.items()}
    if schema.get("type") in {"typed-dict", "model-fields"}:
        result |= {"extra_behavior": "forbid"}
        result.pop("extras_schema", None)
    elif schema.get("type") == "generator":
        result["type"] = "list"
    elif schema.get("type") == "union":
        result["choices"] = list(_words_only(result["choices"]))
    return result


def _closed_under(key: str, value: Any) -> Any:
    if key in _BY_NAME and isinstance(value, dict):
        return {name: _closed(schema) for name, schema in value.items()}
    return value if key in _VERBATIM else _closed(value)


def _words_only(choices: list[Any]) -> Iterator[Any]:
    """The choices of a union; without `Any` where that only leaves an enumeration open for words to come."""
    kinds = {choice.get("type") for choice in choices if isinstance(choice, dict)}
    for choice in choices:
        if not ("literal" in kinds and isinstance(choice, dict) and choice.get("type") == "any"):
            yield choice


_BY_NAME = frozenset({"fields", "choices"})  # their keys are the SDK's names, not pydantic's
_VERBATIM = frozenset({"metadata", "serialization", "expected", "default", "members"})


def _said(refused: ValidationError, value: Any) -> list[str]:
    """What was refused, the deepest first; not what was said by branches of a union that were not meant."""
    errors = refused.errors(include_url=False, include_context=False)
    other = [error["loc"][:-1] for error in errors if error["type"] == "literal_error"]
    meant = [one for one in errors if not any(one["loc"][: len(branch)] == branch for branch in other)]
    lines = {f"{_path(one['loc'], value)}: {one['msg']}": None for one in meant or errors}
    return sorted(lines, key=lambda line: -line.partition(":")[0].count("."))


def _path(location: tuple[int | str, ...], value: Any) -> str:
    """The JSON path; pydantic's names of a union's branches, which are no keys of the value, are left out."""
    path = "$"
    for number, step in enumerate(location):
        inside = isinstance(value, dict) and step in value
        if inside or (isinstance(value, list) and isinstance(step, int)):
            value = value[step]
        elif number < len(location) - 1 or not isinstance(value, dict):
            continue
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path


def _report(type_: Any, lines: list[str], value: Any) -> str:
    tables = {"request": REQUESTS, "reply": REPLIES, "event": EVENTS}
    known = (f"{dialect} {kind}" for kind, table in tables.items() for dialect in table if table[dialect] is type_)
    name = next(known, getattr(type_, "__name__", str(type_)))
    return "\n  ".join([f"{name} refused:", *lines[:8], f"in {json.dumps(value)[:1000]}"])


def _of_shape(shape: Shape, value: Any) -> Any:
    """Botocore's own validation, and what it leaves out: enumerations, patterns and lengths."""
    problems: list[str] = []
    read = _read(shape, value, "$", problems)
    inside = {"modelId": "m", **read} if "modelId" in getattr(shape, "members", ()) else read
    if found := ParamValidator().validate(inside, shape).generate_report():
        problems += found.splitlines()
    if problems:
        raise NotAccepted(_report(shape, problems, value))
    return read


def _read(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict) and not getattr(shape, "is_document_type", False):
        known = shape.members
        return {
            key: _read(known[key], each, f"{path}.{key}", problems) if key in known else each
            for key, each in value.items()
        }
    if kind == "list" and isinstance(value, list):
        problems += _bounds(shape, len(value), path)
        return [_read(shape.member, each, f"{path}[{place}]", problems) for place, each in enumerate(value)]
    if kind == "map" and isinstance(value, dict):
        return {key: _read(shape.value, each, f"{path}.{key}", problems) for key, each in value.items()}
    if kind == "string" and isinstance(value, str):
        problems += [*_bounds(shape, len(value), path), *_words(shape, value, path)]
    if kind == "blob":
        return _bytes(value, path, problems)
    return value


def _bounds(shape: Shape, length: int, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", length)
    if not least <= length <= most:
        yield f"{path}: length {length} is not in {least}…{most}"


def _words(shape: Shape, value: str, path: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        yield f"{path}: {value!r} is none of {', '.join(shape.enum)}"
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern, value):
        yield f"{path}: {value!r} does not match {pattern}"


def _bytes(value: Any, path: str, problems: list[str]) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        problems.append(f"{path}: not base64 ({error})")
        return b""
