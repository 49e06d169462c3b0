"""The inner loop: attempts until a reply is accepted, or recovery, the deadline or the money says no."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from orchestra.checks import judge, mend_calls
from orchestra.dispatch.attempt import LiveAttempt, Means
from orchestra.dispatch.backoff import backoff
from orchestra.dispatch.call import Call, DispatchEvent, Endpoints
from orchestra.dispatch.course import Course
from orchestra.dispatch.ends import past_deadline, refused, stream_cut
from orchestra.dispatch.slots import Slots
from orchestra.errors import OrchestraError
from orchestra.fleet import Fleet
from orchestra.recovery import Move, RecoveryPolicy, next_move, tolerated
from orchestra.transport import Transport
from orchestra.types import Action, CallFault, Fault, ModelReply, TextDelta, Trigger, Verdict

GOES_ON = frozenset({Action.retry, Action.repair, Action.sibling, Action.escalate, Action.wider_window})


class Dispatcher:
    """Brings calls to accepted replies; at most `concurrency` attempts run at a time, None is no limit.

    `clock`, `draw` and `sleep` are injected, so that tests need no real time. Raises ConfigError for a limit below 1.
    """

    def __init__(
        self,
        fleet: Fleet,
        endpoints: Endpoints,
        transport: Transport,
        recovery: RecoveryPolicy,
        *,
        concurrency: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        per_model = {name: card.concurrency for name, card in fleet.models.items() if card.concurrency is not None}
        self._means = Means(fleet.models, endpoints, transport, clock, Slots(per_model, concurrency))
        self._recovery, self._clock, self._draw, self._sleep = recovery, clock, draw, sleep

    async def stream(self, call: Call) -> AsyncGenerator[DispatchEvent, None]:
        """Events of a call; the last one is Accepted.

        With `call.commit` the TextDeltas together are the accepted reply's text. Once a piece is handed on, any fault
        or refused verdict ends in StreamCut. Raises Exhausted, BadRequest, ContentFiltered, HumanNeeded, StreamCut,
        DeadlineExceeded or BudgetExceeded; ConfigError where a model cannot be asked and no other may stand in;
        LedgerError where an event cannot be recorded. Each carries the `attempts` until then.
        """
        course = Course(call, call.ladder)
        try:
            async with aclosing(self._run(course)) as events:
                async for event in events:
                    yield event
        except OrchestraError as end:
            end.attempts = tuple(course.attempts)
            raise

    async def _run(self, course: Course) -> AsyncGenerator[DispatchEvent, None]:
        call = course.call
        while True:
            if self._clock() >= call.deadline:
                raise past_deadline(call.step, course.attempts)
            attempt = LiveAttempt(self._means, call, course.ladder, course.feedback)
            async with aclosing(attempt.deltas()) as deltas:
                async for delta in deltas:
                    yield delta
            failure = attempt.outcome
            if isinstance(failure, ModelReply):
                reply, failure = self._judge(course, failure)
                if failure.accepted:
                    accepted = course.accept(attempt.record, reply, failure)
                    if call.commit and reply.text and not any(attempt.handed_on):
                        yield TextDelta(reply.text)
                    yield accepted
                    return
            move, wait = self._next(course, failure, committed=bool(attempt.handed_on))
            course.refuse(attempt.record, failure, move)
            if attempt.handed_on:
                raise stream_cut(call.step, course.attempts, "".join(attempt.handed_on))
            if move.action not in GOES_ON:
                raise self._end(course, attempt, move)
            yield course.change(move)
            await self._sleep(wait)
            course.go_on(move)

    def _end(self, course: Course, attempt: LiveAttempt, move: Move) -> OrchestraError:
        step, attempts = course.call.step, course.attempts
        if self._clock() >= course.call.deadline:
            return past_deadline(step, attempts)
        return attempt.error or refused(step, attempts, move.reason)

    def _judge(self, course: Course, reply: ModelReply) -> tuple[ModelReply, Verdict]:
        expect = course.call.expect
        if reply.finish == "length":  # then it matters whether the window was full
            expect = replace(expect, window=self._means.models[course.ladder.model].window)
        try:
            mended = mend_calls(reply, expect)
            verdict = judge(mended, expect)
            acts = any(
                not tool.read_only for tool in expect.tools if tool.name in {call.name for call in mended.tool_calls}
            )
            return mended, tolerated(self._recovery, course.call.decision, course.ladder, verdict, acts=acts)
        except Exception as error:  # noqa: BLE001  # a user's own check may raise anything
            return reply, Verdict(Trigger.bad_output, (f"checking the reply failed: {type(error).__name__}: {error}",))

    def _next(self, course: Course, failure: Verdict | CallFault, *, committed: bool) -> tuple[Move, float]:
        """What follows a failure, and the seconds to wait before it."""
        if committed:
            return course.stop("what was handed on is never continued by another reply"), 0.0
        if self._clock() >= course.call.deadline:
            return course.stop("the deadline has passed"), 0.0
        decision, ladder = course.call.decision, course.ladder
        move = next_move(self._recovery, decision, ladder, failure)
        wait = self._wait(course, failure) if move.action is Action.retry else 0.0
        if self._clock() + wait < course.call.deadline:
            return move, wait
        spent = replace(ladder, retries=self._recovery.retries)
        move = next_move(self._recovery, decision, spent, failure)
        return replace(move, reason=f"{move.reason} (waiting {wait:.3g} s does not fit the deadline)"), 0.0

    def _wait(self, course: Course, failure: Verdict | CallFault) -> float:
        if not isinstance(failure, CallFault) or failure.trigger.fault is not Fault.provider:
            return 0.0
        return backoff(course.ladder.retries, failure.retry_after, self._draw())
