import json
from pathlib import Path

import pytest

from orchestra.local import EMBEDDED, Weights, WeightStore
from tests.cli.conftest import Cli

SMALL, STRONG = EMBEDDED.values()


@pytest.fixture
def here(project: Path) -> Path:
    """A wrong file under the small model's hash."""
    path = project / "weights" / f"{SMALL.sha256}.gguf"
    path.parent.mkdir()
    path.write_bytes(b"x" * 3_000_000)
    return path


def test_pull_pulls_what_is_named_or_all_there_is(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulled: list[str] = []

    def pull(self: WeightStore, weights: Weights, progress: object) -> Path:
        pulled.append(weights.name)
        return self.root / "w.gguf"

    monkeypatch.setattr(WeightStore, "pull", pull)
    result = cli("models", "pull", STRONG.name)
    assert (result.exit_code, pulled) == (0, [STRONG.name])
    assert result.stdout == f"{STRONG.name}: verified, {project / 'weights' / 'w.gguf'}\n"
    cli("models", "pull")
    assert pulled[1:] == [SMALL.name, STRONG.name]


def test_list_tells_what_is_here_and_what_could_be(cli: Cli, here: Path) -> None:
    (here.parent / f"{'0' * 64}.part").write_bytes(b"")
    _, *rows = (line.split() for line in cli("models", "list").stdout.splitlines())
    assert rows[0] == [SMALL.name, "complete", "3", "MB", SMALL.sha256[:12], str(here)]
    assert rows[1][:2] == ["unknown", "unfinished"]
    assert rows[2][:3] == [STRONG.name, "not", "pulled"]


def test_list_as_json(cli: Cli, here: Path) -> None:
    told = json.loads(cli("models", "list", "--json").stdout)
    assert told["root"] == str(here.parent)
    assert told["absent"] == [STRONG.name]
    assert told["here"] == [
        {"name": SMALL.name, "sha256": SMALL.sha256, "size": 3_000_000, "complete": True, "path": str(here)}
    ]


def test_verify_refuses_a_wrong_file_with_2(cli: Cli, here: Path) -> None:
    result = cli("models", "verify", SMALL.name)
    assert result.exit_code == 2
    assert "and was deleted" in result.stderr
    assert not here.exists()


def test_verify_says_what_holds(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WeightStore, "verify", lambda self, weights: here)
    assert cli("models", "verify", SMALL.name).stdout == f"{SMALL.name}: verified, {here}\n"


def test_remove_frees_the_space(cli: Cli, here: Path) -> None:
    assert cli("models", "remove", SMALL.sha256[:8]).stdout == f"{SMALL.name}: removed, 3 MB freed\n"
    assert not here.exists()
    assert cli("models", "remove", SMALL.name).exit_code == 2


def test_unknown_weights_end_with_2_and_the_nearest_name(cli: Cli) -> None:
    result = cli("models", "remove", "qwen2.5-coder-0.5b")
    assert result.exit_code == 2
    assert f"did you mean '{SMALL.name}'" in result.stderr
