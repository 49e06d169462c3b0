"""What each layer of the sandbox lets through, tried from inside; and that nothing of a run stays."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from orchestra.toolbox import ToolFailed
from orchestra.toolbox.sandbox import kind, run, run_python, sandbox_kind
from orchestra.toolbox.sandbox.inside import cage

GRANTED = kind.layers()
TCP = "import socket; s = socket.socket(); s.settimeout(1); s.connect(('127.0.0.1', {port}))"
UNIX = "import socket; socket.socket(socket.AF_UNIX).connect({path!r})"
UDP = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))"
READ = "open({secret!r}).read()"
WRITE = "open({secret!r}, 'w')"
FORK = "import os; os.fork() or os._exit(0)"
EXEC = "import os; os.execv('/bin/sh', ['sh', '-c', 'true'])"
KILL = "import os; os.kill(os.getppid(), 0)"
LIMIT = "import os, resource; resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)"
SHARE = "import ctypes, os; c = ctypes.CDLL(None); c.shmget(0, 4096, 0o600) < 0 and os.kill(os.getpid(), 0)"
NICE = "import os; os.setpriority(os.PRIO_PROCESS, os.getppid(), 5)"
ALL_NICE = "import os; os.setpriority(os.PRIO_PGRP, 0, 5)"
PIN = "import os; os.sched_setaffinity(os.getppid(), {{*os.sched_getaffinity(0)}})"
SCHEDULE = "import os; os.sched_setscheduler(os.getppid(), os.SCHED_BATCH, os.sched_param(0))"
OWNER = "import fcntl, os; fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid())"
OWNER_OF_PAIR = (
    "import fcntl, os, socket; fcntl.ioctl(socket.socketpair()[0], 0x8901, os.getppid().to_bytes(4, 'little'))"
)
CTYPES = "import ctypes; ctypes.CDLL(None)"
OTHERS = (NICE, ALL_NICE, PIN, SCHEDULE, OWNER, OWNER_OF_PAIR)
REFUSED = {
    "namespace": (TCP, UDP),
    "landlock": (READ, WRITE, EXEC),
    "seccomp": (TCP, UNIX, UDP, FORK, EXEC, KILL, LIMIT, SHARE, *OTHERS),
    "audit": (TCP, UNIX, UDP, READ, WRITE, FORK, EXEC, CTYPES),
}


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left(folder: Path) -> list[Path]:
    return list(folder.glob("orchestra-run-*"))


@pytest.mark.parametrize(("wall", "code"), [(wall, code) for wall, codes in REFUSED.items() for code in codes])
async def test_a_wall_by_itself_refuses(wall: str, code: str, tmp_path: Path, unused_tcp_port: int) -> None:
    if wall not in GRANTED:
        pytest.skip(f"this kernel grants no {wall}")
    secret, path = tmp_path / "secret.txt", str(tmp_path / "socket")
    secret.write_text("secret", encoding="utf-8")
    unix = await asyncio.start_unix_server(lambda _, writer: writer.close(), path)
    tcp = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", unused_tcp_port)
    async with unix, tcp:
        ran = await run_python(code.format(port=unused_tcp_port, path=path, secret=str(secret)), walls=[wall])
    assert ran.exit == 1
    assert "Error: " in ran.output
    assert secret.read_text(encoding="utf-8") == "secret"


ALLOWED = {
    "its own files": "import os; os.mkdir('d'); open('a', 'w').write('x'); os.rename('a', 'd/a'); os.remove('d/a')",
    "temporary files": "import tempfile; tempfile.TemporaryDirectory().cleanup(); tempfile.TemporaryFile().write(b'')",
    "threads": "import threading; t = threading.Thread(target=print); t.start(); t.join()",
    "an event loop": "import asyncio; asyncio.run(asyncio.to_thread(int))",
    "the standard library": "import decimal, hashlib, json, sqlite3, ssl, uuid, zlib, zoneinfo; hashlib.md5(b'')",
    "its own means": (
        "import os, resource; os.nice(1); os.sched_setaffinity(os.getpid(), os.sched_getaffinity(0))\n"
        "resource.prlimit(os.getpid(), resource.RLIMIT_CORE, (0, 0)); resource.prlimit(0, resource.RLIMIT_CORE)"
    ),
    "its own signals": (
        "import signal, threading\nsignal.signal(signal.SIGUSR1, lambda *_: None)\n"
        "signal.raise_signal(signal.SIGUSR1)\nt = threading.Timer(60, print); t.start()\n"
        "signal.pthread_kill(t.ident, signal.SIGUSR1); t.cancel()"
    ),
    "null and chance": "import os; open(os.devnull, 'w').write('x'); open('/dev/urandom', 'rb').read(1); os.urandom(1)",
}


@pytest.mark.parametrize("code", ALLOWED.values(), ids=ALLOWED)
async def test_ordinary_code_runs_inside_all_walls(code: str) -> None:
    assert (await run_python(code)).exit == 0, (await run_python(code)).output


async def test_means_are_bounded() -> None:
    memory, file, files, time = await asyncio.gather(
        run_python("bytearray(2**30)"),
        run_python("f = open('f', 'wb')\nfor _ in range(30): f.write(bytes(2**20))"),
        run_python("[open('/dev/null') for _ in range(100)]"),
        run_python("while True: pass", seconds=0.5),
    )
    assert memory.output.startswith("MemoryError")
    assert "File too large" in file.output
    assert "Too many open files" in files.output
    assert time.exit is None


async def test_nothing_of_ones_environment_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "sk-1")
    ran = await run_python("import os, sys; print(sorted(os.environ), sys.path, sys.stdin.read())")
    assert ran.output.startswith("['HOME', 'LANG', 'TMPDIR', 'TZ']")
    assert "site-packages" not in ran.output


@pytest.mark.parametrize("walls", [None, ["landlock"], ["namespace"]])
async def test_a_process_that_steps_out_of_its_group_ends_with_the_rest(
    walls: list[str] | None, tmp_path: Path
) -> None:
    if not set(walls or []) <= set(GRANTED):
        pytest.skip("this kernel does not grant it")
    code = (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        os.write(1, b'out')\n"
        "        time.sleep(600)\n    os._exit(0)\nos.wait()"
    )
    ran = await run_python(code, walls=walls)  # returns at once: whoever lived on would hold the output open
    assert ran.exit is not None
    assert left(tmp_path) == []


@pytest.mark.parametrize("at", ["running", "starting"])
async def test_cancelling_ends_the_code_and_leaves_no_folder(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = asyncio.Event()
    monkeypatch.setattr(run._Watch, "pipe_data_received", lambda self, fd, data: started.set())
    task = asyncio.create_task(run_python("import os, time; os.write(1, b'x'); time.sleep(600)", seconds=600))
    if at == "running":
        await started.wait()
    else:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left(tmp_path) == []


async def test_the_sandbox_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = "import time\nprint('x', flush=True)\ntime.sleep(600)"
    (tmp_path / "solution.py").write_text(code, encoding="utf-8")
    job = f'{{"layers": ["audit"], "folder": "{tmp_path}", "seconds": 600}}'
    process = await asyncio.create_subprocess_exec(
        *kind.command("cage.main(sys.argv[2])"), job, stdin=-1, stdout=-1, stderr=-1
    )
    assert process.stdin
    assert process.stdout
    assert await process.stdout.readline() == b"x\n"
    process.stdin.close()  # as the system does for a killed process
    assert await process.stdout.read() == b""
    assert await process.wait() == -signal.SIGKILL


OUTLIVE = """
import ctypes, os, signal, time
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
for descriptor in range(3, 20):
    try:
        os.write(descriptor, b"x")
    except OSError:
        pass
{then}
time.sleep(600)
"""


@pytest.mark.parametrize("then", ["", "signal.raise_signal(signal.SIGSTOP)"])
@pytest.mark.parametrize(
    "walls", [["seccomp"], ["landlock"], ["namespace"], [one for one in GRANTED if one != "audit"]]
)
async def test_code_that_cut_its_ties_to_the_supervisor_ends_at_its_time(
    walls: list[str], then: str, tmp_path: Path
) -> None:
    if not set(walls) <= set(GRANTED):
        pytest.skip("this kernel does not grant it")
    ran = await run_python(OUTLIVE.format(then=then), walls=walls, seconds=1)
    assert ran.exit is None
    assert running_below(tmp_path) == []


def running_below(folder: Path) -> list[str]:
    """The processes whose job names the folder; they are ended, so that a failed test leaves none."""
    left = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(folder) in line.read_text(encoding="utf-8", errors="replace"):
                left.append(line.parent.name)
                os.kill(int(line.parent.name), signal.SIGKILL)
    return left


async def test_a_folder_goes_whatever_is_in_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(0o500)
    code = (
        f"import os\nos.symlink({str(outside)!r}, 'link')\nos.makedirs('a/b')\nopen('a/b/c', 'w')\nos.chmod('a/b', 0)\n"
        "os.chmod('a', 0)\nfor _ in range(150):\n    os.mkdir('d' * 99)\n    os.chdir('d' * 99)"
    )
    ran = await run_python(code, walls=["seccomp"] if "seccomp" in GRANTED else ["audit"], seconds=60)
    assert (ran.exit, ran.output) == (0, "")
    assert left(tmp_path) == []
    assert outside.stat().st_mode & 0o777 == 0o500


async def test_an_output_is_cut_in_the_middle() -> None:
    ran = await run_python("print('a' * 5_000 + 'b' * 500_000 + 'z' * 7_000)")
    assert ran.output.startswith("a" * 3_000 + "\n[503,001 bytes left out]\n")
    assert ran.output.endswith("z\n")
    assert len(ran.output) < 10_000


async def test_what_is_not_utf8_can_be_printed() -> None:
    ran = await run_python("import os; os.write(1, b'\\xff'); print('grün \ud800 字')")
    assert ran.output == "�grün ? 字\n"


FORGE = "import os\nfor fd in range(3, 10):\n    try: os.write(fd, {line!r})\n    except OSError: pass\n"


@pytest.mark.parametrize(
    "line", [b"[1,2]\n", b"nonsense", b'{"passed": 9, "failed": 0}\n', b'{"passed": 9, "nonce": "1"}\n', b"9" * 200_000]
)
@pytest.mark.parametrize("end", ["", "os._exit(0)"])
async def test_who_writes_into_the_report_has_failed_whatever_it_says(line: bytes, end: str) -> None:
    ran = await run_python(FORGE.format(line=line) + end, "assert True")
    assert (ran.exit, ran.passed, ran.failed) == (0, 0, 1)
    assert ran.failures == ("the code wrote into the report of its tests: write to stdout only; they count as failed",)


async def test_ten_long_failures_are_told_whole() -> None:
    ran = await run_python("", "\n".join(f"assert 'é' * 900 == '{n}' * 900" for n in range(12)))
    assert (ran.passed, ran.failed, len(ran.failures)) == (0, 12, 10)


async def test_without_its_walls_nothing_runs() -> None:
    with pytest.raises(ToolFailed, match=r"could not be set up: FileNotFoundError"):
        await run._run('{"layers": [], "folder": "/no/such", "seconds": 1}', Path("/"), 5)
    with pytest.raises(ToolFailed, match=r"could not be set up: .*JSONDecodeError"):
        await run._run("{", Path("/"), 5)


def test_the_kind_names_the_layers() -> None:
    assert sandbox_kind() == "+".join(GRANTED)
    assert sandbox_kind().endswith("audit")
    assert set(GRANTED) <= {*cage._LAYERS, "audit"} == {*REFUSED}


def test_elsewhere_there_is_only_the_innermost_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind.sys, "platform", "darwin")
    assert kind.layers.__wrapped__() == ("audit",)


def test_an_interpreter_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 127\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setattr(kind.sys, "executable", str(broken))
    with pytest.raises(Exception, match=r"the sandbox cannot start .*python: no such library"):
        kind.layers.__wrapped__()


async def test_many_run_at_once() -> None:
    ended = await asyncio.gather(*(run_python(f"print({i})", seconds=60, walls=["audit"]) for i in range(20)))
    assert [int(ran.output) for ran in ended] == list(range(20))
