"""What stays interpreted, put aside as text that is run at import; and how deep recursion is counted."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from native.edits import Edits
from native.hints import ANY
from native.syntax import Function, first_line, functions, last_line, own

Key: TypeAlias = tuple[str, str]  # the name of the class, or "", and of the function


def redirect_recursion(tree: ast.Module, edits: Edits) -> tuple[frozenset[Key], Sequence[str]]:
    """Let calls within a circle of functions go through objects, where the interpreter counts how deep they are.

    The generators that are called so, which have to be put aside: a compiled one counts nothing; and the lines that
    the module then ends with.
    """
    known = {(owner.name if owner else "", one.name): one for owner, one in functions(tree)}
    calls = {key: _calls(key[0], one, known) for key, one in known.items()}
    reached = _reached(calls)
    circular = [(called, call) for key, found in calls.items() for called, call in found if key in reached[called]]
    deeper, generators = set[str](), set[Key]()
    for called, call in circular:
        owner, name = called
        if _generates(known[called]):
            generators.add(called)
        elif owner and isinstance(call.func, ast.Attribute):
            edits.replace(call.func.value, f"_native_object({ast.unparse(call.func.value)})")
        else:
            edits.replace(call.func, f"_native_deeper_{name}")
            deeper.add(name)
    return frozenset(generators), [f"_native_deeper_{name}: {ANY} = {name}" for name in sorted(deeper)]


def _calls(owner: str, node: Function, known: Mapping[Key, Function]) -> Sequence[tuple[Key, ast.Call]]:
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
    return [(called, one) for one in calls if (called := _called(one, owner)) in known]


def _called(call: ast.Call, owner: str) -> Key:
    """The function or the method of the same class that is called, as far as that can be seen."""
    if isinstance(call.func, ast.Name):
        return ("", call.func.id)
    if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in {"self", "cls"}:
        return (owner, call.func.attr)
    return ("", "")


def _reached(calls: Mapping[Key, Sequence[tuple[Key, ast.Call]]]) -> Mapping[Key, set[Key]]:
    """Each function's, and those that these call, and so on."""
    reached = {key: {called for called, _ in found} for key, found in calls.items()}
    for _ in calls:
        for found in reached.values():
            found |= {further for one in found for further in reached[one]}
    return reached


def stays(node: Function) -> bool:
    """Whether it is an asynchronous generator, or waits while an exception is under way.

    Compiled, that exception is lost or raised again.
    """
    return isinstance(node, ast.AsyncFunctionDef) and (_generates(node) or _waits_amid_exception(node))


def _waits_amid_exception(node: ast.AsyncFunctionDef) -> bool:
    blocks: list[ast.stmt | ast.ExceptHandler] = []
    for one in own(node):
        if isinstance(one, ast.AsyncWith):
            return True
        if isinstance(one, ast.Try):
            blocks += [*one.handlers, *one.finalbody]
    return any(isinstance(one, ast.Await) for block in blocks for one in ast.walk(block))


def _generates(node: Function) -> bool:
    """Whether it has a `yield` of its own."""
    return any(isinstance(one, ast.Yield | ast.YieldFrom) for one in own(node))


def put_aside(node: Function, owner: ast.ClassDef | None, edits: Edits) -> None:
    """Declare it only; `support.loaded` defines it at import, in the lines where it stands."""
    first, end = first_line(node), last_line(node)
    source = "\n".join(line[node.col_offset :] for line in edits.lines[first - 1 : end])
    hint = f"_native_class_var[{ANY}]" if owner else ANY
    edits.drop(first, end)
    edits.span(first, 0, end, None, f"{' ' * node.col_offset}{node.name}: {hint}" + "\n" * (end - first))
    name = owner.name if owner else "None"
    edits.behind.append(f"_native_loaded(globals(), {name}, {node.name!r}, {first}, {source!r})")
