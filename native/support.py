"""What compiled modules are given at import: the parts of a dataclass, and the functions put aside.

Only a compiled wheel holds it, as `orchestra/_native.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, final

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**_options: Any) -> Any:
        """A mark for the compiler, which leaves the class as it is."""
        return lambda cls: cls


__all__ = [
    "MISSING",
    "Any",
    "ClassVar",
    "Field",
    "as_object",
    "asdict",
    "caused",
    "dataclass",
    "field",
    "fields",
    "final",
    "finish",
    "is_dataclass",
    "loaded",
    "mypyc_attr",
    "replace",
]

# of no type: to the compiler a finished class is no dataclass
dataclass: Any = dataclasses.dataclass
Field: Any = dataclasses.Field
MISSING: Any = dataclasses.MISSING
asdict: Any = dataclasses.asdict
field: Any = dataclasses.field
fields: Any = dataclasses.fields
is_dataclass: Any = dataclasses.is_dataclass
replace: Any = dataclasses.replace


def as_object(value: Any) -> Any:
    """The value, of no type that the compiler knows."""
    return value


def caused(error: Any, cause: BaseException | None) -> BaseException:
    """The error, to be raised, with its cause."""
    made: BaseException = error() if isinstance(error, type) else error
    made.__cause__ = cause
    return made


_COPIED = ("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__repr__", "__eq__", "__hash__")
_ORDERED = ("__lt__", "__le__", "__gt__", "__ge__")


def finish(
    cls: Any,
    specs: Iterable[tuple[str, str, Any, bool]],
    *,
    slots: bool,
    frozen: bool = False,
    eq: bool = True,
    order: bool = False,
    written: Iterable[str] = (),
    constants: Mapping[str, str] = MappingProxyType({}),
    doc: str | None = None,
) -> None:
    """Give a compiled class what `dataclass` would have, taken from a twin that is one.

    `specs`: a field's name, its annotation, its options and whether it is the class's own.
    `slots`: say that it has slots, which a class that others are made from may not. `written`: what stands in it.
    `constants`: the annotations of its ClassVars.
    """
    specs = list(specs)
    own = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": doc or ""}
    own |= {name: value for name, _, value, _ in specs}
    own["__annotations__"] = {name: hint for name, hint, _, _ in specs}
    twin = dataclasses.dataclass(frozen=frozen, eq=eq, order=order)(type(cls.__name__, (), own))
    for name in _COPIED + (_ORDERED if order else ()):
        if name in vars(twin) and name not in written:
            setattr(cls, name, vars(twin)[name])
    cls.__annotations__ = dict(constants) | {name: hint for name, hint, _, is_own in specs if is_own}
    if doc:
        cls.__doc__ = doc
    if slots:
        cls.__slots__ = tuple(name for name, _, _, is_own in specs if is_own)
    cls.__reduce__ = _reduced
    if frozen:
        names = frozenset(own["__annotations__"])
        cls.__setattr__, cls.__delattr__ = _frozen(cls, names, "assign to"), _frozen(cls, names, "delete")


def _frozen(cls: type, names: frozenset[str], verb: str) -> Callable[..., None]:
    change = object.__delattr__ if verb == "delete" else object.__setattr__

    def refuse(self: Any, name: str, *value: Any) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot {verb} field {name!r}")
        change(self, name, *value)

    return refuse


def _reduced(self: Any) -> tuple[Any, ...]:
    """How it is copied and pickled: a compiled class cannot be made without its constructor."""
    held = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
    return _again, (type(self), held), getattr(self, "__dict__", None) or None


def _again(cls: Any, held: dict[str, Any]) -> Any:
    made = cls(**{one.name: held[one.name] for one in dataclasses.fields(cls) if one.init})
    for name, value in held.items():
        object.__setattr__(made, name, value)
    return made


def loaded(namespace: dict[str, Any], cls: Any, name: str, line: int, source: str) -> None:
    """Define a function of the module, or of its class, from its source, which begins at this line of the file."""
    file = str(Path(namespace["__file__"]).with_name(namespace["__name__"].rpartition(".")[2] + ".py"))
    head = "from __future__ import annotations" + "\n" * (line - 1)
    held = namespace.get(name)
    exec(compile(head + source, file, "exec"), namespace)  # noqa: S102  # it is the module's own source
    made = namespace[name]
    if cls is not None:
        made.__qualname__ = f"{cls.__qualname__}.{name}"
        setattr(cls, name, made)
        if held is None:
            del namespace[name]
        else:
            namespace[name] = held
