"""Small modules, run as they are written and as they are translated."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import pytest

import native.support
import orchestra  # noqa: F401  # the parent of what is put in its place below
from native.package import Package
from native.source import translate

Translated: TypeAlias = Callable[..., str]
Load: TypeAlias = Callable[..., ModuleType]
NAME = "translated_here"


@pytest.fixture
def translated() -> Translated:
    def translated(text: str, *, loose: Iterable[str] = (), typed: bool = False, weak: Iterable[str] = ()) -> str:
        return translate(text, Package([text], loose=loose, typed=typed), weak=weak)

    return translated


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Runs a module's translation as plain Python, which it is, beside the file it was made from."""
    monkeypatch.setitem(sys.modules, "orchestra._native", native.support)
    monkeypatch.setitem(sys.modules, "orchestra._native_value", importlib.import_module("native.value"))

    def load(text: str, *, written: bool = False, weak: Iterable[str] = ()) -> ModuleType:
        module = ModuleType(NAME)
        monkeypatch.setitem(sys.modules, NAME, module)
        path = tmp_path / f"{NAME}.py"
        path.write_text(text, encoding="utf-8")
        module.__file__ = str(path if written else path.with_suffix(".so"))
        tree = ast.parse(text if written else translate(text, Package([text]), weak=weak))
        if not written:
            tree = ast.fix_missing_locations(_Direct().visit(tree))
        exec(compile(tree, path, "exec"), vars(module))
        return module

    return load


@pytest.fixture(params=["as it is written", "translated"])
def either(load: Load, request: pytest.FixtureRequest) -> Load:
    """The same is expected of both."""
    return lambda text: load(text, written=request.param != "translated")


class _Direct(ast.NodeTransformer):
    """`self.x = …` sets the attribute past `__setattr__`, as compiled code does in its own classes."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        if not (isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self"):
            return node
        setting = ast.parse("object.__setattr__(self)").body[0]
        assert isinstance(setting, ast.Expr)
        assert isinstance(setting.value, ast.Call)
        setting.value.args += [ast.Constant(target.attr), node.value]
        for one in (setting, setting.value):
            ast.copy_location(one, node)
        return setting
