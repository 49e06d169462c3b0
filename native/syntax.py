"""What is asked of a syntax tree by more than one part of the translation."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Untranslatable(Exception):
    """A module is written in a way this does not know; the text says where, and what."""


def name_of(node: ast.expr) -> str:
    """The last name of `a.b.Name[T]`."""
    return ast.unparse(node.value if isinstance(node, ast.Subscript) else node).rpartition(".")[2]


def names_in(node: ast.AST) -> set[str]:
    """Every bare name in it."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def functions(tree: ast.Module) -> Iterator[tuple[ast.ClassDef | None, Function]]:
    """The module's functions, then the methods of its classes, each with its class."""
    for holder in (tree, *(one for one in tree.body if isinstance(one, ast.ClassDef))):
        owner = holder if isinstance(holder, ast.ClassDef) else None
        yield from ((owner, one) for one in holder.body if isinstance(one, Function))


def own(node: Function) -> Iterator[ast.AST]:
    """What stands in the function, in order, but not in functions and classes within it."""
    left: list[ast.AST] = list(reversed(node.body))
    while left:
        yield (one := left.pop())
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            left.extend(reversed(list(ast.iter_child_nodes(one))))


def first_line(node: ast.ClassDef | Function) -> int:
    """The line of its first decorator, or its own."""
    return min([node.lineno, *(mark.lineno for mark in node.decorator_list)])


def last_line(node: ast.stmt | ast.expr) -> int:
    """The line it ends on."""
    return node.end_lineno or node.lineno


def in_lines(text: str, node: ast.expr | ast.stmt) -> str:
    """The text on as many lines as the node had."""
    return text + "\n" * (last_line(node) - node.lineno)
