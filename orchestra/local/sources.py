"""Where weights come from: each source yields the file's bytes from an offset on, and none of them is trusted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from orchestra.local.weights import Weights

Download: TypeAlias = Callable[[str, int], AbstractContextManager[tuple[int, int | None, Iterator[bytes]]]]
"""`download(url, offset)` gives the status, the whole size where the server says it, and the body."""

_OK, _PARTIAL = 200, 206


class SourceFault(Exception):
    """A source could not serve the bytes; the text says why. Internal to local: the store tries the next source."""


class Source(Protocol):
    """A place that may have the bytes."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...

    def read(self, weights: Weights, offset: int, scratch: Path) -> Iterator[bytes]:
        """The bytes from `offset` on; `scratch` is a folder that outlives a crash. Raises SourceFault."""
        ...


def _download(url: str, offset: int) -> AbstractContextManager[tuple[int, int | None, Iterator[bytes]]]:
    from orchestra.transport.download import download

    return download(url, offset=offset)


@dataclass(frozen=True, slots=True)
class Hub:
    """The model hub over HTTPS; `offline` makes it refuse at once."""

    endpoint: str = "https://huggingface.co"
    offline: bool = False
    download: Download = _download

    @classmethod
    def from_environment(cls) -> Hub:
        """Honours HF_ENDPOINT and HF_HUB_OFFLINE as the hub's own client does."""
        endpoint = os.environ.get("HF_ENDPOINT") or cls().endpoint
        offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
        return cls(endpoint.rstrip("/"), offline)

    @property
    def name(self) -> str:
        """The address, which HF_ENDPOINT may have changed."""
        return f"model hub ({self.endpoint})"

    def read(self, weights: Weights, offset: int, scratch: Path) -> Iterator[bytes]:  # noqa: ARG002 (the seam's)
        """Stream the file with a range request. Raises SourceFault."""
        from orchestra.transport.seam import TransportFault

        if self.offline:
            raise SourceFault("skipped, because HF_HUB_OFFLINE is set")
        repository, file = weights.hub
        url = f"{self.endpoint}/{repository}/resolve/main/{file}"
        try:
            with self.download(url, offset) as (status, _, blocks):
                if status not in {_OK, _PARTIAL}:
                    raise SourceFault(f"{url} answered {status}")
                yield from blocks if status == _PARTIAL else _skip(blocks, offset)
        except TransportFault as fault:
            raise SourceFault(str(fault)) from fault


def _skip(blocks: Iterable[bytes], offset: int) -> Iterator[bytes]:
    """Drop the first `offset` bytes: a server may ignore the range and send everything."""
    for block in blocks:
        yield block[offset:]
        offset = max(0, offset - len(block))
