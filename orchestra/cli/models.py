"""`orchestra models`: the weights of embedded models on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from orchestra.cli.options import AsJson
from orchestra.cli.screen import print_json, print_table, say, stderr

if TYPE_CHECKING:
    from orchestra.local import StoredWeights, Weights

Names: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="Names or hashes of weights. Default: all that are known."),
]
Name: TypeAlias = Annotated[str, typer.Argument(help="A name or hash; `orchestra models list` shows them.")]


def commands() -> typer.Typer:
    """The command group `orchestra models`."""
    app = typer.Typer(help="Pull, list, verify or remove the weights of embedded models.", no_args_is_help=True)
    app.command("pull", epilog="Example: orchestra models pull qwen2.5-coder-0.5b-instruct")(pull)
    app.command("list", epilog="Example: orchestra models list --json")(list_)
    app.command("verify", epilog="Example: orchestra models verify")(verify)
    app.command("remove", epilog="Example: orchestra models remove qwen2.5-coder-0.5b-instruct")(remove)
    return app


def pull(names: Names = None) -> None:
    """Download weights and verify them; go on where an earlier pull stopped."""
    from orchestra.local import WeightStore, showing

    for weights in _wanted(names):
        with showing(weights.name) as progress:
            path = WeightStore().pull(weights, progress)
        say(f"{weights.name}: verified, {path}")


def list_(*, as_json: AsJson = False) -> None:
    """List what is here, and what could be pulled."""
    from orchestra.local import EMBEDDED, WeightStore

    store = WeightStore()
    here = store.list()
    absent = [weights for weights in EMBEDDED.values() if weights.sha256 not in {one.sha256 for one in here}]
    if as_json:
        names = [one.name for one in absent]
        print_json({"root": str(store.root), "here": [_json(one) for one in here], "absent": names})
        return
    states = {True: "complete", False: "unfinished"}
    rows = [(one.name or "unknown", states[one.complete], one.size, one.sha256, str(one.path)) for one in here]
    rows += [(one.name, "not pulled", one.size, one.sha256, "") for one in absent]
    cells = [(name, state, _size(size), sha256[:12], path) for name, state, size, sha256, path in rows]
    print_table(("name", "state", "size", "sha256", "path"), cells)


def verify(names: Names = None) -> None:
    """Hash weights again; a wrong file is deleted."""
    from orchestra.local import WeightStore

    for weights in _wanted(names):
        stderr().print(f"hashing {weights.name}", style="dim")
        say(f"{weights.name}: verified, {WeightStore().verify(weights)}")


def remove(name: Name) -> None:
    """Delete weights from this machine."""
    from orchestra.local import WeightStore, find_weights

    weights = find_weights(name)
    say(f"{weights.name}: removed, {_size(WeightStore().remove(weights))} freed")


def _wanted(names: list[str] | None) -> list[Weights]:
    from orchestra.local import EMBEDDED, find_weights

    return [find_weights(name) for name in names] if names else list(EMBEDDED.values())


def _json(one: StoredWeights) -> dict[str, str | int | bool | None]:
    return {"name": one.name, "sha256": one.sha256, "size": one.size, "complete": one.complete, "path": str(one.path)}


def _size(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
