"""A dataclass as a plain class: its constructor is written out, the rest it is given by `support.finish` at import."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from native.edits import Edits
from native.hints import ANY, Hints
from native.package import Package, class_constants, dataclass_options, is_dataclass, own_fields
from native.syntax import Untranslatable, first_line, in_lines, last_line, name_of

WRITTEN = frozenset({"__eq__", "__hash__", "__repr__"})  # by hand, where a class has them
BASE = "_native_Value"


class Value:
    """One dataclass of a module. `last`: no other class is made from it."""

    def __init__(self, node: ast.ClassDef, package: Package, hints: Hints, *, last: bool) -> None:
        self._node = node
        self._package = package
        self._hints = hints
        self._last = last
        self._own = {one.name: one for one in own_fields(node)}
        self._fields = list(package.fields(node).values())
        self._defaults = {one.name: f"_default_{node.name}_{one.name}" for one in self._fields if not one.plain}
        self._options = dataclass_options(node) or {}

    def rewrite(self, edits: Edits, tree: ast.Module, mark: str) -> None:
        """Put the mark in the decorator's place, and the constructor and the finishing into blank lines.

        Raises:
            Untranslatable: it stands inside another block, or there is no blank line for its constructor.
        """
        node = self._node
        if node.col_offset:
            raise Untranslatable(f"line {node.lineno}: dataclass {node.name} is defined inside another block")
        for one in filter(is_dataclass, node.decorator_list):
            edits.span(one.lineno, one.col_offset - 1, last_line(one), None, in_lines(mark, one))
        if not self._package.is_derived(node) and self._options.get("eq") != "False":
            _derive(node, edits, tree)
        last_field = node.body[0]
        for one in node.body:
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and one.target.id in self._own:
                name = one.target.id
                edits.replace(one, in_lines(f"{name}: {self._hints.field(self._own[name])}", one))
                last_field = one
        self._construct(edits, last_line(last_field))
        finishing = "; ".join(self._finishing())
        if not edits.into_blank(last_line(node) + 1, 1, finishing):
            edits.behind.append(finishing)

    def _construct(self, edits: Edits, fields_end: int) -> None:
        node = self._node
        made = f"    def __init__({self._signature()}) -> None: {self._body()}"
        between = [one for one in node.body if one.lineno > fields_end]
        # a decorator stands above its function's line, and the blank line above the decorator
        above = (_top(one) - 1 for one in between)
        if any(edits.into_blank(line, -1, made) for line in above) or edits.into_blank(last_line(node) + 1, 1, made):
            return
        raise Untranslatable(f"line {node.lineno}: {node.name} has no blank line for its constructor")

    def _signature(self) -> str:
        parts = ["self"]
        for one in self._fields:
            if not one.given:
                continue
            hint = self._hints.field(one) if one.plain else ANY
            default = "..." if not one.plain else one.default and ast.unparse(one.default)
            parts.append(f"{one.name}: {hint}" + (f" = {default}" if default else ""))
        return ", ".join(parts)

    def _body(self) -> str:
        parts: list[str] = []
        for one in self._fields:
            if one.given:
                default = _made_by(one.factory) if one.factory else self._defaults.get(one.name)
                value = f"{default} if {one.name} is ... else {one.name}" if one.name in self._defaults else one.name
                parts.append(f"self.{one.name} = {value}")
        if self._package.finishes(self._node):
            parts.append("self.__post_init__()")
        return "; ".join(parts or ["pass"])

    def _finishing(self) -> Iterator[str]:
        """Statements: what makes the defaults, once, then the call that makes the class whole."""
        node, listed = self._node, list[str]()
        for one in self._fields:
            options = {name: ast.unparse(option) for name, option in one.options.items()}
            if one.default:
                options["default"] = ast.unparse(one.default)
                if one.name in self._defaults and not one.factory:
                    yield f"{self._defaults[one.name]}: {ANY} = {options['default']}"
                    options["default"] = self._defaults[one.name]
            arguments = ", ".join(f"{name}={text}" for name, text in options.items())
            spec = f"{one.name!r}, {ast.unparse(one.hint)!r}, _native_field({arguments}), {one.name in self._own}"
            listed.append(f"({spec})")
        chosen = [(name, text) for name, text in self._options.items() if name in {"frozen", "eq", "order"}]
        flags = "".join(f", {name}={text}" for name, text in chosen)
        written = [one.name for one in node.body if isinstance(one, ast.FunctionDef) and one.name in WRITTEN]
        flags += f", written={written!r}" if written else ""
        constants = class_constants(node)
        flags += f", constants={constants!r}" if constants else ""
        flags += f", doc={ast.get_docstring(node, clean=False)!r}"
        yield f"_native_finish({node.name}, [{', '.join(listed)}], slots={self._last}{flags})"


def _derive(node: ast.ClassDef, edits: Edits, tree: ast.Module) -> None:
    """Let it, or the base it has in the module, come from the class that compares as its class finds at import."""
    bases = list(map(name_of, node.bases))
    near = [one for one in tree.body if isinstance(one, ast.ClassDef) and one.name in bases]
    if near:
        _derive(near[0], edits, tree)
    elif node.bases:
        edits.replace(node.bases[0], f"{BASE}, {ast.unparse(node.bases[0])}")
    else:
        line = edits.lines[node.lineno - 1].encode()
        end = line.index(b":", line.index(node.name.encode()))
        edits.span(node.lineno, end, node.lineno, end, f"({BASE})")


def _top(node: ast.stmt) -> int:
    return first_line(node) if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else node.lineno


def _made_by(factory: ast.expr) -> str:
    if isinstance(factory, ast.Lambda):
        return f"({ast.unparse(factory.body)})"
    empty = {"list": "[]", "dict": "{}"}.get(name_of(factory))
    return empty or f"{ast.unparse(factory)}()"
