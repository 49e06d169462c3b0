"""Compile the modules that a call passes through: `python -m native.build FOLDER` puts a compiled package there."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from native.package import Package
from native.source import translate

HERE = Path(__file__).parent
MODULES = (HERE / "modules.txt").read_text(encoding="utf-8").split()
ADDED = {"support.py": "orchestra/_native.py", "value.py": "orchestra/_native_value.py"}
WEAK = frozenset({"Account", "Caps", "Leases", "PerLoop", "Portal"})  # compiled classes take no weak references
LOOSE = frozenset({"Price", "Recorder"})  # types whose values are taken as they come: others stand in for them


def build(root: Path, folder: Path, *, optimise: str = "2") -> Sequence[Path]:
    """Compile a copy of the package in `root`; the files of `folder` that its sources do not have, relative to it.

    Raises:
        Untranslatable: a module is written in a way that is not known here.
        subprocess.CalledProcessError: mypy or the C compiler refused; what they said stands on standard error.
    """
    shutil.copytree(root / "orchestra", folder / "orchestra", dirs_exist_ok=True, ignore=_NOT_COPIED)
    for name, path in ADDED.items():
        shutil.copy(HERE / name, folder / path)
    sources = {path: path.read_text(encoding="utf-8") for path in (root / "orchestra").rglob("*.py")}
    for typed in (True, False):  # first with their own types, to find what mypy would take for narrower than it is
        package = Package(sources.values(), loose=() if typed else LOOSE, typed=typed)
        for name in MODULES:
            (folder / name).write_text(translate(sources[root / name], package, weak=WEAK), encoding="utf-8")
        _run(folder, *(_CHECK if typed else _COMPILE), optimise=optimise)
    for path, text in sources.items():
        (folder / path.relative_to(root)).write_text(text, encoding="utf-8")
    shutil.rmtree(folder / "build")
    shutil.rmtree(folder / ".mypy_cache", ignore_errors=True)
    return [*map(Path, ADDED.values()), *sorted(path.relative_to(folder) for path in folder.rglob(f"*{_SUFFIX}"))]


def _run(folder: Path, *command: str, optimise: str) -> None:
    flags = f"{os.environ.get('CFLAGS', '')} {_FLAGS}" if sys.platform != "win32" else os.environ.get("CFLAGS", "")
    environment = {**os.environ, "ORCHESTRA_OPTIMISE": optimise, "CFLAGS": flags}
    subprocess.run([sys.executable, *command], cwd=folder, check=True, env=environment)  # noqa: S603


_FLAGS = "-fno-semantic-interposition -fvisibility=hidden"  # a call of another module's function is a call, no look-up
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
_SUFFIX = ".pyd" if sys.platform == "win32" else ".so"
_CHECK = ("-m", "mypy", f"--config-file={HERE / 'mypy.ini'}", "--no-error-summary", *MODULES)
_COMPILE = (str(HERE / "setup.py"), "-q", "build_ext", "--inplace", "--parallel", str(os.cpu_count() or 1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--optimise", default="2", choices=["0", "1", "2", "3"], help="the C compiler's -O")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    build(HERE.parent, given.folder.resolve(), optimise=given.optimise)
