"""Which walls this system can put round a process: tried once, then demanded of every run."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from orchestra.errors import ToolError

_HERE = Path(__file__).parent
_START = "import sys; sys.path.insert(0, sys.argv[1]); from inside import cage; del sys.path[0]; "


def command(then: str) -> list[str]:
    """The command that runs `then` in an isolated interpreter where `cage` is imported; further arguments follow."""
    return [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", _START + then, str(_HERE)]


@functools.cache
def layers() -> tuple[str, ...]:
    """The layers a cage is made of here: namespace, landlock, seccomp as far as the kernel grants them; audit always.

    Raises ToolError where not even that much can be had.
    """
    if not hasattr(os, "fork"):  # pragma: no cover (the tests run where it is)
        raise ToolError(f"running Python in a sandbox needs Linux; this is {sys.platform}")
    if sys.platform != "linux":
        return ("audit",)
    ended = subprocess.run(command("cage.probe()"), capture_output=True, text=True, env={}, check=False)  # noqa: S603  # our own command
    if ended.returncode:
        raise ToolError(f"the sandbox cannot start {sys.executable}: {ended.stderr.strip()[-300:]}")
    return (*json.loads(ended.stdout), "audit")


def sandbox_kind() -> str:
    """The layers by name, such as `namespace+landlock+seccomp+audit`. `audit` alone is no wall against malice."""
    return "+".join(layers())


def unheld() -> tuple[str, ...]:
    """What code can reach here that gets round Python's audit hooks, as no wall of the kernel is granted against it."""
    walls = layers()
    files = () if "landlock" in walls else ("your files",)
    return files if "namespace" in walls or "seccomp" in walls else (*files, "the network")
