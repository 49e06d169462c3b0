"""`orchestra doctor`: what stands in the way of a run on this machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

import typer
from rich.text import Text

from orchestra.cli.exits import Exit
from orchestra.cli.options import AsJson, Fleet, LedgerFile, fleet_file, ledger_file, read_fleet
from orchestra.cli.screen import print_json, print_table, safe
from orchestra.errors import ConfigError, OrchestraError
from orchestra.types import ModelCard, to_json

EXAMPLE = "orchestra doctor --fleet fleet.toml"
OLDEST = (3, 11)
PACKAGES = (
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "langchain-core",
    "pydantic",
    "httpx",
    "mcp",
    "jsonschema",
    "structlog",
)

State: TypeAlias = Literal["ok", "missing", "wrong", "optional"]
STYLES = {"ok": "green", "missing": "bold red", "wrong": "bold red", "optional": "yellow"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `missing` and `wrong` stand in the way of a run, `optional` does not."""

    what: str
    state: State
    text: str


def doctor(
    *,
    fleet: Fleet = None,
    ledger: LedgerFile = None,
    as_json: AsJson = False,
) -> None:
    """Check Python, packages, fleet, keys, weights and ledger. Keys are never shown."""
    found = tuple(examine(fleet, ledger_file(ledger)))
    well = all(one.state in ("ok", "optional") for one in found)
    if as_json:
        print_json({"ok": well, "findings": [to_json(one) for one in found]})
    else:
        rows = [(Text(one.state, STYLES[one.state]), one.what, safe(one.text)) for one in found]
        print_table(("state", "what", "found"), rows)
    if not well:
        raise typer.Exit(Exit.failed)


def examine(fleet: Path | None, ledger: Path) -> Iterator[Finding]:
    """Everything a run needs, in the order in which it needs it; `fleet` as on the command line."""
    yield Finding("orchestra", "ok", release())
    yield _finding("python", sys.version_info >= OLDEST, platform.python_version(), "orchestra needs 3.11 or newer")
    yield from map(_package, PACKAGES)
    yield from _models(fleet)
    yield _extra("aiohttp", "fast", needed=False)
    yield _ledger(ledger)


def release() -> str:
    """The version that is installed."""
    try:
        return version("orchestra-agents")
    except PackageNotFoundError:  # a checkout on the path is enough to run
        return "unknown: not installed, imported from a folder"


def _finding(what: str, well: bool, text: str, way_out: str) -> Finding:  # noqa: FBT001  # what was found, not a mode
    return Finding(what, "ok", text) if well else Finding(what, "missing", f"{text}; {way_out}")


def _package(name: str) -> Finding:
    try:
        return Finding(f"package {name}", "ok", version(name))
    except PackageNotFoundError:
        return Finding(f"package {name}", "missing", f"not installed; pip install {name}")


def _extra(package: str, extra: str, *, needed: bool) -> Finding:
    there = find_spec(package) is not None
    if there:
        return Finding(f"extra {extra}", "ok", f"{package} is importable")
    text = f"{package} is not installed; pip install 'orchestra-agents[{extra}]'"
    return Finding(f"extra {extra}", "missing" if needed else "optional", text)


def _models(fleet: Path | None) -> Iterator[Finding]:
    try:
        models = read_fleet(fleet)
    except OrchestraError as error:
        path = fleet_file(fleet)
        yield Finding("fleet", "wrong" if path and path.exists() else "missing", str(error))
        return
    cards = models.models.values()
    yield Finding("fleet", "ok", f"{fleet_file(fleet) or 'embedded'}: {', '.join(models.models)}")
    yield _extra("xllamacpp", "local", needed=any(card.provider == "local" for card in cards))
    yield _extra("botocore", "bedrock", needed=any(map(_signs, cards)))
    yield from (_address(card) for card in cards if card.provider != "local")
    yield from (_key(card) for card in cards if card.keys)
    yield from (_weights(card.name, card.weights) for card in cards if card.weights)


def _address(card: ModelCard) -> Finding:
    from orchestra.dispatch.target import served
    from orchestra.runtime.endpoints import base_url

    try:
        there = dict.fromkeys(base_url(one) for one in served(card).values())
        return Finding(f"address of {card.name}", "ok", ", ".join(there))
    except ConfigError as error:
        return Finding(f"address of {card.name}", "missing", str(error))


def _signs(card: ModelCard) -> bool:
    """Whether requests are signed because an API key, which Bedrock takes instead, is not set."""
    usual = not card.keys or card.sources.get("keys") == "built-in"
    return card.dialect == "bedrock-converse" and usual and not _set(card)


def _set(card: ModelCard) -> list[str]:
    return [name for key in card.keys if os.environ.get(name := key.removeprefix("env:"))]


def _key(card: ModelCard) -> Finding:
    names = [key.removeprefix("env:") for key in card.keys]
    if _signs(card):
        text = f"{' or '.join(names)} not set; requests are signed with AWS credentials"
        return Finding(f"key of {card.name}", "optional", text)
    there = _set(card)
    unset = [name for name in names if name not in there]
    text = f"{', '.join(there)} set" if there else "not set"
    if there and unset:
        text += f"; {', '.join(unset)} not set: nothing is sent with it"
    return _finding(f"key of {card.name}", bool(there), text, f"set {' or '.join(names)}")


def _weights(name: str, weights: str) -> Finding:
    from orchestra.local import WeightStore

    what = f"weights of {name}"
    if Path(weights).suffix == ".gguf":
        own = Path(weights).expanduser()
        return _finding(what, own.is_file(), str(own), "there is no such file; mend `weights` in the fleet")
    path = WeightStore().path(weights)
    text = "not here" if path is None else f"verified when they were pulled: {path}"
    return _finding(what, path is not None, text, "orchestra models pull")


def _ledger(path: Path) -> Finding:
    from orchestra.ledger import Ledger

    if not path.exists():  # looking must not leave a file behind
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        well = folder.is_dir() and os.access(folder, os.W_OK)
        return _finding("ledger", well, f"{path} will be made in {folder}", "it cannot be written; use --ledger")
    try:
        Ledger(path).close()
    except OrchestraError as error:
        return Finding("ledger", "missing", str(error))
    return Finding("ledger", "ok", str(path))
