"""LangChain and LangGraph: an app as their chat model. Change one line, keep the graph.

`model = app.chat_model(step="research")` routes every call by its step, judges every reply before it enters history,
and climbs to a stronger model and back down by itself. `to_canonical` and `to_langchain` turn messages into each other.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import (
    Runnable,
    RunnableBinding,
    RunnableConfig,
    RunnableLambda,
    RunnableMap,
    RunnablePassthrough,
)
from langchain_core.tools import BaseTool
from pydantic import BaseModel, Field, PrivateAttr, ValidationInfo, field_validator
from typing_extensions import override

from orchestra.app import LEDGER, Orchestra
from orchestra.errors import ConfigError
from orchestra.integrations.langchain_messages import Chunks, ai_message, to_canonical, to_langchain
from orchestra.integrations.langchain_profile import profile_of
from orchestra.integrations.langchain_schemas import (
    Forms,
    declaration,
    forms_around,
    forms_of,
    output_of,
    parsed_as,
    tool_choice_of,
    tools_of,
)
from orchestra.integrations.langchain_steps import SETTINGS, configured, shown, told
from orchestra.integrations.langchain_tools import langchain_tools
from orchestra.integrations.tested import warn_untested
from orchestra.runtime.messages import messages_of
from orchestra.runtime.node_run import enclosing
from orchestra.runtime.options import limits_of
from orchestra.toolbox import Tool
from orchestra.types import Mode

if TYPE_CHECKING:
    from orchestra.integrations.langchain_middleware import EscalationMiddleware

__all__ = [
    "FLEET",
    "ChatOrchestra",
    "EscalationMiddleware",
    "ai_message",
    "langchain_tools",
    "to_canonical",
    "to_langchain",
]

warn_untested("LangChain", "langchain-core", ">=1.7,<2")

FLEET = "ORCHESTRA_FLEET"
"""The environment variable, and the name for `load(secrets_map=…)`, of the app: a path of a fleet.toml, or an app."""


def _from_environment() -> Orchestra:
    if not (path := os.environ.get(FLEET)):
        raise ConfigError(
            f"ChatOrchestra: no app; write app.chat_model(step=…), or set {FLEET} to a fleet.toml; "
            f"to load one that was written down, load(…, secrets_map={{{FLEET!r}: app}})"
        )
    return _opened(path)


def _opened(path: str | Path) -> Orchestra:
    return Orchestra.from_file(path, ledger=os.environ.get("ORCHESTRA_LEDGER") or LEDGER)


class ChatOrchestra(BaseChatModel):
    """An app as a LangChain chat model; made by `app.chat_model(step=…)`.

    The step of a call is `step`, else `orchestra_step` of the node's or call's metadata, else that of the `app.node` in
    whose code the call stands, else the name of the outermost LangGraph node around it. `mode`, `budget` (USD) and
    `tenant` are those of a call; `configurable` of its config beats them. `timeout` is in seconds. Further keywords
    of a call are options of `app.complete`.

    A reply has passed its checks. Its `response_metadata` says who really served: `model_name` as the provider
    reported it, and under "orchestra" the fleet's name, cost in USD and usage of all attempts, the refused ones, run;
    its `usage_metadata` is the accepted attempt's. Errors are OrchestraErrors; `invoke` and `stream` raise SyncInLoop
    inside a running event loop.
    """

    app: Orchestra = Field(default_factory=_from_environment, exclude=True, repr=False)
    step: str | None = None
    mode: Mode | None = None
    budget: float | None = None
    tenant: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float | None = None
    seed: int | None = None
    stop: list[str] | None = None
    _forms: Forms = PrivateAttr(default_factory=dict)
    _bindings: Sequence[RunnableBinding[Any, Any]] = PrivateAttr(())  # those that a middleware has taken it out of

    @field_validator("app", mode="before")
    @classmethod
    def _open(cls, app: Any) -> Any:
        if app is None:  # what `load` gives where nobody told it of one
            return _from_environment()
        return _opened(app) if isinstance(app, str | Path) else app

    @field_validator(*SETTINGS, mode="before")
    @classmethod
    def _sensible(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None:
            limits_of(cast("Any", {info.field_name: value}))
        return value

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> ChatOrchestra:
        """A model with settings of its own; the app is the same."""
        known = {} if memo is None else memo
        known[id(self.app)] = self.app
        return super().__deepcopy__(known)

    @override
    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        config = self._configured(config)
        return super().invoke(input, config, stop=stop, **self._told(config, kwargs))

    @override
    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        config = self._configured(config)
        return await super().ainvoke(input, config, stop=stop, **self._told(config, kwargs))

    @override
    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        config = self._configured(config)
        yield from super().stream(input, config, stop=stop, **self._told(config, kwargs))

    @override
    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        config = self._configured(config)
        async for chunk in super().astream(input, config, stop=stop, **self._told(config, kwargs)):
            yield chunk

    @override
    def stream_events(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return cast("Any", super()).stream_events(input, config, **self._told(config, kwargs))

    @override
    def astream_events(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return cast("Any", super()).astream_events(input, config, **self._told(config, kwargs))

    def _configured(self, config: RunnableConfig | None) -> RunnableConfig | None:
        return configured(self._bindings, config) if self._bindings else config

    def of_a_turn(self, bindings: Sequence[RunnableBinding[Any, Any]]) -> ChatOrchestra:
        """The model for a middleware's turn, whose step it says, configured as the bindings it was taken out of."""
        twin = self.model_copy(update={"step": None})
        twin._bindings = bindings  # noqa: SLF001  # of the same class
        return twin

    def _told(self, config: RunnableConfig | None, said: dict[str, Any]) -> dict[str, Any]:
        return told(self.app.engine, self.step, config, said)

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        options = self._options(stop, kwargs)
        reply = self.app.portal.run("invoke", lambda: self.app.complete(messages, **options))
        return ChatResult(generations=[ChatGeneration(message=ai_message(reply))])

    @override
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        reply = await self.app.complete(messages, **self._options(stop, kwargs))
        return ChatResult(generations=[ChatGeneration(message=ai_message(reply))])

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        options = self._options(stop, kwargs)
        chunks = self._chunks(options)
        events = self.app.portal.iterate("stream", lambda: self.app.stream(messages, **options))
        with closing(cast("Any", events)):
            yield from (ChatGenerationChunk(message=chunk) for event in events for chunk in chunks.of(event))

    @override
    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        options = self._options(stop, kwargs)
        chunks = self._chunks(options)
        async with aclosing(cast("Any", self.app.stream(messages, **options))) as events:
            async for event in events:
                for chunk in chunks.of(event):
                    yield ChatGenerationChunk(message=chunk)

    def _chunks(self, options: Mapping[str, Any]) -> Chunks:
        """For the events of a call; what it does not say of `hold`, the node around it may."""
        node = enclosing(self.app.engine)
        hold = options.get("hold", node.options.get("hold", False) if node else False)
        return Chunks(held=hold or "output" in options)

    def _options(self, stop: list[str] | None, given: dict[str, Any]) -> dict[str, Any]:
        """A call's options for the app, from LangChain's words for them; what the call says beats the model's own."""
        own = {name: getattr(self, name) for name in _OWN}
        said = {_ALIASES.get(name, name): value for name, value in given.items() if name not in _NOT_OURS}
        forms = self._judges()
        options = {
            name: value for name, value in (own | {"stop": stop or self.stop} | said).items() if value is not None
        }
        if "timeout" in options:
            options["deadline"] = options.pop("timeout")
        if "response_format" in options:
            options["output"] = output_of(options.pop("response_format"), forms)
        if "tools" in options:
            options["tools"] = tools_of(options["tools"], forms)
        if "tool_choice" in options:
            options["tool_choice"] = tool_choice_of(options["tool_choice"])
        return options

    @override
    def bind_tools(
        self,
        tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | BaseTool | Tool],
        *,
        tool_choice: str | bool | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with these tools; their schemas go to the provider as they are.

        `tool_choice` is auto, any (or required), none, or the name of the one tool to call. Raises ConfigError for a
        tool that cannot be declared, such as one a provider runs itself. A call that the validators of a tool that is
        a pydantic model refuse is asked again; a binding that was written down and loaded knows its schema alone.
        """
        declared = [declaration(tool, at) for at, tool in enumerate(tools)]
        chosen = {} if tool_choice is None else {"tool_choice": tool_choice}
        model = self.model_copy()
        model._forms = forms_of(tools, declared)  # noqa: SLF001  # not of the binding, which is plain JSON
        return model.bind(tools=declared, **chosen, **kwargs)

    def _judges(self) -> Forms:
        """The pydantic models that judge calls and answers: of the binding, and of the middleware around."""
        return {**self._forms, **forms_around()}

    @override
    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """The model, answering in this schema; an answer that does not fit, or a validator refuses, is asked again.

        `method` "function_calling" has it answered by a call of a tool; "json_schema" and "json_mode" hold the answer
        itself to the schema, in whatever way the provider that serves offers.
        """
        method = kwargs.pop("method", "json_schema")
        if method not in _METHODS:
            raise ConfigError(f"with_structured_output: method {method!r} is unknown; known: {', '.join(_METHODS)}")
        if method == "function_calling":
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        if unknown := kwargs.keys() - {"strict"}:
            raise ConfigError(f"with_structured_output: {', '.join(sorted(unknown))} unknown; known: method, strict")
        output = output_of(schema)
        asked = self.bind(output=output, ls_structured_output_format={"kwargs": {"method": method}, "schema": schema})
        read = RunnableLambda(partial(parsed_as, schema, output))
        if not include_raw:
            return asked | read
        parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | read, parsing_error=lambda _: None)
        unparsed = RunnablePassthrough.assign(parsed=lambda _: None)
        return RunnableMap(raw=asked) | parsed.with_fallbacks([unparsed], exception_key="parsing_error")

    @override
    def get_num_tokens(self, text: str) -> int:
        """As `get_num_tokens_from_messages`, of a single message."""
        return self.get_num_tokens_from_messages([HumanMessage(text)])

    @override
    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """About how many tokens these are for the model with the largest window, as far as is known of it."""
        widest = max(self.app.fleet.models.values(), key=lambda card: card.window)
        specs = [tool.spec for tool in tools_of(tools or ())]
        return self.app.engine.counter.count(widest, messages_of(messages), specs).tokens

    @override
    def _resolve_model_profile(self) -> ModelProfile:
        return profile_of(self.app.fleet)

    @override
    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """What LangChain's caches tell askers apart by: whatever is said nowhere in the call as well."""
        node, fleet = enclosing(self.app.engine), self.app.fleet.fingerprint
        around = (node.step, sorted(node.options.items())) if node else ()
        if forms := self._judges():
            around = (*around, sorted((name, repr(form)) for name, form in forms.items()))
        return f"{super()._get_llm_string(stop, **kwargs)}---{fleet}{around}"

    @property
    @override
    def _llm_type(self) -> str:
        return "orchestra"

    @override
    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        named = kwargs.get("model") or f"orchestra/{shown(self.app.engine, kwargs.get('step') or self.step)}"
        known = super()._get_ls_params(stop=stop or self.stop, **kwargs)
        return known | LangSmithParams(ls_provider="orchestra", ls_model_name=named)

    @classmethod
    @override
    def is_lc_serializable(cls) -> bool:
        return True

    @property
    @override
    def lc_secrets(self) -> dict[str, str]:
        """An app is not written down; whoever loads the model says which: `load(…, secrets_map={FLEET: app})`."""
        return {"app": FLEET}


_OWN = ("step", *SETTINGS, "temperature", "max_tokens", "timeout", "seed")
_ALIASES = {"parallel_tool_calls": "parallel_tools", "max_completion_tokens": "max_tokens"}
_NOT_OURS = frozenset({"strict", "stream"})  # the codec proves what may be strict; each reply is streamed where it can
_METHODS = ("json_schema", "function_calling", "json_mode")


def __getattr__(name: str) -> Any:
    """EscalationMiddleware comes when it is asked for: it needs `langchain` itself, a chat model only its core."""
    if name == "EscalationMiddleware":
        from orchestra.integrations.langchain_middleware import EscalationMiddleware

        return EscalationMiddleware
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
