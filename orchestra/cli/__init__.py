"""cli: the same flow from a terminal: plan, run and route a task, then read what the ledger kept."""


def main() -> None:
    """The `orchestra` command. Ends with one of the exit codes that `orchestra --help` lists."""
    from orchestra.cli.commands import commands

    commands()(prog_name="orchestra")
