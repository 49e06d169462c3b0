"""The researcher: what it says stands where it says, or the step has failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestra import ContextPolicy
from orchestra.errors import AgentError
from orchestra.runtime.catalog import load_agent
from orchestra.testing import CallTool, ScriptedModel, scripted_app
from tests.agents.doubles import BOTH, NO_REPLAN, ask, models, plan, results, step, told, tools, write

TASK = "How tall is the Alder tower?"
LOOK_UP = plan(
    step(1, "find the height", "search_files", "read_file"), step(2, "say it, cite as [file:line]", needs=(1,))
)
SEARCH = CallTool("search_files", query="Alder tower")
ANSWER = "The Alder tower is 330 m tall [alder.md:3]."


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    return write(
        tmp_path,
        alder__md="# Alder\n\nThe Alder tower is 330 metres tall.\n",
        old__md="Notes of 1999: the Alder tower is 324 metres tall.\n",
    )


def found(value: str = "330 metres", file: str = "alder.md", line: int = 3, claim: str = "height of the tower") -> str:
    return json.dumps({"findings": [{"claim": claim, "value": value, "file": file, "line": line}]})


async def asked(folder: Path | None, steps: str, small: list[Any], strong: list[Any] | None = None) -> Any:
    given = models(steps, small, strong)
    return await ask("researcher", given, TASK, NO_REPLAN, data=folder), *given


async def test_an_answer_cites_file_and_line_of_what_a_step_found(documents: Path) -> None:
    answer, small, strong = await asked(documents, LOOK_UP, [SEARCH, found(), ANSWER])
    assert (answer["state"], answer["answer"]) == ("done", ANSWER)
    assert "alder.md:3: The Alder tower is 330 metres tall." in results(small, 1)[0]
    assert answer["steps"]["s1"]["output"]["findings"][0]["line"] == 3
    assert "height of the tower: 330 metres [alder.md:3]" in told(small)
    assert "alder.md, old.md" in told(strong)
    assert sorted(tools(small, 0)) == ["read_file", "search_files"]
    declared = {one["function"]["name"]: one["function"]["parameters"] for one in small.requests[0]["tools"]}
    assert list(declared["search_files"]["properties"]) == ["query"]


async def test_a_value_that_does_not_stand_there_goes_back_with_where_it_stands(documents: Path) -> None:
    answer, small, _ = await asked(documents, LOOK_UP, [SEARCH, found(line=1), found(), ANSWER])
    assert answer["state"] == "done"
    assert "alder.md:1 reads '# Alder', '330 metres' does not stand there; it stands on line 3" in told(small, 2)


async def test_a_line_copied_with_its_place_is_taken_without_it(documents: Path) -> None:
    answer, small, _ = await asked(documents, LOOK_UP, [SEARCH, found("alder.md:3: The tower is 330 metres"), ANSWER])
    assert answer["state"] == "done"
    assert "height of the tower: The tower is 330 metres [alder.md:3]" in told(small)


async def test_a_false_finding_told_twice_goes_up_a_rung(documents: Path) -> None:
    wrong = found("331 metres")
    answer, _, strong = await asked(documents, LOOK_UP, [SEARCH, wrong, wrong, ANSWER], [found()])
    assert (answer["state"], answer["steps"]["s1"]["model"]) == ("done", "strong")
    assert "331" not in told(strong)


@pytest.mark.parametrize(
    ("prose", "said"),
    [
        ("People love it.", "no source is cited"),
        ("It is 330 m and 8 cm tall.", "no source is cited"),
        ("It is 331 m tall [alder.md:3].", "331 does not stand there"),
        ("It is 330 m tall [alder.md:4].", "there is no such line"),
        ("It is 330 m tall [adler.md:3].", "did you mean 'alder.md'?"),
    ],
)
async def test_an_answer_without_a_true_citation_is_refused(documents: Path, prose: str, said: str) -> None:
    def answers(body: dict[str, Any]) -> str:
        return ANSWER if said in body["messages"][-1]["content"] else prose

    answer, small, strong = await asked(documents, LOOK_UP, [SEARCH, found(), answers, answers], [answers, answers])
    assert answer["answer"] == ANSWER
    assert said in told(small) + told(strong)


async def test_a_source_that_the_last_step_forgets_is_that_of_the_finding_it_tells(documents: Path) -> None:
    prose = "The Alder tower is 330 m tall.\nPeople like it."
    answer, *_ = await asked(documents, LOOK_UP, [SEARCH, found(), prose])
    assert answer["answer"] == f"{ANSWER}\nPeople like it."


@pytest.mark.parametrize("look", [SEARCH, CallTool("read_file", path="./alder.md")])
async def test_a_source_that_a_look_up_showed_and_the_model_forgets_is_told_too(documents: Path, look: Any) -> None:
    one = plan(step(1, "find the height", "search_files", "read_file"))
    answer, *_ = await asked(documents, one, [look, "The Alder tower is 330 m tall."])
    assert answer["answer"] == ANSWER


async def test_an_answer_that_no_rung_can_source_fails_the_step(documents: Path) -> None:
    prose = "It is about as tall as they come."
    answer, *_ = await asked(documents, LOOK_UP, [SEARCH, found(), prose, prose], [prose, prose])
    assert (answer["state"], answer["answer"]) == ("failed", None)
    assert "no source is cited" in answer["reason"]


async def test_what_the_documents_do_not_tell_is_said_without_a_source(documents: Path) -> None:
    nothing = json.dumps({"findings": []})
    answer, *_ = await asked(documents, LOOK_UP, [SEARCH, nothing, "Not found in the documents."])
    assert answer["steps"]["s1"]["text"] == "Not found"
    assert answer["answer"] == "Not found in the documents."


async def test_conflicting_sources_raise_the_step_that_meets_them_and_are_told(documents: Path) -> None:
    both = plan(
        step(1, "look in alder.md", "read_file"),
        step(2, "look in old.md", "read_file"),
        step(3, "say which holds, cite as [file:line]", needs=(1, 2)),
    )
    finds = {"alder.md": found(), "old.md": found("324 metres", "old.md", 1)}

    def small(body: dict[str, Any]) -> Any:
        goal = body["messages"][1]["content"].partition("Your step:")[2]
        if "say which holds" in goal:
            return ANSWER
        name = next(file for file in finds if file in goal)
        last = body["messages"][-1]["role"] == "tool"
        return finds[name] if last else CallTool("read_file", path=name)

    given = ScriptedModel("small", small), ScriptedModel("strong", [both, ANSWER], tier="capable")
    answer = await ask("researcher", given, TASK, {"policies": [BOTH, ContextPolicy()]}, data=documents)
    differ = "The sources differ (height of the tower): 330 metres [alder.md:3], 324 metres [old.md:1]"
    assert answer["answer"] == f"{ANSWER}\n{differ}"
    assert {sid: one["model"] for sid, one in answer["steps"].items()} == {"s1": "small", "s2": "small", "s3": "strong"}


async def test_sources_that_agree_do_not(documents: Path) -> None:
    answer, *_ = await asked(documents, LOOK_UP, [SEARCH, found(), ANSWER])
    assert answer["steps"]["s2"]["model"] == "small"


async def test_one_step_may_look_up_and_answer(documents: Path) -> None:
    one = plan(step(1, "find the height and cite it", "search_files"))
    answer, *_ = await asked(documents, one, [SEARCH, ANSWER])
    assert answer["answer"] == ANSWER


async def test_no_document_outside_the_folder_is_read_or_cited(documents: Path) -> None:
    inner = documents / "inner"
    inner.mkdir()
    (inner / "link.md").symlink_to(documents / "alder.md")
    nothing = json.dumps({"findings": []})
    read = CallTool("read_file", path="../alder.md")
    _, small, _ = await asked(inner, LOOK_UP, [read, SEARCH, nothing, "Not found"])
    assert "lies outside" in results(small, 1)[0]
    for outside in ("../alder.md", "link.md", str(documents / "alder.md")):
        _, small, _ = await asked(inner, LOOK_UP, [SEARCH, found(file=outside), nothing, "Not found"])
        assert f"{outside}: there is no such document" in told(small, 2)


async def test_many_documents_are_not_all_told_to_the_planner(tmp_path: Path) -> None:
    write(tmp_path, **{f"note_{number:03}__md": "x" for number in range(50)})
    _, _, strong = await asked(tmp_path, plan(step(1, "say", "search_files")), [SEARCH, "Not found"])
    assert "note_019.md, ... (see search_files)" in told(strong)
    assert "note_020.md" not in told(strong)


async def test_an_empty_folder_and_a_binary_file_hold_nothing_to_cite(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0\1")
    one = plan(step(1, "say", "search_files"))
    answer, small, _ = await asked(tmp_path, one, [SEARCH, "It is 1 [a.bin:1].", "Not found"])
    assert answer["answer"] == "Not found"
    assert "a.bin" in told(small)


async def test_a_document_too_large_to_be_read_cannot_be_cited(documents: Path) -> None:
    with (documents / "huge.txt").open("wb") as file:
        file.truncate(10_000_001)
    nothing = json.dumps({"findings": []})
    _, small, _ = await asked(documents, LOOK_UP, [SEARCH, found(file="huge.txt"), nothing, "Not found"])
    assert "huge.txt: there is no such document" in told(small, 2)


@pytest.mark.parametrize("data", [None, Path("no/such/folder"), Path(__file__)])
async def test_without_a_folder_it_says_what_to_give(data: Path | None) -> None:
    async with scripted_app(*models(LOOK_UP, [])) as app:
        with pytest.raises(AgentError, match=r"reads a folder of documents, and .*: give --data FOLDER"):
            load_agent("researcher").build(app, data=data)
