"""References inside a JSON Schema: where one leads nowhere, or back to itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from orchestra.checks.wording import cut
from orchestra.types import Json


def misled(schema: Mapping[str, Json], draft: Any) -> Iterator[str]:
    """Where references lead nowhere, or back to themselves, such as `at #/properties/a/$ref: …`; none is fetched.

    `draft` is the class of jsonschema for the schema's draft.
    """
    from referencing import Registry
    from referencing.jsonschema import specification_with

    specification = specification_with(draft.META_SCHEMA.get("$schema") or draft.META_SCHEMA["id"])
    root = specification.create_resource(cast(Any, schema))
    try:
        resolver = cast(Any, Registry)().with_resource(root.id() or "", root).resolver_with_root(root)
        for reference, why in _astray(root, resolver, set()):
            yield f"at {next(_named(schema, reference))}: {cut(reference)!r} leads {why}"
    except ValueError as error:  # of urllib, which takes an identity apart
        yield f"at {next(_named(schema, None), '#')}: {error}; give a URI, or leave it out"


def _astray(resource: Any, resolver: Any, sound: set[int]) -> Iterator[tuple[str, str]]:
    reference = _reference(resource.contents)
    if reference is not None and (why := _end(reference, resolver, sound)):
        yield reference, why
    for inner in resource.subresources():
        yield from _astray(inner, resolver.in_subresource(inner), sound)


def _end(reference: str | None, resolver: Any, sound: set[int]) -> str:
    """How following a reference goes wrong; "" where it does not, and what it led to is `sound` from then on."""
    from referencing.exceptions import Unresolvable

    met: set[int] = set()
    while reference is not None:
        try:
            found = resolver.lookup(reference)
        except Unresolvable:
            return "nowhere in the schema; put what it names under $defs"
        if id(found.contents) in met:
            return "back to itself, so no value can be held to it"
        if id(found.contents) in sound:
            break
        met.add(id(found.contents))
        reference, resolver = _reference(found.contents), found.resolver
    sound |= met
    return ""


def _reference(schema: object) -> str | None:
    found = cast("Mapping[str, object]", schema).get("$ref") if isinstance(schema, Mapping) else None
    return found if isinstance(found, str) else None


def _named(value: object, name: str | None, above: tuple[str | int, ...] = ()) -> Iterator[str]:
    """Where a reference stands in a schema; without a name, where a reference or an identity is no URI."""
    if isinstance(value, str) and (value == name and above[-1:] == ("$ref",) if name else _is_no_uri(above, value)):
        yield pointer(above)
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        items = enumerate(cast("Sequence[object]", value))
    for key, item in items:
        yield from _named(item, name, (*above, key))


def _is_no_uri(place: tuple[str | int, ...], text: str) -> bool:
    if place[-1:] not in (("$id",), ("id",), ("$ref",)):
        return False
    return not is_uri(text)


def is_uri(text: str) -> bool:
    """Whether urllib can take it apart; what it cannot, jsonschema raises over."""
    try:
        urlsplit(text)
    except ValueError:
        return False
    return True


def pointer(path: Sequence[str | int]) -> str:
    """The place as a JSON pointer in a URI fragment (RFC 6901), `#` the whole."""
    return "".join(["#", *("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)])
