"""`orchestra route`: which model would serve a step, and why, without calling any."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, cast

import typer

from orchestra.cli.options import AsJson, Budget, Deadline, Fleet, ModeChoice, read_fleet
from orchestra.cli.screen import print_json, say
from orchestra.types import Decision, Json, Message, Priority, Step, StepContext, to_json

EXAMPLE = 'orchestra route "Sum up this contract" --kind act --tools rows --data-tags pii --explain'


def route(
    text: Annotated[str, typer.Argument(help="What the step is asked, as its model would read it.")],
    *,
    fleet: Fleet = None,
    kind: Annotated[str, typer.Option(help="The step's kind: plan, act, answer, or a word of yours.")] = "act",
    name: Annotated[str, typer.Option(help="The step's name.")] = "",
    tools: Annotated[str, typer.Option(metavar="A,B", help="Tools the step may call.")] = "",
    tags: Annotated[str, typer.Option(metavar="A,B", help="The step's tags.")] = "",
    metadata: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of the step; repeatable.")] = None,
    priority: Annotated[Priority, typer.Option(help="How urgent it is.")] = "normal",
    mode: ModeChoice = None,
    tokens: Annotated[int | None, typer.Option(min=0, help="Tokens in context. Default: estimated.")] = None,
    data_tags: Annotated[str, typer.Option(metavar="A,B", help="What the data demands, such as eu or hipaa.")] = "",
    deadline: Deadline = None,
    budget: Budget = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show every candidate with its numbers.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show which model would serve a step. No model is called."""
    from orchestra.routing import decide, default_policies, features
    from orchestra.routing import explain as explained

    facts = dict(_pairs(metadata or ()))
    step = Step("route", text, kind, name, tools=_names(tools), tags=_names(tags), metadata=facts)
    seen = features([Message.user(text)])
    seen["tools"] = step.tools
    if tokens is not None:
        seen["tokens"] = tokens
    context = StepContext(
        step,
        **seen,
        priority=priority,
        mode=mode,
        data_tags=_names(data_tags),
        deadline=deadline,
        money_left=budget,
    )
    models = read_fleet(fleet)
    decision = decide(models, default_policies(models), context)
    if as_json:
        print_json(to_json(decision))
    else:
        say(explained(decision, context) if explain else "\n".join(_lines(decision)))


def _lines(decision: Decision) -> list[str]:
    from orchestra.ledger.wording import money, seconds

    rows = (
        ("model", f"{decision.model} ({decision.tier}, mode {decision.mode})"),
        ("expected", f"quality {decision.quality:.2f}, {money(decision.cost)}, {seconds(decision.latency)}"),
        ("then up", ", ".join(decision.ladder)),
        ("or sideways", ", ".join(decision.siblings)),
        *(("because", f"{reason.policy}: {reason.text}") for reason in decision.reasons),
        *(("not", f"{one.model}: {one.gate}: {one.text}") for one in decision.rejections),
    )
    return [f"{name:<12}{text}" for name, text in rows if text]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _pairs(items: Iterable[str]) -> Iterator[tuple[str, Json]]:
    for item in items:
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{item!r} is not KEY=VALUE", param_hint="--metadata")
        try:
            yield key, cast("Json", json.loads(value))
        except ValueError:  # a bare word is text; numbers, true and false are what fleet.toml means by them
            yield key, value
