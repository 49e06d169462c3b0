"""Replies of OpenAI-style chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Final

from orchestra.dialects.chat_profiles import counts_thoughts_in_total, tags_thoughts
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
    scalars,
    sequence,
    string,
)
from orchestra.dialects.reading import bad_reply
from orchestra.dialects.reasoning_details import ReasoningDetails
from orchestra.dialects.think_tags import TAGGED, ThinkTags
from orchestra.types import CallFault, Finish, ModelCard, Trigger, Usage


class ChatReading:
    """One chat completion, whole or in chunks. Its end is a finish reason, which every known server gives.

    Streams of broken gateways that never give one look like those that were cut, and are taken for such.
    """

    def __init__(self, encoded: Encoded) -> None:
        self.draft = Draft(encoded)
        self._calls = ChatCalls(self.draft)
        self._details = ReasoningDetails()
        self._by_messages = False  # whether what was said came in messages, not in deltas
        tags = encoded.card is None or tags_thoughts(encoded.card)
        self._tags = ThinkTags() if tags else None  # until it is known that what comes is text
        self._before = ""  # what then stood before the text: a thought in its tags

    def event(self, name: str, data: dict[str, Any]) -> CallFault | None:  # noqa: ARG002  # chunks have no name
        """Takes in a chunk."""
        draft, choice = self.draft, first_choice(data)
        draft.model = string(data.get("model")) or draft.model
        if said := data.get("usage"):
            draft.usage = usage(mapping(said), draft.encoded.card) or draft.usage
        if choice and (fault := self._message(choice)):
            return fault
        if "x_groq" in data and (fault := self._groqs(data)):
            return fault
        if self._tags and _finish(string(choice.get("finish_reason"))):
            self._tagged(*self._tags.rest())
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
            self.draft.usage = usage(mapping(groq.get("usage")), self.draft.encoded.card) or self.draft.usage
        error = groq.get("error")
        return stream_fault(error) if error else None

    def _uncalled(self) -> CallFault | None:
        """A fault where the reply ended for calls and holds none: what the server took for one is lost."""
        if self.draft.calls or self.draft.encoded.json_tools:
            return None
        return bad_reply("the provider stopped for tool calls, and there is none")

    def _message(self, choice: dict[str, Any]) -> CallFault | None:
        """Takes in what a choice says; the fault where it is of another kind."""
        delta = mapping(choice.get("delta"))
        content = delta.get("content")
        if isinstance(content, str) and _WORDS.issuperset(delta):  # as in nearly every chunk
            if content:
                say = self._say if self._tags else self.draft.say
                say(content)
        elif delta:
            self._told(delta)
        return None if delta and "message" not in choice else self._beside(choice, delta)

    def _beside(self, choice: dict[str, Any], delta: dict[str, Any]) -> CallFault | None:
        """Takes in the message of a choice, which may stand beside a delta that says no more than a piece of it."""
        message = mapping(choice.get("message"))
        if message and (not delta or choice.get("finish_reason")):
            self._undivided(message, pieces=self._by_messages or not (delta or self._begun()))
        if delta or message or "text" not in choice:
            return None
        chat = self._begun() or not choice["text"]  # where a text stands beside what deltas say, as Together's does
        return None if chat and not choice.keys().isdisjoint(_SPOKEN) else bad_reply(_OTHER_KIND)

    def _undivided(self, message: dict[str, Any], *, pieces: bool) -> None:
        """Takes in a message: a piece where there are no deltas, else all of the reply, which some streams end with."""
        if pieces:
            self._told(message)
            self._by_messages = self._begun()
        else:
            self._rest(message)

    def _begun(self) -> bool:
        """Whether anything has come, be it that none of it could be said yet."""
        return self.draft.begun or bool(self._tags and self._tags.given)

    def _rest(self, whole: dict[str, Any]) -> None:
        """Takes in what deltas have not said of the whole message; where it contradicts them, what they said stays."""
        said, thought, refused = self.draft.said
        text, thoughts = _content(whole)
        before = self._tags.given if self._tags else self._before
        rest: dict[str, Any] = {
            "content": _going_on(scalars(before) + said, text),
            "reasoning_content": _going_on(thought, thoughts),
            "refusal": _going_on(refused, string(whole.get("refusal"))),
            "reasoning_details": [] if self._details.begun else whole.get("reasoning_details"),
        }
        self._told(rest)
        self._undecided(whole)
        self._calls.complete(whole)

    def _told(self, message: dict[str, Any]) -> None:
        """Takes in a message that may hold more than words."""
        draft = self.draft
        text, thought = _content(message)
        if thought:
            self._apart()
            draft.reason(thought)
        if "reasoning_details" in message and self._details.add(message):
            draft.keep(self._details.state, "reasoning", reasoning=True)
        if text:
            self._say(text)
        if refusal := message.get("refusal"):
            draft.refuse(string(refusal))
        self._undecided(message)
        self._calls.add(message)

    def _say(self, text: str) -> None:
        """Takes in text, which may begin with a thought in tags."""
        if self._tags:
            self._tagged(*self._tags.take(text))
        else:
            self.draft.say(text)

    def _tagged(self, thought: str, text: str) -> None:
        if thought:
            self.draft.keep(TAGGED, _TAGS, reasoning=True)
            self.draft.reason(thought, _TAGS)
        if text:
            self.draft.say(text)
        if self._tags and self._tags.over:
            self._before, self._tags = self._tags.given.removesuffix(text), None

    def _apart(self) -> None:
        """Looks for no tags from here on: once a thought has come in a field of its own, those in the text are text."""
        if self._tags:
            self._tagged(*self._tags.rest())

    def _undecided(self, message: dict[str, Any]) -> None:
        """Says what was held before the calls of a message, where it stood; a thought that has begun may go on."""
        if self._tags and self._tags.undecided and _pieces(message):
            self._tagged(*self._tags.rest())


def _going_on(said: str, whole: str) -> str:
    """What of a whole text has not been said; nothing where it is another text."""
    whole = scalars(whole)
    return whole[len(said) :] if whole.startswith(said) else ""


_WORDS = frozenset({"role", "content"})
_SPOKEN = ("delta", "message")
_TAGS = "tags"
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
        for place, call in enumerate(_pieces(message)):
            self._call(call, place)

    def complete(self, message: dict[str, Any]) -> None:
        """Takes in what a whole message says of calls beyond its deltas: each of theirs is one of its own at most."""
        told = dict(enumerate(self._draft.calls))
        wholes = [_whole(piece) for piece in _pieces(message)]
        ids = {whole.id for whole in wholes if whole.id}
        for place, whole in enumerate(wholes):
            at = _told_at(told, whole, place, ids)
            call = self._draft.call(f"call {len(self._draft.calls)}") if at is None else told.pop(at)
            call.id, call.state = call.id or whole.id, call.state or whole.state
            call.name = whole.name if whole.name.startswith(call.name) else call.name
            if parse_object(call.raw) is None:
                call.pieces = whole.pieces or call.pieces

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


def _pieces(message: dict[str, Any]) -> list[dict[str, Any]]:
    """What a message, or a delta of one, says of calls."""
    calls = message.get("tool_calls")
    if is_object(calls):  # as Text Generation Inference streams the one that it makes
        return [calls]
    if calls := sequence(calls):
        return [mapping(call) for call in calls]
    legacy = message.get("function_call")  # the one call that older servers make
    return [{"index": 0, "function": legacy}] if legacy else []


def _whole(piece: dict[str, Any]) -> CallDraft:
    function, beside = mapping(piece.get("function")), mapping(piece.get(BESIDE_CALLS))
    call = CallDraft(string(piece.get("id")), string(function.get("name")))
    call.state = json_text(beside) if beside else None
    call.add(function.get("arguments"))
    return call


def _told_at(told: Mapping[int, CallDraft], whole: CallDraft, place: int, ids: AbstractSet[str]) -> int | None:
    """Where a whole call has been told: under its id, or by its name with no other arguments or at its place."""
    for at, call in told.items():
        if whole.id and call.id == whole.id:
            return at
    arguments = parse_object(whole.raw)
    for at, call in told.items():
        same = parse_object(call.raw) in (None, arguments) or (at == place and not (call.id and whole.id))
        if same and call.name == whole.name and call.id not in ids:
            return at
    return None


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
    if not (name := _finish(reason)):
        return None
    if said := choice.get("usage"):  # Moonshot's stands here
        draft.usage = usage(mapping(said), draft.encoded.card) or draft.usage
    return draft.stopped(reason, _MEANINGS.get(name))


def _finish(reason: str) -> str:
    """The finish that a reason names; empty where it names none, as where a server writes null as a text."""
    name = reason.rpartition(":")[2].strip().lower()  # Google: "content_filter: PROHIBITED_CONTENT"
    return "" if name == "null" else name


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


def usage(said: dict[str, Any], card: ModelCard | None = None) -> Usage | None:
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
    if unsaid > 0 and _is_thought(unsaid, mapping(said.get("completion_tokens_details")).get("reasoning_tokens"), card):
        return replace(counted, output=counted.output + unsaid, reasoning=unsaid)
    return counted


def _is_thought(unsaid: int, thought: object, card: ModelCard | None) -> bool:
    """Whether what only the total holds is what was thought, and so output.

    xAI counts that beside what was written (docs.x.ai, "Consumption and rate limits"), as the sum then shows; Google's
    endpoint in OpenAI's shape may say nothing else of it. Of any other sum nobody knows what it is of: cached input,
    a tool's results, a whole conversation.
    """
    return unsaid == thought if is_count(thought) else card is not None and counts_thoughts_in_total(card)


def token_logprobs(tokens: object) -> list[float]:
    """The log-probability of each token."""
    return logprobs(mapping(token).get("logprob") for token in sequence(tokens))
