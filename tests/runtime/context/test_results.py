"""What was cut or left out can be read on, page by page, by its handle."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.runtime.context import Results, read_result
from orchestra.runtime.context import results as kept_results
from orchestra.runtime.context.read import PAGE
from orchestra.runtime.context.stubs import stub
from orchestra.toolbox import ToolOutcome, ToolRejected, execute, tool
from orchestra.types import Image, JsonMismatch, Text, ToolCall, ToolResult, Trigger


async def read(results: Results, **arguments: Any) -> ToolOutcome:
    return await execute(read_result(results), ToolCall("r", "read_result", arguments))


def text(outcome: ToolOutcome) -> str:
    return "".join(part.text for part in outcome.result.content)


def test_handles_count_a_steps_calls_and_stay_with_them():
    results = Results()
    assert [results.handle("s1", name) for name in ("a", "b", "a")] == ["s1.1", "s1.2", "s1.1"]
    assert results.handle("s2", "a") == "s2.1"
    assert (results.add("s1", "x"), results.add("s1", "y")) == ("s1.3", "s1.4")
    assert (results.get("s1.3").text, results.get("s1.4").text) == ("x", "y")
    assert len(results) == 2  # a handle alone keeps nothing


async def test_the_note_of_a_cut_result_leads_to_the_rest_of_it():
    whole = "grüße 😀 " * 3_000
    results = Results()

    @tool
    def letters() -> str:
        """All of them."""
        return whole

    handle = results.handle("s1", "c1")
    outcome = await execute(letters, ToolCall("c1", "letters", {}), handle=handle)
    note = '\n[cut: 14,000 of 24,000 characters left out; read_result(handle="s1.1", offset=10000) shows more]'
    assert text(outcome) == whole[:10_000] + note
    assert outcome.whole == whole
    results.put(handle, outcome.whole)

    first = await read(results, handle="s1.1", offset=10_000)
    more = '[characters 10,000 to 18,000 of 24,000; read_result(handle="s1.1", offset=18000) shows more]'
    assert text(first) == f"{whole[10_000:18_000]}\n{more}"
    last = await read(results, handle="s1.1", offset=18_000)
    assert text(last) == f"{whole[18_000:]}\n[characters 18,000 to 24,000 of 24,000; this is the end]"
    assert (first.trigger, first.whole, last.trigger) == (None, None, None)


async def test_texts_of_several_parts_are_one_text_for_offsets():
    picture = Image("image/png", data="aGk=")

    @tool(max_result=10)
    def parts() -> list[Any]:
        """Texts and a picture."""
        return [Text("a" * 4), picture, Text("b" * 30), Text("\ud800" + "c" * 20)]

    results = Results()
    outcome = await execute(parts, ToolCall("c", "parts", {}), handle="s1.1")
    assert outcome.whole is not None
    results.put("s1.1", outcome.whole)
    first, _, second = outcome.result.content
    more = '[cut: 47 of 57 characters left out; read_result(handle="s1.1", offset=10) shows more]'
    assert (first, second) == (Text("aaaa"), Text(f"bbbbb\n{more}"))  # and not a letter of the third
    assert results.get("s1.1").text[10:] == "b" * 25 + "\n?" + "c" * 20


@pytest.mark.parametrize("many", [2, 5_000])
async def test_a_result_of_many_short_texts_is_cut_as_one_long_text(many: int):
    lines = tool(name="lines", max_result=7)(lambda: [Text("a line")] * many)
    outcome = await execute(lines, ToolCall("c", "lines", {}), handle="s1.1")
    size = f"{7 * many - 1:,}"
    note = f'\n[cut: {7 * many - 8:,} of {size} characters left out; read_result(handle="s1.1", offset=7) shows more]'
    assert text(outcome) == f"a line{note}"
    assert (outcome.whole or "")[7:13] == "a line"


async def test_what_was_not_cut_has_no_whole_text():
    small = await execute(tool(name="f")(lambda: "x"), ToolCall("c", "f", {}), handle="s1.1")
    assert (small.whole, text(small)) == (None, "x")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"handle": "s1.9"}, "no result has the handle 's1.9'; known: s1.1, s1.2; did you mean 's1.2'?"),
        ({"handle": "s1.1", "offset": 3}, "offset 3 is outside the result 's1.1'; give 0 to 2"),
        ({"handle": "s1.1", "offset": -1}, "offset -1 is outside the result 's1.1'; give 0 to 2"),
        ({"handle": "s1.1", "limit": 0}, "limit 0 shows nothing; give 1 to 8000 characters"),
        ({"handle": "s1.2", "offset": 1}, "offset 1 is outside the result 's1.2'; give 0 to 0"),
    ],
)
async def test_a_wrong_handle_offset_or_limit_is_rejected_with_what_is_known(arguments: dict[str, Any], told: str):
    results = Results()
    results.put("s1.1", "abc")
    results.put("s1.2", "")
    outcome = await read(results, **arguments)
    assert (outcome.trigger, text(outcome)) == (Trigger.tool_rejected, told)


async def test_without_results_there_is_nothing_to_read():
    assert text(await read(Results(), handle="x")) == "no result has the handle 'x'; known: none"


async def test_an_empty_result_is_shown_as_empty():
    results = Results()
    results.put("s1.1", "")
    assert text(await read(results, handle="s1.1")) == "\n[characters 0 to 0 of 0; this is the end]"


async def test_a_limit_beyond_a_page_shows_a_page_and_its_note_is_never_cut():
    results = Results()
    results.put("s1.1", "x" * 900_000)
    shown = text(await read(results, handle="s1.1", offset=800_000, limit=50_000))
    assert shown.startswith("x" * PAGE + "\n[characters 800,000 to 808,000 of 900,000; read_result")
    assert "cut" not in shown
    assert read_result(results).read_only


async def test_of_a_huge_result_the_beginning_is_kept_and_a_reader_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept_results, "MAX_TEXT", 10)
    results = Results()
    results.put("s1.1", "0123456789and more")
    assert text(await read(results, handle="s1.1", offset=5)) == (
        "56789\n[characters 5 to 10 of 18; only the first 10 were kept]"
    )


async def test_beyond_the_total_the_oldest_are_dropped_and_named_as_dropped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept_results, "MAX_TOTAL", 10)
    results = Results()
    handles = [results.add("s1", "x" * 4) for _ in range(3)]
    results.put(handles[1], "y" * 6)  # replaced, so it counts once
    assert results.get(handles[1]).text == "y" * 6
    with pytest.raises(ToolRejected, match=r"the result 's1.1' is no longer kept; known: s1.2, s1.3"):
        results.get(handles[0])


@given(st.lists(st.tuples(st.sampled_from(["s1", "s2", "näh"]), st.text(st.characters(codec="utf-8"), max_size=40))))
def test_everything_survives_json(texts: list[tuple[str, str]]):
    results = Results()
    handles = [results.add(step, one) for step, one in texts]
    back = Results.from_json(json.loads(json.dumps(results.to_json())))
    assert [back.get(handle) for handle in handles] == [results.get(handle) for handle in handles]
    assert back.add("s1", "new") == results.add("s1", "new")


def test_json_of_another_shape_is_refused_with_the_place():
    with pytest.raises(JsonMismatch, match="missing or unknown keys"):
        Results.from_json({"kept": {}})


def test_of_a_left_out_result_without_a_text_the_line_stays_that_stands_for_it():
    results = Results()
    chart = ToolResult("one", "chart", (Image("image/png", data="aGk="),))
    line = stub(chart, results.keeper("s1")(chart))
    assert results.giver("s1")(line) == line


def test_a_keeper_counts_as_the_model_reads():
    results = Results()
    shown = ToolResult("one", "f", (Text("a\n"), Text("b")))
    assert results.get(results.keeper("s1")(shown)).text == "a\nb"


def test_a_keeper_keeps_what_is_left_out_under_the_handle_of_its_call():
    results = Results()
    results.handle("s1", "first")
    keep = results.keeper("s1")
    shown = ToolResult("second", "f", (Text("a"), Image("image/png", data="aGk="), Text("b")))
    assert keep(shown) == keep(shown) == "s1.2"
    assert results.get("s1.2").text == "a\nb"
