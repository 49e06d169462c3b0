"""Runs as they are written: events in the order in which the runtime and dispatch record them."""

from __future__ import annotations

from orchestra.ledger import (
    AttemptEnded,
    AttemptStarted,
    Decided,
    Event,
    Judged,
    Ledger,
    Planned,
    Row,
    RunEnded,
    RunStarted,
    StepEnded,
    StepStarted,
    ToolEnded,
    ToolStarted,
)
from orchestra.types import (
    Action,
    Candidate,
    Cost,
    Decision,
    ModelCard,
    Plan,
    Price,
    Reason,
    Rejection,
    Step,
    StepContext,
    Trigger,
    Usage,
)

Story = list[tuple[str, Event]]
FREE = Price(0.0, 0.0)


def card(name: str, tier: str = "efficient", price: Price | None = FREE, **facts: object) -> ModelCard:
    return ModelCard(name, f"{name}-1b", "local", "openai-chat", tier, price=price, **facts)


SMALL = card("small", speed=40.0, prompt_speed=400.0)
STRONG = card("strong", "capable", speed=16.0, prompt_speed=160.0)


def decision(model: str = "small", **more: object) -> Decision:
    candidates = (
        Candidate(SMALL, 0, 0.6, 0.0, 1.2, score=0.9, reasons=(Reason("mode", "balanced"),), sources={"cost": "card"}),
        Candidate(STRONG, 1, 0.8, 0.0, 3.4, score=0.7, rejected=Reason("step", "tier efficient is enough")),
    )
    values: dict[str, object] = {
        "ladder": ("strong",),
        "quality": 0.6,
        "cost": 0.0,
        "latency": 1.2,
        "reasons": (Reason("step", "the rule for kind 'act'"),),
        "rejections": (Rejection("cloud", "tags", "the data demands 'eu'"),),
        "candidates": candidates,
    }
    return Decision(model, "efficient", "balanced", **(values | more))


def decided(step: str, kind: str = "act", **more: object) -> Decided:
    context = StepContext(Step(step, f"goal of {step}", kind), text="what people wrote", tokens=120, draw=0.25)
    return Decided(context, decision(**more), "policies-1")


def attempt(name: str, model: str, *, usage: Usage | None, seconds: float, first: float | None = None) -> list[Event]:
    ended = AttemptEnded(
        name,
        model,
        f"{model}-wire",
        finish="stop",
        usage=usage,
        seconds=seconds,
        first_token=first,
        raw_sha256="ab" * 32,
        raw=f"raw of {name}",
    )
    return [AttemptStarted(name, model), ended]


def agent_story() -> Story:
    """A plan of two steps; `count` fails on small, climbs to strong, whose tool fails once; `tell` is done by small."""
    plan = Plan("how many rows?", (Step("count", "count rows"), Step("tell", "tell it", "answer", needs=("count",))))
    bad = Judged(
        "a2",
        "small",
        Trigger.schema_violation,
        ("sqlite_query.sql: expected string, got 3",),
        action=Action.escalate,
        to_model="strong",
        reason="feedback was given before",
        feedback="Write sql as a string.",
    )
    tool_bad = Judged("a3", "strong", Trigger.tool_error, ("no such table: t",), action=Action.repair, reason="tell it")
    count: list[Event] = [
        StepStarted("count rows", "act"),
        decided("count"),
        *attempt("a2", "small", usage=Usage(100, 10), seconds=1.0, first=0.5),
        bad,
        *attempt("a3", "strong", usage=Usage(200, 20), seconds=4.0, first=2.0),
        Judged("a3", "strong"),
        ToolStarted("call_0", "sqlite_query", 0, True, True, {"sql": "select 1 from t"}),
        ToolEnded("call_0", "sqlite_query", Trigger.tool_error, 0.01, 16, "no such table: t"),
        tool_bad,
        *attempt("a4", "strong", usage=Usage(240, 20), seconds=4.0, first=2.0),
        Judged("a4", "strong", mended=("a trailing comma",)),
        ToolStarted("call_0", "sqlite_query", 1, True, True, {"sql": "select count(*) from penguins"}),
        ToolEnded("call_0", "sqlite_query", None, 0.02, 3, "344"),
        StepEnded("done", "strong", 3, result="344 rows"),
    ]
    tell: list[Event] = [
        StepStarted("tell it", "answer", ("count",)),
        decided("tell", "answer"),
        *attempt("a5", "small", usage=Usage(50, 12), seconds=0.8, first=0.2),
        Judged("a5", "small"),
        StepEnded("done", "small", 1, result="There are 344 rows."),
    ]
    planning: list[Event] = [
        StepStarted("make a plan", "plan"),
        decided("plan", "plan", model="strong", ladder=()),
        *attempt("a1", "strong", usage=Usage(300, 60), seconds=6.0, first=2.0),
        Judged("a1", "strong"),
        Planned(plan, 1, ("step 'x' needs 'y', which is no step",)),
        StepEnded("done", "strong", 1),
    ]
    return [
        ("", RunStarted("analyst", "how many rows?", "fleet-1", "balanced")),
        *(("plan", event) for event in planning),
        *(("count", event) for event in count),
        *(("tell", event) for event in tell),
        ("", RunEnded("done", 17.5, answer="There are 344 rows.")),
    ]


def call_story(*, usd: float | None = 0.0, metered: bool = True) -> Story:
    """One `complete` call outside a run: a run of its own."""
    usage, cost = Usage(80, 8) if metered else None, Cost(usd)
    ended = AttemptEnded("b1", "small", usage=usage, cost=cost, seconds=0.9, first_token=0.1)
    return [
        ("", RunStarted("complete", "Summarise …", "fleet-1")),
        ("summarise", decided("summarise")),
        ("summarise", AttemptStarted("b1", "small")),
        ("summarise", ended),
        ("summarise", Judged("b1", "small")),
        ("", RunEnded("done", 0.9)),
    ]


def write(ledger: Ledger, run: str, story: Story) -> list[Row]:
    """Append the story's events; the rows as a listener hears them."""
    heard: list[Row] = []
    stop = ledger.subscribe(run, heard.append)
    for step, event in story:
        ledger.append(run, step, event)
    stop()
    return heard
