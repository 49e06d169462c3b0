"""Processes of `orchestra run` that are ended by a signal, and the commands that go on with their runs."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, post

SLOW = '''"""Sends, and never comes to the end of it."""

import asyncio

from orchestra import tool


@tool
async def send(to: str) -> str:
    """Send a letter.

    Args:
        to: whom
    """
    print("at work", flush=True)
    await asyncio.Event().wait()


def build(app, *, data=None):
    return app.planner_executor([send], name="slow")
'''


@contextmanager
def command(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """`orchestra` with these arguments, as a process; killed at the end, if nothing else has ended it."""
    call = [sys.executable, "-m", "orchestra.cli", *arguments]
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, text=True, env=os.environ | {"TERM": "dumb"}, **options
    ) as made:
        try:
            yield made
        finally:
            made.kill()


def wait_until_it_reads(child: subprocess.Popen[str]) -> None:
    """A signal between a prompt and the read after it is only noticed with the next key."""
    process = Path(f"/proc/{child.pid}")
    while process.exists() and not (_sleeps(process) and _where(process) in ("wait_woken", "n_tty_read", "0")):
        select.select([], [], [], 0.01)


def _sleeps(process: Path) -> bool:
    """What runs has "0" for its place too, as has everything where the kernel does not tell."""
    return (process / "stat").read_text().rpartition(")")[2].split()[0] == "S"


def _where(process: Path) -> str:
    return (process / "wchan").read_text()


@pytest.mark.parametrize(
    ("sign", "code", "state", "said"),
    [
        (signal.SIGKILL, -signal.SIGKILL, "running", ""),
        (signal.SIGINT, 130, "cancelled", "error: interrupted\norchestra run --resume {run} goes on\n"),
    ],
)
def test_a_run_whose_process_was_ended_in_the_middle_of_a_tool_goes_on_and_a_person_says_what_the_tool_did(
    sign: int, code: int, state: str, said: str, cli: Cli, project: Path
) -> None:
    (project / "agents" / "slow.py").write_text(SLOW, encoding="utf-8")
    with post(project, "send") as provider, command("run", "slow", "Write", stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "at work\n"
        (run,) = json.loads(cli("runs", "--json").stdout)["runs"]
        owned = cli("run", "--resume", run["run"])
        assert owned.exit_code == 1
        assert f"error: run {run['run']} is at work in process {child.pid} on " in owned.stderr
        child.send_signal(sign)
        _, told = child.communicate()
        assert child.returncode == code
        assert told.endswith(said.format(run=run["run"]))
        assert json.loads(cli("runs", "--json").stdout)["runs"][0]["state"] == state
        asked = cli("run", "--resume", run["run"], "--json", "--yes")
        (question,) = json.loads(asked.stdout)["questions"]
        assert (asked.exit_code, question["kind"], question["arguments"]) == (4, "unknown", {"to": "Åse"})
        assert len(provider.requests) == 2  # what was planned and what was written is not asked for again
        done = cli("run", "--resume", run["run"], "--answer", f"{question['question']}=done it is in the post")
    assert (done.exit_code, done.stdout) == (0, "Done: it is in the post\n")


def test_a_ctrl_c_while_the_agent_is_built_leaves_no_run_behind(cli: Cli, project: Path) -> None:
    built = SLOW.replace("    return app.planner", "    signal.raise_signal(signal.SIGINT)\n    return app.planner")
    (project / "agents" / "slow.py").write_text(built.replace("import asyncio", "import asyncio\nimport signal"))
    with post(project, "send") as provider, command("run", "slow", "Write", stderr=subprocess.PIPE) as child:
        assert child.communicate()[1] == "error: interrupted\n"
        assert (child.returncode, len(provider.requests)) == (130, 0)
    assert json.loads(cli("runs", "--json").stdout)["runs"] == []


def test_one_ctrl_c_ends_a_command_that_waits_at_the_keyboard(cli: Cli, project: Path) -> None:
    terminal, stream = os.openpty()
    with post(project, "send"):
        with command("run", "post", "Write", stdin=stream, stderr=stream) as child:
            os.close(stream)
            told = b""
            while b"later) > " not in told:
                told += os.read(terminal, 1024)
            wait_until_it_reads(child)
            child.send_signal(signal.SIGINT)
            assert child.communicate()[0] == ""
        os.close(terminal)
        assert child.returncode == 130
        assert b"may send be called with these arguments?" in told
        (run,) = json.loads(cli("runs", "--json").stdout)["runs"]
        assert (run["state"], run["waiting"]) == ("interrupted", 1)
        assert cli("run", "--resume", run["run"]).exit_code == 4
