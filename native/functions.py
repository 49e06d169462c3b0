"""What is written otherwise within functions, because mypyc takes it for something else or leaves it out."""

from __future__ import annotations

import ast
from collections import Counter

from native.edits import Edits
from native.hints import ANY, Hints
from native.syntax import Function, in_lines, own

# what a first value of a narrow type is made by
_BUILT = (
    *(ast.BinOp, ast.BoolOp, ast.Call, ast.Compare, ast.Constant, ast.Dict, ast.DictComp, ast.IfExp, ast.JoinedStr),
    *(ast.List, ast.ListComp, ast.Set, ast.SetComp, ast.Tuple, ast.UnaryOp),
)


def open_signature(node: Function, edits: Edits, hints: Hints) -> None:
    """Values of built-in types are taken as they come: what is wrong with one is said by the code itself."""
    if hints.typed:
        return
    given = node.args
    rest = [one for one in (given.vararg, given.kwarg) if one]
    for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, *rest):
        if one.annotation and hints.builtin(one.annotation):
            edits.replace(one.annotation, in_lines(ANY, one.annotation))
    if node.returns and hints.builtin(node.returns):
        edits.replace(node.returns, in_lines(hints.result(node.returns), node.returns))


def widen_bound_again(node: Function, edits: Edits) -> None:
    """A name that is bound more than once is of any type: mypyc holds it to the first value's."""
    stored = [one for one in own(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
    times, first = Counter(one.id for one in stored), {one.id: one for one in reversed(stored)}
    # of these a type is known, or taken from elsewhere
    typed = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
    fixed = (one.target for one in own(node) if isinstance(one, ast.AnnAssign | ast.AugAssign))
    typed |= {target.id for target in fixed if isinstance(target, ast.Name)}
    for one in own(node):
        if not isinstance(one, ast.Assign) or len(one.targets) > 1 or not isinstance(one.value, _BUILT):
            continue
        target = one.targets[0]
        if not isinstance(target, ast.Name) or target.id in typed:
            continue
        if target is first[target.id] and times[target.id] > 1:
            edits.after(target, f": {ANY}")


def keep_cause(node: ast.Raise, edits: Edits) -> None:
    """`raise … from …`, of which mypyc leaves out the second part."""
    error, cause = node.exc, node.cause
    if error is None or cause is None:
        return
    edits.before(error, "_native_caused(")
    between = error.end_lineno or error.lineno, error.end_col_offset or 0
    edits.span(*between, cause.lineno, cause.col_offset, ", ")
    edits.after(cause, ")")


def construct_drafts(node: Function, edits: Edits) -> None:
    """`draft.x = …` line by line, until its class is set, is a constructor's call: a compiled class cannot be set."""
    assigned = [one for one in node.body if isinstance(one, ast.Assign)]
    ends = [one for one in assigned if ast.unparse(one.targets[0]).endswith(".__class__")]
    if not ends:
        return
    draft = ast.unparse(ends[0].targets[0]).removesuffix(".__class__")
    for one in node.body:
        if isinstance(one, ast.Return):
            edits.replace(one, "")
    for one in assigned:
        target = ast.unparse(one.targets[0])
        if target == draft:
            edits.replace(one, f"return {ast.unparse(ends[0].value)}(")
        elif one is ends[0]:
            edits.replace(one, ")")
        elif target.startswith(f"{draft}."):
            edits.replace(one, f"{target.removeprefix(f'{draft}.')}={ast.unparse(one.value)},")
