from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestra.cli.commands import commands
from orchestra.testing import FakeProvider

AGENT = '''"""Knows how much it rains.

More about it.
"""

from orchestra import tool


@tool(read_only=True)
def rain(city: str) -> str:
    """Rain in a year, in millimetres.

    Args:
        city: the city's name
    """
    return {"Oslo": "763", "Bergen": "2250"}[city]


def build(app, *, data=None):
    return app.planner_executor([rain], name="weather", background=f"data: {data}")
'''

FLEET = """
[models.small]
model = "small"
dialect = "openai-chat"
base_url = "{url}"
tier = "efficient"
price = {{ input = 1, output = 2 }}

[models.strong]
model = "strong"
dialect = "openai-chat"
base_url = "{url}"
tier = "capable"
price = {{ input = 10, output = 20 }}

[[routing.steps]]
match = {{ kind = "plan" }}
tier = "capable"

[[routing.steps]]
match = {{ kind = "act" }}
prefer = ["small"]
"""

PLAN = """{"steps": [
 {"id": "s1", "goal": "Rain in Oslo", "needs": [], "tools": ["rain"], "difficulty": "easy"},
 {"id": "s2", "goal": "Say it — für alle", "needs": ["s1"], "tools": [], "difficulty": "easy"}]}"""

Cli = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an agent `weather`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRA_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("ORCHESTRA_LEDGER", raising=False)
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "weather.py").write_text(AGENT, encoding="utf-8")
    return tmp_path


@pytest.fixture
def cli(project: Path) -> Cli:
    """Runs `orchestra` with these arguments in the project."""

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(commands(), list(arguments))

    return invoke


def serve(project: Path, provider: FakeProvider) -> None:
    (project / "fleet.toml").write_text(FLEET.format(url=provider.base_url), encoding="utf-8")
