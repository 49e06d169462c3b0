"""What is done around the compiler, which is replaced; and what the list of modules names."""

from __future__ import annotations

import ast
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import native.build
from native.package import Package
from native.source import translate
from native.syntax import Untranslatable

BUILD = Path(native.build.__file__)
ROOT = BUILD.parents[1]
SMALL = '''"""Small."""

from __future__ import annotations


class Portal:
    """Weak references are made to it."""


def price(given: Price, count: int) -> int:
    return count
'''
OTHER = "X = 1\n"


class Run(NamedTuple):
    """One run of a compiler."""

    command: list[str]
    environment: dict[str, str]
    small: str  # as it stood there


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of two modules, of which one is compiled."""
    package = tmp_path / "root/orchestra"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__pycache__/small.pyc").touch()
    (package / "small.py").write_text(SMALL, encoding="utf-8")
    (package / "other.py").write_text(OTHER, encoding="utf-8")
    (package / "py.typed").touch()
    (package / f"stale{native.build._SUFFIX}").touch()
    monkeypatch.setattr(native.build, "MODULES", ["orchestra/small.py"])
    return package.parent


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """A compiler that leaves what a real one does."""
    found: list[Run] = []

    def run(command: list[str], *, cwd: Path, check: bool, env: dict[str, str]) -> None:
        assert check
        found.append(Run(command[1:], env, (cwd / "orchestra/small.py").read_text(encoding="utf-8")))
        assert command[0] == sys.executable
        if "mypy" in command:
            (cwd / ".mypy_cache").mkdir()
        else:
            (cwd / "build").mkdir()
            for name in ("orchestra/small", "orchestra__mypyc"):
                (cwd / f"{name}{native.build._SUFFIX}").touch()

    monkeypatch.setattr(subprocess, "run", run)
    return found


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.usefixtures("runs")
def test_the_sources_lie_unchanged_beside_the_libraries_and_nothing_else_is_left(root: Path, tmp_path: Path) -> None:
    before, folder = files(root), tmp_path / "made"
    added = native.build.build(root, folder)
    kept = {f"orchestra/{name}" for name in ("small.py", "other.py", "py.typed")}
    libraries = {f"{name}{native.build._SUFFIX}" for name in ("orchestra/small", "orchestra__mypyc")}
    support = {"orchestra/_native.py", "orchestra/_native_value.py"}
    assert files(folder) == {"orchestra"} | kept | libraries | support
    assert (folder / "orchestra/small.py").read_text(encoding="utf-8") == SMALL
    assert (folder / "orchestra/other.py").read_text(encoding="utf-8") == OTHER
    assert {path.as_posix() for path in added} == libraries | support
    assert (files(root), (root / "orchestra/small.py").read_text(encoding="utf-8")) == (before, SMALL)


def test_mypy_sees_the_modules_with_their_own_types_before_they_are_compiled_with_open_ones(
    root: Path, runs: list[Run], tmp_path: Path
) -> None:
    native.build.build(root, tmp_path / "made")
    checked, compiled = runs
    assert checked.command[:2] == ["-m", "mypy"]
    assert compiled.command[:4] == [str(BUILD.with_name("setup.py")), "-q", "build_ext", "--inplace"]
    assert "(given: Price, count: int) -> int:" in checked.small
    assert "(given: _native_any, count: _native_any) -> _native_any:" in compiled.small
    for one in runs:
        assert "@_native_attr(native_class=False)\nclass Portal:" in one.small


def test_the_c_compiler_is_told_what_was_asked_for_beside_our_flags(
    root: Path, runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("CFLAGS", "-g1")
    monkeypatch.setenv("KEPT", "here")
    native.build.build(root, tmp_path / "made", optimise="0")
    given = runs[1].environment
    assert (given["ORCHESTRA_OPTIMISE"], given["KEPT"]) == ("0", "here")
    assert given["CFLAGS"].split() == ["-g1", "-fno-semantic-interposition", "-fvisibility=hidden"]
    assert (os.environ["CFLAGS"], "ORCHESTRA_OPTIMISE" in os.environ) == ("-g1", False)


def test_another_compilers_flags_are_left_alone(
    root: Path, runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("CFLAGS", "/W3")
    native.build.build(root, tmp_path / "made")
    assert (runs[1].environment["CFLAGS"], runs[1].environment["ORCHESTRA_OPTIMISE"]) == ("/W3", "2")


def test_what_a_compiler_refuses_ends_the_build(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def refuse(command: list[str], **_: object) -> None:
        calls.append(command)
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(subprocess.CalledProcessError):
        native.build.build(root, tmp_path / "made")
    assert len(calls) == 1


def test_a_module_that_cannot_be_translated_ends_the_build_before_any_compiler(
    root: Path, runs: list[Run], tmp_path: Path
) -> None:
    (root / "orchestra/small.py").write_text(OTHER, encoding="utf-8")
    with pytest.raises(Untranslatable, match="a module needs a docstring"):
        native.build.build(root, tmp_path / "made")
    assert runs == []


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`python -m native.build …`, that runs no compiler."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("it was about to compile")

    monkeypatch.setattr(subprocess, "run", refuse)

    def command(*given: str) -> None:
        monkeypatch.setattr(sys, "argv", ["native.build", *given])
        runpy.run_path(str(BUILD), run_name="__main__")

    return command


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "the following arguments are required: folder"),
        (("made", "--optimise", "9"), "argument --optimise: invalid choice: '9'"),
        (("made", "--optimise"), "argument --optimise: expected one argument"),
        (("made", "more"), "unrecognized arguments: more"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    command: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        command(*given)
    assert (ended.value.code, list(tmp_path.iterdir())) == (2, [])
    assert said in capsys.readouterr().err


def test_the_list_of_modules_names_files_in_order_each_once() -> None:
    names = (BUILD.with_name("modules.txt")).read_text(encoding="utf-8").splitlines()
    assert names == sorted(set(names)) == native.build.MODULES
    assert [name for name in names if not (ROOT / name).is_file()] == []


@pytest.fixture(scope="module")
def sources() -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in (ROOT / "orchestra").rglob("*.py")}


def test_every_module_of_the_list_can_be_translated_with_its_functions_in_their_lines(sources: dict[Path, str]) -> None:
    package = Package(sources.values(), loose=native.build.LOOSE)
    for name in native.build.MODULES:
        text = sources[ROOT / name]
        made, given = places(translate(text, package, weak=native.build.WEAK)), places(text)
        added = {one for one in made if one[0] == "__init__" or one[0].startswith("_work_")}
        kept = {one[0].removeprefix("_work_") for one in added}  # those stand where their mark stood
        assert {one for one in made - added if one[0] not in kept} <= given, name


def places(text: str) -> set[tuple[str, int]]:
    found = [one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {(one.name, one.lineno) for one in found}


def test_classes_that_are_treated_otherwise_are_classes_of_the_package(sources: dict[Path, str]) -> None:
    nodes = [one for text in sources.values() for one in ast.walk(ast.parse(text))]
    assert {one.name for one in nodes if isinstance(one, ast.ClassDef)} >= native.build.WEAK | native.build.LOOSE
