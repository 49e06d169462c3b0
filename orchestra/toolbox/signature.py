"""A function's parameters as JSON Schema, and JSON arguments back as the annotated types."""

from __future__ import annotations

import functools
import inspect
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from orchestra.errors import ToolError
from orchestra.toolbox.typed import typed
from orchestra.toolbox.typed_dict import readable
from orchestra.types import Json

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

Converted: TypeAlias = tuple[dict[str, Any], list[str]]
KEY = "idempotency_key"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes: `schema` for models, `convert` from JSON to (keyword arguments, what does not fit).

    `wants_key`: it has a parameter `idempotency_key`, which is no model's to fill.
    """

    schema: Mapping[str, Json]
    convert: Callable[[Mapping[str, Json]], Converted]
    wants_key: bool = False


def read_signature(
    fn: Callable[..., Any], name: str, texts: Mapping[str, str], known: Mapping[str, Any] | None = None
) -> Signature:
    """The signature of `fn`, with the parameters' `texts`; `known` holds names that annotations may use.

    Raises ToolError naming the parameter that cannot be declared to a model.
    """
    parameters = _parameters(fn, name)
    hints = _hints(fn, name, parameters, known or {})
    wants_key = _takes_key(name, hints)
    adapters = {key: _adapter(name, key, hint) for key, hint in hints.items()}
    schema = _schema(adapters, parameters, texts)
    return Signature(schema, functools.partial(_convert, adapters), wants_key)


def _takes_key(name: str, hints: dict[str, Any]) -> bool:
    """Whether the function asks for the idempotency key; the parameter is taken out of the hints."""
    if KEY not in hints:
        return False
    hint = hints.pop(KEY)
    if hint is not str:
        raise ToolError(
            f"tool {name!r}: parameter {KEY!r} is {hint!r}; write '{KEY}: str', it is filled in by the runtime"
        )
    return True


def _parameters(fn: Callable[..., Any], name: str) -> dict[str, inspect.Parameter]:
    try:
        parameters = dict(inspect.signature(fn).parameters)
    except (TypeError, ValueError):
        raise ToolError(
            f"tool {name!r}: {fn!r} tells no signature; declare it with Tool.from_schema(name, description, schema, fn)"
        ) from None
    for layer in _partials(fn):
        for key in layer.keywords:
            parameters.pop(key, None)  # bound: no model's to see, or to change
    for key, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ToolError(
                f"tool {name!r}: parameter {str(parameter).split(':')[0]!r} ({parameter.kind.description}) cannot be "
                "declared to a model; write out each parameter by name, or use Tool.from_schema"
            )
        if parameter.annotation is parameter.empty:
            hint = "decorate the bound method instead" if key in ("self", "cls") else f"write '{key}: str' or the like"
            raise ToolError(f"tool {name!r}: parameter {key!r} has no type annotation; {hint}")
        if type(parameter.default).__name__ == "FieldInfo":
            raise ToolError(f"tool {name!r}: parameter {key!r}: write Annotated[..., Field(...)] = default")
    return parameters


def _partials(fn: Any) -> Iterator[functools.partial[Any]]:
    """The partials around a function; one that was given attributes is not flattened into the next."""
    while isinstance(fn, functools.partial):
        yield (fn := cast("functools.partial[Any]", fn))
        fn = fn.func


def _hints(
    fn: Callable[..., Any], name: str, parameters: Mapping[str, inspect.Parameter], known: Mapping[str, Any]
) -> dict[str, Any]:
    # Only the parameters: a return annotation may name what exists for type checkers alone.
    holder = types.SimpleNamespace(__annotations__={key: p.annotation for key, p in parameters.items()})
    target = inspect.unwrap(next((layer.func for layer in reversed([*_partials(fn)])), fn))
    module = getattr(target, "__globals__", None) or getattr(type(target).__call__, "__globals__", {})
    try:
        return typing.get_type_hints(holder, cast("dict[str, Any]", module), dict(known), include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise ToolError(
            f"tool {name!r}: an annotation cannot be read: {error}; define the type before the tool"
        ) from None


def _adapter(name: str, key: str, hint: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(readable(hint))
        adapter.json_schema()
    except (PydanticUserError, NameError, TypeError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise ToolError(
            f"tool {name!r}: parameter {key!r}: no JSON Schema for {hint!r}: {reason}; use str, int, float, bool, "
            "list, dict, Literal, an enum, a TypedDict, a dataclass or a pydantic model"
        ) from None
    return adapter


def _schema(
    adapters: Mapping[str, TypeAdapter[Any]], parameters: Mapping[str, inspect.Parameter], texts: Mapping[str, str]
) -> dict[str, Json]:
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

    class Untitled(GenerateJsonSchema):  # a field's title only repeats its name, in every request
        def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # pydantic calls it with it
            return False

    schemas, shared = TypeAdapter.json_schemas(
        [(key, "validation", adapter) for key, adapter in adapters.items()], schema_generator=Untitled
    )
    properties: dict[str, Json] = {}
    for (key, _), found in schemas.items():
        default = _default(adapters[key], parameters[key].default)
        text = {"description": texts[key]} if texts.get(key) else {}
        properties[key] = {**text, **cast("dict[str, Json]", found), **default}
    required = [key for key in properties if parameters[key].default is inspect.Parameter.empty]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
        **shared,
    }


def _default(adapter: TypeAdapter[Any], default: Any) -> dict[str, Json]:
    """The default for the model to see, where JSON can say it; None and what is left out mean the same."""
    from pydantic_core import PydanticSerializationError

    if default is None or default is inspect.Parameter.empty:
        return {}
    try:
        said = adapter.dump_python(default, mode="json", warnings="error")
        json.dumps(said, allow_nan=False)  # math.inf is a float that pydantic writes as it is
    except (PydanticSerializationError, ValueError):
        return {}
    return {"default": said}


def _convert(adapters: Mapping[str, TypeAdapter[Any]], arguments: Mapping[str, Json]) -> Converted:
    """The schema has refused wrong JSON types before, so nothing is coerced here that the schema does not allow."""
    from pydantic import ValidationError

    values: dict[str, Any] = {}
    faults: list[str] = []
    for key, value in arguments.items():
        try:
            values[key] = typed(value, adapters[key].validate_python, adapters[key].validate_json)
        except ValidationError as error:
            faults += _faults(key, error)
    return values, faults


def _faults(key: str, error: ValidationError) -> list[str]:
    return [
        f"{'.'.join([key, *map(str, item['loc'])])}: {item['msg']}, got {item['input']!r:.80}"
        for item in error.errors(include_url=False, include_context=False)
    ]
