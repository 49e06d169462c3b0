"""Composition: the contract between policies."""

from dataclasses import replace

import pytest

from orchestra.errors import NoCandidate, PolicyError
from orchestra.fleet import Fleet, gate
from orchestra.routing import Router, StepPolicy, compose, decide, fingerprint, reject, revise
from orchestra.types import Reason, Rejection, Step, StepRule


def only_small(context, candidates):
    return [one for one in candidates if one.card.name == "small"]


class Frugal:
    name = "frugal"

    def __call__(self, context, candidates):
        return [reject(one, "frugal", "too dear") if one.rank == 2 else one for one in candidates]


def favour_large(context, candidates):
    reason = Reason("mine", "tenant pays")
    return [revise(one, reason, preference=5.0) if one.card.name == "large" else one for one in candidates]


def test_a_policy_is_any_function_and_its_reason_is_kept(fleet, context):
    decision = decide(fleet, [favour_large], context)
    assert decision.model == "large"
    assert decision.reasons[0] == Reason("mine", "tenant pays")


def test_a_rejection_carries_policy_and_reason(fleet, context):
    decision = decide(fleet, [Frugal()], context)
    assert decision.rejections == (Rejection("large", "frugal", "too dear"),)
    assert decision.ladder == ("middle",)


def test_a_silent_drop_is_recorded(fleet, context):
    decision = decide(fleet, [only_small], context)
    assert decision.rejections == tuple(
        Rejection(model, "only_small", "dropped by policy 'only_small' without a reason")
        for model in ("large", "middle")
    )


def test_what_a_policy_drops_in_passing_is_recorded(fleet, context):
    def in_passing(context, candidates):
        del candidates[:2]
        return candidates

    decision = decide(fleet, [favour_large, in_passing], context)
    said = "dropped by policy 'in_passing' without a reason"
    assert decision.rejections == tuple(Rejection(model, "in_passing", said) for model in ("large", "middle"))
    assert decision.model == "small"
    given = list(gate(fleet, context)[0])
    answered = compose(in_passing)(context, given)
    assert [(one.card.name, one.rejected is None) for one in answered] == [
        ("small", True),
        ("large", False),
        ("middle", False),
    ]
    assert len(given) == 3


def test_a_policy_may_rearrange_the_list_that_another_returned(fleet, context):
    def sorting(context, candidates):
        candidates.sort(key=lambda one: one.rank)
        return candidates

    def joining(context, candidates):
        return [candidates[-1]] + candidates[:-1]  # noqa: RUF005  # what a list can and a tuple cannot

    def placing(context, candidates):
        candidates[0] = reject(candidates[0], "placing", "not that one")
        return candidates

    decision = decide(fleet, [favour_large, sorting, joining, placing], context)
    assert decision.rejections == (Rejection("large", "placing", "not that one"),)
    assert decision.ladder == ("middle",)


def test_what_one_policy_rejects_the_next_never_sees(fleet, context):
    seen = []

    def watch(context, candidates):
        seen.extend(one.card.name for one in candidates)
        return candidates

    decide(fleet, [Frugal(), watch], context)
    assert seen == ["middle", "small"]
    seen.clear()
    decide(fleet, [only_small, watch], context)
    assert seen == ["small"]


def test_policies_run_in_order_also_when_composed(fleet, context):
    both = compose(Frugal(), favour_large)
    assert decide(fleet, [both], context).model == "small"
    nested = decide(fleet, [compose(both, StepPolicy([StepRule(tier="capable", mode="cost")]))], context)
    assert (nested.model, nested.mode) == ("middle", "cost")
    assert nested.rejections == (Rejection("large", "frugal", "too dear"),)


def test_the_order_of_the_answer_does_not_matter(fleet, context):
    tied = Fleet.from_cards([replace(fleet.models["small"], name=name) for name in "abc"])
    assert decide(tied, [lambda context, candidates: list(reversed(candidates))], context).model == "a"


def test_all_rejected_is_no_candidate(fleet, context):
    with pytest.raises(NoCandidate, match="dropped by policy 'nothing' without a reason"):
        decide(fleet, [_named("nothing", [])], context)


def _named(name, answer):
    def policy(context, candidates):
        return answer

    policy.__name__ = name
    return policy


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "policy 'odd' returned NoneType; return a list of the candidates given"),
        (["small", "middle", "large"], "policy 'odd' returned a str among its candidates"),
        (["small"], "policy 'odd' returned a str among its candidates"),
    ],
)
def test_what_is_no_answer_is_a_policy_error(fleet, context, answer, said):
    with pytest.raises(PolicyError, match=said):
        decide(fleet, [_named("odd", answer)], context)


class Raising:
    name = "mine"

    def __init__(self, error, where):
        self.error, self.where = error, where

    def __call__(self, context, candidates):
        self._here("call")
        return candidates

    def mode(self, context):
        self._here("mode")

    def _here(self, where):
        if where == self.where:
            raise self.error


@pytest.mark.parametrize("where", ["call", "mode"])
@pytest.mark.parametrize("made", [lambda policy: policy, compose])
def test_what_a_policy_raises_is_a_policy_error_that_names_policy_and_step(fleet, context, where, made):
    error = KeyError("tenant")
    with pytest.raises(PolicyError) as caught:
        decide(fleet, [made(Raising(error, where))], context)
    step = context.step.name or context.step.id
    assert str(caught.value).startswith(f"policy 'mine' raised KeyError for step {step!r}: 'tenant'; mend it")
    assert caught.value.__cause__ is error


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("not even that")


def test_an_error_that_cannot_be_written_is_named_by_its_kind(fleet, context):
    with pytest.raises(PolicyError, match=r"^policy 'mine' raised Unspeakable for step '[a-z0-9]+'; mend it"):
        decide(fleet, [Raising(Unspeakable(), "call")], context)


@pytest.mark.parametrize(("error", "left"), [(KeyError("tenant"), PolicyError), (NoCandidate("nobody"), NoCandidate)])
def test_so_is_what_it_raises_where_it_is_fitted_to_the_fleet(fleet, context, error, left):
    class Fitted(Raising):
        def bind(self, fleet):
            raise error

    with pytest.raises(left) as caught:
        decide(fleet, [Fitted(None, "")], context)
    if left is PolicyError:
        assert (
            str(caught.value)
            == "policy 'mine' raised KeyError: 'tenant' when it was fitted to the fleet; mend its bind"
        )
        assert caught.value.__cause__ is error


@pytest.mark.parametrize("where", ["call", "mode"])
def test_an_error_of_ours_that_a_policy_raises_is_what_leaves(fleet, context, where):
    error = NoCandidate("nobody may")
    with pytest.raises(NoCandidate) as caught:
        decide(fleet, [Raising(error, where)], context)
    assert caught.value is error
    assert caught.value.__cause__ is None


def test_an_invented_candidate_is_a_policy_error(fleet, context):
    foreign = gate(Fleet.from_cards([replace(fleet.models["small"], name="ghost")]), context)[0]
    with pytest.raises(
        PolicyError, match="returned model 'ghost', which it was not given; known: large, middle, small"
    ):
        decide(fleet, [_named("odd", foreign)], context)
    altered = [replace(one, card=replace(one.card, window=1)) for one in gate(fleet, context)[0]]
    with pytest.raises(PolicyError, match="returned model 'large', which it was not given"):
        decide(fleet, [_named("odd", altered)], context)


def test_a_candidate_twice_is_a_policy_error(fleet, context):
    with pytest.raises(PolicyError, match="returned model 'large' twice"):
        decide(fleet, [lambda context, candidates: [candidates[0], *candidates]], context)


def test_a_policy_without_a_name_goes_by_its_class(fleet, context):
    class Picky:
        def __call__(self, context, candidates):
            return candidates[:1]

    decision = decide(fleet, [Picky()], context)
    assert {one.gate for one in decision.rejections} == {"Picky"}
    assert fingerprint([Picky()]) == fingerprint([Picky()]) != fingerprint([Frugal()])


def test_a_router_decides_as_decide_does_and_its_fingerprint_follows_a_policy_that_changes(fleet, context):
    class Learning:
        fingerprint = "nothing yet"

        def __call__(self, context, candidates):
            return candidates

    policies = [Learning(), StepPolicy([{"match": {"name": "best"}, "mode": "quality"}])]
    router = Router(fleet, policies, "cost")
    best = replace(context, step=Step("s", name="best"))
    assert [router.decide(one) for one in (context, best)] == [
        decide(fleet, policies, one, mode="cost") for one in (context, best)
    ]
    assert (router.mode, router.decide(best).mode) == ("cost", "quality")
    before = router.fingerprint
    policies[0].fingerprint = "a lot"
    assert before != router.fingerprint == fingerprint(policies)


def test_a_fingerprint_that_is_no_text_tells_nothing_of_a_policy():
    class Counting:
        fingerprint = None

        def __call__(self, context, candidates):
            return candidates

    silent, counting = Counting(), Counting()
    counting.fingerprint = ["no", "text"]
    assert fingerprint([counting]) == fingerprint([silent])
