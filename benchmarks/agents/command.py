"""The benchmark's command line: what is asked for, checked before any model is loaded."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.agents.asking import OpenApp, ask, open_app
from benchmarks.agents.configurations import NAMES, configurations
from benchmarks.agents.plot import svg
from benchmarks.agents.questions import read_questions
from benchmarks.agents.report import report
from benchmarks.agents.results import Results
from benchmarks.agents.shop import write_shop
from benchmarks.agents.summary import summarise
from orchestra.errors import ConfigError, FleetError, OrchestraError
from orchestra.fleet import Fleet
from orchestra.ledger import new_run_id

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FLEET = ROOT / "examples" / "fleet.toml"


def main(argv: Sequence[str], open_app: OpenApp = open_app) -> int:
    """Run the benchmark: 0 done, 1 a run broke, 2 what was given cannot be used, 130 interrupted."""
    given = _parser().parse_args(argv)
    out = given.out or Path(".orchestra") / f"analyst-{new_run_id()}.jsonl"
    try:
        with tempfile.TemporaryDirectory(prefix="orchestra-bench-") as folder:
            _run(given, out, Path(folder), open_app)
    except OrchestraError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        print(f"interrupted; the same command with --out {out} --resume goes on", file=sys.stderr)
        return 130
    return 0


def _run(given: argparse.Namespace, out: Path, folder: Path, open_app: OpenApp) -> None:
    fleets = configurations(_fleet(given.fleet), given.configurations)
    questions = read_questions(given.questions, _locator(given.data, folder))[: given.limit]
    results = Results(out, resume=given.resume)
    try:
        results.check(
            {one.id: one.digest for one in questions}, {name: one.fingerprint for name, one in fleets.items()}
        )
        print(f"{len(questions)} questions, {', '.join(fleets)}: results go to {out}", file=sys.stderr)
        asyncio.run(ask(questions, fleets, results, repeat=given.repeat, open_app=open_app))
    finally:
        results.close()
    summary = summarise(questions, [one for one in results.found.values() if one.configuration in fleets])
    if given.plot:
        _write(given.plot, svg(summary))
    print(json.dumps(summary, indent=2) if given.json else report(summary))


def _fleet(path: Path) -> Fleet:
    try:
        return Fleet.from_toml(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise FleetError(f"{path}: cannot be read: {error}; give the path of a fleet.toml") from error


def _locator(data: Path | None, folder: Path) -> Callable[[str], Path]:
    """Which file a question is about: --data for all of them, else the set that its line names."""

    def locate(name: str) -> Path:
        if data is not None:
            return data
        if name == "penguins":
            return ROOT / "examples" / "data" / "penguins.csv"
        if name == "shop":
            shop = folder / "shop.sqlite"
            return shop if shop.exists() else write_shop(shop)
        said = f"its data {name!r} is neither penguins nor shop" if name else "it does not say what data it is about"
        raise ConfigError(f"{said}; give --data FILE")

    return locate


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}; give another --plot FILE") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="analyst.py", description="Asks the analyst questions whose exact answers SQL knows (docs/benchmarks.md)."
    )
    add = parser.add_argument
    add("--questions", type=Path, metavar="FILE", default=HERE / "questions.jsonl", help='lines {"question", "sql"}')
    add("--data", type=Path, metavar="FILE", help="the CSV or SQLite file that all the questions are about")
    add("--fleet", type=Path, metavar="FILE", default=FLEET, help="a fleet.toml. Default: the embedded models")
    add("--configurations", type=_names, metavar="NAMES", default=NAMES, help=f"some of {','.join(NAMES)}")
    add("--limit", type=_count, metavar="N", help="ask only the first N questions")
    add("--repeat", type=_count, metavar="R", default=1, help="ask everything R times")
    add("--out", type=_results, metavar="FILE", help="the results, a .jsonl. Default: a new one in .orchestra")
    add("--resume", action="store_true", help="go on with the results that --out holds")
    add("--json", action="store_true", help="print one JSON object")
    add("--plot", type=Path, metavar="FILE", help="draw accuracy against seconds into this SVG file")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _results(text: str) -> Path:
    if not text.endswith(".jsonl"):  # the ledger lies beside it under the same name
        raise argparse.ArgumentTypeError(f"a file that ends in .jsonl is expected, got {text!r}")
    return Path(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"a whole number above 0 is expected, got {text!r}")
    return int(text)
