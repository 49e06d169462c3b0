"""cli: the same flow from a terminal: plan, run and route a task, then read what the ledger kept."""


def main() -> None:
    """The `orchestra` command. Ends with one of the exit codes that `orchestra --help` lists."""
    import sys
    from io import TextIOWrapper

    try:
        from orchestra.cli.commands import commands

        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal that cannot show a letter is no reason to end
        commands()(prog_name="orchestra")
    except KeyboardInterrupt:  # half a second of imports and more, before there is a command that could tell it
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)
