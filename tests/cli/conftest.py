import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from orchestra.cli.commands import commands
from orchestra.testing import CallTool, FakeProvider

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

POST = '''"""Writes to people."""

from pathlib import Path

from orchestra import tool
from orchestra.toolbox import ask_human


@tool(needs_approval=True)
def send(to: str) -> str:
    """Send a letter.

    Args:
        to: whom
    """
    with Path("sent.txt").open("a", encoding="utf-8") as sent:
        sent.write(to + "\\n")
    return "sent to " + to


@tool(needs_approval=True, read_only=True)
def look(to: str) -> str:
    """Look an address up.

    Args:
        to: whose
    """
    return "address of " + to


def build(app, *, data=None):
    return app.planner_executor([send, look, ask_human], name="post", at_cap="pause")
'''

ARGUMENTS = {"send": {"to": "Åse"}, "look": {"to": "Åse"}, "ask_human": {"question": "To whom?"}}


def plan_of(*tools: str) -> str:
    """A plan of a step for each of these tools, all at once; the last one needs the others."""
    ids = [f"s{n}" for n in range(1, len(tools) + 1)]
    steps = [
        {"id": sid, "goal": f"Use {name}", "needs": [], "tools": [name], "difficulty": "easy"}
        for sid, name in zip(ids, tools, strict=True)
    ]
    last = {"id": f"s{len(ids) + 1}", "goal": "Say it", "needs": ids, "tools": [], "difficulty": "easy"}
    return json.dumps({"steps": [*steps, last] if len(ids) > 1 else steps})


def clerk(body: Mapping[str, Any]) -> Any:
    """A model that calls its step's tool once, and then says what the tool said."""
    results = [one["content"] for one in body["messages"] if one["role"] == "tool"]
    if results or not body.get("tools"):
        return f"Done: {results[-1] if results else 'all'}"
    name = body["tools"][0]["function"]["name"]
    return CallTool(name, **ARGUMENTS[name])


Cli = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an agent `weather`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRA_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("ORCHESTRA_LEDGER", raising=False)
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "weather.py").write_text(AGENT, encoding="utf-8")
    (tmp_path / "agents" / "post.py").write_text(POST, encoding="utf-8")
    return tmp_path


@pytest.fixture
def cli(project: Path) -> Cli:
    """Runs `orchestra` with these arguments in the project."""

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(commands(), list(arguments))

    return invoke


def serve(project: Path, provider: FakeProvider) -> None:
    (project / "fleet.toml").write_text(FLEET.format(url=provider.base_url), encoding="utf-8")


@contextmanager
def post(project: Path, *tools: str, small: Any = clerk) -> Iterator[FakeProvider]:
    """The models on which agent `post` uses these tools."""
    with FakeProvider({"strong": plan_of(*tools), "small": small}) as provider:
        serve(project, provider)
        yield provider
