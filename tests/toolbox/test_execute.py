"""Executing a call: whatever happens inside a tool comes back as a value a model can read."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from typing import Any

import pytest

from orchestra.toolbox import Tool, ToolFailed, ToolOutcome, ToolRejected, execute, tool
from orchestra.toolbox.run import _MOST_IDLE, _idle
from orchestra.types import Image, Text, ToolCall, ToolResult, Trigger

CONTEXT: contextvars.ContextVar[str] = contextvars.ContextVar("CONTEXT")


def call(name: str = "f", **arguments: Any) -> ToolCall:
    return ToolCall("c1", name, arguments)


def text(outcome: ToolOutcome) -> str:
    (part,) = outcome.result.content
    assert isinstance(part, Text)
    return part.text


async def outcome_of(fn: Any, *, timeout: float | None = None, **settings: Any) -> ToolOutcome:  # noqa: ASYNC109  # the tool's own
    return await execute(tool(**{"name": "f"} | settings)(fn), call(), timeout=timeout)


async def test_text_is_handed_on_as_it_is_and_anything_else_as_json() -> None:
    said = await outcome_of(lambda: "grüß dich")
    counted = await outcome_of(lambda: {"n": [1, 2.5, None, "ü"]})
    assert said.result == ToolResult("c1", "f", (Text("grüß dich"),))
    assert (said.trigger, said.value, said.size) == (None, "grüß dich", 9)
    assert text(counted) == '{"n": [1, 2.5, null, "ü"]}'
    assert (counted.value, counted.size) == ({"n": [1, 2.5, None, "ü"]}, 26)
    assert counted.seconds > 0


async def test_a_sync_tool_runs_in_a_thread_of_its_own_with_the_callers_context() -> None:
    CONTEXT.set("tenant")
    outcome = await outcome_of(lambda: [CONTEXT.get(), threading.current_thread() is threading.main_thread()])
    assert outcome.value == ["tenant", False]


async def test_an_async_tool_runs_on_the_loop_and_so_does_what_a_sync_one_returns() -> None:
    async def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert (await outcome_of(where)).value is True
    assert (await outcome_of(lambda: where())).value is True


async def test_arguments_are_judged_again_and_never_reach_the_function() -> None:
    reached: list[int] = []

    @tool
    def f(n: int) -> None:
        reached.append(n)

    wrong = await execute(f, call(n="1"))
    missing = await execute(f, ToolCall("c1", "f", None, raw="{"))
    assert (wrong.trigger, wrong.result.is_error) == (Trigger.tool_rejected, True)
    assert text(wrong).startswith("n: ")
    assert (missing.trigger, text(missing)) == (
        Trigger.tool_rejected,
        "expected an object of arguments, got NoneType",
    )
    assert reached == []


async def test_a_tool_that_rejects_its_arguments_is_quoted() -> None:
    def f() -> None:
        raise ToolRejected("no table 'pengins'; known: penguins")

    def silent() -> None:
        raise ToolRejected

    assert text(await outcome_of(f)) == "no table 'pengins'; known: penguins"
    assert (await outcome_of(f)).trigger is Trigger.tool_rejected
    assert text(await outcome_of(silent)) == "the arguments were rejected"


class Odd(Exception):
    def __str__(self) -> str:
        return "two\n  lines"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Odd(), "Odd: two lines"),
        (ValueError(), "ValueError"),
        (KeyError("x"), "KeyError: 'x'"),
        (TimeoutError("upstream"), "TimeoutError: upstream"),
        (SystemExit(2), "SystemExit: 2"),
        (StopIteration("done"), "RuntimeError: coroutine raised StopIteration"),
        (ExceptionGroup("g", [ValueError("a"), ExceptionGroup("h", [KeyError("b")])]), "ValueError: a; KeyError: 'b'"),
        (asyncio.CancelledError("by itself"), "CancelledError: by itself"),
        (ValueError("\ud800"), "ValueError: ?"),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_an_exception_is_one_readable_line(error: BaseException, told: str, is_async: bool) -> None:
    def fail() -> None:
        raise error

    async def afail() -> None:
        raise error

    outcome = await outcome_of(afail if is_async else fail)
    assert (outcome.trigger, outcome.result.is_error, outcome.value) == (Trigger.tool_error, True, None)
    assert text(outcome) == told
    assert outcome.size == len(told)


class Panic(BaseException):
    """As extensions raise that are written in another language."""


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("broken")


class MuteFailed(ToolFailed, Mute):
    """Its own text cannot be read either."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Panic("index out of bounds"), "Panic: index out of bounds"),
        (BaseExceptionGroup("two", [Panic("a"), ValueError("b")]), "Panic: a; ValueError: b"),
        (Mute(), "Mute"),
        (ExceptionGroup("one", [Mute()]), "Mute"),
        (MuteFailed(), "f failed and did not say why"),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_even_what_is_no_ordinary_exception_is_a_value(error: BaseException, told: str, is_async: bool) -> None:
    def fail() -> None:
        raise error

    async def fail_async() -> None:
        raise error

    outcome = await outcome_of(fail_async if is_async else fail)
    assert (outcome.trigger, text(outcome)) == (Trigger.tool_error, told)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("grouped", [False, True])
async def test_what_is_none_of_the_tools_passes(error: BaseException, grouped: bool) -> None:
    raised = BaseExceptionGroup("x", [ValueError(), error]) if grouped else error

    async def stop() -> None:
        raise raised

    with pytest.raises(type(raised)):
        await outcome_of(stop)


async def test_a_long_message_is_cut() -> None:
    def fail() -> None:
        raise ValueError("x" * 5_000)

    assert "[cut: 4,012 of 5,012 characters left out" in text(await outcome_of(fail))


async def test_a_result_is_cut_with_a_note_and_its_whole_size_is_known() -> None:
    outcome = await outcome_of(lambda: "a" * 25, max_result=10)
    assert text(outcome) == "aaaaaaaaaa\n[cut: 15 of 25 characters left out; ask for less]"
    assert (outcome.size, outcome.value) == (25, "a" * 25)
    assert text(await outcome_of(lambda: "a" * 10, max_result=10)) == "a" * 10


async def test_an_async_tool_is_cancelled_at_its_timeout() -> None:
    cancelled = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    outcome = await outcome_of(forever, timeout=0.01)
    assert (outcome.trigger, text(outcome)) == (Trigger.tool_timeout, "f did not finish within 0.01 seconds")
    assert cancelled.is_set()


async def test_a_thread_that_outlives_its_timeout_is_no_longer_waited_for() -> None:
    release, finished = threading.Event(), threading.Event()

    def stuck() -> None:
        release.wait()
        finished.set()

    outcome = await outcome_of(stuck, timeout=0.01)
    assert outcome.trigger is Trigger.tool_timeout
    assert not finished.is_set()
    release.set()
    assert await asyncio.to_thread(finished.wait, 10)


def test_a_call_may_end_after_its_loop_is_gone() -> None:
    release, finished = threading.Event(), threading.Event()

    def stuck() -> None:
        release.wait()
        finished.set()

    assert asyncio.run(outcome_of(stuck, timeout=0.01)).trigger is Trigger.tool_timeout
    release.set()
    assert finished.wait(10)
    assert text(asyncio.run(outcome_of(lambda: "next", timeout=10))) == "next"


async def test_calls_one_after_the_other_share_threads_that_do_not_hold_the_process() -> None:
    seen: list[threading.Thread] = []
    for _ in range(50):
        await outcome_of(lambda: seen.append(threading.current_thread()))
    assert len(set(seen)) < 50
    assert all(thread.daemon for thread in seen)


async def test_a_hundred_calls_at_once_leave_few_threads_waiting() -> None:
    together, seen = threading.Barrier(100), []

    def meet() -> None:
        seen.append(threading.current_thread())
        together.wait(10)

    await asyncio.gather(*(outcome_of(meet, timeout=10) for _ in range(100)))
    assert len(set(seen)) == 100
    assert len(_idle) <= _MOST_IDLE


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_does_not_wait_for_its_parents_threads() -> None:
    assert text(asyncio.run(outcome_of(lambda: "before"))) == "before"
    if not (child := os.fork()):
        os._exit(0 if text(asyncio.run(outcome_of(lambda: "after", timeout=10))) == "after" else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(("own", "given", "holds"), [(0.01, 60, "0.01"), (60, 0.02, "0.02"), (0.03, None, "0.03")])
async def test_the_shorter_of_two_timeouts_holds(own: float, given: float | None, holds: str) -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    made = tool(name="f", timeout=own)(forever)
    assert text(await execute(made, call(), timeout=given)) == f"f did not finish within {holds} seconds"


async def test_cancelling_from_outside_cancels_the_tool_and_is_no_outcome() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def forever() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = asyncio.create_task(outcome_of(forever))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()


async def test_a_hundred_hung_tools_do_not_hold_up_the_next() -> None:
    release = threading.Event()
    hung = await asyncio.gather(*(outcome_of(lambda: release.wait(), timeout=0.01) for _ in range(100)))
    assert {outcome.trigger for outcome in hung} == {Trigger.tool_timeout}
    assert text(await outcome_of(lambda: "next", timeout=10)) == "next"
    release.set()


async def test_what_json_cannot_say_is_a_readable_error() -> None:
    outcome = await outcome_of(lambda: {"rows": [{"photo": b"\x00"}]})
    assert outcome.trigger is Trigger.tool_error
    assert text(outcome).startswith("TypeError: result.rows[0].photo is bytes, which JSON cannot say; return text")


async def test_images_and_documents_reach_the_model_as_such() -> None:
    picture = Image("image/png", data="aGk=")
    outcome = await outcome_of(lambda: [Text("a chart"), picture])
    assert outcome.result.content == (Text("a chart"), picture)
    assert (outcome.value, outcome.size) == ("a chart", 7)
    assert (await outcome_of(lambda: picture)).result.content == (picture,)


async def test_a_declaration_without_function_is_an_error_of_the_tool() -> None:
    outcome = await execute(Tool.from_schema("f", "", {}), call())
    assert outcome.trigger is Trigger.tool_error
    assert "only a declaration" in text(outcome)
