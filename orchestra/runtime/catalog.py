"""Agent files and tool files: found by name, loaded by path.

An agent file is a module whose docstring says what it does, with `build(app, *, data=None)` that gives a compiled
graph. A tool file is any module; an agent file loads it with `load_tools`.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

from orchestra.errors import AgentError, OrchestraError

if TYPE_CHECKING:
    from orchestra.app import Orchestra

ENTRY_POINTS = "orchestra.agents"


class Agent(Protocol):
    """What an agent file builds: a compiled LangGraph graph, or anything that is invoked like one."""

    async def ainvoke(self, input: Mapping[str, Any], config: Any = None) -> Mapping[str, Any]:
        """Run a task to its end; input and output as for `Orchestra.planner_executor`."""
        ...


@dataclass(frozen=True, slots=True)
class AgentFile:
    """An agent that was found: `description` is its module's docstring, `source` its module's `build`."""

    name: str
    path: Path
    description: str
    source: Callable[..., Any]

    def build(self, app: Orchestra, **options: Any) -> Agent:
        """The agent's graph on `app`. Raises AgentError for an option that its `build` does not take, or if it fails."""
        where = f"agent {self.name!r} ({self.path})"
        try:
            inspect.signature(self.source).bind(app, **options)
        except TypeError as error:
            known = ", ".join(list(inspect.signature(self.source).parameters)[1:]) or "none"
            raise AgentError(f"{where}: build() cannot be called: {error}; its options are: {known}") from error
        try:
            return cast("Agent", self.source(app, **options))
        except OrchestraError:
            raise
        except Exception as error:
            raise AgentError(f"{where}: build() failed {_place(error, self.path)}") from error


def load_agent(name: str, folder: Path | None = None) -> AgentFile:
    """The agent called `name`, or at the path `name` (anything with a slash or ending in .py).

    A name is looked for in `agents/` of `folder` (by default the working folder), then among installed packages'
    entry points `orchestra.agents`, then among those that come with orchestra. Raises AgentError.
    """
    path = Path(name) if _is_path(name) else agents(folder).get(name)
    if path is None:
        raise AgentError(_unknown("agent", name, agents(folder), "or give the path of an agent file"))
    module = _load(path, "agent")
    build = getattr(module, "build", None)
    if not callable(build):
        raise AgentError(
            f"agent {path.stem!r} ({path}): no function build(app, *, data=None); an agent file must have one"
        )
    return AgentFile(path.stem if _is_path(name) else name, path, inspect.cleandoc(module.__doc__ or ""), build)


def agents(folder: Path | None = None) -> dict[str, Path]:
    """The file of every agent that has a name; the first place that knows a name wins."""
    return _files(_shipped("agents")) | _installed() | _files((folder or Path.cwd()) / "agents")


def load_tools(name: str, folder: Path | None = None) -> ModuleType:
    """The tool file called `name`: from `tools/` of `folder` (by default the working folder), then orchestra's own.

    The same file is the same module however often it is loaded. Raises AgentError.
    """
    known = _files(_shipped("tools")) | _files((folder or Path.cwd()) / "tools")
    if name not in known:
        raise AgentError(_unknown("tool file", name, known, "or put it in the folder tools/"))
    return _load(known[name], "tool file")


def _is_path(name: str) -> bool:
    return name.endswith(".py") or Path(name).name != name


def _files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}


def _shipped(kind: str) -> Path:
    package = Path(__file__).resolve().parent.parent
    wheel = package / "_shipped" / kind
    return wheel if wheel.is_dir() else package.parent / kind


def _installed() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            spec = find_spec(entry.module)
        except ImportError:
            spec = None
        # a broken entry still has its name, so that loading it says what is wrong
        found[entry.name] = Path(spec.origin) if spec and spec.origin else Path(entry.module)
    return found


def _load(path: Path, what: str) -> ModuleType:
    where = path.resolve()
    name = f"orchestra_file_{sha256(str(where).encode()).hexdigest()[:12]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    if not where.is_file():
        near = _unknown(f"{what} file", path.name, {file.name: file for file in where.parent.glob("*.py")}, "")
        raise AgentError(f"{path}: no such file: {near}")
    spec = cast("ModuleSpec", spec_from_file_location(name, where))
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their module up while it is being executed
    try:
        cast("Any", spec.loader).exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt | OrchestraError):
            raise
        raise AgentError(f"{what} {path.stem!r} cannot be loaded {_place(error, where)}") from error
    return module


def _place(error: BaseException, path: Path) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    own_syntax = isinstance(error, SyntaxError) and error.filename == str(path)
    line = cast("SyntaxError", error).lineno if own_syntax else (lines or [None])[-1]
    text = cast("SyntaxError", error).msg if isinstance(error, SyntaxError) else str(error)
    return f"at {path}{f':{line}' if line else ''}: {type(error).__name__}: {text}"


def _unknown(what: str, name: str, known: Mapping[str, Path], way_out: str) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    text = f"no {what} {name!r}; {hint}known: {', '.join(sorted(known)) or 'none'}"
    return f"{text}; {way_out}" if way_out else text
