import json
import re
import time
from pathlib import Path

import pytest

from orchestra.cli.screen import print_json, print_table
from orchestra.ledger import Ledger, RunEnded, RunStarted, StepEnded, StepStarted
from orchestra.types import Trigger
from tests.cli.conftest import Cli


@pytest.fixture
def runs(project: Path) -> None:
    """Two runs in the ledger: `aa1` is done, `ab2` failed."""
    book = Ledger(project / ".orchestra" / "ledger.db", content=True)
    for run, state in (("aa1", "done"), ("ab2", "failed")):
        book.append(run, "", RunStarted("weather", "wie viel Regen\n雨?\x1b[2J"))
        book.append(run, "s1", StepStarted("find\nrain", "act"))
        if state == "failed":
            book.append(run, "s1", StepEnded("failed", "small", 2, trigger=Trigger.empty, evidence=("nothing said",)))
        book.append(run, "", RunEnded(state, 1.25, "s1 failed" if state == "failed" else ""))
    book.close()


@pytest.mark.usefixtures("runs")
def test_runs_are_listed_newest_first_a_line_each(cli: Cli) -> None:
    result = cli("runs")
    head, first, second = result.stdout.splitlines()
    assert result.exit_code == 0
    assert head.split()[:3] == ["run", "agent", "state"]
    assert first.split()[:3] == ["ab2", "weather", "failed"]
    assert second.rstrip().endswith("wie viel Regen 雨?\ufffd[2J")


def test_a_narrow_terminal_shows_runs_by_the_whole_id_that_a_trace_is_asked_by(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    book = Ledger(project / ".orchestra" / "ledger.db", content=True)
    ids = {"1k0yfrqhgfn0dkse", "1k0yfrqhgfn0dksf"}
    for run in ids:
        book.append(run, "", RunStarted("weather", "How much rain falls in Oslo?"))
    book.close()
    told = cli("runs").stdout
    assert {line.partition(" ")[0] for line in told.splitlines()} >= ids
    assert "…" not in told


@pytest.mark.parametrize("columns", [20, 80, 120])
def test_a_narrow_terminal_breaks_no_number_and_no_head_and_leaves_nothing_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": str(columns)}.items():
        monkeypatch.setenv(name, value)
    numbers = ["1,333", "1.25", "2026-11-23", "$0.000123"]
    head, path = ["name", "tokens", "seconds", "started", "attempts", "path"], "/somewhere/" + "deep/" * 30
    print_table(head, [["a-name-longer-than-the-terminal", *numbers, path]])
    told = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)
    assert {*head, *numbers, "a-name-longer-than-the-terminal"} <= set(told.split())
    assert path == "".join(line[told.splitlines()[0].index("path") :].strip() for line in told.splitlines()[1:])
    assert columns < 120 or max(map(len, told.splitlines())) <= columns


@pytest.mark.usefixtures("runs")
def test_runs_show_the_clock_on_the_wall(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    (run,) = json.loads(cli("runs", "--limit", "1", "--json").stdout)["runs"]
    assert time.strftime("%Y-%m-%d %H:%M", time.gmtime(run["started"])) in cli("runs").stdout


@pytest.mark.usefixtures("runs")
def test_runs_can_be_limited_and_read_as_json(cli: Cli) -> None:
    told = json.loads(cli("runs", "--json", "--limit", "1").stdout)
    assert [(run["run"], run["state"], run["seconds"]) for run in told["runs"]] == [("ab2", "failed", 1.25)]


@pytest.mark.usefixtures("runs")
def test_trace_shows_the_latest_run_unless_one_is_named(cli: Cli) -> None:
    assert "ab2 [failed]" in cli("trace").stdout
    assert "aa1 [done]" in cli("trace", "aa").stdout


@pytest.mark.usefixtures("runs")
def test_trace_is_a_tree_with_reasons(cli: Cli) -> None:
    told = cli("trace", "ab2").stdout
    assert "└── s1 (act) find rain [failed]" in told
    assert "· empty: nothing said" in told
    assert "\x1b" not in told


@pytest.mark.usefixtures("runs")
def test_trace_is_coloured_on_a_terminal_unless_no_color_is_set(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[31m" in cli("trace").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in cli("trace").stdout


@pytest.mark.usefixtures("runs")
def test_trace_as_json_and_as_mermaid(cli: Cli) -> None:
    assert json.loads(cli("trace", "ab2", "--json").stdout)["steps"][0]["trigger"] == "empty"
    assert cli("trace", "ab2", "--mermaid").stdout.startswith("flowchart")


@pytest.mark.usefixtures("runs")
def test_trace_takes_one_form_at_a_time(cli: Cli) -> None:
    result = cli("trace", "--json", "--mermaid")
    assert result.exit_code == 2
    assert "--json or --mermaid" in result.stderr


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("run", ["a", "zz"])
def test_a_run_that_is_not_known_or_not_one_ends_with_1_and_a_way_out(cli: Cli, run: str) -> None:
    result = cli("trace", run)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")


@pytest.mark.parametrize("command", ["runs", "trace"])
def test_without_a_ledger_the_way_out_is_told_and_none_is_made(cli: Cli, project: Path, command: str) -> None:
    result = cli(command)
    assert result.exit_code == 1
    assert "no ledger at .orchestra/ledger.db; run an agent first" in result.stderr
    assert not (project / ".orchestra").exists()


def test_a_ledger_without_runs_says_so(cli: Cli, project: Path) -> None:
    Ledger(project / "own.db").close()
    assert cli("runs", "--ledger", "own.db").stdout.splitlines()[1:] == []
    result = cli("trace", "--ledger", "own.db")
    assert result.exit_code == 1
    assert "own.db: there is no run in it yet" in result.stderr


def test_json_holds_no_character_that_drives_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"answer": "\x1b[2J \x9b2J \x7f é"})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"answer": "\x1b[2J \x9b2J \x7f é"}
    assert all(char.isprintable() for char in shown.replace("\n", ""))
