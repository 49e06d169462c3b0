"""The turns of an agent whose loop somebody else runs: one run, whose place, money and answers its state carries."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from orchestra import BudgetExceeded, NoCandidate, Orchestra, RecoveryPolicy, StepPolicy
from orchestra.errors import ConfigError, Exhausted
from orchestra.ledger import attempts, questions, steps, tools
from orchestra.runtime.options import as_step
from orchestra.runtime.turns import Carried, Turns
from orchestra.testing import Say, ScriptedModel, scripted_app
from orchestra.types import (
    Action,
    Message,
    Price,
    Step,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Trigger,
    Verdict,
    from_json,
    to_json,
)

GOOD = Verdict()
FAILED = Verdict(Trigger.tool_error, ("no such table",))
ROWS = ToolSpec("rows", "Rows.", {"type": "object"}, read_only=True)
CENT = Price(1.0, 10.0)
DEAR = Say("ok", usage=(1000, 900))  # one cent


class State(TypedDict, total=False):
    carried: dict[str, Any]
    failed: bool
    said: str


def app_of(small: Any = "ok", strong: Any = "ok", price: Any = None, **options: Any) -> Orchestra:
    facts = {"price": price or Price(0, 0)}
    models = ScriptedModel("small", small, **facts), ScriptedModel("strong", strong, tier="capable", **facts)
    return scripted_app(*models, **({"policies": [StepPolicy([{"tier": "efficient"}])]} | options))


def turns_of(app: Orchestra, step: str | Step = "look", at_cap: Any = "fail", **options: Any) -> Turns:
    return Turns(app.engine, "agent", as_step(step), options, at_cap)


def always(body: dict[str, Any]) -> str:
    return "ok"


async def turn(app: Orchestra, turns: Turns, carried: Carried, failed: Verdict = GOOD) -> tuple[str, Carried]:
    """One turn with one call: who served it, and what is carried on."""
    one = turns.open(carried, failed, asks=False)
    with one.tried():
        reply = await app.complete("go")
    assert one.after is not None
    return reply.model, one.after


async def test_turns_are_one_run_of_one_step_with_the_tools_that_were_called_between_them(tmp_path):
    async with app_of(["a", "b"], ledger=tmp_path / "l.db") as app:
        turns = turns_of(app)
        _, carried = await turn(app, turns, turns.begin("What is it?"))
        call = ToolCall("c1", "rows", {"sql": "x"})
        turns.tool_started(carried, call, ROWS)
        turns.tool_ended(carried, call, None, 0.1, "42")
        _, carried = await turn(app, turns, carried)
        turns.end(carried, "b")
        rows = app.ledger.events(carried.run)
        (summary,) = app.ledger.runs()
    (step,) = steps(rows)
    assert (summary.agent, summary.state, step.id, step.state, step.turns) == ("agent", "done", "look", "done", 2)
    assert [one.turn for one in attempts(rows)] == [0, 1]
    assert [(one.tool, one.state, one.turn, one.read_only, one.size) for one in tools(rows)] == [
        ("rows", "done", 0, True, 2)
    ]


async def test_a_failed_tool_moves_the_next_turn_alone_and_what_is_carried_is_plain_json(tmp_path):
    async with app_of(always, always, ledger=tmp_path / "l.db") as app:
        turns, served = turns_of(app), []
        carried = turns.begin("go")
        for failed in (Verdict(), FAILED, FAILED, Verdict(), FAILED):
            model, carried = await turn(app, turns, carried, failed)
            served.append(model)
            carried = from_json(Carried, to_json(carried))
        rows = app.ledger.events(carried.run)
    assert served == ["small", "small", "strong", "small", "small"]
    later = [(one.model, verdict.action) for one in attempts(rows) for verdict in one.later]
    assert later == [("small", Action.repair), ("small", Action.escalate), ("small", Action.repair)]


@pytest.mark.parametrize(("failures", "seen"), [(1, 3), (2, 1)])
async def test_a_stronger_model_is_not_shown_what_failed_without_effect_and_the_same_one_is(failures, seen):
    """The small model is told of the first failure; with the second the strong one starts where nothing had failed."""
    call = ToolCall("c1", "rows", {}, "{}")
    result = ToolResult("c1", "rows", (Text("no such table"),), is_error=True)
    messages = [Message.user("go"), Message("assistant", (call,)), Message("tool", (result,))]
    heard: list[dict[str, Any]] = []

    def hear(body: dict[str, Any]) -> str:
        heard.append(body)
        return "ok"

    async with app_of(hear, hear) as app:
        turns = turns_of(app)
        carried = turns.begin("go")
        for _ in range(failures + 1):
            one = turns.open(carried, FAILED if heard else GOOD, asks=False, unsound=frozenset({"c1"}))
            with one.tried():
                await app.complete(messages)
            assert one.after is not None
            carried = one.after
    assert len(heard[-1]["messages"]) == seen


async def test_where_the_ladder_ends_the_turn_fails_and_goes_on_when_it_is_tried_again(tmp_path):
    policy = RecoveryPolicy(overrides={"tool_error": "fail"})
    async with app_of(always, ledger=tmp_path / "l.db", recovery=policy) as app:
        turns = turns_of(app)
        _, carried = await turn(app, turns, turns.begin("go"))
        with pytest.raises(Exhausted, match="no such table"):
            await turn(app, turns, carried, FAILED)
        (summary,) = app.ledger.runs()
        assert (summary.state, steps(app.ledger.events(carried.run))[0].trigger) == ("failed", Trigger.tool_error)
        _, carried = await turn(app, turns, carried)
        turns.end(turns.begin("more", carried), "ok")
        (summary,) = app.ledger.runs()
    assert (summary.state, summary.resumes) == ("done", 2)


async def test_a_call_that_is_not_the_apps_fails_the_turn_without_a_trigger(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:
        turns = turns_of(app)
        carried = turns.begin("go")
        with pytest.raises(ValueError, match="mine"), turns.open(carried, Verdict(), asks=False).tried():
            raise ValueError("mine")
        (step,) = steps(app.ledger.events(carried.run))
    assert (step.state, step.trigger, step.evidence) == ("failed", None, ("ValueError: mine",))


async def test_the_budget_is_one_for_all_turns_and_a_turn_that_failed_has_spent_too():
    async with app_of([DEAR, Say("", usage=(1000, 900))], price=CENT) as app:
        turns = turns_of(app, budget=0.0201)
        _, carried = await turn(app, turns, turns.begin("go"))
        assert carried.spent == pytest.approx(0.01)
        with pytest.raises(BudgetExceeded):
            await turn(app, turns, carried)
        assert turns.open(carried, Verdict(), asks=False).spent == pytest.approx(0.02)


async def test_money_of_a_turn_that_no_checkpoint_has_counts_when_it_is_made_again(tmp_path):
    """As after a kill: the ledger has the attempt, the thread's state is still that from before it."""
    async with app_of(lambda _: DEAR, price=CENT, ledger=tmp_path / "l.db") as app:
        turns = turns_of(app, budget=0.035)
        _, carried = await turn(app, turns, turns.begin("go"))
        await turn(app, turns, carried)
        assert turns.open(carried, GOOD, asks=False).spent == pytest.approx(0.02)
        _, carried = await turn(app, turns, carried)
        assert carried.spent == pytest.approx(0.03)


async def test_within_a_node_a_turn_has_the_nodes_options_and_never_more_than_its_money():
    seen: list[Any] = []

    def hear(context: Any, candidates: Any) -> Any:
        seen.append((context.tenant, context.mode, context.money_left))
        return candidates

    async with app_of([DEAR], price=CENT, policies=[hear]) as app:
        turns = turns_of(app, mode="cost", budget=9)

        async def work() -> None:
            await turn(app, turns, turns.begin("go"))

        await app.node(work, step="outer", budget=0.5, tenant="ours")()
    assert seen == [("ours", "cost", 0.5)]


def graph_of(app: Orchestra, turns: Turns, saver: Any, **call: Any) -> Any:
    """A loop of two turns with one call each, as another framework would run it."""

    async def begin(state: State) -> State:
        return {"carried": to_json(turns.begin("go"))}  # type: ignore[typeddict-item]  # a mapping, as JSON is

    async def model(state: State) -> State:
        one, said = turns.open(from_json(Carried, state["carried"]), Verdict(), asks=saver is not None), ""
        while one.after is None:
            with one.tried():
                said = (await app.complete("go", **call)).text
        return {"carried": to_json(one.after), "said": said}

    graph: Any = StateGraph(State)
    for name, node in {"begin": begin, "first": model, "second": model}.items():
        graph.add_node(name, node)
    for one, other in ((START, "begin"), ("begin", "first"), ("first", "second"), ("second", END)):
        graph.add_edge(one, other)
    return graph.compile(checkpointer=saver)


def thread() -> Any:
    return {"configurable": {"thread_id": "t"}}


async def test_at_the_cap_a_person_is_asked_as_often_as_it_is_reached_and_each_answer_is_recorded_once(tmp_path):
    async with app_of([DEAR, DEAR], price=CENT, ledger=tmp_path / "l.db") as app:
        graph = graph_of(app, turns_of(app, at_cap="pause", budget=0.004), InMemorySaver())
        (asked,) = (await graph.ainvoke({}, thread()))["__interrupt__"]
        assert asked.value["question"] == "budget.0.004"
        (asked,) = (await graph.ainvoke(Command(resume=0.005), thread()))["__interrupt__"]
        assert asked.value["question"] == "budget.0.005"
        (summary,) = app.ledger.runs()
        assert (summary.state, summary.waiting) == ("interrupted", 1)
        (asked,) = (await graph.ainvoke(Command(resume=0.0105), thread()))["__interrupt__"]
        assert asked.value["question"] == "budget.0.0105"
        out = await graph.ainvoke(Command(resume=0.05), thread())
        rows = app.ledger.events(out["carried"]["run"])
        assert (out["said"], out["carried"]["spent"], out["carried"]["budget"]) == ("ok", pytest.approx(0.02), 0.05)
        turns_of(app).end(from_json(Carried, out["carried"]), "ok")
        assert app.ledger.kept(out["carried"]["run"], "look") == {}
    assert [(one.id, one.decision) for one in questions(rows)] == [
        ("budget.0.004", "budget"),
        ("budget.0.005", "budget"),
        ("budget.0.0105", "budget"),
    ]
    assert sum(type(row.event).__name__ == "HumanAnswered" for row in rows) == 3


async def test_a_cap_that_is_not_raised_ends_the_turn_and_stays():
    async with app_of([DEAR], price=CENT) as app:
        graph = graph_of(app, turns_of(app, at_cap="pause", budget=0.004), InMemorySaver())
        assert (await graph.ainvoke({}, thread()))["__interrupt__"]
        for given in (Command(resume=False), None):
            with pytest.raises(BudgetExceeded, match="did not raise the budget"):
                await graph.ainvoke(given, thread())


def pausing(app: Orchestra, saver: Any, budget: float | None = 0.004) -> Any:
    return graph_of(app, turns_of(app, at_cap="pause", **({} if budget is None else {"budget": budget})), saver)


async def declined(app: Orchestra, saver: Any) -> None:
    """A thread whose first turn stands at its cap, which a person did not raise."""
    assert (await pausing(app, saver).ainvoke({}, thread()))["__interrupt__"]
    with pytest.raises(BudgetExceeded, match=r"to go on, by Command\(resume=USD\), a larger budget"):
        await pausing(app, saver).ainvoke(Command(resume=False), thread())


async def test_who_declined_may_come_back_with_another_answer(tmp_path):
    saver = InMemorySaver()
    async with app_of([DEAR, DEAR], price=CENT, ledger=tmp_path / "l.db") as app:
        await declined(app, saver)
        for _ in range(2):
            with pytest.raises(BudgetExceeded, match="did not raise"):
                await pausing(app, saver).ainvoke(Command(resume=False), thread())
        (asked,) = (await pausing(app, saver).ainvoke(Command(resume=0.001), thread()))["__interrupt__"]
        assert "more than the present cap" in asked.value["error"]
        out = await pausing(app, saver).ainvoke(Command(resume=0.5), thread())
        (asked,) = questions(app.ledger.events(out["carried"]["run"]))
    assert (out["said"], out["carried"]["budget"], asked.decision) == ("ok", 0.5, "budget")


@pytest.mark.parametrize("more", [0.5, None])
async def test_a_declined_turn_goes_on_by_itself_where_its_cap_was_made_larger_and_not_where_it_is_the_same(more):
    saver = InMemorySaver()
    async with app_of([DEAR, DEAR], price=CENT) as app:
        await declined(app, saver)
        for same in (0.004, 0.003):
            with pytest.raises(BudgetExceeded, match="did not raise"):
                await pausing(app, saver, same).ainvoke(None, thread())
        assert (await pausing(app, saver, more).ainvoke(None, thread()))["said"] == "ok"


async def test_nobody_has_to_answer_at_a_cap_that_was_made_larger_and_at_the_next_one_they_are_asked_of_that():
    saver = InMemorySaver()
    async with app_of([DEAR, DEAR], price=CENT) as app:
        assert (await pausing(app, saver).ainvoke({}, thread()))["__interrupt__"]
        (asked,) = (await pausing(app, saver, 0.005).ainvoke(None, thread()))["__interrupt__"]
        assert asked.value["question"] == "budget.0.005"
        out = await pausing(app, saver, 0.005).ainvoke(Command(resume=0.5), thread())
    assert (out["said"], out["carried"]["budget"]) == ("ok", 0.5)


async def test_a_budget_of_the_turns_counts_from_the_next_turn_on_unless_a_person_has_raised_it_above():
    async with app_of(always, price=CENT) as app:
        raised = Carried("r1", 0.0, budget=0.05)
        assert turns_of(app, budget=0.02).open(raised, GOOD, asks=False).budget == 0.05
        assert turns_of(app, budget=0.5).open(raised, GOOD, asks=False).budget == 0.5
        assert turns_of(app).open(raised, GOOD, asks=False).budget is None
        _, carried = await turn(app, turns_of(app, budget=0.5), Carried("r2", 0.0))
        assert turns_of(app, budget=0.9).open(carried, GOOD, asks=False).budget == 0.9


async def test_without_a_checkpointer_the_cap_is_an_error():
    async with app_of([DEAR], price=CENT) as app:
        with pytest.raises(NoCandidate, match="is left"):
            await graph_of(app, turns_of(app, at_cap="pause", budget=0.004), None).ainvoke({})


async def test_the_answer_counts_where_the_journal_of_the_question_was_lost():
    saver = InMemorySaver()
    async with app_of([DEAR], price=CENT) as app:
        assert (await graph_of(app, turns_of(app, at_cap="pause", budget=0.004), saver).ainvoke({}, thread()))[
            "__interrupt__"
        ]
    async with app_of([DEAR, DEAR], price=CENT) as app:
        graph = graph_of(app, turns_of(app, at_cap="pause", budget=0.004), saver)
        assert (await graph.ainvoke(Command(resume=0.05), thread()))["said"] == "ok"


async def capped(
    app: Orchestra, asked: list[str], budget: float, own: float | None = None, within: float | None = None
) -> None:
    """Two turns with calls of `own` USD, in a node of `within` USD; what is `asked` is answered by a greater cap."""
    call = {} if own is None else {"budget": own}
    graph = graph_of(app, turns_of(app, at_cap="pause", budget=budget), InMemorySaver(), **call)

    async def work() -> None:
        out = await graph.ainvoke({}, thread())
        while "__interrupt__" in out and len(asked) < 3:
            asked.append(out["__interrupt__"][0].value["question"])
            out = await graph.ainvoke(Command(resume=float(len(asked))), thread())

    await (work() if within is None else app.node(work, step="outer", budget=within)())


@pytest.mark.parametrize(
    ("budget", "own", "within"),
    [
        (0.5, 0.004, None),  # the call's own budget is short
        (0.5, 0.0125, None),  # it is only for a stronger model, in mid-call
        (0.004, 0.003, None),  # both are
        (0.003, 0.004, None),
        (0.004, 0.004, None),
        (0.5, None, 0.004),  # the node's in which the agent runs
    ],
)
async def test_a_cap_that_would_not_help_if_it_were_raised_is_nothing_to_ask_about(budget, own, within):
    empty, asked = Say("", usage=(1000, 900)), []
    async with app_of(lambda _: empty, price=CENT) as app:
        with pytest.raises((BudgetExceeded, NoCandidate), match="is left"):
            await capped(app, asked, budget, own, within)
    assert asked == []


@pytest.mark.parametrize(("budget", "own"), [(0.004, 0.02), (0.0105, 0.02), (0.0105, None)])
async def test_where_the_threads_cap_is_what_is_short_a_person_is_asked_whatever_a_call_may_spend(budget, own):
    asked: list[str] = []
    async with app_of([DEAR, DEAR], price=CENT) as app:
        await capped(app, asked, budget, own)
    assert asked == [f"budget.{budget:g}"]


async def test_no_cap_pays_for_a_model_whose_price_is_unknown_so_nobody_is_asked():
    asked: list[str] = []
    async with scripted_app(ScriptedModel("small", ["ok"], price=None)) as app:
        with pytest.raises(NoCandidate, match="its price is unknown"):
            await capped(app, asked, 0.01)
    assert asked == []


@pytest.mark.parametrize(
    ("options", "told"),
    [({"budgt": 1}, "no option of agent; did you mean 'budget'"), ({"at_cap": "stop"}, "known: fail, pause")],
)
async def test_what_makes_no_sense_is_told_at_once(options, told):
    async with app_of() as app:
        with pytest.raises(ConfigError, match=told):
            turns_of(app, **options)
