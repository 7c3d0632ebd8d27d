"""Which paths lead to the same file, and what is there under a name."""

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from enhance.io.task import file_path
from enhance.utils.errors import one_line

_ODD = re.compile(r"//|(^|/)\.(/|$)|/$|^$")


def identity_of(status: os.stat_result) -> str:
    """Return one text for each file that exists: other names, links and mounts of it have the same."""
    return f"{status.st_dev}:{status.st_ino}"


def identity(path: str) -> str:
    """Return one text for each file, whatever path leads to it: other names, links, mounts, volumes that ignore case.

    A file that is not there yet is known by its folder and its name.
    """
    try:
        return identity_of(os.stat(path))
    except OSError:
        return Folders().entry(path)


def plain(path: str) -> str:
    """Return a path as `pathlib` writes it, without `.` and double slashes; that of a file called `-` is absolute.

    Example:
        >>> plain("a//b/./c.wav/"), plain("/a/b.wav"), plain("./a.wav")
        ('a/b/c.wav', '/a/b.wav', 'a.wav')
    """
    return file_path(str(Path(path)) if os.sep != "/" or _ODD.search(path) else path)


class Folders:
    """Names entries of folders; each folder is examined once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def entry(self, path: str) -> str:
        """Return one text for each entry of a folder; a link is another entry than the file that it leads to."""
        parent, name = os.path.split(path)
        folder = self._known.get(parent)
        if folder is None:
            try:
                folder = identity_of(os.stat(parent or "."))
            except OSError:
                folder = os.path.normcase(os.path.realpath(parent))
            self._known[parent] = folder
        return f"{folder}/{os.path.normcase(name)}"


@dataclass(frozen=True, slots=True)
class Place:
    """What is there under the name of an output.

    Attributes:
        identity: of the file, or of the name if nothing is there.
        kind: what is there; "hidden" if that cannot be found out.
        modified: when it was written last, seconds since 1970; None if nothing is there, or its store does not say.
        problem: why it cannot be found out.
    """

    identity: str
    kind: Literal["nothing", "file", "other", "hidden"]
    modified: float | None = None
    problem: str = ""


def look(path: str, folders: Folders) -> Place:
    """Return what is there under a path."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Place(folders.entry(path), "other" if os.path.lexists(path) else "nothing")
    except OSError as error:
        return Place(folders.entry(path), "hidden", problem=one_line(error))
    return Place(identity_of(status), "file" if stat.S_ISREG(status.st_mode) else "other", status.st_mtime)


def mode_of(path: Path) -> int:
    """Return the type and permissions of a path (`st_mode`), 0 when nothing is there.

    `Path.is_file` and `Path.is_dir` would do, if they did not treat a folder that is shut differently in each version
    of Python.

    Raises:
        OSError: when that cannot be found out, for example because a folder on the way is not readable.
    """
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return 0
        raise
