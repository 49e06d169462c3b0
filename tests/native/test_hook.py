"""The hook of the wheel: it adds libraries only where it is asked to. What compiles is replaced."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

import pytest

import native.build

ROOT = Path(native.build.__file__).parents[1]
BUILT = [Path("orchestra/_native.py"), Path("orchestra/types/call.so")]
T = TypeVar("T")


class Interface(Generic[T]):
    """As much of hatchling's as the hook asks for, where hatchling is not installed."""

    def __init__(self, root: str, *_: object) -> None:
        self.root = root


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if importlib.util.find_spec("hatchling") is None:
        name = "hatchling"
        for part in ("builders", "hooks", "plugin", "interface"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
            name = f"{name}.{part}"
        interface: Any = ModuleType(name)
        interface.BuildHookInterface = Interface
        monkeypatch.setitem(sys.modules, name, interface)
    spec = importlib.util.spec_from_file_location("hook_here", ROOT / "native/hook.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Path, Path]]:
    """From where to where it was compiled."""
    calls: list[tuple[Path, Path]] = []

    def build(root: Path, folder: Path) -> Sequence[Path]:
        calls.append((root, folder))
        (folder / "made").touch()
        return BUILT

    monkeypatch.setattr(native.build, "build", build)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("ORCHESTRA_COMPILE", raising=False)
    return calls


@pytest.fixture
def hook(module: ModuleType) -> Any:
    return module.CompiledHook(str(ROOT), {}, None, None, "", "wheel")


def build_data() -> dict[str, Any]:
    """As hatchling gives it to a wheel's hooks."""
    return {"infer_tag": False, "pure_python": True, "force_include": {"agents": "orchestra/_shipped/agents"}}


@pytest.mark.parametrize("switch", [None, "", "0"])
@pytest.mark.parametrize("version", ["standard", "editable"])
def test_nothing_is_added_where_it_is_not_asked_for(
    hook: Any, built: list[Any], monkeypatch: pytest.MonkeyPatch, switch: str | None, version: str
) -> None:
    if switch is not None:
        monkeypatch.setenv("ORCHESTRA_COMPILE", switch)
    path, data = list(sys.path), build_data()
    hook.initialize(version, data)
    hook.finalize(version, data, "a.whl")
    assert (data, built, hook.dependencies(), sys.path) == (build_data(), [], [], path)


def test_an_editable_install_is_refused(hook: Any, built: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_COMPILE", "1")
    data = build_data()
    with pytest.raises(
        ValueError, match=r"^ORCHESTRA_COMPILE is set, and an editable install is not compiled: unset it"
    ):
        hook.initialize("editable", data)
    assert (data, built) == (build_data(), [])


def test_what_was_built_is_added_beside_the_sources_of_a_wheel_for_this_platform(
    hook: Any, built: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRA_COMPILE", "1")
    data = build_data()
    hook.initialize("standard", data)
    ((root, folder),) = built
    added = {str(folder / path): str(path) for path in BUILT}
    assert (root, data["force_include"]) == (ROOT, build_data()["force_include"] | added)
    assert (data["pure_python"], data["infer_tag"]) == (False, True)


def test_the_folder_it_was_built_in_is_there_until_the_wheel_is_made(
    hook: Any, built: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORCHESTRA_COMPILE", "1")
    data = build_data()
    hook.initialize("standard", data)
    assert (built[0][1].parent, (built[0][1] / "made").exists()) == (tmp_path, True)
    hook.finalize("standard", data, "a.whl")
    assert list(tmp_path.glob("orchestra-native-*")) == []


def test_it_is_built_with_the_compilers_it_is_tested_with(
    hook: Any, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRA_COMPILE", "1")
    assert hook.dependencies() == module.COMPILERS
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    used = {one for one in project["project"]["optional-dependencies"]["dev"] if one.startswith(("mypy", "setuptools"))}
    assert used <= set(module.COMPILERS)


def test_the_project_names_the_hook_for_its_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"] == {"custom": {"path": "native/hook.py"}}
