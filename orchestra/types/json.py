"""One pair of functions between values and plain JSON, driven by the dataclasses' own annotations."""

from __future__ import annotations

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    overload,
)

from orchestra.errors import ConfigError

if TYPE_CHECKING:
    Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"
else:
    Json = Any  # get_type_hints would evaluate the recursive name in the reader's module
T = TypeVar("T")

Reader: TypeAlias = Callable[[Any, str], Any]
Writer: TypeAlias = Callable[[Any], Json]


class JsonMismatch(ValueError):
    """The JSON does not have the shape of the value that was asked for; the text names the place."""


def to_json(value: object) -> Json:
    """The value as plain JSON: dataclasses become objects, tuples arrays, enums their value.

    A dataclass with a class variable `type` carries it as the key "type", so that unions can be
    read back. NaN and infinities, for which JSON has no number, become the texts `nan`, `inf`, `-inf`.
    Raises TypeError for anything that is not a value of this package or plain JSON.
    """
    kind = type(value)
    if kind is str or value is None:  # most of what there is
        return cast("str | None", value)
    return _writer(kind)(value)


@overload
def from_json(cls: type[T], data: object) -> T: ...
@overload
def from_json(cls: Any, data: object) -> Any: ...
def from_json(cls: Any, data: object) -> Any:
    """The value of type `cls`, or of a union of them such as Part, that `to_json` turned into `data`.

    Raises JsonMismatch with the path of the first thing that does not fit; unknown keys do not fit.
    """
    return _reader(cls)(data, getattr(cls, "__name__", "value"))


@cache
def _writer(kind: Any) -> Writer:
    if issubclass(kind, str | int | float):
        if issubclass(kind, enum.Enum):
            return lambda value: value.value
        return _number if issubclass(kind, float) else lambda value: value
    if dataclasses.is_dataclass(kind):
        return _fields(kind)
    if issubclass(kind, Mapping):
        return lambda value: {str(key): to_json(item) for key, item in value.items()}
    if issubclass(kind, list | tuple):
        return lambda value: [to_json(item) for item in value]
    raise TypeError(f"to_json: {kind.__name__} is not a value of orchestra nor plain JSON")


def _number(value: float) -> Json:
    return value if math.isfinite(value) else str(value)


def _fields(kind: Any) -> Writer:
    names, tag = _names(kind), {"type": kind.type} if _tag(kind) else {}

    def write(value: object) -> Json:
        return tag | {name: to_json(getattr(value, name)) for name in names}

    return write


@cache
def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


def _tag(cls: Any) -> str | None:
    tag = getattr(cls, "type", None)
    return tag if isinstance(tag, str) and "type" not in _names(cls) else None


@cache
def _reader(hint: Any) -> Reader:
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda data, _: data
    if origin in (Union, types.UnionType):
        return _union(args)
    if origin is Literal:
        return _literal(args)
    if origin is tuple:
        return _tuple(args)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(args)
    if isinstance(hint, type):
        if dataclasses.is_dataclass(hint):
            return _dataclass(hint)
        return _enum(hint) if issubclass(hint, enum.Enum) else _plain(cast("type[object]", hint))
    raise TypeError(f"from_json: cannot read values annotated {hint!r}")


def _dataclass(cls: Any) -> Reader:
    hints = typing.get_type_hints(cls)
    readers = {n: _reader(h) for n, h in hints.items() if get_origin(h) is not ClassVar and n in _names(cls)}
    required = {
        f.name
        for f in dataclasses.fields(cls)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    tag = _tag(cls)

    def read(data: Any, path: str) -> Any:
        if not isinstance(data, Mapping):
            raise JsonMismatch(f"{path}: expected an object, got {_short(data)}")
        body = dict(cast("Mapping[str, Any]", data))
        if tag is not None and body.pop("type", tag) != tag:
            raise JsonMismatch(f"{path}: expected type {tag!r}, got {_short(data['type'])}")
        if wrong := (body.keys() - readers.keys()) | (required - body.keys()):
            known = ", ".join(readers)
            raise JsonMismatch(f"{path}: missing or unknown keys {', '.join(sorted(wrong))}; known: {known}")
        values = {name: readers[name](item, f"{path}.{name}") for name, item in body.items()}
        try:
            return cls(**values)
        except (
            ValueError,
            ConfigError,
        ) as error:  # what the value itself does not allow, such as an Image without data
            raise JsonMismatch(f"{path}: {error}") from None

    return read


def _union(args: tuple[Any, ...]) -> Reader:
    tagged = {_tag(arg): _reader(arg) for arg in args if dataclasses.is_dataclass(arg) and _tag(arg)}
    plain = [
        _reader(arg) for arg in args if arg is not type(None) and not (dataclasses.is_dataclass(arg) and _tag(arg))
    ]

    def read(data: Any, path: str) -> Any:
        if data is None and type(None) in args:
            return None
        if isinstance(data, Mapping) and (found := tagged.get(cast("Any", data).get("type"))):
            return found(data, path)
        for reader in plain:
            try:
                return reader(data, path)
            except JsonMismatch:
                if len(plain) == 1 and not tagged:
                    raise
        known = f", which are told apart by type: {', '.join(map(str, tagged))}" if tagged else ""
        raise JsonMismatch(f"{path}: {_short(data)} fits none of the expected types{known}")

    return read


def _literal(args: tuple[Any, ...]) -> Reader:
    def read(data: Any, path: str) -> Any:
        if not isinstance(data, str | int | bool) or data not in args:
            raise JsonMismatch(f"{path}: expected one of {', '.join(map(repr, args))}, got {_short(data)}")
        return data

    return read


def _tuple(args: tuple[Any, ...]) -> Reader:
    variadic = len(args) == 2 and args[1] is Ellipsis
    readers = [_reader(arg) for arg in args if arg is not Ellipsis]

    def read(data: Any, path: str) -> Any:
        if not isinstance(data, list | tuple):
            raise JsonMismatch(f"{path}: expected an array, got {_short(data)}")
        items = cast("Sequence[Any]", data)
        if not variadic and len(items) != len(readers):
            raise JsonMismatch(f"{path}: expected {len(readers)} items, got {len(items)}")
        return tuple((readers[0] if variadic else readers[i])(item, f"{path}[{i}]") for i, item in enumerate(items))

    return read


def _mapping(args: tuple[Any, ...]) -> Reader:
    reader = _reader(args[1])

    def read(data: Any, path: str) -> Any:
        if not isinstance(data, Mapping):
            raise JsonMismatch(f"{path}: expected an object, got {_short(data)}")
        return {k: reader(v, f"{path}.{k}") for k, v in cast("Mapping[str, Any]", data).items()}

    return read


def _enum(cls: type[enum.Enum]) -> Reader:
    def read(data: Any, path: str) -> Any:
        try:
            return cls(data)
        except ValueError:
            known = ", ".join(str(member.value) for member in cls)
            raise JsonMismatch(f"{path}: {_short(data)} is not one of {known}") from None

    return read


def _plain(cls: type) -> Reader:
    if cls not in (str, int, float, bool):
        raise TypeError(f"from_json: cannot read values of type {cls.__name__}")
    if cls is float:
        return _float

    def read(data: Any, path: str) -> Any:
        if not isinstance(data, cls) or (isinstance(data, bool) and cls is not bool):
            raise JsonMismatch(f"{path}: expected {cls.__name__}, got {_short(data)}")
        return data

    return read


def _float(data: Any, path: str) -> float:
    if (isinstance(data, int | float) and not isinstance(data, bool)) or data in ("nan", "inf", "-inf"):
        try:
            return float(data)
        except OverflowError:
            pass
    raise JsonMismatch(f"{path}: expected float, got {_short(data)}")


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 60 else text[:57] + "..."
