"""`concurrency` of a model: how many requests it is sent at a time."""

import pytest

from orchestra.errors import FleetError
from orchestra.fleet import Fleet


def card_of(text):
    return Fleet.from_toml(f"[models.a]\n{text}").models["a"]


def test_a_hosted_model_has_no_limit_unless_the_file_says_one():
    assert card_of('model = "gpt-5-mini"').concurrency is None
    card = card_of('model = "gpt-5-mini"\nconcurrency = 4')
    assert (card.concurrency, card.sources["concurrency"]) == (4, "fleet.toml")


@pytest.mark.parametrize("text", ['model = "qwen2.5-coder-0.5b-instruct"', 'weights = "/m/x.gguf"'])
def test_a_model_in_this_process_is_sent_two_requests_at_a_time(text):
    assert card_of(text).concurrency == 2
    assert card_of(text).sources["concurrency"] in ("built-in", "provider")
    assert card_of(f"{text}\nconcurrency = 1").concurrency == 1


def test_the_same_model_on_another_server_has_that_servers_limits():
    card = card_of('model = "qwen2.5-coder-0.5b-instruct"\nbase_url = "https://host/v1"')
    assert card.concurrency is None
    assert "concurrency" not in card.sources


@pytest.mark.parametrize("value", ["0", "-1", "1.5", '"2"', "true"])
def test_a_limit_that_is_no_count_is_named(value):
    with pytest.raises(FleetError, match=r"models\.a\.concurrency is "):
        card_of(f'model = "gpt-5-mini"\nconcurrency = {value}')
