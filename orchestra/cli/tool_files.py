"""Where the tools come from that a command is told to look at: a file of declarations, or a tool file by its name."""

from __future__ import annotations

import gzip
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from orchestra.errors import ConfigError
from orchestra.types import Json, ToolSpec

if TYPE_CHECKING:
    from orchestra.toolbox import Tool

KEYS = ("name", "schema")
_FORM = 'a line is {"name": "…", "description": "…", "schema": {…}}'


def read_tools(file: Path) -> dict[str, ToolSpec]:
    """The tools of a file of JSON lines, each by its place `FILE:LINE`; empty lines are left out.

    A tool may be without a description. Raises ConfigError naming the line and what is wrong.
    """
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8") as lines:
            places = ((f"{file}:{number}", line) for number, line in enumerate(lines, 1) if line.strip())
            tools = {place: _tool(line, place) for place, line in places}
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}; give a file in which {_FORM}") from error
    if not tools:
        raise ConfigError(f"{file}: holds no tools; {_FORM}")
    return tools


def find_tool(name: str, data: Path | None) -> ToolSpec:
    """The declaration of a tool file's tool of the same name, or of FILE:TOOL; made for `data` where it has to be.

    Raises ToolError where there is no such file, ConfigError where it holds no such tool or needs `data`.
    """
    from orchestra.toolbox import Tool, load_tools

    file, colon, inner = name.rpartition(":")
    if not (colon and inner.isidentifier()):
        file, inner = name, Path(name).stem
    module, name = load_tools(file), inner
    found: object = getattr(module, name, None)
    if found is not None and not isinstance(found, Tool) and callable(found):
        found = _made(name, found, data)
    if isinstance(found, Tool):
        return found.spec
    others = ", ".join(f"{Path(file).stem}:{each}" for each in sorted(_tools(module))) or "none"
    raise ConfigError(f"{module.__file__} has no tool named {name!r}; its tools: {others}")


def _tool(line: str, where: str) -> ToolSpec:
    try:
        said: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: no JSON: {error}; {_FORM}") from error
    if not isinstance(said, dict):
        raise ConfigError(f"{where}: no object; {_FORM}")
    given = cast("dict[str, Any]", said)
    if missing := [key for key in KEYS if key not in given]:
        raise ConfigError(f"{where}: without {', '.join(missing)}; {_FORM}")
    name, about, schema = given["name"], given.get("description", ""), given["schema"]
    if not (isinstance(name, str) and name.strip() and isinstance(about, str) and isinstance(schema, Mapping)):
        raise ConfigError(f"{where}: name and description must be texts, schema an object; {_FORM}")
    return ToolSpec(name, about, cast("Mapping[str, Json]", schema))


def _made(name: str, make: Callable[..., object], data: Path | None) -> object:
    """What a tool file's function gives; some are made for a folder, or for a table."""
    from orchestra.toolbox.data import open_data

    needed = [each for each in inspect.signature(make).parameters.values() if each.default is each.empty]
    if not needed:
        return make()
    if data is None or len(needed) > 1:
        raise ConfigError(f"{name} is made for something of yours: name its `{needed[0].name}` with --data")
    return make(open_data(data) if needed[0].name == "data" else data)


def _tools(module: ModuleType) -> dict[str, Tool]:
    from orchestra.toolbox import Tool

    return {name: value for name, value in vars(module).items() if isinstance(value, Tool)}
