"""typing.TypedDict for pydantic, which before Python 3.12 reads only the one of typing_extensions."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, Literal, Union, get_args, get_origin


def readable(hint: Any) -> Any:
    """The same type with every typing.TypedDict in it, nested ones too, as a typing_extensions.TypedDict."""
    if typing.is_typeddict(hint):
        return _twin(hint)
    origin, args = get_origin(hint), get_args(hint)
    if not args or origin is Literal:
        return hint
    if origin is Annotated:
        return Annotated[(readable(args[0]), *args[1:])]  # type: ignore[return-value]  # the stubs know no such form
    inner = tuple(readable(arg) for arg in args)
    if inner == args:
        return hint
    return Union[inner] if origin in (Union, types.UnionType) else origin[inner]  # noqa: UP007  # not known before


def _twin(hint: Any) -> Any:
    import typing_extensions

    # __required_keys__ is blind to NotRequired under `from __future__ import annotations`, the resolved hints are not.
    fields: dict[str, Any] = {}
    for key, value in typing.get_type_hints(hint, include_extras=True).items():
        mark, inner = get_origin(value), value
        if mark in (typing.Required, typing.NotRequired):
            inner = get_args(value)[0]
        else:
            mark = typing.Required if key in hint.__required_keys__ else typing.NotRequired
        fields[key] = mark[readable(inner)]
    return typing_extensions.TypedDict(hint.__name__, fields)  # type: ignore[operator]  # made while running
