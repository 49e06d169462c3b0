"""The caged process: a supervisor that ends with its parent; its child enters every layer, then runs the code.

None of it can be done to the process of a test: tests/toolbox/sandbox/test_walls.py tries what each layer lets through.
"""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from . import audit, kernel, landlock, seccomp
from .limits import limit
from .proving import Tell, prove

_LINUX = sys.platform == "linux"
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


def main(job: str) -> NoReturn:  # pragma: no cover (in the caged process)
    """Run the job, JSON with `layers`, `folder`, `seconds`; messages go out as JSON lines on descriptor 2.

    Each has the run's nonce, and the last one is the supervisor's, so that lines of others can be told from them.
    Descriptor 0 is a lifeline: when its other end closes, the whole process group ends. It ends with the code too.
    """
    settings = json.loads(job)
    if os.getpgrp() != os.getpid():
        os.setsid()  # the group that is killed in the end must be one's own
    if "namespace" in settings["layers"]:
        kernel.enter_namespaces()
    if _LINUX:
        kernel.adopt_orphans()
    ended, waker = os.pipe()  # not a thread: after entering a process namespace none can be started
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, _noticed)
    signal.set_wakeup_fd(waker)
    tell = functools.partial(_tell, nonce=os.urandom(8).hex())
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(ended)
        os.close(waker)
        _run_code(settings, tell)
    code = _awaited(child, ended)
    if _LINUX:
        with suppress(OSError):  # no /proc: the group and the namespace are what is left
            kernel.end_descendants()
    if code is not None:
        tell(2, exit=code)  # the last word, when nothing else is left to write: its nonce says whose the others are
    os.killpg(0, signal.SIGKILL)  # oneself too
    os._exit(1)


def _awaited(child: int, ended: int) -> int | None:  # pragma: no cover (in the caged process)
    """The child's exit code; None where the lifeline closed before. A child that only stops wakes us too."""
    while True:
        ready = select.select([0, ended], [], [])[0]
        if ended in ready:
            os.read(ended, 4096)
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
        if 0 in ready:
            return None


def probe() -> None:  # pragma: no cover (in the caged process)
    """Print, as a JSON list, the layers that this system's kernel grants."""
    print(json.dumps([layer for layer, enter in _LAYERS.items() if _granted(enter)]))  # noqa: T201  # the answer goes out on stdout


def _run_code(settings: dict[str, Any], tell: Tell) -> NoReturn:  # pragma: no cover (in the caged process)
    report = os.dup(2)
    try:
        os.chdir(settings["folder"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        _enter(settings["layers"], settings["folder"], settings["seconds"])
        os.dup2(1, 2)
    except BaseException as error:  # noqa: BLE001  # without every layer nothing runs
        tell(report, fault=f"{type(error).__name__}: {error}")
        os._exit(1)
    sys.exit(prove(functools.partial(tell, report)))


def _enter(layers: Sequence[str], folder: str, seconds: float) -> None:  # pragma: no cover (in the caged process)
    read = [path for path in (*sys.path, *_SYSTEM, *_DEVICES) if os.path.exists(path)]  # noqa: PTH110  # these are texts
    limit(seconds, _processes(layers))
    if _LINUX:
        kernel.die_with_supervisor()
        kernel.drop_privileges()
    if "landlock" in layers:
        landlock.restrict(read, folder)
    if "seccomp" in layers:
        seccomp.restrict()
    if "audit" in layers:
        audit.watch(read, folder)


def _noticed(number: int, frame: object) -> None:
    """Nothing to do: without a handler the signal would not wake the supervisor."""


def _processes(layers: Sequence[str]) -> int | None:  # pragma: no cover (in the caged process)
    """In a namespace of its own, threads count too; elsewhere all of the user's do, so it is none more or no bound."""
    if "namespace" in layers:
        return 64
    return None if "seccomp" in layers or not _LINUX else 0


def _tell(descriptor: int, **message: Any) -> None:  # pragma: no cover (in the caged process)
    os.write(descriptor, f"\n{json.dumps(message)}\n".encode())  # a line of its own, whatever was written before


def _granted(enter: Any) -> bool:  # pragma: no cover (in the caged process)
    child = os.fork()
    if child == 0:
        try:
            enter()
        except BaseException:  # noqa: BLE001  # any reason is a no
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


_LAYERS = {
    "namespace": kernel.enter_namespaces,
    "landlock": lambda: landlock.restrict((), "/tmp"),  # noqa: S108  # only tried out
    "seccomp": seccomp.restrict,
}
