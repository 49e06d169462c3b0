"""A folder out of which no path leads."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import ToolError
from orchestra.toolbox import ToolFailed, ToolRejected, confined
from orchestra.toolbox.confined import Confined


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    root = tmp_path / "root"
    (root / "notes" / "deep").mkdir(parents=True)
    (root / "notes" / "plan.md").write_text("plan", encoding="utf-8")
    (root / "ü 字.txt").write_text("grün", encoding="utf-8")
    (root / ".env").write_text("KEY=1", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "path",
    ["notes/plan.md", "./notes//plan.md", "notes/../notes/plan.md", "notes/deep/../plan.md", "{root}/notes/plan.md"],
)
def test_a_file_is_read_by_any_path_that_stays_inside(root: Path, path: str) -> None:
    assert Confined(root).read(path.format(root=root), 100) == b"plan"


def test_a_root_that_is_a_link_is_known_by_both_names(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    assert Confined(link).read(f"{link}/notes/plan.md", 100) == b"plan"
    assert Confined(str(link)).read(f"{root}/notes/plan.md", 100) == b"plan"


@pytest.mark.parametrize(
    "path", ["../secret.txt", "notes/../../secret.txt", "/etc/passwd", "/", "{root}/../secret.txt", "{root}x", ".."]
)
def test_no_path_leads_out(root: Path, path: str) -> None:
    with pytest.raises(ToolRejected, match=r"lies outside the folder; give a path inside it"):
        Confined(root).read(path.format(root=root), 100)


@pytest.mark.parametrize("target", ["../secret.txt", "/etc/passwd", "../root/../secret.txt", "notes/up/../secret.txt"])
def test_no_link_leads_out(root: Path, target: str) -> None:
    (root / "notes" / "up").symlink_to("..")
    (root / "link").symlink_to(target)
    (root / "folder").symlink_to("..")
    for path in ("link", "folder/secret.txt", "notes/up/../secret.txt"):
        with pytest.raises((ToolFailed, ToolRejected), match=r"lies outside|no file"):
            Confined(root).read(path, 100)


def test_a_link_that_stays_inside_is_followed(root: Path) -> None:
    (root / "near").symlink_to("notes/plan.md")
    (root / "notes" / "absolute").symlink_to(root / "notes")
    assert Confined(root).read("near", 100) == b"plan"
    assert Confined(root).read("notes/absolute/plan.md", 100) == b"plan"


def test_links_that_go_round_in_circles_are_refused(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(ToolRejected, match=r"'a' cannot be read: its links lead round in circles"):
        Confined(root).read("a", 100)


def test_a_file_that_becomes_a_link_between_look_and_open_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def swapped(path: str, flags: int, *, dir_fd: int | None = None) -> int:
        if path == "plan.md":
            (root / "notes" / "plan.md").unlink()
            (root / "notes" / "plan.md").symlink_to(root.parent / "secret.txt")
        return real(path, flags) if dir_fd is None else real(path, flags, dir_fd=dir_fd)

    swapped_in = os.supports_dir_fd | {swapped}
    monkeypatch.setattr(os, "supports_dir_fd", swapped_in)
    monkeypatch.setattr(confined.os, "open", swapped)
    with pytest.raises(ToolRejected, match=r"cannot be read: too many levels of symbolic links"):
        Confined(root).read("notes/plan.md", 100)


def test_a_file_that_becomes_a_pipe_between_look_and_open_does_not_hang(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "pipe")
    real = os.stat
    plain = real(root / "notes" / "plan.md")
    monkeypatch.setattr(confined.os, "stat", lambda path, **at: plain if path == "pipe" else real(path, **at))
    with pytest.raises(ToolRejected, match=r"is a device, a pipe or a socket"):
        Confined(root).read("pipe", 100)


def test_only_files_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(root / "pipe")
    monkeypatch.chdir(root)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        for path in ("pipe", "socket"):
            with pytest.raises(
                ToolRejected, match=rf"'{path}' is a device, a pipe or a socket; only files can be read"
            ):
                Confined(root).read(path, 100)


def test_a_folder_is_named_with_what_it_holds(root: Path) -> None:
    with pytest.raises(ToolRejected, match=r"'notes' is a folder; it holds: deep, plan.md"):
        Confined(root).read("notes", 100)
    with pytest.raises(ToolRejected, match=r"'notes/deep' is a folder; it is empty"):
        Confined(root).read("notes/deep", 100)
    for i in range(12):
        (root / "notes" / f"{i:02}").touch()
    with pytest.raises(ToolRejected, match=r"it holds: 00, 01, .*, 09 and 4 more"):
        Confined(root).read("notes", 100)


@pytest.mark.parametrize("path", [".env", "notes/../.env", ".git/config", "notes/.hidden"])
def test_hidden_files_do_not_exist(root: Path, path: str) -> None:
    with pytest.raises(ToolRejected, match=r"is hidden: names that begin with a dot cannot be read"):
        Confined(root).read(path, 100)
    assert not any(".env" in name for name in Confined(root).files())


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("notes/plam.md", "did you mean notes/plan.md?"),
        ("plan.md", "did you mean notes/plan.md?"),
        ("Notes/PLAN.md", "did you mean notes/plan.md?"),
        ("zzz", "it holds: notes, ü 字.txt"),
        ("notes/plan.md/more", "did you mean"),
    ],
)
def test_an_unknown_file_is_told_with_the_nearest(root: Path, path: str, near: str) -> None:
    with pytest.raises(ToolFailed) as error:
        Confined(root).read(path, 100)
    assert str(error.value).startswith(f"there is no file {path!r}; {near}")


@pytest.mark.parametrize("path", ["\0", "a\0b", "x" * 5_000, "\ud800"])
def test_what_is_no_path_is_refused(root: Path, path: str) -> None:
    with pytest.raises(ToolRejected, match=r"cannot be read: "):
        Confined(root).read(path, 100)


def test_a_file_that_is_too_large_is_told_with_its_size(root: Path) -> None:
    (root / "big").write_bytes(bytes(1_500))
    assert len(Confined(root).read("big", 1_500)) == 1_500
    with pytest.raises(ToolFailed, match=r"'big' has 1,500 bytes; 1,000 at most can be read"):
        Confined(root).read("big", 1_000)


def test_files_are_listed_in_order_without_links_and_other_things(root: Path) -> None:
    (root / "link").symlink_to("notes")
    (root / "out").symlink_to("/etc/passwd")
    (root / ".git").mkdir()
    (root / ".git" / "config").touch()
    os.mkfifo(root / "pipe")
    assert list(Confined(root).files()) == ["ü 字.txt", "notes/plan.md"]
    assert list(Confined(root).files("notes")) == ["notes/plan.md"]
    assert list(Confined(root).files(f"{root}/notes")) == ["notes/plan.md"]
    assert list(Confined(root).files("notes/plan.md")) == ["notes/plan.md"]
    with pytest.raises(ToolRejected, match=r"lies outside"):
        list(Confined(root).files(".."))


def test_a_file_that_goes_while_it_is_listed_is_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.stat

    def gone(path: str, **at: object) -> os.stat_result:
        if path == "plan.md":
            raise FileNotFoundError
        return real(path, **at)

    monkeypatch.setattr(confined.os, "stat", gone)
    assert list(Confined(root).files()) == ["ü 字.txt"]


def test_what_lies_too_deep_is_left_out(root: Path) -> None:
    deep = root.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "a").touch()
    (root / "d" / "b").touch()
    assert "d/b" in list(Confined(root).files())
    assert not any(name.endswith("/a") for name in Confined(root).files())


def test_no_folder_is_an_error_of_the_developer(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"no such' is no folder; give the folder whose files may be read"):
        Confined(tmp_path / "no such")


def test_no_descriptor_is_left_open(root: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    folder = Confined(root)
    for path in ("notes/plan.md", "notes/../../x", "zzz", "notes", "a/b/c", "/etc/passwd"):
        try:
            folder.read(path, 2)
        except (ToolFailed, ToolRejected):
            continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@given(st.lists(st.sampled_from(["..", ".", "notes", "plan.md", "up", "/", "secret.txt", "root"]), max_size=8))
def test_whatever_the_path_nothing_outside_is_read(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    base = tmp_path_factory.getbasetemp() / "walked"
    root = base / "root"
    if not root.exists():
        (root / "notes").mkdir(parents=True)
        (root / "notes" / "plan.md").write_text("plan", encoding="utf-8")
        (root / "up").symlink_to("..")
        (root / "notes" / "up").symlink_to("..")
        (base / "secret.txt").write_text("secret", encoding="utf-8")
    with contextlib.suppress(ToolFailed, ToolRejected):
        assert Confined(root).read("/".join(parts), 100) == b"plan"
    assert stat.S_ISDIR(root.stat().st_mode)
