"""A temporary folder that is gone afterwards, whatever a program left in it."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from pathlib import Path


def scratch() -> Path:
    """A new, empty folder that only its owner may enter."""
    return Path(tempfile.mkdtemp(prefix="orchestra-run-"))


def remove(folder: Path) -> None:
    """Delete a folder: also what has no rights, or is nested deeper than a path may be long. No link is followed."""
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchmod(top, 0o700)
        while names := os.listdir(top):  # noqa: PTH208  # a descriptor, not a path
            for name in names:
                _remove_entry(name, top)
    finally:
        os.close(top)
    folder.rmdir()


def _remove_entry(name: str, top: int) -> None:
    if not _opened_up(name, top):
        os.unlink(name, dir_fd=top)
        return
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        for entry in os.listdir(inner):  # noqa: PTH208  # names, not paths
            if _opened_up(entry, inner):  # moved up rather than gone down into: no depth is too deep
                os.rename(entry, secrets.token_hex(16), src_dir_fd=inner, dst_dir_fd=top)
            else:
                os.unlink(entry, dir_fd=inner)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)


def _opened_up(name: str, parent: int) -> bool:
    """Whether it is a folder; its rights are then set so that it can be emptied."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        return False
    os.chmod(name, 0o700, dir_fd=parent)
    return True
