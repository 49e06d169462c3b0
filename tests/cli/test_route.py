import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

FLEET = """
[models.small]
model = "s"
base_url = "http://127.0.0.1:9/v1"
tier = "efficient"
window = 1000
price = { input = 1, output = 2 }

[models.strong]
model = "t"
base_url = "http://127.0.0.1:9/v1"
tier = "capable"
window = 100_000
price = { input = 10, output = 20 }
tags = ["eu"]

[[routing.steps]]
match = { kind = "plan" }
prefer = ["strong"]
[[routing.steps]]
match = { name = "sum" }
prefer = ["strong"]
[[routing.steps]]
match = { tools = ["rows"] }
prefer = ["strong"]
[[routing.steps]]
match = { tags = ["law"] }
prefer = ["strong"]
[[routing.steps]]
match = { metadata = { lang = "de", level = 3 } }
prefer = ["strong"]
[[routing.steps]]
match = { contains = ["contract"] }
prefer = ["strong"]
[[routing.steps]]
match = { kind = "act" }
prefer = ["small"]
"""


@pytest.fixture
def routed(project: Path) -> None:
    (project / "fleet.toml").write_text(FLEET)


def chosen(cli: Cli, *arguments: str) -> str:
    result = cli("route", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)["model"]


@pytest.mark.usefixtures("routed")
def test_without_options_a_step_is_an_act(cli: Cli) -> None:
    assert chosen(cli, "hello") == "small"


@pytest.mark.usefixtures("routed")
@pytest.mark.parametrize(
    "arguments",
    [
        ("hello", "--kind", "plan"),
        ("hello", "--name", "sum"),
        ("hello", "--tools", "other, rows"),
        ("hello", "--tags", "law"),
        ("hello", "--metadata", "lang=de", "--metadata", "level=3"),
        ("read this contract",),
        ("hello", "--data-tags", "eu"),
        ("hello", "--tokens", "5000"),
        ("word " * 2000,),
    ],
)
def test_every_option_reaches_the_decision(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert chosen(cli, *arguments) == "strong"


@pytest.mark.usefixtures("routed")
def test_mode_priority_deadline_and_budget_reach_the_decision(cli: Cli) -> None:
    told = cli("route", "x", "--kind", "other", "--mode", "quality", "--priority", "high", "--deadline", "9", "--json")
    assert json.loads(told.stdout)["mode"] == "quality"
    result = cli("route", "x", "--budget", "0")
    assert result.exit_code == 3
    assert "money" in result.stderr


@pytest.mark.usefixtures("routed")
def test_the_short_form_tells_model_expectation_way_up_and_reasons(cli: Cli) -> None:
    told = cli("route", "hello").stdout.splitlines()
    assert told[0] == "model       small (efficient, mode balanced)"
    assert told[1].startswith("expected    quality ")
    assert "then up     strong" in told
    assert "because     step: rule 7 prefers it, place 1 of 1" in told


@pytest.mark.usefixtures("routed")
def test_a_refused_model_is_told_with_its_gate(cli: Cli) -> None:
    told = cli("route", "x", "--data-tags", "eu").stdout.splitlines()
    assert any(line.startswith("not         small: ") for line in told)


@pytest.mark.usefixtures("routed")
def test_explain_shows_every_candidate(cli: Cli) -> None:
    told = cli("route", "hello", "--explain").stdout
    assert "candidates" in told
    assert "score" in told


@pytest.mark.usefixtures("routed")
def test_metadata_must_be_key_and_value(cli: Cli) -> None:
    result = cli("route", "x", "--metadata", "lang")
    assert result.exit_code == 2
    assert "'lang' is not KEY=VALUE" in result.stderr


def test_where_there_is_no_fleet_file_the_embedded_models_are_meant(cli: Cli) -> None:
    assert chosen(cli, "hello", "--kind", "plan") == "strong"


def test_a_fleet_with_a_mistake_ends_with_2_and_names_it(cli: Cli, project: Path) -> None:
    (project / "fleet.toml").write_text('[models.a]\nmodel = "x"\nprovider = "antropic"\n')
    result = cli("route", "x")
    assert result.exit_code == 2
    assert "antropic" in result.stderr
    (project / "fleet.toml").write_bytes(b"\xff\xfe")
    assert "fleet.toml: cannot be read" in cli("route", "x").stderr


def test_a_route_leaves_nothing_behind(cli: Cli, project: Path) -> None:
    cli("route", "hello")
    assert [path.name for path in project.iterdir()] == ["agents"]
