"""Which target gets a call."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from orchestra.dispatch.pool import BOUND, FEW, STICKY_BOUND, least_bad, pick
from orchestra.dispatch.target import Target

A, B, C, D = POOL = tuple(Target("m", "lab", key) for key in "ABCD")
CANARY = Target("m", "lab", "NEW", weight=0.1)


def picked(targets=POOL, load=None, wait=None, *, draw=0.5, **how):
    load, wait = load or {}, wait or {}
    return pick([(one, load.get(one, 0)) for one in targets if not wait.get(one)], draw=draw, **how)


def test_the_only_target_that_may_be_used_is_taken_however_busy_it_is():
    assert picked((A,), {A: 99}) == A
    assert picked((A, B), {A: 99}, {B: 0.1}, affinity="x", sticky=B) == A


def test_where_none_may_be_used_there_is_none():
    assert picked(()) is None
    assert picked((A, B), wait={A: 1.0, B: math.inf}) is None


@pytest.mark.parametrize("draw", [0.0, 0.3, 0.6, 0.9, math.nextafter(1, 0)])
def test_the_call_goes_to_the_target_with_the_least_to_do(draw: float):
    assert picked((A, B), {A: 1}, draw=draw) == B
    assert picked((A, B, C), {A: 7, B: 6, C: 5}, draw=draw) == C
    assert picked((A, B, CANARY), {A: 7, B: 6, CANARY: 5}, draw=draw) == B


def test_idle_targets_are_drawn_alike():
    assert [picked(draw=draw) for draw in (0.1, 0.3, 0.6, 0.9)] == [A, B, C, D]


@pytest.mark.parametrize("in_flight", [0, 1, 4, 40])
def test_a_canary_gets_its_share_at_any_load(in_flight: int):
    draws, calls, load = random.Random(1), Counter[Target](), Counter[Target]()
    flying: list[Target] = []
    for _ in range(5_000):
        one = picked((A, CANARY), load, draw=draws.random())
        calls[one] += 1
        load[one] += 1
        flying.append(one)
        while len(flying) > in_flight:
            load[flying.pop(draws.randrange(len(flying)))] -= 1
    assert calls[CANARY] / calls.total() == pytest.approx(0.1 / 1.1, abs=0.02)


def test_prompts_that_begin_alike_go_to_one_target_whatever_is_drawn():
    for prompt in map(str, range(20)):
        assert len({picked(affinity=prompt, draw=draw / 10) for draw in range(10)}) == 1


def test_prompts_are_spread_over_all_targets():
    calls = Counter(picked(affinity=str(number)) for number in range(4_000))
    assert all(share == pytest.approx(1_000, rel=0.1) for share in calls.values())
    assert len(calls) == 4


def test_a_target_that_goes_moves_its_own_prompts_only_and_they_are_spread():
    prompts = [str(number) for number in range(1_200)]
    before = {prompt: picked(affinity=prompt) for prompt in prompts}
    after = {prompt: picked(wait={A: math.inf}, affinity=prompt) for prompt in prompts}
    assert all(after[prompt] == before[prompt] for prompt in prompts if before[prompt] != A)
    moved = Counter(after[prompt] for prompt in prompts if before[prompt] == A)
    assert set(moved) == {B, C, D}
    assert max(moved.values()) < 2 * min(moved.values())


def test_the_place_of_a_target_counts_as_its_key_does():
    places = tuple(Target("m", "lab", "A", f"https://{number}/v1") for number in range(3))
    assert {picked(places, affinity=str(number)) for number in range(50)} == set(places)


def test_another_process_sends_a_prompt_to_the_same_target():
    code = (
        "from orchestra.dispatch.pool import pick\nfrom orchestra.dispatch.target import Target\n"
        "pool = [Target('m', 'lab', key) for key in 'ABCD']\n"
        "print(*[pick([(one, 0) for one in pool], affinity=str(n), draw=0.5).key for n in range(20)])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == [picked(affinity=str(number)).key for number in range(20)]


def test_a_full_target_hands_its_prompts_on():
    home = picked(affinity="x")
    assert picked(load={home: 3}, affinity="x") == home
    assert picked(load={home: 4}, affinity="x") != home
    busy = dict.fromkeys(POOL, 40)
    assert picked(load=busy | {home: 54}, affinity="x") == home
    assert picked(load=busy | {home: 55}, affinity="x") != home


def test_weights_decide_before_a_prefix_does():
    one, other = Target("m", "lab", "A", weight=3.0), Target("m", "lab", "B")
    for prompt in map(str, range(10)):
        calls = Counter(picked((one, other), affinity=prompt, draw=draw / 100) for draw in range(100))
        assert calls[other] == 25


def test_a_conversation_stays_where_it_was():
    for target in POOL:
        assert picked(affinity="x", sticky=target, load={target: FEW - 1}) == target


def test_a_conversation_leaves_a_target_that_may_not_be_used_or_is_gone():
    assert picked((A, B), wait={A: 3.0}, sticky=A) == B
    assert picked((A, B), sticky=C) in (A, B)


def test_a_conversation_leaves_a_target_with_twice_its_share():
    busy = dict.fromkeys(POOL, 40)
    assert picked(load=busy | {A: 121}, sticky=A) != A
    assert picked(load=busy | {A: 120}, sticky=A) == A
    assert picked((A, CANARY), {A: 40, CANARY: 8}, sticky=CANARY) == CANARY
    assert picked((A, CANARY), {A: 40, CANARY: 10}, sticky=CANARY) == A


def test_the_least_bad_is_the_one_that_may_be_used_first():
    waits = {A: math.inf, B: 30.0, C: 2.0, D: 60.0}
    assert least_bad(POOL, wait=waits.__getitem__) == C
    assert least_bad((A,), wait=waits.__getitem__) is None
    assert least_bad((), wait=waits.__getitem__) is None


loads = st.dictionaries(st.sampled_from([*POOL, CANARY]), st.integers(0, 60))
waits = st.dictionaries(st.sampled_from([*POOL, CANARY]), st.sampled_from([0.0, 0.1, 30.0, math.inf]))
draws = st.floats(0, 1, exclude_max=True)


@given(loads, waits, st.sampled_from(["", "x", "y"]), st.sampled_from([None, *POOL, CANARY]), draws)
def test_one_is_taken_where_one_may_be_used_and_never_one_that_may_not(load, wait, affinity, sticky, draw):
    one = picked((*POOL, CANARY), load, wait, affinity=affinity, sticky=sticky, draw=draw)
    usable = [target for target in (*POOL, CANARY) if wait.get(target, 0.0) == 0.0]
    assert one in usable if usable else one is None


class Traffic(RuleBasedStateMachine):
    """Calls of a few prompts and conversations come and go, and so do targets."""

    def __init__(self) -> None:
        super().__init__()
        self.load: Counter[Target] = Counter()
        self.wait: dict[Target, float] = {}
        self.last: dict[int, Target] = {}

    @rule(prompt=st.sampled_from(["", "x", "y"]), talk=st.integers(0, 3), draw=draws, calls=st.integers(1, 9))
    def no_target_is_given_more_than_its_bound(self, prompt: str, talk: int, draw: float, calls: int) -> None:
        usable = [one for one in POOL if not self.wait.get(one)]
        for _ in range(calls if usable else 0):
            one = picked(POOL, self.load, self.wait, affinity=prompt, sticky=self.last.get(talk), draw=draw)
            bound = BOUND if one != self.last.get(talk) else STICKY_BOUND
            self.last[talk] = one
            self.load[one] += 1
            share = sum(self.load[other] for other in usable) / len(usable)
            assert len(usable) == 1 or self.load[one] <= max(FEW, math.ceil(bound * share))

    @rule(one=st.sampled_from(POOL))
    def a_call_ends(self, one: Target) -> None:
        self.load[one] = max(self.load[one] - 1, 0)

    @rule(one=st.sampled_from(POOL), seconds=st.sampled_from([0.0, 30.0, math.inf]))
    def a_target_opens_or_closes(self, one: Target, seconds: float) -> None:
        self.wait[one] = seconds


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
