"""Bringing a partial file to its full size from a source, with its hash as the only proof."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from orchestra.local.progress import Progress
from orchestra.local.sources import Source, SourceFault
from orchestra.local.weights import Weights

_BLOCK = 1 << 20


class WrongBytes(SourceFault):
    """What arrived is not the file that was asked for; it is deleted by the time this is raised."""


class Filling:
    """The partial file of one pull; whichever source wrote its beginning, another may go on."""

    def __init__(self, part: Path, weights: Weights, scratch: Path, progress: Progress) -> None:
        self._part = part
        self._weights = weights
        self._scratch = scratch
        self._progress = progress

    def from_source(self, source: Source) -> None:
        """Fill the file and prove it. Raises SourceFault; what had arrived stays, unless it is proven wrong."""
        resumed = self._part.exists()
        try:
            self._append(source)
        except WrongBytes as fault:
            if not resumed:
                raise
            # Either half may be the wrong one; only a fresh start tells which.
            self._progress.note(f"{fault}; starting over")
            self._append(source)

    def _append(self, source: Source) -> None:
        weights, sha256, done = self._weights, hashlib.sha256(), 0
        for block in _blocks(self._part):
            sha256.update(block)
            done += len(block)
        with self._part.open("ab") as out:
            blocks = source.read(weights, done, self._scratch) if done < weights.size else ()
            for block in blocks:
                out.write(block)
                sha256.update(block)
                done += len(block)
                self._progress.at(done, weights.size)
                if done > weights.size:
                    break
            out.flush()
            os.fsync(out.fileno())
        if done < weights.size:
            raise SourceFault(f"the file ended after {done} of {weights.size} bytes")
        self._prove(sha256.hexdigest(), done)

    def _prove(self, digest: str, size: int) -> None:
        weights = self._weights
        if digest != weights.sha256:
            self._part.unlink()
            raise WrongBytes(
                f"refused and deleted, because its bytes are not those of {weights.name}: {size} bytes with sha256 "
                f"{digest[:12]}…, expected {weights.size} bytes with {weights.sha256[:12]}…"
            )


def _blocks(path: Path) -> Iterator[bytes]:
    """What an earlier pull left; nothing where there is no file."""
    if path.exists():
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
