"""What is put aside, or calls itself through an object: it works as it is written, as a function and as a method."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import traceback
from pathlib import Path
from typing import Any

import pytest

from tests.native.conftest import Load, Translated

DEEP = '''"""Functions that call themselves."""

from __future__ import annotations

from collections.abc import Iterator


def total(value: object) -> int:
    return sum([total(one) for one in value]) if isinstance(value, list) else 1


def even(count: int) -> bool:
    return not count or odd(count - 1)


def odd(count: int) -> bool:
    return bool(count) and even(count - 1)


def shown(count: int) -> str:
    return str(total([count]))


def flat(value: object) -> Iterator[object]:
    if not isinstance(value, list):
        yield value
        return
    for one in value:
        yield from flat(one)


class Tree:
    """It goes down."""

    def depth(self, value: object) -> int:
        """How deep it is."""
        return 1 + max([self.depth(one) for one in value]) if isinstance(value, list) and value else 0

    @classmethod
    def down(cls, count: int) -> int:
        """To zero."""
        return cls.down(count - 1) + 1 if count else 0

    def leaves(self, value: object) -> Iterator[object]:
        """What is no list."""
        for one in value if isinstance(value, list) else []:
            yield from self.leaves(one)
        if not isinstance(value, list):
            yield value

    def twice(self, value: object) -> int:
        """It calls another only."""
        return 2 * self.depth(value)
'''
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


def function(text: str, name: str) -> str:
    return next(ast.unparse(one) for one in ast.walk(ast.parse(text)) if getattr(one, "name", "") == name)


def test_a_circle_of_calls_goes_through_objects_and_other_calls_do_not(translated: Translated) -> None:
    made = translated(DEEP)
    assert "_native_deeper_total(one)" in function(made, "total")
    assert "_native_deeper_odd(count - 1)" in function(made, "even")
    assert "_native_deeper_even(count - 1)" in function(made, "odd")
    assert "str(total([count]))" in function(made, "shown")
    assert "_native_object(self).depth(one)" in function(made, "depth")
    assert "_native_object(cls).down(count - 1)" in function(made, "down")
    assert "self.depth(value)" in function(made, "twice").replace("_native_object", "")
    assert "_native_object" not in function(made, "twice")


def test_what_a_circle_goes_through_is_of_any_type_behind_the_last_line(translated: Translated) -> None:
    behind = translated(DEEP).split("\n")[DEEP.count("\n") :]
    for name in ("even", "odd", "total"):
        assert f"_native_deeper_{name}: _native_any = {name}" in behind
    assert not any("_native_deeper_shown" in line for line in behind)


def test_generators_that_call_themselves_are_put_aside(translated: Translated) -> None:
    tree = ast.parse(translated(DEEP))
    declared = {ast.unparse(one) for one in ast.walk(tree) if isinstance(one, ast.AnnAssign)}
    assert {"flat: _native_any", "leaves: _native_class_var[_native_any]"} <= declared
    assert not {"flat", "leaves"} & {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}


def test_functions_that_call_themselves_give_what_they_gave(either: Load) -> None:
    module = either(DEEP)
    assert (module.total([1, [2, [3, 4]]]), module.even(7), module.odd(7), module.shown(5)) == (4, False, True, "1")
    assert list(module.flat([1, [2, [3]], 4])) == [1, 2, 3, 4]


def test_methods_that_call_themselves_give_what_they_gave(either: Load) -> None:
    tree = either(DEEP).Tree()
    assert (tree.depth([[1], 2]), tree.down(4), tree.twice([1])) == (2, 4, 2)
    assert list(tree.leaves([1, [2, [3]], 4])) == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["total", "flat", "depth", "leaves"])
def test_nesting_without_end_is_a_recursion_error(either: Load, name: str) -> None:
    module = either(DEEP)
    with pytest.raises(RecursionError):
        list([getattr(module, name, None) or getattr(module.Tree(), name)][0](ENDLESS))


ASIDE = '''"""What waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LIMIT = 3


async def each(
    count: int = LIMIT, *, start: int = 0
) -> AsyncIterator[int]:
    """From the start on."""
    for one in range(count):
        await asyncio.sleep(0)
        if one == 2 * LIMIT:
            raise ValueError("too many")
        yield start + one


async def listed(count: int) -> list[int]:
    return [one async for one in each(count)]


@asynccontextmanager
async def noted(log: list[str]) -> AsyncIterator[str]:
    log.append("open")
    try:
        yield "held"
    finally:
        await asyncio.sleep(0)
        log.append("closed")


async def within(log: list[str]) -> str:
    async with noted(log) as held:
        log.append(held)
        if log[0] == "fail":
            raise ValueError("within")
    return held


async def at_last(log: list[str], error: Exception | None) -> str:
    try:
        if error:
            raise error
        return "made"
    finally:
        await asyncio.sleep(0)
        log.append("last")


async def in_case(log: list[str]) -> str:
    try:
        raise KeyError("first")
    except KeyError as error:
        await asyncio.sleep(0)
        log.append("case")
        raise ValueError("second") from error


async def around(log: list[str]) -> str:
    try:
        await asyncio.sleep(0)
    except ValueError:
        log.append("never")
    return "compiled"


async def about(log: list[str]) -> str:
    async def inner() -> None:
        async with noted(log):
            pass

    await inner()
    return "compiled too"


class Source:
    """It gives numbers."""

    def __init__(self, count: int) -> None:
        self.count = count

    async def each(self) -> AsyncIterator[int]:
        """Its numbers."""
        async for one in each(self.count):
            yield one

    async def first(self, log: list[str]) -> int:
        """The first of them."""
        async with noted(log):
            return [one async for one in self.each()][0]

    @staticmethod
    async def fixed(log: list[str]) -> int:
        """Always the same."""
        async with noted(log):
            return LIMIT

    @classmethod
    async def made(cls, log: list[str]) -> Source:
        """One of them."""
        async with noted(log):
            return cls(LIMIT)
'''


def test_what_waits_amid_an_exception_and_asynchronous_generators_are_put_aside(translated: Translated) -> None:
    tree = ast.parse(translated(ASIDE))
    kept = [one.name for one in ast.walk(tree) if isinstance(one, ast.AsyncFunctionDef)]
    assert kept == ["listed", "around", "about", "inner"]
    calls = [ast.unparse(one) for one in tree.body if ast.unparse(one).startswith("_native_loaded(")]
    assert [", ".join(one.split(", ")[1:3]) for one in calls] == [
        *("None, 'each'", "None, 'noted'", "None, 'within'", "None, 'at_last'", "None, 'in_case'"),
        *("Source, 'each'", "Source, 'first'", "Source, 'fixed'", "Source, 'made'"),
    ]


def test_asynchronous_generators_give_what_they_gave(either: Load) -> None:
    module = either(ASIDE)

    async def given() -> list[Any]:
        source = module.Source(2)
        return [
            await module.listed(3),
            [one async for one in module.each(2, start=5)],
            [one async for one in source.each()],
        ]

    assert asyncio.run(given()) == [[0, 1, 2], [5, 6], [0, 1]]


def test_an_asynchronous_generator_can_be_closed_early(either: Load) -> None:
    module = either(ASIDE)

    async def first() -> int:
        async with contextlib.aclosing(module.each()) as found:
            return await anext(found)

    assert asyncio.run(first()) == 0


def test_coroutines_that_wait_amid_an_exception_keep_it(either: Load) -> None:
    module, log = either(ASIDE), list[str]()
    assert asyncio.run(module.at_last(log, None)) == "made"
    with pytest.raises(KeyError, match="given"):
        asyncio.run(module.at_last(log, KeyError("given")))
    with pytest.raises(ValueError, match="second") as raised:
        asyncio.run(module.in_case(log))
    assert repr(raised.value.__cause__) == "KeyError('first')"
    assert log == ["last", "last", "case"]


def test_coroutines_with_a_context_leave_it_once(either: Load) -> None:
    module, log, failed = either(ASIDE), list[str](), ["fail"]
    assert asyncio.run(module.within(log)) == "held"
    with pytest.raises(ValueError, match="within"):
        asyncio.run(module.within(failed))
    assert (log, failed) == (["open", "held", "closed"], ["fail", "open", "held", "closed"])
    assert asyncio.run(module.around([])) + asyncio.run(module.about([])) == "compiledcompiled too"


def test_methods_of_all_kinds_are_put_aside(either: Load) -> None:
    module, log = either(ASIDE), list[str]()
    assert asyncio.run(module.Source(2).first(log)) == 0
    assert (asyncio.run(module.Source.fixed(log)), asyncio.run(module.Source(1).fixed(log))) == (3, 3)
    assert asyncio.run(module.Source.made(log)).count == 3
    assert log == ["open", "closed"] * 4


def test_what_is_put_aside_keeps_its_name_its_text_and_its_annotations(either: Load) -> None:
    module = either(ASIDE)
    assert (module.each.__qualname__, module.Source.each.__qualname__) == ("each", "Source.each")
    assert (module.each.__module__, module.each.__doc__) == (module.__name__, "From the start on.")
    assert str(inspect.signature(module.each)) == "(count: 'int' = 3, *, start: 'int' = 0) -> 'AsyncIterator[int]'"
    assert inspect.isasyncgenfunction(module.Source.each)
    assert inspect.iscoroutinefunction(module.within)


def test_a_method_and_a_function_of_one_name_are_both_put_aside(load: Load) -> None:
    module = load(ASIDE)
    assert module.each is not module.Source.each
    assert not {"first", "fixed", "made"} & vars(module).keys()


def test_an_error_in_what_is_put_aside_names_the_line_of_the_file(either: Load) -> None:
    module = either(ASIDE)
    with pytest.raises(ValueError, match="too many") as raised:
        asyncio.run(module.listed(9))
    found = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert Path(found.filename).name == "translated_here.py"
    assert ASIDE.split("\n")[(found.lineno or 0) - 1].strip() == 'raise ValueError("too many")'
