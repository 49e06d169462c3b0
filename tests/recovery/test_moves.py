import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestra.recovery import Ladder, Move, RecoveryPolicy, next_move, tolerated
from orchestra.types import (
    Action,
    CallFault,
    Candidate,
    Decision,
    Fault,
    ModelCard,
    ToolSpec,
    Trigger,
    Verdict,
)

RANKS = {"tiny": 0, "small": 1, "twin": 1, "medium": 2, "large": 3, "huge": 4}


def candidate(name: str, window: int = 1000) -> Candidate:
    card = ModelCard(name, name, "p", "openai-chat", str(RANKS[name]), window=window)
    return Candidate(card, RANKS[name], 0.5, None, 1.0)


DECISION = Decision(
    "small",
    "efficient",
    "balanced",
    ladder=("medium", "large", "huge"),
    siblings=("twin", "tiny"),
    candidates=tuple(candidate(name) for name in RANKS),
)
ALONE = Decision("small", "efficient", "balanced")
START = Ladder.start(DECISION)
MODEL_FAULT = Verdict(Trigger.schema_violation, ("rows: sql: required, but not given",))


def walk(
    *faults: Verdict | CallFault, decision: Decision = DECISION, policy: RecoveryPolicy | None = None, **left: int
) -> list[Move]:
    """The moves that these faults lead to, one after the other."""
    ladder, moves = Ladder.start(decision, **left), []
    for fault in faults:
        moves.append(next_move(policy or RecoveryPolicy(), decision, ladder, fault))
        ladder = moves[-1].ladder
    return moves


def actions(moves: list[Move]) -> list[tuple[str, str | None]]:
    return [(move.action.value, move.to_model) for move in moves]


def fault(trigger: str) -> CallFault:
    return CallFault(Trigger(trigger), "seen")


def test_a_models_fault_gets_feedback_then_climbs_at_most_two_rungs_with_feedback_on_each():
    assert actions(walk(*[MODEL_FAULT] * 6)) == [
        ("repair", "small"),
        ("escalate", "medium"),
        ("repair", "medium"),
        ("escalate", "large"),
        ("repair", "large"),
        ("fail", None),
    ]


def test_a_repair_carries_exact_feedback_and_no_other_move_does():
    repair, escalate = walk(MODEL_FAULT, MODEL_FAULT)
    assert "- rows: sql: required, but not given" in repair.feedback
    assert repair.reason == "schema_violation on small: tell it what was wrong, time 1"
    assert escalate.feedback == ""
    assert escalate.reason == "schema_violation on small: up to medium, rung 1"


def test_the_next_step_starts_at_its_own_tier():
    assert walk(MODEL_FAULT, MODEL_FAULT)[-1].ladder.rung == 1
    assert Ladder.start(DECISION) == Ladder("small", tried=("small",))


def test_a_models_fault_without_a_stronger_model_gets_feedback_and_then_fails():
    assert actions(walk(MODEL_FAULT, MODEL_FAULT, decision=ALONE)) == [("repair", "small"), ("fail", None)]


@pytest.mark.parametrize("trigger", ["server_error", "overloaded", "connection", "stream_cut", "bad_reply"])
def test_a_providers_hiccup_is_retried_once_then_goes_sideways_and_climbs_last(trigger):
    assert actions(walk(*[fault(trigger)] * 8)) == [
        ("retry", "small"),
        ("sibling", "twin"),
        ("retry", "twin"),
        ("escalate", "medium"),
        ("retry", "medium"),
        ("escalate", "large"),
        ("retry", "large"),
        ("fail", None),
    ]
    assert actions(walk(*[fault(trigger)] * 2, decision=ALONE)) == [("retry", "small"), ("fail", None)]


@pytest.mark.parametrize("trigger", ["rate_limited", "timeout"])
def test_waiting_costs_more_than_moving_so_limits_and_silence_go_sideways_at_once_but_wait_before_they_climb(trigger):
    assert actions(walk(*[fault(trigger)] * 7)) == [
        ("sibling", "twin"),
        ("retry", "twin"),
        ("escalate", "medium"),
        ("retry", "medium"),
        ("escalate", "large"),
        ("retry", "large"),
        ("fail", None),
    ]
    assert actions(walk(*[fault(trigger)] * 2, decision=ALONE)) == [("retry", "small"), ("fail", None)]


@pytest.mark.parametrize("trigger", ["auth", "quota"])
def test_a_dead_key_goes_sideways_then_up_or_fails_and_never_asks_again(trigger):
    assert actions(walk(*[fault(trigger)] * 4)) == [
        ("sibling", "twin"),
        ("escalate", "medium"),
        ("escalate", "large"),
        ("fail", None),
    ]
    assert actions(walk(fault(trigger), decision=ALONE)) == [("fail", None)]


@pytest.mark.parametrize("trigger", [trigger for trigger in Trigger if trigger.fault is Fault.provider])
def test_a_providers_fault_that_climbs_is_no_degradation_and_says_which_rung(trigger):
    decision = Decision("small", "efficient", "balanced", ladder=("medium",))
    (up,) = walk(fault(trigger), decision=decision, policy=RecoveryPolicy(retries=0))
    assert (up.action, up.to_model, up.ladder.rung, up.ladder.degraded) == (Action.escalate, "medium", 1, False)
    assert up.reason == f"{trigger.value} on small: up to medium, rung 1"
    assert up.feedback == ""


def test_a_sibling_of_the_same_tier_is_no_degradation_a_lower_one_is():
    policy = RecoveryPolicy(sideways=2, retries=0)
    first, second = walk(fault("server_error"), fault("server_error"), policy=policy)
    assert (first.to_model, first.ladder.degraded) == ("twin", False)
    assert (second.to_model, second.ladder.degraded) == ("tiny", True)
    assert second.reason == "server_error on twin: sideways to tiny, a lower tier"


def test_a_sibling_of_unknown_tier_counts_as_degraded_rather_than_silently_so():
    decision = Decision("small", "efficient", "balanced", siblings=("other",))
    assert walk(fault("quota"), decision=decision)[0].ladder.degraded


def test_climbing_from_a_degraded_sibling_ends_the_degradation():
    moves = walk(fault("auth"), fault("auth"), MODEL_FAULT, MODEL_FAULT, policy=RecoveryPolicy(sideways=2))
    assert actions(moves) == [("sibling", "twin"), ("sibling", "tiny"), ("repair", "tiny"), ("escalate", "medium")]
    assert [move.ladder.degraded for move in moves] == [False, True, True, False]


def test_a_model_that_failed_already_is_neither_climbed_to_nor_a_sibling():
    decision = Decision("small", "efficient", "balanced", ladder=("small", "medium"), siblings=("small",))
    assert actions(walk(MODEL_FAULT, MODEL_FAULT, decision=decision))[1] == ("escalate", "medium")
    assert actions(walk(*[fault("auth")] * 2, decision=decision)) == [("escalate", "medium"), ("fail", None)]


def overflowing(**windows: int) -> Decision:
    return Decision(
        "small",
        "efficient",
        "balanced",
        ladder=("medium", "large", "huge"),
        siblings=("twin", "tiny"),
        candidates=tuple(candidate(name, windows.get(name, 1000)) for name in RANKS),
    )


def test_an_overflowing_context_goes_to_the_nearest_wider_window_sideways_first():
    assert actions(walk(fault("context_overflow"), decision=overflowing(tiny=2000, medium=3000))) == [
        ("wider_window", "tiny")
    ]
    up = walk(fault("context_overflow"), decision=overflowing(large=3000))[0]
    assert (up.to_model, up.ladder.rung, up.reason) == (
        "large",
        2,
        "context_overflow on small: to the wider window of large",
    )


def test_after_a_leap_to_a_wider_window_nothing_leads_down_the_ladder_again():
    moves = walk(fault("context_overflow"), MODEL_FAULT, MODEL_FAULT, decision=overflowing(large=3000))
    assert actions(moves) == [("wider_window", "large"), ("repair", "large"), ("fail", None)]


def test_without_a_wider_window_an_overflowing_context_is_the_end():
    decision = overflowing(huge=9000)  # beyond two rungs
    moves = walk(fault("context_overflow"), decision=decision)
    assert actions(moves) == [("fail", None)]


def test_without_a_wider_window_a_step_shrinks_its_context_as_often_as_it_may():
    decision = overflowing(huge=9000)
    moves = walk(fault("context_overflow"), fault("context_overflow"), decision=decision, shrinks=1)
    assert actions(moves) == [("shrink_context", None), ("fail", None)]
    assert moves[0].reason == "context_overflow on small: with a smaller context"


def test_a_wider_window_comes_before_a_smaller_context():
    moves = walk(fault("context_overflow"), fault("context_overflow"), decision=overflowing(large=9000), shrinks=1)
    assert actions(moves) == [("wider_window", "large"), ("shrink_context", None)]


def test_an_outage_after_a_climb_goes_to_an_equal_before_it_goes_down_which_is_flagged():
    ranks = {"a": 0, "b": 0, "s": 1, "s2": 1}
    cards = {name: ModelCard(name, name, "p", "openai-chat", f"t{rank}") for name, rank in ranks.items()}
    candidates = tuple(Candidate(cards[name], rank, 0.5, 0.0, 1.0) for name, rank in ranks.items())
    decision = Decision("a", "t0", "balanced", ladder=("s",), siblings=("b",), candidates=candidates)
    up = next_move(RecoveryPolicy(repairs=0), decision, Ladder.start(decision), MODEL_FAULT)
    aside = next_move(RecoveryPolicy(retries=0), decision, up.ladder, fault("server_error"))
    assert (up.to_model, aside.to_model, aside.ladder.degraded) == ("s", "s2", False)
    down = next_move(RecoveryPolicy(retries=0, sideways=2), decision, aside.ladder, fault("server_error"))
    assert (down.to_model, down.ladder.degraded) == ("b", True)


@pytest.mark.parametrize(("acts", "kept"), [(False, True), (True, False)])
def test_a_doubtful_reply_is_kept_where_nobody_stronger_is_left_unless_it_acts(acts, kept):
    doubt = Verdict(Trigger.low_confidence, ("mean -1.6",))
    alone = Decision("small", "t", "balanced")
    verdict = tolerated(RecoveryPolicy(), alone, Ladder.start(alone), doubt, acts=acts)
    assert verdict.accepted is kept
    assert not kept or "no stronger model is left" in verdict.mended[0]
    asked = RecoveryPolicy(overrides={"low_confidence": "ask_human"})
    assert tolerated(asked, alone, Ladder.start(alone), doubt, acts=False) is doubt
    climbing = Decision("small", "t", "balanced", ladder=("large",))
    assert tolerated(RecoveryPolicy(), climbing, Ladder.start(climbing), doubt, acts=False) is doubt


@pytest.mark.parametrize("trigger", ["bad_request", "content_filter"])
def test_the_requests_own_fault_ends_the_call(trigger):
    assert actions(walk(fault(trigger))) == [("fail", None)]


def test_the_users_policy_may_take_filtered_content_to_another_model():
    policy = RecoveryPolicy(overrides={"content_filter": "sibling"})
    assert actions(walk(*[fault("content_filter")] * 2, policy=policy)) == [("sibling", "twin"), ("fail", None)]


def test_low_confidence_climbs_without_feedback_and_ends_with_a_person():
    moves = walk(*[Verdict(Trigger.low_confidence, ("-1.07",))] * 3)
    assert actions(moves) == [("escalate", "medium"), ("escalate", "large"), ("ask_human", None)]


def test_an_unknown_call_is_repeated_only_if_its_tool_may_be():
    unknown = Verdict(Trigger.tool_unknown, ("started, end not recorded",))
    reader, writer = ToolSpec("r", "", {}, read_only=True), ToolSpec("w", "", {})
    idempotent = ToolSpec("i", "", {}, idempotent=True)
    policy = RecoveryPolicy()
    assert next_move(policy, DECISION, START, unknown).action is Action.ask_human
    assert next_move(policy, DECISION, START, unknown, tool=writer).action is Action.ask_human
    assert next_move(policy, DECISION, START, unknown, tool=idempotent).action is Action.retry
    again = next_move(policy, DECISION, START, unknown, tool=reader)
    assert again.action is Action.retry
    assert next_move(policy, DECISION, again.ladder, unknown, tool=reader).action is Action.ask_human


def test_where_no_model_is_left_a_step_asks_for_a_new_plan_as_long_as_its_run_may_have_one():
    policy = RecoveryPolicy(repairs=0, max_rungs=0)
    assert actions(walk(Verdict(Trigger.tool_error), policy=policy)) == [("fail", None)]
    (move,) = walk(Verdict(Trigger.tool_error), policy=policy, replans=1)
    assert (move.action, move.to_model) == (Action.replan, None)
    assert move.reason == "tool_error on small: the step cannot be done as planned"


def test_an_accepted_verdict_is_nothing_to_recover_from():
    with pytest.raises(ValueError, match="accepted"):
        next_move(RecoveryPolicy(), DECISION, START, Verdict())


NAMES = st.sampled_from([*RANKS, "stranger"])
DECISIONS = st.builds(
    lambda model, ladder, siblings, windows: Decision(
        model,
        "t",
        "balanced",
        ladder=tuple(ladder),
        siblings=tuple(siblings),
        candidates=tuple(candidate(name, window) for name, window in windows.items()),
    ),
    NAMES,
    st.lists(NAMES, max_size=6),
    st.lists(NAMES, max_size=6),
    st.dictionaries(st.sampled_from(list(RANKS)), st.integers(1, 5)),
)
COUNTS = st.integers(0, 4)
WAYS = st.lists(st.sampled_from([action for action in Action if action is not Action.repair]), min_size=1, max_size=3)
POLICIES = st.builds(RecoveryPolicy, COUNTS, COUNTS, COUNTS, COUNTS)
OVERRIDDEN = st.builds(
    RecoveryPolicy, COUNTS, COUNTS, COUNTS, COUNTS, st.dictionaries(st.sampled_from(list(Trigger)), WAYS)
)
TRIGGERS = st.lists(st.sampled_from(list(Trigger)), min_size=1, max_size=60)


def followed(policy: RecoveryPolicy, decision: Decision, triggers: list[Trigger]) -> list[tuple[Trigger, Ladder, Move]]:
    ladder, steps = Ladder.start(decision), []
    for trigger in triggers * 5:
        move = next_move(policy, decision, ladder, Verdict(trigger, ("e",)))
        steps.append((trigger, ladder, move))
        if move.to_model is None:
            break
        ladder = move.ladder
    return steps


UP_THEN_SIDEWAYS = Decision(
    "tiny", "t", "balanced", ("small",), (), candidates=(candidate("small", 1), candidate("twin", 1))
)


@settings(deadline=None)
@given(POLICIES | OVERRIDDEN, DECISIONS, TRIGGERS)
@example(RecoveryPolicy(1, 0, 0, 1), UP_THEN_SIDEWAYS, [Trigger.rate_limited])
def test_there_is_always_a_move_and_any_sequence_of_faults_ends(policy, decision, triggers):
    steps = followed(policy, decision, triggers)
    equals = {one.card.name for one in decision.candidates}  # after a climb a model's equals stand in, too
    models = 1 + len({*decision.ladder[: policy.max_rungs], *decision.siblings, *equals})
    bound = models * (1 + policy.repairs + policy.retries)
    assert len(steps) <= bound or len(steps) == len(triggers) * 5 < bound
    assert all(move.reason for _, _, move in steps)


@settings(deadline=None)
@given(POLICIES | OVERRIDDEN, DECISIONS, TRIGGERS)
def test_no_step_climbs_more_than_its_rungs_nor_above_the_ladder_nor_serves_a_model_twice(policy, decision, triggers):
    steps = followed(policy, decision, triggers)
    ladders = [before for _, before, _ in steps] + [steps[-1][2].ladder]
    assert max(ladder.rung for ladder in ladders) <= min(policy.max_rungs, len(decision.ladder))
    assert [ladder.rung for ladder in ladders] == sorted(ladder.rung for ladder in ladders)
    assert sum(move.action is Action.escalate for _, _, move in steps) <= policy.max_rungs
    assert len(set(ladders[-1].tried)) == len(ladders[-1].tried)
    candidates = {one.card.name for one in decision.candidates}
    assert set(ladders[-1].tried) <= {decision.model, *decision.ladder, *decision.siblings, *candidates}
    assert all(move.ladder.model in (move.to_model, before.model) for _, before, move in steps)


@settings(deadline=None)
@given(POLICIES, DECISIONS, TRIGGERS)
def test_a_providers_fault_climbs_only_as_a_last_resort_and_a_models_fault_never_goes_sideways(
    policy, decision, triggers
):
    for trigger, before, move in followed(policy, decision, triggers):
        if trigger.fault is Fault.provider:
            assert move.action in {Action.retry, Action.sibling, Action.escalate, Action.fail}
            if move.action is Action.escalate:
                spare = set(decision.siblings) - set(before.tried)
                assert not spare or before.sideways >= policy.sideways
                assert before.retries >= policy.retries or trigger in {Trigger.auth, Trigger.quota}
        if trigger.fault is Fault.model:
            assert move.action in {Action.repair, Action.escalate, Action.ask_human, Action.fail}
            assert move.ladder.sideways == before.sideways


@settings(deadline=None)
@given(POLICIES | OVERRIDDEN, DECISIONS, TRIGGERS)
def test_same_faults_same_moves(policy, decision, triggers):
    assert followed(policy, decision, triggers) == followed(policy, decision, triggers)


def said(trigger: str, should_retry: bool) -> CallFault:  # what the header says
    return CallFault(Trigger(trigger), "seen", should_retry=should_retry)


@pytest.mark.parametrize("trigger", ["overloaded", "server_error", "connection"])
def test_a_request_that_its_provider_says_not_to_repeat_goes_sideways_at_once(trigger):
    assert next_move(RecoveryPolicy(), DECISION, START, fault(trigger)).action is Action.retry
    assert next_move(RecoveryPolicy(), DECISION, START, said(trigger, False)).action is Action.sibling
    assert next_move(RecoveryPolicy(), ALONE, Ladder.start(ALONE), said(trigger, False)).action is Action.fail


def test_a_request_that_its_provider_says_to_repeat_is_repeated_once_although_it_was_refused():
    assert next_move(RecoveryPolicy(), DECISION, START, fault("bad_request")).action is Action.fail
    again = next_move(RecoveryPolicy(), DECISION, START, said("bad_request", True))
    assert again.action is Action.retry
    assert next_move(RecoveryPolicy(), DECISION, again.ladder, said("bad_request", True)).action is Action.fail
    assert next_move(RecoveryPolicy(), DECISION, START, said("rate_limited", True)).action is Action.sibling


def test_a_lower_model_that_a_rule_escalates_to_is_flagged_degraded_and_told_as_one():
    decision = Decision("medium", "2", "balanced", ladder=("tiny", "large"), candidates=DECISION.candidates)
    down, up = walk(MODEL_FAULT, MODEL_FAULT, decision=decision, policy=RecoveryPolicy(repairs=0))
    assert (down.to_model, down.ladder.degraded) == ("tiny", True)
    assert down.reason.endswith("up to tiny, rung 1, a lower tier")
    assert (up.to_model, up.ladder.degraded) == ("large", False)
