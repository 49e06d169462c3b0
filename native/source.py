"""One module's source as mypyc takes it: dataclasses become plain classes, what it cannot translate is put aside.

No line changes its number, so a traceback of the compiled module points into the file people read. What is added goes
into the blank lines that the formatter keeps before and behind classes and methods. What a dataclass has beyond its
fields (`==`, `repr`, `replace`, pickles, frozenness) it is given at import, by `support.finish`.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

BUILTINS = frozenset({"Literal", "bool", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple", "type"})
SUPPORT = "orchestra._native"
_IMPORTED = f"from {SUPPORT} import Any as _native_any, field as _native_field, final as _native_final, finish as _native_finish, loaded as _native_loaded"
_IMPORTED += ", mypyc_attr as _native_attr, caused as _native_caused, as_object as _native_object, ClassVar as _native_class_var; from orchestra._native_value import Value as _native_Value"

WRITTEN = frozenset({"__eq__", "__hash__", "__repr__"})  # by hand, where a class has them
_BUILT = (ast.BinOp, ast.BoolOp, ast.Call, ast.Compare, ast.Constant, ast.Dict, ast.DictComp, ast.IfExp, ast.JoinedStr)
_BUILT += (ast.List, ast.ListComp, ast.Set, ast.SetComp, ast.Tuple, ast.UnaryOp)
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Untranslatable(Exception):
    """A module is written in a way this does not know; the text says where, and what."""


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


class Package:
    """What has to be known of all modules to rewrite one."""

    def __init__(self, sources: Iterable[str], *, loose: Iterable[str] = (), typed: bool = False) -> None:
        trees = list(map(ast.parse, sources))
        classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        self.bases = frozenset(_name(base) for node in classes for base in node.bases)
        self.loose = frozenset(loose)
        self.typed = typed
        self.aliases = {name: value for tree in trees for name, value in aliases(tree).items()}
        for node in classes:
            self.aliases.pop(node.name, None)
        self._values: dict[str, list[ast.ClassDef]] = {}
        for node in classes:
            if _options(node) is not None:
                self._values.setdefault(node.name, []).append(node)

    def fields(self, node: ast.ClassDef) -> dict[str, Field]:
        """Its fields with those it inherits, in the order of the constructor."""
        found: dict[str, Field] = {}
        for base in self._parents(node):
            found |= self.fields(base)
        return found | {one.name: one for one in _own_fields(node)}

    def is_derived(self, node: ast.ClassDef) -> bool:
        """Whether it is made from another dataclass."""
        return any(self._parents(node))

    def finishes(self, node: ast.ClassDef) -> bool:
        """Whether it has a `__post_init__`, its own or an inherited one."""
        own = any(isinstance(one, ast.FunctionDef) and one.name == "__post_init__" for one in node.body)
        return own or any(map(self.finishes, self._parents(node)))

    def _parents(self, node: ast.ClassDef) -> Iterator[ast.ClassDef]:
        for name in map(_name, node.bases):
            found = self._values.get(name, [])
            if len(found) > 1:
                raise Untranslatable(f"{node.name}: the package has {len(found)} dataclasses {name}, and one of them is its base")
            yield from found


def translate(text: str, package: Package, *, weak: Iterable[str] = ()) -> str:
    """The module as mypyc takes it. `weak`: its classes that weak references are made to.

    Raises:
        Untranslatable: it has no `from __future__ import annotations`, or no blank line where one is needed.
    """
    return _Module(text, package, frozenset(weak)).translated()


class _Module:
    def __init__(self, text: str, package: Package, weak: frozenset[str]) -> None:
        self._package = package
        self._weak = weak
        self._tree = ast.parse(text)
        self._aliases = package.aliases | aliases(self._tree)
        self._lines = text.split("\n")
        self._edits: list[tuple[int, int, str]] = []
        self._last: list[str] = []
        self._known: set[str] = set()
        self._aside: set[tuple[str, str]] = set()
        self._deeper: set[str] = set()

    def translated(self) -> str:
        nodes = list(ast.walk(self._tree))
        self._known = {one.asname or one.name for node in nodes if isinstance(node, ast.ImportFrom) for one in node.names}
        self._known |= {node.name for node in nodes if isinstance(node, ast.ClassDef)}
        self._recursion()
        for node in nodes:
            if isinstance(node, Function):
                self._open(node)
                self._bound_again(node)
            elif isinstance(node, ast.ImportFrom) and node.module == "dataclasses":
                self._replace(node, _in_lines(f"from {SUPPORT} import {', '.join(map(ast.unparse, node.names))}", node))
            elif isinstance(node, ast.Raise) and node.exc and node.cause:
                self._cause(node.exc, node.cause)
            elif isinstance(node, ast.Import) and ast.unparse(node) == "import dataclasses":
                self._replace(node, f"from {SUPPORT.replace('.', ' import ')} as dataclasses")
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                self._class(node)
        for holder in (self._tree, *(one for one in self._tree.body if isinstance(one, ast.ClassDef))):
            for one in holder.body:
                if isinstance(one, Function):
                    self._drafts(one)
                owner = holder if isinstance(holder, ast.ClassDef) else None
                if isinstance(one, Function) and (
                    (isinstance(one, ast.AsyncFunctionDef) and _stays(one)) or (owner.name if owner else "", one.name) in self._aside
                ):
                    self._put_aside(one, owner)
        self._last += [f"_native_deeper_{name}: _native_any = {name}" for name in sorted(self._deeper)]
        self._import()
        result = self._text.encode()
        for start, end, new in sorted(self._edits, reverse=True):
            result = result[:start] + new.encode() + result[end:]
        return result.decode() + "".join(f"{line}\n" for line in self._last)

    def _import(self) -> None:
        for node in self._tree.body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                return self._after(node, f"; {_IMPORTED}")
        head = self._tree.body[0]
        if not (isinstance(head, ast.Expr) and isinstance(head.value, ast.Constant)):
            raise Untranslatable("a module needs a docstring, or `from __future__ import annotations`")
        return self._after(head, f"; {_IMPORTED}")

    def _builtin(self, hint: ast.AST, seen: frozenset[str] = frozenset()) -> bool:
        """Whether the annotation speaks of a type that compiled code would check, or convert, at every call."""
        if isinstance(hint, ast.Constant) and isinstance(hint.value, str):
            hint = ast.parse(hint.value, mode="eval").body
        names = {node.id for node in ast.walk(hint) if isinstance(node, ast.Name)}
        if "TypeGuard" in names:
            return False
        known = self._aliases.keys() & names - seen
        return bool(names & (BUILTINS | self._package.loose)) or any(self._builtin(self._aliases[name], seen | known) for name in known)

    # ------------------------------------------------------------------ classes

    def _class(self, node: ast.ClassDef) -> None:
        plain, marks = False, list[str]()
        if set(map(_name, node.bases)) & BUILTINS or node.name in self._weak or _odd_slots(node):
            plain, marks = True, ["@_native_attr(native_class=False)"]
        for one in node.body:
            if not plain and isinstance(one, ast.FunctionDef) and any(_name(mark) == "cached_property" for mark in one.decorator_list):
                self._kept_property(node, one)
        if plain or _options(node) is None:
            if marks:
                self._needs(self._into_blank(_first_line(node) - 1, -1, " " * node.col_offset + marks[0]), node)
            return
        last = node.name not in self._package.bases and not marks
        self._value(node, marks or (["@_native_final"] if last else []), last=last)

    def _value(self, node: ast.ClassDef, marks: Sequence[str], *, last: bool) -> None:
        """A dataclass: its decorator is gone, its constructor is written out, the rest is added behind it."""
        if node.col_offset:
            raise Untranslatable(f"line {node.lineno}: dataclass {node.name} is defined inside another block")
        for mark in node.decorator_list:
            if _is_dataclass(mark):
                self._span(mark.lineno, mark.col_offset - 1, _end(mark), None, _in_lines("".join(marks), mark))
        own = {one.name for one in _own_fields(node)}
        fields = list(self._package.fields(node).values())
        if not self._package.is_derived(node) and (_options(node) or {}).get("eq") != "False":
            self._derive(node)
        behind = node.body[0]
        for one in node.body:
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and one.target.id in own:
                hint = next(map(self._hint, (field for field in fields if field.name == one.target.id)))
                self._replace(one, _in_lines(f"{one.target.id}: {hint}", one))
                behind = one
        defaults = {one.name: f"_default_{node.name}_{one.name}" for one in fields if not one.plain}
        made = f"    def __init__({self._signature(fields)}) -> None: {self._body(node, fields, defaults)}"
        for line in (*(_first_line(one) - 1 for one in node.body if one.lineno > _end(behind)), _end(node) + 1):
            if self._into_blank(line, -1 if line <= _end(node) else 1, made):
                break
        else:
            raise Untranslatable(f"line {node.lineno}: {node.name} has no blank line for its constructor")
        finishing = "; ".join(self._finishing(node, fields, defaults, last=last))
        if not self._into_blank(_end(node) + 1, 1, finishing):
            self._last.append(finishing)

    def _derive(self, node: ast.ClassDef) -> None:
        near = [one for one in self._tree.body if isinstance(one, ast.ClassDef) and one.name in map(_name, node.bases)]
        if near:
            self._derive(near[0])
        elif node.bases:
            self._replace(node.bases[0], f"_native_Value, {ast.unparse(node.bases[0])}")
        else:
            line = self._lines[node.lineno - 1].encode()
            end = line.index(b":", line.index(node.name.encode()))
            self._span(node.lineno, end, node.lineno, end, "(_native_Value)")

    def _hint(self, one: Field) -> str:
        names = {node.id for node in ast.walk(one.hint) if isinstance(node, ast.Name)}
        typed = self._package.typed or not self._builtin(one.hint)
        return ast.unparse(one.hint) if typed and not names - self._known - BUILTINS else "_native_any"

    def _signature(self, fields: Iterable[Field]) -> str:
        parts = ["self"]
        for one in fields:
            if not one.given:
                continue
            hint = self._hint(one) if one.plain else "_native_any"
            default = "..." if not one.plain else one.default and ast.unparse(one.default)
            parts.append(f"{one.name}: {hint}" + (f" = {default}" if default else ""))
        return ", ".join(parts)

    def _body(self, node: ast.ClassDef, fields: Iterable[Field], defaults: Mapping[str, str]) -> str:
        parts: list[str] = []
        for one in fields:
            if one.given:
                default = _made_by(one.factory) if one.factory else defaults.get(one.name)
                value = f"{default} if {one.name} is ... else {one.name}" if one.name in defaults else one.name
                parts.append(f"self.{one.name} = {value}")
        if self._package.finishes(node):
            parts.append("self.__post_init__()")
        return "; ".join(parts or ["pass"])

    def _finishing(
        self, node: ast.ClassDef, fields: Iterable[Field], defaults: Mapping[str, str], *, last: bool
    ) -> Iterator[str]:
        own = {one.name for one in _own_fields(node)}
        listed: list[str] = []
        for one in fields:
            value = ast.unparse(one.default) if one.default else None
            if one.name in defaults and not one.factory:
                yield f"{defaults[one.name]}: _native_any = {value}"
                value = defaults[one.name]
            given = {name: ast.unparse(option) for name, option in one.options.items()} | (
                {"default": value} if value is not None else {}
            )
            arguments = ", ".join(f"{name}={text}" for name, text in given.items())
            listed.append(f"({one.name!r}, {ast.unparse(one.hint)!r}, _native_field({arguments}), {one.name in own})")
        options = {name: text for name, text in (_options(node) or {}).items() if name in {"frozen", "eq", "order"}}
        flags = "".join(f", {name}={text}" for name, text in options.items())
        written = [one.name for one in node.body if isinstance(one, ast.FunctionDef) and one.name in WRITTEN]
        flags += f", written={written!r}" if written else ""
        flags += f", doc={ast.get_docstring(node, clean=False)!r}"
        yield f"_native_finish({node.name}, [{', '.join(listed)}], slots={last}{flags})"

    def _kept_property(self, owner: ast.ClassDef, node: ast.FunctionDef) -> None:
        """A property whose value is kept in an attribute: of a compiled class there is no `__dict__` to keep it in."""
        mark = node.decorator_list[0]
        result = ast.unparse(node.returns) if node.returns else "_native_any"
        result = "_native_any" if node.returns and self._builtin(node.returns) else result
        pad, held, work = " " * node.col_offset, f"_held_{node.name}", f"_work_{node.name}"
        keeps = f"self.{held} = self.{work}() if self.{held} is None else self.{held}; return self.{held}"
        self._needs(self._into_blank(mark.lineno - 1, -1, f"{pad}@property"), node)
        self._edits = [edit for edit in self._edits if not self._within(edit, mark.lineno, node.body[0].lineno - 1)]
        self._span(mark.lineno, 0, mark.end_lineno, None, f"{pad}def {node.name}(self) -> {result}: {keeps}")
        end = node.body[0].lineno - 1
        self._span(node.lineno, 0, end, None, f"{pad}def {work}(self) -> {result}:" + "\n" * (end - node.lineno))
        self._after(owner.body[0], f"; {held}: _native_any = None")

    # ------------------------------------------------------------------ functions

    def _open(self, node: Function) -> None:
        """Values of built-in types are taken as they come: what is wrong with one is said by the code itself."""
        if self._package.typed:
            return
        arguments = node.args
        for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            if one.annotation and self._builtin(one.annotation):
                self._replace(one.annotation, _in_lines("_native_any", one.annotation))
        for rest in (arguments.vararg, arguments.kwarg):
            if rest and rest.annotation and self._builtin(rest.annotation):
                self._replace(rest.annotation, _in_lines("_native_any", rest.annotation))
        if node.returns and self._builtin(node.returns):
            self._replace(node.returns, _in_lines(_pair(node.returns), node.returns))

    def _cause(self, error: ast.expr, cause: ast.expr) -> None:
        """`raise … from …`, of which mypyc leaves out the second part."""
        self._span(error.lineno, error.col_offset, error.lineno, error.col_offset, "_native_caused(")
        self._span(_end(error), error.end_col_offset or 0, cause.lineno, cause.col_offset, ", ")
        self._span(_end(cause), cause.end_col_offset or 0, _end(cause), cause.end_col_offset, ")")

    def _bound_again(self, node: Function) -> None:
        """A name that is bound more than once is of any type: mypyc holds it to the first value's."""
        bound = [one for one in _own(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
        names, first = Counter(one.id for one in bound), {one.id: one for one in reversed(bound)}
        taken = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
        declared = {one.target.id for one in _own(node) if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)}
        added = {one.target.id for one in _own(node) if isinstance(one, ast.AugAssign) and isinstance(one.target, ast.Name)}
        for one in _own(node):
            if not isinstance(one, ast.Assign) or not isinstance(target := one.targets[0], ast.Name) or len(one.targets) > 1:
                continue
            name = target.id
            if target is first[name] and names[name] > 1 and name not in declared | added | taken and isinstance(one.value, _BUILT):
                self._span(_end(target), target.end_col_offset or 0, _end(target), target.end_col_offset, ": _native_any")
                declared.add(name)

    def _recursion(self) -> None:
        """Calls within a circle of functions go through objects, where the interpreter counts how deep they are."""
        functions: dict[tuple[str, str], Function] = {}
        for holder in (self._tree, *(one for one in self._tree.body if isinstance(one, ast.ClassDef))):
            owner = holder.name if isinstance(holder, ast.ClassDef) else ""
            functions |= {(owner, one.name): one for one in holder.body if isinstance(one, Function)}
        calls = {
            key: [(called, one) for one in ast.walk(node) if isinstance(one, ast.Call) if (called := _called(one, key[0])) in functions]
            for key, node in functions.items()
        }
        reached = {key: {called for called, _ in found} for key, found in calls.items()}
        for _ in functions:
            for found in reached.values():
                found |= {further for one in found for further in reached[one]}
        for key, found in calls.items():
            for called, one in found:
                if key not in reached[called]:
                    continue
                if _generates(functions[called]):
                    self._aside.add(called)
                elif called[0]:
                    function = one.func
                    assert isinstance(function, ast.Attribute), "called as self.name"
                    self._replace(function.value, f"_native_object({ast.unparse(function.value)})")
                else:
                    self._replace(one.func, f"_native_deeper_{called[1]}")
                    self._deeper.add(called[1])

    def _drafts(self, node: Function) -> None:
        """`draft.x = …` line by line, until its class is set, is a constructor's call."""
        ends = [one for one in node.body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]).endswith(".__class__")]
        if not ends:
            return
        draft = ast.unparse(ends[0].targets[0]).removesuffix(".__class__")
        made = ast.unparse(ends[0].value)
        for one in node.body:
            if isinstance(one, ast.Return):
                self._replace(one, "")
            elif isinstance(one, ast.Assign):
                target = ast.unparse(one.targets[0])
                if target == draft:
                    self._replace(one, f"return {made}(")
                elif one is ends[0]:
                    self._replace(one, ")")
                elif target.startswith(f"{draft}."):
                    self._replace(one, f"{target.removeprefix(f'{draft}.')}={ast.unparse(one.value)},")

    def _put_aside(self, node: Function, owner: ast.ClassDef | None) -> None:
        """Let it stay interpreted: mypyc does not take it, or not rightly (`_stays`)."""
        first, end = _first_line(node), _end(node)
        source = "\n".join(line[node.col_offset :] for line in self._lines[first - 1 : end])
        self._edits = [edit for edit in self._edits if not self._within(edit, first, end)]
        hint = "_native_class_var[_native_any]" if owner else "_native_any"
        declared = f"{' ' * node.col_offset}{node.name}: {hint}"
        self._span(first, 0, end, None, declared + "\n" * (end - first))
        name = owner.name if owner else "None"
        self._last.append(f"_native_loaded(globals(), {name}, {node.name!r}, {first}, {source!r})")

    # ------------------------------------------------------------------ edits

    @cached_property
    def _text(self) -> str:
        return "\n".join(self._lines)

    @cached_property
    def _starts(self) -> Sequence[int]:
        found = [0]
        for line in self._lines:
            found.append(found[-1] + len(line.encode()) + 1)
        return found

    def _place(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column

    def _within(self, edit: tuple[int, int, str], first: int, last: int) -> bool:
        return self._place(first, 0) <= edit[0] < self._starts[last]

    def _span(self, line: int, column: int, end: int | None, end_column: int | None, new: str) -> None:
        last = end or line
        stop = self._starts[last] - 1 if end_column is None else self._place(last, end_column)
        self._edits.append((self._place(line, column), stop, new))

    def _replace(self, node: ast.expr | ast.stmt, new: str) -> None:
        self._span(node.lineno, node.col_offset, node.end_lineno, node.end_col_offset, new)

    def _after(self, node: ast.stmt, new: str) -> None:
        self._span(_end(node), node.end_col_offset or 0, _end(node), node.end_col_offset, new)

    def _into_blank(self, line: int, step: int, new: str) -> bool:
        """Put into the first blank line from there on; comments on the way are passed. Whether there was one."""
        while 0 < line <= len(self._lines):
            text = self._lines[line - 1].strip()
            if not text and self._starts[line - 1] not in {start for start, _, _ in self._edits}:
                self._span(line, 0, line, None, new + ("\n" if line == len(self._lines) else ""))
                return True
            if text and not text.startswith("#"):
                return False
            line += step
        return False

    def _needs(self, found: bool, node: ast.ClassDef | Function) -> None:
        if not found:
            raise Untranslatable(f"line {node.lineno}: {node.name} needs a blank line before it")


def _options(node: ast.ClassDef) -> Mapping[str, str] | None:
    """The options of its `@dataclass`, as written; None where it is none, or writes its own constructor."""
    for mark in filter(_is_dataclass, node.decorator_list):
        given = mark.keywords if isinstance(mark, ast.Call) else []
        found = {one.arg: ast.unparse(one.value) for one in given if one.arg}
        return None if found.get("init") == "False" else found
    return None


def _is_dataclass(mark: ast.expr) -> bool:
    return _name(mark.func if isinstance(mark, ast.Call) else mark) == "dataclass"


def _own_fields(node: ast.ClassDef) -> Iterator[Field]:
    for one in node.body:
        if not isinstance(one, ast.AnnAssign) or not isinstance(one.target, ast.Name):
            continue
        if _name(one.annotation) == "ClassVar":
            continue
        if isinstance(one.value, ast.Call) and _name(one.value.func) == "field":
            options = {option.arg: option.value for option in one.value.keywords if option.arg}
            yield Field(one.target.id, one.annotation, options.pop("default", None), options)
        else:
            yield Field(one.target.id, one.annotation, one.value, {})


def aliases(tree: ast.Module) -> dict[str, ast.expr]:
    """The module's `Name: TypeAlias = …`."""
    return {
        node.target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value
        if _name(node.annotation) == "TypeAlias"
    }


def _name(node: ast.expr) -> str:
    """The last name of `a.b.Name[T]`."""
    return ast.unparse(node.value if isinstance(node, ast.Subscript) else node).rpartition(".")[2]


def _made_by(factory: ast.expr) -> str:
    if isinstance(factory, ast.Lambda):
        return f"({ast.unparse(factory.body)})"
    empty = {"list": "[]", "dict": "{}"}.get(_name(factory))
    return empty or f"{ast.unparse(factory)}()"


def _pair(hint: ast.expr) -> str:
    """What stands for the annotation: of a pair it is still said how many it has."""
    if isinstance(hint, ast.Subscript) and _name(hint) == "tuple" and isinstance(hint.slice, ast.Tuple):
        parts = hint.slice.elts
        if not any(isinstance(one, ast.Constant | ast.Starred) for one in parts):
            return f"tuple[{', '.join(['_native_any'] * len(parts))}]"
    return "_native_any"


def _odd_slots(node: ast.ClassDef) -> bool:
    return any(
        isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "__slots__" and not isinstance(one.value, ast.Tuple)
        for one in node.body
    )


def _own(node: Function) -> Iterator[ast.AST]:
    """What stands in the function, in order, but not in functions and classes within it."""
    left: list[ast.AST] = list(reversed(node.body))
    while left:
        yield (one := left.pop())
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            left.extend(reversed(list(ast.iter_child_nodes(one))))


def _generates(node: Function) -> bool:
    """Whether it has a `yield` of its own."""
    return any(isinstance(one, ast.Yield | ast.YieldFrom) for one in _own(node))


def _stays(node: ast.AsyncFunctionDef) -> bool:
    """Whether it is a generator, or waits while an exception is under way: compiled, that one is lost or raised again."""
    blocks: list[ast.stmt | ast.ExceptHandler] = []
    for one in _own(node):
        if isinstance(one, ast.AsyncWith):
            return True
        if isinstance(one, ast.Try):
            blocks += [*one.handlers, *one.finalbody]
    waits = any(isinstance(one, ast.Await) for block in blocks for one in ast.walk(block))
    return waits or _generates(node)


def _called(call: ast.Call, owner: str) -> tuple[str, str]:
    """The function or the method of the same class that is called, as far as that can be seen."""
    if isinstance(call.func, ast.Name):
        return ("", call.func.id)
    if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in {"self", "cls"}:
        return (owner, call.func.attr)
    return ("", "")


def _first_line(node: ast.ClassDef | Function) -> int:
    return min(node.lineno, *(mark.lineno for mark in node.decorator_list), node.lineno)


def _end(node: ast.stmt | ast.expr) -> int:
    return node.end_lineno or node.lineno


def _in_lines(text: str, node: ast.expr | ast.stmt) -> str:
    """As many lines as the node had."""
    return text + "\n" * ((node.end_lineno or node.lineno) - node.lineno)
