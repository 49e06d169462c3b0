"""An in-memory transport, a hand-moved clock and a bench that runs calls through a real Dispatcher."""

import asyncio
import json
import sys
import time
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from inspect import iscoroutinefunction

from orchestra.checks import Expect
from orchestra.dispatch import Accepted, Call, Dispatcher, Endpoint, Purse
from orchestra.fleet import Fleet
from orchestra.ledger import AttemptEnded, AttemptStarted, Judged
from orchestra.ledger.redact import Redactor
from orchestra.recovery import Ladder, RecoveryPolicy
from orchestra.types import (
    AttemptChanged,
    Candidate,
    Decision,
    Message,
    ModelCard,
    Price,
    Request,
    TextDelta,
    Timeouts,
    ToolSpec,
)

SILENCE = object()
ROWS = ToolSpec(
    "rows", "Run a query", {"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"]}
)


@dataclass
class Served:
    """A response: its pieces are bytes, an exception, SILENCE, or something to call or to wait for."""

    pieces: list = field(default_factory=list)
    status: int = 200
    headers: dict = field(default_factory=lambda: {"content-type": "text/event-stream"})


def frame(delta=None, finish=None, **extra):
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "wire", "choices": [choice], **extra}).encode() + b"\n\n"


USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}\n\n'
DONE = b"data: [DONE]\n\n"


def say(*texts, finish="stop", usage=USAGE):
    return Served([*(frame({"content": text}) for text in texts), frame(finish=finish), usage, DONE])


def think(text):
    return frame({"reasoning_content": text})


def call_tool(name, arguments):
    function = {"name": name, "arguments": arguments}
    delta = {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": function}]}
    return Served([frame(delta), frame(finish="tool_calls"), USAGE, DONE])


def error(status, text="no", code="error", headers=None):
    body = json.dumps({"error": {"message": text, "type": code, "code": code}}).encode()
    return Served([body], status, {"content-type": "application/json", **(headers or {})})


async def hang(waiting):
    """Says that it waits, and does so for ever."""
    waiting.set()
    await asyncio.Event().wait()


@contextmanager
def between_bytecodes(function, act):
    """Does `act` between any two bytecodes of the function's file, as another thread may."""

    def bytecode(frame, event, _):
        if event == "opcode":
            act()
        return bytecode

    def trace(frame, event, _):
        if frame.f_code.co_filename != function.__code__.co_filename:
            return None
        frame.f_trace_opcodes = True
        return bytecode

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


class MemoryTransport:
    """Answers each model's requests from its script; the last one repeats. Records requests and closed responses."""

    def __init__(self, scripts):
        self.scripts = {name: list(acts) for name, acts in scripts.items()}
        self.requests, self.models, self.opened, self.closed = [], [], 0, 0
        self.waiting = asyncio.Event()

    async def send(self, request):
        body = json.loads(request.body)
        self.requests.append(request)
        self.models.append(body["model"])
        script = self.scripts[self.who(request)]
        act = script.pop(0) if len(script) > 1 else script[0]
        if callable(act):
            act = act(body)
        if act is SILENCE:
            await hang(self.waiting)
        if isinstance(act, BaseException):
            raise act
        self.opened += 1
        return MemoryResponse(self, act)

    def who(self, request):
        """Whose script answers."""
        return json.loads(request.body)["model"]

    async def aclose(self):
        pass

    def body(self, number=-1):
        return json.loads(self.requests[number].body)


class MemoryResponse:
    def __init__(self, transport, served):
        self._transport, self._served = transport, served
        self.status, self.headers = served.status, served.headers

    async def chunks(self):
        for piece in self._served.pieces:
            if piece is SILENCE:
                await hang(self._transport.waiting)
            elif iscoroutinefunction(piece):
                await piece()
            elif isinstance(piece, BaseException):
                raise piece
            elif callable(piece):
                piece()
            else:
                yield piece

    async def aclose(self):
        self._transport.closed += 1


class Clock:
    """Moves only when told, or by what is slept."""

    def __init__(self):
        self.now, self.slept = 1000.0, []

    def __call__(self):
        return self.now

    def move(self, seconds):
        self.now += seconds

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.move(seconds)


class RealClock(Clock):
    """For deadlines that pass while nothing happens."""

    def __call__(self):
        return time.monotonic()


class LoopClock(Clock):
    """The running event loop's own: its timers ring for what it is moved by, too."""

    def __call__(self):
        return asyncio.get_running_loop().time()

    def move(self, seconds):
        loop = asyncio.get_running_loop()
        earlier = loop.time
        loop.time = lambda: earlier() + seconds


class Endpoints:
    """Every model is served, but those named, which raise; `unset` are keys without a value."""

    def __init__(self, broken=None, unset=()):
        self.broken, self.unset, self.waiting = broken or {}, unset, asyncio.Event()

    def ready(self, card):
        return not any(key in self.unset for key in card.keys)

    def renewed(self, card, refused):
        """Whether its key has another value by now."""
        return self.of(card).key != refused.key

    def at_hand(self, card):
        """Where nothing is wrong with it."""
        return None if card.name in self.broken else self.of(card)

    def of(self, card):
        """The endpoint."""
        return Endpoint("http://provider.invalid/v1/", "sk-planted-key")

    async def resolve(self, card):
        if (why := self.broken.get(card.name)) is SILENCE:
            await hang(self.waiting)
        elif why is not None:
            raise why
        return self.of(card)


class Rows(list):
    """A recorder that keeps (step, event), and knows such secrets as it was given."""

    run = "run"

    def __init__(self):
        super().__init__()
        self.secrets = set()

    def record(self, step, event, *, keep=None):
        self.append((step, event))

    async def write(self, step, event):
        self.record(step, event)

    def without_secrets(self, text):
        return Redactor(self.secrets).known(text)

    def of(self, kind):
        return [event for _, event in self if isinstance(event, kind)]

    @property
    def started(self):
        return self.of(AttemptStarted)

    @property
    def ended(self):
        return self.of(AttemptEnded)

    @property
    def judged(self):
        return self.of(Judged)


def card(name, tier="efficient", **facts):
    return ModelCard(name=name, model=name, provider="p", dialect="openai-chat", tier=tier, **facts)


PRICED = {"price": Price(1.0, 2.0)}
CARDS = (
    card("small", **PRICED),
    card("twin", **PRICED),
    card("strong", "capable", price=Price(10.0, 20.0), window=64_000),
    card("giant", "frontier", price=Price(100.0, 200.0), window=128_000),
)
RANKS = {"efficient": 0, "capable": 1, "frontier": 2}


def decide(model="small", ladder=("strong", "giant"), siblings=("twin",), cards=CARDS):
    candidates = tuple(Candidate(one, RANKS[one.tier], 0.5, None, 1.0) for one in cards)
    return Decision(model, "efficient", "balanced", ladder, siblings, candidates=candidates)


class Bench:
    """A Dispatcher on in-memory parts: `await bench.run(...)` gives the events, `bench.accepted` the last one."""

    def __init__(
        self, scripts=None, *, cards=CARDS, broken=None, recovery=None, transport=None, clock=None, draw=0.5, **options
    ):
        self.clock, self.rows = clock or Clock(), Rows()
        self.transport = transport or MemoryTransport(scripts or {})
        self.events = []
        self.cards, self.endpoints = cards, options.pop("endpoints", None) or Endpoints(broken)
        facts = {name: options.pop(name) for name in ("providers", "budgets") if name in options}
        self.dispatcher = Dispatcher(
            replace(Fleet.from_cards(cards), **facts),
            self.endpoints,
            self.transport,
            recovery or RecoveryPolicy(),
            clock=self.clock,
            draw=lambda: draw,
            sleep=self.clock.sleep,
            **options,
        )

    def call(self, *, decision=None, request=None, expect=None, purse=None, deadline=600.0, **options):
        decision = decision or decide(cards=self.cards)
        tools = options.pop("tools", ())
        schema = options.pop("output_schema", None)
        request = request or Request((Message.user("How many rows?"),), tools=tools, output_schema=schema)
        return Call(
            request=request,
            decision=decision,
            expect=expect or Expect(tools=tools, output_schema=schema),
            ladder=options.pop("ladder", None) or Ladder.start(decision),
            deadline=self.clock() + deadline,
            purse=purse or Purse(None),
            recorder=self.rows,
            step="s1",
            **options,
        )

    async def run(self, call=None, **options):
        async with aclosing(self.dispatcher.stream(call or self.call(**options))) as events:
            async for event in events:
                self.events.append(event)
        return self.accepted

    @property
    def accepted(self):
        assert isinstance(self.events[-1], Accepted)
        return self.events[-1]

    @property
    def texts(self):
        return [event.text for event in self.events if isinstance(event, TextDelta)]

    @property
    def moves(self):
        return [(event.action, event.to_model) for event in self.events if isinstance(event, AttemptChanged)]


def hasty(one, **timeouts):
    """The card with timeouts that a test can wait for."""
    return replace(one, timeouts=Timeouts(**timeouts))
