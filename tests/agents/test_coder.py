"""The coder: its answer is code whose tests passed, in a sandbox, or there is no answer."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from orchestra.errors import ToolError
from orchestra.testing import CallTool
from orchestra.toolbox.sandbox import kind
from tests.agents.doubles import NO_REPLAN, ask, models, plan, results, step, told, tools

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")

TASK = "Write a function add(a, b)"
ONE = plan(step(1, "write add(a, b) that adds two numbers, and tests of it", "python_run"))
RIGHT = "def add(a, b):\n    return a + b"
WRONG = "def add(a, b):\n    return a - b"
TESTS = "assert add(1, 2) == 3\nassert add(-1, 1) == 0"
SAID = "It adds two numbers."
ANSWER = f"{SAID}\n\n```python\n{RIGHT}\n```"


def run(code: str = RIGHT, tests: str = TESTS) -> CallTool:
    return CallTool("python_run", code=code, tests=tests)


async def asked(small: list[Any], strong: list[Any] | None = None, steps: str = ONE) -> Any:
    given = models(steps, small, strong)
    return await ask("coder", given, TASK, NO_REPLAN), *given


async def test_the_answer_is_the_code_whose_tests_passed() -> None:
    answer, small, strong = await asked([run(), ANSWER])
    assert (answer["state"], answer["answer"]) == ("done", ANSWER)
    assert "tests passed" in results(small)[0]
    assert tools(small, 0) == ["python_run"]
    assert "python_run" in told(strong)


async def test_failing_tests_go_back_to_the_model_which_mends_its_code() -> None:
    answer, small, _ = await asked([run(WRONG), run(), ANSWER])
    assert answer["steps"]["s1"]["model"] == "small"
    assert "failed" in results(small, 1)[0]


async def test_tests_that_fail_twice_go_up_a_rung() -> None:
    answer, _, strong = await asked([run(WRONG), run(WRONG + "\n")], [run(), ANSWER])
    assert (answer["state"], answer["steps"]["s1"]["model"]) == ("done", "strong")
    assert WRONG not in told(strong)


async def test_code_that_no_rung_can_make_pass_is_no_answer() -> None:
    bad = [run(WRONG), run(WRONG + "\n")]
    answer, *_ = await asked(bad, bad)
    assert (answer["state"], answer["answer"]) == ("failed", None)
    assert "failed" in answer["reason"]


@pytest.mark.parametrize(
    "said",
    [SAID, ANSWER, f"{SAID}\n```py\n{WRONG}\n```", f"```\n{WRONG}\n```\n{SAID}\n``` python\n{WRONG} # cut"],
)
async def test_the_code_is_that_of_the_call_whatever_the_model_writes_again(said: str) -> None:
    answer, *_ = await asked([run(), said])
    assert answer["answer"] == ANSWER


async def test_of_several_runs_the_last_one_that_passed_counts() -> None:
    answer, *_ = await asked([run("def add(a, b): return sum([a, b])"), run(), run(WRONG), SAID])
    assert answer["answer"] == ANSWER


@pytest.mark.parametrize("untested", [run(tests=""), CallTool("python_run", code=RIGHT)])
async def test_a_call_without_tests_is_refused_before_it_is_made(untested: CallTool) -> None:
    answer, small, _ = await asked([untested, run(), ANSWER])
    assert answer["state"] == "done"
    assert "tests" in small.requests[1]["messages"][-1]["content"]
    assert len(results(small)) == 1


async def test_blank_tests_are_none() -> None:
    answer, small, _ = await asked([run(tests="\n"), ANSWER, run(), ANSWER])
    assert answer["state"] == "done"
    assert "no tests have passed; call python_run" in told(small, 2)


async def test_an_answer_before_tests_have_passed_is_refused() -> None:
    answer, small, _ = await asked([run(WRONG), ANSWER], [run(), ANSWER])
    assert (answer["state"], answer["answer"]) == ("done", ANSWER)
    assert len(small.requests) == 2


async def test_writing_and_testing_are_one_step() -> None:
    two = plan(step(1, "write add", "python_run"), step(2, "test it", "python_run", needs=(1,)))
    given = models(two, [run(), ANSWER], [ONE])
    answer = await ask("coder", given, TASK, NO_REPLAN)
    assert list(answer["steps"]) == ["s1"]
    assert "at most 1" in told(given[1])


async def test_code_that_no_tool_ran_is_no_answer() -> None:
    answer, *_ = await asked([ANSWER, ANSWER], [ANSWER, ANSWER], plan(step(1, "write add")))
    assert answer["state"] == "failed"
    assert "needs the tool python_run" in answer["reason"]


async def test_without_walls_it_refuses_and_its_build_takes_it_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "layers", lambda: ("audit",))
    with pytest.raises(ToolError, match=r"coder's build\(app, allow_weak=True\)"):
        await asked([run(), ANSWER])
    answer = await ask("coder", models(ONE, [run(), ANSWER], None), TASK, NO_REPLAN, allow_weak=True)
    assert answer["answer"] == ANSWER


async def test_code_reaches_neither_the_network_nor_the_users_files() -> None:
    code = "import socket\nsocket.create_connection(('127.0.0.1', 9), 1)"
    answer, small, _ = await asked([run(code), run(), ANSWER])
    assert answer["state"] == "done"
    assert "Error" in results(small, 1)[0]
