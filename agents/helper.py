"""Helps with everyday tasks: calculates, asks you back, and reads your files: --data FOLDER."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from orchestra.errors import AgentError
from orchestra.toolbox import load_tools
from orchestra.toolbox.ask import ask_human
from orchestra.toolbox.confined import Confined

if TYPE_CHECKING:
    from orchestra import Orchestra
    from orchestra.runtime.agent import Agent

PROMPT = Path(__file__).with_suffix(".md")
LISTED = 20


def build(app: Orchestra, *, data: Path | None = None) -> Agent:
    """The helper; with a folder `data` it may read the files below it. Raises AgentError where that is no folder."""
    if data is not None and not data.is_dir():
        raise AgentError(f"agent 'helper' reads files below a folder, and {data} is none: give --data FOLDER, or none")
    tools = [load_tools("calculator").calculator, ask_human]
    if data is not None:
        tools += [load_tools("search_files").search_files(data), load_tools("read_file").read_file(data)]
    background = PROMPT.read_text(encoding="utf-8").format(files=_files(data))
    return app.planner_executor(tools, name="helper", max_steps=6, background=background.strip())


def _files(data: Path | None) -> str:
    """The first files, so that the planner need not look for what there is."""
    if data is None:
        return ""
    names = list(islice(Confined(data).files(), LISTED + 1))
    more = ", ... (see search_files)" if len(names) > LISTED else ""
    return f"Files: {', '.join(names[:LISTED])}{more}" if names else "Files: none"
