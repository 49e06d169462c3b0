"""The inner loop: attempts until a reply is accepted, or recovery, the deadline or the money says no."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import replace

from orchestra.checks import judge, mend_calls
from orchestra.dispatch.admission import Means, waited
from orchestra.dispatch.attempt import LiveAttempt
from orchestra.dispatch.backoff import backoff
from orchestra.dispatch.call import Accepted, Call, DispatchEvent, Endpoints
from orchestra.dispatch.caps import Caps
from orchestra.dispatch.course import Course
from orchestra.dispatch.ends import past_deadline, refused, stream_cut
from orchestra.dispatch.slots import Slots
from orchestra.dispatch.target import Target, targets
from orchestra.dispatch.traffic import Traffic, Way
from orchestra.dispatch.under_way import UnderWay
from orchestra.errors import OrchestraError
from orchestra.fleet import Fleet
from orchestra.recovery import Move, RecoveryPolicy, next_move, tolerated
from orchestra.transport import Transport
from orchestra.types import Action, CallFault, Fault, ModelReply, TextDelta, Trigger, Verdict

ROTATES = frozenset({Trigger.rate_limited, Trigger.auth, Trigger.quota, Trigger.timeout})
"""Faults that another key or place of the same model is asked for at once; of others the same is asked first."""

OF_THE_KEY = frozenset({Trigger.rate_limited, Trigger.auth, Trigger.quota})
"""Faults that add no load to a provider in trouble where another of its keys or places is asked: that is no retry."""

GOES_ON = frozenset({Action.retry, Action.repair, Action.sibling, Action.escalate, Action.wider_window})


class Dispatcher:
    """Brings calls to accepted replies; at most `concurrency` attempts run at a time, None is no limit.

    `clock`, `draw` and `sleep` are injected, so that tests need no real time. Raises ConfigError for a limit below 1.
    What waits here is `under_way`, and so are the runs that wait for calls: an app that is closed ends them.
    """

    def __init__(
        self,
        fleet: Fleet,
        endpoints: Endpoints,
        transport: Transport,
        recovery: RecoveryPolicy,
        *,
        concurrency: int | None = None,
        caps: Caps | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        per_model = {name: card.concurrency for name, card in fleet.models.items() if card.concurrency is not None}
        slots = Slots(per_model, concurrency)
        self.traffic = Traffic(fleet, clock, draw, endpoints.ready, endpoints.renewed)
        caps = caps or Caps(fleet.budgets, None, "")
        self._means = Means(fleet.models, endpoints, transport, slots, self.traffic, caps, clock, now, sleep)
        self._recovery, self._clock, self._draw, self._sleep = recovery, clock, draw, sleep
        self.under_way = UnderWay()

    async def stream(self, call: Call) -> AsyncGenerator[DispatchEvent, None]:
        """Events of a call; the last one is Accepted.

        With `call.commit` the TextDeltas together are the accepted reply's text. Once a piece is handed on, any fault
        or refused verdict ends in StreamCut. Raises Exhausted, BadRequest, ContentFiltered, HumanNeeded, StreamCut,
        DeadlineExceeded or BudgetExceeded; ConfigError where a model cannot be asked and no other may stand in;
        LedgerError where an event cannot be recorded. Each carries the `attempts` until then.
        """
        course = Course(call, call.ladder)
        with course:
            while True:
                attempt = self._attempt(course)
                try:
                    while attempt.result is None:
                        with self.under_way.waiting(call.step):
                            deltas = await attempt.more()
                        for delta in deltas:
                            yield delta
                finally:
                    with self.under_way.leaving():
                        await attempt.aclose()
                outcome = self._judged(course, attempt)
                if isinstance(outcome, Accepted):
                    break
                move, wait = self._refused(course, outcome, attempt)
                yield course.change(move)
                with self.under_way.waiting(call.step):
                    await self._go_on(course, attempt, move, wait)
        if call.commit and outcome.reply.text and not any(attempt.handed_on):
            yield TextDelta(outcome.reply.text)
        yield outcome

    async def complete(self, call: Call) -> Accepted:
        """What `stream` ends with, for a call of which nothing is handed on. Raises as it does."""
        with Course(call, call.ladder) as course, self.under_way.waiting(call.step):
            while True:
                attempt = self._attempt(course)
                await attempt.run()
                outcome = self._judged(course, attempt)
                if isinstance(outcome, Accepted):
                    return outcome
                await self._go_on(course, attempt, *self._refused(course, outcome, attempt))

    def _attempt(self, course: Course) -> LiveAttempt:
        if self._clock() >= course.call.deadline:
            raise past_deadline(course.call.step, course.attempts)
        return LiveAttempt(self._means, course)

    def _refused(self, course: Course, failure: Verdict | CallFault, attempt: LiveAttempt) -> tuple[Move, float]:
        """The move to make, and the seconds to wait before it; raises what ends the call where there is none."""
        failure = course.without_secrets(failure)
        move, wait = self._next(course, failure, attempt)
        course.refuse(attempt.record, failure, move)
        if attempt.handed_on:
            raise stream_cut(course.call.step, course.attempts, "".join(attempt.handed_on))
        if move.action not in GOES_ON:
            raise self._end(course, attempt, move)
        return move, wait

    async def _go_on(self, course: Course, attempt: LiveAttempt, move: Move, wait: float) -> None:
        if wait:
            waited(course, attempt.way, wait, "backoff")
        await self._sleep(wait)
        course.go_on(move)

    def _judged(self, course: Course, attempt: LiveAttempt) -> Accepted | Verdict | CallFault:
        """What the attempt brought; a reply that was accepted ends the course."""
        result, way = attempt.result, attempt.way
        assert result is not None, "only a cancelled attempt has no result"
        if isinstance(result, CallFault):
            return result
        assert way is not None, "whoever has replied was asked"
        reply, verdict = self._judge(course, result)
        accepted = verdict.accepted
        self.traffic.judged(way, accepted=accepted)
        return course.accept(attempt.record, reply, verdict) if accepted else verdict

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
            return mended, verdict if verdict.accepted else self._tolerated(course, mended, verdict)
        except Exception as error:  # noqa: BLE001  # a user's own check may raise anything
            return reply, Verdict(Trigger.bad_output, (f"checking the reply failed: {type(error).__name__}: {error}",))

    def _tolerated(self, course: Course, reply: ModelReply, verdict: Verdict) -> Verdict:
        called = {call.name for call in reply.tool_calls}
        acts = any(not tool.read_only for tool in course.call.expect.tools if tool.name in called)
        return tolerated(self._recovery, course.call.decision, course.ladder, verdict, acts=acts)

    def _next(self, course: Course, failure: Verdict | CallFault, attempt: LiveAttempt) -> tuple[Move, float]:
        """What follows a failure, and the seconds to wait before it."""
        course.spent = course.spent.union(self._spent(course, failure, attempt))
        if attempt.handed_on:
            return course.stop("what was handed on is never continued by another reply"), 0.0
        if self._clock() >= course.call.deadline:
            return course.stop("the deadline has passed"), 0.0
        if not isinstance(failure, CallFault) or failure.trigger.fault is not Fault.provider:
            return next_move(self._recovery, course.call.decision, course.ladder, failure), 0.0
        if attempt.way is None:
            move, wait = self._without_retry(course, failure), 0.0
        elif there := self._elsewhere(course, failure, attempt.way):
            return there, 0.0
        else:
            move, wait = self._again_or_on(course, failure, attempt.way)
            if failure.trigger in self._recovery.overrides:
                return move, wait
        return (move, wait) if move.action in GOES_ON else self._past_closed(course, failure, attempt, move)

    def _spent(self, course: Course, failure: Verdict | CallFault, attempt: LiveAttempt) -> Iterable[Target]:
        """Targets of which nothing more is hoped in this call: where a provider failed that one, else all of the model.

        None of a model that was only closed, which nobody has asked.
        """
        name = course.ladder.model
        if isinstance(failure, CallFault) and failure.trigger.fault is Fault.provider and name != course.forced:
            if attempt.way:
                return (attempt.way.target,)
            if not attempt.error:
                return ()
        card = self._means.models.get(name)
        return targets(card) if card else ()

    def _again_or_on(self, course: Course, failure: CallFault, way: Way) -> tuple[Move, float]:
        """As the table says; the same request again only where deadline and retry budget leave room for it."""
        move = next_move(self._recovery, course.call.decision, course.ladder, failure)
        if move.action is not Action.retry:
            return move, 0.0
        wait = backoff(course.ladder.retries, failure.retry_after, self._draw())
        if self._clock() + wait >= course.call.deadline:
            why = f"waiting {wait:.3g} s does not fit the deadline"
        elif not _asked_for(failure) and not self.traffic.may_retry(way.target.provider):
            why = f"{way.target.provider} has failed so often that nothing is sent to it again"
        else:
            course.stay = way.target
            return move, wait
        move = self._without_retry(course, failure)
        return replace(move, reason=f"{move.reason} ({why})"), 0.0

    def _elsewhere(self, course: Course, failure: CallFault, way: Way) -> Move | None:
        """To another key or place of the same model, where that may help, before any other model."""
        if failure.trigger in self._recovery.overrides:
            return None
        rotates = failure.trigger in ROTATES
        if not rotates and course.ladder.retries < self._recovery.retries:
            return None  # the same once more first: it may have been a hiccup
        failed = course.avoid | {way.target}
        if not rotates and len(course.spent & self._at(way.target)) > 1:
            failed |= self._at(way.target)  # two keys have failed alike: it is the place
        there = None if rotates else self._way(course, failed | self._other_places(way.target))
        there = there or self._way(course, failed)
        if there is None:
            return None
        if failure.trigger not in OF_THE_KEY and not self.traffic.may_retry(way.target.provider):
            return None
        course.avoid, course.stay = failed, there.target
        reason = f"{failure.trigger} on {way.target}: to {there.target}"
        return Move(Action.retry, course.ladder, course.ladder.model, reason)

    def _at(self, here: Target) -> frozenset[Target]:
        return frozenset(one for one in targets(self._means.models[here.model]) if one.place == here.place)

    def _other_places(self, here: Target) -> frozenset[Target]:
        return frozenset(targets(self._means.models[here.model])) - self._at(here)

    def _past_closed(self, course: Course, failure: CallFault, attempt: LiveAttempt, end: Move) -> tuple[Move, float]:
        """Nothing is left that is open: the least bad of what was closed to this call and has not failed in it.

        But not before its provider's `Retry-After` is over: that is no guess of ours. What is not the call's first
        request takes a retry, or an outage of several models would double the load.
        """
        models, spent = self._means.models, course.spent
        tried = [name for name in course.ladder.tried if name in models]
        for name, wait in self.traffic.least_bad(tried, course.call.data_tags, spent, dead=not course.asked):
            fits = self._clock() + wait < course.call.deadline
            if fits and (not course.asked or self.traffic.may_retry(models[name].provider)):
                return self._all_the_same(course, failure, name, spent), wait and backoff(0, wait, self._draw())
        return self._once_more(course, failure, attempt) or (end, 0.0)

    def _once_more(self, course: Course, failure: CallFault, attempt: LiveAttempt) -> tuple[Move, float] | None:
        """To a model that was to be asked again and has closed meanwhile: its retry is granted."""
        name = course.ladder.model
        asked = any(one.model == name for one in course.spent)
        if attempt.way or attempt.error or name == course.forced or not asked:
            return None
        wait = self.traffic.pause(name, course.call.data_tags)
        if self._clock() + wait >= course.call.deadline:
            return None
        return self._all_the_same(course, failure, name, frozenset()), wait

    def _all_the_same(self, course: Course, failure: CallFault, name: str, avoid: frozenset[Target]) -> Move:
        course.forced, course.avoid = name, avoid
        ladder = replace(course.ladder, model=name, retries=self._recovery.retries, degraded=True)
        reason = f"{failure.text}; nothing else is open, so {name} is asked all the same"
        return Move(Action.retry, ladder, name, reason)

    def _without_retry(self, course: Course, failure: CallFault) -> Move:
        spent = replace(course.ladder, retries=self._recovery.retries)
        return next_move(self._recovery, course.call.decision, spent, failure)

    def _way(self, course: Course, avoid: frozenset[Target]) -> Way | None:
        call, card = course.call, self._means.models[course.ladder.model]
        way = self.traffic.way(card, call.request, tags=call.data_tags, avoid=avoid)
        return way if isinstance(way, Way) else None


def _asked_for(failure: CallFault) -> bool:
    """Whether the provider told when to come back: it is busy, not in trouble, and its word keeps all others away."""
    return failure.trigger is Trigger.rate_limited and bool(failure.retry_after)
