"""complete: what may be asked and how, what the reply tells, and how a call ends."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any, Literal

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from orchestra import BudgetExceeded, DeadlineExceeded, Exhausted, Message, NoCandidate, Step, StepPolicy, Tool, tool
from orchestra.errors import BadRequest, CallError, ConfigError, ContentFiltered, IgnoredSetting, PolicyError
from orchestra.ledger import AttemptStarted, Decided, Judged, RunEnded, RunStarted, StepEnded
from orchestra.testing import CallTool, Error, Say, ScriptedModel, Silence, scripted_app
from orchestra.types import Price, Text, ToolCall, ToolResult, Trigger
from tests.app.doubles import LOW, app_of, events, rain, rows


class Verse(BaseModel):
    title: str
    lines: int
    mood: Literal["glad", "sad"] = "glad"

    @field_validator("lines")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("a verse has an even number of lines")
        return value


@pytest.mark.parametrize(
    "messages",
    [
        "Wie groß?",
        Message.user("Wie groß?"),
        [Message.user("Wie groß?")],
        {"role": "user", "content": "Wie groß?"},
        [{"role": "user", "content": [{"type": "text", "text": "Wie groß?"}]}],
        [HumanMessage("Wie groß?")],
        HumanMessage("Wie groß?"),
        ["Wie groß?"],
    ],
    ids=["text", "message", "messages", "dict", "dicts", "langchain", "langchain-one", "texts"],
)
async def test_a_prompt_may_be_written_in_every_usual_form(messages):
    model = ScriptedModel("small", ["Sehr."])
    async with scripted_app(model) as app:
        assert (await app.complete(messages)).text == "Sehr."
    assert model.requests[0]["messages"] == [{"role": "user", "content": "Wie groß?"}]


async def test_a_system_message_goes_first_whoever_wrote_it():
    model = ScriptedModel("small", ["a", "b"])
    async with scripted_app(model) as app:
        await app.complete([SystemMessage("Be brief."), HumanMessage("Hi")])
        await app.complete([{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
    assert [[m["content"] for m in request["messages"]] for request in model.requests] == [["Be brief.", "Hi"]] * 2


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ("", "blank"),
        ("  \n\t", "blank"),
        ([], "empty"),
        ([Message.system(" "), {"role": "user", "content": ""}], "blank"),
        ([{"role": "user", "content": None}], "blank"),
        ([{"role": "usr", "content": "x"}], r"messages\[0\]: role 'usr' is unknown; known: system, .*user"),
        ([{"role": ["user"], "content": "x"}], r"role \['user'\] is unknown"),
        (["ok", {"role": "user", "content": [{"type": "video"}]}], r"messages\[1\].content: .*'video'.*known: text"),
        ([{"role": "user", "content": 7}], "expected text or a list of parts, got int"),
        ([{"role": "tool", "content": "x"}], "tool_call_id"),
        ([{"role": "assistant", "tool_calls": 3}], "tool_calls: expected"),
        ([{"role": "assistant", "tool_calls": [{"id": "1"}]}], "tool_calls: expected"),
        (7, "int is no message"),
        (b"x", "bytes is no message"),
        ([None], r"messages\[0\]: NoneType is no message"),
    ],
)
async def test_messages_that_make_no_sense_are_refused_before_any_request(messages, said, tmp_path):
    model = ScriptedModel("small", [])
    async with scripted_app(model, ledger=tmp_path / "l.db") as app:
        with pytest.raises(ConfigError, match=said):
            await app.complete(messages)
        with pytest.raises(ConfigError, match=said):
            async for _ in app.stream(messages):
                pass
        assert rows(app) == []
    assert model.requests == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bugdet": 1}, "bugdet: no option of a call; did you mean 'budget'"),
        ({"zzz": 1}, "zzz: no option of a call; known: allow_unknown_price, budget"),
        ({"mode": "chaep"}, "mode 'chaep' is unknown; known: quality, balanced, cost, latency"),
        ({"priority": "urgent"}, "priority 'urgent' is unknown; known: low, normal, high"),
        ({"budget": -1}, "budget: expected a number of USD that is not negative, got -1"),
        ({"budget": "1"}, "budget: expected a number"),
        ({"budget": float("nan")}, "budget: expected a number"),
        ({"deadline": True}, "deadline: expected a number of seconds"),
        ({"output": 3}, "output: expected a pydantic model or a JSON Schema, got 3"),
        ({"tools": ["rain"]}, "'rain' is no tool"),
        ({"tools": [rain, rain]}, "two tools are named 'rain'"),
    ],
)
async def test_an_option_that_makes_no_sense_is_refused_before_any_request(options, said):
    model = ScriptedModel("small", [])
    async with scripted_app(model) as app:
        with pytest.raises(ConfigError, match=said):
            await app.complete("x", **options)
    assert model.requests == []


@pytest.mark.parametrize("step", ["draft", Step("draft", name="draft", kind="draft")])
async def test_a_step_is_a_name_or_a_step_and_rules_see_it(step):
    policy = StepPolicy([{"match": {"name": "draft"}, "tier": "capable"}])
    async with app_of([], ["well drafted"], policies=[policy]) as app:
        reply = await app.complete("x", step=step)
    assert (reply.model, reply.text) == ("strong", "well drafted")
    assert reply.decisions[0].reasons[0].text == "rule 1 starts the step at tier capable"


async def test_a_pydantic_model_is_asked_for_by_its_schema_and_comes_back_as_an_instance():
    model = ScriptedModel("small", ['{"title": "Ä", "lines": 4}'])
    async with scripted_app(model) as app:
        reply = await app.complete("A verse", output=Verse)
    assert reply.output == Verse(title="Ä", lines=4)
    assert model.requests[0]["response_format"]["json_schema"]["schema"]["required"] == ["title", "lines"]


async def test_what_only_a_validator_sees_goes_back_to_the_model_in_its_words():
    model = ScriptedModel("small", ['{"title": "a", "lines": 3}', '{"title": "a", "lines": 4}'])
    async with scripted_app(model) as app:
        reply = await app.complete("A verse", output=Verse)
    assert reply.output.lines == 4
    assert [(one.trigger, one.action) for one in reply.attempts] == [("bad_output", "repair"), (None, None)]
    assert "even number of lines" in model.requests[1]["messages"][-1]["content"]


async def test_a_json_schema_gives_plain_json():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with app_of(['{"n": "one"}', '{"n": 1}']) as app:
        reply = await app.complete("x", output=schema)
    assert reply.output == {"n": 1}


async def test_what_was_mended_of_a_structured_answer_is_in_the_ledger_and_in_its_verdict_alone(tmp_path):
    fenced = '```json\n{"title": "Sea", "lines": 2,}\n```'
    async with app_of([fenced.replace("2", "3"), fenced], ledger=tmp_path / "l.db") as app:
        reply = await app.complete("A verse", output=Verse)
        judged = events(rows(app), Judged)
    assert reply.output == Verse(title="Sea", lines=2)
    assert reply.text == fenced
    assert [(one.trigger, one.mended) for one in judged] == [
        (Trigger.bad_output, ()),
        (None, ("took the JSON out of its code fence", "removed a trailing comma")),
    ]


async def test_a_call_may_come_before_the_structured_answer_and_then_there_is_no_output():
    async with app_of([CallTool("rain", city="Oslo")]) as app:
        reply = await app.complete("x", tools=[rain], output=Verse)
    assert reply.tool_calls[0].arguments == {"city": "Oslo"}
    assert reply.output is None


async def test_a_strict_model_takes_what_json_can_say_of_it():
    class Day(BaseModel):
        model_config = ConfigDict(strict=True)

        date: dt.date

    async with app_of(['{"date": "2024-01-02"}']) as app:
        reply = await app.complete("When?", output=Day)
    assert reply.output == Day(date=dt.date(2024, 1, 2))
    assert len(reply.attempts) == 1


async def test_a_model_that_reads_values_in_its_own_way_is_asked_alone():
    class Few(BaseModel):
        count: int

        @classmethod
        def model_validate(cls, obj: Any, **options: Any) -> Any:
            found = super().model_validate(obj, **options)
            if found.count > 5:
                wrong = {"type": "less_than_equal", "loc": ("count",), "input": found.count, "ctx": {"le": 5}}
                raise ValidationError.from_exception_data("Few", [wrong])
            return found

    async with app_of(['{"count": 9}', '{"count": 3}']) as app:
        reply = await app.complete("How many?", output=Few)
    assert reply.output.count == 3


async def test_of_a_model_that_is_free_nothing_is_held_and_that_is_said(tmp_path):
    free, dear = ScriptedModel("a", ["x"]), ScriptedModel("a", ["x"], price=Price(1, 1))
    told: list[tuple[float | None, str | None]] = []
    for at, model in enumerate((free, dear)):
        async with scripted_app(model, ledger=tmp_path / f"{at}.db") as app:
            await app.complete("x")
            begun = [row.event for one in app.ledger.runs() for row in app.ledger.events(one.run)]
            told += [(one.reserved, one.holder) for one in begun if isinstance(one, AttemptStarted)]
    assert told == [(0.0, None), (None, None)]


async def test_calls_are_judged_and_given_back_never_executed():
    async with app_of([CallTool("rain", city="Bodø")]) as app:
        reply = await app.complete("How much rain?", tools=[rain])
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("rain", {"city": "Bodø"})]
    assert reply.finish == "tool_calls"


async def test_a_call_whose_arguments_only_a_tools_own_types_refuse_is_asked_again():
    class Span(BaseModel):
        days: int

        @field_validator("days")
        @classmethod
        def _some(cls, value: int) -> int:
            if value < 1:
                raise ValueError("a span has a day")
            return value

    @tool
    def sums(span: Span) -> int:
        """Add up."""
        raise AssertionError("complete never executes a tool")

    small = ScriptedModel("small", [CallTool("sums", span={"days": 0}), CallTool("sums", span={"days": 2})])
    async with scripted_app(small) as app:
        reply = await app.complete("x", tools=[sums, rain])
    assert [one.arguments for one in reply.tool_calls] == [{"span": {"days": 2}}]
    assert "span.days: Value error, a span has a day" in str(small.requests[1]["messages"])


async def test_the_reply_tells_who_answered_what_it_took_and_why():
    strong = ScriptedModel("strong", [Say("hi", usage=(100, 10))], tier="capable", price=Price(10, 20))
    small = ScriptedModel("small", [Say("", usage=(100, 0)), Say("", usage=(100, 0))], price=Price(1, 2))
    async with scripted_app(small, strong, policies=[LOW]) as app:
        reply = await app.complete("x")
    assert (reply.text, reply.model, reply.wire_model, reply.degraded) == ("hi", "strong", "strong", False)
    assert (reply.usage.input, reply.usage.output) == (100, 10)
    assert reply.cost.usd == pytest.approx((2 * 100 * 1 + 100 * 10 + 10 * 20) / 1e6)
    assert not reply.cost.estimated
    assert [(one.model, one.trigger) for one in reply.attempts] == [("small", "empty")] * 2 + [("strong", None)]
    assert reply.decisions[0].model == "small"
    assert reply.message.text == "hi"
    assert len(reply.run) == 16


async def test_a_mode_is_a_wish_and_is_written_down(tmp_path):
    small = ScriptedModel("small", ["cheap"], price=Price(0.1, 0.1))
    strong = ScriptedModel("strong", ["good"], tier="capable", price=Price(10, 20))
    async with scripted_app(small, strong, ledger=tmp_path / "l.db") as app:
        assert (await app.complete("x", mode="cost")).model == "small"
        assert (await app.complete("x", mode="quality")).model == "strong"
        assert [event.mode for event in events(rows(app), RunStarted)] == ["cost", "quality"]


async def test_settings_of_a_call_reach_the_wire():
    model = ScriptedModel("small", ["x"])
    async with scripted_app(model) as app:
        await app.complete("x", max_tokens=7, temperature=0.2, seed=3, stop="END", tools=[rain], tool_choice="none")
    request = model.requests[0]
    assert (request["temperature"], request["seed"], request["stop"]) == (0.2, 3, ["END"])
    assert 7 in (request.get("max_tokens"), request.get("max_completion_tokens"))


async def test_a_tool_that_is_named_as_the_choice_is_offered_alone_and_has_to_be_called():
    small = ScriptedModel("small", ["I would rather not.", CallTool("rain", city="Oslo")])
    async with scripted_app(small) as app:
        reply = await app.complete("Rain?", tools=[Tool.from_schema("snow", "", {}), rain], tool_choice="rain")
    assert [call.name for call in reply.tool_calls] == ["rain"]
    assert [attempt.trigger for attempt in reply.attempts] == [Trigger.no_call, None]
    for request in small.requests:
        assert [tool["function"]["name"] for tool in request["tools"]] == ["rain"]
        assert request["tool_choice"] == "required"


async def test_a_call_that_names_its_model_starts_there_and_may_still_leave_it():
    small = ScriptedModel("small", ["x", CallTool("snow"), CallTool("snow")])
    strong = ScriptedModel("strong", ["y", CallTool("rain", city="Oslo")], tier="capable")
    async with scripted_app(small, strong, policies=[StepPolicy([{"prefer": ["strong"]}])]) as app:
        assert (await app.complete("x")).model == "strong"
        assert (await app.complete("x", model="small")).model == "small"
        reply = await app.complete("x", model="small", tools=[rain])
    assert [attempt.model for attempt in reply.attempts] == ["small", "small", "strong"]


async def test_a_data_tag_is_a_word_not_its_letters():
    tagged = ScriptedModel("eu", ["hier"], tags=("eu",))
    async with scripted_app(ScriptedModel("us", []), tagged) as app:
        assert (await app.complete("x", data_tags="eu")).model == "eu"


async def test_a_budget_caps_the_call_and_says_what_was_left(tmp_path):
    dear = ScriptedModel("small", [], price=Price(1000, 1000))
    async with scripted_app(dear, ledger=tmp_path / "l.db") as app:
        with pytest.raises(CallError, match=r"money|left") as raised:
            await app.complete("x", budget=0.0001)
        assert isinstance(raised.value, NoCandidate | BudgetExceeded)
        assert [event.state for event in events(rows(app), RunEnded)] == ["failed"]
    assert dear.requests == []


async def test_an_unknown_price_is_refused_under_a_budget_unless_allowed():
    model = ScriptedModel("small", ["ok"], price=None)
    async with scripted_app(model) as app:
        with pytest.raises(NoCandidate, match="price") as raised:
            await app.complete("x", budget=1.0)
        assert raised.value.rejections[0].gate == "money"
        reply = await app.complete("x", budget=1.0, allow_unknown_price=True)
    assert reply.cost.usd is None


async def test_a_passed_deadline_ends_the_call_with_what_was_tried():
    async with app_of([Silence()] * 9) as app:
        with pytest.raises(DeadlineExceeded) as raised:
            await asyncio.wait_for(app.complete("x", deadline=0.2), 10)
    assert [one.trigger for one in raised.value.attempts] == ["timeout"]


ENDS = [
    ([""] * 9, Exhausted, Trigger.empty),
    ([Error(500)] * 9, Exhausted, Trigger.server_error),
    ([Error(400)] * 9, BadRequest, Trigger.bad_request),
    ([Error.content_filter()] * 9, ContentFiltered, Trigger.content_filter),
    ([CallTool("rian", city="x")] * 9, Exhausted, Trigger.unknown_tool),
]


@pytest.mark.parametrize(("script", "kind", "trigger"), ENDS, ids=[kind.__name__ + t for _, kind, t in ENDS])
async def test_every_error_that_ends_a_call_carries_its_attempts_and_ends_the_run(script, kind, trigger, tmp_path):
    async with app_of(script, script, ledger=tmp_path / "l.db") as app:
        with pytest.raises(kind) as raised:
            await app.complete("x", tools=[rain])
        (ended,) = events(rows(app), RunEnded)
    assert raised.value.attempts
    assert raised.value.trigger is trigger
    assert (ended.state, ended.reason) == ("failed", str(raised.value))


async def test_a_policy_that_breaks_ends_the_run_as_failed_not_as_cancelled(tmp_path):
    def broken(context, candidates):
        raise ZeroDivisionError("a bug of yours")

    async with app_of(["x"], policies=[broken], ledger=tmp_path / "l.db") as app:
        with pytest.raises(
            PolicyError, match="policy 'broken' raised ZeroDivisionError for step 'call': a bug of yours"
        ):
            await app.complete("x")
        (ended,) = events(rows(app), RunEnded)
    assert ended.state == "failed"
    assert "a bug of yours" in ended.reason


async def test_a_missing_key_names_its_variable_and_ends_the_run_as_failed(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    model = ScriptedModel("small", [], keys=("env:NO_SUCH_KEY",))
    async with scripted_app(model, ledger=tmp_path / "l.db") as app:
        with pytest.raises(ConfigError, match=r"model 'small': none of its keys is set; set NO_SUCH_KEY"):
            await app.complete("x")
        (ended,) = events(rows(app), RunEnded)
    assert ended.state == "failed"
    assert "NO_SUCH_KEY" in ended.reason


async def test_where_no_key_is_set_the_error_names_all_of_them(monkeypatch):
    for name in ("FIRST_KEY", "SECOND_KEY"):
        monkeypatch.delenv(name, raising=False)
    model = ScriptedModel("small", [], keys=("env:FIRST_KEY", "env:SECOND_KEY"))
    async with scripted_app(model, ledger=None) as app:
        with pytest.raises(ConfigError, match=r"none of its keys is set; set FIRST_KEY or SECOND_KEY"):
            await app.complete("x")


async def test_a_cancelled_call_ends_the_run_as_cancelled(tmp_path):
    asked = asyncio.Event()

    def silent(request):
        asked.set()
        return Silence()

    async with app_of(silent, ledger=tmp_path / "l.db") as app:
        running = asyncio.create_task(app.complete("x"))
        await asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert [event.state for event in events(rows(app), RunEnded)] == ["cancelled"]


async def test_a_call_is_a_run_with_one_decision_and_no_steps(tmp_path):
    async with app_of(["x"], ledger=tmp_path / "l.db") as app:
        reply = await app.complete("geheim?", step="draft")
        found = app.ledger.events(reply.run)
    assert [event.context.step.id for event in events(found, Decided)] == ["draft"]
    assert events(found, StepEnded) == []
    assert "geheim" not in str(found)


async def test_a_hundred_calls_at_once_get_each_their_own_answer():
    async with app_of(lambda request: request["messages"][-1]["content"][::-1]) as app:
        replies = await asyncio.gather(*(app.complete(f"ñ{i}") for i in range(100)))
    assert [reply.text for reply in replies] == [f"ñ{i}"[::-1] for i in range(100)]
    assert len({reply.run for reply in replies}) == 100


async def test_a_reply_continues_the_conversation():
    model = ScriptedModel("small", [CallTool("rain", city="Oslo"), "Much."])
    async with scripted_app(model) as app:
        first = await app.complete("Rain?", tools=[rain])
        result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "name": "rain", "content": "800"}
        second = await app.complete(["Rain?", first.message, result], tools=[rain])
    assert second.text == "Much."
    assert [message["role"] for message in model.requests[1]["messages"]] == ["user", "assistant", "tool"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"tool_choice": "reqired"}, "tool_choice 'reqired' is unknown; known: auto, required, none$"),
        ({"tool_choice": "rian", "tools": [rain]}, "tool_choice 'rian' is unknown; known: auto, required, none, rain"),
        ({"max_tokens": 0}, "max_tokens: expected a whole number, 1 or more, got 0"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 2.1}, "temperature: expected a number from 0 to 2, got 2.1"),
        ({"seed": "x"}, "seed"),
        ({"stop": ""}, "stop: expected texts that are not empty, got ''"),
        ({"extra": {"openai.top_p": 1.5}}, "openai.top_p: expected a number from 0 to 1, got 1.5"),
        ({"step": ""}, "step: expected a name"),
        ({"model": "smal"}, "model 'smal' is not in the fleet; known: small"),
        ({"output": {"type": "arry"}}, r"output: the JSON Schema is not valid at #/type"),
    ],
)
async def test_an_option_that_makes_no_sense_is_refused_before_anything_is_sent(option, said):
    small = ScriptedModel("small", [])
    async with scripted_app(small) as app:
        with pytest.raises(ConfigError, match=said):
            await app.complete("x", **option)
    assert small.requests == []


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("top_k", "openai-chat.top_k"),
        ("scriptd.top_k", "scripted.top_k"),
        ("openai.top_k", "openai-chat.top_k"),
        ("scripted.", "scripted.…"),
    ],
)
async def test_a_provider_parameter_that_reaches_no_model_is_warned_of_once_with_the_way_out(key, meant):
    small = ScriptedModel("small", ["a", "b"])
    async with scripted_app(small) as app:
        said = f"extra {key!r} is left out, .* write {meant!r}, with one of .*: openai-chat, scripted"
        with pytest.warns(IgnoredSetting, match=said):
            await app.complete("x", extra={key: 5})
        await app.complete("x", extra={key: 5})
    assert not any("top_k" in request for request in small.requests)


@pytest.mark.parametrize("namespace", ["scripted", "openai-chat"])
async def test_a_provider_parameter_goes_to_the_models_of_its_provider_or_dialect(namespace):
    small = ScriptedModel("small", ["a"])
    async with scripted_app(small) as app:
        await app.complete("x", extra={f"{namespace}.top_k": 5})
    assert small.requests[0]["top_k"] == 5


async def test_a_parameter_for_another_model_of_the_fleet_is_nothing_to_warn_of():
    small, strong = ScriptedModel("small", ["a"]), ScriptedModel("strong", [], provider="other")
    async with scripted_app(small, strong, policies=[LOW]) as app:
        await app.complete("x", extra={"other.top_k": 5})
    assert "top_k" not in small.requests[0]


async def test_a_call_that_an_earlier_question_led_to_may_be_made_for_the_next_one_again():
    asked = ["Rain in Oslo today?", Message("assistant", (ToolCall("c", "rain", {"city": "Oslo"}),))]
    told = Message("tool", (ToolResult("c", "rain", (Text("3"),)),))
    turn = [*asked, told, Message.assistant("3 mm.")]
    small = ScriptedModel("small", [CallTool("rain", city="Oslo")])
    async with scripted_app(small) as app:
        reply = await app.complete([*turn, *turn, *turn, "And today?"], tools=[rain])
    assert len(reply.tool_calls) == len(reply.attempts) == 1


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ((False, False), "whose result you already have"),
        ((True, True), "that has failed each time"),
        ((True, False), "whose result you already have"),
    ],
)
async def test_a_call_that_stands_twice_in_the_history_is_not_made_a_third_time(errors, said):
    called = ToolCall("c", "rows", {})
    results = [ToolResult("c", "rows", (Text("none"),), is_error=error) for error in errors]
    turns = [part for one in results for part in (Message("assistant", (called,)), Message("tool", (one,)))]
    rows = Tool.from_schema("rows", "Rows.", {"type": "object", "properties": {}})
    small = ScriptedModel("small", [CallTool("rows"), "there are none"])
    async with scripted_app(small) as app:
        reply = await app.complete([Message.user("?"), *turns], tools=[rows])
    assert reply.attempts[0].trigger == "repeated_call"
    assert said in small.requests[1]["messages"][-1]["content"]
