"""app.chat_model: what it may be told; what the model does is tested where LangChain is (tests/integrations)."""

from __future__ import annotations

import pytest

from orchestra import StepPolicy
from orchestra.errors import ConfigError
from orchestra.testing import ScriptedModel, scripted_app

RESEARCH = StepPolicy([{"match": {"name": ["research"]}, "mode": "quality"}])


async def test_a_chat_model_is_one_of_langchains_and_asks_the_app_for_its_step():
    small = ScriptedModel("small", ["hi", "hi"])
    async with scripted_app(small, policies=[RESEARCH]) as app:
        message = await app.chat_model(step="research", temperature=0.5).ainvoke("x")
        assert (await app.chat_model().ainvoke("x")).text == "hi"
    assert (message.text, message.response_metadata["model_name"]) == ("hi", "small")
    assert [request.get("temperature") for request in small.requests] == [0.5, None]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"step": ""}, "step: expected a name"),
        ({"step": "reserch"}, "step 'reserch' is in no rule; did you mean 'research'\\? known: research"),
        ({"temprature": 1}, "temprature: no option of a chat model; did you mean 'temperature'"),
    ],
)
async def test_what_a_chat_model_cannot_be_told_is_refused_when_it_is_made(asked, said):
    async with scripted_app(ScriptedModel("small", []), policies=[RESEARCH]) as app:
        with pytest.raises(ConfigError, match=said):
            app.chat_model(**asked)


async def test_a_step_of_which_no_rule_speaks_goes_by_the_mode():
    async with scripted_app(ScriptedModel("small", ["hi"]), policies=[RESEARCH]) as app:
        assert (await app.chat_model(step="write").ainvoke("x")).text == "hi"
