"""Where a model at Bedrock is asked: with an API key, or signed with AWS credentials."""

import pytest

from orchestra.errors import ConfigError
from orchestra.runtime.endpoints import FleetEndpoints
from orchestra.transport import Signature
from orchestra.types import ModelCard

AWS = "https://bedrock-runtime.{}.amazonaws.com"
KEY = "env:AWS_BEARER_TOKEN_BEDROCK"


def card(**facts):
    return ModelCard("m", "x.y", "bedrock", "bedrock-converse", "efficient", **facts)


class Credentials:
    def __init__(self, error=None):
        self.error, self.others = error, False

    def changed(self, refused):
        assert refused.access_key == "AKIDEXAMPLE"
        return self.others

    def signature(self, region):
        if self.error:
            raise ConfigError(self.error)
        return Signature(region, "AKIDEXAMPLE", "a-secret-key")


async def resolve(asked, hidden=None, credentials=None, **environ):
    endpoints = FleetEndpoints(None, [].extend if hidden is None else hidden.extend, environ)
    endpoints._credentials = credentials or Credentials()
    return await endpoints.resolve(asked)


async def test_an_api_key_is_used_where_it_is_set():
    hidden = []
    asked = card(keys=(KEY,), regions=("eu-west-1",), sources={"keys": "built-in"})
    found = await resolve(asked, hidden, AWS_BEARER_TOKEN_BEDROCK="abc")
    assert (found.base_url, found.key, found.signature) == (AWS.format("eu-west-1"), "abc", None)
    assert hidden == ["abc"]
    assert found.secrets == ("abc",)


async def test_without_a_key_requests_are_signed_and_the_secrets_hidden():
    hidden = []
    found = await resolve(card(regions=("eu-west-1",)), hidden)
    assert (found.base_url, found.key) == (AWS.format("eu-west-1"), None)
    assert found.signature.region == "eu-west-1"
    assert set(hidden) == set(found.secrets) == {"AKIDEXAMPLE", "a-secret-key"}
    assert "secret" not in repr(found)


async def test_the_keys_usual_variable_may_be_unset():
    found = await resolve(card(keys=(KEY,), regions=("eu-west-1",), sources={"keys": "built-in"}))
    assert found.signature is not None


async def test_a_refused_signature_is_renewed_by_other_credentials_and_by_a_key():
    asked, environ = card(keys=(KEY,), regions=("eu-west-1",), sources={"keys": "built-in"}), {}
    endpoints = FleetEndpoints(None, [].extend, environ)
    endpoints._credentials = Credentials()
    refused = await endpoints.resolve(asked)
    assert not endpoints.renewed(asked, refused)
    endpoints._credentials.others = True
    assert endpoints.renewed(asked, refused)
    endpoints._credentials.others = False
    environ["AWS_BEARER_TOKEN_BEDROCK"] = "abc"
    assert endpoints.renewed(asked, refused)
    with_key = await endpoints.resolve(asked)
    assert not endpoints.renewed(asked, with_key)


async def test_a_key_that_the_fleet_names_has_to_be_set():
    with pytest.raises(ConfigError, match="none of its keys is set; set MINE"):
        await resolve(card(keys=("env:MINE",), regions=("eu-west-1",), sources={"keys": "fleet.toml"}))


@pytest.mark.parametrize(
    ("facts", "environ", "region"),
    [
        ({"regions": ("eu", "eu-west-1", "us-east-1")}, {"AWS_REGION": "us-west-2"}, "eu-west-1"),
        ({"regions": ("us-gov-west-1",)}, {}, "us-gov-west-1"),
        ({"base_url": AWS.format("ap-south-1")}, {"AWS_REGION": "us-west-2"}, "ap-south-1"),
        ({"base_url": "https://bedrock-runtime-fips.us-east-2.amazonaws.com"}, {}, "us-east-2"),
        ({"base_url": "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com"}, {}, "us-east-1"),
        ({}, {"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-east-1"}, "us-west-2"),
        ({}, {"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ({"base_url": "http://127.0.0.1:1"}, {"AWS_REGION": "us-west-2"}, "us-west-2"),
    ],
)
async def test_the_region_is_the_cards_or_the_hosts_or_the_environments(facts, environ, region):
    found = await resolve(card(**facts), **environ)
    assert found.signature.region == region
    assert found.base_url == facts.get("base_url", AWS.format(region))


async def test_a_region_that_nobody_names_is_asked_for():
    with pytest.raises(ConfigError, match=r"model 'm': in which AWS region\? Set regions"):
        await resolve(card())


async def test_a_server_of_ones_own_without_a_region_is_asked_unsigned():
    found = await resolve(card(base_url="http://127.0.0.1:1"))
    assert (found.base_url, found.key, found.signature, found.secrets) == ("http://127.0.0.1:1", None, None, ())


async def test_what_is_wrong_with_the_credentials_is_told_with_the_models_name():
    with pytest.raises(ConfigError, match="model 'm': no AWS credentials"):
        await resolve(card(regions=("eu-west-1",)), credentials=Credentials("no AWS credentials"))
