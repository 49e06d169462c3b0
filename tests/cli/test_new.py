"""`orchestra new`: the project it makes is run the way its owner would run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestra import Fleet
from orchestra.cli import new
from orchestra.runtime.catalog import load_agent
from tests.cli.conftest import Cli

ROOT = Path(__file__).parents[2]
FILES = {
    ".gitignore",
    "README.md",
    "agents/hello.md",
    "agents/hello.py",
    "fleet.toml",
    "tests/test_hello.py",
    "tools/count_words.py",
}


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def ran(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    known = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | known,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", ["hello", "a_rather_long_name_of_an_agent_2"])
def test_its_tests_pass_right_away(cli: Cli, project: Path, name: str) -> None:
    assert cli("new", "mine", "--agent", name).exit_code == 0
    result = ran(project / "mine", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error")
    assert result.returncode == 0, result.stdout
    assert "5 passed" in result.stdout


@pytest.mark.parametrize("name", ["hello", "a", "a_rather_long_name_of_an_agent_2"])
def test_its_python_is_formatted_and_clean(cli: Cli, project: Path, name: str) -> None:
    cli("new", "mine", "--agent", name)
    for command in (
        ("format", "--check", "--line-length=120"),
        ("check", "--line-length=120", "--select=E,F,B,UP,ANN"),
    ):
        result = ran(project / "mine", "ruff", *command, "--no-cache", ".")
        assert result.returncode == 0, result.stdout


def test_the_agent_the_fleet_and_the_readme_bear_its_name(cli: Cli, project: Path) -> None:
    result = cli("new", "mine", "--agent", "words")
    mine = project / "mine"
    assert files(mine) == {name.replace("hello", "words") for name in FILES}
    assert set(result.stdout.split()) == {str(Path("mine", name)) for name in files(mine)}
    assert load_agent("words", mine).description == "Answers questions about the words of a text."
    assert set(Fleet.from_toml((mine / "fleet.toml").read_text()).models) == {"small", "strong"}
    assert "orchestra run words " in (mine / "README.md").read_text(encoding="utf-8")
    assert not any(new.PLACEHOLDER in (mine / name).read_text(encoding="utf-8") for name in files(mine))


def test_json_tells_what_was_made(cli: Cli) -> None:
    told = json.loads(cli("new", "mine", "--json").stdout)
    assert (told["folder"], told["agent"], set(told["files"])) == ("mine", "hello", FILES)


def test_an_empty_folder_is_filled_and_a_name_with_spaces_is_quoted(cli: Cli, project: Path) -> None:
    (project / "für alle").mkdir()
    result = cli("new", "für alle")
    assert files(project / "für alle") == FILES
    assert "cd 'für alle' && pytest" in result.stderr


def test_the_working_folder_may_be_the_project(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "here").mkdir()
    monkeypatch.chdir(project / "here")
    assert cli("new", ".").exit_code == 0
    assert files(project / "here") == FILES


def test_a_folder_that_holds_anything_is_left_as_it_is(cli: Cli, project: Path) -> None:
    (project / "mine").mkdir()
    for number in range(7):
        (project / "mine" / f"{number}.txt").touch()
    result = cli("new", "mine")
    assert result.exit_code == 2
    assert "mine: is not empty, it holds 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 more" in result.stderr
    assert len(files(project / "mine")) == 7


def test_made_twice_is_refused(cli: Cli) -> None:
    cli("new", "mine")
    result = cli("new", "mine")
    assert result.exit_code == 2
    assert "it holds .gitignore, README.md, agents, fleet.toml, tests and 1 more" in result.stderr


def test_a_file_a_broken_link_and_a_missing_parent_are_refused(cli: Cli, project: Path) -> None:
    (project / "file").touch()
    (project / "link").symlink_to("nowhere")
    assert "file: is a file; give the name of a folder" in cli("new", "file").stderr
    assert "link: is a link that leads nowhere" in cli("new", "link").stderr
    missing = cli("new", "no/such/mine")
    assert missing.exit_code == 2
    assert f"there is no folder {project / 'no' / 'such'}; make it first" in missing.stderr


@pytest.mark.parametrize("name", ["", "Hello", "my-agent", "1st", "_own", "class", "größe", "a b", "../x", "a.py"])
def test_a_name_that_no_agent_can_have_is_refused_before_anything_is_made(cli: Cli, project: Path, name: str) -> None:
    result = cli("new", "mine", "--agent", name)
    assert result.exit_code == 2
    assert f"--agent: {name!r} cannot be an agent's name; it takes small letters" in result.stderr
    assert not (project / "mine").exists()


def test_a_folders_name_that_cannot_be_printed_is_refused(cli: Cli) -> None:
    assert "holds characters that cannot be printed" in cli("new", "a\x1b[2Jb").stderr


def test_a_folder_that_cannot_be_written_is_told(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    result = cli("new", "mine")
    assert result.exit_code == 2
    assert "mine: cannot be written: No space left on device" in result.stderr
