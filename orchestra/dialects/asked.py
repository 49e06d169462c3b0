"""What a request asks of one model in one dialect: canonical still, cut to what both can do, with notes on the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from orchestra.dialects import json_tools
from orchestra.dialects.chat_profiles import features_of
from orchestra.dialects.features import Features
from orchestra.dialects.history import viewed
from orchestra.dialects.loose import Written, is_object, mapping
from orchestra.dialects.parameters import Parameters, parameters
from orchestra.dialects.tool_names import wire_names
from orchestra.dialects.tool_schema import CompiledTool, compile_tools
from orchestra.types import Json, Message, ModelCard, Request, ToolCall, ToolChoice, ToolSpec
from orchestra.types.same import Same


class Asked(NamedTuple):
    """A request as `card` can be asked it in this dialect; a codec only has to spell it.

    `compiled` are the tools to declare, by canonical name; where models write their calls as JSON (`json_tools`) they
    stand in the prompt, and `output_schema` holds both the calls and the answer; `told` says that the prompt tells all
    of it already. `messages` are what the model may see.
    `names` and `ids` spell every tool that was called and every call of it. `extra` are parameters for this provider,
    by their own names; they never replace what the request itself says.
    """

    card: ModelCard
    messages: tuple[Message, ...]
    compiled: Mapping[str, CompiledTool]
    names: Mapping[str, str]
    ids: Mapping[str, str]
    json_tools: bool
    told: bool
    tool_choice: ToolChoice
    parallel_tools: bool | None
    output_schema: Mapping[str, Json] | None
    parameters: Parameters
    extra: Mapping[str, Json]
    notes: tuple[str, ...]

    def arguments(self, call: ToolCall) -> Mapping[str, Json]:
        """A call's arguments as this dialect's model would have written them."""
        if call.arguments is None:
            return {"unreadable": call.raw}
        tool = self.compiled.get(call.name)
        return tool.encode(call.arguments) if tool else call.arguments

    def declared(self, form: Callable[[list[Any]], list[Any]] = list) -> Written:
        """The declarations of the compiled tools in the form in which a body holds them, written once for all requests.

        `form` is a function of a module, given a list of its own; a codec adds to copies of what stands in it.
        """
        return _declared(Same(self.compiled.values()), form)

    def in_prompt(self, why: str) -> Asked:
        """The same with the answer's schema in the prompt only, where the dialect turns out unable to enforce it."""
        text = _ANSWER_WITH + json.dumps(self.output_schema)
        return self._replace(
            messages=self.messages if self.told else json_tools.instructed(self.messages, text),
            output_schema=None,
            notes=(*self.notes, f"output_schema left out: {why}; it stands in the prompt"),
        )

    def completed(self, body: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The body with `extra`, objects merged, and the notes; what the request itself says is never replaced."""
        if not self.extra:
            return body, self.notes
        notes = list(self.notes)
        return _merged(body, self.extra, notes), tuple(notes)


def asked(request: Request, card: ModelCard) -> Asked:
    """The request cut to what the card's dialect and model can do. Raises ToolError for a tool that it cannot say."""
    return _Cut(request, card, features_of(card)).asked()


@lru_cache(maxsize=256)
def _declared(tools: Same[CompiledTool], form: Callable[[list[Any]], list[Any]]) -> Written:
    return Written(form([tool.declaration for tool in tools.held]))


def in_sections(
    extra: Mapping[str, Json], section_of: Callable[[str], str | None], notes: list[str]
) -> dict[str, Json]:
    """Extra parameters in the sections of the body where they belong; None: in the body itself.

    What is given in its place beats what is given by its name alone; a section that is no object holds nothing.
    """
    placed = {name: value for name, value in extra.items() if section_of(name) is None}
    for name, value in extra.items():
        if section := section_of(name):
            given = placed.get(section, {})
            if not is_object(given):
                notes.append(f"extra {section!r} left out: it is no object, and {name!r} belongs there")
            placed[section] = {name: value} | mapping(given)
    return placed


class _Cut:
    """One request while it is cut; what is left out is noted, once."""

    def __init__(self, request: Request, card: ModelCard, features: Features) -> None:
        self.request, self.card, self.features = request, card, features
        self.notes: list[str] = []
        support = card.capabilities.tools
        self.json_tools = support == "json" and bool(request.tools) and request.tool_choice != "none"
        self.told = self.json_tools and request.output_schema is None and request.tool_choice != "required"
        self.native = support == "native"
        if request.tools and support == "none":
            self._left_out("tools", f"{card.name} cannot call tools")

    def asked(self) -> Asked:
        """The whole of it."""
        messages, schema = self._messages()
        speech = [message for message in messages if message.role == "assistant"]
        calls = [part for message in speech for part in message.parts if isinstance(part, ToolCall)]
        compiled = self._compiled(calls)
        names, ids = self._spellings(calls, compiled)
        return Asked(
            card=self.card,
            messages=messages,
            compiled=compiled,
            names=names,
            ids=ids,
            json_tools=self.json_tools,
            told=self.told,
            tool_choice=self._tool_choice(compiled),
            parallel_tools=self._parallel(compiled),
            output_schema=schema,
            parameters=self._parameters(),
            extra=self._extra(),
            notes=tuple(self.notes),
        )

    def _messages(self) -> tuple[tuple[Message, ...], Mapping[str, Json] | None]:
        """What the model may see, and the schema its answer is held to."""
        request = self.request
        seen, schema = viewed(request.messages, self.card), request.output_schema
        messages = seen.messages
        self.notes += seen.notes
        if not self.native:
            messages = json_tools.flattened(messages, json_tools.reminder(request) if self.json_tools else "")
        if self.json_tools:
            messages = json_tools.instructed(messages, json_tools.instructions(request))
            schema = json_tools.reply_schema(request)
        if schema is None or (self.features.structured and self.card.capabilities.structured_output):
            return messages, schema
        self._left_out(
            "output_schema", f"{self._who(dialect_can=self.features.structured)} has none; it stands in the prompt"
        )
        return messages if self.told else json_tools.instructed(messages, _ANSWER_WITH + json.dumps(schema)), None

    def _compiled(self, calls: Sequence[ToolCall]) -> Mapping[str, CompiledTool]:
        """The tools to declare. Where none may be called and that cannot be said, none is, if history has no calls."""
        if not (self.request.tools or calls):
            return {}
        unsaid = self.request.tool_choice == "none" and "none" not in self.features.tool_choice
        if not self.native or (unsaid and not calls):
            return {}
        # A model that cannot be held to an answer's schema refuses to be held to a tool's.
        enforced = self.features.strict and self.card.capabilities.structured_output
        strict: Literal["auto", False] = "auto" if enforced else False
        tools = self.request.tools or self._called(calls)
        return compile_tools(tools, self.card.dialect, strict) if tools else {}

    def _called(self, calls: Sequence[ToolCall]) -> list[ToolSpec]:
        """The tools that history calls, where none is offered and the provider refuses calls of unknown ones."""
        if self.features.undeclared_calls:
            return []
        why = f"{self.features.title} refuses its calls otherwise"
        self.notes.append(f"the history's tools declared without their schemas: {why}")
        return [ToolSpec(name, "", {"type": "object"}) for name in dict.fromkeys(call.name for call in calls)]

    def _spellings(
        self, calls: Sequence[ToolCall], compiled: Mapping[str, CompiledTool]
    ) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The wire's names of the tools that were called, and its ids of the calls."""
        if not calls:
            return {}, {}
        known = {name: tool.name for name, tool in compiled.items()}
        names = wire_names([call.name for call in calls], known=known, spelling=self.features.tool_names)
        return names, self._ids(calls)

    def _ids(self, calls: Sequence[ToolCall]) -> Mapping[str, str]:
        """The wire's ids of the calls; one that this model gave goes back as it is, for it may say more than which.

        Kimi's say which tool was called when, and those of gateways in front of Gemini hold a thought's signature.
        """
        ids, spelling = wire_names([call.id for call in calls], spelling=self.features.call_ids), self.features.call_ids
        if spelling.exact or all(one == spelled for one, spelled in ids.items()):  # as nearly always
            return ids
        return wire_names(ids, known={call.id: call.id for call in calls if self._gave(call)}, spelling=spelling)

    def _gave(self, call: ToolCall) -> bool:
        origin, card = call.origin, self.card
        made = origin and (origin.provider, origin.api, origin.model)
        return made == (card.provider, card.dialect, card.model)

    def _tool_choice(self, compiled: Mapping[str, CompiledTool]) -> ToolChoice:
        wanted = self.request.tool_choice if self.request.tools else "none"
        if not compiled or wanted in self.features.tool_choice:
            return wanted
        self._left_out(f"tool_choice {wanted}", f"{self.features.title} cannot say it")
        return "auto"

    def _parallel(self, compiled: Mapping[str, CompiledTool]) -> bool | None:
        wanted = self.request.parallel_tools
        if self.json_tools and wanted:
            self._left_out("parallel_tools", f"{self.card.name} writes one call a reply")
        elif compiled and wanted and not self.card.capabilities.parallel_tools:
            self._left_out("parallel_tools", f"{self.card.name} makes one call a reply")
        elif compiled and wanted is False and not self.features.parallel_switch:
            self._left_out("parallel_tools", f"{self.features.title} has no such switch")
        elif compiled and self.features.parallel_switch:
            return wanted
        return None

    def _parameters(self) -> Parameters:
        said = parameters(self.request, self.card)
        self.notes += said.notes
        return said

    def _extra(self) -> dict[str, Json]:
        if not self.request.extra:
            return {}
        own = (self.card.provider, self.card.dialect)
        result: dict[str, Json] = {}
        for key, value in self.request.extra.items():
            namespace, _, name = key.partition(".")
            if namespace in own and name:
                result[name] = value
            else:
                self._left_out(f"extra {key!r}", f"it is not for {' or '.join(dict.fromkeys(own))}")
        return result

    def _who(self, *, dialect_can: bool) -> str:
        return self.card.name if dialect_can else self.features.title

    def _left_out(self, what: str, why: str) -> None:
        self.notes.append(f"{what} left out: {why}")


def _merged(body: dict[str, Any], extra: Mapping[str, Json], notes: list[str], above: str = "") -> dict[str, Any]:
    result = dict(body)
    for name, value in extra.items():
        if is_object(value) and is_object(body.get(name)):
            result[name] = _merged(body[name], value, notes, f"{above}{name}.")
        elif name in body:
            notes.append(f"extra {above + name!r} left out: the request itself sets it")
        else:
            result[name] = value
    return result


_ANSWER_WITH = "Answer with JSON only, matching this JSON Schema:\n"
