"""What has to be known of all modules to rewrite one: dataclasses with their fields, aliases, who is a base."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from native.syntax import Untranslatable, name_of


class Package:
    """The classes and aliases of all modules.

    `loose`: types whose values are taken as they come. `typed`: annotations stay as they are written, for mypy alone.
    """

    def __init__(self, sources: Iterable[str], *, loose: Iterable[str] = (), typed: bool = False) -> None:
        trees = list(map(ast.parse, sources))
        classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        self.bases = frozenset(name_of(base) for node in classes for base in node.bases)
        self.loose = frozenset(loose)
        self.typed = typed
        self.aliases = {name: value for tree in trees for name, value in aliases(tree).items()}
        for node in classes:
            self.aliases.pop(node.name, None)
        self._values: dict[str, list[ast.ClassDef]] = {}
        for node in classes:
            if dataclass_options(node) is not None:
                self._values.setdefault(node.name, []).append(node)

    def fields(self, node: ast.ClassDef) -> dict[str, Field]:
        """Its fields with those it inherits, in the order of the constructor."""
        found: dict[str, Field] = {}
        for base in self._parents(node):
            found |= self.fields(base)
        return found | {one.name: one for one in own_fields(node)}

    def is_derived(self, node: ast.ClassDef) -> bool:
        """Whether it is made from another dataclass."""
        return any(self._parents(node))

    def finishes(self, node: ast.ClassDef) -> bool:
        """Whether it has a `__post_init__`, its own or an inherited one."""
        own = any(isinstance(one, ast.FunctionDef) and one.name == "__post_init__" for one in node.body)
        return own or any(map(self.finishes, self._parents(node)))

    def _parents(self, node: ast.ClassDef) -> Iterator[ast.ClassDef]:
        for name in map(name_of, node.bases):
            found = self._values.get(name, [])
            if len(found) > 1:
                several = f"the package has {len(found)} dataclasses {name}"
                raise Untranslatable(f"{node.name}: {several}, and one of them is its base")
            yield from found


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a dataclass: its annotation, its default and the options of its `field(…)`, as written."""

    name: str
    hint: ast.expr
    default: ast.expr | None
    options: Mapping[str, ast.expr]

    @property
    def given(self) -> bool:
        """Whether the constructor takes it."""
        return "init" not in self.options or ast.unparse(self.options["init"]) != "False"

    @property
    def plain(self) -> bool:
        """Whether its default, if any, can be written into the constructor's signature."""
        default = self.default
        empty = isinstance(default, ast.Tuple) and not default.elts
        return self.factory is None and (default is None or empty or isinstance(default, ast.Constant))

    @property
    def factory(self) -> ast.expr | None:
        """What makes its default."""
        return self.options.get("default_factory")


def class_constants(node: ast.ClassDef) -> dict[str, str]:
    """The annotations of its ClassVars, as written."""
    return {
        one.target.id: ast.unparse(one.annotation)
        for one in node.body
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and name_of(one.annotation) == "ClassVar"
    }


def own_fields(node: ast.ClassDef) -> Iterator[Field]:
    """The fields that its own body declares."""
    for one in node.body:
        if not isinstance(one, ast.AnnAssign) or not isinstance(one.target, ast.Name):
            continue
        if name_of(one.annotation) == "ClassVar":
            continue
        if isinstance(one.value, ast.Call) and name_of(one.value.func) == "field":
            options = {option.arg: option.value for option in one.value.keywords if option.arg}
            yield Field(one.target.id, one.annotation, options.pop("default", None), options)
        else:
            yield Field(one.target.id, one.annotation, one.value, {})


def dataclass_options(node: ast.ClassDef) -> Mapping[str, str] | None:
    """The options of its `@dataclass`, as written; None where it is none, or writes its own constructor."""
    for mark in filter(is_dataclass, node.decorator_list):
        given = mark.keywords if isinstance(mark, ast.Call) else []
        found = {one.arg: ast.unparse(one.value) for one in given if one.arg}
        return None if found.get("init") == "False" else found
    return None


def is_dataclass(mark: ast.expr) -> bool:
    """Whether the decorator is `@dataclass`, with options or without."""
    return name_of(mark.func if isinstance(mark, ast.Call) else mark) == "dataclass"


def aliases(tree: ast.Module) -> dict[str, ast.expr]:
    """The module's `Name: TypeAlias = …`."""
    return {
        node.target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value
        if name_of(node.annotation) == "TypeAlias"
    }
