"""Options that several commands share, and the app they open."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from orchestra.errors import FleetError, LedgerError
from orchestra.types import Mode

if TYPE_CHECKING:
    from orchestra import fleet as fleets
    from orchestra.app import Orchestra
    from orchestra.ledger import Ledger

DEFAULT_FLEET = Path("fleet.toml")
DEFAULT_LEDGER = Path(".orchestra") / "ledger.db"

AgentName: TypeAlias = Annotated[str, typer.Argument(help="An agent's name, or the path of an agent file.")]
Task: TypeAlias = Annotated[str, typer.Argument(help="What is to be done, in words.")]
Data: TypeAlias = Annotated[Path | None, typer.Option(help="A file the agent works on, such as a table.")]
Fleet: TypeAlias = Annotated[
    Path | None, typer.Option(help="Fleet file. Default: ./fleet.toml if there is one, else the embedded models.")
]
LedgerFile: TypeAlias = Annotated[
    Path | None, typer.Option("--ledger", help="Ledger file. Default: $ORCHESTRA_LEDGER, else .orchestra/ledger.db.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
ModeChoice: TypeAlias = Annotated[Mode | None, typer.Option(help="What counts most when models are weighed.")]
Budget: TypeAlias = Annotated[float | None, typer.Option(min=0, metavar="USD", help="Spend at most this.")]
Deadline: TypeAlias = Annotated[float | None, typer.Option(min=0, metavar="SECONDS", help="Take at most this long.")]


def open_app(fleet: Path | None, ledger: Path | None, **options: Any) -> Orchestra:
    """The app on the named fleet, on ./fleet.toml, or on the embedded models. Raises FleetError, LedgerError."""
    from orchestra.app import Orchestra

    options["ledger"] = ledger
    file = fleet_file(fleet)
    return Orchestra.from_file(file, **options) if file else Orchestra.embedded(**options)


def read_fleet(fleet: Path | None) -> fleets.Fleet:
    """The named fleet, ./fleet.toml, or the embedded models. Raises FleetError."""
    from orchestra.fleet import Fleet

    file = fleet_file(fleet)
    if file is None:
        return Fleet.embedded()
    try:
        return Fleet.from_toml(file.read_text(encoding="utf-8"), source=str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise FleetError(f"{file}: cannot be read: {error}; give the path of a fleet.toml") from error


def open_ledger(ledger: Path | None) -> Ledger:
    """The ledger for reading. Raises LedgerError where there is none yet."""
    from orchestra.ledger import Ledger

    path = ledger_file(ledger)
    if not path.exists():
        raise LedgerError(f"no ledger at {path}; run an agent first, or name another with --ledger or ORCHESTRA_LEDGER")
    return Ledger(path)


def fleet_file(fleet: Path | None) -> Path | None:
    """The fleet file a command works on; None stands for the embedded models."""
    return fleet or (DEFAULT_FLEET if DEFAULT_FLEET.exists() else None)


def ledger_file(ledger: Path | None) -> Path:
    """The ledger file a command works on."""
    return ledger or Path(os.environ.get("ORCHESTRA_LEDGER") or DEFAULT_LEDGER)
