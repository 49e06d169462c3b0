import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from orchestra.cli import doctor
from orchestra.fleet import Fleet
from orchestra.ledger import Ledger
from orchestra.runtime.endpoints import base_url
from tests.cli.conftest import Cli

HOSTED = """
[models.mine]
model = "x"
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
tier = "efficient"
keys = ["env:MINE_A", "env:MINE_B"]
"""


def found(cli: Cli, *arguments: str) -> dict[str, tuple[str, str]]:
    told = json.loads(cli("doctor", "--json", *arguments).stdout)
    assert told["ok"] == all(one["state"] in ("ok", "optional") for one in told["findings"])
    return {one["what"]: (one["state"], one["text"]) for one in told["findings"]}


@pytest.fixture
def hosted(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINE_B", "sk-secret-value")
    monkeypatch.delenv("MINE_A", raising=False)
    (project / "fleet.toml").write_text(HOSTED)
    return project / "fleet.toml"


@pytest.mark.usefixtures("hosted")
def test_a_sound_setup_ends_with_0(cli: Cli) -> None:
    result = cli("doctor")
    assert result.exit_code == 0, result.stdout
    assert "missing" not in result.stdout


@pytest.mark.usefixtures("hosted")
def test_a_key_is_said_to_be_set_and_never_shown(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(cli)["key of mine"] == ("ok", "MINE_B set; MINE_A not set: nothing is sent with it")
    assert "secret" not in cli("doctor").output
    monkeypatch.delenv("MINE_B")
    assert found(cli)["key of mine"] == ("missing", "not set; set MINE_A or MINE_B")
    assert cli("doctor").exit_code == 1


@pytest.mark.usefixtures("hosted")
def test_the_version_is_told_alone_and_by_doctor(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version", lambda name: f"1.2 of {name}")
    told = cli("--version")
    assert (told.exit_code, told.stdout) == (0, "orchestra 1.2 of orchestra-agents\n")
    assert found(cli)["orchestra"] == ("ok", "1.2 of orchestra-agents")

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", missing)
    assert cli("--version").stdout == "orchestra unknown: not installed, imported from a folder\n"


def test_the_embedded_models_need_weights_and_the_server(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    told = found(cli)
    assert told["fleet"] == ("ok", "embedded: small, strong")
    assert told["weights of small"] == ("missing", "not here; orchestra models pull")
    assert told["extra local"][0] == "missing"
    assert told["extra fast"][0] == "optional"


@pytest.mark.usefixtures("hosted")
def test_a_hosted_fleet_needs_no_local_server(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert found(cli)["extra local"][0] == "optional"


def test_weights_that_were_pulled_are_found(cli: Cli, project: Path) -> None:
    sha = Fleet.embedded().models["small"].weights
    (project / "weights").mkdir()
    (project / "weights" / f"{sha}.gguf").touch()
    assert found(cli)["weights of small"][0] == "ok"


def test_weights_by_path_are_looked_up_where_they_are(cli: Cli, project: Path) -> None:
    (project / "fleet.toml").write_text(
        '[models.own]\nmodel = "own"\nprovider = "local"\ntier = "efficient"\nweights = "own.gguf"\n'
    )
    assert found(cli)["weights of own"] == (
        "missing",
        "own.gguf; there is no such file; mend `weights` in the fleet",
    )
    (project / "own.gguf").touch()
    assert found(cli)["weights of own"] == ("ok", "own.gguf")


@pytest.mark.usefixtures("hosted")
def test_a_missing_package_and_an_old_python_are_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor.sys, "version_info", (3, 10))
    told = found(cli)
    assert told["package httpx"] == ("missing", "not installed; pip install httpx")
    assert told["python"][0] == "missing"


def test_a_fleet_that_does_not_hold_is_a_finding(cli: Cli) -> None:
    state, text = found(cli, "--fleet", "no.toml")["fleet"]
    assert state == "missing"
    assert "no.toml: cannot be read" in text


def test_a_misspelt_dialect_is_wrong_rather_than_missing_and_the_nearest_one_is_named(cli: Cli, hosted: Path) -> None:
    hosted.write_text(HOSTED.replace("openai-chat", "opnai-chat"))
    state, text = found(cli)["fleet"]
    assert state == "wrong"
    assert "unknown dialect 'opnai-chat'" in text
    assert "did you mean 'openai-chat'?" in text
    assert cli("doctor").exit_code == 1


ELSEWHERE = """
[models.gpt]
model = "gpt-4.1"
provider = "azure"
keys = "env:MINE_B"

[models.claude]
model = "anthropic.claude-x"
provider = "bedrock"
"""


@pytest.fixture
def elsewhere(hosted: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    hosted.write_text(ELSEWHERE)
    return hosted


@pytest.mark.usefixtures("elsewhere")
def test_an_address_that_is_missing_is_told_with_the_way_out(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    told = found(cli)
    state, text = told["address of gpt"]
    assert state == "missing"
    assert text.startswith("model 'gpt': provider 'azure' has no base_url; set it in fleet.toml, such as \"https://")
    state, text = told["address of claude"]
    assert state == "missing"
    assert 'Set regions = ["us-east-1"], or AWS_REGION' in text
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert found(cli)["address of claude"] == ("ok", "https://bedrock-runtime.eu-west-1.amazonaws.com")


def test_every_endpoint_of_a_model_is_told(cli: Cli, hosted: Path) -> None:
    ways = "".join(f'[[models.m.endpoints]]\nbase_url = "http://{place}.invalid/v1"\n' for place in ("one", "two"))
    hosted.write_text(f'[models.m]\nmodel = "m-1"\ndialect = "openai-chat"\nprovider = "own"\n{ways}')
    assert found(cli)["address of m"] == ("ok", "http://one.invalid/v1, http://two.invalid/v1")


@pytest.mark.usefixtures("elsewhere")
def test_bedrock_needs_botocore_only_where_it_has_no_key(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    told = found(cli)
    assert told["extra bedrock"][0] == "missing"
    assert told["key of claude"] == (
        "optional",
        "AWS_BEARER_TOKEN_BEDROCK not set; requests are signed with AWS credentials",
    )
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "secret-key-1")
    told = found(cli)
    assert told["extra bedrock"][0] == "optional"
    assert told["key of claude"] == ("ok", "AWS_BEARER_TOKEN_BEDROCK set")


def test_the_pages_example_of_addresses_holds() -> None:
    page = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text(encoding="utf-8")
    example = next(part.split("```")[0] for part in page.split("```toml\n")[1:] if "bedrock" in part.split("```")[0])
    models = Fleet.from_toml(example).models
    assert base_url(models["claude"], {}) == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    assert base_url(models["gpt"], {}) == "https://RESOURCE.openai.azure.com/openai/v1"


@pytest.mark.usefixtures("hosted")
def test_a_ledger_to_come_is_looked_for_without_leaving_anything(cli: Cli, project: Path) -> None:
    assert found(cli)["ledger"][0] == "ok"
    assert not (project / ".orchestra").exists()
    assert found(cli, "--ledger", "fleet.toml/ledger.db")["ledger"][0] == "missing"


@pytest.mark.usefixtures("hosted")
def test_a_ledger_that_is_there_is_opened(cli: Cli, project: Path) -> None:
    Ledger(project / "own.db").close()
    assert found(cli, "--ledger", "own.db")["ledger"] == ("ok", "own.db")
    (project / "bad.db").write_text("no database " * 100)
    assert found(cli, "--ledger", "bad.db")["ledger"][0] == "missing"
