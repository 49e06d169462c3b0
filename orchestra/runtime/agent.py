"""The compiled graph users hold: LangGraph's own, with runs that are claimed, resumed, forked and recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Self, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.constants import START
from langgraph.errors import GraphBubbleUp
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StateSnapshot

from orchestra.errors import ConfigError, OrchestraError, RunOwned
from orchestra.ledger import new_run_id
from orchestra.runtime.checkpoints import Checkpoints
from orchestra.runtime.fork import fork
from orchestra.runtime.portal import Portal, refuse_in_loop
from orchestra.runtime.reopen import reopen
from orchestra.runtime.runs import Runs
from orchestra.runtime.state import FRESH, INPUT, RunState
from orchestra.runtime.threads import Thread, claim

_NESTED = "__pregel_"  # LangGraph's own keys in a configuration: the graph runs inside another


@dataclass(frozen=True, slots=True)
class Entrance:
    """What LangGraph is given, where, and for which run ("" where there is none to go on with).

    `resumes`: the input asks for the run to go on, which is no input of LangGraph's.
    """

    given: Any
    config: RunnableConfig | None
    run: str
    resumes: bool = False


class Agent(CompiledStateGraph[Any, Any, Any, Any]):
    """A compiled LangGraph graph: input `{"task": …}`, output plain JSON; see `Orchestra.planner_executor`.

    `{"run": RUN}` alone resumes a run: one that a crash or a question interrupted goes on, one that failed tries what
    failed again, one that is done gives its answer. `answers`, by question id, are what people say to its questions.
    With `changed`, a text, what is not finished is planned anew.
    """

    def __init__(self, *, runs: Runs, checkpoints: Checkpoints, portal: Portal, **compiled: Any) -> None:
        self.checkpoints = checkpoints
        self._saver: Any = None
        super().__init__(**compiled)
        self.runs = runs
        self.portal = portal

    @property
    def checkpointer(self) -> Any:
        """The saver that was set, else the app's own in the running event loop: a graph may be built outside of one."""
        return self._saver or self.checkpoints.saver()

    @checkpointer.setter
    def checkpointer(self, saver: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]  # LangGraph has an attribute there
        self._saver = saver

    def copy(self, update: dict[str, Any] | None = None) -> Self:
        """As LangGraph's, which `with_config` calls; a saver that was set goes along unless `update` holds another."""
        copied: Any = super().copy(update)
        copied.checkpointer = (update or {}).get("checkpointer", self._saver)
        return copied

    async def astream(
        self,
        input: Any,  # noqa: A002  # LangGraph's own name, callers pass it by keyword
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        """As LangGraph's; `stream_mode="custom"` yields the run's ledger rows (typed events) while it runs.

        A run without an id gets one, and a thread of its own where the config names none. One whose config names an
        older checkpoint is a fork: a run of its own that keeps what was finished there. A cancelled or broken run gets
        its `run_ended` before the exception goes on. Raises RunOwned where another process is at work on the run, or on
        another run of the thread that the config names.
        """
        if self.checkpoints.path is not None and options.get("durability") is None:
            options["durability"] = "async"  # LangGraph's ainvoke passes None on; "exit" would run everything again
        config = merge_configs(self.config, config) if self.config else config  # what with_config bound
        with await self._alone(input, config) as thread:
            async with aclosing(self._astream(input, config, **options)) as chunks:
                with thread.watched() if thread else nullcontext():
                    async for chunk in chunks:
                        yield chunk

    async def _astream(self, given: Any, config: RunnableConfig | None, **options: Any) -> AsyncGenerator[Any]:
        way = await self._entrance(given, config)
        if way.run:
            self.runs.enter(way.run, heard=_is_nested(config) or "custom" in (options.get("stream_mode") or "custom"))
        run, graph, under_way = way.run, cast("Any", super()), self.runs.engine.dispatcher.under_way
        try:
            given, config = await self._reopened(way) if way.resumes else (way.given, way.config)
            async for chunk in under_way.each(graph.astream(given, config, **options), run):
                yield chunk
            self.runs.forget(run)  # not before the last checkpoint is safe: a resume from the one before needs it
        except GraphBubbleUp:  # a question inside another graph: that one pauses
            raise
        except BaseException as end:
            left = isinstance(end, asyncio.CancelledError | GeneratorExit)
            said = str(end) if isinstance(end, OrchestraError) else f"{type(end).__name__}: {end}".removesuffix(": ")
            reason = "cancelled by the caller" if left else said
            self.runs.abandon(run, "cancelled" if left else "failed", reason)
            raise
        finally:
            self.runs.leave(run)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Any:  # noqa: A002  # LangGraph's own name
        """As LangGraph's, whose own types are partly unknown to strict checking."""
        graph: Any = super()
        return await graph.ainvoke(input, config, **options)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Any:  # noqa: A002  # LangGraph's own name
        """`ainvoke` for synchronous code. Raises SyncInLoop inside a running event loop."""
        graph: Any = self
        return self.portal.run("invoke", lambda: graph.ainvoke(input, config, **options))

    def stream(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Iterator[Any]:  # noqa: A002  # LangGraph's own name
        """`astream` for synchronous code. Raises SyncInLoop inside a running event loop."""
        refuse_in_loop("stream")
        return self.portal.iterate("stream", lambda: self.astream(input, config, **options))

    def get_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """`aget_state` for synchronous code. Raises SyncInLoop inside a running event loop."""
        return self.portal.run("get_state", lambda: self.aget_state(config, subgraphs=subgraphs))

    def get_state_history(self, config: RunnableConfig, **options: Any) -> Iterator[StateSnapshot]:
        """`aget_state_history` for synchronous code. Raises SyncInLoop inside a running event loop."""
        refuse_in_loop("get_state_history")
        return self.portal.iterate("get_state_history", lambda: self.aget_state_history(config, **options))

    def update_state(
        self, config: RunnableConfig, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> RunnableConfig:
        """`aupdate_state` for synchronous code. Raises SyncInLoop inside a running event loop."""
        return self.portal.run("update_state", lambda: self.aupdate_state(config, values, as_node, task_id))

    async def _alone(self, given: Any, config: RunnableConfig | None) -> AbstractContextManager[Thread | None]:
        """The run's thread, for as long as it is at work there: a second one would hide it.

        A run without an id makes one that nobody else knows, and needs none. Raises RunOwned where one is at work.
        """
        place = _place(given, config)
        own = _configurable(place)
        if "thread_id" not in own or _is_nested(place) or not self.checkpointer:
            return nullcontext()
        ledger = self.runs.engine.ledger
        try:
            return await claim(ledger, own["thread_id"], self._saver)
        except RunOwned:
            if run := await self._kept(_merged(place, checkpoint_id=None)):
                ledger.claim(run).release()  # the owner is told by the run's own name, where it has one already
            raise

    async def _entrance(self, given: Any, config: RunnableConfig | None) -> Entrance:
        own = _configurable(config)
        nested = _is_nested(config)
        if isinstance(given, Mapping) and not own.get("__pregel_resuming"):
            return await self._begun(dict(cast("Mapping[str, Any]", given)), config, nested=nested)
        if isinstance(given, Command) and not nested:
            await self._check_answer(cast("Command[Any]", given), config)
        if not nested:
            given, config = await self._forked(given, config)
            if isinstance(given, Mapping):  # the run begins again
                return Entrance(given, config, cast("Mapping[str, Any]", given)["run"])
        return Entrance(given, config, await self._kept(config))

    async def _begun(self, given: dict[str, Any], config: RunnableConfig | None, *, nested: bool) -> Entrance:
        _check_keys(given)
        run: Any = given.get("run")
        if run is not None and not isinstance(run, str):
            raise ConfigError(f"run: expected a run's id, a text, got {run!r}")
        if "task" not in given and run:
            return Entrance(given, _with_thread(config, run), run, resumes=True)
        for key in ("changed", "answers"):
            if given.get(key):
                raise ConfigError(f"{key}: it goes with the 'run' that is to go on, not with a new 'task'")
        # in another graph's state an earlier task of the same thread has left its run
        fresh = {**FRESH, **given, "run": new_run_id() if nested or not run else run}
        place = _with_thread(config, fresh["run"])
        named = not nested and (run or "thread_id" in _configurable(config))
        if named and await self._is_known(fresh, place):
            return Entrance(given, place, fresh["run"], resumes=True)
        return Entrance(fresh, place, fresh["run"])

    async def _is_known(self, given: Mapping[str, Any], config: RunnableConfig) -> bool:
        """Whether this very task was begun before under this id; what else its thread holds unfinished is cancelled."""
        found = await self._checkpoint(_merged(config, checkpoint_id=None))
        values = _values(found)
        last, run = values.get("run", ""), given["run"]
        if last == run:
            if values.get("task") == given.get("task"):
                return True
            raise ConfigError(f"run {run} was begun with another task; give this task an id of its own, or none")
        self._end_unfinished(values, "a new task", run)
        return False

    def _end_unfinished(self, last: Mapping[str, Any], what: str, by: str) -> None:
        """The last word on a thread's run that nobody can go on with any more, as run `by` takes its place."""
        if last.get("run") and last.get("state") not in ("done", "failed"):
            self.runs.cancel(last["run"], f"{what}, run {by}, was begun on its thread", by=by)

    async def _check_answer(self, given: Command[Any], config: RunnableConfig | None) -> None:
        """One answer cannot be for several questions. Raises ConfigError naming them."""
        answer: Any = given.resume  # pyright: ignore[reportUnknownMemberType]  # LangGraph's own is partly unknown
        ids = isinstance(answer, dict) and all(map(_is_interrupt, cast("dict[Any, Any]", answer)))
        if answer is None or ids or config is None or not self.checkpointer:
            return
        pending = (await self.aget_state(config)).interrupts
        if len(pending) > 1:
            named = ", ".join(f"{one.value['question']} ({one.id})" for one in pending)
            raise ConfigError(
                f"{len(pending)} questions are pending: {named}; answer by id: Command(resume={{ID: answer, …}}), "
                'or {"run": RUN, "answers": {QUESTION: answer, …}}'
            )

    async def _kept(self, config: RunnableConfig | None) -> str:
        """The run that the thread's last checkpoint belongs to."""
        found = await self._checkpoint(config)
        return _values(found).get("run", "")

    async def _checkpoint(self, config: RunnableConfig | None) -> Any:
        own = _configurable(config)
        saver = own.get("__pregel_checkpointer") or self.checkpointer
        if not saver or "thread_id" not in own:
            return None
        place = {key: own[key] for key in ("thread_id", "checkpoint_ns", "checkpoint_id") if key in own}
        return await saver.aget_tuple({"configurable": {"checkpoint_ns": ""} | place})

    async def _forked(self, given: Any, config: RunnableConfig | None) -> tuple[Any, RunnableConfig | None]:
        """From an older checkpoint a run of its own goes on; the newest one is where its run goes on anyway."""
        own = _configurable(config)
        if config is None or not own.get("checkpoint_id"):
            return given, config
        newest = _merged(config, checkpoint_id=None)
        last = await self._checkpoint(newest)
        if last is not None and last.config["configurable"]["checkpoint_id"] == own["checkpoint_id"]:
            return given, newest
        if isinstance(given, Command):
            raise ConfigError("an older checkpoint's questions are asked anew: resume from it with None, then answer")
        state, run = await self.aget_state(config), new_run_id()
        self._end_unfinished(_values(last), "a fork", run)
        if state.next == (START,):  # before the first node there is no state to change yet, only the input
            old = _values(await self._checkpoint(config))
            return {**old, "run": run, "forked": old["run"]}, newest
        before = {"plan": START, "execute": "plan"}.get(next(iter(state.next), ""), "execute")
        changed = await self.aupdate_state(config, fork(state, run), as_node=before)
        return None, _merged(changed, checkpoint_id=None)

    async def _reopened(self, way: Entrance) -> tuple[Command[Any] | dict[str, Any] | None, RunnableConfig]:
        """A resume as LangGraph knows it: answers, or None once what failed was put back to be tried again."""
        config, given = way.config or {}, way.given
        state = await self.aget_state(config) if self.checkpointer else None
        values = state.values if state else {}
        kept = await self._kept(config)
        if state is None or kept != way.run:
            known = f"the run of this thread is {kept}" if kept else "no checkpoint of it is kept here"
            raise ConfigError(f"run {way.run} cannot be resumed: {known}; give the thread_id it had, or begin anew")
        limits = {key: given[key] for key in ("mode", "budget", "deadline", "feature") if given.get(key) is not None}
        if given.get("answers"):
            if limits or given.get("changed"):
                others = ", ".join([*limits, *(["changed"] if given.get("changed") else [])])
                raise ConfigError(f"answers go by themselves; give {others} in a call of its own, before or after")
            return _resume(way, state.interrupts), _merged(config, checkpoint_id=None)
        if state.next == (START,):  # it died before its first node began: its input is all there is
            found = await self._checkpoint(config)
            return found.checkpoint["channel_values"][START] | limits, config
        again = not state.next and values.get("state") == "failed"
        looked = not state.next and bool(values.get("plan_only"))  # at the plan; now it is to be carried out
        # what changed before and is not planned for yet has changed all the same
        changed = "\n".join(dict.fromkeys(filter(None, (values.get("changed"), given.get("changed")))))
        if given.get("changed") or again or looked or limits:
            ended: dict[str, Any] = values.get("steps", {})
            failed = _failed(values) if again and not changed else set[str]()
            for sid in failed:
                reopen(self.runs.recorder(way.run), sid)
            steps = {sid: one for sid, one in ended.items() if sid not in failed}
            heard = _heard(await self._checkpoint(config))
            anew: dict[str, Any] = {
                "changed": changed or None,
                "plan_only": False,
                "steps": steps,
                "questions": [],
                "answers": heard["answers"] | (_to_ask_again(values) if again else {}),
                "state": "",
                "reason": "",
                "answer": None,
                "missing": [],
                "partial": "",
            }
            place = "plan" if values.get("plan") else "__start__"
            config = await self.aupdate_state(config, heard | limits | anew, as_node=place)
        return None, _merged(config, checkpoint_id=None)


def _failed(values: Mapping[str, Any]) -> set[str]:
    """The steps to try again. That an optional one failed stands: others have gone on without its result."""
    optional = {one["id"] for one in (values.get("plan") or {"steps": ()})["steps"] if not one["critical"]}
    return {sid for sid, one in values.get("steps", {}).items() if one["state"] != "done" and sid not in optional}


def _heard(found: Any) -> dict[str, Any]:
    """What people have answered of questions that are still asked together: answers, and maybe a new cap.

    LangGraph keeps it beside the checkpoint until all of them are answered; a checkpoint that is changed loses it.
    """
    heard: dict[str, Any] = {"answers": {}}
    for _, channel, value in found.pending_writes or ():
        if channel == "answers":
            heard["answers"].update(value)
        elif channel == "budget":
            heard["budget"] = value
    return heard


def _is_interrupt(key: object) -> bool:
    """Whether LangGraph takes the key of a resume for an interrupt's id."""
    return isinstance(key, str) and len(key) == 32 and not key.strip("0123456789abcdef")


def _to_ask_again(values: Mapping[str, Any]) -> dict[str, None]:
    """The questions that people answered by ending a step."""
    return {name: None for name, one in values["answers"].items() if one["decision"] == "fail"}


def _resume(way: Entrance, pending: Sequence[Any]) -> Command[Any]:
    """People's answers, by question, as LangGraph wants them: by interrupt. Raises ConfigError for other questions."""
    asked = {one.value["question"]: one.id for one in pending}
    given: Mapping[str, Any] = way.given["answers"]
    for name in given:
        if name not in asked:
            known = ", ".join(asked) or "none"
            raise ConfigError(f"run {way.run} has no pending question {name!r}; pending: {known}")
    return Command(resume={asked[name]: answer for name, answer in given.items()})


def _check_keys(given: Mapping[str, Any]) -> None:
    """A misspelt limit would be no limit at all; a parent graph's other keys are its own business."""
    for key in given.keys() - RunState.__annotations__.keys():
        for near in get_close_matches(key, INPUT, n=1, cutoff=0.75):
            raise ConfigError(f"an agent's input has no {key!r}; did you mean {near!r}? known: {', '.join(INPUT)}")


def _values(found: Any) -> dict[str, Any]:
    """A checkpoint's state; the input, until the first node has ended."""
    values: dict[str, Any] = found.checkpoint["channel_values"] if found else {}
    return values.get(START, values)


def _is_nested(config: RunnableConfig | None) -> bool:
    return any(key.startswith(_NESTED) for key in _configurable(config))


def _configurable(config: RunnableConfig | None) -> dict[str, Any]:
    return (config or {}).get("configurable") or {}


def _merged(config: RunnableConfig, **more: Any) -> RunnableConfig:
    own = {key: value for key, value in (_configurable(config) | more).items() if value is not None}
    return cast("RunnableConfig", {**config, "configurable": own})


def _place(given: Any, config: RunnableConfig | None) -> RunnableConfig:
    """The configuration with the thread that the input's run has, where neither names another."""
    run = cast("Mapping[str, Any]", given).get("run") if isinstance(given, Mapping) else None
    return _with_thread(config, run) if isinstance(run, str) and run else (config or {})


def _with_thread(config: RunnableConfig | None, run: str) -> RunnableConfig:
    return _merged(config or {}, **({"thread_id": run} | _configurable(config)))
