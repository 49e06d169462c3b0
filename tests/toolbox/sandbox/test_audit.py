"""The audit hook by itself: what it refuses, and in which words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestra.toolbox.sandbox.inside.audit import hook
from orchestra.toolbox.sandbox.inside.kernel import call


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    (tmp_path / "lib").mkdir()
    (tmp_path / "own" / "link").symlink_to(tmp_path)
    return tmp_path / "own"


def check(own: Path, event: str, *arguments: object) -> None:
    hook([str(own.parent / "lib")], str(own))(event, arguments)


def test_what_is_ones_own_is_open(own: Path) -> None:
    check(own, "open", str(own / "a"), "w", os.O_WRONLY)
    check(own, "open", os.fsencode(own / "a"), "r", 0)
    check(own, "open", 3, "w", os.O_WRONLY)
    check(own, "open", os.devnull, "w", os.O_WRONLY)
    check(own, "open", str(own.parent / "lib" / "x"), "r", 0)
    check(own, "os.rename", str(own / "a"), str(own / "b"), -1, -1)
    check(own, "os.listdir", None)
    check(own, "os.scandir", str(own.parent / "lib"))
    check(own, "socket.__new__", object(), 1, 1, 0)
    check(own, "import", "json")


@pytest.mark.parametrize(
    ("event", "arguments", "told"),
    [
        ("open", ("{own}/../secret", "r", 0), "lies outside the sandbox"),
        ("open", ("{own}/link/secret", "r", 0), "lies outside the sandbox"),
        ("open", ("{own}-not", "r", 0), "lies outside the sandbox"),
        ("open", ("{own}/../lib/x", "w", os.O_WRONLY), "lies outside the sandbox"),
        ("os.listdir", ("/",), "lies outside"),
        ("os.rename", ("{own}/a", "/elsewhere", -1, -1), "lies outside"),
        ("os.symlink", ("/etc", "/elsewhere", -1), "lies outside"),
        ("socket.__new__", (object(), 2, 1, 0), "there is no network here"),
        ("socket.connect", (object(), "x"), "there is no network here"),
        ("subprocess.Popen", (), "other processes cannot be started"),
        ("os.fork", (), "other processes cannot be started"),
        ("os.kill", (1, 9), "or signalled here"),
        ("ctypes.dlopen", (None,), "ctypes is closed here"),
    ],
)
def test_anything_else_is_refused(own: Path, event: str, arguments: tuple[object, ...], told: str) -> None:
    filled = [one.format(own=own) if isinstance(one, str) else one for one in arguments]
    with pytest.raises(PermissionError, match=told):
        check(own, event, *filled)


def test_a_call_of_libc_that_fails_is_an_error_with_its_reason() -> None:
    assert call("getpid") == os.getpid()
    with pytest.raises(OSError, match="Bad file descriptor") as error:
        call("close", -1)
    assert error.value.filename == "close"
