"""How code is run against its tests, in this very process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from orchestra.toolbox.sandbox.inside.proving import prove

ADD = "def add(a, b):\n    return a + b\n"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("solution", "__main__"):
        monkeypatch.setitem(sys.modules, name, sys.modules[__name__])


def proven(code: str, tests: str) -> dict[str, Any]:
    Path("solution.py").write_text(code, encoding="utf-8")
    Path("tests.py").write_text(tests, encoding="utf-8")
    told: dict[str, Any] = {}
    told["exit"] = prove(lambda **message: told.update(message))
    return told


def test_asserts_functions_and_classes_are_counted() -> None:
    tests = """
import unittest
from solution import add as plus

assert add(1, 2) == 3
assert plus(1, 2) == 3, "said"

def test_one():
    assert add("ü", "字") == "ü字"

async def test_two():
    assert 0 < add(1, 1) < 3

class Numbers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = 1

    def setUp(self):
        self.m = self.n

    def test_three(self):
        self.assertEqual(add(self.m, 1), 2)

class TestMore:
    def test_four(self):
        assert add

class Helper:
    def test_not(self):
        raise AssertionError

def check():
    raise AssertionError
"""
    assert proven(ADD, tests) == {"exit": 0, "passed": 6, "failed": 0, "failures": []}


def test_a_failure_tells_both_sides_and_the_lines() -> None:
    told = proven(
        "def add(a, b):\n    return a - b\n", "assert add(1, 2) == 3\ndef test_it():\n    assert add(2, 2) > 9"
    )
    assert (told["exit"], told["passed"], told["failed"]) == (1, 0, 2)
    assert "\n".join(told["failures"]).splitlines() == [
        "assert in line 1: AssertionError: add(1, 2) == 3: left is -1, right is 3",
        "  tests.py line 1: assert add(1, 2) == 3",
        "test_it: AssertionError: add(2, 2) > 9: left is 0, right is 9",
        "  tests.py line 3: assert add(2, 2) > 9",
    ]


def test_a_side_is_computed_once() -> None:
    told = proven("seen = []", "assert len(seen) == seen.append(1)\nassert seen == [1]")
    assert (told["passed"], told["failed"]) == (1, 1)


@pytest.mark.parametrize(
    ("code", "tests", "failure"),
    [
        ("def f(:", "assert True", "(loading the code): "),
        ("import sys; sys.exit()", "assert True", "(loading the code): SystemExit"),
        (ADD, "def f(:", "(reading the tests): "),
        (ADD, "1 / 0\nassert False", "(line 1): ZeroDivisionError: division by zero\n  tests.py line 1: 1 / 0"),
        (ADD, "def test_fixture(tmp_path): pass", "test_fixture: TypeError: test_fixture() missing 1 required"),
        (
            ADD,
            "class A:\n    def __repr__(self): raise ValueError('odd')\nassert A() == 1",
            "assert in line 3: ValueError: odd",
        ),
    ],
)
def test_what_goes_wrong_before_an_assert_is_a_failure_too(code: str, tests: str, failure: str) -> None:
    told = proven(code, tests)
    assert (told["exit"], told["failed"], len(told["failures"])) == (1, 1, 1)
    assert told["failures"][0].startswith(failure)


def test_tests_of_the_code_itself_are_not_counted() -> None:
    assert proven("def test_own():\n    raise AssertionError", "x = 1")["passed"] == 0


def test_only_the_first_failures_are_told() -> None:
    told = proven("", "\n".join("assert 1 == 2" for _ in range(30)))
    assert (told["failed"], len(told["failures"])) == (30, 10)


def test_without_tests_the_code_is_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    Path("solution.py").write_text("if __name__ == '__main__':\n    print('hi')", encoding="utf-8")
    assert prove(print) == 0
    Path("solution.py").write_text("def f():\n    return 1 / 0\nf()", encoding="utf-8")
    assert prove(print) == 1
    Path("solution.py").write_text("raise SystemExit(3)", encoding="utf-8")
    with pytest.raises(SystemExit):
        prove(print)
    out, err = capsys.readouterr()
    assert out == "hi\n"
    assert err == (
        "ZeroDivisionError: division by zero\n  solution.py line 3: f()\n  solution.py line 2: return 1 / 0\n"
    )
