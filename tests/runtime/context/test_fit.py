"""A history is kept within its model's window, and stays one that every provider takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import BudgetExceeded
from orchestra.fleet.counter import Counter
from orchestra.fleet.tokens import message_tokens
from orchestra.runtime.context import Results
from orchestra.runtime.context.stubs import summary
from orchestra.types import Document, Image, Message, ModelCard, Text, ToolCall, ToolResult, ToolSpec
from tests.runtime.context.histories import assert_valid, calls, fitted, history, results, valid_histories


class Letters:
    """A tokenizer that makes a token of every character."""

    framing = 0

    def count(self, text: str) -> int:
        return len(text)


def lettered(_: ModelCard) -> Letters:
    return Letters()


async def test_a_history_that_fits_is_left_as_it_is():
    assert await fitted(history((500,), (500,))) is None
    assert await fitted([]) is None


async def test_old_results_go_first_and_the_largest_of_them_before_others():
    before = history((900,), (3_000,), (1_800,), (500,), (200,))
    done = await fitted(before, window=2_000)
    assert done is not None
    assert [len(result.content[0].text) > 100 for result in results(done.messages)] == [True, False, True, True, True]
    assert (done.pruned, done.summarised, done.fits, done.exact, done.note) == (1, 0, True, False, "")
    assert done.before == message_tokens(before) > 0.8 * 2_000
    assert done.after == message_tokens(done.messages) <= 0.6 * 2_000
    assert [call.id for call in calls(done.messages)] == [call.id for call in calls(before)]


async def test_of_results_of_one_size_the_oldest_goes_first():
    done = await fitted(history((2_000,), (2_000,), (2_000,), (100,), (100,)), window=2_150)
    assert done is not None
    assert [len(result.content[0].text) > 100 for result in results(done.messages)][:3] == [False, True, True]


async def test_a_stub_says_what_was_left_out_and_how_to_read_it():
    kept = Results()
    picture = Image("image/png", data="aGk=")
    messages = history((4_000,), (4_000,), (100,), (100,))
    shown = messages[3]
    messages[3] = replace(shown, parts=(replace(shown.parts[0], content=(*shown.parts[0].content, picture)),))
    done = await fitted(messages, window=2_000, keep=kept.keeper("s1"))
    assert done is not None
    first, second = results(done.messages)[:2]
    assert first.content == (
        Text('[left out to save room: 4,000 characters, 1 image; read_result(handle="s1.1") shows the text]'),
    )
    assert second.content == (
        Text('[left out to save room: 4,000 characters; read_result(handle="s1.2") shows the text]'),
    )
    assert kept.get("s1.2").text == results(messages)[1].content[0].text
    without = await fitted(messages, window=2_000)
    assert without is not None
    assert results(without.messages)[1].content == (Text("[left out to save room: 4,000 characters]"),)


async def test_a_result_that_was_cut_keeps_the_handle_of_its_whole_text():
    kept = Results()
    kept.put(kept.handle("s1", "c0.0"), "the whole text")
    done = await fitted(history((8_000,), (100,), (100,)), keep=kept.keeper("s1"))
    assert done is not None
    assert 'handle="s1.1"' in results(done.messages)[0].content[0].text
    assert kept.get("s1.1").text == "the whole text"


async def test_small_results_and_stubs_are_not_left_out_again():
    messages = history(*[(390,)] * 18)
    done = await fitted(messages, window=2_000)
    assert done is not None
    assert done.pruned == 0
    assert done.summarised > 0


async def test_what_pruning_cannot_save_the_oldest_turns_become_one_message():
    asked: list[Sequence[Message]] = []
    before = history(*[(100,)] * 60)
    done = await fitted(before, window=3_000, asked=asked)
    assert done is not None
    assert done.fits
    assert done.after <= 0.6 * 3_000
    system, task, summary, *rest = done.messages
    assert (system, task) == (before[0], before[1])
    assert summary == Message.user(
        f"Summary of the earlier work ({done.summarised} messages):\n{done.summarised} messages were here"
    )
    assert rest == before[2 + done.summarised :]
    assert asked == [before[2 : 2 + done.summarised]]


async def test_a_summariser_sees_results_that_were_pruned_before_and_their_handles_stay_known():
    asked: list[Sequence[Message]] = []
    before = history(*[(1_000,)] * 4, *[(380,)] * 40)
    kept = Results()
    done = await fitted(before, window=3_000, asked=asked, keep=kept.keeper("s1"))
    assert done is not None
    assert [len(result.content[0].text) for result in results(asked[0])][:4] == [1_000] * 4
    line = "Results that read_result shows again: s1.1 to s1.4 (rows)"
    assert done.messages[2].text.splitlines()[-1] == line
    assert done.pruned == 0

    again = await fitted([*done.messages, *history(*[(350,)] * 40)[2:]], window=3_000, keep=kept.keeper("s1"))
    assert again is not None
    assert line in again.messages[2].text


async def test_what_an_earlier_shrinking_left_out_is_shown_to_the_summariser_too_and_can_still_be_read():
    asked: list[Sequence[Message]] = []
    kept = Results()
    ways = {"window": 3_000, "keep": kept.keeper("s1"), "whole": kept.giver("s1"), "asked": asked}
    first = await fitted(history((3_000,), (2_500,), *[(380,)] * 10), **ways)
    assert first is not None
    assert (first.pruned, first.summarised) == (2, 0)
    again = await fitted([*first.messages, *(later := history(*[(380,)] * 50)[26:])], **ways)
    assert again is not None
    assert [len(result.content[0].text) for result in results(asked[0])][:3] == [3_000, 2_500, 380]
    assert "\nResults that read_result shows again: s1.1 to s1.2 (rows)" in again.messages[2].text
    assert again.messages[-1] == later[-1]


async def test_a_result_that_is_no_longer_kept_stays_left_out():
    asked: list[Sequence[Message]] = []
    first = await fitted(history((6_000,), *[(380,)] * 10), window=3_000, keep=Results().keeper("s1"))
    assert first is not None
    later = [*first.messages, *history(*[(380,)] * 50)[26:]]
    again = await fitted(later, window=3_000, asked=asked, whole=Results().giver("s1"))
    assert again is not None
    assert results(asked[0])[0].content[0].text.startswith("[left out to save room: 6,000 characters")
    assert "shows again" not in again.messages[2].text


def test_only_handles_of_one_tool_that_follow_upon_each_other_are_listed_as_one():
    names = {"s1.1": "rows", "s1.2": "rows", "s1.3": "page", "s1.5": "page", "s1.6": "page", "s1.7": "page"}
    listed = summary("x", [], names).text.splitlines()[-1]
    assert listed == ("Results that read_result shows again: s1.1 to s1.2 (rows), s1.3 (page), s1.5 to s1.7 (page)")


async def test_the_last_turn_stays_whole_and_a_history_that_cannot_fit_says_so():
    messages = history((500,), (9_000, 9_000))
    done = await fitted(messages, window=2_000)
    assert done is not None
    assert not done.fits
    assert done.after > done.room == 2_000
    assert done.messages[-2:] == tuple(messages[-2:])


async def test_the_turn_before_the_last_is_given_up_only_where_two_do_not_fit():
    both = history((500,), (3_000,), (100,))
    done = await fitted(both, window=2_000, force=True)
    assert done is not None
    assert results(done.messages)[1].content != results(both)[1].content
    spared = await fitted(history((6_000,), (3_000,), (100,)), window=2_400)
    assert spared is not None
    assert [len(result.content[0].text) > 100 for result in results(spared.messages)] == [False, True, False]
    assert spared.messages[-2:] == tuple(history((6_000,), (3_000,), (100,))[-2:])


async def test_a_question_stays_with_the_turns_that_answer_it():
    talk = [Message.user("first")]
    for number in range(30):
        talk += [Message.assistant(f"{number} " + "a" * 300), Message.user(f"{number} " + "q" * 50)]
    done = await fitted(talk, window=500)
    assert done is not None
    assert done.messages[0] == talk[0]
    assert done.messages[-5:] == tuple(talk[-5:])  # two answers, and the question before each of them
    assert_valid(done.messages)


async def test_an_exact_count_starts_later_than_an_estimate():
    messages = [Message.user("t"), *[Message.assistant("a" * 100)] * 8]  # 801 letters, and 3 tokens that open a reply
    assert await fitted(messages, window=894, counter=Counter(lettered)) is None
    done = await fitted(messages, window=892, counter=Counter(lettered))
    assert done is not None
    assert (done.before, done.exact) == (804, True)


async def test_output_is_set_aside_but_never_more_than_half_the_window():
    messages = history((3_000,), (100,), (100,))  # about 900 tokens
    assert await fitted(messages, window=2_000, max_output=500) is None
    done = await fitted(messages, window=2_000, max_output=1_000)
    assert done is not None
    assert done.room == 1_000
    assert await fitted(messages, window=2_400, max_output=99_000) is None


async def test_declarations_of_tools_take_room_too():
    messages = history((3_000,), (100,), (100,))
    wordy = ToolSpec("rows", "d" * 3_000, {})
    assert await fitted(messages, window=2_000) is None
    assert await fitted(messages, window=2_000, tools=[wordy]) is not None


async def test_after_an_overflow_the_count_is_not_believed():
    messages = history((1_000,), (1_000,), (100,), (100,))
    assert await fitted(messages, window=100_000) is None
    done = await fitted(messages, window=100_000, force=True)
    assert done is not None
    assert done.after <= 0.6 * done.before
    assert done.fits
    stuck = await fitted(history((1_000,)), window=100_000, force=True)
    assert stuck is not None
    assert (stuck.fits, stuck.before, stuck.after) == (False, stuck.after, stuck.before)
    assert stuck.note == "no old turns are left to summarise"


async def test_what_fits_the_room_but_cannot_be_shrunk_is_left_as_it_is():
    assert await fitted([Message.user("t" * 3_600 * 2)], window=2_300) is None


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ("", "the summary was empty"),
        (" \n", "the summary was empty"),
        ("x" * 90_000, "the summary was no shorter than what it summarises"),
    ],
)
async def test_a_bad_summary_is_not_used_and_noted(answer: str, note: str):
    async def summarise(old: Sequence[Message]) -> str:
        return answer

    messages = history(*[(100,)] * 60)
    done = await fitted(messages, window=2_000, summarise=summarise)
    assert done is not None
    assert (done.fits, done.note, done.summarised, done.messages) == (False, note, 0, tuple(messages))


async def test_a_summariser_that_cannot_be_paid_is_asked_once_and_pruning_still_helps():
    asked: list[int] = []

    async def summarise(old: Sequence[Message]) -> str:
        asked.append(len(old))
        raise BudgetExceeded("0.01 USD are left")

    messages = history(*[(100,)] * 40, (9_000,), (100,))
    done = await fitted(messages, window=3_400, summarise=summarise)
    assert done is not None
    assert len(asked) == 1
    assert done.note == "no summary could be had: 0.01 USD are left"
    assert done.pruned == 1
    assert done.fits


async def test_a_summariser_that_failed_is_not_asked_again_for_the_turn_before_the_last():
    asked: list[int] = []

    async def summarise(old: Sequence[Message]) -> str:
        asked.append(len(old))
        raise BudgetExceeded("0.01 USD are left")

    done = await fitted(history(*[(100,)] * 60), window=1_000, summarise=summarise)
    assert done is not None
    assert (len(asked), done.fits) == (1, False)


async def test_room_is_made_for_the_summary_itself():
    async def summarise(old: Sequence[Message]) -> str:
        return "s" * 1_200

    done = await fitted(history(*[(100,)] * 60), window=3_000, summarise=summarise)
    assert done is not None
    assert done.after <= 0.6 * 3_000


@pytest.mark.parametrize("window", range(900, 2_400, 37))
async def test_wherever_the_summary_ends_no_result_is_parted_from_its_call(window: int):
    messages = history(*[(300, 350, 390)] * 14)
    done = await fitted(messages, window=window)
    assert done is not None
    assert_valid(done.messages)
    assert {result.call_id for result in results(done.messages)} == {call.id for call in calls(done.messages)}


async def test_a_document_in_an_old_result_is_left_out():
    messages = history((10,), (10,), (10,))
    paper = Document("application/pdf", "a.pdf", data="aGk=")
    result = results(messages)[0]
    messages[3] = Message("tool", (replace(result, content=(paper,)),))
    done = await fitted(messages, window=4_500)
    assert done is not None
    assert results(done.messages)[0].content == (Text("[left out to save room: 0 characters, 1 document]"),)


async def test_a_result_far_from_its_call_is_neither_split_from_it_nor_lost():
    far = [
        Message.user("task"),
        Message("assistant", (ToolCall("a", "f", {}), ToolCall("b", "f", {}))),
        Message("tool", (ToolResult("a", "f", (Text("x" * 300),)),)),
        Message.user("y" * 3_000),
        Message("tool", (ToolResult("b", "f", (Text("z" * 300),)),)),
        *history(*[(300,)] * 12)[2:],
    ]
    done = await fitted(far, window=2_000)
    assert done is not None
    ids = {call.id for call in calls(done.messages)}
    assert {result.call_id for result in results(done.messages)} == ids
    assert done.summarised >= 4


async def test_a_call_without_a_result_ties_nothing():
    loose = [Message.user("task"), Message("assistant", (ToolCall("a", "f", {}),)), *history(*[(100,)] * 60)[2:]]
    done = await fitted(loose, window=2_000)
    assert done is not None
    assert done.fits
    assert "a" not in {call.id for call in calls(done.messages)}


@given(valid_histories(), st.integers(60, 6_000), st.booleans())
async def test_whatever_the_history_the_result_is_a_valid_shorter_one(
    messages: list[Message], window: int, force: bool
):
    assert_valid(messages)
    kept = Results()
    done = await fitted(messages, window=window, force=force, keep=kept.keeper("s"))
    again = await fitted(messages, window=window, force=force, keep=Results().keeper("s"))
    assert done == again  # deterministic
    if done is None:
        assert message_tokens(messages) <= window
        return
    assert_valid(done.messages)
    assert done.after == message_tokens(done.messages)
    assert done.after < done.before or done.messages == tuple(messages)
    assert done.fits or done.after > 0.6 * min(window, done.before)
    _assert_kept(messages, done.messages)
    for result in results(done.messages):
        if "read_result(handle=" in (said := result.content[0].text):
            kept.get(said.split('"')[1])


def _assert_kept(before: Sequence[Message], after: Sequence[Message]) -> None:
    """Systems, the task and the last turn are as they were; of the others there is the same, a stub, or a summary."""
    assert [m for m in after if m.role == "system"] == [m for m in before if m.role == "system"]
    assert next((m for m in before if m.role == "user"), None) in (None, *after)
    last = max((i for i, m in enumerate(before) if m.role == "assistant"), default=0)
    assert tuple(after[len(after) - len(before) + last :]) == tuple(before[last:])
    states = [part.provider_state for message in before for part in message.parts]
    left = [part.provider_state for message in after for part in message.parts if part.provider_state]
    places = iter(states)
    assert all(state in places for state in left)  # in order, none altered
