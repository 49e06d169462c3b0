"""Orchestra: the façade. Wiring, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from orchestra.errors import FleetError
from orchestra.recovery import RecoveryPolicy
from orchestra.routing import Policy, bind, default_policies
from orchestra.types import Decision, Json, Mode, Priority, Reply, Step, StepContext, StreamEvent

if TYPE_CHECKING:
    from orchestra.fleet import Fleet
    from orchestra.integrations.langchain import ChatOrchestra
    from orchestra.ledger import Ledger
    from orchestra.runtime.agent import Agent
    from orchestra.runtime.messages import Messages
    from orchestra.runtime.node import Function
    from orchestra.runtime.options import CallOptions, ChatSettings, NodeOptions
    from orchestra.runtime.scope import AtCap
    from orchestra.runtime.step_result import Settle, Signals
    from orchestra.transport import Transport

LEDGER = Path(".orchestra") / "ledger.db"


class Orchestra:
    """Routes every call and step of an app over a fleet of models.

    `policies` default to the fleet's own step rules and ContextPolicy. `ledger` is a path, a Ledger, or None to
    keep nothing; `content` stores what people and models wrote as well. `min_logprob` is the mean token
    log-probability below which a reply counts as low_confidence, where a model reports it. `concurrency` is how many
    attempts run at a time over all models; a card's own limits one model. Checkpoints of agents lie beside the
    ledger. Use it as an async context manager, or call `aclose()` (`close()` from sync code).
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        policies: Sequence[Policy] | None = None,
        recovery: RecoveryPolicy | None = None,
        mode: Mode | None = None,
        ledger: Ledger | str | Path | None = LEDGER,
        content: bool = False,
        min_logprob: float | None = -1.0,
        concurrency: int | None = None,
        transport: Transport | None = None,
    ) -> None:
        from orchestra.dispatch import Dispatcher
        from orchestra.dispatch.caps import Caps
        from orchestra.ledger import Ledger
        from orchestra.local import LocalServers
        from orchestra.runtime.checkpoints import Checkpoints
        from orchestra.runtime.endpoints import FleetEndpoints, keys_of, names_of, secrets
        from orchestra.runtime.engine import Engine
        from orchestra.runtime.network import FleetNetwork
        from orchestra.runtime.portal import Portal

        self.fleet = fleet
        self.servers = LocalServers()
        self.ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger, content=content)
        network = FleetNetwork(fleet.network, self.ledger.hide)
        self.transport = transport or network.transport()
        names, keys = names_of(fleet.models.values()), keys_of(fleet.models.values())
        self.ledger.hide(secrets(fleet.models.values(), names))
        chosen = default_policies(fleet) if policies is None else policies
        self.policies = tuple(bind(policy, fleet) for policy in chosen)
        recovery = recovery or RecoveryPolicy()
        self.engine = Engine(
            fleet=fleet,
            policies=self.policies,
            recovery=recovery,
            dispatcher=Dispatcher(
                fleet,
                FleetEndpoints(self.servers, self.ledger.hide, headers=network.headers, names=names, keys=keys),
                self.transport,
                recovery,
                concurrency=concurrency,
                caps=Caps(fleet.budgets, self.ledger.charges(), token_hex(6)),
            ),
            ledger=self.ledger,
            mode=mode,
            min_logprob=min_logprob,
        )
        self.checkpoints = Checkpoints(self.ledger.path and self.ledger.path.with_name("checkpoints.db"))
        self.portal = Portal()

    @classmethod
    def from_file(cls, path: str | Path, **options: Any) -> Orchestra:
        """An app on the fleet of a fleet.toml; options as for the class. Raises FleetError."""
        from orchestra.fleet import Fleet

        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FleetError(f"{path}: cannot be read: {error}; give the path of a fleet.toml") from error
        return cls(Fleet.from_toml(text, source=str(path)), **options)

    @classmethod
    def embedded(cls, **options: Any) -> Orchestra:
        """An app on the two embedded models: no key, no network once the weights are there."""
        from orchestra.fleet import Fleet

        return cls(Fleet.embedded(), **options)

    def decide(self, context: StepContext) -> Decision:
        """Which model would serve this step, and why: no call, no I/O. Raises NoCandidate."""
        return self.engine.decide(context)

    async def complete(
        self, messages: Messages, *, step: str | Step | None = None, **options: Unpack[CallOptions]
    ) -> Reply:
        """One judged reply to messages (a string, canonical, OpenAI-style or LangChain messages).

        `step` is a name or a Step; left out, it is that of the `node` in whose code the call stands, else "call".
        Never executes tools: the reply's tool calls have passed their checks. Raises a CallError with `attempts`.
        """
        from orchestra.runtime.calls import complete

        return await complete(self.engine, messages, step, options)

    def stream(
        self, messages: Messages, *, step: str | Step | None = None, **options: Unpack[CallOptions]
    ) -> AsyncIterator[StreamEvent]:
        """The reply as events; the last one is `end` with the Reply. A cut after the first text raises StreamCut."""
        from orchestra.runtime.calls import stream

        return stream(self.engine, messages, step, options)

    def complete_sync(
        self, messages: Messages, *, step: str | Step | None = None, **options: Unpack[CallOptions]
    ) -> Reply:
        """`complete` for synchronous code. Raises SyncInLoop inside a running event loop."""
        return self.portal.run("complete_sync", lambda: self.complete(messages, step=step, **options))

    def stream_sync(
        self, messages: Messages, *, step: str | Step | None = None, **options: Unpack[CallOptions]
    ) -> Iterator[StreamEvent]:
        """`stream` for synchronous code. Raises SyncInLoop inside a running event loop."""
        from orchestra.runtime.portal import refuse_in_loop

        refuse_in_loop("stream_sync")
        return self.portal.iterate("stream_sync", lambda: self.stream(messages, step=step, **options))

    def node(self, fn: Function, *, step: str | Step, **options: Unpack[NodeOptions]) -> Function:
        """`fn` as a node of a hand-written LangGraph graph, with its own signature: calls in it go by this step.

        One execution is one run in the ledger with one budget and one deadline for all its calls; the options are
        their defaults, what a call says itself wins. `stream_mode="custom"` yields its rows. Raises ConfigError.
        """
        from orchestra.runtime.node import node

        return node(self.engine, fn, step, options)

    def chat_model(self, *, step: str | None = None, **settings: Unpack[ChatSettings]) -> ChatOrchestra:
        """This app as a LangChain chat model: change one line of a LangChain or LangGraph app, keep the rest.

        `step` left out is `orchestra_step` of the node's metadata, the step of the `app.node` around the call, or the
        name of the graph's node. Raises ConfigError.
        """
        from orchestra.integrations.langchain import ChatOrchestra
        from orchestra.runtime.options import ChatSettings, check_names, check_step

        check_names(settings, ChatSettings.__annotations__, "a chat model")
        if step is not None:
            check_step(step, self.policies)
        return ChatOrchestra(app=self, step=step, **settings)

    def planner_executor(
        self,
        tools: Sequence[Any] = (),
        *,
        name: str = "planner_executor",
        max_steps: int = 8,
        max_turns: int = 6,
        step_deadline: float = 300.0,
        deadline: float = 1800.0,
        budget: float | None = None,
        allow_unknown_price: bool = False,
        mode: Mode | None = None,
        tenant: str | None = None,
        priority: Priority = "normal",
        data_tags: Sequence[str] = (),
        feature: str | None = None,
        at_cap: AtCap = "fail",
        background: str = "",
        temperature: float | None = None,
        step_output: Mapping[str, Json] | None = None,
        signals: Signals | None = None,
        settle: Settle | None = None,
    ) -> Agent:
        """A compiled LangGraph graph that plans a task, runs its steps and answers.

        `await agent.ainvoke({"task": …}, config)` gives `{"answer", "run", "state", "plan", "steps", "reason",
        "missing", "partial", "cost", "usage", …}`; the input may also hold `run`, `mode`, `budget`, `deadline`,
        `feature` and `plan_only`. `{"run": RUN}` resumes a run, `{"run": RUN, "changed": "…"}` with the rest of its
        plan made anew.
        A tool that needs approval, `ask_human`, and the money cap with `at_cap="pause"` interrupt the run as
        LangGraph's interrupts do; `Command(resume=…)` answers, or `{"run": RUN, "answers": {question: …}}`.

        `background` tells the planner about the data; a step knows what its tools' descriptions tell. Deadlines are
        seconds, per step and per run, shared out along the critical path; `budget` is USD per run. `step_output` is
        the JSON Schema that steps of kind `act` answer in, but for the last one; `signals` computes from a step's
        upstream results what policies see in `context.signals`; `settle` has the last word on a step's result: it
        gives the result to take, or its faults, which go the way of every judged_bad. A failed run is a state, not
        an exception, but for a ConfigError, which is yours to mend; `stream_mode="custom"` yields typed events.
        """
        from orchestra.runtime import graph
        from orchestra.runtime.nodes import Blueprint
        from orchestra.runtime.scope import Limits, words
        from orchestra.runtime.steps import Work
        from orchestra.toolbox import as_tools

        tags = words(data_tags)
        limits = Limits(deadline, budget, allow_unknown_price, mode, tenant, priority, tags, at_cap, feature)
        known = {tool.name: tool for tool in as_tools(tools)}
        work = Work(known, max_turns, step_deadline, temperature, step_output, signals, settle)
        blueprint = Blueprint(name, max_steps, limits, work, background)
        return graph.planner_executor(self.engine, blueprint, self.checkpoints, self.portal)

    async def aclose(self) -> None:
        """Close connections, embedded servers, checkpoints and the ledger.

        Calls and agents' runs that are waited for end with a LedgerError, those of sync twins with CancelledError; the
        ledger has their ends. Those that begin meanwhile are refused. Raises ConfigError elsewhere than on asyncio.
        """
        from orchestra.dispatch.under_way import running_task

        running_task()
        under_way = self.engine.dispatcher.under_way
        under_way.refuse()
        async with AsyncExitStack() as closing:  # what cannot be closed keeps nothing else open
            closing.callback(under_way.admit)
            closing.callback(self.ledger.close)
            closing.callback(self.servers.close)
            closing.push_async_callback(self.checkpoints.aclose)
            closing.push_async_callback(self.transport.aclose)
            closing.push_async_callback(under_way.end)
            closing.push_async_callback(self.portal.drain, self.transport.aclose)

    def close(self) -> None:
        """`aclose` for synchronous code. Raises SyncInLoop inside a running event loop."""
        self.portal.shut(self.aclose)

    async def __aenter__(self) -> Self:
        from orchestra.dispatch.under_way import running_task

        running_task()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
