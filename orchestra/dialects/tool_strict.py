"""A tool's schema in the form that a provider enforces, or why there is none.

A schema is converted only where nothing that fits it stops fitting and nothing it demands is left unsaid. An object
without `additionalProperties` is closed: it names what is meant. One that names nothing, or says that more may come, is
a map, and no provider enforces maps. Where every property must be required, an optional one may be null instead.
Annotations that strict schemas may not hold, defaults above all, are said in the description.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from orchestra.checks.subschemas import escaped, every, required_names
from orchestra.dialects.loose import is_object, mapping, sequence, string
from orchestra.dialects.tool_enforced import Enforced, counted, over
from orchestra.dialects.tool_nulls import TYPES, Nulls, kinds_of, references_here
from orchestra.dialects.tool_unions import Unions


@dataclass(frozen=True, slots=True)
class Strict:
    """A strict schema, what its arguments look like, and what limits apply to; with `faults` it is none."""

    schema: dict[str, Any]
    nulls: Nulls
    counts: Counter[str]
    faults: tuple[str, ...] = ()


def strict_schema(schema: dict[str, Any], definitions: Mapping[str, Any], rules: Enforced) -> Strict:
    """The schema, an object with plain references into these definitions, as `rules` have it."""
    return _Conversion(schema, definitions, rules).result()


# Which type a keyword speaks of; of values of other types it says nothing.
_OF = {
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"), "number"),
    **dict.fromkeys(("maxLength", "minLength", "pattern"), "string"),
    **dict.fromkeys(
        (
            "contains", "items", "maxContains", "maxItems", "minContains", "minItems", "prefixItems",
            "unevaluatedItems", "uniqueItems",
        ),
        "array",
    ),
    **dict.fromkeys(
        (
            "additionalProperties", "dependentRequired", "dependentSchemas", "maxProperties", "minProperties",
            "patternProperties", "properties", "propertyNames", "required", "unevaluatedProperties",
        ),
        "object",
    ),
}  # fmt: skip
_STRUCTURE = frozenset({"additionalProperties", "items", "properties", "required"})
_COMPOSED = frozenset({"$ref", "allOf", "anyOf", "else", "if", "not", "oneOf", "then"})
_DEMANDS = _OF.keys() | _COMPOSED | {"const", "enum", "type"}
_SAID = frozenset({"title", "description"})
_UNSAID = frozenset({"$comment", "$schema"})
_EMPTY = {"minItems": 0, "minLength": 0, "minProperties": 0, "uniqueItems": False}
_TEXT = json.JSONEncoder(ensure_ascii=False)
# A pattern that says the same searched for and matched whole, in what every engine knows.
_WHOLE = re.compile(r"\^(?!.*(?:\(\?|\\[bBpPkK1-9]|[*+?}][+?]))(?:[^|]*|\([^()]*\))\$")


class _Conversion:
    def __init__(self, schema: dict[str, Any], definitions: Mapping[str, Any], rules: Enforced) -> None:
        self._schema, self._definitions, self._rules = schema, definitions, rules
        self._nulls = Nulls(schema, definitions)
        self._unions = Unions(self._nulls)
        self._faults: list[str] = []

    def result(self) -> Strict:
        schema = self._converted(self._schema, "#")
        if definitions := {name: self._converted(each, f"#/$defs/{name}") for name, each in self._definitions.items()}:
            schema["$defs"] = definitions
        if self._comes_back(references_here):
            self._fault("#", "a reference leads back to itself")
        elif not self._rules.recursion and self._comes_back(_references):
            self._fault("#", "a recursive schema cannot be enforced")
        if self._rules.some_required and schema.get("properties") and not schema.get("required"):
            self._fault("#", "no property is required")
        counts = counted(schema)
        for each in over(counts, {**self._rules.limits, **self._rules.shared}):
            self._fault("#", each)
        return Strict(schema, self._nulls, counts, tuple(dict.fromkeys(self._faults)))

    def _fault(self, at: str, why: str) -> dict[str, Any]:
        self._faults.append(f"{at}: {why}")
        return {}

    def _comes_back(self, references: Callable[[Any], set[str]]) -> bool:
        """Whether following references can lead to where it began."""
        try:
            TopologicalSorter({name: references(each) for name, each in self._nulls.targets.items()}).prepare()
        except CycleError:
            return True
        return False

    def _converted(self, schema: Any, at: str) -> dict[str, Any]:
        if not is_object(schema):
            return self._fault(at, "allows no value" if schema is False else "allows any value")
        said = self._said(schema)
        demands = {key: value for key, value in schema.items() if key in _DEMANDS and _EMPTY.get(key, ...) != value}
        composed = demands.keys() & _COMPOSED
        if not composed:
            return {**self._typed(demands, at), **said}
        if len(demands) > 1 or composed & {"if", "then", "else", "not"}:
            return self._fault(at, f"{', '.join(sorted(composed))} cannot be enforced here")
        (key, value), *_ = demands.items()
        return self._composed(key, value, said, at)

    def _said(self, schema: dict[str, Any]) -> dict[str, Any]:
        """What is not a demand: words, the format where it can be enforced, and in words all that cannot be sent."""
        said = {key: value for key, value in schema.items() if key in _SAID}
        aside = {key: value for key, value in schema.items() if key not in _SAID | _UNSAID | _DEMANDS}
        if string(aside.get("format")) in self._rules.formats and "string" in self._nulls.kinds(schema):
            said["format"] = aside.pop("format")
        if aside:
            words = "; ".join(f"{key}: {_TEXT.encode(value)}" for key, value in aside.items())
            said["description"] = f"{string(said.get('description'))} ({words})".lstrip()
        return said

    def _composed(self, key: str, value: Any, said: dict[str, Any], at: str) -> dict[str, Any]:
        if key == "$ref":
            return self._reference(value, said, at)
        branches = sequence(value)
        if key == "allOf":
            if len(branches) != 1:
                return self._fault(at, "allOf cannot be enforced")
            inner = self._converted(branches[0], f"{at}/allOf/0")
            return self._reference(inner["$ref"], said, at) if "$ref" in inner else inner | _both(said, inner)
        if not self._rules.unions:
            return self._fault(at, f"{key} cannot be enforced")
        # Where values with nulls are to be read, one look must say which alternative each is.
        nulls = self._rules.all_required and any(map(self._unions.has_optional, branches))
        if (key == "oneOf" or nulls) and not self._unions.told_apart(branches):
            return self._fault(at, f"the alternatives of {key} overlap")
        if not self._unions.closable(branches):
            return self._fault(at, f"an alternative of {key} takes properties that it does not name")
        return {"anyOf": [self._converted(each, f"{at}/{key}/{index}") for index, each in enumerate(branches)], **said}

    def _reference(self, reference: str, said: dict[str, Any], at: str) -> dict[str, Any]:
        if not self._nulls.resolved({"$ref": reference}):
            return self._fault(at, f"{reference} allows any value")
        if not said:
            return {"$ref": reference}
        if not self._rules.unions:
            return self._fault(at, "words beside a reference cannot be said")
        return {"anyOf": [{"$ref": reference}], **said}

    def _typed(self, demands: dict[str, Any], at: str) -> dict[str, Any]:
        form = _valued(demands)
        kinds: list[str] = form["type"]
        if not kinds or not set(kinds) <= TYPES:
            return self._fault(at, "has no type")
        if "enum" in form and {"array", "object"} & set(kinds):
            return self._fault(at, "lists values that are no texts, numbers or booleans")
        if len(kinds) > 1 and not self._rules.unions:
            self._fault(at, "more than one type cannot be enforced")
        form["type"] = kinds if len(kinds) > 1 else kinds[0]
        about = set(kinds) | ({"number"} if "integer" in kinds else set[str]())
        for key, value in demands.items():
            if _OF.get(key) in about and key not in _STRUCTURE:
                form |= self._limited(key, value, at)
        return (
            form
            | (self._array(demands, at) if "array" in kinds else {})
            | (self._object(demands, at) if "object" in kinds else {})
        )

    def _limited(self, key: str, value: Any, at: str) -> dict[str, Any]:
        known = key in self._rules.keywords or f"{key}={value}" in self._rules.keywords
        if not known or (key == "pattern" and not _WHOLE.fullmatch(string(value))):
            return self._fault(at, f"{key} cannot be enforced")
        return {key: value}

    def _array(self, demands: dict[str, Any], at: str) -> dict[str, Any]:
        return {"items": self._converted(demands.get("items"), f"{at}/items")}

    def _object(self, demands: dict[str, Any], at: str) -> dict[str, Any]:
        properties, required = mapping(demands.get("properties")), required_names(demands)
        rest = demands.get("additionalProperties")
        if rest not in (None, False) or not (properties or rest is False):
            return self._fault(at, "takes properties that it does not name")
        if unnamed := [name for name in required if name not in properties]:
            return self._fault(at, f"requires {unnamed[0]!r}, which it does not describe")
        wanted = frozenset(required)
        said = {
            name: self._property(each, f"{at}/properties/{escaped(name)}", required=name in wanted)
            for name, each in properties.items()
        }
        form: dict[str, Any] = {"properties": said}
        if names := list(said) if self._rules.all_required else required:
            form["required"] = names
        return form | ({"additionalProperties": False} if self._rules.closed or rest is False else {})

    def _property(self, schema: Any, at: str, *, required: bool) -> dict[str, Any]:
        form = self._converted(schema, at)
        if required or not self._rules.all_required:
            return form
        if "null" in self._nulls.kinds(schema):
            return self._fault(at, "may be absent and may be null, which cannot be told apart")
        return _nullable(form)


def _both(said: dict[str, Any], inner: dict[str, Any]) -> dict[str, Any]:
    """The words about a schema and about the one inside it that holds for the same values."""
    words = [string(each.get("description")) for each in (said, inner)]
    if "title" in said and inner.get("title", said["title"]) != said["title"]:
        words.append(f"(title: {_TEXT.encode(inner['title'])})")
    text = " ".join(dict.fromkeys(filter(None, words)))
    return {**said, **({"description": text} if text else {})}


def _references(schema: Any) -> set[str]:
    return {string(part.get("$ref")) for part in every(schema)} - {""}


def _valued(demands: dict[str, Any]) -> dict[str, Any]:
    """The types, and where only certain values are allowed, those of them that have one of the types."""
    stated = demands.get("type")
    kinds = [stated] if isinstance(stated, str) else [each for each in sequence(stated) if isinstance(each, str)]
    if "const" not in demands and "enum" not in demands:
        return {"type": kinds}
    values = sequence(demands.get("enum"))
    if "const" in demands:
        values = [demands["const"]] if "enum" not in demands or _held(demands["const"], values) else []
    allowed = set(kinds) | ({"integer"} if "number" in kinds else set[str]())
    kept = [value for value in values if not kinds or kinds_of(value) & allowed]
    return {"type": _types(kept), "enum": kept}


def _held(value: Any, values: list[Any]) -> bool:
    return any(item == value and kinds_of(item) == kinds_of(value) for item in values)  # to Python, 1 is True


def _types(values: list[Any]) -> list[str]:
    found = {min(kinds_of(value)) for value in values}  # of a whole number it is integer
    return sorted(found - {"integer"} if "number" in found else found)


def _nullable(form: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in form:
        return {**form, "anyOf": [*form["anyOf"], {"type": "null"}]}
    if "type" not in form:
        return {"anyOf": [form, {"type": "null"}]}
    kinds = sequence(form["type"]) or [form["type"]]
    return {**form, "type": [*kinds, "null"], **({"enum": [*form["enum"], None]} if "enum" in form else {})}
