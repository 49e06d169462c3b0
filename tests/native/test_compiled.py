"""The compiled package itself, where that is what the tests run on: `make test-compiled`."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import subprocess
import sys
import traceback
import typing
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import pytest

import native.build
import orchestra.types.call
from orchestra.errors import ConfigError
from orchestra.fleet.candidates import NO_SETTINGS
from orchestra.routing.wish import Wish
from orchestra.testing import ScriptedModel, scripted_app
from orchestra.types import (
    Budget,
    Candidate,
    Decision,
    Image,
    Labels,
    Message,
    Plan,
    Price,
    Reason,
    Request,
    Settings,
    Step,
    StepRule,
    Text,
    ToolCall,
)

COMPILED = not orchestra.types.call.__file__.endswith(".py")
pytestmark = pytest.mark.skipif(not COMPILED, reason="the package is not compiled: `make test-compiled`")

VALUES = [
    Message("assistant", (Text("a"), ToolCall("1", "rain", {"city": "Oslo"}))),
    Plan("a", (Step("b", needs=("c",), metadata={"d": [1]}),)),
    Budget(1.5, "run", {"tenant": ("*",)}),
    Settings(5, "low"),
    Price(1, 2),
    Request((Message.user("a"),), temperature=1, extra={"b": 1}),
]


def test_every_module_of_the_list_is_a_library_beside_its_source() -> None:
    names = [name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in native.build.MODULES]
    files = {name: Path(sys.modules[name].__file__ or "") for name in names if name in sys.modules}
    assert {"orchestra.types.call", "orchestra.routing.wish"} <= files.keys()
    libraries = {name for name, file in files.items() if file.name.endswith(tuple(EXTENSION_SUFFIXES))}
    assert files.keys() - libraries == set()
    assert [name for name, file in files.items() if not source(file).is_file()] == []


def source(library: Path) -> Path:
    return library.with_name(library.name.partition(".")[0] + ".py")


def test_a_traceback_of_a_compiled_function_names_the_line_of_its_source() -> None:
    with pytest.raises(ValueError, match="Image: give exactly one") as raised:
        Image("image/png")
    found = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert found.filename.endswith("orchestra/types/message.py")
    lines = source(Path(sys.modules[Image.__module__].__file__ or "")).read_text(encoding="utf-8").split("\n")
    assert 'ValueError("Image: give exactly one of data' in lines[(found.lineno or 0) - 1]


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        (5, {}, r"messages\[0\]: int is no message"),
        ("x", {"budget": "1"}, "budget: expected a number of USD"),
        ("x", {"step": 5}, "step: expected a name or a Step with an id, got 5"),
        ("x", {"deadline": "soon"}, "deadline: expected a number of seconds"),
    ],
)
async def test_a_wrong_value_of_a_built_in_type_is_told_by_our_own_error(
    given: Any, options: dict[str, Any], said: str
) -> None:
    async with scripted_app(ScriptedModel("small", [])) as app:
        with pytest.raises(ConfigError, match=said):
            await app.complete(given, **options)


def test_a_request_says_what_is_wrong_with_its_settings() -> None:
    with pytest.raises(ConfigError, match="temperature: expected a number from 0 to 2, got 'hot'"):
        Request((), temperature=typing.cast(Any, "hot"))
    with pytest.raises(ConfigError, match="max_tokens: expected a whole number, 1 or more, got 'x'"):
        Request((), settings=Settings(typing.cast(Any, "x")))


def test_a_value_of_another_class_than_ours_is_a_type_error_that_names_both() -> None:
    with pytest.raises(TypeError, match=r"orchestra\.types\.decision\.Settings object expected; got int"):
        Request((), settings=typing.cast(Any, 5))


def test_numbers_stay_what_they_were_given_as() -> None:
    price = Price(1, 2)
    assert (type(price.input), repr(price)) == (int, "Price(input=1, output=2, cached_input=None, cache_write=None)")


def test_equal_values_are_equal_in_compiled_code() -> None:
    assert (Settings() != NO_SETTINGS, Settings(1) != NO_SETTINGS, Settings() is NO_SETTINGS) == (False, True, False)
    assert (Wish([StepRule()], [0], [])._for_all, Wish([StepRule(max_tokens=5)], [0], [])._for_all) == (False, True)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_found_among_others_by_what_it_holds(value: Any) -> None:
    again = copy.deepcopy(value)
    assert again is not value
    assert again in (0, Reason("a", "b"), value)
    assert [0, value].index(again) == 1
    assert (value,) == (again,)
    assert Reason("a", "b") not in (value, 0)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_pickled_copied_and_replaced(value: Any) -> None:
    for again in (
        pickle.loads(pickle.dumps(value)),
        copy.copy(value),
        copy.deepcopy(value),
        dataclasses.replace(value),
    ):
        assert (again, type(again), repr(again)) == (value, type(value), repr(value))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, None)


def test_what_is_replaced_is_another_and_the_rest_stays() -> None:
    assert dataclasses.replace(Settings(5, "low"), max_tokens=6) == Settings(6, "low")
    with pytest.raises(ConfigError, match="seed: expected a whole number"):
        dataclasses.replace(Request(()), seed=typing.cast(Any, "x"))


@pytest.mark.parametrize("cls", [Budget, Candidate, Decision, Labels, Message, Plan, Price, Request, Settings, Step])
def test_the_types_of_fields_can_be_read_as_they_are_written(cls: Any) -> None:
    hints = typing.get_type_hints(cls)
    assert {one.name for one in dataclasses.fields(cls)} <= hints.keys()
    assert not any("_native" in repr(hint) or hint is typing.Any for hint in hints.values())
    assert typing.get_type_hints(Settings) == {"max_tokens": int | None, "reasoning_effort": str | None}


ENDLESS = """
from orchestra.checks.drafts import without
from orchestra.checks.strict import NotJson, read_json
from orchestra.checks.validator import schema_fault
from orchestra.ledger.redact import Redactor, redact

endless = {"type": "object"}
endless["properties"] = {"a": endless}
try:
    print(CALL)
except (NotJson, RecursionError) as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("schema_fault(endless)", "at #: nested without end, or too deeply to be checked"),
        ("without(endless, frozenset({'type'}))", "RecursionError "),
        ("redact(endless)", "RecursionError "),
        ("Redactor(['a secret']).known_in(endless)", "RecursionError "),
        ("read_json('[' * 100_000)", "NotJson nested deeper than 64 levels"),
    ],
)
def test_nesting_without_end_is_an_error_and_no_crash(call: str, said: str) -> None:
    code = ENDLESS.replace("CALL", call)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (ended.returncode, ended.stdout[: len(said)]) == (0, said), ended.stderr
