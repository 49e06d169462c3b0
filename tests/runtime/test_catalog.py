import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from orchestra.errors import AgentError, FleetError
from orchestra.runtime import catalog
from orchestra.runtime.catalog import agent_names, load_agent

GOOD = '''"""Does good.

At length.
"""

class Graph(tuple):
    async def ainvoke(self, given, config=None): ...

def build(app, *, data=None):
    return Graph((app, data))
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agents").mkdir()
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith(("orchestra_file_", "their_agent")):
            del sys.modules[name]


def write(text: str, name: str = "good") -> Path:
    path = Path("agents", f"{name}.py").absolute()
    path.write_text(text, encoding="utf-8")
    return path


def refusal(name: str) -> str:
    with pytest.raises(AgentError) as caught:
        load_agent(name)
    return str(caught.value)


def installed(monkeypatch: pytest.MonkeyPatch, name: str, module: str) -> None:
    def entry_points(group: str, name: str | None = None) -> list[EntryPoint]:
        return [entry for entry in (known,) if name in (None, entry.name) and group == catalog.ENTRY_POINTS]

    known = EntryPoint(name, module, catalog.ENTRY_POINTS)
    monkeypatch.setattr(catalog, "entry_points", entry_points)


def test_a_name_is_found_in_the_agents_of_the_working_folder() -> None:
    path = write(GOOD)
    agent = load_agent("good")
    assert (agent.name, agent.path, agent.description) == ("good", path, "Does good.\n\nAt length.")
    assert agent.build("app") == ("app", None)
    assert agent.build("app", data=Path("x")) == ("app", Path("x"))


def test_another_folder_can_be_named() -> None:
    write(GOOD)
    assert load_agent("good", folder=Path.cwd()).name == "good"
    assert "good" not in agent_names(Path.cwd() / "elsewhere")


def test_a_path_is_taken_as_it_is() -> None:
    path = write(GOOD, "größe")
    assert load_agent(str(path)).name == "größe"
    assert load_agent("agents/größe.py").path == path


def test_the_agent_that_comes_with_orchestra_is_known_everywhere() -> None:
    assert "analyst" in agent_names()
    assert "SQL" in load_agent("analyst").description


def test_an_agent_of_the_working_folder_beats_one_that_is_shipped() -> None:
    write(GOOD, "analyst")
    assert load_agent("analyst").description.startswith("Does good.")


def test_an_installed_agent_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("their_agent.py").write_text(GOOD)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    installed(monkeypatch, "theirs", "their_agent")
    assert load_agent("theirs").name == "theirs"
    assert "theirs" in agent_names()
    write('"""Mine."""\ndef build(app): ...\n', "theirs")
    assert load_agent("theirs").description == "Mine."


def test_an_installed_agent_that_cannot_be_imported_says_which_module(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "theirs", "no_such_module_anywhere")
    assert "agent 'theirs': the installed module 'no_such_module_anywhere' cannot be imported" in refusal("theirs")


def test_an_unknown_name_tells_the_nearest_and_all_that_are_known() -> None:
    write(GOOD)
    write(GOOD, "_private")
    told = refusal("goood")
    assert told.startswith("no agent 'goood'; did you mean 'good'? known: analyst, coder, good, helper, ")
    assert told.endswith("; or give the path of an agent file")
    assert "_private" not in told


def test_a_path_that_is_not_there_tells_the_nearest_file() -> None:
    write(GOOD)
    assert "agent file agents/god.py: no file 'god.py'; did you mean 'good.py'?" in refusal("agents/god.py")
    assert "known: none" in refusal("./nowhere/good.py")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("x = 1\nimport no_such_thing\n", 2, "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("x = 1\n\ndef build(:\n", 3, "SyntaxError: invalid syntax"),
        ("raise SystemExit(3)\n", 1, "SystemExit: 3"),
        ("def f():\n    return 1 / 0\nf()\n", 2, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_file_that_does_not_load_is_told_with_its_line(text: str, line: int, said: str) -> None:
    path = write(text)
    assert refusal("good") == f"agent 'good' cannot be loaded: {path}:{line}: {said}"
    assert not any(getattr(module, "__file__", None) == str(path) for module in list(sys.modules.values()))


def test_a_file_that_is_no_text_is_told_without_a_line() -> None:
    path = Path("agents", "good.py").absolute()
    path.write_bytes(b"\x00\xff\xfe")
    assert refusal("good").startswith(f"agent 'good' cannot be loaded: {path}")


def test_an_error_of_ours_in_the_file_keeps_its_own_words() -> None:
    write("from orchestra.errors import FleetError\nraise FleetError('mine')\n")
    with pytest.raises(FleetError, match=r"^mine$"):
        load_agent("good")


def test_a_file_without_build_says_what_must_be_there() -> None:
    write("build = 3\n")
    assert "it has no function build(app, *, data=None); add one" in refusal("good")


def test_an_option_that_build_does_not_take_is_refused_with_those_it_takes() -> None:
    write("def build(app, *, table=None): ...\n")
    with pytest.raises(AgentError, match=r"unexpected keyword argument 'data'; the options it takes: table"):
        load_agent("good").build("app", data=1)
    write("def build(app): ...\n", "bare")
    with pytest.raises(AgentError, match="the options it takes: none"):
        load_agent("bare").build("app", data=1)


@pytest.mark.parametrize("build", ["def build(app): return 3", "def build(app): pass"])
def test_a_build_that_gives_no_graph_is_refused(build: str) -> None:
    write(build + "\n", "odd")
    with pytest.raises(AgentError, match=r"odd.*must return a compiled graph"):
        load_agent("odd").build("app")


def test_a_build_that_fails_is_told_with_its_line() -> None:
    path = write("def build(app):\n    return app['x']\n")
    with pytest.raises(AgentError) as caught:
        load_agent("good").build({})
    assert str(caught.value) == f"agent 'good': build() failed at {path}:2: KeyError: 'x'"


def test_an_error_of_ours_in_build_keeps_its_own_words() -> None:
    write("from orchestra.errors import AgentError\ndef build(app):\n    raise AgentError('give --data')\n")
    with pytest.raises(AgentError, match=r"^give --data$"):
        load_agent("good").build({})


def test_an_unchanged_file_is_loaded_once_and_a_changed_one_anew() -> None:
    import os

    path = write(GOOD)
    first = load_agent("good").function
    assert load_agent("good").function is first
    path.write_text(GOOD.replace("good", "better"))
    os.utime(path, ns=(1, 1))
    assert load_agent("good").description.startswith("Does better.")


def test_a_dataclass_in_an_agent_file_works() -> None:
    write(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass A:\n    x: int = 1\n    async def ainvoke(self, given, config=None): ...\n"
        "def build(app): return A()\n"
    )
    assert load_agent("good").build(None).x == 1
