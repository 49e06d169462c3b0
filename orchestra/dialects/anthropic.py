"""Anthropic's Messages API: the codec and what a request says besides its conversation."""

from __future__ import annotations

from typing import Any, Final

from orchestra.dialects.anthropic_schema import answer_schema
from orchestra.dialects.anthropic_thinking import Settled, settled
from orchestra.dialects.anthropic_turns import CACHED, Conversation
from orchestra.dialects.asked import Asked
from orchestra.dialects.codec import Spelled

VERSION: Final = "2026-10-21"
"""The API version of `anthropic` 2.x."""
SAMPLED_VERSION: Final = "2023-06-01"
"""The version before, the last one that knows sampling parameters; it differs in nothing else that is said here."""


def spelled(said: Asked) -> Spelled:
    """The request as the card's model wants it. What it refuses, and the API with it, is left out with a note.

    Prefixes that later requests share are marked for the prompt cache, at most four: the tools, the system prompt and,
    where a conversation grows or will (it has tools, or the model has spoken), the user's last two turns.
    """
    return _Written(said).spelled()


class _Written:
    """One request while it is written down; what has to be left out is noted."""

    def __init__(self, said: Asked) -> None:
        self._notes: list[str] = []
        self.said, self._schema = self._answered(said)
        self._conversation = Conversation(self.said)
        self._max_tokens = said.card.max_output if said.parameters.max_tokens is None else said.parameters.max_tokens
        self._settled: Settled = settled(self.said, self._conversation.turns, self._max_tokens)
        self._extra = {name: value for name, value in said.extra.items() if name != "thinking"}
        self.version = self._version()

    def spelled(self) -> Spelled:
        """It as written so far."""
        said, body = self.said._replace(extra=self._extra), self._body()
        notes = (*self._notes, *self._settled.notes, *self._conversation.notes)
        version = ("anthropic-version", self.version)
        return Spelled(said, "/v1/messages", body, said.card.capabilities.streaming, notes, (version,))

    def _body(self) -> dict[str, Any]:
        said, conversation = self.said, self._conversation
        marked = "cache_control" not in self._extra  # the mark that the provider places itself is one of four, too
        if marked:
            self._mark()
        wanted = {
            "system": conversation.system,
            "messages": [turn.block() for turn in conversation.turns],
            "tools": said.declared(_marked if marked else list),
            "tool_choice": self._tool_choice(),
            "thinking": self._settled.thinking,
            "output_config": self._output_config(),
            "stop_sequences": self._stop(),
        }
        body: dict[str, Any] = {"model": said.card.model, "max_tokens": self._max_tokens}
        return (
            body
            | {name: value for name, value in wanted.items() if value}
            | {"stream": said.card.capabilities.streaming}
        )

    def _mark(self) -> None:
        said, conversation = self.said, self._conversation
        if conversation.system:
            conversation.system[-1] |= CACHED
        if said.compiled or said.json_tools or len(conversation.turns) > 1:
            conversation.mark()

    def _tool_choice(self) -> dict[str, Any] | None:
        """Nothing where it is the default."""
        if not self.said.compiled:
            return None
        if self.said.tool_choice == "none":
            return {"type": "none"}
        choice: dict[str, Any] = {"type": "any" if self._settled.forced else "auto"}
        if self.said.parallel_tools is False:
            return choice | {"disable_parallel_tool_use": True}
        return choice if self._settled.forced else None

    def _output_config(self) -> dict[str, Any]:
        wanted = {"effort": self._settled.effort, "format": self._schema}
        return {name: value for name, value in wanted.items() if value}

    def _stop(self) -> list[str]:
        sequences = [one for one in self.said.parameters.stop if one.strip()]
        if len(sequences) < len(self.said.parameters.stop):
            self._notes.append("stop: white space left out: it is refused")
        return sequences

    def _answered(self, said: Asked) -> tuple[Asked, dict[str, Any] | None]:
        """The answer's format, as far as it can be enforced; else its schema stands in the prompt."""
        if said.output_schema is None:
            return said, None
        schema, rest = answer_schema(said.output_schema)
        if schema is None:
            return said.in_prompt(f"{rest} cannot be enforced"), None
        if rest:
            self._notes.append(f"output_schema: {rest} not enforced, said in descriptions")
        return said, {"type": "json_schema", "schema": schema}

    def _version(self) -> str:
        """The newest API version, or the one before where sampling parameters, which it no longer has, can be set."""
        sampling = sorted(_SAMPLING & self._extra.keys())
        if not sampling:
            return VERSION
        if self._settled.sampling:
            self._notes.append(f"anthropic-version {SAMPLED_VERSION} used, the last to know {', '.join(sampling)}")
            return SAMPLED_VERSION
        for name in sampling:
            del self._extra[name]
            self._notes.append(f"extra {name!r} left out: {self.said.card.model} takes none, or none while it thinks")
        return VERSION


def _marked(declarations: list[Any]) -> list[Any]:
    return [*declarations[:-1], *(one | CACHED for one in declarations[-1:])]


_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
