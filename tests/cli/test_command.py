"""The command as a process, and what holds its parts together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestra.cli import main, options
from orchestra.cli.commands import CODES, commands
from orchestra.cli.exits import Exit, exit_code
from orchestra.errors import (
    AgentError,
    BudgetExceeded,
    DeadlineExceeded,
    Exhausted,
    FleetError,
    LedgerError,
    NoCandidate,
    OrchestraError,
    PlanError,
)
from orchestra.ledger import Ledger
from orchestra.types import Trigger
from tests.cli.conftest import Cli

HEAVY = ("langgraph", "langchain_core", "httpx", "mcp", "pydantic", "numpy", "aiohttp", "xllamacpp", "jsonschema")
COMMANDS = ("run", "plan", "route", "runs", "trace", "new", "doctor")
GROUPED = (
    *(("models", name) for name in ("pull", "list", "verify", "remove")),
    *(("tools", name) for name in ("check", "show")),
)
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | environment
    )


def loaded(*commands: tuple[str, ...]) -> str:
    """What the help of these commands loads of the heavy packages, in a process of its own."""
    code = f"""
import sys
from orchestra.cli import main
for command in {commands}:
    sys.argv = ["orchestra", *command, "--help"]
    try:
        main()
    except SystemExit as end:
        assert end.code == 0, command
print([name for name in {HEAVY} if name in sys.modules])
"""
    result = python(code)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]


def test_the_help_loads_nothing_heavy() -> None:
    assert loaded(()) == "[]"


def test_the_help_of_a_command_loads_nothing_heavy_but_what_typer_itself_reads_options_with() -> None:
    assert loaded(*((name,) for name in COMMANDS), ("models",), ("tools",), *GROUPED) in (
        "[]",
        "['pydantic']",
    )


@pytest.mark.parametrize("command", [*((name,) for name in COMMANDS), *GROUPED])
def test_the_help_of_every_command_has_an_example_and_fits_a_narrow_terminal(
    cli: Cli, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    result = cli(*command, "--help")
    assert result.exit_code == 0
    assert f"Example: orchestra {' '.join(command)}" in " ".join(result.stdout.split())
    assert max(map(len, result.stdout.splitlines())) <= 50


def test_without_a_command_the_help_is_shown(cli: Cli) -> None:
    told = " ".join(cli().output.replace("│", " ").split())
    assert "orchestra run analyst" in told
    assert all(name in told for name in (*COMMANDS, "models", "tools"))


def test_the_help_and_the_docs_list_every_exit_code(cli: Cli) -> None:
    docs = DOCS.read_text(encoding="utf-8")
    assert CODES in " ".join(cli("--help").output.split())
    for code in Exit:
        assert f"| {code.value} | {code.means} |" in docs


def test_the_docs_name_every_command_and_every_option(cli: Cli) -> None:
    docs = DOCS.read_text(encoding="utf-8")
    for command in (*((name,) for name in COMMANDS), *GROUPED):
        assert f"orchestra {' '.join(command)}" in docs
        words = cli(*command, "--help").stdout.replace("│", " ").split()
        for option in {word.strip(".:,;") for word in words if word.startswith("--")} - {"--help"}:
            assert option in docs, (command, option)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FleetError("x"), Exit.usage),
        (AgentError("x"), Exit.usage),
        (NoCandidate("x"), Exit.limit),
        (BudgetExceeded("x"), Exit.limit),
        (DeadlineExceeded("x"), Exit.limit),
        (Exhausted("x", trigger=Trigger.empty), Exit.failed),
        (PlanError("x"), Exit.failed),
        (LedgerError("x"), Exit.failed),
        (OrchestraError("x"), Exit.failed),
    ],
)
def test_every_error_has_its_exit_code(error: OrchestraError, code: Exit) -> None:
    assert exit_code(error) is code


@pytest.mark.parametrize("command", ["route hello", "route hello --json", "models list", "runs"])
def test_a_reader_that_goes_away_ends_the_command_quietly(project: Path, command: str) -> None:
    Ledger(project / ".orchestra" / "ledger.db").close()
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        run = [sys.executable, "-m", "orchestra.cli", *command.split()]
        result = subprocess.run(run, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (Exit.broken_pipe, "")


def test_a_ctrl_c_while_the_command_itself_is_loaded_is_told_in_a_line() -> None:
    code = """
import sys
from orchestra.cli import main

class CtrlC:
    def find_spec(self, name, *_):
        if name == "orchestra.cli.commands":
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
main()
"""
    result = python(code)
    assert (result.returncode, result.stderr) == (Exit.interrupted, "error: interrupted\n")


@pytest.mark.parametrize("where", ["typer.main.get_command", "typer.core.TyperGroup.parse_args"])
def test_a_ctrl_c_before_a_command_has_begun_is_told_in_a_line(where: str) -> None:
    holder, _, name = where.rpartition(".")
    code = f"""
import signal, typer.core, typer.main
from orchestra.cli import main

{holder}.{name} = lambda *_: signal.raise_signal(signal.SIGINT)
main()
"""
    result = python(code)
    assert (result.returncode, result.stderr) == (Exit.interrupted, "error: interrupted\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
@pytest.mark.parametrize("command", ["route hello", "route hello --json", "models list", "runs"])
def test_an_output_that_is_full_is_told_in_a_line(project: Path, command: str) -> None:
    Ledger(project / ".orchestra" / "ledger.db").close()
    with Path("/dev/full").open("w") as full:
        run = [sys.executable, "-m", "orchestra.cli", *command.split()]
        result = subprocess.run(run, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    told = "error: the output cannot be written: No space left on device; make room, or write it elsewhere\n"
    assert (result.returncode, result.stderr) == (Exit.failed, told)


def test_an_error_of_the_system_that_is_not_of_the_output_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "fleet.toml")

    monkeypatch.setattr(options, "fleet_file", unreadable)
    with pytest.raises(PermissionError):
        commands()(["route", "hello"])


def test_a_reader_that_goes_away_is_handled_in_process(monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        with pytest.raises(SystemExit) as end:
            commands()(["models", "list"])
    assert end.value.code == Exit.broken_pipe


def test_a_terminal_that_cannot_show_a_letter_is_no_reason_to_end(project: Path) -> None:
    (project / "fleet.toml").write_text('[models."größe"]\nmodel = "x"\nbase_url = "http://h/v1"\ntier = "efficient"\n')
    shown = python(
        "import sys; sys.argv[1:] = ['route', 'x']; from orchestra.cli import main; main()", PYTHONIOENCODING="ascii"
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "gr??e" in shown.stdout
    code = "import sys; sys.argv[1:] = ['route', 'x', '--json']; from orchestra.cli import main; main()"
    assert "gr\\u00f6\\u00dfe" in python(code, PYTHONIOENCODING="ascii").stdout


def test_main_reads_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["orchestra", "route", "hello"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("model ")
