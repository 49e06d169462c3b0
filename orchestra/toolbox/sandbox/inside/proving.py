"""Runs solution.py, and tests.py against it: asserts at the top, test functions, unittest and plain test classes."""

from __future__ import annotations

import ast
import sys
import traceback
import types
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, cast

SOLUTION, TESTS = "solution.py", "tests.py"
_TOLD = 10
_LONGEST = 800
_EXPRESSION = 200

Tell = Callable[..., None]
Case = tuple[str, Callable[[], object]]


def prove(tell: Tell) -> int:
    """The exit code. With a tests.py, `tell` gets `passed`, `failed` (counts) and `failures` (texts) first."""
    if Path(TESTS).exists():
        return _test(tell)
    try:
        _execute(SOLUTION, "__main__")
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001  # whatever ends the code is what its writer must read
        print(_told(error), file=sys.stderr)  # noqa: T201  # what the code's author reads
        return 1
    return 0


def _test(tell: Tell) -> int:
    sys.path.insert(0, "")  # `from solution import ...` works; its names are also simply there
    passed, failures = 0, list[str]()
    for name, case in _cases():
        try:
            case()
        except BaseException as error:  # noqa: BLE001  # a test that exits has not passed
            failures.append(f"{name}: {_told(error)}")
        else:
            passed += not name.startswith("(")
    tell(passed=passed, failed=len(failures), failures=failures[:_TOLD])
    return 1 if failures else 0


def _cases() -> Iterator[Case]:
    """What is run, in order. A name in brackets is no test, but fails like one."""
    space: dict[str, Any] = {}
    ready: list[bool] = []

    def prepare() -> None:
        space.update(vars(_execute(SOLUTION, "solution")), __name__="tests", _told_sides=_told_sides)
        ready.append(True)

    yield "(loading the code)", prepare
    if not ready:
        return
    before = dict(space)
    yield from _statements(space, ready)
    if all(ready):
        yield from _defined({name: value for name, value in space.items() if before.get(name) is not value})


def _statements(space: dict[str, Any], ready: list[bool]) -> Iterator[Case]:
    """The statements of tests.py, one by one; every assert is a test of its own."""
    trees: list[ast.Module] = []
    yield "(reading the tests)", lambda: trees.append(_parsed(TESTS))
    body = trees[0].body if trees else []
    ready.append(bool(trees))
    for statement in body:
        done: list[bool] = []

        def run(statement: ast.stmt = statement, done: list[bool] = done) -> None:
            exec(compile(ast.Module([statement], []), TESTS, "exec"), space)  # noqa: S102  # what the sandbox is for
            done.append(True)

        is_test = isinstance(statement, ast.Assert)
        yield (f"assert in line {statement.lineno}" if is_test else f"(line {statement.lineno})"), run
        if not (is_test or done):
            ready.append(False)
            return


def _defined(names: dict[str, Any]) -> Iterator[Case]:
    for name, value in names.items():
        if isinstance(value, types.FunctionType) and name.startswith("test"):
            yield name, lambda value=value: _settled(value())
        elif isinstance(value, type) and value.__module__ == "tests":
            yield from _methods(name, value)


def _methods(name: str, kind: type) -> Iterator[Case]:
    unittest: Any = sys.modules.get("unittest")
    of_unittest = bool(unittest) and issubclass(kind, unittest.TestCase)
    if not (of_unittest or name.startswith("Test")):
        return
    for method in [found for found in dir(kind) if found.startswith("test")]:
        if unittest and of_unittest:
            yield f"{name}.{method}", lambda method=method: unittest.TestSuite([kind(method)]).debug()
        else:
            yield f"{name}.{method}", lambda method=method: _settled(getattr(kind(), method)())


def _settled(value: object) -> None:
    if isinstance(value, Coroutine):
        import asyncio  # only here: it takes longer to load than most tests to run

        asyncio.run(cast("Coroutine[object, object, object]", value))


def _execute(path: str, name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), vars(module))  # noqa: S102  # in the sandbox, which is what it is for
    return module


def _parsed(path: str) -> ast.Module:
    tree = ast.parse(Path(path).read_text(encoding="utf-8"), path)
    return ast.fix_missing_locations(_Sides().visit(tree))


class _Sides(ast.NodeTransformer):
    """`assert a == b` tells both sides when it fails: `assert (l := a) == (r := b), _told_sides("a == b", l, r)`."""

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        test = node.test
        if node.msg is not None or not isinstance(test, ast.Compare) or len(test.ops) != 1:
            return node
        source = ast.Constant(ast.unparse(test)[:_EXPRESSION])
        left = ast.NamedExpr(ast.Name("_l", ast.Store()), test.left)
        right = ast.NamedExpr(ast.Name("_r", ast.Store()), test.comparators[0])
        sides: list[ast.expr] = [source, ast.Name("_l", ast.Load()), ast.Name("_r", ast.Load())]
        told = ast.Call(ast.Name("_told_sides", ast.Load()), sides, [])
        return ast.copy_location(ast.Assert(ast.Compare(left, test.ops, [right]), told), node)


def _told_sides(source: str, left: object, right: object) -> str:
    return f"{source}: left is {repr(left)[:_EXPRESSION]}, right is {repr(right)[:_EXPRESSION]}"


def _told(error: BaseException) -> str:
    """The error, and the lines of the code and of the tests that led to it."""
    what = "".join(traceback.format_exception_only(error)).strip()[:_LONGEST]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in (SOLUTION, TESTS)]
    return "\n".join([what, *(f"  {frame.filename} line {frame.lineno}: {frame.line}" for frame in frames[-5:])])
