"""Settings that make sense nowhere are refused where a request is made, before any dialect sees it."""

import pytest

from orchestra.errors import ConfigError
from orchestra.types import JsonMismatch, Message, Request, Settings, from_json, to_json

NAN = float("nan")


def request(**fields: object) -> Request:
    return Request((Message.user("q"),), **fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"settings": Settings(max_tokens=0)}, "max_tokens: expected a whole number, 1 or more, got 0"),
        ({"settings": Settings(max_tokens=-5)}, "max_tokens: expected a whole number, 1 or more, got -5"),
        ({"settings": Settings(max_tokens=True)}, "max_tokens: expected a whole number"),
        ({"settings": Settings(max_tokens=1.5)}, "max_tokens: expected a whole number"),
        ({"temperature": -0.1}, "temperature: expected a number from 0 to 2, got -0.1"),
        ({"temperature": 2.01}, "temperature: expected a number from 0 to 2, got 2.01"),
        ({"temperature": NAN}, "temperature: expected a number from 0 to 2, got nan"),
        ({"temperature": True}, "temperature: expected a number from 0 to 2, got True"),
        ({"seed": 1.5}, "seed: expected a whole number, got 1.5"),
        ({"stop": ("a", "")}, "stop: expected texts that are not empty, got ''"),
        ({"stop": (3,)}, "stop: expected texts that are not empty, got 3"),
        ({"extra": {"openai.top_p": 1.1}}, "openai.top_p: expected a number from 0 to 1, got 1.1"),
        ({"extra": {"gemini.topP": -1}}, "gemini.topP: expected a number from 0 to 1, got -1"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_its_name_value_and_range(fields, said):
    with pytest.raises(ConfigError) as refused:
        request(**fields)
    assert said in str(refused.value)


def test_settings_at_their_bounds_are_taken():
    for fields in (
        {"settings": Settings(max_tokens=1), "temperature": 0, "seed": 0, "extra": {"a.top_p": 0, "a.k": -7}},
        {"temperature": 2.0, "seed": -(2**70), "stop": (" ",), "extra": {"a.top_p": 1}},
    ):
        assert from_json(Request, to_json(request(**fields))) == request(**fields)


def test_a_senseless_setting_in_json_is_a_mismatch_like_any_other():
    data = to_json(request())
    assert isinstance(data, dict)
    with pytest.raises(JsonMismatch, match="Request: temperature: expected"):
        from_json(Request, data | {"temperature": 3.0})
