"""The weight store: files named by the hash of their bytes, so that any mirror may serve them and none is trusted."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestra.errors import WeightsError
from orchestra.local.filling import Filling
from orchestra.local.lock import held
from orchestra.local.progress import Progress, Silent
from orchestra.local.sources import Hub, Source, SourceFault
from orchestra.local.weights import EMBEDDED, Weights
from orchestra.local.wheels import Wheels

_STORED = re.compile(r"([0-9a-f]{64})\.(gguf|part)")


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """A file of the store; `name` is None where orchestra does not know the hash, `size` is in bytes.

    `complete` is False for a pull that was interrupted: the next pull goes on from there.
    """

    sha256: str
    path: Path
    size: int
    complete: bool
    name: str | None


class WeightStore:
    """Weights on this machine. `root` defaults to ORCHESTRA_WEIGHTS, else to the user's cache folder."""

    def __init__(self, root: Path | str | None = None, sources: Sequence[Source] | None = None) -> None:
        self.root = _default_root() if root is None else Path(root)
        self._sources = (Hub.from_environment(), Wheels()) if sources is None else tuple(sources)

    def path(self, sha256: str) -> Path | None:
        """The file of this hash, which was verified when it was pulled; None where it was not pulled."""
        path = self.root / f"{sha256}.gguf"
        return path if path.is_file() else None

    def pull(self, weights: Weights, progress: Progress | None = None) -> Path:
        """The file, verified, and downloaded where it is not here or wrong; an interrupted pull goes on.

        Concurrent pulls, also of other processes, download once. Raises WeightsError saying what was tried.
        """
        progress = progress or Silent()
        with self._locked(weights, progress):
            path = self.path(weights.sha256)
            if path is not None and _sha256(path) != weights.sha256:
                progress.note(f"{path} holds other bytes; deleted")
                path.unlink()
                path = None
            path = path or self._download(weights, progress)
        progress.at(weights.size, weights.size)
        return path

    def verify(self, weights: Weights) -> Path:
        """The file, its bytes hashed again. Raises WeightsError where it is absent, or wrong and now deleted."""
        with self._locked(weights, Silent()):
            path = self.path(weights.sha256)
            if path is None:
                raise WeightsError(f"{weights.name}: not in {self.root}; get it with {_pull(weights)}")
            digest = _sha256(path)
            if digest == weights.sha256:
                return path
            path.unlink()
        raise WeightsError(
            f"{weights.name}: {path} held other bytes (sha256 {digest[:12]}…, expected "
            f"{weights.sha256[:12]}…) and was deleted; get it again with {_pull(weights)}"
        )

    def list(self) -> tuple[StoredWeights, ...]:
        """Every file of the store, also unknown and unfinished ones, known names first."""
        names = {weights.sha256: weights.name for weights in EMBEDDED.values()}
        files = self.root.iterdir() if self.root.is_dir() else ()
        stored = [
            StoredWeights(match[1], path, path.stat().st_size, match[2] == "gguf", names.get(match[1]))
            for path in files
            if (match := _STORED.fullmatch(path.name))
        ]
        return tuple(sorted(stored, key=lambda one: (one.name is None, one.name or one.sha256, not one.complete)))

    def remove(self, weights: Weights) -> int:
        """Delete the file and what an interrupted pull left; gives the bytes freed. Raises WeightsError if absent."""
        with self._locked(weights, Silent()):
            gone = [one for one in self.list() if one.sha256 == weights.sha256]
            for one in gone:
                one.path.unlink()
            shutil.rmtree(self._scratch(weights), ignore_errors=True)
        if not gone:
            kept = ", ".join(one.name or one.path.name for one in self.list()) or "nothing"
            raise WeightsError(f"{weights.name}: not in {self.root}, which holds: {kept}")
        return sum(one.size for one in gone)

    def _download(self, weights: Weights, progress: Progress) -> Path:
        part = self.root / f"{weights.sha256}.part"
        self._demand_space(weights, part)
        filling, faults = Filling(part, weights, self._scratch(weights), progress), list[str]()
        for source in self._sources:
            progress.note(f"from the {source.name}")
            try:
                filling.from_source(source)
            except SourceFault as fault:
                progress.note(f"failed: {fault}")
                faults.append(f"\n  {source.name}: {fault}")
            else:
                shutil.rmtree(self._scratch(weights), ignore_errors=True)
                return part.replace(self.root / f"{weights.sha256}.gguf")
        raise WeightsError(
            f"{weights.name}: none of the sources could serve its weights{''.join(faults)}\n"
            f'Set `weights = "/path/to/model.gguf"` for the model in fleet.toml, or `dialect` and `base_url` of any '
            f"server that speaks it, or put the file at {self.root / weights.sha256}.gguf yourself."
        )

    def _demand_space(self, weights: Weights, part: Path) -> None:
        needed = weights.size - (part.stat().st_size if part.exists() else 0)
        free = shutil.disk_usage(self.root).free
        if free < needed:
            raise WeightsError(
                f"{weights.name}: needs {needed / 1e6:.0f} MB, and {self.root} has {free / 1e6:.0f} MB free; "
                "free some space, or set ORCHESTRA_WEIGHTS to a folder on another disk"
            )

    @contextmanager
    def _locked(self, weights: Weights, progress: Progress) -> Generator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with held(
                self.root / f"{weights.sha256}.lock", lambda: progress.note("another pull is at work; waiting for it")
            ):
                yield
        except OSError as error:
            raise WeightsError(
                f"{weights.name}: the weight store {self.root} cannot be used: {error}; "
                "set ORCHESTRA_WEIGHTS to a folder you can write to"
            ) from error

    def _scratch(self, weights: Weights) -> Path:
        return self.root / f"{weights.sha256}.wheels"


def _default_root() -> Path:
    chosen = os.environ.get("ORCHESTRA_WEIGHTS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen).expanduser() if chosen else cache / "orchestra" / "weights"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pull(weights: Weights) -> str:
    return f"`orchestra models pull {weights.name}`"
