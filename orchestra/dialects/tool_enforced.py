"""What each provider can enforce of a tool's schema in strict mode, as data, and the counts its limits apply to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from orchestra.checks.subschemas import every, required_names, subschemas
from orchestra.dialects.loose import is_object, mapping, sequence, string


@dataclass(frozen=True, slots=True)
class Enforced:
    """What a dialect can enforce: keywords beyond types, properties, items and enums; formats; forms of schemas.

    A keyword with a value (`minItems=1`) is only that. `all_required`: every property is, so an optional one may be
    null instead. `some_required`: one must be, where there are any. `closed`: an object must say that nothing more may
    come. `limits` hold for each tool, `shared` for all strict tools of a request; with `together`, one tool that cannot
    be strict leaves none of them so.
    """

    keywords: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    all_required: bool = False
    some_required: bool = False
    closed: bool = True
    unions: bool = True
    recursion: bool = False
    together: bool = False
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    shared: Mapping[str, int] = field(default_factory=dict[str, int])


_MANY = 250
_LONGEST = f"characters in one enum of more than {_MANY} values"
_TEXTS = frozenset({"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"})
# https://platform.openai.com/docs/guides/structured-outputs: "Supported schemas", and the limits below it. What an
# array adds to the levels is not said there; counting it keeps on the safe side.
_OPENAI = Enforced(
    keywords=frozenset(
        {"exclusiveMaximum", "exclusiveMinimum", "maximum", "maxItems", "minimum", "minItems", "multipleOf", "pattern"}
    ),
    formats=_TEXTS,
    all_required=True,
    recursion=True,
    limits={
        "levels": 10,
        "properties": 5_000,
        "enum values": 1_000,
        "characters": 120_000,
        _LONGEST: 15_000,
    },
)
# anthropic's SDK (lib/_parse/_transform.py) moves all else into descriptions; the limits are its documentation's.
_ANTHROPIC = Enforced(
    keywords=frozenset({"minItems=1"}),
    formats=_TEXTS | {"uri"},
    shared={"tools": 20, "optional properties": 24, "unions": 16},
)
ENFORCED: Mapping[str, Enforced] = MappingProxyType(
    {
        "openai-chat": _OPENAI,
        "openai-responses": _OPENAI,
        "anthropic": _ANTHROPIC,
        "bedrock-converse": _ANTHROPIC,  # https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
        "mistral": Enforced(),  # mistralai's SDK (extra/utils) closes every object and changes nothing else
        "cohere": Enforced(  # https://docs.cohere.com/docs/structured-outputs, "Structured Outputs (Tools)"
            formats=frozenset({"date", "date-time", "time", "uuid"}),
            some_required=True,
            closed=False,
            unions=False,
            together=True,
            shared={"properties": 200},
        ),
    }
)


def counted(schema: dict[str, Any]) -> Counter[str]:
    """What limits apply to, of one strict schema; a definition counts once, however often it is referred to."""
    counts = Counter({"tools": 1, "levels": _levels(schema)})
    for part in every(schema):
        properties = mapping(part.get("properties"))
        values = [*sequence(part.get("enum")), *([part["const"]] if "const" in part else [])]
        texts = sum(len(value) for value in values if isinstance(value, str))
        counts["properties"] += len(properties)
        counts["optional properties"] += len(properties.keys() - required_names(part))
        counts["unions"] += "anyOf" in part or isinstance(part.get("type"), list)
        counts["enum values"] += len(values)
        counts["characters"] += texts + sum(map(len, [*properties, *mapping(part.get("$defs"))]))
        if len(values) > _MANY:
            counts[_LONGEST] = max(counts[_LONGEST], texts)
    return counts


def over(counts: Mapping[str, int], limits: Mapping[str, int]) -> list[str]:
    """Which limits are passed, in words."""
    return [f"{counts[what]:,} {what}, at most {most:,}" for what, most in limits.items() if counts[what] > most]


def _levels(schema: dict[str, Any]) -> int:
    """How deep values of the schema may nest, recursion aside."""
    definitions = {f"#/$defs/{name}": each for name, each in mapping(schema.get("$defs")).items()}
    reached = {reference: _reached(each) for reference, each in {"#": schema, **definitions}.items()}
    found: dict[str, int] = {}
    waiting = ["#"]
    while waiting:  # by hand, since a chain of references may be of any length
        name = waiting[-1]
        inner = reached[name]
        if name not in found:
            found[name] = 0  # where it comes back to itself
            waiting += [each for each in inner if each in reached and each not in found]
        else:
            found[name] = max(level + found.get(each, 0) for each, level in inner.items())
            waiting.pop()
    return found["#"]


def _reached(schema: Any) -> dict[str, int]:
    """The references in a schema, each with the deepest level at which it stands; and the deepest of all."""
    found: dict[str, int] = {}
    waiting = [(schema, 0)]
    while waiting:
        part, level = waiting.pop()
        if is_object(part):
            level += "properties" in part or "items" in part
            reference = string(part.get("$ref"))
            found[reference] = max(found.get(reference, 0), level)
            waiting += [(each, level) for each in subschemas({**part, "$defs": {}})]
    return found
