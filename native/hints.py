"""Which annotations stay: a compiled call checks, or converts, values of built-in types, so theirs do not."""

from __future__ import annotations

import ast

from native.package import Field, Package, aliases
from native.syntax import name_of, names_in

ANY = "_native_any"
BUILTINS = frozenset(
    {"Literal", "bool", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple", "type"}
)


class Hints:
    """The annotations of one module."""

    def __init__(self, tree: ast.Module, package: Package) -> None:
        self.typed = package.typed
        self._open = BUILTINS | package.loose
        self._aliases = package.aliases | aliases(tree)
        nodes = list(ast.walk(tree))
        imported = (one for node in nodes if isinstance(node, ast.ImportFrom) for one in node.names)
        self._known = {one.asname or one.name for one in imported}
        self._known |= {node.name for node in nodes if isinstance(node, ast.ClassDef)}

    def builtin(self, hint: ast.AST, seen: frozenset[str] = frozenset()) -> bool:
        """Whether it speaks of a type that compiled code would check, or convert, at every call."""
        if isinstance(hint, ast.Constant) and isinstance(hint.value, str):
            hint = ast.parse(hint.value, mode="eval").body
        names = names_in(hint)
        if "TypeGuard" in names:
            return False
        known = self._aliases.keys() & names - seen
        return bool(names & self._open) or any(self.builtin(self._aliases[name], seen | known) for name in known)

    def field(self, one: Field) -> str:
        """A field's; of an inherited one, the module may not know the names."""
        stays = self.typed or not self.builtin(one.hint)
        return ast.unparse(one.hint) if stays and not names_in(one.hint) - self._known - BUILTINS else ANY

    def kept(self, result: ast.expr | None) -> str:
        """A kept property's."""
        return ast.unparse(result) if result and not self.builtin(result) else ANY

    def result(self, hint: ast.expr) -> str:
        """What stands for a function's: of a pair it is still said how many it has."""
        if isinstance(hint, ast.Subscript) and name_of(hint) == "tuple" and isinstance(hint.slice, ast.Tuple):
            parts = hint.slice.elts
            if not any(isinstance(one, ast.Constant | ast.Starred) for one in parts):
                return f"tuple[{', '.join([ANY] * len(parts))}]"
        return ANY
