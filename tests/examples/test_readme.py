"""What the README shows runs as it stands there, in a folder where only a fleet.toml lies."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from orchestra.cli.commands import commands
from orchestra.runtime.catalog import load_agent
from orchestra.testing import CallTool, ScriptedModel, scripted_app
from tests.examples.running import ROOT, run

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
WHOLE = [
    block for block in BLOCKS if re.search(r"^asyncio\.run\(|^import orchestra|^from orchestra", block, re.MULTILINE)
]
STEPS = [
    {"id": "s1", "goal": "price of a lamp", "needs": [], "tools": ["price"], "difficulty": "easy"},
    {"id": "s2", "goal": "price of a chair", "needs": [], "tools": ["price"], "difficulty": "easy"},
    {"id": "s3", "goal": "say both", "needs": ["s1", "s2"], "tools": [], "difficulty": "easy"},
]


def model(body: dict[str, Any]) -> Any:
    """A model for whatever the README asks: it plans, looks prices up, and says them."""
    if "split a task" in body["messages"][0]["content"]:
        return json.dumps({"steps": STEPS})
    text = next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user")
    if results := [m["content"] for m in body["messages"] if m["role"] == "tool"]:
        return f"{results[-1]} euros"
    if not body.get("tools"):
        return "79.5 and 129 euros."
    return CallTool("price", item="lamp" if "lamp" in text.rpartition("Your step:")[2] else "chair")


def test_the_readme_has_an_example_that_is_short_and_whole():
    assert WHOLE
    assert WHOLE[0].count("\n") <= 20


@pytest.mark.parametrize("block", WHOLE, ids=range(len(WHOLE)))
def test_a_block_that_stands_alone_runs_as_it_stands(block: str, tmp_path: Path):
    script = tmp_path / "readme.py"
    script.write_text(block, encoding="utf-8")
    ended, provider = run(script, {"small": model, "strong": model}, tmp_path)
    assert ended.returncode == 0, ended.stderr
    if "ainvoke" in block:
        assert ended.stdout.startswith("79.5 and 129 euros.")
        assert len(provider.requests) == 6


@pytest.mark.parametrize("link", sorted({one for one in re.findall(r"\]\(([^)]+)\)", README) if "://" not in one}))
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(link: str):
    path, _, anchor = link.partition("#")
    assert (ROOT / path).exists()
    headings = re.findall(r"^#+ (.*)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
    assert not anchor or anchor in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def test_every_page_of_the_docs_is_linked():
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"](docs/{page.name})" not in README] == []


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`(benchmarks/[\w/]+\.py)`", README))))
def test_every_benchmark_that_is_named_is_there(file: str):
    assert (ROOT / file).is_file()


def test_every_agent_and_tool_that_comes_with_orchestra_is_told_of():
    ready = [*(ROOT / "agents").glob("*.py"), *(ROOT / "tools").glob("*.py")]
    assert ready
    assert [path.stem for path in ready if f"`{path.stem}`" not in README] == []


def test_every_option_that_is_shown_is_one_of_its_command():
    options = {
        name: {option for param in command.params for option in param.opts}
        for name, command in get_command(commands()).commands.items()
    }
    shown = re.findall(r"orchestra (\w+) ([^\n]*)", README)
    given = [(name, option) for name, words in shown for option in re.findall(r"(?<![\w-])--[\w-]+", words)]
    assert ("run", "--resume") in given
    assert [one for one in given if one[0] in options and one[1] not in options[one[0]]] == []


@pytest.mark.parametrize("line", re.findall(r"`orchestra run (\w+ [^`]*)` \|$", README, re.MULTILINE))
async def test_the_command_of_an_agent_finds_the_agent_and_its_data(line: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    name, task, *data = shlex.split(line)
    assert task
    given = {"data": Path(data[1])} if data else {}
    async with scripted_app(ScriptedModel("small", "idle")) as app:
        assert load_agent(name).build(app, **given).name == name
