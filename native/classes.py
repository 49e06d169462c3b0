"""The classes of a module: which may be compiled as such, and the properties that keep their value."""

from __future__ import annotations

import ast
from collections.abc import Set as AbstractSet

from native.edits import Edits
from native.hints import ANY, BUILTINS, Hints
from native.package import Package, dataclass_options
from native.syntax import first_line, name_of
from native.values import Value

INTERPRETED = "@_native_attr(native_class=False)"
FINAL = "@_native_final"


def rewrite_class(
    node: ast.ClassDef, edits: Edits, tree: ast.Module, package: Package, hints: Hints, weak: AbstractSet[str]
) -> None:
    """Mark it for the compiler. `weak`: classes that weak references are made to, which compiled ones do not take."""
    plain = bool(set(map(name_of, node.bases)) & BUILTINS) or node.name in weak or _has_odd_slots(node)
    for one in node.body:
        if not plain and isinstance(one, ast.FunctionDef) and "cached_property" in map(name_of, one.decorator_list):
            _keep_value(node, one, edits, hints)
    if plain:
        edits.above(first_line(node), " " * node.col_offset + INTERPRETED, node)
    elif dataclass_options(node) is not None:
        last = node.name not in package.bases
        Value(node, package, hints, last=last).rewrite(edits, tree, FINAL if last else "")


def _keep_value(owner: ast.ClassDef, node: ast.FunctionDef, edits: Edits, hints: Hints) -> None:
    """A property whose value is kept in an attribute: of a compiled class there is no `__dict__` to keep it in."""
    mark, result = node.decorator_list[0], hints.kept(node.returns)
    pad, held, work = " " * node.col_offset, f"_held_{node.name}", f"_work_{node.name}"
    keeps = f"self.{held} = self.{work}() if self.{held} is None else self.{held}; return self.{held}"
    edits.above(mark.lineno, f"{pad}@property", node)
    end = node.body[0].lineno - 1
    edits.drop(mark.lineno, end)
    edits.span(mark.lineno, 0, mark.lineno, None, f"{pad}def {node.name}(self) -> {result}: {keeps}")
    edits.span(node.lineno, 0, end, None, f"{pad}def {work}(self) -> {result}:" + "\n" * (end - node.lineno))
    edits.after(owner.body[0], f"; {held}: {ANY} = None")


def _has_odd_slots(node: ast.ClassDef) -> bool:
    """Whether its `__slots__` are anything but a tuple."""
    slots = (one for one in node.body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "__slots__")
    return any(not isinstance(one.value, ast.Tuple) for one in slots)
