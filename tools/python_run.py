"""python_run: runs Python a model wrote, and tests of it, in a sandbox; a failing test is a failed tool call."""

from __future__ import annotations

import sys

from orchestra.errors import ToolError
from orchestra.toolbox import Tool, ToolFailed, tool
from orchestra.toolbox.sandbox import Ran, run_python, sandbox_kind, unheld

SOURCE = 100_000  # characters of code, and of tests
_WEAK = "python_run(allow_weak=True) runs it, and so does coder's build(app, allow_weak=True)"
_KILLED = {
    -9: "used too much memory, or was killed",
    -24: "used too much processor time",
    -25: "wrote too large a file",
}


def python_run(seconds: float = 10, *, allow_weak: bool = False) -> Tool:
    """The tool; code runs for at most `seconds`.

    Where no Linux kernel keeps it from files and network, the sandbox is no wall against malice: `allow_weak` takes it
    so. Raises ToolError where that was not said, or `seconds` is not above 0.
    """
    if not seconds > 0:
        raise ToolError(f"python_run: seconds is {seconds!r}; give seconds above 0")
    if sys.platform != "linux" and not allow_weak:
        raise ToolError(f"python_run needs Linux to hold what code may do; this is {sys.platform}: {_WEAK}")
    if not allow_weak and (open_ := unheld()):
        raise ToolError(
            f"python_run: this system's kernel does not keep code from {' and '.join(open_)} "
            f"(it grants {sandbox_kind()}, see docs/tools.md): {_WEAK}"
        )

    @tool(read_only=True, idempotent=True)
    async def python_run(code: str, tests: str = "") -> str:
        """Run Python code, and tests of it, in a sandbox: standard library only, no network, no other files.

        Args:
            code: the whole source; what it prints comes back
            tests: assert statements, functions named test_..., or unittest classes; the names of the code are there
        """
        for name, source in (("code", code), ("tests", tests)):
            if len(source) > SOURCE:
                raise ToolFailed(f"{name} has {len(source):,} characters; {SOURCE:,} at most")
        return _told(await run_python(code, tests, seconds=seconds), tested=bool(tests.strip()), seconds=seconds)

    return python_run


def _told(ran: Ran, *, tested: bool, seconds: float) -> str:
    """What a model reads. Raises ToolFailed where the code or a test failed, or no test was there."""
    if ran.exit is None:
        raise _failed(f"the code did not finish within {seconds:g} seconds", ran)
    if ran.failed:
        total = (ran.passed or 0) + ran.failed
        raise _failed(f"{ran.failed} of {total} tests failed; mend the code and run both again", ran)
    if ran.exit != 0 or (tested and ran.passed is None):
        raise _failed(_ended(ran.exit, tested=tested), ran)
    if tested and not ran.passed:
        raise _failed("there are no tests in tests: write assert statements or functions named test_...", ran)
    head = f"all {ran.passed} tests passed" if tested else ""
    return "\n".join(part for part in (head, ran.output.strip()) if part) or "the code ran and printed nothing"


def _ended(code: int, *, tested: bool) -> str:
    if code < 0:
        return f"the code {_KILLED.get(code, f'was ended by signal {-code}')}"
    return f"the code ended with exit code {code}{' before its tests did' if tested else ''}"


def _failed(what: str, ran: Ran) -> ToolFailed:
    output = f"output:\n{ran.output.strip()}" if ran.output.strip() else ""
    return ToolFailed("\n".join(part for part in (what, *ran.failures, output) if part))
