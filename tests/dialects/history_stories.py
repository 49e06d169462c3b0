"""Conversations as they come about when every step may run on another provider, and is cut wherever it is cut."""

import base64
import json

from hypothesis import strategies as st

from orchestra.dialects import CODECS
from orchestra.types import (
    Document,
    Image,
    Message,
    ModelReply,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from tests.dialects.history_replies import MODELS, Spoken, card, reply_body

ROWS = ToolSpec("rows", "Run one SELECT", {"type": "object", "properties": {"sql": {"type": "string"}}})
PLOT = ToolSpec("charts.plot", "Draw", {"type": "object", "properties": {"kind": {"enum": ["bar", "pie"]}}})
TOOLS = (ROWS, PLOT)
SIGHTS = (Image("image/png", data="QUJD"), Image("image/png", url="https://example.com/a.png"))
PAPERS = (
    Document("application/pdf", "q3 (final).pdf", data="QUJD"),
    Document("application/pdf", url="https://example.com/a.pdf"),
)
CARDS = [card(dialect, model) for dialect in CODECS for model in MODELS[dialect]]

texts = st.sampled_from(["", " \n", "a", "ünï\u2028", 'say "so"'])
media = st.sampled_from([*SIGHTS, *PAPERS])
content = st.one_of(texts.map(Text), media)
calls = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["c1", "call:2", ""]), st.just("rows"), st.sampled_from([{}, {"sql": "select 'ü'"}])),
        st.tuples(st.sampled_from(["c1", "x" * 60]), st.just("charts.plot"), st.just({"kind": "bar"})),
        st.tuples(st.just("toolu_9"), st.just("unheard_of"), st.just({"any": [None, 1.5]})),
    ),
    max_size=3,
).map(tuple)

moves = st.one_of(
    st.tuples(st.just("user"), st.lists(content, max_size=2)),
    st.tuples(st.just("system"), texts),
    st.tuples(st.just("model"), st.sampled_from(CARDS), texts, texts, calls),
    st.tuples(
        st.just("results"), st.permutations(range(3)), st.integers(0, 3), st.lists(content, max_size=2), st.booleans()
    ),
    st.tuples(st.just("orphan"), st.sampled_from(["c1", "zz"])),
    st.tuples(
        st.just("edited"), st.sampled_from(["system", "user", "assistant", "tool"]), st.lists(content, max_size=2)
    ),
)


class Story:
    """A history, and each reply in it that its own provider is owed back: (card, what it spoke, its message)."""

    def __init__(self):
        self.messages = []
        self.spoken = []
        self._open = []

    def tell(self, kind, *said):
        getattr(self, f"_{kind}")(*said)

    def trimmed(self, first):
        """The same without what came before `first`."""
        cut = Story()
        cut.messages = self.messages[first:]
        cut.spoken = [one for one in self.spoken if any(one[2] is message for message in cut.messages)]
        return cut

    def owed(self, to):
        return [spoken for card, spoken, _ in self.spoken if card is to]

    def _user(self, parts):
        self.messages.append(Message("user", tuple(parts)))

    def _system(self, text):
        self.messages.append(Message.system(text))

    def _model(self, card, thought, text, called):
        codec = CODECS[card.dialect]
        encoded = codec.encode(Request((*self.messages, Message.user("?")), TOOLS), card)
        wired = {name: tool.name for name, tool in encoded.compiled.items()}
        # Only Gemini gives calls no ids.
        asked = (
            (id or ("" if card.dialect == "gemini" else "c9"), wired.get(name, name), given)
            for id, name, given in called
        )
        said = text if text.strip() or called else "fine"
        spoken = Spoken(_state(len(self.messages)), thought.strip() or "hm", said, tuple(asked))
        reply = codec.decode(encoded, json.dumps(reply_body(card.dialect, card.model, spoken)).encode())
        assert isinstance(reply, ModelReply), reply
        message = Message("assistant", reply.parts)
        self.messages.append(message)
        self.spoken.append((card, spoken, message))
        self._open = list(reply.tool_calls)

    def _cut(self):
        """The last reply ended while the model still thought."""
        if self.spoken and self.messages[-1] is self.spoken[-1][2]:
            thoughts = tuple(part for part in self.messages[-1].parts if isinstance(part, Reasoning))
            self.messages[-1] = Message("assistant", thoughts)
            self.spoken.pop()
            self._open = []

    def _results(self, order, count, parts, failed):
        """Some of the results that are due, in any order; the rest were interrupted."""
        due = [self._open[place] for place in order if place < len(self._open)][:count]
        results = tuple(ToolResult(one.id, one.name, tuple(parts), is_error=failed) for one in due)
        self.messages.append(Message("tool", results))

    def _orphan(self, id):
        self.messages.append(Message("tool", (ToolResult(id, "rows", (Text("?"),)),)))

    def _edited(self, role, parts):
        """What only callers write: calls and reasoning of nobody, media where models speak, an id used before."""
        odd = (Reasoning("nobody's"), ToolCall("c1", "rows", None, '{"sql'), ToolResult("c1", "rows", (Text("late"),)))
        self.messages.append(Message(role, (*parts, *odd)))


def _state(number):
    """Base64 with all that it may hold besides letters and digits; no two alike."""
    return base64.b64encode(b"\xfb\xef\xff" + b"%04d" % number).decode()


@st.composite
def stories(draw, cut=True):
    """Any story; without `cut` every reply in it is whole."""
    story = Story()
    for move in draw(st.lists(moves | st.just(("cut",)) if cut else moves, max_size=8)):
        story.tell(*move)
    return story.trimmed(draw(st.sampled_from([0, 0, 0, 1, 2, 3])))
