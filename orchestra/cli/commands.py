"""The command tree: one file per command, and one place where every error becomes a line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from orchestra.cli import doctor, models, new, plan, route, run, runs, tools, trace
from orchestra.cli.exits import Exit, exit_code
from orchestra.cli.screen import print_error
from orchestra.errors import ConfigError, OrchestraError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CODES = "Exit codes: " + ", ".join(f"{code.value} {code.means}" for code in Exit) + "."


def commands() -> typer.Typer:
    """The whole `orchestra` command."""
    app = typer.Typer(
        cls=_Commands,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # its traceback shows local variables, and keys among them
        help="Planner-executor agents; every step routed to the model that fits it, every failed tool call caught.",
        epilog=f'Try: orchestra run analyst "Which product sold best?" --data sales.csv   {CODES}',
    )
    app.callback()(_orchestra)
    for command in (run, plan, route, runs, trace, new, doctor):
        name = command.__name__.rpartition(".")[2]
        app.command(name, epilog=f"Example: {command.EXAMPLE}")(getattr(command, name))
    app.add_typer(models.commands(), name="models")
    app.add_typer(tools.commands(), name="tools")
    return app


def _version(asked: bool) -> None:  # noqa: FBT001  # as typer calls it
    if asked:
        typer.echo(f"orchestra {doctor.release()}")
        raise typer.Exit


def _orchestra(
    *,
    version: Annotated[  # its callback has answered
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """What stands before any command."""


class _Commands(TyperGroup):
    def make_context(self, *args: Any, **more: Any) -> Any:
        try:
            return super().make_context(*args, **more)
        except KeyboardInterrupt as stop:  # typer would end with the same code, and say nothing
            print_error("interrupted")
            raise typer.Exit(Exit.interrupted) from stop

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except OrchestraError as error:
            print_error(str(error), _hint(error))
            raise typer.Exit(exit_code(error)) from error
        except KeyboardInterrupt as stop:
            print_error("interrupted", str(stop))
            raise typer.Exit(Exit.interrupted) from stop
        except BrokenPipeError as cut:
            _drop_output()
            raise typer.Exit(Exit.broken_pipe) from cut
        except OSError as full:
            if full.errno not in FULL:
                raise
            _drop_output()
            print_error(f"the output cannot be written: {full.strerror}; make room, or write it elsewhere")
            raise typer.Exit(Exit.failed) from full
        return result


def _drop_output() -> None:
    """What is still buffered goes nowhere; without this the interpreter complains of it at its end."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _hint(error: OrchestraError) -> str:
    return "" if isinstance(error, ConfigError) else "orchestra doctor checks the setup; orchestra trace shows a run"
