"""Replies of OpenAI-style chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from orchestra.dialects.draft import CallDraft, Draft
from orchestra.dialects.encoded import Encoded
from orchestra.dialects.faults import stream_fault
from orchestra.dialects.gemini_reading import MEANINGS as GOOGLES
from orchestra.dialects.loose import (
    count,
    is_count,
    is_object,
    json_text,
    logprobs,
    mapping,
    parse_object,
    sequence,
    string,
)
from orchestra.dialects.reading import bad_reply
from orchestra.dialects.reasoning_details import ReasoningDetails
from orchestra.types import CallFault, Finish, Trigger, Usage


class ChatReading:
    """One chat completion, whole or in chunks. Its end is a finish reason, which every known server gives.

    Streams of broken gateways that never give one look like those that were cut, and are taken for such.
    """

    def __init__(self, encoded: Encoded) -> None:
        self.draft = Draft(encoded)
        self._calls = ChatCalls(self.draft)
        self._details = ReasoningDetails()
        self._by_messages = False  # whether what was said came in messages, not in deltas

    def event(self, name: str, data: dict[str, Any]) -> CallFault | None:  # noqa: ARG002  # chunks have no name
        """Takes in a chunk."""
        draft, choice = self.draft, first_choice(data)
        draft.model = string(data.get("model")) or draft.model
        if said := data.get("usage"):
            draft.usage = usage(mapping(said)) or draft.usage
        if choice and (fault := self._message(choice)):
            return fault
        if "x_groq" in data and (fault := self._groqs(data)):
            return fault
        if choice and (fault := ended(choice, draft)):
            return fault
        return self._uncalled() if draft.finish == "tool_calls" else None

    def whole(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in a body that was not streamed."""
        if not sequence(data.get("choices")):
            return bad_reply(f"the body holds no choices: {str(data)[:80]!r}")
        return self.event("", data)

    def _groqs(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in what Groq says beside a choice: usage, and "why a stream ended early", whatever finish is said."""
        groq = mapping(data["x_groq"])
        if not mapping(data.get("usage")):
            self.draft.usage = usage(mapping(groq.get("usage"))) or self.draft.usage
        error = groq.get("error")
        return stream_fault(error) if error else None

    def _uncalled(self) -> CallFault | None:
        """A fault where the reply ended for calls and holds none: what the server took for one is lost."""
        if self.draft.calls or self.draft.encoded.json_tools:
            return None
        return bad_reply("the provider stopped for tool calls, and there is none")

    def _message(self, choice: dict[str, Any]) -> CallFault | None:
        """Takes in what a choice says; the fault where it is of another kind."""
        message = mapping(choice.get("delta")) or self._undivided(choice)
        if not message:
            return bad_reply(_OTHER_KIND) if "text" in choice and choice.keys().isdisjoint(_SPOKEN) else None
        content = message.get("content")
        if not (isinstance(content, str) and _WORDS.issuperset(message)):
            self._told(message)
        elif content:  # as in nearly every chunk
            self.draft.say(content)
        return None

    def _undivided(self, choice: dict[str, Any]) -> dict[str, Any]:
        """The message of a choice; nothing where deltas have said it: some streams end with all of it."""
        message = mapping(choice.get("message"))
        if message and not self.draft.begun:
            self._by_messages = True
        return message if self._by_messages else {}

    def _told(self, message: dict[str, Any]) -> None:
        """Takes in a message that may hold more than words."""
        draft = self.draft
        text, thought = _content(message)
        if thought:
            draft.reason(thought)
        if "reasoning_details" in message and self._details.add(message):
            draft.keep(self._details.state, "reasoning", reasoning=True)
        if text:
            draft.say(text)
        if refusal := message.get("refusal"):
            draft.refuse(string(refusal))
        self._calls.add(message)


_WORDS = frozenset({"role", "content"})
_SPOKEN = ("delta", "message")
BESIDE_CALLS: Final = "extra_content"
"""What Google's endpoint says of a call beside it: the signature of its thought, without which it refuses the call."""
_OTHER_KIND = "the choice is one of /completions, which holds a text and no message: check `base_url`"


class ChatCalls:
    """The tool calls of a chat message while their pieces arrive."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._latest: dict[int, CallDraft] = {}

    def add(self, message: dict[str, Any]) -> None:
        """Takes in what a message, or a delta of one, says of calls."""
        calls = message.get("tool_calls")
        if is_object(calls):  # as Text Generation Inference streams the one that it makes
            self._call(calls, 0)
        elif calls := sequence(calls):
            for place, call in enumerate(map(mapping, calls)):
                self._call(call, place)
        elif legacy := message.get("function_call"):  # the one call that older servers make
            self._call({"index": 0, "function": legacy}, 0)

    def _call(self, piece: dict[str, Any], place: int) -> None:
        function = mapping(piece.get("function"))
        name, identity = string(function.get("name")), string(piece.get("id"))
        index = self._index(piece.get("index"), name, place)
        call = self._latest.get(index)
        if call is None or _another(call, identity, name):
            call = self._latest[index] = self._draft.call(f"call {len(self._draft.calls)}")
        call.id = call.id or identity
        if name != call.name:
            call.name += name
        if beside := mapping(piece.get(BESIDE_CALLS)):
            call.state = json_text(beside)
        call.add(function.get("arguments"))

    def _index(self, given: object, name: str, place: int) -> int:
        """Which call a piece is of; without an index one with a name begins a call, any other goes on with the last."""
        if isinstance(given, int):
            return given
        return len(self._draft.calls) if name else max(self._latest, default=place)


def _another(call: CallDraft, identity: str, name: str) -> bool:
    """True where a piece under a known index begins another call: some servers give every parallel call index 0."""
    if not name:
        return False
    if identity and call.id and (identity != call.id or name == call.name):
        return identity != call.id
    return parse_object(call.raw) is not None


def _content(message: dict[str, Any]) -> tuple[str, str]:
    """Text and reasoning of a message; some servers write their content as an array of typed pieces."""
    content: object = message.get("content")
    thought = string(message.get("reasoning_content")) or string(message.get("reasoning"))
    if isinstance(content, str):
        return content, thought
    if not (pieces := [mapping(piece) for piece in sequence(content)]):
        return "", thought
    thought += "".join(_content({"content": piece.get("thinking")})[0] for piece in pieces)
    return "".join(string(piece.get("text")) for piece in pieces), thought


def first_choice(data: dict[str, Any]) -> dict[str, Any]:
    """The reply that was asked for; empty where a chunk tells nothing of it."""
    for one in sequence(data.get("choices")):
        choice = mapping(one)
        if choice.get("index") in (0, None):
            return choice
    return {}


def ended(choice: dict[str, Any], draft: Draft) -> CallFault | None:
    """Takes in how a choice has ended, if it has; OpenRouter reports what broke it off inside it."""
    if said := choice.get("logprobs"):
        draft.logprobs += token_logprobs(mapping(said).get("content"))
    if error := choice.get("error"):
        return stream_fault(error)
    if not isinstance(reason := choice.get("finish_reason"), str):
        return None
    name = reason.rpartition(":")[2].strip().lower()  # Google: "content_filter: PROHIBITED_CONTENT"
    if name in ("", "null"):  # as some servers write null
        return None
    if said := choice.get("usage"):  # Moonshot's stands here
        draft.usage = usage(mapping(said)) or draft.usage
    return draft.stopped(reason, _MEANINGS.get(name))


_MEANINGS: Final[Mapping[str, Finish | Trigger]] = {
    **{reason.lower(): meaning for reason, meaning in GOOGLES.items()},  # its endpoint in OpenAI's shape
    "stop": "stop",
    "end": "stop",
    "end_turn": "stop",  # gateways in front of Anthropic, as max_tokens and tool_use
    "eos": "stop",  # Together
    "eos_token": "stop",  # Text Generation Inference, as the next
    "stop_sequence": "stop",
    "length": "length",
    "model_length": "length",  # Mistral
    "max_tokens": "length",
    "model_context_window_exceeded": "length",  # Zhipu, as the next two
    "sensitive": "content_filter",
    "network_error": Trigger.server_error,
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "error": Trigger.server_error,  # Mistral, OpenRouter
    "insufficient_system_resource": Trigger.overloaded,  # DeepSeek
}


def usage(said: dict[str, Any]) -> Usage | None:
    """None where the counts are no counts: unknown is never 0, and cost is then estimated and said to be."""
    read, wrote = said.get("prompt_tokens"), said.get("completion_tokens")
    if not (is_count(read) and is_count(wrote)):
        return None
    prompt = mapping(said.get("prompt_tokens_details"))
    cached = count(said.get("prompt_cache_hit_tokens")) or count(said.get("cached_tokens"))  # DeepSeek's; Together's
    counted = Usage(
        input=int(read),
        output=int(wrote),
        cached_input=count(prompt.get("cached_tokens")) or cached,
        cache_write=count(prompt.get("cache_write_tokens")),
        reasoning=count(mapping(said.get("completion_tokens_details")).get("reasoning_tokens")),
    )
    unsaid = count(said.get("total_tokens")) - counted.input - counted.output
    return counted if unsaid <= 0 else _with_thoughts(counted, unsaid)


def _with_thoughts(counted: Usage, unsaid: int) -> Usage:
    """With what was thought as output, where only the total holds it.

    xAI counts it beside what was written (docs.x.ai, "Consumption and rate limits"), Google's endpoint in OpenAI's
    shape says nothing else of it. Of any other sum nobody knows what it is of.
    """
    if unsaid == counted.reasoning or not (counted.reasoning or counted.cached_input or counted.cache_write):
        return replace(counted, output=counted.output + unsaid, reasoning=unsaid)
    return counted


def token_logprobs(tokens: object) -> list[float]:
    """The log-probability of each token."""
    return logprobs(mapping(token).get("logprob") for token in sequence(tokens))
