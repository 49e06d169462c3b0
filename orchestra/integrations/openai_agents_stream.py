"""openai-agents' stream: the events of a reply of ours as those of OpenAI's Responses."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from agents.items import TResponseOutputItem, TResponseStreamEvent
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseCreatedEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseFunctionToolCall,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
    ResponseReasoningSummaryTextDeltaEvent,
    ResponseReasoningSummaryTextDoneEvent,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
)

from orchestra import types as t
from orchestra.integrations.openai_agents_items import answer_items, new_mark, part_items
from orchestra.integrations.openai_agents_usage import told, usage_of


class Written:
    """The events of one Responses stream: items open and close, each under the next index."""

    def __init__(self) -> None:
        self._number = self._index = -1
        self._open: type[t.TextDelta | t.ReasoningDelta] | None = None
        self._pieces: list[str] = []
        self._mark = new_mark()

    def created(self) -> TResponseStreamEvent:
        """The first event."""
        return ResponseCreatedEvent(type="response.created", response=_response(None), **self._next())

    def of(self, event: t.StreamEvent) -> Iterator[TResponseStreamEvent]:
        """The events that say this one of ours."""
        match event:
            case t.TextDelta(piece) | t.ReasoningDelta(piece):
                if self._open is not type(event):
                    yield from self._close()
                    yield from self._begin(type(event))
                self._pieces.append(piece)
                yield self._piece(piece)
            case t.ToolCallReady(call):
                yield from self._close()
                yield from self._call(call)
            case t.End(reply):
                yield from self._close()
                whole = _response(reply, self.items(reply))
                yield ResponseCompletedEvent(type="response.completed", response=whole, **self._next())
            case _:  # usage comes with the end; another attempt has no event in this format
                return

    def items(self, reply: t.Reply) -> list[TResponseOutputItem]:
        """The whole reply's items, under the ids that the stream has told."""
        return answer_items(reply, self._mark)

    def _next(self) -> dict[str, Any]:
        self._number += 1
        return {"sequence_number": self._number}

    def _at(self) -> dict[str, Any]:
        return {"output_index": self._index, **self._next()}

    def _in(self) -> dict[str, Any]:
        return {"item_id": FAKE_RESPONSES_ID, **self._at()}

    def _begin(self, kind: type[t.TextDelta | t.ReasoningDelta]) -> Iterator[TResponseStreamEvent]:
        self._open, self._pieces = kind, []
        self._index += 1
        if kind is t.ReasoningDelta:
            item: Any = ResponseReasoningItem(id=FAKE_RESPONSES_ID, type="reasoning", summary=[])
        else:
            item = ResponseOutputMessage(
                id=FAKE_RESPONSES_ID, type="message", role="assistant", status="in_progress", content=[]
            )
        yield ResponseOutputItemAddedEvent(type="response.output_item.added", item=item, **self._at())
        if kind is t.TextDelta:
            part = ResponseOutputText(type="output_text", text="", annotations=[])
            yield ResponseContentPartAddedEvent(
                type="response.content_part.added", content_index=0, part=part, **self._in()
            )

    def _piece(self, piece: str) -> TResponseStreamEvent:
        if self._open is t.ReasoningDelta:
            return ResponseReasoningSummaryTextDeltaEvent(
                type="response.reasoning_summary_text.delta", summary_index=0, delta=piece, **self._in()
            )
        return ResponseTextDeltaEvent(
            type="response.output_text.delta", content_index=0, delta=piece, logprobs=[], **self._in()
        )

    def _close(self) -> Iterator[TResponseStreamEvent]:
        text, kind, self._open = "".join(self._pieces), self._open, None
        if kind is None:
            return
        if kind is t.ReasoningDelta:
            yield ResponseReasoningSummaryTextDoneEvent(
                type="response.reasoning_summary_text.done", summary_index=0, text=text, **self._in()
            )
            part: t.Part = t.Reasoning(text)
        else:
            yield ResponseTextDoneEvent(
                type="response.output_text.done", content_index=0, text=text, logprobs=[], **self._in()
            )
            whole = ResponseOutputText(type="output_text", text=text, annotations=[])
            yield ResponseContentPartDoneEvent(
                type="response.content_part.done", content_index=0, part=whole, **self._in()
            )
            part = t.Text(text)
        (item,) = part_items(part)
        yield ResponseOutputItemDoneEvent(type="response.output_item.done", item=item, **self._at())

    def _call(self, call: t.ToolCall) -> Iterator[TResponseStreamEvent]:
        self._index += 1
        (item,) = part_items(call, self._mark)
        assert isinstance(item, ResponseFunctionToolCall)
        begun = item.model_copy(update={"arguments": ""})
        yield ResponseOutputItemAddedEvent(type="response.output_item.added", item=begun, **self._at())
        yield ResponseFunctionCallArgumentsDeltaEvent(
            type="response.function_call_arguments.delta", delta=item.arguments, **self._in()
        )
        yield ResponseFunctionCallArgumentsDoneEvent(
            type="response.function_call_arguments.done", arguments=item.arguments, **self._in()
        )
        yield ResponseOutputItemDoneEvent(type="response.output_item.done", item=item, **self._at())


def _response(reply: t.Reply | None, output: Sequence[TResponseOutputItem] = ()) -> Response:
    """The reply as a whole response; without one, what a response is before anything was said."""
    found = Response(
        id=FAKE_RESPONSES_ID,
        created_at=time.time(),
        model=(reply.wire_model or reply.model) if reply else "",
        object="response",
        output=[*output],
        usage=told(usage_of(reply)) if reply else None,
        tools=[],
        tool_choice="auto",
        parallel_tool_calls=True,
    )
    if reply:
        # where the SDK's own clients put it, and its runner looks
        found._request_id = reply.run  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # no public way
    return found
