"""Crews on an app: steps, shared instances, managers, planners, failing tools, text calls, state, streams, crowds."""

from __future__ import annotations

import asyncio
import copy
import json
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from crewai import Crew, Process, Task
from crewai.agent.planning_config import PlanningConfig
from crewai.core.providers.human_input import SyncHumanInputProvider, reset_provider, set_provider
from crewai.flow.async_feedback import HumanFeedbackPending, PendingFeedbackContext
from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import HumanFeedbackResult, human_feedback
from crewai.flow.persistence import SQLiteFlowPersistence
from crewai.memory.unified_memory import Memory
from crewai.tools import tool
from crewai.tools.tool_failure import ToolFailure
from crewai.utilities.agent_utils import build_tool_calls_assistant_message, convert_tools_to_openai_schema
from pydantic import BaseModel

from orchestra import Orchestra, StepPolicy
from orchestra.integrations.crewai import OrchestraLLM
from orchestra.ledger import AttemptEnded, Decided, Judged
from orchestra.testing import CallTool, FakeProvider, Say, ScriptedModel, scripted_app
from orchestra.types import Capabilities
from tests.app.doubles import LOW, events, fleet_file, rows
from tests.integrations.crewai.doubles import ASKED, KICKOFFS, agent, crew, rain_tool, stock, task
from tests.integrations.fleets import SEALED, spoken, world

GOOD = CallTool("rain", city="Oslo")


def steps(app: Any) -> list[tuple[str, str, tuple[str, ...]]]:
    """Name, kind and tags of the step of each call that the ledger has."""
    found = [one.context.step for one in events(rows(app), Decided)]
    return [(step.name, step.kind, step.tags) for step in found]


def pair(llm: Any, other: Any = None) -> Crew:
    """A researcher and a writer, with a task each."""
    first, second = agent(llm), agent(other or llm, role="Writer")
    return Crew(agents=[first, second], tasks=[task(first), task(second, "write")])


async def test_the_step_is_the_tasks_name_or_the_agents_role(tmp_path: Path):
    async with world(tmp_path, ["noted"]) as (_, app):
        one = agent(OrchestraLLM(app))
        await Crew(agents=[one], tasks=[task(one), task(one, None)]).akickoff()
        await one.kickoff_async("And in Bergen?")
        await OrchestraLLM(app).acall("Hi")
        await OrchestraLLM(app, step="chat").acall("Hi")
        assert steps(app) == [
            ("research", "act", ("Researcher",)),
            ("Researcher", "act", ("Researcher",)),
            ("Researcher", "act", ("Researcher",)),
            ("call", "act", ()),
            ("chat", "chat", ()),
        ]


async def test_rules_of_the_fleet_choose_by_task_and_by_role(tmp_path: Path):
    rules = [{"match": {"tags": ["Writer"]}, "prefer": ["strong"]}, {"prefer": ["small"]}]
    async with world(tmp_path, ["noted"], ["written"], policies=[StepPolicy(rules)]) as (provider, app):
        assert (await pair(OrchestraLLM(app)).akickoff()).raw == "written"
        assert [request.model for request in provider.requests] == ["small", "strong"]


async def test_a_manager_and_a_planner_are_steps_of_their_own_kind(tmp_path: Path):
    plan = {"list_of_plans_per_task": [{"task_number": 1, "task": "rain", "plan": "look it up"}]}
    async with world(tmp_path, [json.dumps(plan), "800 mm."]) as (_, app):
        llm = OrchestraLLM(app)
        work = [Task(description=ASKED, expected_output="a number", name="research")]
        managed = Crew(
            agents=[agent(llm)],
            tasks=work,
            process=Process.hierarchical,
            manager_llm=llm,
            planning=True,
            planning_llm=llm,
        )
        await asyncio.to_thread(managed.kickoff)  # the planner cannot be run by akickoff
        assert [kind for _, kind, _ in steps(app)] == ["plan", "manage"]


async def test_an_agent_that_plans_by_itself_does_so_in_a_step_of_kind_plan(tmp_path: Path, ran):
    plan = CallTool("create_reasoning_plan", plan="Look it up.", steps=[], ready=True)
    async with world(tmp_path, [plan, GOOD, "800 mm."]) as (_, app):
        planning = PlanningConfig(reasoning_effort="low", max_attempts=1)
        result = await crew(OrchestraLLM(app), rain_tool(ran), planning_config=planning).akickoff()
        assert [kind for _, kind, _ in steps(app)] == ["plan", "act", "act"]
    assert (result.raw, ran) == ("800 mm.", ["Oslo"])


async def test_of_an_instance_that_a_crew_shares_nothing_is_counted_twice(tmp_path: Path):
    async with world(tmp_path, ["noted"]) as (provider, app):
        theirs = await pair(stock(provider)).akickoff()
        assert theirs.token_usage.successful_requests == 4  # of two: each agent tells what both have used
        llm = OrchestraLLM(app)
        shared = pair(llm)
        ours = await shared.akickoff()
    assert ours.token_usage.successful_requests == 2
    each = [one.llm.get_token_usage_summary() for one in shared.agents]
    assert [one.successful_requests for one in each] == [1, 1]
    assert sum(one.prompt_tokens for one in each) == ours.token_usage.prompt_tokens
    assert llm.get_token_usage_summary() == ours.token_usage


def on_and_on(body: dict[str, Any]) -> Any:
    """A model that looks up and up, unless it has nothing to look up with."""
    number = len(body["messages"])
    return Say(calls=(CallTool("rain", city=f"{number}"),)) if body.get("tools") else "800 mm."


@pytest.mark.parametrize("kickoff", KICKOFFS)
async def test_the_last_answer_at_max_iter_is_the_steps_and_the_agents_too(kickoff, tmp_path: Path, ran):
    async with world(tmp_path, on_and_on) as (_, app):
        llm = OrchestraLLM(app)
        tired, other = agent(llm, rain_tool(ran), max_iter=2), agent(llm, role="Writer")
        result = await KICKOFFS[kickoff](Crew(agents=[tired, other], tasks=[task(tired)]))
        assert steps(app) == [("research", "act", ("Researcher",))] * 3
        paid = [one.usage.input for one in events(rows(app), AttemptEnded)]
    assert (result.raw, len(ran)) == ("800 mm.", 2)
    assert result.token_usage == llm.get_token_usage_summary() == tired.llm.get_token_usage_summary()
    assert (result.token_usage.successful_requests, result.token_usage.prompt_tokens) == (3, sum(paid))


async def test_without_a_crew_the_last_answer_at_max_iter_is_the_steps_of_the_agent_that_was_asked(tmp_path: Path, ran):
    async with world(tmp_path, on_and_on) as (_, app):
        llm = OrchestraLLM(app)
        both = [agent(llm, rain_tool(ran), role=role, max_iter=1) for role in ("Researcher", "Writer")]
        await asyncio.gather(*(one.kickoff_async("Rain?") for one in both))
        assert sorted(name for name, _, _ in steps(app)) == ["Researcher"] * 2 + ["Writer"] * 2


async def test_copies_of_a_crew_count_what_each_has_used(tmp_path: Path):
    async with world(tmp_path, ["noted"]) as (_, app):
        llm = OrchestraLLM(app)
        results = await crew(llm).kickoff_for_each_async([{}, {}, {}])
    assert [one.token_usage.successful_requests for one in results] == [1, 1, 1]
    assert llm.get_token_usage_summary().successful_requests == 3


async def test_a_crew_does_not_count_what_its_copies_have_used(tmp_path: Path):
    async with world(tmp_path, ["noted"]) as (_, app):
        llm = OrchestraLLM(app)
        first = crew(llm)
        await first.akickoff()
        await first.akickoff_for_each([{}, {}])
        assert (await first.akickoff()).token_usage.successful_requests == 2
    assert llm.get_token_usage_summary().successful_requests == 4


async def test_of_a_copied_instance_that_a_crew_shares_nothing_is_counted_twice(tmp_path: Path):
    async with world(tmp_path, ["noted"]) as (_, app):
        llm = OrchestraLLM(app)
        result = await pair(copy.copy(llm)).akickoff()
    assert result.token_usage == llm.get_token_usage_summary()
    assert result.token_usage.successful_requests == 2


async def test_tokens_of_refused_attempts_are_counted_because_they_are_paid(tmp_path: Path):
    async with world(tmp_path, ["", "noted"]) as (_, app):
        result = await crew(OrchestraLLM(app), rain_tool([])).akickoff()
        paid = [one.usage for one in events(rows(app), AttemptEnded)]
    assert len(paid) == 2
    assert result.token_usage.successful_requests == 1
    assert result.token_usage.prompt_tokens == sum(usage.input for usage in paid)
    assert result.token_usage.completion_tokens == sum(usage.output for usage in paid)


class Broken(Exception):
    pass


def failing(way: str, times: int) -> Any:
    """A look-up that fails this many times: by an exception, or by telling so."""
    left = [times]

    @tool("rain")
    def rain(city: str) -> Any:
        """Millimetres of rain in a year."""
        if not left[0]:
            return 800
        left[0] -= 1
        if way == "raised":
            raise Broken("the database is locked")
        return ToolFailure(message="the database is locked", code="busy")

    return rain


@pytest.mark.parametrize("way", ["raised", "returned"])
async def test_what_a_tool_failed_with_takes_the_next_turns_up_the_ladder_and_back_down(way, tmp_path: Path):
    async with world(tmp_path, [GOOD, CallTool("rain", city="oslo"), "800 mm."], [GOOD]) as (provider, app):
        result = await crew(OrchestraLLM(app), failing(way, 2)).akickoff()
        served = [request.model for request in provider.requests]
        judged = [(one.model, one.trigger, one.action) for one in events(rows(app), Judged) if one.trigger]
    assert (result.raw, served) == ("800 mm.", ["small", "small", "strong", "small"])
    assert judged == [
        ("small", "tool_error", "repair"),
        ("small", "tool_error", "repair"),
        ("small", "tool_error", "escalate"),
    ]


async def test_a_good_result_that_quotes_the_failure_before_it_brings_the_step_back_down(tmp_path: Path):
    known = {"Oslo I": {"city": "Oslo", "mm": 800}}

    @tool("rain")
    def rain(city: str) -> Any:
        """Millimetres of rain in a year."""
        return known[city]

    async with world(tmp_path, [GOOD, CallTool("rain", city="Oslo I"), "800 mm."]) as (provider, app):
        await crew(OrchestraLLM(app), rain).akickoff()
        assert provider.count("strong") == 0
        judged = [one.trigger for one in events(rows(app), Judged)]
    assert judged.count("tool_error") == 1


async def test_a_tool_that_fails_without_a_word_takes_the_next_turns_up_the_ladder(tmp_path: Path):
    @tool("rain")
    def rain(city: str) -> Any:
        """Millimetres of rain in a year."""
        raise TimeoutError

    async with world(tmp_path, [GOOD, CallTool("rain", city="Bergen")], ["800 mm."]) as (provider, app):
        assert (await crew(OrchestraLLM(app), rain).akickoff()).raw == "800 mm."
        assert [request.model for request in provider.requests] == ["small", "small", "strong"]


async def test_a_failure_that_a_crew_ignores_is_none(tmp_path: Path):
    async with world(tmp_path, [GOOD, CallTool("rain", city="oslo"), "800 mm."]) as (provider, app):
        result = await crew(OrchestraLLM(app), failing("raised", 2), tool_failure_policy="ignore").akickoff()
        assert provider.count("strong") == 0
    assert result.raw == "800 mm."


async def test_an_optional_argument_may_be_left_out(tmp_path: Path, ran):
    async with world(tmp_path, [GOOD, "800 mm."]) as (provider, app):
        await crew(OrchestraLLM(app), rain_tool(ran)).akickoff()
        assert provider.count("small") == 2
        sent = provider.requests[0].body["tools"][0]["function"]["parameters"]
    assert (ran, sent["required"]) == (["Oslo"], ["city"])


async def test_calls_of_one_reply_run_at_once_and_come_back_together(tmp_path: Path, ran):
    both = Say(calls=(GOOD, CallTool("rain", city="Bergen")))
    async with world(tmp_path, [both, "Bergen."]) as (provider, app):
        result = await crew(OrchestraLLM(app), rain_tool(ran)).akickoff()
        roles = [message["role"] for message in provider.requests[-1].body["messages"]]
    assert (result.raw, sorted(ran)) == ("Bergen.", ["Bergen", "Oslo"])
    assert roles == ["system", "user", "assistant", "tool", "tool"]


TWO = CallTool.written("rain", '{"city": "Oslo"}{"city": "Bergen"}')


async def test_two_calls_written_as_one_are_an_error_to_crewai_and_two_calls_to_us(tmp_path: Path, ran):
    async with world(tmp_path, [TWO, "no idea"]) as (provider, _):
        await crew(stock(provider), rain_tool(ran)).akickoff()
    assert ran == []
    async with world(tmp_path, [TWO, "800 mm each."]) as (provider, app):
        result = await crew(OrchestraLLM(app), rain_tool(ran)).akickoff()
        assert provider.count("strong") == 0
    assert (result.raw, sorted(ran)) == ("800 mm each.", ["Bergen", "Oslo"])


@pytest.mark.parametrize("dialect", SEALED)
async def test_a_thought_goes_back_to_its_model_and_to_no_other(dialect, ran):
    other = "openai-chat"
    thought = Say(calls=(GOOD,), reasoning="hmm.")
    async with spoken({dialect: [thought, "800 mm."], other: ["800 mm."]}) as (provider, app):
        await crew(OrchestraLLM(app, step=dialect), rain_tool(ran)).akickoff()
        again = json.dumps(provider.requests[-1].body)
    assert SEALED[dialect] in again
    assert ran == ["Oslo"]


class Rain(BaseModel):
    city: str
    mm: int


@pytest.mark.parametrize("tools", [0, 1], ids=["without tools", "with tools"])
async def test_an_answer_in_a_pydantic_model_is_asked_again_until_it_fits(tools, tmp_path: Path, ran):
    answers = ['{"city": "Oslo"}', '{"city": "Oslo", "mm": 800}']
    async with world(tmp_path, ["It rains 800 mm in Oslo.", *answers] if tools else answers) as (_, app):
        one = agent(OrchestraLLM(app), *[rain_tool(ran)][:tools])
        result = await Crew(agents=[one], tasks=[task(one, output_pydantic=Rain)]).akickoff()
        assert set(steps(app)) == {("research", "act", ("Researcher",))}
    assert result.pydantic == Rain(city="Oslo", mm=800)


async def test_where_no_model_can_call_tools_agents_call_in_text(ran):
    said = ['Thought: look.\nAction: rain\nAction Input: {"city": "Oslo"}\nObservation: 3', "Final Answer: 800 mm."]
    plain = ScriptedModel("plain", said, capabilities=Capabilities(tools="none"))
    async with scripted_app(plain) as app:
        result = await crew(OrchestraLLM(app), rain_tool(ran)).akickoff()
    assert (result.raw, ran) == ("800 mm.", ["Oslo"])
    assert all(not request.get("tools") for request in plain.requests)
    assert all(request["stop"] == ["\nObservation:"] for request in plain.requests)


@pytest.mark.parametrize("own", [[], ["END"]], ids=["none of its own", "its own"])
async def test_a_stop_word_of_crewais_text_format_is_not_sent_with_native_tools(own, tmp_path: Path, ran):
    async with world(tmp_path, [GOOD, "800 mm.\nObservation: 3"]) as (provider, app):
        result = await crew(OrchestraLLM(app, stop=own), rain_tool(ran)).akickoff()
        assert [request.body.get("stop", []) for request in provider.requests] == [own, own]
    assert result.raw == "800 mm."


async def test_a_hundred_crews_at_once_keep_apart(tmp_path: Path):
    def told(body: dict[str, Any]) -> str:
        return json.dumps(body["messages"]).split("number ")[1].split(" ")[0]

    async with world(tmp_path, told) as (_, app):
        llm = OrchestraLLM(app)

        async def one(number: int) -> str:
            writer = agent(llm)
            work = task(writer, description=f"Say number {number} .")
            result = await Crew(agents=[writer], tasks=[work]).akickoff()
            assert result.token_usage.successful_requests == 1
            return result.raw

        assert await asyncio.gather(*map(one, range(100))) == [str(number) for number in range(100)]
    assert llm.get_token_usage_summary().successful_requests == 100


async def test_within_a_node_a_crew_is_one_run_with_one_budget(tmp_path: Path, ran):
    async with world(tmp_path, [GOOD, "800 mm."]) as (_, app):
        work = crew(OrchestraLLM(app), rain_tool(ran))

        async def answer() -> str:
            return (await work.akickoff()).raw

        assert await app.node(answer, step="support", budget=1.0)() == "800 mm."
        (run,) = app.ledger.runs()
        assert len(events(rows(app), AttemptEnded)) == 2
        assert run.state == "done"


async def test_a_crew_streams_what_its_models_write(tmp_path: Path):
    async with world(tmp_path, [Say("It rains a lot in Oslo.", chunks=4)]) as (_, app):
        one = agent(OrchestraLLM(app))
        streamed = await Crew(agents=[one], tasks=[task(one)], stream=True).kickoff_async()
        written = "".join([chunk.content async for chunk in streamed])
    assert written == streamed.result.raw == "It rains a lot in Oslo."


async def test_tasks_that_run_at_once_keep_their_own_steps_and_failures(tmp_path: Path, ran):
    def model(body: dict[str, Any]) -> Any:
        return "done" if body["messages"][-1]["role"] == "tool" else GOOD

    async with world(tmp_path, model, GOOD) as (_, app):
        llm = OrchestraLLM(app)
        good, bad = agent(llm, rain_tool(ran)), agent(llm, failing("raised", 1), role="Unlucky")
        at_once = [task(good, "first", async_execution=True), task(bad, "second", async_execution=True)]
        await Crew(agents=[good, bad], tasks=[*at_once, task(good, "last")]).akickoff()
        judged = {(row.step, row.event.trigger) for row in rows(app) if isinstance(row.event, Judged)}
    assert judged == {("first", None), ("second", None), ("second", "tool_error"), ("last", None)}


class Reviewer(SyncHumanInputProvider):
    """A person who wants a first answer shortened and takes the second."""

    @classmethod
    def _prompt_input(cls, crew: Any) -> str:
        return next(SAID)

    @classmethod
    async def _prompt_input_async(cls, crew: Any) -> str:
        return next(SAID)


SAID = cycle(["Shorter, please.", ""])


@pytest.mark.parametrize("kickoff", KICKOFFS)
async def test_a_person_sends_an_answer_back_and_the_same_step_answers_again(kickoff, tmp_path: Path, ran):
    async with world(tmp_path, [GOOD, "It rains 800 mm.", "800 mm."]) as (provider, app):
        one = agent(OrchestraLLM(app), rain_tool(ran))
        token = set_provider(Reviewer())
        try:
            result = await KICKOFFS[kickoff](Crew(agents=[one], tasks=[task(one, human_input=True)]))
        finally:
            reset_provider(token)
        assert "Shorter, please." in json.dumps(provider.requests[-1].body["messages"])
        assert {name for name, _, _ in steps(app)} == {"research"}
    assert (result.raw, ran, result.token_usage.successful_requests) == ("800 mm.", ["Oslo"], 3)


class Later:
    """A person who is asked elsewhere: the flow waits on disk."""

    def request_feedback(self, context: PendingFeedbackContext, flow: Any) -> str:
        raise HumanFeedbackPending(context=context)


async def test_a_flow_that_waits_for_a_person_goes_on_with_what_they_said(tmp_path: Path):
    async with world(tmp_path, ["a draft", "the final text"]) as (provider, app):
        writer = agent(OrchestraLLM(app))

        class Letter(Flow[Any]):
            @start()
            @human_feedback(message="Is it good?", provider=Later())
            async def draft(self) -> str:
                return (await writer.kickoff_async("Write.")).raw

            @listen(draft)
            async def revise(self, reviewed: HumanFeedbackResult) -> str:
                return (await writer.kickoff_async(f"Mend {reviewed.output}: {reviewed.feedback}")).raw

        kept = SQLiteFlowPersistence(str(tmp_path / "flows.db"))
        paused = await Letter(persistence=kept).kickoff_async()
        assert (type(paused), provider.count("small")) == (HumanFeedbackPending, 1)
        again = Letter.from_pending(paused.context.flow_id, kept)
        assert await again.resume_async("Shorter, please.") == "the final text"
        assert "Mend a draft: Shorter, please." in json.dumps(provider.requests[-1].body["messages"])


class Alike:
    """Every text means the same."""

    def __call__(self, texts: list[str]) -> list[list[float]]:
        return [[0.5] * 4 for _ in texts]


@pytest.mark.parametrize(
    ("kickoff", "kept"),
    [
        ("kickoff", "Oslo is wet."),
        ("kickoff_async", "Oslo is wet."),
        ("akickoff", f"Task: {ASKED}\nAgent: Researcher\nExpected result: a number\nResult: 800 mm."),
    ],
)
async def test_a_crew_remembers_by_the_same_llm_but_where_crewai_would_block_the_loop(kickoff, kept, tmp_path: Path):
    def model(body: dict[str, Any]) -> str:
        return json.dumps({"memories": ["Oslo is wet."]}) if body.get("response_format") else "800 mm."

    with FakeProvider({"small": model, "strong": model}) as provider:  # in a thread of its own: this loop is blocked
        async with Orchestra.from_file(fleet_file(tmp_path, provider), policies=[LOW], ledger=None) as app:
            memory = Memory(llm=(llm := OrchestraLLM(app)), embedder=Alike(), storage=str(tmp_path / "memory"))
            one = agent(llm)
            result = await KICKOFFS[kickoff](Crew(agents=[one], tasks=[task(one)], memory=memory))
            memory.drain_writes()
            assert [record.content for record in memory.list_records()] == [kept]
    assert (result.raw, result.token_usage.successful_requests) == ("800 mm.", 1)


async def test_a_thread_goes_on_with_a_model_of_another_provider(ran):
    first, then = "anthropic", "gemini"
    thought = Say(calls=(GOOD,), reasoning="hmm.")
    async with spoken({first: thought, then: "800 mm."}) as (provider, app):
        declared, _, _ = convert_tools_to_openai_schema([rain_tool(ran)])
        asked: list[Any] = [{"role": "user", "content": ASKED}]
        calls = await OrchestraLLM(app, step=first).acall(asked, tools=declared)
        reported, _ = build_tool_calls_assistant_message(calls)
        told = {"role": "tool", "tool_call_id": calls[0].id, "name": "rain", "content": "800 mm"}
        assert await OrchestraLLM(app, step=then).acall([*asked, reported, told], tools=declared) == "800 mm."
        sent = json.dumps(provider.requests[-1].body)
    assert "hmm." not in sent
    assert SEALED[first] not in sent
    assert "Oslo" in sent
