"""Signature Version 4: what botocore signs is what goes out, however the transport spells a path; and nothing leaks."""

import hashlib
import hmac
import logging
from urllib.parse import quote

import pytest

from orchestra.errors import ConfigError
from orchestra.transport import AiohttpTransport, AwsCredentials, HttpxTransport, Signature, WireRequest, sigv4
from tests.transport.raw_server import raw_server

SECRET, TOKEN = "a-secret-that-nobody-may-see", "a-token-that-nobody-may-see"
SIGNATURE = Signature("eu-central-1", "AKIDEXAMPLE", SECRET, TOKEN)
PATH = "/model/arn%3Aaws%3Abedrock%2Fx.y-z_1%3A0/converse-stream"


@pytest.fixture
def chain(monkeypatch, tmp_path):
    """botocore's credential chain without what this machine may know."""
    pytest.importorskip("botocore")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", *sigv4._PROFILES, *sigv4._ROLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return monkeypatch


def expected(target, headers, body):
    """The signature of a request as it arrived, by AWS's description of Signature Version 4."""
    stated = dict(part.split("=", 1) for part in headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", "))
    scope = stated["Credential"].split("/", 1)[1]
    names = stated["SignedHeaders"].split(";")
    canonical = "\n".join(
        [
            "POST",
            quote(target, safe="/~"),
            "",
            *(f"{name}:{headers[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        ]
    )
    told = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return stated["Signature"], hmac.new(key, told.encode(), "sha256").hexdigest()


@pytest.mark.parametrize("transport", [HttpxTransport, AiohttpTransport])
async def test_the_signature_is_of_the_request_that_arrives(transport):
    pytest.importorskip("botocore")
    sender = transport()
    async with raw_server(lambda connection: connection.reply(b"{}")) as server:
        plain = WireRequest(server.base + PATH, (("content-type", "application/json"),), '{"a": "ü"}'.encode())
        response = await sender.send(SIGNATURE.signed(plain))
        await response.aclose()
        await sender.aclose()
        (seen,) = server.requests
    first, *lines = seen.head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    stated, right = expected(first.split()[1], headers, seen.body)
    assert stated == right
    assert "/eu-central-1/bedrock/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == TOKEN
    assert headers["content-type"] == "application/json"


def test_secrets_are_in_no_representation_and_no_log(caplog):
    pytest.importorskip("botocore")
    caplog.set_level(logging.DEBUG)
    signed = SIGNATURE.signed(
        WireRequest("https://bedrock-runtime.eu-central-1.amazonaws.com/model/x/converse", (), b"")
    )
    told = f"{SIGNATURE!r} {signed!r} {caplog.text}"
    assert not any(secret in told for secret in SIGNATURE.secrets)
    assert set(SIGNATURE.secrets) == {"AKIDEXAMPLE", SECRET, TOKEN}
    assert Signature("x", "a", "b").secrets == ("b", "a")
    assert not logging.getLogger("botocore.auth").disabled


def test_credentials_come_from_botocores_chain(chain):
    chain.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    chain.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    chain.setenv("AWS_SESSION_TOKEN", TOKEN)
    credentials = AwsCredentials()
    assert credentials.signature("eu-central-1") == SIGNATURE
    assert credentials.signature("us-east-1").region == "us-east-1"


def test_credentials_that_were_changed_are_looked_up_again(chain, tmp_path):
    kept = tmp_path / "credentials"
    kept.write_text("[default]\naws_access_key_id = A1\naws_secret_access_key = s\n")
    credentials = AwsCredentials()
    assert credentials.signature("eu-central-1").access_key == "A1"
    kept.write_text("[default]\naws_access_key_id = FILE2\naws_secret_access_key = s\n")
    assert credentials.signature("eu-central-1").access_key == "FILE2"
    chain.setenv("AWS_ACCESS_KEY_ID", "ENV3")
    chain.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert credentials.signature("eu-central-1").access_key == "ENV3"
    chain.setenv("AWS_SECRET_ACCESS_KEY", "t")
    assert credentials.signature("eu-central-1").secret_key == "t"


def test_credentials_have_changed_for_who_was_refused_with_others(chain):
    chain.setenv("AWS_ACCESS_KEY_ID", "A1")
    chain.setenv("AWS_SECRET_ACCESS_KEY", "s")
    now = [0.0]
    credentials = AwsCredentials(lambda: now[0])
    assert credentials.changed(SIGNATURE)
    refused = credentials.signature("eu-central-1")
    assert not credentials.changed(refused)
    chain.setenv("AWS_SECRET_ACCESS_KEY", "t")
    assert not credentials.changed(refused)  # every refused lane asks at every call: it looks once a second
    now[0] += sigv4.LOOKS_EVERY
    assert credentials.changed(refused)
    other = credentials.signature("eu-west-1")
    assert (credentials.changed(refused), credentials.changed(other)) == (True, False)


def test_credentials_that_stayed_as_they_were_are_looked_up_once(chain):
    chain.setenv("AWS_ACCESS_KEY_ID", "A1")
    chain.setenv("AWS_SECRET_ACCESS_KEY", "s")
    credentials = AwsCredentials()
    first = credentials.signature("eu-central-1")
    chain.setattr("botocore.session.Session.get_credentials", lambda _: pytest.fail("they were looked up again"))
    assert credentials.signature("eu-central-1") == first


def _kept(path, key):
    path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n")


@pytest.mark.parametrize("profile", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_another_profile_is_looked_up_again(chain, tmp_path, profile):
    (tmp_path / "config").write_text("[profile b]\naws_access_key_id = B\naws_secret_access_key = s\n")
    _kept(tmp_path / "credentials", "A")
    credentials = AwsCredentials()
    assert credentials.signature("eu-central-1").access_key == "A"
    chain.setenv(profile, "b")
    assert credentials.signature("eu-central-1").access_key == "B"


@pytest.mark.parametrize("variable", ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"])
def test_another_file_is_looked_up_again(chain, tmp_path, variable):
    for name in "AB":
        _kept(tmp_path / name, name)
    chain.setenv(variable, str(tmp_path / "A"))
    credentials = AwsCredentials()
    assert credentials.signature("eu-central-1").access_key == "A"
    chain.setenv(variable, str(tmp_path / "B"))
    assert credentials.signature("eu-central-1").access_key == "B"
    _kept(tmp_path / "B", "rewritten")
    assert credentials.signature("eu-central-1").access_key == "rewritten"


@pytest.mark.parametrize("variable", sigv4._ROLES)
def test_another_role_is_looked_up_again(chain, variable):
    from botocore.credentials import Credentials

    found = iter("AB")
    chain.setattr("botocore.session.Session.get_credentials", lambda _: Credentials(next(found), "s"))
    credentials = AwsCredentials()
    assert credentials.signature("eu-central-1").access_key == "A"
    chain.setenv(variable, "another")
    assert [credentials.signature("eu-central-1").access_key for _ in range(2)] == ["B", "B"]


def test_credentials_serve_until_those_after_them_are_there(chain, tmp_path):
    chain.setenv("AWS_ACCESS_KEY_ID", "ENV1")
    chain.setenv("AWS_SECRET_ACCESS_KEY", "s")
    credentials = AwsCredentials()
    assert credentials.signature("eu-central-1").access_key == "ENV1"
    chain.delenv("AWS_SECRET_ACCESS_KEY")
    assert credentials.signature("eu-central-1").access_key == "ENV1"
    chain.delenv("AWS_ACCESS_KEY_ID")
    assert credentials.signature("eu-central-1").access_key == "ENV1"
    kept = tmp_path / "credentials"
    _kept(kept, "FILE2")
    assert credentials.signature("eu-central-1").access_key == "FILE2"
    for half in ("", "[default", "[default]\naws_access_key_id = FILE3\n"):
        kept.write_text(half)
        assert credentials.signature("eu-central-1").access_key == "FILE2"
    _kept(kept, "FILE3")
    assert credentials.signature("eu-central-1").access_key == "FILE3"


def test_credentials_that_were_taken_away_serve_no_longer_than_a_change_takes(chain):
    chain.setenv("AWS_ACCESS_KEY_ID", "A")
    chain.setenv("AWS_SECRET_ACCESS_KEY", "s")
    now = iter([100.0, 160.0, 160.1, 170.0])
    credentials = AwsCredentials(lambda: next(now))
    credentials.signature("eu-central-1")
    chain.delenv("AWS_ACCESS_KEY_ID")
    chain.delenv("AWS_SECRET_ACCESS_KEY")
    assert [credentials.signature("eu-central-1").access_key for _ in range(2)] == ["A", "A"]
    for _ in range(2):
        with pytest.raises(ConfigError, match="no AWS credentials were found"):
            credentials.signature("eu-central-1")


def test_a_look_up_that_failed_is_made_again_with_the_next_call(chain):
    from botocore.credentials import Credentials
    from botocore.exceptions import ClientError

    refusal = ClientError({"Error": {"Code": "Throttling", "Message": "later"}}, "AssumeRole")
    results = iter([Credentials("A", "s"), refusal, Credentials("B", "s")])

    def looked_up(_):
        if isinstance(result := next(results), Exception):
            raise result
        return result

    chain.setattr("botocore.session.Session.get_credentials", looked_up)
    credentials = AwsCredentials()
    assert credentials.signature("eu-central-1").access_key == "A"
    chain.setenv("AWS_ROLE_ARN", "another")
    assert [credentials.signature("eu-central-1").access_key for _ in range(3)] == ["A", "B", "B"]


def test_a_role_that_aws_refuses_is_an_error_that_says_so(chain):
    from botocore.exceptions import ClientError

    def failing(_):
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not your role"}}, "AssumeRole")

    chain.setattr("botocore.session.Session.get_credentials", failing)
    with pytest.raises(ConfigError, match=r"cannot be had \(.*AccessDenied.*not your role"):
        AwsCredentials().signature("eu-central-1")


def test_credentials_that_have_expired_are_an_error_that_says_so(chain):
    chain.setenv("AWS_ACCESS_KEY_ID", "A")
    chain.setenv("AWS_SECRET_ACCESS_KEY", "s")
    chain.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
    with pytest.raises(ConfigError, match=r"cannot be had \(.*still expired"):
        AwsCredentials().signature("eu-central-1")


def test_what_has_nothing_to_do_with_credentials_is_raised_as_it_is(chain):
    def failing(_):
        raise RuntimeError("can't start new thread")

    chain.setattr("botocore.session.Session.get_credentials", failing)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        AwsCredentials().signature("eu-central-1")


def test_no_credentials_are_an_error_that_says_what_to_do(chain):
    with pytest.raises(ConfigError, match="no AWS credentials were found; set AWS_ACCESS_KEY_ID"):
        AwsCredentials().signature("eu-central-1")


def test_a_profile_that_is_not_there_is_an_error_that_says_so(chain):
    chain.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match=r"cannot be had \(The config profile \(nobody\) could not be found\)"):
        AwsCredentials().signature("eu-central-1")


def test_botocore_is_asked_for_where_it_is_missing(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(sigv4, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'orchestra-agents\[bedrock\]'"):
        AwsCredentials().signature("eu-central-1")
