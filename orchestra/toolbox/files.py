"""Ready tools are Python files: found by path, in the project's `tools` folder, or among those that are shipped."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import orchestra
from orchestra.errors import ToolError
from orchestra.toolbox.result import one_line

_PACKAGE = Path(orchestra.__file__).parent
_SHIPPED = (_PACKAGE / "_shipped" / "tools", _PACKAGE.parent / "tools")  # in a wheel, in a checkout


def load_tools(name: str | Path) -> ModuleType:
    """The module of a tool file: `name` is a path ending in .py, or a name looked up in ./tools, then as shipped.

    Raises ToolError naming what is known and the nearest spelling, or what went wrong inside the file.
    """
    path = _find(name)
    spec = importlib.util.spec_from_file_location(f"orchestra_tools_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up while it is executed
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise ToolError(f"{path}: {one_line(error)}") from error
    return module


def _find(name: str | Path) -> Path:
    if str(name).endswith(".py"):
        if not Path(name).is_file():
            raise ToolError(f"{name}: there is no such tool file")
        return Path(name).resolve()
    known: dict[str, Path] = {}
    for folder in (*reversed(_SHIPPED), Path("tools")):  # a later folder wins
        known |= {path.stem: path.resolve() for path in sorted(folder.glob("*.py"))}
    if str(name) not in known:
        near = difflib.get_close_matches(str(name), known, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ToolError(f"there is no tool file {str(name)!r}; {hint}known: {', '.join(sorted(known))}; or give a path")
    return known[str(name)]
