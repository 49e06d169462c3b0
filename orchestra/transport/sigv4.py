"""Requests to Amazon, signed with Signature Version 4 by botocore (extra `bedrock`)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from orchestra.errors import ConfigError
from orchestra.transport.seam import WireRequest

if TYPE_CHECKING:
    from logging import Logger

SERVICE = "bedrock"


class AwsCredentials:
    """botocore's default credential chain: environment, shared files, SSO, the machine's or container's role.

    Looked up when first needed and renewed by botocore. That may read files and ask AWS: call it in a thread.
    """

    def __init__(self) -> None:
        self._found: Any = None

    def signature(self, region: str) -> Signature:
        """What signs requests to a region now. Raises ConfigError without botocore, without credentials."""
        session, faults = _botocore("session"), _botocore("exceptions")
        try:
            self._found = self._found or session.Session().get_credentials()
            found = self._found and self._found.get_frozen_credentials()
        except faults.BotoCoreError as error:
            raise ConfigError(f"AWS credentials cannot be had ({error}); {_WAYS}") from None
        if not found:
            raise ConfigError(f"no AWS credentials were found; {_WAYS}")
        return Signature(region, found.access_key, found.secret_key, found.token)


@dataclass(frozen=True, slots=True)
class Signature:
    """Signs requests to one region with one set of credentials."""

    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be told: AWS quotes a refused request, its token included."""
        return tuple(filter(None, (self.secret_key, self.token, self.access_key)))

    def signed(self, request: WireRequest) -> WireRequest:
        """The request with the headers that prove who sends it, good for minutes."""
        # aiohttp sends a colon in a path as it is, httpx as it is written; the signature covers what is sent.
        url = request.url.replace("%3A", ":")
        written = _botocore("awsrequest").AWSRequest(request.method, url, dict(request.headers), request.body)
        keys = _botocore("credentials").Credentials(self.access_key, self.secret_key, self.token)
        auth = _botocore("auth")
        with _unlogged(auth.logger):
            auth.SigV4Auth(keys, SERVICE, self.region).add_auth(written)
        return replace(request, url=url, headers=tuple(written.headers.items()))


_WAYS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the model a Bedrock API key with keys"


@contextmanager
def _unlogged(logger: Logger) -> Generator[None]:
    """Keeps it quiet: botocore writes all that it signs into its debug log, the session's token too."""
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _botocore(module: str) -> Any:
    try:
        return import_module(f"botocore.{module}")
    except ImportError:
        raise ConfigError(
            "requests to Bedrock without an API key are signed, which needs botocore: "
            "pip install 'orchestra-agents[bedrock]', or set keys to a Bedrock API key"
        ) from None
