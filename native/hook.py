"""Hatchling's hook: `ORCHESTRA_COMPILE=1 pip install .` makes a wheel for this platform; without it nothing is done."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH = "ORCHESTRA_COMPILE"
COMPILERS = ["mypy>=2.4,<2.5", "setuptools>=80", "mypy-extensions>=1"]  # another mypy may translate otherwise


class CompiledHook(BuildHookInterface[Any]):
    """Adds the libraries of the compiled modules beside their sources, which tracebacks point into."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What is installed to build with."""
        return COMPILERS if _asked() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile. Raises ValueError for an editable install, whose sources would change behind their libraries."""
        if not _asked():
            return
        if version == "editable":
            raise ValueError(
                f"{SWITCH} is set, and an editable install is not compiled: unset it, or leave out --editable"
            )
        sys.path.insert(0, self.root)
        from native.build import build

        self._folder = Path(tempfile.mkdtemp(prefix="orchestra-native-"))
        for path in build(Path(self.root), self._folder):
            build_data["force_include"][str(self._folder / path)] = str(path)
        build_data["pure_python"], build_data["infer_tag"] = False, True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Clear up."""
        if _asked():
            shutil.rmtree(self._folder, ignore_errors=True)


def _asked() -> bool:
    return os.environ.get(SWITCH, "") not in {"", "0"}
