"""Runs of the framework over our models: what the agent asks for arrives, and what a model did is told."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel, field_validator
from pydantic_ai import (
    Agent,
    ApprovalRequired,
    DeferredToolRequests,
    DeferredToolResults,
    ImageUrl,
    ModelRetry,
    NativeOutput,
    PromptedOutput,
    RunContext,
    ToolOutput,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UsageLimits,
    UserError,
)
from pydantic_ai.capabilities import Hooks, NativeTool
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelAPIError, UnsupportedSettingWarning
from pydantic_ai.messages import (
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters, override_allow_model_requests
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.native_tools import WebSearchTool
from pydantic_ai.settings import ModelSettings, ToolOrOutput
from pydantic_ai.usage import RequestUsage, RunUsage

from orchestra import DeadlineExceeded, Exhausted, Fleet, NoCandidate, Orchestra, StepPolicy
from orchestra.errors import BadRequest, CallError, ConfigError, ContentFiltered, IgnoredSetting
from orchestra.integrations.pydantic_ai import OrchestraModel, OrchestraSettings, select_step
from orchestra.ledger import AttemptEnded, Decided, Judged
from orchestra.routing import reject
from orchestra.testing import CallTool, CutStream, Error, Say, ScriptedModel, Stall, scripted_app, scripted_transport
from orchestra.types import Budget, Capabilities, Step
from tests.app.doubles import LOW, app_of, events, rows
from tests.integrations.fleets import world
from tests.integrations.pydantic_ai.doubles import ASKED, rain_tool


class Rain(BaseModel):
    city: str
    mm: int

    @field_validator("mm")
    @classmethod
    def wet(cls, mm: int) -> int:
        if mm < 100:
            raise ValueError("nowhere in Norway is it so dry")
        return mm


def pair(small: Any, strong: Any = (), **options: Any) -> tuple[ScriptedModel, ScriptedModel, Any]:
    models = ScriptedModel("small", small), ScriptedModel("strong", strong, tier="capable")
    return (*models, scripted_app(*models, **({"policies": [LOW]} | options)))


def named(body: dict[str, Any]) -> list[str]:
    return [one["function"]["name"] for one in body.get("tools", ())]


# ---- steps


@pytest.mark.parametrize("stream", [False, True])
async def test_where_the_framework_allows_no_requests_no_model_is_asked(stream):
    small, _, app = pair(["hi"])
    agent = Agent(OrchestraModel(app, "research"))

    async def ask() -> None:
        if not stream:
            await agent.run("hi")
            return
        async with agent.run_stream("hi") as streamed:
            await streamed.get_output()

    with override_allow_model_requests(False), pytest.raises(RuntimeError, match="ALLOW_MODEL_REQUESTS is False"):
        await ask()
    assert small.requests == []


async def test_an_agents_model_is_the_step_that_routing_and_the_ledger_see(tmp_path: Path):
    by_step = StepPolicy([{"match": {"name": "draft"}, "prefer": ["strong"]}, {"prefer": ["small"]}])
    async with world(tmp_path, "from small", "from strong", policies=[by_step]) as (_, app):
        assert (await Agent(OrchestraModel(app, "draft")).run("hi")).output == "from strong"
        assert (await Agent(OrchestraModel(app, Step(id="s1", name="look"))).run("hi")).output == "from small"
        steps = [row.step for row in rows(app) if isinstance(row.event, AttemptEnded)]
    assert steps == ["draft", "s1"]
    assert [OrchestraModel(app, step).model_id for step in ("draft", Step(id="s1"))] == [
        "orchestra:draft",
        "orchestra:s1",
    ]


@pytest.mark.parametrize("awaited", [True, False])
async def test_a_selector_gives_each_request_of_a_run_a_step_of_its_own(awaited, tmp_path: Path, ran):
    by_step = StepPolicy([{"match": {"name": "answer"}, "prefer": ["strong"]}, {"prefer": ["small"]}])

    def choose(context: Any) -> str:
        return "look_up" if context.run_step == 1 else "answer"

    async def later(context: Any) -> str:
        return choose(context)

    async with world(tmp_path, CallTool("rain", city="Oslo"), "800 mm.", policies=[by_step]) as (_, app):
        chosen = select_step(app, later if awaited else choose, tenant="acme")
        result = await Agent(capabilities=[chosen], tools=[rain_tool(ran)]).run(ASKED)
        decided = [(row.step, row.event.context.tenant) for row in rows(app) if isinstance(row.event, Decided)]
    assert (result.output, ran) == ("800 mm.", ["Oslo"])
    assert decided == [("look_up", "acme"), ("answer", "acme")]


async def test_a_misspelt_step_is_refused_with_those_that_rules_speak_of():
    rules = StepPolicy([{"match": {"name": name}, "prefer": ["small"]} for name in ("research", "draft")])
    with pytest.raises(ConfigError, match=r"did you mean 'research'\? known: draft, research"):
        OrchestraModel(app_of([], policies=[rules]), "reserch")


@pytest.mark.parametrize("chosen", [None, 5])
async def test_a_selector_that_names_no_step_is_refused_with_what_it_chose(chosen):
    agent = Agent(capabilities=[select_step(app_of([]), lambda _: chosen)])
    with pytest.raises(ConfigError, match=f"select_step: its function chose {chosen} for request 1 .* return the name"):
        await agent.run("hi")


@pytest.mark.parametrize("step", [None, 5, ""])
async def test_what_is_no_step_makes_no_model(step):
    with pytest.raises(ConfigError, match=f"step: expected a name or a Step with an id, got {step!r}"):
        OrchestraModel(app_of([]), step)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"budgett": 1}, "budgett: no option of .*; did you mean 'budget'"),
        ({"mode": "cheap"}, "mode 'cheap' is unknown"),
    ],
)
async def test_limits_that_are_none_are_refused_before_any_run(limits, said):
    with pytest.raises(ConfigError, match=said):
        OrchestraModel(app_of([]), "research", **limits)
    with pytest.raises(ConfigError, match=said):
        select_step(app_of([]), lambda _: "research", **limits)


async def test_where_a_node_of_ours_wraps_a_run_all_its_calls_are_one_run_of_the_ledger(tmp_path: Path, ran):
    async with world(tmp_path, [CallTool("rain", city="Oslo"), "800 mm."]) as (_, app):

        async def work() -> str:
            return (await Agent(OrchestraModel(app, "research"), tools=[rain_tool(ran)]).run(ASKED)).output

        assert await app.node(work, step="support", budget=1.0)() == "800 mm."
        (run,) = app.ledger.runs()
        ended = events(app.ledger.events(run.run), AttemptEnded)
    assert (run.agent, len(ended)) == ("support", 2)


# ---- what is asked of the model

GOOD = '```json\n{"city": "Oslo", "mm": 800}\n```'
MODES = {
    "native": (NativeOutput(Rain), GOOD, "bad_output"),
    "prompted": (PromptedOutput(Rain), GOOD, "bad_output"),
    "tool": (ToolOutput(Rain, name="final"), CallTool("final", city="Oslo", mm=800), "schema_violation"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["run", "run_stream"])
@pytest.mark.parametrize("mode", MODES)
async def test_an_output_type_is_held_against_its_schema_before_the_agent_sees_it(mode, stream, tmp_path: Path):
    output, good, trigger = MODES[mode]
    bad = CallTool("final", city="Oslo") if mode == "tool" else '{"city": "Oslo"}'
    async with world(tmp_path, [bad, bad], good) as (_, app):
        agent: Agent[None, Rain] = Agent(OrchestraModel(app, "research"), output_type=output, instructions="Look.")
        if stream:
            async with agent.run_stream(ASKED) as streamed:
                found = await streamed.get_output()
        else:
            found = (await agent.run(ASKED)).output
        triggers = [one.trigger for one in events(rows(app), Judged)]
    assert (found, triggers) == (Rain(city="Oslo", mm=800), [trigger, trigger, None])


async def test_a_structured_answer_enters_history_without_what_was_around_it():
    _, _, app = pair([GOOD])
    result = await Agent(OrchestraModel(app, "research"), output_type=NativeOutput(Rain)).run(ASKED)
    assert result.response.text == '{"city": "Oslo", "mm": 800}'


@pytest.mark.parametrize("mode", MODES)
async def test_what_only_the_types_own_validators_see_is_sent_back_and_takes_the_retry_up_the_ladder(mode):
    output, good, _ = MODES[mode]
    dry = CallTool("final", city="Oslo", mm=8) if mode == "tool" else '{"city": "Oslo", "mm": 8}'
    small, strong, app = pair([dry, dry], [good])
    agent: Agent[None, Rain] = Agent(OrchestraModel(app, "research"), output_type=output, retries=3)
    assert (await agent.run(ASKED)).output == Rain(city="Oslo", mm=800)
    assert (len(small.requests), len(strong.requests)) == (2, 1)


@pytest.mark.parametrize(
    ("choice", "shown", "wanted"),
    [
        (None, ["rain", "snow"], None),
        ("auto", ["rain", "snow"], None),
        (["snow"], ["snow"], "required"),
        (ToolOrOutput(function_tools=["rain"]), ["rain"], None),
        ("none", [], None),
        ([], [], None),
    ],
)
async def test_tools_that_must_be_called_are_the_only_ones_shown(choice, shown, wanted, ran):
    def snow(city: str) -> int:
        return 3

    small, _, app = pair([CallTool(shown[-1], city="Oslo") if shown else "none", "3 cm."])
    parameters = await _parameters(Agent(tools=[rain_tool(ran), snow]))
    settings = ModelSettings(
        tool_choice=choice, parallel_tool_calls=False, max_tokens=50, temperature=0.5, seed=7, stop_sequences=["END"]
    )
    await model_request(
        OrchestraModel(app, "research"),
        [ModelRequest.user_text_prompt(ASKED)],
        model_settings=settings,
        model_request_parameters=parameters,
    )
    (first,) = small.requests
    assert (named(first), first.get("tool_choice")) == (shown, wanted)
    assert (first["temperature"], first["seed"], first["stop"]) == (0.5, 7, ["END"])
    assert first.get("parallel_tool_calls") == (False if shown else None)
    assert 50 in (first.get("max_tokens"), first.get("max_completion_tokens"))


async def _parameters(agent: Agent[None, Any]) -> ModelRequestParameters:
    """What an agent with these tools asks of its model."""
    seen: list[ModelRequestParameters] = []

    def look(_: Any, info: Any) -> ModelResponse:
        seen.append(info.model_request_parameters)
        return ModelResponse(parts=[TextPart("ok")])

    await agent.run("hi", model=FunctionModel(look))
    return seen[0]


async def test_a_forced_call_leaves_out_the_output_tools(ran):
    small, _, app = pair([CallTool("rain", city="Oslo")])
    parameters = await _parameters(Agent(tools=[rain_tool(ran)], output_type=[str, ToolOutput(Rain)]))
    assert parameters.output_tools
    await model_request(
        OrchestraModel(app, "research"),
        [ModelRequest.user_text_prompt(ASKED)],
        model_settings=ModelSettings(tool_choice="required"),
        model_request_parameters=parameters,
    )
    assert (named(small.requests[0]), small.requests[0]["tool_choice"]) == (["rain"], "required")


async def test_a_tool_choice_that_names_no_tool_is_refused_with_the_tools_there_are(ran):
    parameters = await _parameters(Agent(tools=[rain_tool(ran)]))
    with pytest.raises(ConfigError, match=r"tool_choice \['snow'\]: no such tool; known: rain"):
        await model_request(
            OrchestraModel(app_of([]), "research"),
            [ModelRequest.user_text_prompt(ASKED)],
            model_settings=ModelSettings(tool_choice=["snow"]),
            model_request_parameters=parameters,
        )


async def test_options_and_provider_parameters_go_with_the_settings_of_an_agent_or_a_run(tmp_path: Path):
    small, _, app = pair(["hi"], ledger=tmp_path / "l.db")
    settings = OrchestraSettings(orchestra={"tenant": "acme", "mode": "cost"}, orchestra_extra={"scripted.top_k": 5})
    async with app:
        await Agent(OrchestraModel(app, "research", mode="quality", settings=settings)).run("hi")
        (decided,) = events(rows(app), Decided)
    assert small.requests[0]["top_k"] == 5
    assert (decided.context.tenant, decided.context.mode) == ("acme", "cost")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_parameter_that_reaches_no_model_is_warned_of_with_the_way_out(stream):
    small, _, app = pair(["hi"])
    with pytest.warns(IgnoredSetting, match=r"'top_k' is left out, .* write 'openai-chat.top_k'"):
        await finished(Agent(OrchestraModel(app, "x")), OrchestraSettings(orchestra_extra={"top_k": 3}), stream=stream)
    assert "top_k" not in small.requests[0]


async def test_a_setting_that_a_run_relies_on_and_not_every_model_has_is_warned_of():
    agent = Agent(OrchestraModel(app_of(["hi"]), "research"))
    with pytest.warns(UnsupportedSettingWarning, match="extra_body"):
        await agent.run("hi", model_settings=ModelSettings(extra_body={"x": 1}))


LEFT_OUT: dict[str, Any] = {
    "top_p": 0.5,
    "top_k": 5,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "logit_bias": {"7": 1},
    "service_tier": "priority",
    "thinking": "high",
    "citations": True,
    "anthropic_thinking": {"type": "adaptive"},
    "openai_reasoning_effort": "high",
}


async def finished(agent: Agent[None, str], settings: Any, *, stream: bool) -> None:
    if not stream:
        await agent.run("hi", model_settings=settings)
        return
    async with agent.run_stream("hi", model_settings=settings) as streamed:
        await streamed.get_output()


@pytest.mark.parametrize("whose", ["the agent's", "the run's", "the model's"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", LEFT_OUT)
async def test_a_setting_of_which_the_framework_says_nothing_is_left_out_with_a_warning(name, stream, whose):
    setting: Any = {name: LEFT_OUT[name]}
    small, _, app = pair(["hi"])
    model = OrchestraModel(app, "research", settings=setting if whose == "the model's" else None)
    agent = Agent(model, model_settings=setting if whose == "the agent's" else None)
    given = setting if whose == "the run's" else None
    with pytest.warns(UnsupportedSettingWarning, match=f"`{name}` setting is left out") as warned:
        await finished(agent, given, stream=stream)
    assert len(warned) == 1
    assert name not in small.requests[0]


async def test_options_of_ours_that_no_call_has_are_refused_by_name():
    agent = Agent(OrchestraModel(app_of(["hi"]), "research"))
    with pytest.raises(ConfigError, match=r"step: no option of model_settings\['orchestra'\]"):
        await agent.run("hi", model_settings=cast("Any", {"orchestra": {"step": "x"}}))


async def test_settings_that_the_framework_heeds_itself_go_without_a_warning():
    settings = ModelSettings(request_timeout=60, first_event_timeout=60, framing_announcement="never", cache=True)
    _, _, app = pair(["hi"])
    assert (await Agent(OrchestraModel(app, "research")).run("hi", model_settings=settings)).output == "hi"


# ---- what a run does


async def test_parallel_calls_run_side_by_side_and_are_answered_in_one_turn(ran):
    calls = Say(calls=(CallTool("rain", city="Oslo"), CallTool("rain", city="Bergen")))
    small, _, app = pair([calls, "800 mm each."])
    result = await Agent(OrchestraModel(app, "research"), tools=[rain_tool(ran)]).run(ASKED)
    assert (result.output, sorted(ran)) == ("800 mm each.", ["Bergen", "Oslo"])
    assert [one["role"] for one in small.requests[1]["messages"]] == ["user", "assistant", "tool", "tool"]


@pytest.mark.parametrize("failing", ["ModelRetry", "timeout"])
async def test_a_tool_that_asks_for_another_try_takes_the_next_turns_up_and_a_success_back_down(
    failing, tmp_path: Path, ran
):
    call = CallTool("rows_of", sql="SELECT mm")
    async with world(tmp_path, [call, call, "800 mm."], CallTool("rows_of", sql="SELECT 1")) as (_, app):
        agent = Agent(OrchestraModel(app, "research"), retries=3)

        @agent.tool_plain(timeout=0.02 if failing == "timeout" else None)
        async def rows_of(sql: str) -> int:
            ran.append(sql)
            if len(ran) < 3:
                if failing == "timeout":
                    await asyncio.Event().wait()
                raise ModelRetry("no such column: mm")
            return 800

        result = await agent.run(ASKED)
        served = [(one.model, one.trigger, one.action) for one in events(rows(app), Judged)]
    assert (result.output, ran) == ("800 mm.", ["SELECT mm", "SELECT mm", "SELECT 1"])
    assert served == [
        ("small", None, None),
        ("small", "tool_rejected", "repair"),
        ("small", None, None),
        ("small", "tool_rejected", "repair"),
        ("small", "tool_rejected", "escalate"),
        ("strong", None, None),
        ("small", None, None),
    ]


async def test_a_request_that_is_made_from_prepared_messages_in_another_process_takes_the_turn_up_all_the_same(ran):
    """So Temporal makes it: prepared in a workflow, written down, made in an activity."""

    class Elsewhere(WrapperModel):
        async def request(self, messages: Any, *given: Any) -> ModelResponse:
            sent = ModelMessagesTypeAdapter.dump_json(messages)
            return await super().request(ModelMessagesTypeAdapter.validate_json(sent), *given)

    call = CallTool("rows_of", sql="SELECT mm")
    async with app_of([call, call, "800 mm."], [CallTool("rows_of", sql="SELECT 1")]) as app:
        agent = Agent(Elsewhere(OrchestraModel(app, "research")), retries=3)

        @agent.tool_plain
        def rows_of(sql: str) -> int:
            ran.append(sql)
            if len(ran) < 3:
                raise ModelRetry("no such column: mm")
            return 800

        result = await agent.run(ASKED)
    served = [one.model_name for one in result.all_messages() if isinstance(one, ModelResponse)]
    assert (result.output, served) == ("800 mm.", ["small", "small", "strong", "small"])


async def test_an_output_validator_that_asks_for_another_try_takes_the_retries_up():
    small, strong, app = pair(["dry", "dry"], ["800 mm"])
    agent = Agent(OrchestraModel(app, "research"), retries=3)

    @agent.output_validator
    def wet(output: str) -> str:
        if output == "dry":
            raise ModelRetry("it is not dry there")
        return output

    assert (await agent.run(ASKED)).output == "800 mm"
    assert (len(small.requests), len(strong.requests)) == (2, 1)


async def test_the_agents_own_limit_of_retries_still_holds():
    _, _, app = pair(["dry"] * 2)
    agent = Agent(OrchestraModel(app, "research"), retries=1)

    @agent.output_validator
    def wet(output: str) -> str:
        raise ModelRetry("it is not dry there")

    with pytest.raises(UnexpectedModelBehavior):
        await agent.run(ASKED)


@pytest.mark.parametrize("stream", [True, False])
async def test_usage_and_cost_count_every_attempt_once_and_the_response_names_who_served(stream, tmp_path: Path):
    replies: list[Any] = [Say("", usage=(100, 10)), Say("", usage=(100, 10))]
    async with world(tmp_path, [*replies], Say("hi", usage=(200, 20))) as (_, app):
        agent = Agent(OrchestraModel(app, "research"))
        if stream:
            async with agent.run_stream("hi") as streamed:
                await streamed.get_output()
            used, response = streamed.usage, streamed.response
        else:
            result = await agent.run("hi")
            used, response = result.usage, result.response
        (run,) = app.ledger.runs()
    assert (used.requests, used.input_tokens, used.output_tokens) == (1, 400, 40)
    assert used.cost == Decimal("0.0026400")
    assert (response.model_name, response.provider_details["model"]) == ("strong", "strong")
    assert (response.provider_response_id, response.finish_reason) == (run.run, "stop")
    failed = [(one.model_name, one.outcome, one.error.partition(":")[0]) for one in response.failed_attempts]
    assert failed == [("small", "rejected", "empty")] * 2
    begun = [one.timestamp for one in response.failed_attempts]
    assert begun == sorted(begun)


@pytest.mark.parametrize("stream", [True, False])
async def test_what_an_attempt_cost_that_was_cut_off_is_the_runs_cost_too(stream, tmp_path: Path):
    async with world(tmp_path, CutStream(Say("one two three four")), Say("hi", usage=(200, 20))) as (_, app):
        agent = Agent(OrchestraModel(app, "research", hold=True))
        if stream:
            async with agent.run_stream("hi") as streamed:
                await streamed.get_output()
            used = streamed.usage
        else:
            used = (await agent.run("hi")).usage
        (run,) = app.ledger.runs()
    assert (used.input_tokens, used.unmeasured_requests) == (200, run.attempts - 1)
    assert run.cost.usd is not None
    assert float(used.cost or 0) == pytest.approx(run.cost.usd)
    assert run.cost.estimated


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_run_that_fails_has_counted_what_the_attempts_of_its_last_request_took(
    stream, hooked, tmp_path: Path, ran
):
    """Its usage may be another run's as well, which goes on: an agent's that had asked this one by a tool."""
    hooks = Hooks()

    @hooks.on.model_request_error
    async def as_it_is(ctx: Any, *, request_context: Any, error: Exception) -> Any:
        raise error

    used, wrong = RunUsage(), CallTool("reign", city="Oslo")
    async with world(tmp_path, [CallTool("rain", city="Oslo"), wrong, wrong], wrong) as (_, app):
        given = [hooks] if hooked else []
        agent = Agent(OrchestraModel(app, "research"), tools=[rain_tool(ran)], capabilities=given)

        async def run() -> None:
            if stream:
                async with agent.run_stream(ASKED, usage=used) as result:
                    await result.get_output()
            else:
                await agent.run(ASKED, usage=used)

        with pytest.raises(Exhausted):
            await run()
        taken = [one.usage for one in events(rows(app), AttemptEnded)]
        spent = sum(run.cost.usd or 0 for run in app.ledger.runs())
    assert (used.input_tokens, used.output_tokens) == (
        sum(one.input for one in taken),
        sum(one.output for one in taken),
    )
    assert float(used.cost or 0) == pytest.approx(spent)


@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_counted_before_a_request_are_those_that_routing_goes_by(stream, tmp_path: Path, ran):
    """The second request has the first one's call and its result as well, and the tool is counted in each."""
    small, told = [CallTool("rain", city="Oslo"), "800 mm."], []
    async with world(tmp_path, small) as (_, app):
        model = OrchestraModel(app, "research")

        async def counted(*given: Any) -> RequestUsage:
            told.append(await OrchestraModel.count_tokens(model, *given))
            return told[-1]

        model.count_tokens = counted
        agent = Agent(model, instructions="Answer with a number.", tools=[rain_tool(ran)])
        limits = UsageLimits(count_tokens_before_request=True, per_request_input_tokens_limit=1000)
        if stream:
            async with agent.run_stream(ASKED, usage_limits=limits) as streamed:
                await streamed.get_output()
        else:
            await agent.run(ASKED, usage_limits=limits)
        routed = [event.context.tokens for event in events(rows(app), Decided)]
    assert [one.input_tokens for one in told] == routed
    assert 0 < routed[0] < routed[1]


@pytest.mark.parametrize("limit", ["per_request_input_tokens_limit", "input_tokens_limit"])
async def test_a_request_over_the_agents_limit_is_not_made_where_tokens_are_counted_before(limit):
    small, _, app = pair(["hi"])
    agent = Agent(OrchestraModel(app, "research"))
    limits = UsageLimits(count_tokens_before_request=True, **{limit: 100})
    with pytest.raises(UsageLimitExceeded, match="limit of 100"):
        await agent.run("word " * 200, usage_limits=limits)
    assert small.requests == []
    assert (await agent.run("hi", usage_limits=limits)).output == "hi"


async def test_a_setting_that_is_left_out_is_told_once_where_tokens_are_counted_before():
    agent = Agent(OrchestraModel(app_of(["hi"]), "research"))
    settings, limits = ModelSettings(top_p=0.5, timeout=3), UsageLimits(count_tokens_before_request=True)
    with pytest.warns(UnsupportedSettingWarning) as warned:
        await agent.run("hi", model_settings=settings, usage_limits=limits)
    assert len(warned) == 2


async def test_where_the_provider_counts_nothing_the_response_says_so():
    uncounted = replace(await app_of(["hi"]).complete("hi"), usage=None, attempts=())

    class Uncounted:
        policies = ()

        async def complete(self, *_: Any, **__: Any) -> Any:
            return uncounted

    result = await Agent(OrchestraModel(Uncounted(), "x")).run("hi")
    assert (result.usage.input_tokens, result.usage.unmeasured_requests) == (0, 1)


async def test_a_stream_tells_thoughts_text_and_calls_as_they_come(ran):
    thinks = Say("Let me look.", (CallTool("rain", city="Oslo"),), reasoning="Hmm, rain.")
    _, _, app = pair([thinks, "800 mm."])
    agent, told = Agent(OrchestraModel(app, "research"), tools=[rain_tool(ran)]), []
    async with agent.iter(ASKED) as run:
        async for node in run:
            if Agent.is_model_request_node(node):
                async with node.stream(run.ctx) as stream:
                    told += [event async for event in stream if isinstance(event, PartStartEvent | PartDeltaEvent)]
                    assert stream.response.model_name == "small"
    started = [event.part.part_kind for event in told if isinstance(event, PartStartEvent)]
    assert started == ["thinking", "text", "tool-call", "text"]
    assert sum(isinstance(event, PartDeltaEvent) for event in told) >= 4
    assert run.result is not None
    assert [part.part_kind for part in run.result.all_messages()[1].parts] == ["thinking", "text", "tool-call"]


async def test_a_stream_can_be_cancelled_and_keeps_what_had_come():
    _, _, app = pair([Say("one two three four", chunks=8)])
    agent = Agent(OrchestraModel(app, "research"))
    async with agent.run_stream("count") as streamed:
        async for _ in streamed.stream_text(delta=True, debounce_by=None):
            await streamed.cancel()
            break
        assert streamed.response.state == "interrupted"
        assert streamed.response.model_name == "research"
        assert "one two three four".startswith(streamed.response.text or "?")


@pytest.mark.parametrize("how", ["cancelled", "left"])
async def test_a_stream_that_nobody_reads_on_ends_its_call_at_once(how, tmp_path: Path):
    def states() -> list[str]:
        return [run.state for run in app.ledger.runs()]

    async with world(tmp_path, Stall("one two three four")) as (_, app):
        async with Agent(OrchestraModel(app, "research")).run_stream("count") as streamed:
            async for _ in streamed.stream_text(delta=True, debounce_by=None):
                break
            if how == "cancelled":
                await streamed.cancel()
                assert states() == ["cancelled"]
        assert states() == ["cancelled"]


async def test_a_run_that_waits_for_approval_in_the_middle_of_an_escalation_goes_on_from_stored_messages(
    tmp_path: Path, ran
):
    """The cheap model's call failed twice, the strong one's call waits for a person, and the process ends."""

    def agent_of(app: Any) -> Agent[None, Any]:
        agent = Agent(OrchestraModel(app, "pay"), output_type=[str, DeferredToolRequests], retries=3)

        @agent.tool
        def pay(ctx: RunContext[None], amount: int) -> str:
            if amount > 10:
                ran.append(str(amount))
                raise ModelRetry("over the limit")
            if not ctx.tool_call_approved:
                raise ApprovalRequired
            ran.append(str(amount))
            return "paid"

        return agent

    wrong, right = CallTool("pay", amount=99), CallTool("pay", amount=5)
    async with world(tmp_path, [wrong, wrong], right) as (_, app):
        paused = await agent_of(app).run("Pay 5.")
        assert isinstance(paused.output, DeferredToolRequests)
        (waiting,) = paused.output.approvals
        stored = paused.all_messages_json()
    async with world(tmp_path, "It is paid.", "never asked") as (provider, app):
        result = await agent_of(app).run(
            message_history=ModelMessagesTypeAdapter.validate_json(stored),
            deferred_tool_results=DeferredToolResults(approvals={waiting.tool_call_id: True}),
        )
        counts = provider.count("small"), provider.count("strong")
    assert (result.output, ran, counts) == ("It is paid.", ["99", "99", "5"], (1, 0))


async def test_a_hundred_runs_at_once_keep_their_own_ladders():
    def number(body: dict[str, Any]) -> int:
        return int(body["messages"][0]["content"])

    def small(body: dict[str, Any]) -> Any:
        if body["messages"][-1]["role"] == "tool":
            return f"{number(body)}: {body['messages'][-1]['content']}"
        return CallTool("double", n=number(body)) if number(body) % 2 else CallTool("dubble", n=1)

    def double(n: int) -> int:
        return 2 * n

    _, strong, app = pair(small, lambda body: CallTool("double", n=number(body)))
    agent = Agent(OrchestraModel(app, "research"), tools=[double])
    results = await asyncio.gather(*(agent.run(str(n)) for n in range(100)))
    assert [one.output for one in results] == [f"{n}: {2 * n}" for n in range(100)]
    assert len(strong.requests) == 50


def test_the_synchronous_run_works_where_no_loop_runs():
    agent = Agent(OrchestraModel(app_of(["hi"]), "research"))
    with asyncio.Runner() as runner:  # the framework takes the thread's loop, and leaves it open
        asyncio.set_event_loop(runner.get_loop())
        assert agent.run_sync("hi").output == "hi"


async def test_the_synchronous_run_refuses_a_running_loop():
    with pytest.raises(RuntimeError, match="event loop is already running"):
        Agent(OrchestraModel(app_of(["hi"]), "research")).run_sync("hi")


# ---- what cannot be done


async def test_a_tool_that_runs_at_one_provider_is_refused_by_the_framework():
    agent = Agent(OrchestraModel(app_of(["hi"]), "research"), capabilities=[NativeTool(WebSearchTool())])
    with pytest.raises(UserError, match="WebSearchTool"):
        await agent.run("hi")


async def test_a_tool_without_arguments_is_called_without(ran):
    def ping() -> str:
        ran.append("ping")
        return "pong"

    _, _, app = pair([CallTool("ping"), "pong"])
    assert (await Agent(OrchestraModel(app, "research"), tools=[ping]).run("ping")).output == "pong"
    assert ran == ["ping"]


async def test_where_no_model_may_serve_the_error_says_why():
    app = scripted_app(ScriptedModel("small", [], window=200))
    with pytest.raises(NoCandidate, match=r"small: .*window"):
        await Agent(OrchestraModel(app, "research")).run("hi" * 1000)


async def test_a_budget_that_is_spent_ends_the_run_with_our_error(tmp_path: Path):
    async with world(tmp_path, "hi") as (provider, app):
        with pytest.raises(NoCandidate, match=r"small: .* \(money\)"):
            await Agent(OrchestraModel(app, "research", budget=0.0)).run("hi")
        assert provider.requests == []


async def test_a_provider_that_is_down_is_gone_around_and_the_response_tells_it(tmp_path: Path):
    async with world(tmp_path, Error(503), "from strong") as (_, app):
        result = await Agent(OrchestraModel(app, "research")).run("hi")
    assert result.output == "from strong"
    assert [one.outcome for one in result.response.failed_attempts] == ["error", "error"]


# ---- beside other models

OTHER = TestModel(custom_output_text="from another")
ENDS: dict[str, tuple[Any, dict[str, Any], type[CallError]]] = {
    "providers down": (Error(503), {}, Exhausted),
    "a request that none takes": (Error(400), {}, BadRequest),
    "the ladder's end": ("", {}, Exhausted),
    "too late": ("hi", {"deadline": 0}, DeadlineExceeded),
}
REFUSALS: dict[str, tuple[Any, dict[str, Any], type[CallError]]] = {
    "money": ("hi", {"budget": 0.0}, NoCandidate),
    "data tags": ("hi", {"data_tags": ["pii"]}, NoCandidate),
    "a content filter": (Error.content_filter(), {}, ContentFiltered),
}


async def answered(model: Any, *, stream: bool) -> str:
    if not stream:
        return (await Agent(model).run("hi")).output
    async with Agent(model).run_stream("hi") as streamed:
        return await streamed.get_output()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("end", ENDS)
async def test_where_the_fleets_models_fail_a_fallback_model_goes_on_to_the_next(end, stream, tmp_path: Path):
    said, limits, kind = ENDS[end]
    async with world(tmp_path, [said] * 9, [said] * 9) as (_, app):
        ours = OrchestraModel(app, "research", **limits)
        assert await answered(FallbackModel(ours, OTHER), stream=stream) == "from another"
        with pytest.raises(kind) as ended:
            await answered(ours, stream=stream)
        tried = len(events(rows(app), AttemptEnded))
    assert isinstance(ended.value, ModelAPIError)
    assert type(ended.value.__cause__) is kind
    assert ended.value.model_name == "research"
    assert str(ended.value) == str(ended.value.__cause__)
    assert len(ended.value.attempts) * 2 == tried
    assert getattr(ended.value, "trigger", None) == getattr(ended.value.__cause__, "trigger", None)


@pytest.mark.parametrize("copied", [lambda one: pickle.loads(pickle.dumps(one)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("end", ENDS)
async def test_what_a_fallback_model_goes_on_from_can_be_copied_and_sent_to_another_process(
    end, copied, tmp_path: Path
):
    said, limits, kind = ENDS[end]
    async with world(tmp_path, [said] * 9, [said] * 9) as (_, app):
        with pytest.raises(kind) as ended:
            await answered(OrchestraModel(app, "research", **limits), stream=False)
    error, again = ended.value, copied(ended.value)
    assert type(again) is type(error)
    assert isinstance(again, ModelAPIError)
    assert (str(again), vars(again)) == (str(error), vars(error))
    assert {"model_name", "attempts"} <= vars(again).keys()


async def test_a_window_too_small_for_the_request_falls_back_as_well():
    app = scripted_app(ScriptedModel("small", [], window=200))
    result = await Agent(FallbackModel(OrchestraModel(app, "research"), OTHER)).run("hi" * 1000)
    assert result.output == "from another"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_what_a_rule_refuses_is_not_asked_of_another_model_instead(refusal, stream, tmp_path: Path):
    said, limits, kind = REFUSALS[refusal]
    async with world(tmp_path, [said] * 9, [said] * 9) as (_, app):
        with pytest.raises(kind) as ended:
            await answered(FallbackModel(OrchestraModel(app, "research", **limits), OTHER), stream=stream)
    assert type(ended.value) is kind


def stays(_: Any, candidates: Any) -> Any:
    """A policy: what is asked here stays with the small model."""
    return [one if one.card.name == "small" else reject(one, "stays", "it is elsewhere") for one in candidates]


BOUND: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {  # a call's limits, a node's, the app's
    "data tags": ({"data_tags": ["pii"]}, {}, {}),
    "data tags of a node": ({}, {"data_tags": ["pii"]}, {}),
    "money": ({"budget": 5.0}, {}, {}),
    "money of a node": ({}, {"budget": 5.0}, {}),
    "money of the fleet": ({}, {}, {"budgets": [Budget(9.0, per="day")]}),
    "a policy": ({}, {}, {"policies": [stays]}),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("bound", BOUND)
async def test_where_a_rule_bound_the_call_no_other_model_is_asked_after_its_models_have_failed(bound, stream):
    limits, of_node, options = BOUND[bound]
    small = ScriptedModel("small", lambda _: Error(503), tags=("pii",))
    strong = ScriptedModel("strong", lambda _: Error(503), tier="capable")
    fleet = Fleet.from_cards([small.card(), strong.card()], budgets=options.get("budgets", ()))
    policies = options.get("policies", [LOW])
    async with Orchestra(fleet, transport=scripted_transport(small, strong), ledger=None, policies=policies) as app:
        both = FallbackModel(OrchestraModel(app, "research", **limits), OTHER)

        async def work() -> str:
            return await answered(both, stream=stream)

        with pytest.raises(Exhausted) as ended:
            await app.node(work, step="support", **of_node)()
    assert type(ended.value) is Exhausted
    assert small.requests


@pytest.mark.parametrize(("strong", "degraded"), [("from strong", False), (Error(503), True)])
async def test_an_answer_of_a_lower_tier_than_was_chosen_says_so(strong, degraded, tmp_path: Path):
    async with world(tmp_path, "from small", strong, policies=[StepPolicy([{"prefer": ["strong"]}])]) as (_, app):
        result = await Agent(OrchestraModel(app, "research")).run("hi")
    assert result.response.provider_details is not None
    assert result.response.provider_details["degraded"] is degraded


async def test_an_image_in_a_prompt_reaches_the_model():
    seeing = ScriptedModel("small", ["a cat"], capabilities=Capabilities(images=True))
    agent = Agent(OrchestraModel(scripted_app(seeing), "look"))
    assert (await agent.run(["What is this?", ImageUrl(url="https://x.test/a.png")])).output == "a cat"
    assert "https://x.test/a.png" in json.dumps(seeing.requests)


@pytest.mark.parametrize("noted", [None, 0, False, "", [], {}])
async def test_a_message_whose_metadata_has_nothing_under_our_name_is_as_any_other(noted):
    history = [ModelRequest(parts=[UserPromptPart("hi")], metadata={"orchestra": noted, "mine": 1})]
    run = await Agent(OrchestraModel(app_of(["hello"]), "research")).run(message_history=history)
    assert run.output == "hello"


@pytest.mark.parametrize("noted", ["mine", 7, {"trace": 1}, [{"x": 1}], [None]])
async def test_metadata_of_ones_own_under_our_name_is_refused_with_its_place(noted):
    history = [ModelRequest(parts=[UserPromptPart("hi")], metadata={"orchestra": noted})]
    with pytest.raises(ConfigError, match=r"metadata\['orchestra'\] of a ModelRequest is not what a model of yours"):
        await Agent(OrchestraModel(app_of(["hello"]), "research")).run(message_history=history)
