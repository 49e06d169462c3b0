"""References in a schema: moved with it, or all in the one form that every provider reads, `#/$defs/NAME`."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, cast
from urllib.parse import unquote, urldefrag, urljoin

from orchestra.checks.subschemas import every, is_schema, mapped, subschemas
from orchestra.dialects.loose import is_object, sequence
from orchestra.types import Json

MOST = 20_000  # schemas in a rewritten one; what is beyond that is declared as any value
DEPTH = 64  # schemas in one another; values nested deeper than that are refused anyway


def rerooted(schema: Json, pointer: str) -> Json:
    """The schema with its references into itself (`#/…`) moved to where `pointer` says it now stands."""
    result: list[Any] = [schema]
    waiting: list[tuple[Any, Any]] = [(result, 0)]
    while waiting:  # by hand, since nothing has looked yet at how deep it is
        holder, place = waiting.pop()
        value = holder[place]
        if isinstance(value, Mapping):
            holder[place] = dict(cast("Mapping[str, Any]", value))
            waiting += _inside(holder[place], pointer)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            holder[place] = list(cast("Sequence[Any]", value))
            waiting += [(holder[place], index) for index in range(len(holder[place]))]
    return result[0]


def is_plain(schema: dict[str, Any]) -> bool:
    """Whether every reference is `#`, `#/$defs/NAME` or `#/definitions/NAME`, and leads somewhere."""
    parts = list(every(schema))
    if any(_DYNAMIC & part.keys() for part in parts):
        return False
    targets = [part["$ref"] for part in parts if "$ref" in part]
    if targets and any("$id" in part for part in parts[1:]):  # `#` is not the same place everywhere
        return False
    return all(_is_plain_target(target, schema) for target in targets)


def with_plain_references(
    schema: dict[str, Any], losses: list[str], *, root: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema with every reference as `#/$defs/NAME`, without its definitions; and those that it uses, by name.

    References to the schema itself stay `#`, or with `root` become a definition of that name; `$id` and anchors, which
    nothing refers to then, are left out. Nothing is written twice but what is referred to and is no definition, up to a
    cap. A reference that leads nowhere allows any value and is a loss.
    """
    return _References(schema, losses, root).rewritten()


def too_deep(at: str) -> str:
    """The loss of what is nested deeper than DEPTH."""
    return f"{at[:80]}…: nested deeper than {DEPTH} schemas; any value is declared"


_DYNAMIC = frozenset({"$dynamicRef", "$recursiveRef"})
_PLAIN = re.compile(r"#/(\$defs|definitions)/([^/%~]+)")
_LEFT_OUT = frozenset({"$anchor", "$defs", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "definitions"})
_NEWER = {"additionalItems": "items", "dependencies": "dependentSchemas"}
_DATA = frozenset({"const", "enum", "default", "examples"})
_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


def _is_plain_target(target: object, schema: dict[str, Any]) -> bool:
    if not isinstance(target, str):
        return False
    found = _PLAIN.fullmatch(target)
    return target == "#" or (found is not None and found[2] in schema.get(found[1], ()))


class _References:
    """One schema while its references are rewritten. Schemas are told apart by identity, so none may stand in twice."""

    def __init__(self, schema: dict[str, Any], losses: list[str], root: str) -> None:
        self._schema, self._losses, self._root = schema, losses, root
        self._bases: dict[int, str] = {}
        self._resources: dict[str, Any] = {"": schema}
        self._anchors: dict[tuple[str, str], Any] = {}
        self._dynamic: dict[str, list[Any]] = {}
        self._names: dict[int, str] = {}
        self._used: set[str] = {root}
        self._taken: Counter[str] = Counter()
        self._waiting: deque[tuple[str, Any]] = deque()
        self._count = 0
        self._index(schema, "")

    def rewritten(self) -> tuple[dict[str, Any], dict[str, Any]]:
        result = self._rewritten(self._schema, "#")
        definitions: dict[str, Any] = {}
        while self._waiting:
            name, target = self._waiting.popleft()
            definitions[name] = self._rewritten(target, f"#/$defs/{name}")
        return result, definitions

    def _index(self, schema: Any, base: str) -> None:
        waiting = [(schema, base)]
        while waiting:
            item, base = waiting.pop()
            if not is_object(item) or id(item) in self._bases:
                continue
            if isinstance(own := item.get("$id"), str):
                base = _joined(base, own)[0]
                self._resources.setdefault(base, item)
            self._bases[id(item)] = base
            for key in ("$anchor", "$dynamicAnchor"):
                if isinstance(name := item.get(key), str):
                    self._anchors[base, name] = item
            if isinstance(name := item.get("$dynamicAnchor"), str):
                self._dynamic.setdefault(name, []).append(item)
            waiting.extend((inner, base) for inner in subschemas(item))

    def _rewritten(self, schema: Any, at: str, depth: int = 0) -> Any:
        if not is_object(schema):
            return schema
        if depth > DEPTH:  # a reference may lead to where no schema was looked for
            self._losses.append(too_deep(at))
            return {}
        self._count += 1
        if self._count > MOST:
            if self._count == MOST + 1:
                self._losses.append(f"{at}: more than {MOST:,} schemas; the rest may be any value")
            return {}
        kept = {key: value for key, value in schema.items() if key not in _LEFT_OUT}
        result = mapped(kept, lambda item, here: self._rewritten(item, here, depth + 1), at)
        for key in ("$ref", "$dynamicRef"):
            if key in schema:
                result.pop("$ref", None) if key == "$ref" else None
                self._refer(result, self._target(schema, key, at))
        return result

    def _refer(self, result: dict[str, Any], target: str | None) -> None:
        if target is None:
            return
        if "$ref" in result:  # a schema may have a $ref and a $dynamicRef
            result["allOf"] = [*result.get("allOf", []), {"$ref": target}]
        else:
            result["$ref"] = target

    def _target(self, schema: dict[str, Any], key: str, at: str) -> str | None:
        reference = schema[key]
        base = self._bases[id(schema)]
        found = self._found(reference, base) if isinstance(reference, str) else None
        if (
            key == "$dynamicRef"
            and is_object(found)
            and len(self._dynamic.get(str(found.get("$dynamicAnchor")), ())) > 1
        ):
            self._losses.append(f"{at}: {reference!r} depends on where it is met; any value is declared")
            return None
        if not is_schema(found):
            self._losses.append(f"{at}: {reference!r} is not in the schema; any value is declared")
            return None
        return self._named(found, reference)

    def _found(self, reference: str, base: str) -> Any:
        uri, fragment = (base, reference[1:]) if reference.startswith("#") else _joined(base, reference)
        resource = self._resources.get(uri)
        if resource is None or not fragment:
            return resource
        if not fragment.startswith("/"):
            return self._anchors.get((uri, unquote(fragment)))
        found = _at(resource, fragment)
        self._index(found, uri)
        return found

    def _named(self, target: Any, reference: str) -> str:
        if target is self._schema and not self._root:
            return "#"
        name = self._names.get(id(target))
        if name is None:
            name = self._root if target is self._schema else self._free(reference)
            self._names[id(target)] = name
            self._used.add(name)
            self._waiting.append((name, target))
        return f"#/$defs/{name}"

    def _free(self, reference: str) -> str:
        last = unquote(re.split(r"[/#]", reference)[-1])
        stem = re.sub(r"[^A-Za-z0-9_.-]", "_", last)[:50] or "schema"
        name = stem
        while name in self._used:
            self._taken[stem] += 1  # counted on, or thousands of one name would each be tried from the beginning
            name = f"{stem}_{self._taken[stem] + 1}"
        return name


def _joined(base: str, reference: str) -> tuple[str, str]:
    """The whole URI without its fragment, and the fragment; what is no URI stands for itself."""
    try:
        uri, fragment = urldefrag(urljoin(base, reference))
    except ValueError:
        return reference, ""
    return uri, fragment


def _at(value: Any, pointer: str) -> Any:
    """What stands at a JSON pointer, None where nothing does."""
    steps = [unquote(step).replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]
    for step, after in pairwise([*steps, ""]):
        name = _today(value, step, after)
        if is_object(value) and name in value:
            value = value[name]
        elif name.isdecimal() and int(name) < len(items := sequence(value)):
            value = items[int(name)]
        else:
            return None
    return value


def _today(value: Any, name: str, after: str) -> str:
    """Where what older drafts had under a name stands since it is said in 2020-12; see `tool_drafts`."""
    if not is_object(value):
        return name
    if name == "items" and after.isdecimal() and "prefixItems" in value:
        return "prefixItems"
    newer = _NEWER.get(name, name)
    return newer if name not in value and newer in value else name


def _inside(schema: dict[str, Any], pointer: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The places inside a schema, copied already, where there may be references; its own are moved."""
    if "$id" in schema:  # a schema with its own identity keeps its own root
        return
    for key, value in schema.items():
        if key in ("$ref", "$dynamicRef") and isinstance(value, str) and (value == "#" or value.startswith("#/")):
            schema[key] = pointer + value[1:]
        elif key in _BY_NAME and isinstance(value, Mapping):  # its keys are the user's names, not keywords
            names = schema[key] = dict(cast("Mapping[str, Any]", value))
            yield from ((names, name) for name in names)
        elif key not in _DATA:
            yield schema, key
