"""One module's source as mypyc takes it: dataclasses become plain classes, what it cannot translate is put aside.

No line changes its number, so a traceback of the compiled module points into the file people read. What is added goes
into the blank lines that the formatter keeps before and behind classes and methods. What a dataclass has beyond its
fields (`==`, `repr`, `replace`, pickles, frozenness) it is given at import, by `support.finish`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from native.aside import put_aside, redirect_recursion, stays
from native.classes import rewrite_class
from native.edits import Edits
from native.functions import construct_drafts, keep_cause, open_signature, widen_bound_again
from native.hints import Hints
from native.package import Package
from native.syntax import Function, Untranslatable, functions, in_lines

SUPPORT = "orchestra._native"
_NAMES = {
    "Any": "_native_any",
    "field": "_native_field",
    "final": "_native_final",
    "finish": "_native_finish",
    "loaded": "_native_loaded",
    "mypyc_attr": "_native_attr",
    "caused": "_native_caused",
    "as_object": "_native_object",
    "ClassVar": "_native_class_var",
}


def translate(text: str, package: Package, *, weak: Iterable[str] = ()) -> str:
    """The module as mypyc takes it. `weak`: its classes that weak references are made to.

    Raises:
        Untranslatable: it has neither a docstring nor `from __future__ import annotations`, no blank line where one is
            needed, a dataclass within another block, or one whose base may be one of several.
    """
    tree, edits, classes = ast.parse(text), Edits(text), frozenset(weak)
    hints = Hints(tree, package)
    generators, deeper = redirect_recursion(tree, edits)
    nodes = list(ast.walk(tree))
    for node in nodes:
        _rewrite(node, edits, hints)
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            rewrite_class(node, edits, tree, package, hints, classes)
    for owner, function in functions(tree):
        construct_drafts(function, edits)
        if stays(function) or (owner.name if owner else "", function.name) in generators:
            put_aside(function, owner, edits)
    edits.behind += deeper
    _import_support(tree, edits)
    return edits.applied()


def _rewrite(node: ast.AST, edits: Edits, hints: Hints) -> None:
    if isinstance(node, Function):
        open_signature(node, edits, hints)
        widen_bound_again(node, edits)
    elif isinstance(node, ast.ImportFrom) and node.module == "dataclasses":
        edits.replace(node, in_lines(f"from {SUPPORT} import {', '.join(map(ast.unparse, node.names))}", node))
    elif isinstance(node, ast.Raise):
        keep_cause(node, edits)
    elif isinstance(node, ast.Import) and ast.unparse(node) == "import dataclasses":
        edits.replace(node, f"from {SUPPORT.replace('.', ' import ')} as dataclasses")


def _import_support(tree: ast.Module, edits: Edits) -> None:
    """On the line of `from __future__ import annotations`, or of the docstring where that is left out."""
    names = ", ".join(f"{name} as {known}" for name, known in _NAMES.items())
    imports = f"; from {SUPPORT} import {names}; from {SUPPORT}_value import Value as _native_Value"
    head = next((one for one in tree.body if isinstance(one, ast.ImportFrom) and one.module == "__future__"), None)
    first = head or tree.body[0]
    if not head and not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
        raise Untranslatable("a module needs a docstring, or `from __future__ import annotations`")
    edits.after(first, imports)
