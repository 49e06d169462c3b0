"""Requests to Amazon, signed with Signature Version 4 by botocore (extra `bedrock`)."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestra.errors import ConfigError
from orchestra.transport.seam import WireRequest

if TYPE_CHECKING:
    from logging import Logger

SERVICE = "bedrock"
HALF_DONE = 60.0
"""Seconds for which credentials serve that were taken away before others were there."""

LOOKS_EVERY = 1.0
"""Seconds after which a refused signature is looked up again."""


class AwsCredentials:
    """botocore's default credential chain: environment, shared files, SSO, the machine's or container's role.

    Looked up when first needed, renewed by botocore where they expire by themselves, and looked up again once the
    variables or files that may hold them have changed; those before serve until that finds others, for a change is
    seen half done too, but not for longer than HALF_DONE. It may read files and ask AWS: call it in a thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: tuple[Any, tuple[object, ...]] | None = None  # with what was said when they were found
        self._failing: float | None = None  # since when nothing is found any more
        self._signed: tuple[str, ...] = ()  # what signed last
        self._looks = -math.inf  # when `changed` looks again
        self._said: tuple[object, ...] = ()  # what it saw

    def signature(self, region: str) -> Signature:
        """What signs requests to a region now. Raises ConfigError without botocore, without credentials."""
        kept, said = self._kept, _said()
        if kept is None or kept[1] != said:
            try:
                self._kept, self._failing = (kept := (_looked_up(), said)), None
            except ConfigError:
                now = self._clock()
                self._failing = now if self._failing is None else self._failing
                if kept is None or now - self._failing > HALF_DONE:
                    raise
        with _told():
            keys = kept[0].get_frozen_credentials()
        signature = Signature(region, keys.access_key, keys.secret_key, keys.token)
        self._signed = signature.secrets
        return signature

    def changed(self, refused: Signature) -> bool:
        """Whether others were found since, or may be found now: it looks once a second. Asks nobody."""
        if self._signed != refused.secrets or self._kept is None:
            return True
        now = self._clock()
        if now >= self._looks:  # every lane that was refused asks, at every call
            self._looks, self._said = now + LOOKS_EVERY, _said()
        return self._kept[1] != self._said


def _looked_up() -> Any:
    """The credentials that the chain finds now, known to be whole."""
    session = _botocore("session")
    with _told():
        if (found := session.Session().get_credentials()) and found.get_frozen_credentials():
            return found
    raise ConfigError(f"no AWS credentials were found; {_WAYS}")


@contextmanager
def _told() -> Generator[None]:
    """Raises ConfigError for what botocore raises where there are no good credentials."""
    faults = _botocore("exceptions")
    try:
        yield
    except (faults.BotoCoreError, faults.ClientError, RuntimeError) as error:  # the second: AWS refuses, such as a role
        # botocore has no class of its own for credentials that it renewed and that have expired already.
        if isinstance(error, RuntimeError) and "expired" not in str(error):
            raise
        raise ConfigError(f"AWS credentials cannot be had ({error}); {_WAYS}") from None


_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_ROLES = (
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)
_FILES = (("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), ("AWS_CONFIG_FILE", "~/.aws/config"))


def _said() -> tuple[object, ...]:
    """What the variables and files that may hold credentials say, as far as it shows that they were changed."""
    files = [_written(os.environ.get(variable) or usual) for variable, usual in _FILES]
    return (*map(os.environ.get, _SECRETS + _PROFILES + _ROLES), *files)


def _written(path: str) -> tuple[str, int, int, int] | None:
    try:
        status = _file(path).stat()
    except (OSError, RuntimeError):  # there is no such file, or no home to look in
        return None
    return path, status.st_ino, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=16)
def _file(path: str) -> Path:
    return Path(path).expanduser()


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
