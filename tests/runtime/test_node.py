"""app.node: the calls of a hand-written node go by its step, are one run, and share its money and its time."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, Send, StreamWriter, interrupt

from orchestra import BudgetExceeded, NoCandidate, Orchestra, Step, StepPolicy
from orchestra.errors import ConfigError
from orchestra.ledger import Row, RunEnded, RunStarted, StepEnded, StepStarted, attempts, steps, totals
from orchestra.testing import Error, Say, ScriptedModel, scripted_app
from orchestra.types import Candidate, Price, StepContext, Trigger

LOW = StepPolicy([{"tier": "efficient"}])
HIGH = StepPolicy([{"match": {"name": "research"}, "tier": "capable"}, {"tier": "efficient"}])
FREE = Price(0, 0)
CENT = Say("ok", usage=(1000, 900))  # one cent at the price below


class State(TypedDict, total=False):
    topic: str
    note: str
    notes: str


class Listening:
    """A policy that changes nothing and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[StepContext] = []

    def __call__(self, context: StepContext, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        self.told.append(context)
        return candidates


class Clock:
    """Time that passes only where a test says so; it begins now, because dispatch has the real one."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


def echo(request: dict[str, Any]) -> str:
    return request["messages"][-1]["content"].upper()


def app_of(small: Any = echo, strong: Any = echo, policies: Any = (HIGH,), price: Any = FREE, **options: Any):
    facts: dict[str, Any] = {"price": price, "tags": ("pii", "eu")}
    models = ScriptedModel("small", small, **facts), ScriptedModel("strong", strong, tier="capable", **facts)
    return scripted_app(*models, policies=policies, **options)


def graph_of(**nodes: Any) -> Any:
    """A graph of these nodes, one after the other."""
    graph = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
    for one, other in zip((START, *nodes), (*nodes, END), strict=True):
        graph.add_edge(one, other)
    return graph.compile(checkpointer=InMemorySaver())


def thread(name: str = "t") -> Any:
    return {"configurable": {"thread_id": name}}


def runs(app: Orchestra) -> list[list[Row]]:
    """The rows of every run, the oldest run first."""
    return [app.ledger.events(run) for run in sorted(one.run for one in app.ledger.runs(100))]


def last(rows: Sequence[Row]) -> RunEnded:
    assert isinstance(rows[-1].event, RunEnded)
    return rows[-1].event


async def test_a_call_without_a_step_goes_by_the_step_of_its_node_and_elsewhere_by_none(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:

        async def look(state: State) -> State:
            reply = await app.complete(state["topic"])
            return {"note": f"{reply.model}: {reply.text}"}

        compiled = graph_of(plain=look, routed=app.node(look, step="research"))
        seen = [one async for one in compiled.astream({"topic": "moss"}, thread(), stream_mode="updates")]
        assert seen == [{"plain": {"note": "small: MOSS"}}, {"routed": {"note": "strong: MOSS"}}]
        assert [{row.step for row in found} for found in runs(app)] == [{"", "call"}, {"", "research"}]


async def test_what_a_call_says_itself_wins_over_what_its_node_says():
    heard = Listening()
    async with app_of(policies=[LOW, heard]) as app:

        async def look(state: State) -> State:
            await app.complete("a")
            await app.complete("b", step="other", mode="quality", tenant="mine", data_tags=["eu"], priority="low")
            await app.complete("c", mode=None)
            return {}

        node = app.node(
            look, step=Step("r1", "dig", "act"), mode="cost", tenant="ours", data_tags="pii", priority="high"
        )
        await node({})
    told = [(one.step.id, one.mode, one.tenant, one.data_tags, one.priority) for one in heard.told]
    assert told == [
        ("r1", "cost", "ours", ("pii",), "high"),
        ("other", "quality", "mine", ("eu",), "low"),
        ("r1", None, "ours", ("pii",), "high"),
    ]


async def test_the_calls_of_one_execution_are_one_run_that_says_what_it_was_and_how_it_ended(tmp_path):
    async with app_of(ledger=tmp_path / "l.db", content=True) as app:

        async def look(state: State) -> State:
            first = await app.complete("one")
            second = await app.complete("two", step="check")
            assert first.run == second.run
            return {"note": (await app.complete("three")).text}

        node = app.node(look, step=Step("r1", "dig deep", "act", "research"), mode="cost")
        assert [await node({}), await node({})] == [{"note": "THREE"}] * 2
        found, again = runs(app)
    assert found[0].run != again[0].run
    begun, ended = found[0].event, last(found)
    assert isinstance(begun, RunStarted)
    assert (begun.agent, begun.task, begun.mode) == ("research", "dig deep", "cost")
    assert (ended.state, ended.reason) == ("done", "")
    kinds = [row.event.type for row in found if not row.event.type.startswith(("attempt", "verdict", "decided"))]
    assert kinds == ["run_started", "step_started", "step_ended", "run_ended"]
    own, other = steps(found)
    assert (own.id, own.goal, own.kind, own.state, own.model, own.turns) == (
        "r1",
        "dig deep",
        "act",
        "done",
        "strong",
        3,
    )
    assert (other.id, len(own.attempts), len(other.attempts)) == ("check", 2, 1)
    assert {one.state for one in attempts(found)} == {"accepted"}


async def test_a_node_that_asks_no_model_is_a_run_all_the_same(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:
        assert app.node(lambda state: {"note": "free"}, step="research")({}) == {"note": "free"}
        (found,) = runs(app)
    assert [row.event.type for row in found] == ["run_started", "step_started", "step_ended", "run_ended"]


async def test_the_budget_of_a_node_holds_for_all_its_calls_together(tmp_path):
    async with app_of(lambda _: CENT, price=Price(1, 10), policies=[LOW], ledger=tmp_path / "l.db") as app:

        async def spend(state: State) -> State:
            for _ in range(9):
                await app.complete("x", max_tokens=900)
            return {}

        with pytest.raises(NoCandidate, match=r"\$0.005000 is left"):
            await app.node(spend, step="research", budget=0.025)({})
        (found,) = runs(app)
        cost = totals(found).cost.usd
        await app.node(spend, step="research", budget=0.25)({})
    assert cost == pytest.approx(0.02)
    assert last(found).state == "failed"
    assert "$0.005000 is left" in last(found).reason


async def test_a_hundred_calls_at_once_cannot_spend_more_than_the_node_may(tmp_path):
    async with app_of(lambda _: CENT, price=Price(1, 10), policies=[LOW], ledger=tmp_path / "l.db") as app:

        async def spend(state: State) -> State:
            calls = (app.complete("x", max_tokens=900, budget=0.02) for _ in range(100))
            ended = await asyncio.gather(*calls, return_exceptions=True)
            refused = [one for one in ended if isinstance(one, BaseException)]
            assert {type(one) for one in refused} == {BudgetExceeded}
            return {"note": str(100 - len(refused))}

        served = await app.node(spend, step="research", budget=0.1)({})
        (found,) = runs(app)
    cost = totals(found).cost.usd
    assert cost is not None
    assert cost == pytest.approx(0.01 * int(served["note"]))
    assert 0.08 <= cost <= 0.1


async def test_a_call_may_have_a_smaller_budget_of_its_own_and_never_a_larger_one():
    heard = Listening()
    async with app_of(lambda _: CENT, price=Price(1, 10), policies=[LOW, heard]) as app:

        async def spend(state: State) -> State:
            for budget in (0.02, 5.0, None):
                await app.complete("x", budget=budget, max_tokens=900)
            return {}

        await app.node(spend, step="research", budget=1.0)({})
    assert [one.money_left for one in heard.told] == pytest.approx([0.02, 0.99, 0.98])


async def test_a_call_may_allow_an_unknown_price_that_its_node_does_not():
    async with app_of(price=None, policies=[LOW]) as app:

        async def spend(state: State) -> State:
            return {"note": (await app.complete("x", **state)).text}

        node = app.node(spend, step="research", budget=1.0)
        assert await node({"allow_unknown_price": True}) == {"note": "X"}
        with pytest.raises(Exception, match="price"):
            await node({})


async def test_the_deadline_of_a_node_runs_for_all_its_calls_together():
    heard, clock = Listening(), Clock()
    async with app_of(policies=[LOW, heard]) as app:
        app.engine = dataclasses.replace(app.engine, clock=clock)

        async def wait(state: State) -> State:
            await app.complete("a")
            clock.now += 40
            await app.complete("b")
            await app.complete("c", deadline=15)
            await app.complete("d", deadline=500)
            return {}

        await app.node(wait, step="research", deadline=60)({})
        await app.node(wait, step="research")({})
    assert [one.deadline for one in heard.told] == pytest.approx([60, 20, 15, 20, 600, 600, 15, 500])


async def test_nodes_that_run_at_once_do_not_mix(tmp_path):
    async with app_of(ledger=tmp_path / "l.db", policies=[LOW]) as app:

        async def one(state: State) -> State:
            for _ in range(3):
                await app.complete(state["topic"])
                await asyncio.sleep(0)
            return {}

        graph = StateGraph(State).add_node("one", app.node(one, step="many"))
        graph.add_conditional_edges(START, lambda _: [Send("one", {"topic": f"t{n}"}) for n in range(20)], ["one"])
        await graph.compile().ainvoke({})
        found = runs(app)
    assert len(found) == 20
    assert all(totals(rows).attempts == 3 and last(rows).state == "done" for rows in found)


async def test_a_node_within_a_node_has_its_own_step_and_run_and_takes_from_the_outer_ones_money(tmp_path):
    heard, clock = Listening(), Clock()
    async with app_of(lambda _: CENT, price=Price(1, 10), policies=[LOW, heard], ledger=tmp_path / "l.db") as app:
        app.engine = dataclasses.replace(app.engine, clock=clock)

        async def inner(state: State) -> State:
            await app.complete("x", max_tokens=900)
            return {}

        async def outer(state: State) -> State:
            clock.now += 10
            await app.node(inner, step="inner", budget=0.5, mode="cost")({})
            await app.node(inner, step="free")({})
            await app.complete("y", max_tokens=900)
            return {}

        await app.node(outer, step="outer", budget=1.0, deadline=60, tenant="ours", mode="quality")({})
        names = [rows[0].event.agent for rows in runs(app)]
    told = [(one.step.id, one.mode, one.tenant, one.deadline) for one in heard.told]
    assert told == [
        ("inner", "cost", "ours", 50),
        ("free", "quality", "ours", 50),
        ("outer", "quality", "ours", 50),
    ]
    assert [one.money_left for one in heard.told] == pytest.approx([0.5, 0.99, 0.98])
    assert names == ["outer", "inner", "free"]


async def test_a_node_of_one_app_says_nothing_to_calls_of_another():
    heard = Listening()
    async with app_of() as mine, app_of(policies=[LOW, heard]) as other:

        async def ask(state: State) -> State:
            await other.complete("x")
            return {}

        await mine.node(ask, step="research", mode="cost")({})
        await other.node(mine.node(ask, step="research"), step="theirs")({})
    assert [(one.step.id, one.mode) for one in heard.told] == [("call", None), ("theirs", None)]


async def test_failures_of_earlier_calls_are_known_when_a_later_one_is_routed():
    heard = Listening()
    async with app_of(["", "fine", "good"], policies=[LOW, heard]) as app:

        async def ask(state: State) -> State:
            await app.complete("x", mode="cost")
            await app.complete("y", mode="cost")
            return {}

        await app.node(ask, step="research")({})
    assert [[one.trigger for one in told.history] for told in heard.told] == [[], [Trigger.empty]]


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_synchronous_node_uses_the_sync_twins(way, tmp_path):
    app = app_of(ledger=tmp_path / "l.db")

    def look(state: State) -> State:
        *_, end = app.stream_sync("one")
        return {"note": end.reply.model + app.complete_sync(state["topic"]).text}

    compiled = graph_of(look=app.node(look, step="research"))
    if way == "invoke":
        assert compiled.invoke({"topic": "moss"}, thread())["note"] == "strongMOSS"
    else:
        *rows, update = compiled.stream({"topic": "moss"}, thread(), stream_mode=["custom", "updates"])
        assert [row.event.type for _, row in rows][:: len(rows) - 1] == ["run_started", "run_ended"]
        assert update == ("updates", {"look": {"note": "strongMOSS"}})
    (found,) = runs(app)
    assert (totals(found).attempts, last(found).state) == (2, "done")
    app.close()


async def test_a_synchronous_node_of_an_asynchronous_graph_works_in_its_thread(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:

        def look(state: State) -> State:
            return {"note": app.complete_sync(state["topic"]).model}

        compiled = graph_of(look=app.node(look, step="research"))
        found = [one async for one in compiled.astream({"topic": "x"}, thread(), stream_mode=["custom", "values"])]
        (stored,) = runs(app)
    assert found[-1] == ("values", {"topic": "x", "note": "strong"})
    assert [row.event.type for mode, row in found if mode == "custom"] == [row.event.type for row in stored]


async def test_a_stream_in_a_node_goes_by_its_step_and_may_be_left(tmp_path):
    async with app_of([Say("abcdef", chunks=3)] * 2, policies=[LOW], ledger=tmp_path / "l.db") as app:

        async def look(state: State) -> State:
            texts = [event.text async for event in app.stream("x") if event.type == "text"]
            left = app.stream("x")
            texts.append((await anext(left)).text)
            await left.aclose()
            return {"note": "".join(texts)}

        assert await app.node(look, step="draft")({}) == {"note": "abcdefab"}
        (found,) = runs(app)
    (step,) = steps(found)
    assert (step.id, step.state, step.turns, len(step.attempts)) == ("draft", "done", 1, 2)


async def test_rows_reach_the_custom_stream_among_what_the_node_writes_itself():
    async with app_of() as app:

        async def look(state: State, writer: StreamWriter) -> State:
            writer("before")
            reply = await app.complete("x")
            writer("after")
            return {"note": reply.run}

        def late(state: State) -> State:
            app.ledger.append(state["note"], "", RunStarted("nobody listens any more"))
            return {}

        compiled = graph_of(look=app.node(look, step="research"), late=late)
        found = [one async for one in compiled.astream({}, thread(), stream_mode="custom")]
    told = [one if isinstance(one, str) else one.event.type for one in found]
    assert told[:3] == ["run_started", "step_started", "before"]
    assert told[-3:] == ["after", "step_ended", "run_ended"]
    assert {"decided", "attempt_started", "attempt_ended", "verdict"} <= set(told[3:-3])


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_node_keeps_its_signature_so_that_langgraph_hands_over_what_it_asks_for(kind):
    async with app_of() as app:

        def given(
            state: State, config: RunnableConfig, *, writer: StreamWriter, store: BaseStore, runtime: Runtime
        ) -> State:
            """What it was given."""
            writer({"thread": config["configurable"]["thread_id"]})
            assert runtime.store is store
            store.put(("seen",), "topic", {"is": state["topic"]})
            return {"note": "given"}

        async def later(
            state: State, config: RunnableConfig, *, writer: StreamWriter, store: BaseStore, runtime: Runtime
        ) -> State:
            return given(state, config, writer=writer, store=store, runtime=runtime)

        fn = given if kind == "sync" else later
        node, store = app.node(fn, step="research"), InMemoryStore()
        assert (node.__name__, node.__doc__) == (fn.__name__, fn.__doc__)
        graph = StateGraph(State).add_node(node).add_edge(START, fn.__name__)
        compiled = graph.compile(checkpointer=InMemorySaver(), store=store)
        found = [one async for one in compiled.astream({"topic": "x"}, thread(), stream_mode="custom")]
    assert {"thread": "t"} in found
    assert store.get(("seen",), "topic").value == {"is": "x"}


async def test_methods_partials_objects_and_lambdas_are_nodes_under_the_names_langgraph_gives_them():
    class Desk:
        def __init__(self, app: Orchestra) -> None:
            self.app = app

        async def look(self, state: State) -> State:
            return {"note": (await self.app.complete("x")).model}

        async def __call__(self, state: State) -> State:
            return await self.look(state)

    async def look(app: Orchestra, state: State) -> State:
        return {"note": (await app.complete("x")).model}

    async with app_of() as app:
        desk = Desk(app)
        for fn, name in ((desk.look, "look"), (desk, "Desk"), (partial(look, app), "look")):
            node = app.node(fn, step="research")
            assert node.__name__ == name
            assert (await graph_of(n=node).ainvoke({"topic": ""}, thread()))["note"] == "strong"
        assert app.node(lambda state: {"note": "x"}, step="research").__name__ == "<lambda>"


async def test_a_node_may_return_a_command_and_the_graph_still_knows_where_it_leads():
    async with app_of() as app:

        async def choose(state: State) -> Command[Literal["right"]]:
            return Command(goto="right", update={"note": (await app.complete("x")).model})

        graph = StateGraph(State).add_node("choose", app.node(choose, step="research")).add_edge(START, "choose")
        compiled = graph.add_node("right", lambda state: {"notes": "r"}).add_node("left", lambda state: {}).compile()
        assert await compiled.ainvoke({}) == {"note": "strong", "notes": "r"}
        assert "choose -.-> right" in compiled.get_graph().draw_mermaid()


async def test_tasks_of_the_functional_api_may_be_nodes(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:

        async def look(topic: str) -> str:
            return (await app.complete(topic)).model

        step = task(app.node(look, step="research"))

        @entrypoint()
        async def flow(topics: list[str]) -> list[str]:
            return await asyncio.gather(*(step(topic) for topic in topics))

        assert await flow.ainvoke(["a", "b"]) == ["strong", "strong"]
        assert [last(found).state for found in runs(app)] == ["done", "done"]


async def test_an_error_of_the_node_goes_through_and_its_run_says_so(tmp_path):
    async with app_of(ledger=tmp_path / "l.db", content=True) as app:

        async def breaks(state: State) -> State:
            await app.complete("x")
            raise LookupError("no such shelf")

        compiled = graph_of(breaks=app.node(breaks, step="research"))
        with pytest.raises(LookupError, match="no such shelf"):
            await compiled.ainvoke({"topic": "x"}, thread())
        (found,) = runs(app)
    assert (last(found).state, last(found).reason, last(found).answer) == ("failed", "LookupError: no such shelf", "")
    (step,) = steps(found)
    assert (step.state, step.evidence, step.model) == ("failed", ("LookupError: no such shelf",), "strong")


async def test_a_call_that_no_model_could_answer_ends_the_run_with_its_trigger_unless_the_node_goes_on(tmp_path):
    async with app_of([Error(400)] * 9, policies=[LOW], ledger=tmp_path / "l.db", strong=[Error(400)] * 9) as app:

        async def ask(state: State) -> State:
            await app.complete("x")
            return {}

        async def endure(state: State) -> State:
            with pytest.raises(Exception, match="400"):
                await app.complete("x")
            return {"note": "without"}

        with pytest.raises(Exception, match="400"):
            await app.node(ask, step="research")({})
        assert await app.node(endure, step="research")({}) == {"note": "without"}
        failed, endured = runs(app)
    (step,) = steps(failed)
    assert (last(failed).state, step.state, step.trigger) == ("failed", "failed", Trigger.bad_request)
    assert last(endured).state == "done"


async def test_a_cancelled_node_leaves_a_cancelled_run(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:
        started = asyncio.Event()

        async def hang(state: State) -> State:
            await app.complete("x")
            started.set()
            await asyncio.Event().wait()
            return {}

        running = asyncio.create_task(graph_of(hang=app.node(hang, step="research")).ainvoke({"topic": ""}, thread()))
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        (found,) = runs(app)
    assert (last(found).state, last(found).reason) == ("cancelled", "the caller stopped")
    assert [row.event.type for row in found if isinstance(row.event, StepStarted | StepEnded)] == ["step_started"]


async def test_a_node_that_asks_a_person_is_interrupted_and_its_second_execution_is_another_run(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:

        async def ask(state: State) -> State:
            said = interrupt("which one?")
            return {"note": f"{said} by {(await app.complete('x')).model}"}

        compiled = graph_of(ask=app.node(ask, step="research"))
        waiting = await compiled.ainvoke({"topic": "x"}, thread())
        assert [one.value for one in waiting["__interrupt__"]] == ["which one?"]
        assert (await compiled.ainvoke(Command(resume="both"), thread()))["note"] == "both by strong"
        asked, answered = runs(app)
    assert (last(asked).state, last(asked).reason) == ("interrupted", "a person was asked")
    assert not [row for row in asked if isinstance(row.event, StepEnded)]
    assert last(answered).state == "done"


async def test_a_command_for_the_parent_graph_from_a_graph_within_the_node_is_no_failure(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:
        inner = StateGraph(State).add_node("up", lambda state: Command(graph=Command.PARENT, update={"note": "up"}))
        compiled = inner.add_edge(START, "up").compile()

        async def ask(state: State, config: RunnableConfig) -> State:
            return await compiled.ainvoke(state, config)

        assert (await graph_of(ask=app.node(ask, step="research")).ainvoke({"topic": "x"}, thread()))["note"] == "up"
        (found,) = runs(app)
    assert last(found).state == "done"
    assert steps(found)[0].state == "done"


async def test_a_call_that_begins_after_its_node_has_ended_is_refused_with_the_way_out(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:
        ended, later = asyncio.Event(), []

        async def ask() -> str:
            await ended.wait()
            return (await app.complete("x")).model

        async def leave(state: State) -> State:
            later.append(asyncio.create_task(ask()))
            later.append(asyncio.create_task(ask(), context=contextvars.Context()))
            return {}

        await app.node(leave, step="research")({})
        ended.set()
        with pytest.raises(ConfigError, match=r"'research' began after the node had ended; await it .*\.Context\(\)"):
            await later[0]
        assert await later[1] == "small"
        assert [totals(found).attempts for found in runs(app)] == [0, 1]


@pytest.mark.parametrize(
    ("fn", "options", "message"),
    [
        (None, {}, "node: expected a function of the graph's state, got None$"),
        ("look", {}, "expected a function"),
        (graph_of(n=lambda state: {}), {}, "a compiled graph is a node as it is"),
        ((x for x in ()), {}, "expected a function"),
        (lambda state: {}, {"step": ""}, "step: expected a name or a Step with an id, got ''"),
        (lambda state: {}, {"bugdet": 1}, "bugdet: no option of a node; did you mean 'budget'"),
        (lambda state: {}, {"max_tokens": 1}, "max_tokens: no option of a node; known: allow_unknown_price, budget"),
        (lambda state: {}, {"budget": -1}, "budget: expected a number of USD"),
        (lambda state: {}, {"deadline": "soon"}, "deadline: expected a number of seconds"),
        (lambda state: {}, {"mode": "fast"}, "mode 'fast' is unknown; known: quality"),
    ],
)
async def test_what_cannot_be_a_node_is_told_when_the_graph_is_built(fn, options, message):
    async with app_of() as app:
        with pytest.raises(ConfigError, match=message):
            app.node(fn, **({"step": "research"} | options))


async def test_a_generator_function_is_no_node():
    def sync(state):
        yield {}

    async def later(state):
        yield {}

    async with app_of() as app:
        for fn in (sync, later):
            with pytest.raises(ConfigError, match="is a generator function; a node returns its update"):
                app.node(fn, step="research")


async def test_an_option_that_no_call_has_is_told_where_it_is_called_and_ends_the_node(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:

        async def ask(state: State) -> State:
            await app.complete("x", temprature=1)
            return {}

        with pytest.raises(ConfigError, match="did you mean 'temperature'"):
            await app.node(ask, step="research")({})
        (found,) = runs(app)
    assert last(found).state == "failed"


async def test_escalation_within_a_node_shows_in_its_step(tmp_path):
    async with app_of([""] * 2, ["better"], policies=[LOW], ledger=tmp_path / "l.db") as app:

        async def ask(state: State) -> State:
            return {"note": (await app.complete("x")).text}

        assert await app.node(ask, step="research")({}) == {"note": "better"}
        (found,) = runs(app)
    assert steps(found)[0].model == "strong"
    assert totals(found).escalations == 1


async def test_loading_langgraph_is_none_of_a_nodes_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a new process a second, and happens where the first node looks for the graph's stream."""
    happened: list[str] = []

    def clock() -> float:
        happened.append("the deadline begins")
        return time.monotonic()

    def writer() -> None:
        happened.append("LangGraph is there")
        raise RuntimeError("called outside of a graph")

    async def work(_: object) -> str:
        return (await app.complete("x")).text

    async with scripted_app(ScriptedModel("small", ["ok"]), ledger=None) as app:
        node = app.node(work, step="work", deadline=60)
        object.__setattr__(app.engine, "clock", clock)
        monkeypatch.setattr("langgraph.config.get_stream_writer", writer)
        assert await node({}) == "ok"
    assert happened[:2] == ["LangGraph is there", "the deadline begins"]
