"""CrewAI: agents, planners and managers ask the app for every reply, each under a step of its own.

    llm = OrchestraLLM(app)
    Agent(role="Researcher", …, llm=llm)

Bad calls are judged before CrewAI sees them; what a tool failed with takes the next turn up the ladder.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar, cast

from crewai.agents.agent_builder import base_agent
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.llm_events import LLMCallCompletedEvent, LLMCallType
from crewai.hooks.dispatch import HookAborted
from crewai.llms.base_llm import BaseLLM, LLMCallBlockedError, get_current_call_id, llm_call_context
from crewai.tools.tool_failure import collect_tool_failures
from crewai.utilities.exceptions.context_window_exceeding_exception import LLMContextLengthExceededError
from crewai.utilities.serialization import to_serializable
from pydantic import BaseModel, Field
from typing_extensions import override

from orchestra import types as t
from orchestra.app import LEDGER, Orchestra
from orchestra.errors import CallError, ConfigError, NoCandidate, Refused
from orchestra.integrations.crewai_messages import from_crewai, metered, parts_of, streamed, tools_of, written
from orchestra.integrations.crewai_steps import asking, step_of
from orchestra.integrations.tested import warn_untested
from orchestra.recovery import failures
from orchestra.runtime.options import NodeOptions, check_names, check_step, limits_of

if TYPE_CHECKING:
    from crewai.agents.agent_builder.base_agent import BaseAgent
    from crewai.task import Task
    from crewai.utilities.types import LLMMessage

warn_untested("CrewAI", "crewai", ">=1.15.30,<1.16")

__all__ = ["FLEET", "OrchestraLLM"]

FLEET = "ORCHESTRA_FLEET"
"""The environment variable of the fleet.toml for an LLM that CrewAI makes itself, from a checkpoint of a crew."""

_TYPE = "orchestra"
_REGISTERED: dict[str, str] = vars(base_agent).get("_LLM_TYPE_REGISTRY", {})
_REGISTERED[_TYPE] = f"{__name__}.OrchestraLLM"  # CrewAI has no other way to read an LLM of ours from a checkpoint

T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Any])


def _retried_by_the_app(method: Method) -> Method:
    """Marked as retried, because it is: CrewAI would ask three more times for what the app has given up."""
    method.__dict__["_crewai_rate_limit_wrapped"] = True
    return method


class OrchestraLLM(BaseLLM):
    """An app as the LLM of CrewAI's agents, crews, planners, managers and memories; one instance may serve them all.

    The step of a call is `step`, else one named like the task, or like the agent's role where the task has no name; its
    kind is "plan" for what plans, "manage" for a crew's manager, "act" otherwise, its tag the role. `limits` hold for
    each call (`mode`, `budget` in USD, `tenant`, `deadline` in seconds …), `additional_params` are a provider's own by
    namespace (`{"anthropic.top_k": 5}`).

    Each agent of a crew gets an account of its own, so that the crew's usage counts nothing twice; this instance's
    summary tells all that went through it. Tokens are those of every attempt. The app stays yours to close.
    """

    llm_type: str = _TYPE
    app: Any = Field(default=None, exclude=True, repr=False)
    step: str | None = None
    limits: dict[str, Any] = Field(default_factory=dict)

    def __init__(self, app: Orchestra | None = None, **settings: Any) -> None:
        """`settings` are `step`, CrewAI's own (`temperature`, `max_tokens`, `seed`, `stop`, `stream`) and limits.

        Raises ConfigError for another one, for a limit that makes no sense, and for a step that looks like a
        misspelling of one that a rule speaks of.
        """
        app = app or _from_environment()
        given = {name: value for name, value in settings.items() if value is not None and name != "provider"}
        limits = given.pop("limits", {}) | {name: given.pop(name) for name in _LIMITS & given.keys()}
        check_names(limits, _LIMITS, "OrchestraLLM")
        limits_of(cast("NodeOptions", limits))  # a limit that makes no sense is told now, not when a crew runs
        check_names(given, _SETTINGS, "OrchestraLLM")
        if (step := given.get("step")) is not None:
            check_step(step, app.policies)
        own: dict[str, Any] = {"model": f"orchestra/{step}" if step else "orchestra", "app": app, "limits": limits}
        if (model := given.get("model", own["model"])) != own["model"]:
            raise ConfigError(f"OrchestraLLM: model {model!r} is the fleet's to choose; leave it out, or write step=…")
        super().__init__(**given | own, provider="orchestra")
        self._whole: OrchestraLLM | None = None
        self._is_account = False

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        """Raises ConfigError for what the constructor refuses: no call would heed it."""
        if name in BaseLLM.model_fields and value is not None:
            check_names({name: value}, _SETTINGS, "OrchestraLLM")
        super().__setattr__(name, value)

    def __copy__(self) -> OrchestraLLM:
        """The same LLM with an account of its own, which this one's contains; an agent's is the agent's alone."""
        return self._contained(super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> OrchestraLLM:
        """As `__copy__`, and settings that can be changed without this one's; the app is the same."""
        known = {} if memo is None else memo
        known |= {id(one): one for one in (self.app, self._whole)}
        return self._contained(super().__deepcopy__(known))

    def _contained(self, twin: OrchestraLLM) -> OrchestraLLM:
        twin._token_usage = dict.fromkeys(self._token_usage, 0)  # of the same class
        twin._whole = self._whole if self._is_account else self
        twin._is_account = False
        return twin

    @_retried_by_the_app
    @override
    def call(
        self,
        messages: str | list[LLMMessage],
        tools: list[dict[str, Any]] | None = None,
        callbacks: list[Any] | None = None,
        available_functions: dict[str, Any] | None = None,
        from_task: Task | None = None,
        from_agent: BaseAgent | None = None,
        response_model: type[BaseModel] | None = None,
    ) -> str | Any:
        """One judged reply: text, calls for CrewAI's executor, or an instance of `response_model`.

        Raises a CallError with `attempts`, CrewAI's LLMContextLengthExceededError where the history fits no model, and
        SyncInLoop inside a running event loop.
        """
        asked = (messages, tools, callbacks, available_functions, from_task, from_agent, response_model)
        with self._opened(*asked) as call:
            if not self._effective_stream():
                run = self.app.portal.run
                return self._answer(call, run("call", lambda: self.app.complete(call.messages, **call.options)))
            events = self.app.portal.iterate("call", lambda: self.app.stream(call.messages, **call.options))
            with closing(events):
                (end,) = [event for event in events if not self._told(call, event)]
            return self._answer(call, end.reply)

    @_retried_by_the_app
    @override
    async def acall(
        self,
        messages: str | list[LLMMessage],
        tools: list[dict[str, Any]] | None = None,
        callbacks: list[Any] | None = None,
        available_functions: dict[str, Any] | None = None,
        from_task: Task | None = None,
        from_agent: BaseAgent | None = None,
        response_model: type[BaseModel] | None = None,
    ) -> str | Any:
        """As `call`, inside an event loop."""
        asked = (messages, tools, callbacks, available_functions, from_task, from_agent, response_model)
        with self._opened(*asked) as call:
            if not self._effective_stream():
                return self._answer(call, await self.app.complete(call.messages, **call.options))
            events = cast("AsyncGenerator[Any]", self.app.stream(call.messages, **call.options))
            async with aclosing(events):
                (end,) = [event async for event in events if not self._told(call, event)]
            return self._answer(call, end.reply)

    @contextmanager
    def _opened(
        self,
        messages: str | list[LLMMessage],
        tools: list[Any] | None,
        callbacks: list[Any] | None,
        functions: dict[str, Any] | None,
        task: Task | None,
        agent: BaseAgent | None,
        output: type[BaseModel] | None,
    ) -> Generator[_Call]:
        """A call between its first and its last event; a denial and a failure are told as such."""
        said, offered = self._format_messages(messages), tools_of(tools or ())
        work, payer = asking(self, task, agent, callbacks)  # events and hooks are told what CrewAI said
        with llm_call_context():
            self._emit_call_started_event(
                messages, tools, available_functions=functions, from_task=task, from_agent=agent
            )
            try:
                self._invoke_before_llm_call_hooks(said, agent)
                read = from_crewai(cast("Any", said), collect_tool_failures(payer))
                step = self.step or step_of(work, payer, offered)
                asked = {"step": step, "tools": offered, "failures": failures(read), "output": output}
                once = {"parallel_tools": False} if functions else {}  # CrewAI has one function run here and now
                yield _Call(said, read, self._settings() | once | asked, functions or {}, task, agent, payer)
            except (HookAborted, LLMCallBlockedError) as denial:
                self._emit_call_denied_event(denial, task, agent)
                raise
            except BaseException as error:  # a call that was cancelled has ended, too
                if isinstance(error, CallError):
                    self._count(error.attempts, payer, answered=False)
                self._emit_call_failed_event(str(error) or type(error).__name__, task, agent)
                if _overflowed(error):
                    raise LLMContextLengthExceededError(str(error)) from error
                raise

    def _settings(self) -> dict[str, Any]:
        """What each call of this instance says to the app."""
        own = {
            "temperature": self.temperature,
            "max_tokens": self.max_tokens and int(self.max_tokens),
            "seed": self.seed,
            # the words that end CrewAI's text format are of no use to a native call, and reasoning models refuse any
            "stop": self.stop if self.supports_function_calling() else self.stop_sequences,
            "extra": self.additional_params,
        }
        return {name: value for name, value in own.items() if value is not None} | self.limits

    def _told(self, call: _Call, event: t.StreamEvent) -> bool:
        """Pass a stream's event on to CrewAI; False for the last one, which has the reply."""
        match event:
            case t.TextDelta(text):
                self._emit_stream_chunk_event(text, call.task, call.agent, call_type=LLMCallType.LLM_CALL)
            case t.ReasoningDelta(text):
                self._emit_thinking_chunk_event(text, call.task, call.agent)
            case t.End(reply):
                for place, wish in enumerate(reply.tool_calls):
                    told = streamed(wish) | {"index": place}
                    self._emit_stream_chunk_event(written(wish), call.task, call.agent, told, LLMCallType.TOOL_CALL)
            case _:
                pass
        return not isinstance(event, t.End)

    def _answer(self, call: _Call, reply: t.Reply) -> Any:
        """The reply as CrewAI takes it, counted and announced."""
        if call.functions and len(reply.tool_calls) > 1:
            raise _too_many(reply)
        self._count(reply.attempts, call.payer)
        if reply.tool_calls and call.functions:
            return self._run(call, reply)
        if reply.tool_calls:
            return self._completed(call, parts_of(reply), reply)
        if reply.output is not None:
            return self._completed(call, reply.output, reply)
        text = self._invoke_after_llm_call_hooks(call.said, self._apply_stop_words(reply.text), call.agent)
        return self._completed(call, text, reply)

    def _run(self, call: _Call, reply: t.Reply) -> str:
        """What CrewAI's own function says to the call; the reply's text where it failed, as with CrewAI's LLMs."""
        wish, functions = reply.tool_calls[0], dict(call.functions)
        token = _RUNNING.set((call, reply))
        try:
            said = self._handle_tool_execution(wish.name, dict(wish.arguments or {}), functions, call.task, call.agent)
        finally:
            _RUNNING.reset(token)
        return reply.text if said is None else said  # CrewAI has announced either end

    @override
    def _emit_call_completed_event(self, response: Any, *args: Any, **options: Any) -> None:
        """The end of a call whose function CrewAI has run: it does not know who served, and for how many tokens."""
        call, reply = _RUNNING.get()
        self._completed(call, response, reply)

    def _completed(self, call: _Call, said: T, reply: t.Reply) -> T:
        """CrewAI's last event of a call, with the model that really served."""
        event = LLMCallCompletedEvent(
            messages=cast("Any", to_serializable(call.said)),
            response=to_serializable(said),
            call_type=LLMCallType.TOOL_CALL if reply.tool_calls else LLMCallType.LLM_CALL,
            from_task=call.task,
            from_agent=call.agent,
            model=reply.wire_model or reply.model,
            call_id=get_current_call_id(),
            usage=metered(reply.attempts),
            finish_reason=reply.finish,
            response_id=reply.run,
        )
        crewai_event_bus.emit(self, event=event)
        return said

    def _count(self, attempts: Sequence[t.Attempt], agent: BaseAgent | None, *, answered: bool = True) -> None:
        """Put a call's tokens on the account of the agent, and on all that contain it."""
        if not (usage := metered(attempts)):
            return
        with _ACCOUNTS:
            account = self._account(agent)
            while account is not None:
                for name, count in {**usage, "successful_requests": int(answered)}.items():
                    account._token_usage[name] += count  # noqa: SLF001  # of the same class
                account = account._whole  # noqa: SLF001  # of the same class

    def _account(self, agent: Any) -> OrchestraLLM:
        """The agent's own LLM; agents of a crew that share this one get a copy each: a crew adds up all of theirs."""
        crew = getattr(agent, "crew", None)
        for one in (*crew.agents, crew.manager_agent) if crew and not self._is_account else ():
            if one is not None and one.llm is self:
                one.llm = own = self.__copy__()
                own._is_account = True  # noqa: SLF001  # of the same class
        own = getattr(agent, "llm", None)
        return own if isinstance(own, OrchestraLLM) and own._whole is self else self  # noqa: SLF001  # likewise

    def supports_function_calling(self) -> bool:
        """Whether some model of the fleet can call tools; if so, agents call natively instead of in text."""
        return any(card.capabilities.tools != "none" for card in self.app.fleet.models.values())

    @override
    def get_context_window_size(self) -> int:
        """What CrewAI may fill before it summarises: 85 % of the fleet's largest window, as its own LLMs say."""
        return int(max(card.window for card in self.app.fleet.models.values()) * 0.85)

    @override
    def get_input_tokens_count(
        self,
        messages: str | list[LLMMessage],
        tools: list[dict[str, Any]] | None = None,
        response_model: type[BaseModel] | None = None,
    ) -> int:
        """About how many tokens this is for the model with the largest window, as far as is known of it."""
        widest = max(self.app.fleet.models.values(), key=lambda card: card.window)
        read = from_crewai(cast("Any", self._format_messages(messages)), ())
        specs = [tool.spec for tool in tools_of(tools or ())]
        return self.app.engine.counter.count(widest, read, specs).tokens

    @override
    def supports_multimodal(self) -> bool:
        """Whether some model of the fleet sees images."""
        return any(card.capabilities.images for card in self.app.fleet.models.values())

    @override
    def _multimodal_formatter_name(self) -> str:
        return "openai"

    @override
    def _process_message_files(self, messages: list[LLMMessage], *, api: str | None = None) -> list[LLMMessage]:
        """CrewAI's own way, which leaves out what the format cannot say; so what is no image is refused."""
        for message in messages:
            for name, file in cast("dict[str, Any]", dict(message).get("files") or {}).items():
                if not file.content_type.startswith("image/"):
                    raise ConfigError(f"input_files[{name!r}]: {file.content_type} cannot be shown; known: images")
        return super()._process_message_files(messages, api=api)

    @override
    def to_config_dict(self) -> dict[str, Any]:
        """What makes this LLM again, with the app of ORCHESTRA_FLEET."""
        return self.model_dump(exclude_none=True)


@dataclass(frozen=True)
class _Call:
    """One call of CrewAI: what it said, and what the app is asked."""

    said: list[LLMMessage]
    messages: tuple[t.Message, ...]
    options: dict[str, Any]
    functions: Mapping[str, Any]
    task: Task | None
    agent: BaseAgent | None
    payer: BaseAgent | None


_LIMITS = frozenset(NodeOptions.__annotations__)
_OWN = ("temperature", "max_tokens", "seed", "stop", "stop_sequences", "stream", "additional_params", "prefer_upload")
_SETTINGS = frozenset({*_OWN, "step", "llm_type", "model", "provider", "is_litellm"})
_ACCOUNTS = Lock()
_RUNNING: ContextVar[tuple[_Call, t.Reply]] = ContextVar("orchestra_crewai_function")


def _too_many(reply: t.Reply) -> Refused:
    """Neither is run: CrewAI takes what one function said, and the others would be gone or run unseen."""
    made = f"{reply.model!r} made {len(reply.tool_calls)} calls ({', '.join(call.name for call in reply.tool_calls)})"
    text = (
        f"available_functions: {made}, where CrewAI has one function run for a reply; none was run: "
        "ask again, or leave available_functions out and run the calls yourself"
    )
    return Refused(text, trigger=t.Trigger.tool_rejected, evidence=(text,), attempts=reply.attempts)


def _overflowed(error: BaseException) -> bool:
    """Whether CrewAI can mend this by a shorter history."""
    if isinstance(error, NoCandidate):
        return bool(error.rejections) and all(one.gate == "window" for one in error.rejections)
    return isinstance(error, Refused) and error.trigger is t.Trigger.context_overflow


def _from_environment() -> Orchestra:
    if not (path := os.environ.get(FLEET)):
        raise ConfigError(f"OrchestraLLM: no app; write OrchestraLLM(app), or set {FLEET} to a fleet.toml")
    return _opened(path)


@cache
def _opened(path: str) -> Orchestra:
    """One app a file: each agent of a checkpoint asks for it."""
    return Orchestra.from_file(path, ledger=os.environ.get("ORCHESTRA_LEDGER") or LEDGER)
