"""`orchestra tools`: what becomes of tools in each provider's dialect."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.text import Text

from orchestra.cli.exits import Exit
from orchestra.cli.options import AsJson
from orchestra.cli.screen import one_line, print_json, print_table, safe, say, stderr
from orchestra.errors import ConfigError
from orchestra.types import Json, ToolSpec

if TYPE_CHECKING:
    from orchestra.cli.tool_check import Checked, Tally
    from orchestra.dialects import CompiledTool

ALL = "all"
COUNTS = ("compiled", "strict", "renamed", "raised", "narrowed", "widened", "roundtrip", "ambiguous")
FAULTS = frozenset({"raised", "narrowed", "widened", "roundtrip"})
EVERY = 100

Fault: TypeAlias = tuple[str, ToolSpec, str]
Dialect: TypeAlias = Annotated[str, typer.Option(metavar="A,B", help="Dialects, by comma; `all` for every one.")]
ToolsFile: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", help="Lines of JSON with name, schema and description; may be gzipped.")
]


def commands() -> typer.Typer:
    """The command group `orchestra tools`."""
    app = typer.Typer(help="See what becomes of tools in each provider's dialect.", no_args_is_help=True)
    app.command("check", epilog="Example: orchestra tools check tools.jsonl --sample 100")(check)
    app.command("show", epilog="Example: orchestra tools show calculator --dialect gemini")(show)
    return app


def check(
    file: ToolsFile,
    *,
    dialect: Dialect = ALL,
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="So many of them, by chance.")] = None,
    seed: Annotated[int, typer.Option(help="What the sample and the arguments are drawn from.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Compile every tool of a file, and judge the result by arguments made of its schema.

    Ends with 1 on any loss, and where a schema is not valid.
    """
    from orchestra.cli.tool_check import check as checked
    from orchestra.cli.tool_files import read_tools
    from orchestra.cli.tool_instances import ready

    wanted, tools = _dialects(dialect), list(read_tools(file).items())
    ready()
    if sample is not None and sample < len(tools):
        tools = random.Random(seed).sample(tools, sample)  # noqa: S311  # which are looked at is no secret
    done = checked([tool for _, tool in tools], wanted, seed, _Progress(len(tools)).step)
    faults = [(*tools[number], fault) for number, fault in done.faulty]
    if as_json:
        print_json(_json(done, faults, seed))
    else:
        _print(done, faults, seed)
    if done.failed:
        raise typer.Exit(Exit.failed)


def show(
    name: Annotated[str, typer.Argument(help="A tool file's name, or FILE:TOOL; with --file, a tool's.")],
    *,
    dialect: Dialect = ALL,
    file: Annotated[Path | None, typer.Option(help="A file as for `tools check`.")] = None,
    data: Annotated[Path | None, typer.Option(help="What the tool is made for, such as a table or a folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show how a tool is declared in a dialect: its name there, what is lost, and whether its schema is enforced."""
    from orchestra.cli.tool_files import find_tool, read_tools
    from orchestra.dialects import compile_tool

    wanted = _dialects(dialect)
    tool = find_tool(name, data) if file is None else _named(name, read_tools(file).values(), file)
    compiled = {each: compile_tool(tool, each) for each in wanted}
    if as_json:
        print_json({"tool": tool.name, "dialects": {each: _shown(one) for each, one in compiled.items()}})
        return
    for each, one in compiled.items():
        _print_tool(tool.name, each, one)


def _dialects(wanted: str) -> Sequence[str]:
    from orchestra.dialects import CODECS, codec

    return list(CODECS) if wanted == ALL else [codec(name.strip()).dialect for name in wanted.split(",")]


def _named(name: str, tools: Iterable[ToolSpec], file: Path) -> ToolSpec:
    from difflib import get_close_matches

    known = {tool.name: tool for tool in tools}
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{file} has no tool {name!r} among its {len(known)}{hint}")
    return known[name]


class _Progress:
    """A dim line on stderr now and then: thousands of tools take minutes."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0

    def step(self) -> None:
        self._done += 1
        if self._done % EVERY == 0 and self._done < self._total:
            stderr().print(f"{self._done:,} of {self._total:,}", style="dim")


def _json(done: Checked, faults: Iterable[Fault], seed: int) -> Json:
    return {
        "tools": done.tools,
        "seed": seed,
        "instances": {"valid": done.valid, "invented": done.invented, "invalid": done.invalid},
        "faulty": [{"at": at, "tool": tool.name, "fault": fault} for at, tool, fault in faults],
        "unchecked": [{"tool": tool, "why": why} for tool, why in done.unchecked],
        "dialects": {
            dialect: {**{name: getattr(tally, name) for name in COUNTS}, "examples": list(tally.examples)}
            for dialect, tally in done.dialects.items()
        },
    }


def _print(done: Checked, faults: Iterable[Fault], seed: int) -> None:
    rows = [(dialect, *(_cell(tally, name) for name in COUNTS)) for dialect, tally in done.dialects.items()]
    print_table(("dialect", *COUNTS), rows)
    say(
        f"{done.tools:,} tools; {done.valid:,} valid arguments, {done.invented:,} with something invented, "
        f"{done.invalid:,} invalid; seed {seed}"
    )
    for at, tool, fault in faults:
        say(f"{at}: tool {tool.name!r}: its schema is not valid {one_line(fault)}")
    if done.unchecked:
        say(f"{len(done.unchecked)} tools were compiled and not checked:")
    for tool, why in done.unchecked:
        say(f"  {tool}: {one_line(why)}")
    for dialect, tally in done.dialects.items():
        for example in tally.examples:
            facts = ", ".join(f"{key}: {_line(value)}" for key, value in example.items() if key not in ("tool", "kind"))
            say(f"{dialect}: {example['tool']}: {example['kind']}: {one_line(facts)}")


def _cell(tally: Tally, name: str) -> Text:
    value = getattr(tally, name)
    return Text(f"{value:,}", "bold red" if value and name in FAULTS else "", justify="right")


def _shown(compiled: CompiledTool) -> Json:
    return {
        "name": compiled.name,
        "strict": compiled.strict,
        "lenient": list(compiled.lenient),
        "losses": list(compiled.losses),
        "declaration": compiled.declaration,
    }


def _print_tool(name: str, dialect: str, compiled: CompiledTool) -> None:
    import json

    renamed = f"{name} → {compiled.name}" if compiled.name != name else name
    strict = "yes" if compiled.strict else f"no: {'; '.join(compiled.lenient)}"
    facts = (("dialect", dialect), ("name", renamed), ("strict", strict), *(("lost", loss) for loss in compiled.losses))
    for key, text in facts:
        say(f"{key:<8}{one_line(text)}")
    say(safe(json.dumps(compiled.declaration, ensure_ascii=False, indent=2)) + "\n")


def _line(value: Json) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
