"""Runs of the SDK over our models: what the runner asks for arrives, and what a model did is told."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from agents.extensions.handoff_filters import remove_all_tools
from agents.mcp import MCPServerStdio
from agents.models.multi_provider import MultiProviderMap
from agents.tracing import TracingProcessor, set_trace_processors
from pydantic import BaseModel, field_validator

from agents import (
    Agent,
    AgentOutputSchema,
    ApplyPatchTool,
    FunctionTool,
    ModelSettings,
    ModelTimeoutError,
    ModelTracing,
    MultiProvider,
    RunConfig,
    Runner,
    RunState,
    WebSearchTool,
    function_tool,
    handoff,
    tool_namespace,
)
from orchestra import NoCandidate, StepPolicy
from orchestra.errors import BadRequest, ConfigError, SyncInLoop
from orchestra.integrations.openai_agents import (
    IgnoredSetting,
    OrchestraModel,
    OrchestraProvider,
    run_config,
    tell_failure,
)
from orchestra.integrations.openai_agents_items import from_items
from orchestra.ledger import AttemptEnded, Decided, Judged, StepStarted
from orchestra.testing import CallTool, Error, Say, ScriptedModel, Silence, Stall, scripted_app
from orchestra.types import Attempt, End, Trigger
from tests.app.doubles import LOW, app_of, events, rows
from tests.integrations.fleets import world
from tests.integrations.openai_agents.doubles import agent, rain_tool

ASKED = "How much does it rain in Oslo?"
RAIN = CallTool("rain", city="Oslo")
PROGRAMS = {"allowed_callers": ["programmatic"], "output_json_schema": {"type": "object", "properties": {}}}


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


# ---- steps


async def test_an_agents_model_is_the_step_that_routing_and_the_ledger_see(tmp_path: Path):
    by_step = StepPolicy([{"match": {"name": "draft"}, "prefer": ["strong"]}, {"prefer": ["small"]}])
    async with world(tmp_path, "from small", "from strong", policies=[by_step]) as (_, app):
        for name, expected in (("orchestra/draft", "from strong"), ("draft", "from strong"), (None, "from small")):
            result = await Runner.run(agent(model=name), "hi", run_config=run_config(app))
            assert result.final_output == expected
        assert [run.agent for run in app.ledger.runs()] == ["complete"] * 3
        steps = [row.step for row in rows(app) if isinstance(row.event, AttemptEnded)]
    assert steps == ["draft", "draft", "call"]


async def test_beside_the_sdks_own_providers_the_prefix_names_ours():
    app = app_of(["ours"])
    mapped = MultiProviderMap()
    mapped.add_provider("orchestra", OrchestraProvider(app))
    config = RunConfig(model_provider=MultiProvider(provider_map=mapped, openai_api_key="k"), tracing_disabled=True)
    assert (await Runner.run(agent(model="orchestra/draft"), "hi", run_config=config)).final_output == "ours"


async def test_a_misspelt_step_is_refused_with_those_that_rules_speak_of():
    rules = StepPolicy([{"match": {"name": name}, "prefer": ["small"]} for name in ("research", "draft")])
    config = run_config(app_of(["hi"], ["hi"], policies=[rules]))
    with pytest.raises(ConfigError, match=r"did you mean 'research'\? known: draft, research"):
        await Runner.run(agent(model="orchestra/reserch"), "hi", run_config=config)
    for known in ("draft", "orchestra/of no rule"):
        assert (await Runner.run(agent(model=known), "hi", run_config=config)).final_output == "hi"


@pytest.mark.parametrize("name", ["gpt-4.1", "litellm/x"])
async def test_a_model_that_was_left_over_is_warned_of_for_it_is_taken_for_a_step(name):
    config = run_config(app_of(["hi"]))
    with pytest.warns(IgnoredSetting, match=f"{name!r} is taken for a step, .* is written 'orchestra/{name}'"):
        await Runner.run(agent(model=name), "hi", run_config=config)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"budgett": 1}, "budgett: no option of .*; did you mean 'budget'"),
        ({"mode": "cheap"}, "mode 'cheap' is unknown"),
    ],
)
async def test_limits_that_are_none_are_refused_before_any_run(limits, said):
    with pytest.raises(ConfigError, match=said):
        run_config(app_of([]), **limits)
    with pytest.raises(ConfigError, match=said):
        OrchestraModel(app_of([]), "research", **limits)


async def test_where_a_node_of_ours_wraps_a_run_all_its_calls_are_one_run_of_the_ledger(tmp_path: Path, ran):
    async with world(tmp_path, [CallTool("rain", city="Oslo"), "800 mm."]) as (_, app):

        async def work() -> str:
            result = await Runner.run(agent(rain_tool(ran)), ASKED, run_config=run_config(app))
            return result.final_output

        assert await app.node(work, step="support", budget=1.0)() == "800 mm."
        (run,) = app.ledger.runs()
        found = events(app.ledger.events(run.run), StepStarted), events(app.ledger.events(run.run), AttemptEnded)
    assert (run.agent, len(found[0]), len(found[1])) == ("support", 1, 2)


# ---- what is asked of the model


async def test_handoffs_are_tools_and_the_next_agents_step_is_its_own(tmp_path: Path):
    by_step = StepPolicy([{"match": {"name": "billing"}, "prefer": ["strong"]}, {"prefer": ["small"]}])
    billing = Agent(name="Billing", instructions="Bill.", model="orchestra/billing")
    triage = agent(model="orchestra/triage", handoffs=[billing])
    call = CallTool("transfer_to_billing")
    async with world(tmp_path, [call], ["You owe nothing."], policies=[by_step]) as (provider, app):
        result = await Runner.run(triage, "What do I owe?", run_config=run_config(app))
    assert (result.final_output, result.last_agent.name) == ("You owe nothing.", "Billing")
    assert [one["function"]["name"] for one in provider.requests[0].body["tools"]] == ["transfer_to_billing"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("city", ["Oslo", "Bergen"])
async def test_calls_of_two_agents_that_their_models_number_alike_are_two_calls(city, stream, ran):
    """The second agent's model is not shown the first one's call; the SDK takes what has an id for one call."""
    by_step = StepPolicy([{"match": {"name": "billing"}, "prefer": ["strong"]}, {"prefer": ["small"]}])
    rain = rain_tool(ran)
    billing = Agent(name="Billing", model="orchestra/billing", tools=[rain])
    given = handoff(billing, input_filter=remove_all_tools)
    _, strong, app = pair(
        [RAIN, CallTool("transfer_to_billing")], [CallTool("rain", city=city), "800 mm."], policies=[by_step]
    )
    asked: Any = agent(rain, handoffs=[given]), ASKED
    if stream:
        result: Any = Runner.run_streamed(*asked, run_config=run_config(app))
        async for _ in result.stream_events():
            pass
    else:
        result = await Runner.run(*asked, run_config=run_config(app))
    assert (result.final_output, ran) == ("800 mm.", ["Oslo", city])
    ids = [item.raw_item.call_id for item in result.new_items if item.type == "tool_call_item"]
    assert len({*ids}) == 2
    assert [call["id"] for call in strong.requests[1]["messages"][-2]["tool_calls"]] == ["call_1"]  # as its model said


async def test_a_handoff_with_an_input_is_held_to_its_schema():
    class Reason(BaseModel):
        reason: str

    heard: list[str] = []
    billing = Agent(name="Billing", model="orchestra/billing")
    given = handoff(billing, on_handoff=lambda _, data: heard.append(data.reason), input_type=Reason)
    bad, good = CallTool("transfer_to_billing", why="dues"), CallTool("transfer_to_billing", reason="dues")
    _, strong, app = pair([bad, bad, "Done."], [good])
    result = await Runner.run(agent(handoffs=[given]), "What do I owe?", run_config=run_config(app))
    assert (result.final_output, heard, len(strong.requests)) == ("Done.", ["dues"], 1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("bad", ["800 mm, I think", '{"city": "Oslo"}', '{"city": "Oslo", "mm": 8}'])
async def test_an_output_type_is_held_against_its_own_validators_before_the_runner_sees_it(bad, stream):
    small, strong, app = pair([bad, bad], ['```json\n{"city": "Oslo", "mm": 800}\n```'])
    asked = agent(output_type=Rain)
    if stream:
        result: Any = Runner.run_streamed(asked, ASKED, run_config=run_config(app))
        async for _ in result.stream_events():
            pass
    else:
        result = await Runner.run(asked, ASKED, run_config=run_config(app))
    assert result.final_output == Rain(city="Oslo", mm=800)
    assert (len(small.requests), len(strong.requests)) == (2, 1)


class Report(BaseModel):
    city: str
    note: str | None = None
    days: int = 365


class Said(BaseModel):
    city: str
    note: str | None


@pytest.mark.parametrize(
    ("kind", "asked"), [(Report, 1), (AgentOutputSchema(Report, strict_json_schema=False), 1), (Said, 2)]
)
async def test_an_answer_may_leave_out_what_the_output_type_has_a_default_for_and_nothing_else(kind, asked):
    small = ScriptedModel("small", ['{"city": "Oslo"}', '{"city": "Oslo", "note": "wet"}'])
    app = scripted_app(small)
    result = await Runner.run(agent(output_type=kind), ASKED, run_config=run_config(app))
    assert result.final_output == (Report(city="Oslo") if asked == 1 else Said(city="Oslo", note="wet"))
    assert len(small.requests) == asked


async def test_tools_and_an_output_type_go_together(ran):
    _, _, app = pair([CallTool("rain", city="Oslo"), '{"city": "Oslo", "mm": 800}'])
    result = await Runner.run(agent(rain_tool(ran), output_type=Rain), ASKED, run_config=run_config(app))
    assert (result.final_output, ran) == (Rain(city="Oslo", mm=800), ["Oslo"])


@pytest.mark.parametrize(
    ("choice", "shown", "wanted"),
    [
        (None, ["rain", "snow"], None),
        ("auto", ["rain", "snow"], None),
        ("required", ["rain", "snow"], "required"),
        ("snow", ["snow"], "required"),
    ],
)
async def test_a_tool_that_must_be_called_is_the_only_one_shown(choice, shown, wanted, ran):
    @function_tool
    def snow(city: str) -> int:
        """Snow."""
        return 3

    small, _, app = pair([CallTool(shown[-1], city="Oslo"), "3 cm."])
    settings = ModelSettings(tool_choice=choice, parallel_tool_calls=False, max_tokens=50, temperature=0.5)
    await Runner.run(agent(rain_tool(ran), snow, model_settings=settings), ASKED, run_config=run_config(app))
    first = small.requests[0]
    assert [one["function"]["name"] for one in first["tools"]] == shown
    assert first.get("tool_choice") == wanted
    assert (first["parallel_tool_calls"], first["temperature"]) == (False, 0.5)
    assert 50 in (first.get("max_tokens"), first.get("max_completion_tokens"))


async def test_options_and_provider_parameters_go_with_an_agents_settings(tmp_path: Path):
    extra = {"orchestra": {"tenant": "acme", "mode": "cost"}, "scripted.top_k": 5}
    small, _, app = pair(["hi"], ledger=tmp_path / "l.db")
    settings = ModelSettings(extra_args=extra)
    async with app:
        await Runner.run(agent(model_settings=settings), "hi", run_config=run_config(app, mode="quality"))
        (decided,) = events(rows(app), Decided)
    assert small.requests[0]["top_k"] == 5
    assert (decided.context.tenant, decided.context.mode) == ("acme", "cost")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_parameter_that_reaches_no_model_is_warned_of_with_the_way_out(stream):
    small, _, app = pair(["hi"])
    asked = agent(model_settings=ModelSettings(extra_args={"top_k": 3}))
    with pytest.warns(IgnoredSetting, match=r"'top_k' is left out, .* write 'openai-chat.top_k'"):
        await ended(asked, run_config(app), stream=stream)
    assert "top_k" not in small.requests[0]


async def test_metadata_is_the_steps_for_rules_to_match(tmp_path: Path):
    by_plan = StepPolicy([{"match": {"metadata": {"plan": "gold"}}, "prefer": ["strong"]}, {"prefer": ["small"]}])
    async with world(tmp_path, "from small", "from strong", policies=[by_plan]) as (_, app):
        for plan, expected in (("gold", "from strong"), ("free", "from small")):
            asked = agent(model_settings=ModelSettings(metadata={"plan": plan}))
            assert (await Runner.run(asked, "hi", run_config=run_config(app))).final_output == expected


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_takes_longer_than_its_timeout_ends_as_the_sdk_ends_it(stream, tmp_path: Path):
    async with world(tmp_path, Silence()) as (_, app):
        with pytest.raises(ModelTimeoutError):
            await ended(agent(model_settings=ModelSettings(timeout=0.05)), run_config(app), stream=stream)
        (run,), ends = app.ledger.runs(), events(rows(app), AttemptEnded)
    assert (run.state, len(ends)) == ("cancelled", 1)


IGNORED = {
    "reasoning": {"effort": "high"},
    "verbosity": "high",
    "truncation": "auto",
    "store": False,
    "response_include": ["reasoning.encrypted_content"],
    "prompt_cache_retention": "24h",
    "preserve_raw_usage": True,
}


@pytest.mark.parametrize("name", IGNORED)
async def test_a_setting_of_openais_api_alone_is_left_out_with_a_warning(name):
    small, _, app = pair(["hi"])
    with pytest.warns(IgnoredSetting, match=f"model_settings.{name} is left out"):
        await Runner.run(agent(model_settings={name: IGNORED[name]}), "hi", run_config=run_config(app))
    assert name not in small.requests[0]


async def test_the_sdks_own_defaults_for_openais_models_are_nobodys_wish():
    small, _, app = pair(["hi"])
    asked = Agent(name="Research")
    assert asked.model_settings.verbosity
    assert (await Runner.run(asked, "hi", run_config=run_config(app))).final_output == "hi"
    assert "verbosity" not in small.requests[0]


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ({"step": "x"}, r"step: no option of extra_args\['orchestra'\]"),
        ("cost", r"extra_args\['orchestra'\]: expected options of a call by name, got 'cost'"),
    ],
)
async def test_options_of_ours_that_no_call_has_are_refused_by_name(ours, said):
    asked = agent(model_settings=ModelSettings(extra_args={"orchestra": ours}))
    with pytest.raises(ConfigError, match=said):
        await Runner.run(asked, "hi", run_config=run_config(app_of(["hi"])))


# ---- what a run does


async def test_parallel_calls_run_side_by_side_and_are_answered_in_one_turn(ran):
    calls = Say(calls=(CallTool("rain", city="Oslo"), CallTool("rain", city="Bergen")))
    small, _, app = pair([calls, "800 mm each."])
    result = await Runner.run(agent(rain_tool(ran)), ASKED, run_config=run_config(app))
    assert (result.final_output, sorted(ran)) == ("800 mm each.", ["Bergen", "Oslo"])
    assert [one["role"] for one in small.requests[1]["messages"]] == ["system", "user", "assistant", "tool", "tool"]


async def test_a_stream_tells_thoughts_text_and_calls_in_the_sdks_events(ran):
    thinks = Say("Let me look.", (CallTool("rain", city="Oslo"),), reasoning="Hmm.")
    _, _, app = pair([thinks, "800 mm."])
    result = Runner.run_streamed(agent(rain_tool(ran)), ASKED, run_config=run_config(app))
    raw = [event.data async for event in result.stream_events() if event.type == "raw_response_event"]
    first = raw[: [one.type for one in raw].index("response.completed") + 1]
    assert [one.sequence_number for one in first] == list(range(len(first)))
    kinds = list(dict.fromkeys(one.type.removeprefix("response.") for one in first))
    assert kinds == [
        "created",
        "output_item.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "output_item.done",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "completed",
    ]
    text = "".join(one.delta for one in first if one.type == "response.output_text.delta")
    done = [one.item.type for one in first if one.type == "response.output_item.done"]
    assert (text, done) == ("Let me look.", ["reasoning", "message", "function_call"])
    assert [one.type for one in first[-1].response.output] == done
    assert result.final_output == "800 mm."


async def ended(asked: Any, config: RunConfig, *, stream: bool, given: Any = "hi") -> Any:
    if not stream:
        return await Runner.run(asked, given, run_config=config)
    result = Runner.run_streamed(asked, given, run_config=config)
    async for _ in result.stream_events():
        pass
    return result


@pytest.mark.parametrize("stream", [False, True])
async def test_usage_counts_every_request_that_was_paid_for_and_the_response_names_the_ledgers_run(
    stream, tmp_path: Path
):
    small = [Say("", usage=(70, 5)), Say("", usage=(80, 6))]
    async with world(tmp_path, small, Say("hi", usage=(90, 7))) as (_, app):
        result = await ended(agent(), run_config(app), stream=stream)
        (run,) = app.ledger.runs()
        totals = [(one.usage.input, one.usage.output) for one in events(rows(app), AttemptEnded)]
    used, (response,) = result.context_wrapper.usage, result.raw_responses
    assert (used.requests, used.input_tokens, used.output_tokens, used.total_tokens) == (3, 240, 18, 258)
    assert [(one.input_tokens, one.output_tokens) for one in used.request_usage_entries] == totals
    assert (response.request_id, response.response_id in (None, "__fake_id__")) == (run.run, True)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_that_was_refused_counts_without_tokens(stream, tmp_path: Path):
    async with world(tmp_path, Error(503), Say("hi", usage=(90, 7))) as (provider, app):
        result = await ended(agent(), run_config(app), stream=stream)
        asked = len(provider.requests)
    used = result.context_wrapper.usage
    assert (used.requests, used.input_tokens, len(used.request_usage_entries)) == (asked, 90, 1)


async def test_a_request_that_was_never_sent_does_not_count():
    reply = await app_of(["hi"]).complete("hi")
    unsent = Attempt("1", "small", Trigger.connection, sent="no")

    class Unsent:
        async def complete(self, *_: Any, **__: Any) -> Any:
            return replace(reply, attempts=(unsent, *reply.attempts))

    result = await Runner.run(agent(model=OrchestraModel(Unsent(), "x")), "hi", run_config=QUIET)
    assert result.context_wrapper.usage.requests == 1


async def test_a_stream_that_is_closed_ends_its_call_at_once(tmp_path: Path):
    async with world(tmp_path, Stall("one two three four")) as (_, app):
        events = OrchestraModel(app, "x").stream_response(
            None,
            "count",
            ModelSettings(),
            [],
            None,
            [],
            ModelTracing.DISABLED,
            previous_response_id=None,
            conversation_id=None,
            prompt=None,
        )
        async with aclosing(events):
            async for event in events:
                if event.type == "response.output_text.delta":
                    break
        assert [run.state for run in app.ledger.runs()] == ["cancelled"]


@pytest.mark.parametrize("stream", [False, True])
async def test_where_the_provider_counts_nothing_the_request_counts(stream):
    reply = await app_of(["hi"]).complete("hi")
    uncounted = replace(reply, usage=None, attempts=tuple(replace(one, usage=None) for one in reply.attempts))

    class Uncounted:
        async def complete(self, *_: Any, **__: Any) -> Any:
            return uncounted

        async def stream(self, *_: Any, **__: Any) -> Any:
            yield End(uncounted)

    result = await ended(agent(model=OrchestraModel(Uncounted(), "x")), QUIET, stream=stream)
    assert (result.context_wrapper.usage.requests, result.context_wrapper.usage.total_tokens) == (1, 0)


QUIET = RunConfig(tracing_disabled=True)


@pytest.mark.parametrize("told", [None, tell_failure], ids=["the SDK's words", "ours"])
async def test_a_tool_that_fails_takes_the_next_turns_up_the_ladder_and_a_success_back_down(told, tmp_path: Path, ran):
    @function_tool(**({"failure_error_function": told} if told else {}))
    def rows_of(sql: str) -> int:
        """Run SQL."""
        ran.append(sql)
        if len(ran) < 3:
            raise ValueError("no such column: mm")
        return 800

    call = CallTool("rows_of", sql="SELECT mm")
    async with world(tmp_path, [call, call, "800 mm."], CallTool("rows_of", sql="SELECT 1")) as (provider, app):
        result = await Runner.run(agent(rows_of), ASKED, run_config=run_config(app))
        served = [(one.model, one.trigger, one.action) for one in events(rows(app), Judged)]
    assert (result.final_output, ran) == ("800 mm.", ["SELECT mm", "SELECT mm", "SELECT 1"])
    assert served == [
        ("small", None, None),
        ("small", "tool_error", "repair"),
        ("small", None, None),
        ("small", "tool_error", "repair"),
        ("small", "tool_error", "escalate"),
        ("strong", None, None),
        ("small", None, None),
    ]
    assert ("no such column" in json.dumps(provider.requests[1].body)) == (told is not None)


async def test_a_tool_that_took_too_long_counts_as_failed(tmp_path: Path):
    @function_tool(timeout=0.01)
    async def slow(city: str) -> int:
        """Slow."""
        await asyncio.Event().wait()
        return 1

    async with world(tmp_path, [CallTool("slow", city="Oslo"), "Never mind."]) as (_, app):
        await Runner.run(agent(slow), ASKED, run_config=run_config(app))
        triggers = [one.trigger for one in events(rows(app), Judged)]
    assert triggers == [None, "tool_error", None]


SERVER = """
try:
    from mcp.server import MCPServer
except ImportError:
    from mcp.server.fastmcp import FastMCP as MCPServer

server = MCPServer("weather")


@server.tool()
def rain(city: str) -> str:
    raise ValueError(city)


server.run()
"""


async def test_a_tool_of_an_mcp_server_that_fails_counts_as_failed(tmp_path: Path):
    (tmp_path / "server.py").write_text(SERVER, encoding="utf-8")
    started = MCPServerStdio({"command": sys.executable, "args": [str(tmp_path / "server.py")]})
    async with started as server, world(tmp_path, [RAIN, "Never mind."]) as (_, app):
        await Runner.run(agent(mcp_servers=[server]), ASKED, run_config=run_config(app))
        triggers = [one.trigger for one in events(rows(app), Judged)]
    assert triggers == [None, "tool_error", None]


@pytest.mark.parametrize(
    ("name", "said", "failed"),
    [
        ("rain", "Error executing tool rain: locked", True),
        ("rain", "Error executing tool rain", True),
        ("mcp_weather__rain", "Error executing tool rain: locked", True),
        ("rain", "Error executing tool backup: locked", False),
        ("rain", "Error executing tool rainfall: locked", False),
        ("mcp_weather__rain", "No error", False),
    ],
)
def test_only_what_an_mcp_server_says_of_the_tool_itself_is_a_failure(name, said, failed):
    call = {"type": "function_call", "call_id": "1", "name": name, "arguments": "{}"}
    _, told = from_items([call, {"type": "function_call_output", "call_id": "1", "output": said}])
    assert told.parts[0].is_error is failed


async def test_a_run_interrupted_in_the_middle_of_an_escalation_goes_on_from_its_stored_state(tmp_path: Path, ran):
    """The cheap model's call failed twice, the strong one's call waits for a person, and the process ends."""

    @function_tool(needs_approval=lambda _, arguments, __: _needs(arguments))
    def pay(amount: int) -> str:
        """Pay."""
        ran.append(str(amount))
        if amount > 10:
            raise ValueError("over the limit")
        return "paid"

    async def _needs(arguments: dict[str, Any]) -> bool:
        return arguments["amount"] <= 10

    asked = agent(pay)
    wrong, right = CallTool("pay", amount=99), CallTool("pay", amount=5)
    async with world(tmp_path, [wrong, wrong], right) as (_, app):
        paused = await Runner.run(asked, "Pay 5.", run_config=run_config(app))
        stored = json.dumps(paused.to_state().to_json())
        assert (len(paused.interruptions), ran) == (1, ["99", "99"])
    async with world(tmp_path, "It is paid.", "never asked") as (provider, app):
        state = await RunState.from_json(asked, json.loads(stored))
        for waiting in state.get_interruptions():
            state.approve(waiting)
        result = await Runner.run(asked, state, run_config=run_config(app))
        counts = provider.count("small"), provider.count("strong")
    assert (result.final_output, ran, counts) == ("It is paid.", ["99", "99", "5"], (1, 0))


async def test_a_run_stored_between_two_failures_still_climbs(tmp_path: Path, ran):
    @function_tool
    def broken(sql: str) -> int:
        """Broken."""
        ran.append(sql)
        raise ValueError("locked")

    call = CallTool("broken", sql="x")
    async with world(tmp_path, [call, call, "never"], "The table is locked.") as (provider, app):
        first = await Runner.run(agent(broken), ASKED, run_config=run_config(app), max_turns=2, error_handlers=_GIVE_UP)
        history = json.loads(json.dumps([one for one in first.to_input_list() if one.get("type") != "message"]))
        second = await Runner.run(agent(broken), history, run_config=run_config(app))
        assert provider.count("strong") == 1
    assert (second.final_output, len(ran)) == ("The table is locked.", 2)


_GIVE_UP: Any = {"max_turns": lambda _: "gave up"}


async def test_a_hundred_runs_at_once_keep_their_own_ladders():
    def number(body: dict[str, Any]) -> int:
        return int(body["messages"][1]["content"])

    def small(body: dict[str, Any]) -> Any:
        if body["messages"][-1]["role"] == "tool" and body["messages"][-1]["content"].isdigit():
            return f"{number(body)}: {body['messages'][-1]['content']}"
        return CallTool("double", n=number(body)) if number(body) % 2 else CallTool("dubble", n=1)

    @function_tool
    def double(n: int) -> int:
        """Twice."""
        return 2 * n

    _, strong, app = pair(small, lambda body: CallTool("double", n=number(body)))
    asked = agent(double)
    results = await asyncio.gather(*(Runner.run(asked, str(n), run_config=run_config(app)) for n in range(100)))
    assert [one.final_output for one in results] == [f"{n}: {2 * n}" for n in range(100)]
    assert len(strong.requests) == 50


def test_the_synchronous_runner_works_where_no_loop_runs():
    app = app_of(["one", "two"])
    for expected in ("one", "two"):
        with asyncio.Runner() as runner:  # the SDK takes the thread's loop, and leaves it open
            asyncio.set_event_loop(runner.get_loop())
            assert Runner.run_sync(agent(), "hi", run_config=run_config(app)).final_output == expected


async def test_the_synchronous_runner_and_ours_refuse_a_running_loop():
    app = app_of(["hi"])
    with pytest.raises(RuntimeError, match="event loop is already running"):
        Runner.run_sync(agent(), "hi", run_config=run_config(app))
    with pytest.raises(SyncInLoop):
        app.complete_sync("hi")


# ---- tracing


class Kept(TracingProcessor):
    """Keeps spans here."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def on_trace_start(self, trace: Any) -> None: ...
    def on_trace_end(self, trace: Any) -> None: ...
    def on_span_start(self, span: Any) -> None: ...
    def on_span_end(self, span: Any) -> None:
        self.spans.append(span)

    def shutdown(self) -> None: ...
    def force_flush(self) -> None: ...


@pytest.fixture
def kept():
    processor = Kept()
    set_trace_processors([processor])
    yield processor
    set_trace_processors([])


async def test_with_our_run_config_no_trace_is_made_that_could_leave_the_machine(kept):
    await Runner.run(agent(), "hi", run_config=run_config(app_of(["hi"])))
    assert kept.spans == []


@pytest.mark.parametrize("sensitive", [True, False])
@pytest.mark.parametrize("stream", [True, False])
async def test_your_own_tracing_hears_who_really_served(sensitive, stream, kept):
    config = run_config(app_of(["", "", "hi"], ["hi"]))
    config.tracing_disabled, config.trace_include_sensitive_data = False, sensitive
    if stream:
        async for _ in Runner.run_streamed(agent(), "hi", run_config=config).stream_events():
            pass
    else:
        await Runner.run(agent(), [{"role": "user", "content": "hi"}], run_config=config)
    (span,) = [one.span_data for one in kept.spans if one.span_data.type == "generation"]
    assert (span.model, span.model_config["attempts"], span.usage["output_tokens"] > 0) == ("strong", 3, True)
    assert (span.input is not None, span.output is not None) == (sensitive, sensitive)


@pytest.mark.parametrize("sensitive", [True, False])
@pytest.mark.parametrize("stream", [True, False])
async def test_your_own_tracing_hears_that_a_call_failed_and_its_words_only_where_they_may_be_kept(
    sensitive, stream, kept
):
    config = run_config(app_of([Error(400)]))
    config.tracing_disabled, config.trace_include_sensitive_data = False, sensitive
    with pytest.raises(BadRequest) as ended_with:
        await ended(agent(), config, stream=stream)
    (span,) = [one for one in kept.spans if one.span_data.type == "generation"]
    said = str(ended_with.value) if sensitive else "BadRequest"
    assert span.error == {"message": "Error getting response", "data": {"error": said}}


# ---- what cannot be done


@pytest.mark.parametrize("tool", [WebSearchTool(), ApplyPatchTool(editor=cast("Any", None))])
async def test_a_tool_that_only_one_providers_models_call_is_refused_by_name(tool):
    said = f"tool '{tool.name}': a {type(tool).__name__} is for OpenAI's models alone, wherever it runs"
    with pytest.raises(ConfigError, match=said):
        await Runner.run(agent(tool), "hi", run_config=run_config(app_of(["hi"])))


@pytest.mark.parametrize(
    ("options", "name"),
    [({"defer_loading": True}, "defer_loading"), (PROGRAMS, "allowed_callers")],
)
async def test_a_tool_that_only_openai_can_find_or_call_is_refused_before_a_model_calls_it(options, name, ran):
    with pytest.raises(ConfigError, match=f"tool 'rain': {name} is for OpenAI's own"):
        await Runner.run(agent(rain_tool(ran, **options)), "hi", run_config=run_config(app_of([RAIN])))


async def test_a_tool_of_a_namespace_is_refused_and_one_for_direct_calls_is_called(ran):
    direct = rain_tool(ran, allowed_callers=["direct"])
    spaced = tool_namespace(name="weather", description="Weather.", tools=[direct])
    with pytest.raises(ConfigError, match=r"tool 'weather\.rain': tool_namespace is for OpenAI's own"):
        await Runner.run(agent(*spaced), "hi", run_config=run_config(app_of([RAIN])))
    await Runner.run(agent(direct), ASKED, run_config=run_config(app_of([RAIN, "800 mm."])))
    assert ran == ["Oslo"]


@pytest.mark.parametrize("kept_there", [{"previous_response_id": "r1"}, {"conversation_id": "c1"}])
async def test_a_conversation_that_only_openai_keeps_is_refused(kept_there):
    with pytest.raises(ConfigError, match=f"{next(iter(kept_there))}: OpenAI's server keeps that"):
        await Runner.run(agent(), "hi", run_config=run_config(app_of(["hi"])), **kept_there)


async def test_a_run_that_leaves_its_history_to_openai_is_refused_before_a_model_is_asked_without_it(ran):
    small, _, app = pair([RAIN, "800 mm."])
    with pytest.raises(
        ConfigError, match=r"results of tools, and nothing of what led to them; .* call_model_input_filter"
    ):
        await Runner.run(agent(rain_tool(ran)), ASKED, run_config=run_config(app), auto_previous_response_id=True)
    assert len(small.requests) == 1


@pytest.mark.parametrize(
    ("setting", "instead"),
    [
        ({"top_p": 0.5}, 'extra_args={"openai.top_p": …}'),
        ({"presence_penalty": 0.1}, 'extra_args={"openai.presence_penalty": …}'),
        ({"extra_body": {"x": 1}}, 'extra_args={"openai.FIELD": …}'),
        ({"extra_headers": {"x": "1"}}, "headers of [providers.NAME]"),
        ({"extra_query": {"x": 1}}, "leave it out"),
    ],
)
async def test_a_setting_that_not_every_model_has_is_refused_with_the_way_out(setting, instead):
    name = next(iter(setting))
    with pytest.raises(ConfigError, match=rf"model_settings.{name}: .*; .*{re.escape(instead)}"):
        await Runner.run(agent(model_settings=ModelSettings(**setting)), "hi", run_config=run_config(app_of(["hi"])))


async def test_a_tool_choice_that_names_no_tool_is_refused_with_the_tools_there_are(ran):
    asked = agent(rain_tool(ran), model_settings=ModelSettings(tool_choice="snow"))
    with pytest.raises(ConfigError, match="tool_choice 'snow' is unknown; known: auto, required, none, rain"):
        await Runner.run(asked, ASKED, run_config=run_config(app_of(["hi"])))


@pytest.mark.parametrize("strict", [True, False])
async def test_a_call_without_what_the_function_has_a_default_for_is_a_good_one(strict, tmp_path: Path):
    @function_tool(strict_mode=strict)
    def rain(city: str, days: int = 365) -> str:
        """Rain."""
        return f"{city} {days}"

    async with world(tmp_path, [CallTool("rain", city="Oslo"), "800 mm."]) as (_, app):
        result = await Runner.run(agent(rain), ASKED, run_config=run_config(app))
        triggers = [one.trigger for one in events(rows(app), Judged)]
    assert triggers == [None, None]
    assert [one["output"] for one in result.to_input_list() if "output" in one] == ["Oslo 365"]


async def test_a_tool_without_a_schema_takes_no_arguments(ran):
    async def ping(_: Any, __: str) -> str:
        ran.append("ping")
        return "pong"

    bare = FunctionTool("ping", "Ping.", {}, ping, strict_json_schema=False)
    _, _, app = pair([CallTool("ping"), "pong"])
    assert (await Runner.run(agent(bare), "ping", run_config=run_config(app))).final_output == "pong"
    assert ran == ["ping"]


async def test_where_no_model_may_serve_the_error_says_why():
    app = scripted_app(ScriptedModel("small", [], window=200))
    with pytest.raises(NoCandidate, match=r"small: .*window"):
        await Runner.run(agent(), "hi" * 1000, run_config=run_config(app))


async def test_a_budget_that_is_spent_ends_the_run_with_our_error(tmp_path: Path):
    async with world(tmp_path, "hi") as (provider, app):
        with pytest.raises(NoCandidate, match=r"small: .* \(money\)"):
            await Runner.run(agent(), "hi", run_config=run_config(app, budget=0.0))
        assert provider.requests == []


async def test_a_provider_that_is_down_is_gone_around_and_the_runner_never_knows(tmp_path: Path):
    async with world(tmp_path, Error(503), "from strong") as (_, app):
        result = await Runner.run(agent(), "hi", run_config=run_config(app))
    assert result.final_output == "from strong"


async def test_within_a_node_a_step_that_was_moved_stays_where_it_was_moved(tmp_path: Path, ran):
    bad = CallTool("rainfall", city="Oslo")
    strong = [CallTool("rain", city="Oslo"), "800 mm."]
    async with world(tmp_path, [bad, bad, "never"], strong, policies=None) as (provider, app):

        async def work() -> str:
            return (await Runner.run(agent(rain_tool(ran)), ASKED, run_config=run_config(app))).final_output

        assert await app.node(work, step="support")() == "800 mm."
        counts = provider.count("small"), provider.count("strong")
    assert counts == (2, 2)
