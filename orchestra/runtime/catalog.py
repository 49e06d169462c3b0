"""Agent files: found by name, loaded by path.

An agent file is a module whose docstring says what it does, with `build(app, *, data=None)` that gives a compiled
graph. Its tools may come from tool files (`orchestra.toolbox.load_tools`).
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from orchestra.errors import AgentError, OrchestraError

ENTRY_POINTS = "orchestra.agents"


class Runnable(Protocol):
    """What an agent file builds: a compiled LangGraph graph, or anything that is invoked like one."""

    async def ainvoke(self, input: Any, config: Any = None) -> Any:  # noqa: A002  # LangGraph's name
        """Run a task to its end; input and output as for `Orchestra.planner_executor`."""
        ...


@dataclass(frozen=True, slots=True)
class AgentFile:
    """An agent that was found: `description` is its module's docstring, `function` its module's `build`."""

    name: str
    path: Path
    description: str
    function: Callable[..., Any]

    def build(self, app: object, **options: object) -> Runnable:
        """The agent's graph on `app`. Raises AgentError for options its `build` does not take, and where it fails."""
        where = f"agent {self.name!r} ({self.path})"
        signature = inspect.signature(self.function)
        try:
            signature.bind(app, **options)
        except TypeError as error:
            known = ", ".join(list(signature.parameters)[1:]) or "none"
            raise AgentError(f"{where}: build() does not fit: {error}; the options it takes: {known}") from error
        try:
            graph = self.function(app, **options)
        except OrchestraError:
            raise
        except Exception as error:
            raise AgentError(f"agent {self.name!r}: build() failed at {_place(error, self.path)}") from error
        if not hasattr(graph, "ainvoke"):
            raise AgentError(f"{where}: build() gave {graph!r:.100}; it must return a compiled graph, and not be async")
        return cast("Runnable", graph)


def load_agent(name: str, folder: Path | None = None) -> AgentFile:
    """The agent called `name`, or at the path `name` (anything with a slash in it or ending in .py).

    A name is looked for in `agents/` of `folder` (by default the working folder), then among the entry points
    `orchestra.agents` of installed packages, then among the agents that come with orchestra. Raises AgentError.
    """
    module = _load(Path(name)) if _is_path(name) else _named(name, folder)
    path = Path(module.__file__ or name)
    build = getattr(module, "build", None)
    if not callable(build):
        raise AgentError(f"agent {path.stem!r} ({path}): it has no function build(app, *, data=None); add one")
    return AgentFile(path.stem if _is_path(name) else name, path, inspect.cleandoc(module.__doc__ or ""), build)


def agent_names(folder: Path | None = None) -> tuple[str, ...]:
    """The names `load_agent` knows, sorted."""
    installed = {entry.name for entry in entry_points(group=ENTRY_POINTS)}
    return tuple(sorted(installed | _places(folder).keys()))


def _named(name: str, folder: Path | None) -> ModuleType:
    own = _files((folder or Path.cwd()) / "agents")
    if name not in own:
        for entry in entry_points(group=ENTRY_POINTS, name=name):
            return _import(name, entry.module)
    places = _places(folder)
    if name not in places:
        way_out = "; or give the path of an agent file"
        raise AgentError(_unknown("agent", name, agent_names(folder), way_out))
    return _load(places[name])


def _places(folder: Path | None) -> dict[str, Path]:
    package = Path(__file__).resolve().parent.parent
    wheel = package / "_shipped" / "agents"
    shipped = wheel if wheel.is_dir() else package.parent / "agents"
    return _files(shipped) | _files((folder or Path.cwd()) / "agents")


def _files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}


def _is_path(name: str) -> bool:
    return name.endswith(".py") or Path(name).name != name


def _import(name: str, module: str) -> ModuleType:
    try:
        return import_module(module)
    except Exception as error:
        text = f"agent {name!r}: the installed module {module!r} cannot be imported: {type(error).__name__}: {error}"
        raise AgentError(text) from error


def _load(path: Path) -> ModuleType:
    where = path.resolve()
    if not where.is_file():
        near = _unknown("file", path.name, [file.name for file in where.parent.glob("*.py")], "")
        raise AgentError(f"agent file {path}: {near} in {where.parent}")
    # the time of change is part of the name, so that an edited file is loaded anew
    key = sha256(f"{where}\0{where.stat().st_mtime_ns}".encode()).hexdigest()[:16]
    name = f"orchestra_file_{key}"
    if name not in sys.modules:
        _execute(name, where)
    return sys.modules[name]


def _execute(name: str, path: Path) -> None:
    spec = cast("ModuleSpec", spec_from_file_location(name, path))
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their module up while it is being executed
    try:
        cast("Any", spec.loader).exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        # a file that calls sys.exit() is as wrong as one that raises
        if isinstance(error, Exception | SystemExit) and not isinstance(error, OrchestraError):
            raise AgentError(f"agent {path.stem!r} cannot be loaded: {_place(error, path)}") from error
        raise


def _place(error: BaseException, path: Path) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines, text = [error.lineno], f"SyntaxError: {error.msg}"
    return f"{path}{f':{lines[-1]}' if lines else ''}: {text}"


def _unknown(what: str, name: str, known: Iterable[str], way_out: str) -> str:
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"no {what} {name!r}; {hint}known: {', '.join(names) or 'none'}{way_out}"
