"""One call of the LLM: what CrewAI is told of it, what it may be set to, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import copy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from crewai.events.types.llm_events import (
    LLMCallCompletedEvent,
    LLMCallFailedEvent,
    LLMCallStartedEvent,
    LLMStreamChunkEvent,
    LLMThinkingChunkEvent,
)
from crewai.hooks import (
    register_after_llm_call_hook,
    register_before_llm_call_hook,
    unregister_after_llm_call_hook,
    unregister_before_llm_call_hook,
)
from crewai.hooks.dispatch import HookAborted
from crewai.llms.base_llm import LLMCallBlockedError
from crewai.utilities.exceptions.context_window_exceeding_exception import LLMContextLengthExceededError
from crewai_files import ImageFile, PDFFile
from pydantic import BaseModel

from orchestra import StepPolicy
from orchestra.errors import CallError, ConfigError, Refused, SyncInLoop
from orchestra.integrations.crewai import FLEET, OrchestraLLM
from orchestra.testing import CallTool, Error, FakeProvider, Say, ScriptedModel, Silence, scripted_app
from orchestra.types import Capabilities, Price
from tests.app.doubles import app_of, fleet_file

RAIN = {
    "type": "function",
    "function": {
        "name": "rain",
        "description": "Millimetres of rain.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

Ask = Callable[..., Awaitable[Any]]


async def called(llm: OrchestraLLM, *args: Any, **options: Any) -> Any:
    return await asyncio.to_thread(llm.call, *args, **options)


async def acalled(llm: OrchestraLLM, *args: Any, **options: Any) -> Any:
    return await llm.acall(*args, **options)


@pytest.fixture(params=[called, acalled], ids=["call", "acall"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return request.param


def scripted(replies: Any, **card: Any) -> tuple[ScriptedModel, Any]:
    small = ScriptedModel("small", replies, **card)
    return small, scripted_app(small)


async def test_crewai_hears_of_a_call_from_its_start_to_its_end(ask, heard):
    thought = Say("Hello there", reasoning="hm", usage=(10, 5), chunks=2)
    _, app = scripted([thought])
    async with app:
        assert await ask(OrchestraLLM(app, stream=True), "Hi") == "Hello there"
    first, *chunks, last = heard()
    assert (type(first), type(last)) == (LLMCallStartedEvent, LLMCallCompletedEvent)
    assert "".join(event.chunk for event in chunks if isinstance(event, LLMStreamChunkEvent)) == "Hello there"
    assert "".join(event.chunk for event in chunks if isinstance(event, LLMThinkingChunkEvent)) == "hm"
    assert len({event.call_id for event in heard()}) == 1
    assert (first.model, last.model) == ("orchestra", "small")
    assert (last.usage["total_tokens"], last.finish_reason) == (15, "stop")


async def test_a_call_that_fails_is_told_as_failed(ask, heard):
    _, app = scripted([Error(400)])
    async with app:
        with pytest.raises(CallError):
            await ask(OrchestraLLM(app), "Hi")
    assert [type(event) for event in heard()] == [LLMCallStartedEvent, LLMCallFailedEvent]


async def test_a_call_that_is_cancelled_is_told_as_failed(heard):
    sent = asyncio.Event()

    def silent(body: dict[str, Any]) -> Silence:
        sent.set()
        return Silence()

    _, app = scripted(silent)
    async with app:
        asked = asyncio.create_task(OrchestraLLM(app).acall("Hi"))
        await sent.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    assert [type(event) for event in heard()] == [LLMCallStartedEvent, LLMCallFailedEvent]
    assert heard()[-1].error == "CancelledError"


async def test_a_call_whose_answer_a_hook_denies_has_one_end(ask, heard):
    _, app = scripted(["Hello"])

    def deny(context: Any) -> str:
        raise HookAborted("not this")

    register_after_llm_call_hook(deny)
    try:
        async with app:
            with pytest.raises(HookAborted):
                await ask(OrchestraLLM(app), "Hi")
    finally:
        unregister_after_llm_call_hook(deny)
    assert [type(event) for event in heard()] == [LLMCallStartedEvent, LLMCallFailedEvent]


async def test_a_stream_tells_of_a_call_once_it_was_judged(ask, heard):
    both = Say(calls=(CallTool("rain", city="Oslo"), CallTool("rain", city="Bergen")))
    _, app = scripted([CallTool("rain", town="Oslo"), both])
    async with app:
        calls = await ask(OrchestraLLM(app, stream=True), "Rain?", tools=[RAIN])
    chunks = [event for event in heard() if isinstance(event, LLMStreamChunkEvent)]
    assert [(one.call_type.value, one.chunk) for one in chunks] == [
        ("tool_call", '{"city": "Oslo"}'),
        ("tool_call", '{"city": "Bergen"}'),
    ]
    assert [(one.tool_call.index, one.tool_call.id) for one in chunks] == [(0, calls[0].id), (1, calls[1].id)]


async def test_a_hook_may_forbid_a_call(ask, heard):
    small, app = scripted(["never"])

    def forbid(context: Any) -> bool:
        return False

    register_before_llm_call_hook(forbid)
    try:
        async with app:
            with pytest.raises(LLMCallBlockedError):
                await ask(OrchestraLLM(app), "Hi")
    finally:
        unregister_before_llm_call_hook(forbid)
    assert small.requests == []
    assert "denied" in heard()[-1].error


async def test_calls_come_as_crewai_takes_them_and_their_event_says_so(ask, heard):
    _, app = scripted([CallTool("rain", city="Oslo")])
    async with app:
        (call,) = await ask(OrchestraLLM(app), "Rain?", tools=[RAIN])
    assert (call.function.name, call.function.arguments) == ("rain", '{"city": "Oslo"}')
    assert isinstance(heard()[-1], LLMCallCompletedEvent)
    assert heard()[-1].call_type.value == "tool_call"


async def test_a_function_that_crewai_hands_over_is_run_once(ask):
    asked = []
    small, app = scripted([Say(calls=(CallTool("rain", city="Oslo"),))])
    async with app:
        llm = OrchestraLLM(app)
        said = await ask(
            llm, "Rain?", tools=[RAIN], available_functions={"rain": lambda city: asked.append(city) or 800}
        )
    assert (said, asked) == ("800", ["Oslo"])
    assert small.requests[0]["parallel_tool_calls"] is False


async def test_a_call_whose_function_was_run_tells_who_served_and_its_tokens(ask, heard):
    _, app = scripted([Say(calls=(CallTool("rain", city="Oslo"),), usage=(10, 5))])
    async with app:
        llm = OrchestraLLM(app)
        await ask(llm, "Rain?", tools=[RAIN], available_functions={"rain": lambda city: 800})
    assert [type(event) for event in heard()] == [LLMCallStartedEvent, LLMCallCompletedEvent]
    last = heard()[-1]
    assert (last.model, last.usage["total_tokens"], last.response, last.call_type.value) == (
        "small",
        15,
        800,
        "tool_call",
    )


async def test_of_several_calls_no_function_is_run_and_the_call_ends_with_an_error_that_says_so(ask, heard):
    asked = []
    both = Say(calls=(CallTool("rain", city="Oslo"), CallTool("rain", city="Bergen")), usage=(10, 5))
    _, app = scripted([both])
    async with app:
        llm = OrchestraLLM(app)
        with pytest.raises(Refused, match=r"made 2 calls \(rain, rain\).*none was run: ask again") as failed:
            await ask(llm, "Rain?", tools=[RAIN], available_functions={"rain": asked.append})
    assert (asked, len(failed.value.attempts)) == ([], 1)
    assert [type(event) for event in heard()] == [LLMCallStartedEvent, LLMCallFailedEvent]
    summary = llm.get_token_usage_summary()
    assert (summary.total_tokens, summary.successful_requests) == (15, 0)


async def test_of_a_function_that_fails_the_replys_text_is_the_answer_and_the_call_ends_once(ask, heard):
    _, app = scripted([Say("Let me see.", calls=(CallTool("rain", city="Oslo"),))])

    def broken(city: str) -> int:
        raise OSError(city)

    async with app:
        said = await ask(OrchestraLLM(app), "Rain?", tools=[RAIN], available_functions={"rain": broken})
    assert said == "Let me see."
    assert [type(event) for event in heard()] == [LLMCallStartedEvent, LLMCallFailedEvent]


class Rain(BaseModel):
    city: str
    mm: int


async def test_an_answer_in_a_model_is_an_instance_of_it(ask):
    small, app = scripted(['{"city": "Oslo"}', '{"city": "Oslo", "mm": 800}'])
    async with app:
        assert await ask(OrchestraLLM(app), "Rain?", response_model=Rain) == Rain(city="Oslo", mm=800)
    assert len(small.requests) == 2


async def test_settings_and_limits_of_an_instance_reach_the_wire_and_the_app(ask):
    small, app = scripted(["A stop B"])
    async with app:
        llm = OrchestraLLM(
            app,
            temperature=0.5,
            max_tokens=7,
            seed=1,
            stop=["stop"],
            mode="cost",
            budget=1.0,
            additional_params={"scripted.top_p": 0.5},
        )
        assert await ask(llm, "Hi") == "A"
    (request,) = small.requests
    assert (request["temperature"], request["seed"], request["stop"], request["top_p"]) == (0.5, 1, ["stop"], 0.5)
    assert llm.limits == {"mode": "cost", "budget": 1.0}


async def test_a_limit_of_an_instance_holds_for_its_calls(ask):
    small, app = scripted(["never"], price=Price(1.0, 10.0))
    async with app:
        with pytest.raises(CallError, match="is left"):
            await ask(OrchestraLLM(app, budget=1e-9), "Hi")
    assert small.requests == []


async def test_crewai_does_not_ask_again_for_what_the_app_has_given_up(ask):
    tried = []

    def limited(body: dict[str, Any]) -> Error:
        tried.append(body)
        return Error(429, "Rate limit reached, too many requests")

    small = ScriptedModel("small", limited)
    async with scripted_app(small) as app:
        with pytest.raises(CallError, match="ate limit"):
            await ask(OrchestraLLM(app, deadline=0.5), "Hi")
        first = len(tried)
        tried.clear()
        with pytest.raises(CallError):
            await app.complete("Hi", deadline=0.5)
    assert first == len(tried)


@pytest.mark.parametrize("short", ["x " * 4000, None], ids=["by count", "by the provider"])
async def test_a_history_that_fits_no_model_is_for_crewai_to_shorten(short, ask):
    said = [Error(400, "This model's maximum context length is 1000 tokens")] if short is None else ["never"]
    _, app = scripted(said, window=1000, max_output=100)
    async with app:
        with pytest.raises(LLMContextLengthExceededError):
            await ask(OrchestraLLM(app), short or "Hi")


async def test_a_sync_call_inside_a_running_loop_says_what_to_do():
    _, app = scripted(["never"])
    async with app:
        with pytest.raises(
            SyncInLoop, match=r"call was called inside a running event loop; await acall\(\.\.\.\) instead"
        ):
            OrchestraLLM(app).call("Hi")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"top_p": 0.5}, "top_p: no option of OrchestraLLM"),
        ({"temprature": 0.5}, "temprature: no option of OrchestraLLM; did you mean 'temperature'"),
        ({"step": "reserch"}, "step 'reserch' is in no rule; did you mean 'research'"),
        ({"step": ""}, "step: expected a name"),
        ({"mode": "fast"}, "mode 'fast' is unknown; known: quality"),
        ({"limits": {"mdoe": "cost"}}, "mdoe: no option of OrchestraLLM; did you mean 'mode'"),
        ({"budget": -1}, "budget: expected a number of USD that is not negative, got -1"),
        ({"model": "openai/gpt-5"}, "model 'openai/gpt-5' is the fleet's to choose; leave it out, or write step="),
    ],
)
async def test_a_setting_that_makes_no_sense_is_refused(settings, said):
    policies = [StepPolicy([{"match": {"name": "research"}, "prefer": ["small"]}])]
    async with scripted_app(ScriptedModel("small", []), policies=policies) as app:
        with pytest.raises(ConfigError, match=said):
            OrchestraLLM(app, **settings)


async def test_a_setting_that_no_call_would_heed_cannot_be_set_later_either():
    async with app_of(["hi"]) as app:
        llm = OrchestraLLM(app)
        llm.temperature, llm.n = 0.5, None
        with pytest.raises(ConfigError, match="presence_penalty: no option of OrchestraLLM"):
            llm.presence_penalty = 1.0
    assert (llm.temperature, llm.presence_penalty) == (0.5, None)


@pytest.mark.parametrize("tool", ["rain", {"name": "rain"}, {"type": "web_search"}])
async def test_a_tool_that_is_none_is_refused(tool, ask):
    _, app = scripted(["never"])
    async with app:
        with pytest.raises(ConfigError, match=r"tools\[0\]: expected"):
            await ask(OrchestraLLM(app), "Hi", tools=[tool])


async def test_a_tool_without_a_schema_takes_no_arguments(ask):
    _, app = scripted([CallTool("now")])
    async with app:
        (call,) = await ask(OrchestraLLM(app), "Hi", tools=[{"type": "function", "function": {"name": "now"}}])
    assert call.function.arguments == "{}"


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "the list is empty"),
        (["Hi"], "must be a dictionary"),
        ([{"role": "critic", "content": "x"}], "role 'critic' is unknown"),
        ([{"role": "user", "content": [{"type": "audio"}]}], "a part of type 'audio' is unknown"),
    ],
)
async def test_messages_that_nobody_can_read_are_refused(messages, said, ask):
    _, app = scripted(["never"])
    async with app:
        with pytest.raises((ConfigError, ValueError), match=said):
            await ask(OrchestraLLM(app), messages)


PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


async def test_images_are_shown_and_other_files_are_refused_instead_of_left_out(ask):
    small, app = scripted(["A dot."], capabilities=Capabilities(images=True))
    async with app:
        llm = OrchestraLLM(app)
        seen = {"role": "user", "content": "See?", "files": {"dot": ImageFile(source=PIXEL)}}
        assert await ask(llm, [seen]) == "A dot."
        with pytest.raises(ConfigError, match=r"input_files\['terms'\]: application/pdf cannot be shown"):
            await ask(llm, [{"role": "user", "content": "See?", "files": {"terms": PDFFile(source=b"%PDF-1.4")}}])
    (request,) = small.requests
    assert [part["type"] for part in request["messages"][0]["content"]] == ["text", "image_url"]


async def test_an_instance_tells_what_its_fleet_can():
    _, app = scripted([], window=1000, capabilities=Capabilities(images=True))
    async with app:
        llm = OrchestraLLM(app)
        assert llm.supports_function_calling()
        assert llm.supports_multimodal()
        assert llm.supports_stop_words()
        assert llm.get_context_window_size() == 850
        assert 0 < llm.get_input_tokens_count("Hi") < llm.get_input_tokens_count("Hi", tools=[RAIN])


async def test_a_deep_copy_has_settings_of_its_own_and_the_same_app():
    async with app_of(["A one B two"] * 3) as app:
        llm = copy.copy(whole := OrchestraLLM(app, stop=["one"]))
        twin = copy.deepcopy(llm)
        twin.stop.append("two")
        await twin.acall("Hi")
    assert (twin.app, llm.stop, twin.stop) == (app, ["one"], ["one", "two"])
    counted = [one.get_token_usage_summary().successful_requests for one in (whole, llm, twin)]
    assert counted == [1, 1, 1]


async def test_tokens_of_a_call_that_failed_are_counted_because_they_are_paid(ask):
    async with app_of([Say("", usage=(10, 5))] * 2, [Say("", usage=(10, 5))] * 2) as app:
        llm = OrchestraLLM(app)
        with pytest.raises(CallError) as failed:
            await ask(llm, "Hi")
    summary, paid = llm.get_token_usage_summary(), len(failed.value.attempts)
    assert (summary.prompt_tokens, summary.completion_tokens, summary.successful_requests) == (10 * paid, 5 * paid, 0)
    assert paid > 1


async def test_a_copy_is_counted_by_itself_and_in_the_whole():
    async with app_of(["hi"] * 3) as app:
        llm = OrchestraLLM(app)
        await llm.acall("Hi")
        twin = copy.copy(llm)
        await twin.acall("Hi")
        await copy.copy(twin).acall("Hi")
    counted = [one.get_token_usage_summary().successful_requests for one in (llm, twin)]
    assert counted == [3, 2]


async def test_without_an_app_the_fleet_of_the_environment_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigError, match="no app; write OrchestraLLM"):
        OrchestraLLM()
    async with FakeProvider({"small": ["hi"], "strong": ["hi"]}) as provider:
        monkeypatch.setenv(FLEET, str(fleet_file(tmp_path, provider)))
        monkeypatch.setenv("ORCHESTRA_LEDGER", str(tmp_path / "l.db"))
        llm = OrchestraLLM(**OrchestraLLM(step="chat", mode="cost").to_config_dict())
        assert await llm.acall("Hi") == "hi"
        assert (llm.step, llm.limits) == ("chat", {"mode": "cost"})
        assert OrchestraLLM().app is llm.app
        await llm.app.aclose()
