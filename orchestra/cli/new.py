"""`orchestra new`: a project that runs: a fleet, an agent, a tool, and tests that pass."""

from __future__ import annotations

import keyword
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from orchestra.cli.options import AsJson
from orchestra.cli.screen import print_json, say, stderr
from orchestra.errors import ConfigError

EXAMPLE = "orchestra new my-project --agent planner"
TEMPLATE = Path(__file__).parent / "templates" / "project"
PLACEHOLDER = "agent_name"
SHOWN = 5


def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make; it may exist if it is empty.")],
    *,
    agent: Annotated[
        str, typer.Option(help="The agent's name: its file, and what `orchestra run` calls it.")
    ] = "hello",
    as_json: AsJson = False,
) -> None:
    """Make a project: fleet.toml, an agent, a tool and a test that passes."""
    _check_name(agent)
    _check_folder(folder)
    files = dict(project_files(agent))
    _write(folder, files)
    if as_json:
        print_json({"folder": str(folder), "agent": agent, "files": list(files)})
    else:
        say("\n".join(str(folder / name) for name in files))
        stderr().print(
            f'next: cd {shlex.quote(str(folder))} && pytest && orchestra run {agent} "…"', style="dim", soft_wrap=True
        )


def project_files(agent: str) -> Iterator[tuple[str, str]]:
    """Path inside the project and text of every file of a new project whose agent has this name, sorted by path."""
    for path in sorted(TEMPLATE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            name = path.relative_to(TEMPLATE).as_posix().replace("gitignore", ".gitignore")
            yield name.replace(PLACEHOLDER, agent), path.read_text(encoding="utf-8").replace(PLACEHOLDER, agent)


def _check_name(agent: str) -> None:
    """An agent's name is a file's name and a test's: what every system and Python can spell."""
    plain = agent.isascii() and agent.isidentifier() and agent == agent.lower() and not agent.startswith("_")
    if not plain or keyword.iskeyword(agent):
        wanted = "small letters, digits and _, a letter first, no word of Python's own"
        raise ConfigError(f"--agent: {agent!r} cannot be an agent's name; it takes {wanted}, such as 'hello'")


def _check_folder(folder: Path) -> None:
    if not str(folder).isprintable():
        raise ConfigError(f"DIR: {str(folder)!r} holds characters that cannot be printed; give another name")
    if not folder.absolute().parent.is_dir():
        raise ConfigError(f"{folder}: there is no folder {folder.absolute().parent}; make it first, or check the path")
    if folder.is_symlink() and not folder.exists():
        raise ConfigError(f"{folder}: is a link that leads nowhere; remove it, or give another folder")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; give the name of a folder to make")
    if folder.exists() and (there := sorted(item.name for item in folder.iterdir())):
        more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
        shown = ", ".join(there[:SHOWN])
        raise ConfigError(f"{folder}: is not empty, it holds {shown}{more}; give a new folder, nothing is overwritten")


def _write(folder: Path, files: Mapping[str, str]) -> None:
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror or error}; check its rights") from error
