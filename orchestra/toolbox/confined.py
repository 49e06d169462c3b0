"""A folder whose files may be read, and out of which no path leads."""

from __future__ import annotations

import difflib
import itertools
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from orchestra.errors import ToolError
from orchestra.toolbox.faults import ToolFailed, ToolRejected

DEPTH = 32
LINKS = 20
_LISTED = 10
_COMPARED = 2_000
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


class Confined:
    """The files below `root`; hidden ones (a name that begins with a dot) do not exist here.

    Every part of a path is opened by itself, relative to the folder before it and never through a link: a link is
    read, and its parts are walked in the same way. So nothing leads out, whatever changes between look and open.
    Raises ToolError where there is no such folder.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        if os.open not in os.supports_dir_fd:  # pragma: no cover (the tests run where it is)
            raise ToolError("reading a folder safely needs a system that opens files relative to one: Linux or macOS")
        self._given = Path(root).absolute()
        self.root = self._given.resolve()
        if not self.root.is_dir():
            raise ToolError(f"{os.fspath(root)!r} is no folder; give the folder whose files may be read")

    def read(self, path: str, limit: int) -> bytes:
        """A file's bytes.

        Raises ToolFailed for what is not there, cannot be read or has more than `limit` bytes, ToolRejected for what is
        no file or lies outside.
        """
        with self._opened(path) as (descriptor, mode):
            if stat.S_ISDIR(mode):
                raise ToolRejected(f"{path!r} is a folder; {_holds(descriptor)}")
            with open(descriptor, "rb", closefd=False) as file:  # a descriptor, not a path
                data = file.read(limit + 1)
            if len(data) > limit:
                size = os.fstat(descriptor).st_size
                raise ToolFailed(f"{path!r} has {size:,} bytes; {limit:,} at most can be read")
            return data

    def files(self, path: str = "") -> Iterator[str]:
        """The files below a folder, or the one file; links are left out, and what lies deeper than DEPTH folders.

        Raises ToolFailed where there is no such path, ToolRejected where it lies outside.
        """
        with self._opened(path) as (descriptor, mode):
            start = PurePosixPath(*(part for part in self._parts(path) if part != "/"))
            if stat.S_ISREG(mode):
                yield str(start)
                return
            for parent, folders, names, at in os.fwalk(".", dir_fd=descriptor):
                deeper = sorted(filter(_visible, folders))
                folders[:] = deeper if len(PurePosixPath(parent).parts) < DEPTH else []
                yield from (str(start / parent / name) for name in sorted(names) if _visible(name) and _file(name, at))

    @contextmanager
    def _opened(self, path: str) -> Generator[tuple[int, int]]:
        """The descriptor and mode of the file or folder at `path`."""
        trail = [os.open(self.root, os.O_RDONLY)]
        try:
            mode = self._walk(path, trail)
            yield trail[-1], mode
        except (FileNotFoundError, NotADirectoryError):
            raise ToolFailed(f"there is no file {path!r:.200}; {self._near(path, trail[0])}") from None
        except PermissionError:
            raise ToolFailed(f"{path!r:.200} may not be read: the system refuses it") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ToolRejected(f"{path!r:.200} cannot be read: {reason.lower()}") from None
        finally:
            for descriptor in trail:
                os.close(descriptor)

    def _walk(self, path: str, trail: list[int]) -> int:
        """Go down from the last of `trail`, which holds the descriptors of the folders passed; the mode at the end."""
        todo, links, mode = self._parts(path), 0, stat.S_IFDIR
        while todo:
            part = todo.pop(0)
            if part in ("/", ".."):
                mode = stat.S_IFDIR
                _climb(trail, part, path)
                continue
            if not _visible(part):
                raise ToolRejected(f"{path!r:.200} is hidden: names that begin with a dot cannot be read")
            mode = os.stat(part, dir_fd=trail[-1], follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                links += 1
                todo[:0] = self._parts(os.readlink(part, dir_fd=trail[-1]), path)
            else:
                mode = _enter(part, mode, trail, path)
            if links > LINKS:
                raise ToolRejected(f"{path!r:.200} cannot be read: its links lead round in circles")
        return mode

    def _parts(self, path: str, asked: str | None = None) -> list[str]:
        """The steps of a path; one that is absolute begins with "/", which is `root`."""
        pure = PurePosixPath(path)
        if not pure.is_absolute():
            return list(pure.parts)
        for root in (self.root, self._given):
            if pure.is_relative_to(root):
                return ["/", *pure.relative_to(root).parts]
        raise _outside(path if asked is None else asked)

    def _near(self, path: str, root: int) -> str:
        names = list(itertools.islice(self.files(), _COMPARED))
        by_name = {PurePosixPath(name).name.lower(): name for name in reversed(names)}
        near = difflib.get_close_matches(path, names, 3)
        near += [by_name[key] for key in difflib.get_close_matches(PurePosixPath(path).name.lower(), by_name, 3)]
        return f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else _holds(root)


def _climb(trail: list[int], part: str, path: str) -> None:
    if part == ".." and len(trail) == 1:
        raise _outside(path)
    while len(trail) > 1:
        os.close(trail.pop())
        if part == "..":
            return


def _enter(part: str, mode: int, trail: list[int], path: str) -> int:
    _demand_plain(mode, path)  # before it is opened: opening a device or a pipe may already do something
    trail.append(os.open(part, _FLAGS, dir_fd=trail[-1]))
    mode = os.fstat(trail[-1]).st_mode
    _demand_plain(mode, path)
    return mode


def _demand_plain(mode: int, path: str) -> None:
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ToolRejected(f"{path!r:.200} is a device, a pipe or a socket; only files can be read")


def _outside(path: str) -> ToolRejected:
    return ToolRejected(f"{path!r:.200} lies outside the folder; give a path inside it, relative to it")


def _holds(folder: int) -> str:
    names = sorted(filter(_visible, os.listdir(folder)))  # a descriptor, not a path
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return f"it holds: {', '.join(names[:_LISTED])}{more}" if names else "it is empty"


def _visible(name: str) -> bool:
    return not name.startswith(".")


def _file(name: str, folder: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:  # it went between the listing and now
        return False
