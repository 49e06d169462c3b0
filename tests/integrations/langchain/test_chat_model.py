"""The chat model: which step a call is, what configs and bindings say, how replies and errors come out."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import gc
import json
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.language_models.chat_model_stream import ChatModelStream
from langchain_core.load import dumpd, load
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, trim_messages
from langchain_core.runnables import RunnableBinding, RunnableConfig
from langchain_core.tools import tool as langchain_tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, ConfigDict, field_validator

from orchestra import Exhausted, NoCandidate, Orchestra, StepPolicy, StreamCut, tool
from orchestra.errors import ConfigError, SyncInLoop, ToolError
from orchestra.integrations.langchain import FLEET, ChatOrchestra
from orchestra.ledger import Decided, RunStarted
from orchestra.testing import CallTool, CutStream, RawReply, Say, ScriptedModel, scripted_app
from orchestra.types import Capabilities, Price
from tests.app.doubles import app_of, events, rows

STEPS = StepPolicy([{"match": {"name": ["research"]}, "prefer": ["strong"]}, {"prefer": ["small"]}])


def echo(body: dict[str, Any]) -> str:
    return f"{body['model']}: {body['messages'][-1]['content']}"


def two(**options: Any) -> Orchestra:
    """Small and strong, each of which says its name; research goes to the strong one."""
    models = ScriptedModel("small", echo), ScriptedModel("strong", echo, tier="capable")
    return scripted_app(*models, **({"policies": [STEPS]} | options))


@langchain_tool
def weather(city: str) -> str:
    """Weather of a city."""
    raise AssertionError("a chat model never executes a tool")


@tool(read_only=True)
def rain(city: str, year: int = 2026) -> float:
    """Millimetres of rain in a year."""
    raise AssertionError("a chat model never executes a tool")


class Verse(BaseModel):
    lines: int

    @field_validator("lines")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("a verse has an even number of lines")
        return value


async def served(model: Any, **options: Any) -> str:
    return (await model.ainvoke("x", **options)).response_metadata["model_name"]


async def test_the_step_is_the_argument_else_the_metadata_else_call():
    async with two() as app:
        assert await served(app.chat_model(step="research")) == "strong"
        assert await served(app.chat_model()) == "small"
        researching = {"config": {"metadata": {"orchestra_step": "research"}}}
        assert await served(app.chat_model(), **researching) == "strong"
        assert await served(app.chat_model(step="write"), **researching) == "small"
        assert await served(app.chat_model(), step="research") == "strong"


async def test_a_call_its_binding_and_its_metadata_may_name_a_step_like_a_rules_as_complete_does():
    async with two() as app:
        model, metadata = app.chat_model(), {"metadata": {"orchestra_step": "research_2"}}
        assert await served(model, step="research_2") == "small"
        assert await served(model.bind(step="research_2")) == "small"
        assert await served(model, config=metadata) == "small"
        assert await served(ChatOrchestra(app=app, step="research_2")) == "small"
        assert (await app.complete("x", step="research_2")).model == "small"
        with pytest.raises(ConfigError, match="step 'research_2' is in no rule; did you mean 'research'"):
            app.chat_model(step="research_2")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mode": "fast"}, "mode 'fast' is unknown; known: quality"),
        ({"budget": -1}, "budget: expected a number of USD that is not negative"),
        ({"tenant": 3}, "tenant: expected a text"),
    ],
)
async def test_a_setting_that_makes_no_sense_is_told_where_the_model_is_made(settings, said):
    async with two() as app:
        with pytest.raises(ConfigError, match=said):
            app.chat_model(**settings)
        with pytest.raises(ConfigError, match=said):
            await app.chat_model().ainvoke("x", {"configurable": settings})


@pytest.mark.parametrize("how", ["invoke", "stream", "stream_events"])
@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_each_synchronous_way_knows_the_step_of_the_metadata(how):
    app = two()
    model, config = app.chat_model(), {"metadata": {"orchestra_step": "research"}}
    if how == "invoke":
        message = model.invoke("x", config)
    elif how == "stream":
        message = reduce(add, model.stream("x", config))
    else:
        stream = model.stream_events("x", config, version="v3")
        assert isinstance(stream, ChatModelStream)
        message = stream.output
    assert message.text == "strong: x"
    app.close()


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
async def test_each_asynchronous_way_knows_the_step_of_the_metadata():
    config = {"metadata": {"orchestra_step": "research"}}
    async with two() as app:
        model = app.chat_model()
        assert (await model.ainvoke("x", config)).text == "strong: x"
        assert reduce(add, [chunk async for chunk in model.astream("x", config)]).text == "strong: x"
        assert [one.text for one in await model.abatch(["x", "y"], config)] == ["strong: x", "strong: y"]
        seen = [event async for event in model.astream_events("x", config, version="v2")]
        assert seen[-1]["data"]["output"].text == "strong: x"
        whole = await model.astream_events("x", config, version="v3")
        assert (await whole.output).text == "strong: x"


async def test_what_a_config_says_of_mode_budget_and_tenant_beats_the_model(tmp_path):
    async with two(ledger=tmp_path / "l.db", policies=[]) as app:
        model = app.chat_model(step="s", mode="cost", tenant="acme")
        await model.ainvoke("x")
        await model.ainvoke("x", {"configurable": {"mode": "quality", "tenant": "beta", "budget": 0.5}})
        found = rows(app)
    assert [event.mode for event in events(found, RunStarted)] == ["cost", "quality"]
    contexts = [event.context for event in events(found, Decided)]
    assert [(one.tenant, one.money_left) for one in contexts] == [("acme", None), ("beta", 0.5)]


async def test_settings_of_the_model_reach_the_wire_and_a_calls_own_beat_them():
    small = ScriptedModel("small", ["a", "b"])
    async with scripted_app(small) as app:
        model = app.chat_model(step="s", temperature=0.5, max_tokens=9, seed=3, stop=["END"], timeout=30)
        await model.ainvoke("x")
        await model.ainvoke("x", temperature=0.1, stop=["now"], max_completion_tokens=7)
    first, second = small.requests
    assert (first["temperature"], first["seed"], first["stop"]) == (0.5, 3, ["END"])
    assert (second["temperature"], second["seed"], second["stop"]) == (0.1, 3, ["now"])
    assert (9 in first.values(), 7 in second.values()) == (True, True)


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (None, "auto"),
        ("auto", "auto"),
        (False, "auto"),
        ("none", "none"),
        (True, "required"),
        ("any", "required"),
        ("required", "required"),
        ({"type": "any"}, "required"),
        ("rain", "required"),
        ({"type": "tool", "name": "rain"}, "required"),
        ({"type": "function", "function": {"name": "rain"}}, "required"),
    ],
)
async def test_each_way_to_say_a_tool_choice_is_understood(choice, wanted):
    small = ScriptedModel("small", [CallTool("rain", city="Oslo") if wanted == "required" else "none"])
    async with scripted_app(small) as app:
        await app.chat_model().bind_tools([weather, rain], tool_choice=choice).ainvoke("x")
    (request,) = small.requests
    assert request.get("tool_choice", "auto") == wanted
    assert [one["function"]["name"] for one in request["tools"]][-1] == "rain"


async def test_tools_of_every_kind_are_declared_with_the_schema_they_have():
    schema = {"type": "object", "properties": {"a": {"type": "integer", "title": "kept"}}, "required": ["a"]}

    class Person(BaseModel):
        """Someone."""

        name: str

    def lookup(key: str) -> str:
        """Look up."""
        return key

    offered = [
        weather,
        rain,
        lookup,
        Person,
        {"name": "anthropic", "description": "A.", "input_schema": schema},
        {"type": "custom", "name": "custom", "input_schema": schema},
        {"type": "function", "name": "responses", "parameters": schema},
        {"type": "tool", "name": "typed", "parameters": schema},
        {"title": "titled", **schema},
        {"type": "function", "function": {"name": "openai", "parameters": schema}},
        {"type": "function", "function": {"name": "bare"}},
    ]
    small = ScriptedModel("small", ["x"])
    async with scripted_app(small) as app:
        await app.chat_model().bind_tools(offered, parallel_tool_calls=False, strict=True).ainvoke("x")
    (request,) = small.requests
    declared = {one["function"]["name"]: one["function"] for one in request["tools"]}
    schemas = ["anthropic", "custom", "responses", "typed", "titled", "openai"]
    assert list(declared) == ["weather", "rain", "lookup", "Person", *schemas, "bare"]
    assert all(declared[name]["parameters"]["properties"]["a"]["title"] == "kept" for name in schemas)
    assert declared["rain"]["parameters"]["properties"]["year"]["default"] == 2026
    assert declared["Person"]["description"] == "Someone."
    assert request["parallel_tool_calls"] is False


@pytest.mark.parametrize("offered", [rain, weather, {"name": "rain", "input_schema": {"type": "object"}}])
async def test_a_call_may_bring_its_tools_itself(offered):
    small = ScriptedModel("small", ["none"])
    async with scripted_app(small) as app:
        await app.chat_model().ainvoke("x", tools=[offered])
    assert small.requests[0]["tools"][0]["function"]["name"] in ("rain", "weather")


@pytest.mark.parametrize(
    ("offered", "error", "said"),
    [
        ({"type": "web_search"}, ConfigError, r"tools\[0\]: 'web_search' runs at one provider"),
        (
            {"type": "web_search_20250305", "name": "web_search"},
            ConfigError,
            "'web_search_20250305' runs at one provider",
        ),
        ({"type": "bash_20250124", "name": "bash"}, ConfigError, "'bash_20250124' runs at one provider"),
        ({"type": "custom", "name": "code"}, ConfigError, "a custom tool is called with free text"),
        ({"type": "function", "toolSpec": {}}, ConfigError, r"tools\[0\]: {'toolSpec': {}} says no name"),
        (
            {"type": ["object", "null"], "title": "X", "properties": {"a": {}}},
            ConfigError,
            r"tools\[0\]: .* says no name",
        ),
        ({"google_search": {}}, ConfigError, r"tools\[0\]: {'google_search': {}} says no name"),
        (lambda city: city, ToolError, "no name a model could call|no annotation"),
        (3, ToolError, "is no tool"),
    ],
)
async def test_what_cannot_be_declared_is_refused_when_it_is_bound(offered, error, said):
    async with two() as app:
        with pytest.raises(error, match=said):
            app.chat_model().bind_tools([offered])


@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
async def test_an_answer_that_a_validator_refuses_is_asked_again_and_then_of_the_stronger(method):
    def say(lines: int) -> Any:
        return CallTool("Verse", lines=lines) if method == "function_calling" else json.dumps({"lines": lines})

    async with app_of([say(3), say(3)], [say(4)]) as app:
        model = app.chat_model(step="s").with_structured_output(Verse, method=method, include_raw=True)
        found = await model.ainvoke("x")
    assert found["parsed"] == Verse(lines=4)
    assert found["parsing_error"] is None
    ours = found["raw"].response_metadata["orchestra"]
    assert (ours["model"], [one["model"] for one in ours["refused"]]) == ("strong", ["small", "small"])


async def test_a_call_of_a_bound_pydantic_model_is_judged_by_its_validators():
    odd, even = CallTool("Verse", lines=3), CallTool("Verse", lines=4)
    async with app_of([odd, CallTool("rain", city="Oslo"), odd, even]) as app:
        model = app.chat_model(step="s").bind_tools([rain, Verse])
        calls = [(await model.ainvoke("x")).tool_calls[0] for _ in range(2)]
    assert [(one["name"], one["args"]) for one in calls] == [("rain", {"city": "Oslo"}), ("Verse", {"lines": 4})]


async def test_an_answer_in_a_strict_model_is_read_as_json():
    class Day(BaseModel):
        model_config = ConfigDict(strict=True)

        date: dt.date

    async with app_of(['{"date": "2024-01-02"}']) as app:
        found = await app.chat_model(step="s").with_structured_output(Day, method="json_schema").ainvoke("x")
    assert found == Day(date=dt.date(2024, 1, 2))


async def test_an_answer_in_json_schema_is_the_parsed_json_even_where_it_came_fenced():
    schema = {"type": "object", "properties": {"lines": {"type": "integer"}}, "required": ["lines"]}
    async with app_of(['```json\n{"lines": 3}\n```', '{"lines": 4}', '{"lines": 5}']) as app:
        model = app.chat_model(step="s")
        assert await model.with_structured_output(schema).ainvoke("x") == {"lines": 3}
        given = {"type": "json_schema", "json_schema": {"name": "Verse", "schema": schema}}
        assert (await model.ainvoke("x", response_format=given)).text == '{"lines": 4}'
        function = {"name": "verse", "parameters": schema}
        assert await model.with_structured_output(function).ainvoke("x") == {"lines": 5}


@pytest.mark.parametrize("written", ['```json\n{"lines": 4}\n```', "{'lines': 4,}", '{"lines": 4}'])
async def test_the_text_of_a_structured_answer_is_the_json_that_was_read_in_it(written):
    """Whoever reads it again, as create_agent's ProviderStrategy does, knows of no fence; models see what was said."""
    async with app_of([RawReply(written), RawReply(written), '{"lines": 6}']) as app:
        model = app.chat_model(step="s")
        answer = await model.ainvoke("How many?", output=Verse)
        streamed = [chunk async for chunk in model.astream("How many?", output=Verse)]
        assert answer.text == reduce(add, streamed).text == '{"lines": 4}'
        again = await model.ainvoke([HumanMessage("How many?"), answer, HumanMessage("And now?")], output=Verse)
        assert again.text == '{"lines": 6}'
        assert app.transport._models["small"].requests[-1]["messages"][1]["content"] == written


async def test_a_fence_before_a_call_is_no_answer_and_is_shown_as_it_is():
    async with app_of([Say("``` hm", calls=(CallTool("rain", city="Oslo"),))]) as app:
        model = app.chat_model(step="s").bind_tools([rain])
        chunks = [chunk async for chunk in model.astream("x", output=Verse)]
    whole = reduce(add, chunks)
    assert (whole.text, [one["name"] for one in whole.tool_calls]) == ("``` hm", ["rain"])


async def test_each_response_format_of_openais_is_understood():
    async with app_of(["no JSON", '{"a": 1}', "words"]) as app:
        model = app.chat_model(step="s")
        assert (await model.ainvoke("x", response_format={"type": "json_object"})).text == '{"a": 1}'
        assert (await model.ainvoke("x", response_format={"type": "text"})).text == "words"


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"method": "json"}, "method 'json' is unknown; known: json_schema"), ({"stict": True}, "stict unknown; known")],
)
async def test_a_structured_answer_is_asked_for_in_known_words(asked, said):
    async with two() as app:
        with pytest.raises(ConfigError, match=said):
            app.chat_model().with_structured_output(Verse, **asked)


async def test_a_stream_gives_text_and_thoughts_in_pieces_calls_as_chunks_and_the_rest_at_the_end():
    calls = CallTool("rain", city="Oslo"), CallTool("weather", city="Bergen")
    said = Say("Let me see.", calls=calls, reasoning="hm, so")
    async with app_of([said, said]) as app:
        model = app.chat_model(step="s").bind_tools([rain, weather])
        chunks = [chunk async for chunk in model.astream("x")]
        whole = await model.ainvoke("x")
    streamed = reduce(add, chunks)
    assert sum(bool(chunk.text) for chunk in chunks) == 3
    assert sum("reasoning_content" in chunk.additional_kwargs for chunk in chunks) > 1
    pieces = [one for chunk in chunks for one in chunk.tool_call_chunks]
    assert [(one["index"], one["name"], json.loads(one["args"])) for one in pieces] == [
        (2, "rain", {"city": "Oslo"}),  # of the message's blocks
        (3, "weather", {"city": "Bergen"}),
    ]
    assert chunks[-1].chunk_position == "last"
    assert (streamed.text, streamed.tool_calls, streamed.usage_metadata) == (
        whole.text,
        whole.tool_calls,
        whole.usage_metadata,
    )
    assert streamed.additional_kwargs == whole.additional_kwargs


@pytest.mark.parametrize("options", [{}, {"hold": True}, {"output": Verse}])
async def test_the_content_blocks_of_a_stream_are_those_of_the_whole_message(options):
    calls = CallTool("rain", city="Oslo"), CallTool("weather", city="Bergen")
    said = Say("Let me see.", calls=calls, reasoning="hm")
    async with app_of([said, said]) as app:
        model = app.chat_model(step="s", output_version="v1").bind_tools([rain, weather])
        streamed = reduce(add, [chunk async for chunk in model.astream("x", **options)])
        whole = await model.ainvoke("x", **options)
    shown = [{name: value for name, value in one.items() if name != "index"} for one in streamed.content]
    assert shown == whole.content
    assert [one["type"] for one in shown] == ["reasoning", "text", "tool_call", "tool_call"]


async def test_what_a_node_holds_comes_in_the_order_of_the_message_too():
    async with app_of([Say("Let me see.", reasoning="hm")]) as app:
        model = app.chat_model(output_version="v1")

        async def ask(_: Any) -> list[str]:
            return [one["type"] for one in reduce(add, [chunk async for chunk in model.astream("x")]).content]

        assert await app.node(ask, step="s", hold=True)({}) == ["reasoning", "text"]


async def test_the_text_beside_the_calls_of_a_turn_that_may_answer_in_a_schema_comes_before_them():
    async with app_of([Say("Let me see.", calls=(CallTool("rain", city="Oslo"),))]) as app:
        model = app.chat_model(step="s").bind_tools([rain])
        chunks = [chunk async for chunk in model.astream("x", output=Verse)]
    assert [(one.text, len(one.tool_call_chunks)) for one in chunks] == [("Let me see.", 0), ("", 1), ("", 0)]


async def test_a_stream_in_which_nothing_is_handed_on_early_still_tells_its_thoughts():
    async with app_of([Say('{"lines": 4}', reasoning="hm")]) as app:
        model = app.chat_model(step="s")
        streamed = reduce(add, [chunk async for chunk in model.astream("x", output=Verse)])
    assert (streamed.text, streamed.additional_kwargs["reasoning_content"]) == ('{"lines": 4}', "hm")


@pytest.mark.parametrize("how", ["invoke", "stream"])
async def test_a_synchronous_call_inside_a_running_loop_is_told_what_to_write_instead(how):
    async with two() as app:
        with pytest.raises(SyncInLoop, match=f"a{how}\\(...\\)"):
            list(getattr(app.chat_model(), how)("x"))
        assert (await asyncio.to_thread(app.chat_model().invoke, "x")).text == "small: x"


async def test_errors_come_out_as_they_are():
    dear = Price(1_000_000, 1_000_000)
    plain = Capabilities(tools="none")
    blind = ScriptedModel("small", [CutStream(after=2)], price=dear, capabilities=plain)
    async with scripted_app(blind) as app:
        model = app.chat_model(step="s")
        with pytest.raises(NoCandidate):
            await model.bind_tools([rain]).ainvoke("x")
        with pytest.raises(NoCandidate, match="money"):
            await model.ainvoke("x", {"configurable": {"budget": 0.01}})
        with pytest.raises(StreamCut) as cut:
            [chunk async for chunk in model.astream("x")]
        assert cut.value.partial_text


async def test_a_ladder_at_its_end_tells_what_was_tried():
    wrong = CallTool("snow", city="Oslo")
    async with app_of([wrong] * 2, [wrong] * 2) as app:
        with pytest.raises(Exhausted) as end:
            await app.chat_model(step="s").bind_tools([rain]).ainvoke("x")
    assert [one.model for one in end.value.attempts] == ["small", "small", "strong", "strong"]


async def test_a_call_is_told_of_an_option_that_nobody_knows():
    async with two() as app:
        with pytest.raises(ConfigError, match="top_k: no option of a call"):
            await app.chat_model().ainvoke("x", top_k=3)


async def test_a_history_is_trimmed_by_the_tokens_that_the_app_counts():
    async with two() as app:
        model = app.chat_model()
        history = [SystemMessage(""), HumanMessage("long ago " * 100), AIMessage("so"), HumanMessage("now")]
        kept = trim_messages(history, max_tokens=80, token_counter=model, include_system=True, start_on="human")
        assert [one.text for one in kept] == ["", "now"]
        assert model.get_num_tokens("long ago " * 100) > 80 > model.get_num_tokens("now") > 0
        assert model.get_num_tokens_from_messages(history, [rain]) > model.get_num_tokens_from_messages(history)


async def test_a_stream_that_is_left_early_is_a_cancelled_run(tmp_path: Path):
    async with app_of(["a b c d"] * 2, ledger=tmp_path / "l.db") as app:
        model = app.chat_model(step="s")
        async for _ in model.astream("x"):
            break
        await asyncio.to_thread(lambda: next(iter(model.stream("x"))))
        gc.collect()  # what LangChain left of a stream may stand in a circle
        for _ in range(100):  # the event loop closes it in turns of its own
            await asyncio.sleep(0)
        assert [one.state for one in app.ledger.runs()] == ["cancelled"] * 2


async def test_usage_is_counted_under_the_model_that_really_served():
    counted = UsageMetadataCallbackHandler()
    async with two() as app:
        await app.chat_model(step="research").ainvoke("x", {"callbacks": [counted]})
        await app.chat_model(step="write").ainvoke("x", {"callbacks": [counted]})
    assert set(counted.usage_metadata) == {"small", "strong"}


@pytest.mark.parametrize("how", ["invoke", "stream"])
async def test_the_message_has_its_own_usage_and_beside_its_cost_that_of_all_attempts(how):
    counted = UsageMetadataCallbackHandler()
    wrong, right = Say(calls=(CallTool("snow"),), usage=(100, 10)), Say("fin", usage=(50, 5))
    async with app_of([wrong, wrong], [right]) as app:
        model = app.chat_model(step="s").bind_tools([rain])
        if how == "invoke":
            message: Any = await model.ainvoke("x", {"callbacks": [counted]})
        else:
            message = reduce(add, [chunk async for chunk in model.astream("x", {"callbacks": [counted]})])
    ours = message.response_metadata["orchestra"]
    assert message.usage_metadata["total_tokens"] == 55
    assert {name: one["total_tokens"] for name, one in counted.usage_metadata.items()} == {"strong": 55}
    assert [ours["usage"][f"{name}_tokens"] for name in ("input", "output", "total")] == [250, 25, 275]


async def test_callbacks_see_the_step_the_tokens_and_the_errors():
    class Watch(BaseCallbackHandler):
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
            self.seen.append(kwargs["metadata"]["ls_model_name"])

        def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
            self.seen.append(token)

        def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
            self.seen.append(type(error))

    watch = Watch()
    async with two() as app:
        model = app.chat_model(step="research")
        [chunk async for chunk in model.astream("x", {"callbacks": [watch]})]
        with pytest.raises(ConfigError):
            await model.ainvoke("x", {"callbacks": [watch]}, tool_choice="rain")
    first, *tokens, second, error = watch.seen
    assert (first, "".join(tokens), second, error) == (
        "orchestra/research",
        "strong: x",
        "orchestra/research",
        ConfigError,
    )


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
async def test_a_model_is_written_down_without_its_app_and_loaded_onto_another():
    async with two() as app, two() as other:
        written = json.loads(json.dumps(dumpd(app.chat_model(step="research", mode="cost"))))
        known = {"allowed_objects": [ChatOrchestra], "valid_namespaces": ["orchestra"]}
        loaded = load(written, secrets_map={FLEET: other}, **known)
        assert (loaded.app, loaded.step, loaded.mode) == (other, "research", "cost")
        assert await served(loaded) == "strong"


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
async def test_a_binding_of_a_pydantic_model_is_plain_json_which_once_loaded_knows_the_schema_alone():
    told: list[str] = []

    class Told(BaseCallbackHandler):
        raise_error = True

        def on_chat_model_start(self, *args: Any, invocation_params: Any = None, **_: Any) -> None:
            told.append(json.dumps(invocation_params))

    odd, even = CallTool("Verse", lines=3), CallTool("Verse", lines=4)
    known: dict[str, Any] = {"allowed_objects": [ChatOrchestra, RunnableBinding], "valid_namespaces": ["orchestra"]}
    async with app_of([odd, even, odd, even, odd, odd]) as app:
        model = app.chat_model(step="s")
        bound = model.bind_tools([Verse])
        loaded = load(json.loads(json.dumps(dumpd(bound))), secrets_map={FLEET: app}, **known)
        asked = [bound, copy.deepcopy(bound), loaded, model.bind_tools([convert_to_openai_tool(Verse)])]
        config: RunnableConfig = {"callbacks": [Told()]}
        lines = [(await one.ainvoke("x", config)).tool_calls[0]["args"]["lines"] for one in asked]
    assert (lines, len(told)) == ([4, 4, 3, 3], 4)


async def test_a_deep_copy_has_settings_of_its_own_and_the_same_app():
    async with two() as app:
        model = app.chat_model(step="research", stop=["\n"])
        twin = copy.deepcopy(model)
        twin.stop.append(".")
        assert (twin.app, twin.step, twin.stop, model.stop) == (app, "research", ["\n", "."], ["\n"])
        assert await served(twin) == await served(model) == "strong"


async def test_what_a_cache_knows_is_not_asked_again_unless_it_is_asked_of_another_step():
    small, strong = ScriptedModel("small", echo), ScriptedModel("strong", echo, tier="capable")
    cache = InMemoryCache()
    async with scripted_app(small, strong, policies=[STEPS]) as app:
        for step in ("chat", "chat", "research"):
            await app.chat_model(step=step, cache=cache).ainvoke("Hi")
        await app.chat_model(step="chat", cache=cache).ainvoke("Hi", {"configurable": {"tenant": "acme"}})
        app.chat_model(cache=False)
    assert (len(small.requests), len(strong.requests)) == (2, 1)


async def test_a_cache_tells_the_nodes_around_a_call_apart_by_step_and_limits():
    small, strong = ScriptedModel("small", echo), ScriptedModel("strong", echo, tier="capable")
    async with scripted_app(small, strong, policies=[STEPS]) as app:
        model = app.chat_model(cache=InMemoryCache())

        async def ask(said: str) -> str:
            return (await model.ainvoke(said)).text

        nodes = [
            app.node(ask, step="chat"),
            app.node(ask, step="research"),
            app.node(ask, step="chat", tenant="acme"),
        ]
        said = [await node("Hi") for node in nodes * 2]
    assert said == ["small: Hi", "strong: Hi", "small: Hi"] * 2
    assert (len(small.requests), len(strong.requests)) == (2, 1)


async def test_a_cache_tells_two_fleets_apart():
    cache = InMemoryCache()
    for name in ("small", "strong"):
        async with scripted_app(ScriptedModel(name, echo)) as app:
            assert (await app.chat_model(step="chat", cache=cache).ainvoke("Hi")).text == f"{name}: Hi"


def test_without_an_app_and_without_its_variable_there_is_no_model(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(FLEET, raising=False)
    with pytest.raises(ConfigError, match=r"write app\.chat_model\(step=…\), or set ORCHESTRA_FLEET"):
        ChatOrchestra()


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
async def test_a_model_that_is_loaded_with_no_app_told_takes_the_environments_and_says_so_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    known: dict[str, Any] = {"allowed_objects": [ChatOrchestra], "valid_namespaces": ["orchestra"]}
    async with two() as app:
        written = dumpd(app.chat_model(step="research"))
    monkeypatch.delenv(FLEET, raising=False)
    for given in ({}, {"secrets_map": {}}):
        with pytest.raises(ConfigError, match=r"no app; .* load\(…, secrets_map=\{'ORCHESTRA_FLEET': app\}\)"):
            load(written, **known, **given)
    fleet = tmp_path / "fleet.toml"
    fleet.write_text('[models.m]\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\ndialect = "openai-chat"\n')
    monkeypatch.setenv(FLEET, str(fleet))
    monkeypatch.setenv("ORCHESTRA_LEDGER", str(tmp_path / "l.db"))
    loaded = load(written, **known)
    assert (loaded.step, list(loaded.app.fleet.models)) == ("research", ["m"])
    await loaded.app.aclose()


async def test_the_profile_says_what_some_model_of_the_fleet_can_do():
    wide = ScriptedModel("wide", [], window=1_000, capabilities=Capabilities(tools="none"))
    able = ScriptedModel("able", [], window=500, capabilities=Capabilities(images=True, documents=True))
    async with scripted_app(wide, able) as app:
        profile = app.chat_model().profile
    assert profile["max_input_tokens"] == 1_000
    assert (profile["tool_calling"], profile["image_inputs"], profile["pdf_inputs"]) == (True, True, True)
    assert (profile["audio_inputs"], profile["reasoning_output"]) == (False, False)


async def test_a_typed_dict_is_answered_as_a_dict():
    class Verses(TypedDict):
        """Verses."""

        lines: int

    async with app_of(['{"lines": 2}']) as app:
        assert await app.chat_model(step="s").with_structured_output(Verses).ainvoke("x") == {"lines": 2}


async def test_a_message_of_the_reply_continues_the_conversation_with_its_state():
    small = ScriptedModel("small", ["a", "b"])
    async with scripted_app(small) as app:
        model = app.chat_model()
        first = await model.ainvoke("x")
        assert isinstance(first, AIMessage)
        await model.ainvoke([("user", "x"), first, ("user", "y")])
    assert [one["content"] for one in small.requests[1]["messages"]] == ["x", "a", "y"]
