"""python_run: code and its tests, and what a model reads of them."""

from __future__ import annotations

import pytest

from orchestra.errors import ToolError
from orchestra.toolbox import Tool, ToolOutcome, execute, load_tools
from orchestra.toolbox.sandbox import kind
from orchestra.types import Text, ToolCall, Trigger

module = load_tools("python_run")
ADD = "def add(a, b):\n    return a + b\n"


@pytest.fixture(scope="module")
def run() -> Tool:
    return module.python_run(seconds=20)


async def outcome_of(run: Tool, code: str, tests: str = "") -> tuple[ToolOutcome, str]:
    outcome = await execute(run, ToolCall("1", "python_run", {"code": code, "tests": tests}))
    (part,) = outcome.result.content
    assert isinstance(part, Text)
    return outcome, part.text


async def test_code_that_runs_gives_what_it_prints(run: Tool) -> None:
    outcome, text = await outcome_of(run, "print('grün')")
    assert (outcome.trigger, text) == (None, "grün")
    assert (await outcome_of(run, "x = 1"))[1] == "the code ran and printed nothing"


async def test_tests_that_pass_are_counted(run: Tool) -> None:
    outcome, text = await outcome_of(
        run, ADD + "print('loaded')", "assert add(1, 2) == 3\ndef test_x():\n    add(1, 1)"
    )
    assert (outcome.trigger, text) == (None, "all 2 tests passed\nloaded")


async def test_a_failing_test_is_a_failed_call_with_its_lines(run: Tool) -> None:
    outcome, text = await outcome_of(run, ADD.replace("+", "-") + "print('loaded')", "assert add(1, 2) == 3\nassert 1")
    assert outcome.trigger is Trigger.tool_error
    assert text.splitlines() == [
        "1 of 2 tests failed; mend the code and run both again",
        "assert in line 1: AssertionError: add(1, 2) == 3: left is -1, right is 3",
        "  tests.py line 1: assert add(1, 2) == 3",
        "output:",
        "loaded",
    ]


@pytest.mark.parametrize(
    ("code", "tests", "told"),
    [
        ("1 / 0", "", "the code ended with exit code 1\noutput:\nZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "", "the code ended with exit code 3"),
        ("import os; os._exit(0)", "assert True", "the code ended with exit code 0 before its tests did"),
        (ADD, "add(1, 2)", "there are no tests in tests: write assert statements or functions named test_..."),
        ("import os; os.abort()", "", "the code was ended by signal "),
        ("x" * 100_001, "", "code has 100,001 characters; 100,000 at most"),
        ("", "x" * 100_001, "tests has 100,001 characters; 100,000 at most"),
    ],
)
async def test_whatever_else_goes_wrong_is_told(run: Tool, code: str, tests: str, told: str) -> None:
    outcome, text = await outcome_of(run, code, tests)
    assert outcome.trigger is Trigger.tool_error
    assert text.startswith(told)


async def test_code_that_does_not_end_is_stopped_and_what_it_printed_is_kept() -> None:
    outcome, text = await outcome_of(module.python_run(seconds=1), "print('begun', flush=True)\nwhile True: pass")
    assert outcome.trigger is Trigger.tool_error
    assert text == "the code did not finish within 1 seconds\noutput:\nbegun"


def test_it_may_run_again(run: Tool) -> None:
    assert (run.name, run.read_only, run.idempotent) == ("python_run", True, True)
    assert run.schema["required"] == ["code"]


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_seconds_are_above_zero(seconds: float) -> None:
    with pytest.raises(ToolError, match=r"give seconds above 0"):
        module.python_run(seconds=seconds)


def test_elsewhere_than_on_linux_it_is_refused_unless_the_developer_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys, "platform", "darwin")
    with pytest.raises(
        ToolError, match=r"python_run needs Linux .* this is darwin: python_run\(allow_weak=True\) runs it"
    ):
        module.python_run()
    assert module.python_run(allow_weak=True).name == "python_run"


@pytest.mark.parametrize(
    ("walls", "told"),
    [
        (("audit",), "from your files and the network .it grants audit,"),
        (("namespace", "seccomp", "audit"), "from your files .it grants namespace.seccomp.audit,"),
        (("landlock", "audit"), "from the network .it grants landlock.audit,"),
        (("landlock", "seccomp", "audit"), None),
        (("namespace", "landlock", "audit"), None),
    ],
)
def test_where_the_kernel_leaves_files_or_network_open_it_is_refused_too(
    walls: tuple[str, ...], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "layers", lambda: walls)
    if told:
        with pytest.raises(ToolError, match=rf"{told} .*: python_run\(allow_weak=True\) runs it"):
            module.python_run()
    assert module.python_run(allow_weak=True).name == "python_run"
    assert told or module.python_run().name == "python_run"
