"""EscalationMiddleware: an agent of LangChain's `create_agent` whose model calls go through an app.

    create_agent(model, tools, middleware=[EscalationMiddleware(app, step="research")])

Every turn starts at the step's own tier. A reply that does not pass its checks never enters `state["messages"]`: it is
asked again or of a stronger model. Where a tool failed, recovery's table says who goes on; after a turn in which none
did, the step is back at its own tier.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from typing import Annotated, Any, NotRequired, TypeAlias, Unpack, cast

from langchain.agents.middleware import AgentMiddleware, AgentState, ExtendedModelResponse, ModelRequest, ModelResponse
from langchain.agents.middleware.types import PrivateStateAttr, ToolCallRequest
from langchain.agents.structured_output import AutoStrategy, ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableBinding
from langgraph import errors
from langgraph.config import get_config
from langgraph.runtime import Runtime
from langgraph.types import Command
from typing_extensions import override

from orchestra.app import Orchestra
from orchestra.checks import no_progress
from orchestra.integrations.langchain import ChatOrchestra
from orchestra.integrations.langchain_schemas import Forms, is_model, judged_by
from orchestra.integrations.langchain_tools import LangChainTool, ToolEndedBadly
from orchestra.runtime.options import NodeOptions, as_step, check_step
from orchestra.runtime.scope import AtCap
from orchestra.runtime.turns import Carried, Turn, Turns
from orchestra.toolbox.result import one_line
from orchestra.types import Step, ToolCall, ToolSpec, Trigger, Verdict, from_json, to_json

STATE, TRIGGER, ACTED = "orchestra", "orchestra_trigger", "orchestra_acted"
"""What is ours: a channel of the agent's state, and two keys in `additional_kwargs` of a result that is an error."""

Result: TypeAlias = "ToolMessage | Command[Any]"


class EscalationState(AgentState[Any]):
    """What the agent's state holds for the middleware: plain JSON, in checkpoints, in neither input nor output."""

    orchestra: NotRequired[Annotated[dict[str, Any], PrivateStateAttr]]


class EscalationMiddleware(AgentMiddleware[EscalationState, Any, Any]):
    """Serves the agent's model calls through `app`, whichever model the agent was given.

    `step` is a name or a Step. Options are those of `app.node`, but that `budget` is USD for a thread and `deadline`
    seconds for a turn; `at_cap` "pause" interrupts the graph until a person raises the budget (`Command(resume=0.5)`,
    the new cap), where it has a checkpointer; a turn that they decline stays declined until they answer anew, `budget`
    is larger or a new message comes. All turns of a thread are one run in the ledger. What a tool raises becomes its
    result, an error that the model reads. Raises ConfigError; a turn for which no model is left raises the CallError
    that ended it.
    """

    state_schema = EscalationState

    def __init__(
        self, app: Orchestra, *, step: str | Step, at_cap: AtCap = "fail", **options: Unpack[NodeOptions]
    ) -> None:
        super().__init__()
        if isinstance(step, str):
            check_step(step, app.policies)
        self.app = app
        self.turns = Turns(app.engine, self.name, as_step(step), options, at_cap)
        self.model = app.chat_model()

    @override
    def before_agent(self, state: EscalationState, runtime: Runtime[Any]) -> dict[str, Any]:
        """A thread's run begins, or goes on."""
        return _update(self.turns.begin(_task(state["messages"]), _carried(state)))

    @override
    async def abefore_agent(self, state: EscalationState, runtime: Runtime[Any]) -> dict[str, Any]:
        """As `before_agent`."""
        return self.before_agent(state, runtime)

    @override
    def after_agent(self, state: EscalationState, runtime: Runtime[Any]) -> None:
        """The agent has its answer."""
        if carried := _carried(state):
            messages = state["messages"]
            self.turns.end(carried, messages[-1].text if messages else "")

    @override
    async def aafter_agent(self, state: EscalationState, runtime: Runtime[Any]) -> None:
        """As `after_agent`."""
        self.after_agent(state, runtime)

    @override
    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ExtendedModelResponse[Any]:
        """One turn, served by the app. Raises CallError; GraphInterrupt where a person has to raise the budget."""
        turn, response = self._turn(request), None
        while response is None:
            with turn.tried(), judged_by(_forms(request.response_format)):
                response = handler(self._served(request))
        return _answered(turn, response)

    @override
    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ExtendedModelResponse[Any]:
        """As `wrap_model_call`."""
        turn, response = self._turn(request), None
        while response is None:
            with turn.tried(), judged_by(_forms(request.response_format)):
                response = await handler(self._served(request))
        return _answered(turn, response)

    @override
    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Result]) -> Result:
        """One call of a tool: recorded, and its failure a result that counts as a trigger."""
        with self._made(request) as made:
            made.result = handler(made.request)
        return made.told()

    @override
    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Result]]
    ) -> Result:
        """As `wrap_tool_call`."""
        with self._made(request) as made:
            made.result = await handler(made.request)
        return made.told()

    def _turn(self, request: ModelRequest[Any]) -> Turn:
        carried = _carried(request.state) or self.turns.begin(_task(request.messages))
        asks = get_config().get("configurable", {}).get("__pregel_checkpointer") is not None
        shown = request.state["messages"]  # what became of the calls; other middleware may ask with other messages
        return self.turns.open(carried, _failed(shown), asks=asks, unsound=_unsound(shown))

    def _served(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        """The request for the agent's own model where it is this app's, with its settings; the step is the turn's."""
        given, bindings = _unbound(request.model)
        if not isinstance(given, ChatOrchestra) or given.app is not self.app:
            return request.override(model=self.model)
        model = given.of_a_turn(bindings)  # create_agent's own binding would leave out their configs
        return request.override(model=model, model_settings={**_settings(bindings), **request.model_settings})

    @contextmanager
    def _made(self, request: ToolCallRequest) -> Generator[_Made]:
        made, carried = _Made(request), _carried(request.state)
        if carried is not None:
            self.turns.tool_started(carried, made.call, made.spec)
        try:
            yield made
        except BaseException as error:
            if _leaves(error):
                if carried is not None:
                    self.turns.left(carried, error)
                raise
            made.fail(cast("Exception", error))
        if carried is not None:
            self.turns.tool_ended(carried, made.call, made.trigger, made.seconds, made.text)
            if made.leaves:
                self.turns.hand_over(carried)  # after_agent will not come


# an older langgraph has no answers that can be invalid
_is_invalid_resume: Callable[[BaseException], bool] = getattr(errors, "is_invalid_resume", lambda _: False)


def _leaves(error: BaseException) -> bool:
    """Whether no tool failed: a person is asked, or has to answer again, or the caller stopped."""
    return not isinstance(error, Exception) or isinstance(error, errors.GraphBubbleUp) or _is_invalid_resume(error)


def _unbound(given: Any) -> tuple[Any, Sequence[RunnableBinding[Any, Any]]]:
    """The model in its bindings, and these, the outermost first."""
    bindings: list[RunnableBinding[Any, Any]] = []
    while isinstance(given, RunnableBinding):
        bindings.append(cast("RunnableBinding[Any, Any]", given))
        given = bindings[-1].bound
    return given, bindings


def _settings(bindings: Sequence[RunnableBinding[Any, Any]]) -> dict[str, Any]:
    """The settings that bindings say; what a turn asks for is the agent's to say."""
    said = {name: value for one in reversed(bindings) for name, value in one.kwargs.items()}
    return {name: value for name, value in said.items() if name not in _OF_THE_TURN}


_OF_THE_TURN = frozenset({"step", "tools", "tool_choice", "output", "response_format"})


class _Made:
    """One call being made: what is called, how long it takes, how it ends."""

    def __init__(self, request: ToolCallRequest) -> None:
        said = request.tool_call
        self.call = ToolCall(said["id"] or "", said["name"], said["args"])
        self.spec = ToolSpec(said["name"], "", {})
        self.request = request
        self.result: Result | None = None
        self._raised: Trigger | None = None
        if isinstance(request.tool, LangChainTool):  # told apart here, and shown to the model as it would show it
            self.spec = request.tool.orchestra_tool.spec
            self.request = request.override(tool=request.tool.raising())
        self._started = time.perf_counter()

    @property
    def trigger(self) -> Trigger | None:
        """Why it failed, if it did: LangChain makes an error of its own where arguments do not fit, or a tool asks."""
        failed = self._message is not None and self._message.status == "error"
        return (self._raised or Trigger.tool_error) if failed else None

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.perf_counter() - self._started

    @property
    def leaves(self) -> bool:
        """Whether the agent is left for another one."""
        return isinstance(self.result, Command) and self.result.graph == Command.PARENT

    @property
    def text(self) -> str:
        """What the model reads."""
        return self._message.text if self._message else ""

    @property
    def _message(self) -> ToolMessage | None:
        """The call's result; a tool may give it within a Command."""
        shown = [self.result] if isinstance(self.result, ToolMessage) else _messages_of(self.result)
        return next((one for one in shown if isinstance(one, ToolMessage) and one.tool_call_id == self.call.id), None)

    def fail(self, error: Exception) -> None:
        """What was raised becomes the result."""
        bad = isinstance(error, ToolEndedBadly)
        text = str(error) if bad else one_line(error)
        self._raised = error.trigger if bad else None
        self.result = ToolMessage(text, tool_call_id=self.call.id, name=self.call.name, status="error")

    def told(self) -> Result:
        """The result, an error with its trigger: by it the next turn tells it from what a person has refused."""
        assert self.result is not None
        trigger, message = self.trigger, self._message
        if trigger is None or message is None:
            return self.result
        marked = _marked(message, trigger, acted=not (trigger is Trigger.tool_rejected or self.spec.read_only))
        if isinstance(self.result, ToolMessage):
            return marked
        messages = [marked if one is message else one for one in _messages_of(self.result)]
        return replace(self.result, update={**cast("dict[str, Any]", self.result.update), "messages": messages})


def _messages_of(result: Command[Any] | None) -> Sequence[Any]:
    """The messages that a Command adds to the agent's state."""
    update: Any = result.update if result else None
    messages = cast("dict[str, Any]", update).get("messages") if isinstance(update, dict) else None
    return cast("list[Any]", messages) if isinstance(messages, list) else []


def _forms(wanted: Any) -> Forms:
    """The pydantic models that the agent's structured answer may be in, by the names that LangChain gives them."""
    if wanted is None:
        return {}
    strategy = isinstance(wanted, AutoStrategy | ToolStrategy | ProviderStrategy)
    said = ToolStrategy(cast("Any", wanted).schema if strategy else wanted).schema_specs
    return {one.name: one.schema for one in said if is_model(one.schema)}


def _marked(message: ToolMessage, trigger: Trigger, *, acted: bool) -> ToolMessage:
    """The message of a failure; `acted`: it may have had an effect."""
    own = message.additional_kwargs | {TRIGGER: trigger.value, ACTED: acted}
    return message.model_copy(update={"additional_kwargs": own})


def _failed(messages: Sequence[BaseMessage]) -> Verdict:
    """What the tools that were called last have shown."""
    last = list(takewhile(lambda one: isinstance(one, ToolMessage), reversed(messages)))
    if last and not (stuck := no_progress(_told(messages))).accepted:
        return stuck
    bad = [one for one in reversed(last) if TRIGGER in one.additional_kwargs]
    if not bad:
        return Verdict()
    return Verdict(Trigger(bad[0].additional_kwargs[TRIGGER]), tuple(one.text for one in bad))


def _told(messages: Sequence[BaseMessage]) -> list[tuple[ToolCall, str]]:
    """The last calls of the task that one and the same model made, with their results."""
    calls: dict[str | None, ToolCall] = {}
    told: list[tuple[ToolCall, str]] = []
    server: str | None = None
    task = list(takewhile(lambda one: not isinstance(one, HumanMessage), reversed(messages)))
    for one in reversed(task):
        if isinstance(one, AIMessage):
            before, server = server, one.response_metadata.get("model_name")
            told = told if server == before else []
            calls |= {call["id"]: ToolCall(call["id"] or "", call["name"], call["args"]) for call in one.tool_calls}
        elif isinstance(one, ToolMessage) and one.tool_call_id in calls:
            told.append((calls[one.tool_call_id], one.text))
    return told


def _unsound(messages: Sequence[BaseMessage]) -> frozenset[str]:
    """The calls of the turns at the end in which every call failed without any effect."""
    found: set[str] = set()
    results: set[str] = set()
    for one in reversed(messages):
        if isinstance(one, ToolMessage) and one.additional_kwargs.get(ACTED) is False:
            results.add(one.tool_call_id)
        elif isinstance(one, AIMessage) and results:
            found, results = found | results, set()
        else:
            break
    return frozenset(found)


def _answered(turn: Turn, response: ModelResponse[Any]) -> ExtendedModelResponse[Any]:
    """The response; a structured answer that LangChain has refused counts as a failed call."""
    assert turn.after is not None
    if response.structured_response is None:
        response.result = [
            _marked(one, Trigger.bad_output, acted=False) if isinstance(one, ToolMessage) else one
            for one in response.result
        ]
    return ExtendedModelResponse(response, Command(update=_update(turn.after)))


def _carried(state: Any) -> Carried | None:
    kept = state.get(STATE)
    return from_json(Carried, kept) if kept else None


def _update(carried: Carried) -> dict[str, Any]:
    return {STATE: cast("Any", to_json(carried))}


def _task(messages: Sequence[BaseMessage]) -> str:
    """What the user asked last."""
    return next((one.text for one in reversed(messages) if isinstance(one, HumanMessage)), "")
