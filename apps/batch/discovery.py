"""The input files that a person names: files, folders searched to the bottom, and patterns with `*`, `?` or `[`.

Hidden names and links to folders are passed over. The tree below a folder, or below the first wildcard of a pattern, is
kept for the outputs. A file that does not exist becomes a failed outcome, and the rest goes on.
"""

import errno
import glob
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from enhance.io.content import is_recording
from enhance.io.task import Outcome
from enhance.utils.errors import one_line


@dataclass(frozen=True)
class Found:
    """One input file.

    Attributes:
        path: of the file.
        below: path of its output's folder, relative to the folder of all outputs.
        searched: found in a folder or by a pattern, not named by the person.
    """

    path: Path
    below: Path
    searched: bool


def find_inputs(
    inputs: list[str], leave_out: Path | None, settled: list[Outcome], passed_over: list[str]
) -> list[Found]:
    """Return all input files in the order named, each once.

    Args:
        inputs: files, folders and patterns.
        leave_out: the folder of the outputs: it is not searched.
        settled: outcomes of inputs that are not there or are shut are added here.
        passed_over: files in folders that are no sound and no video are added here.
    """
    found: dict[str, Found] = {}
    for text in inputs:
        path = Path(text)
        reason, items = "", []
        try:
            if glob.has_magic(text) and not os.path.lexists(path):
                items = _match(text, settled)
                reason = "no file matches this pattern"
            elif stat.S_ISDIR(mode := path.stat().st_mode):
                items = _search(path, leave_out, settled, passed_over)
                reason = "no sound files in this folder"
            elif stat.S_ISREG(mode):
                items = [Found(path, Path(), False)]
            else:
                reason = "not a file"
        except OSError as error:
            reason = one_line(error)
        except ValueError as error:  # ** that is only part of a name, before Python 3.13
            reason = f"no such pattern: {error}"
        if not items:
            settled.append(Outcome(text, None, "failed", reason))
        for item in items:
            found.setdefault(_entry(item.path), item)
    return list(found.values())


def identity(path: Path) -> str:
    """Return one text for each file, whatever path leads to it: other names, links, mounts, volumes that ignore case.

    A file that is not there yet is known by its folder and its name.
    """
    try:
        status = path.stat()
    except OSError:
        return _entry(path)
    return f"{status.st_dev}:{status.st_ino}"


def _entry(path: Path) -> str:
    """Return one text for each entry of a folder; a link is another entry than the file that it leads to."""
    try:
        status = path.parent.stat()
    except OSError:
        return os.path.normcase(os.path.realpath(path))
    return f"{status.st_dev}:{status.st_ino}/{os.path.normcase(path.name)}"


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


def _match(pattern: str, settled: list[Outcome]) -> list[Found]:
    parts = Path(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    base = Path(*parts[:fixed])
    return [
        Found(path, path.parent.relative_to(base), True)
        for path in sorted(base.glob(str(Path(*parts[fixed:]))))
        if not path.name.startswith(".") and _is_file(path, settled)
    ]


def _search(folder: Path, leave_out: Path | None, settled: list[Outcome], passed_over: list[str]) -> list[Found]:
    items: list[Found] = []
    outputs = None if leave_out is None else identity(leave_out)

    def shut(error: OSError) -> None:
        settled.append(Outcome(str(error.filename), None, "failed", one_line(error)))

    for place, folders, names in os.walk(folder, onerror=shut):
        here = Path(place)
        folders[:] = sorted(name for name in folders if name[0] != "." and identity(here / name) != outputs)
        for path in (here / name for name in sorted(names)):
            if path.name.startswith(".") or not _is_file(path, settled):
                continue
            if is_recording(path):
                items.append(Found(path, here.relative_to(folder), True))
            else:
                passed_over.append(str(path))
    return items


def _is_file(path: Path, settled: list[Outcome]) -> bool:
    """Return whether a found name is a file. One that cannot be examined becomes a failed outcome."""
    try:
        return stat.S_ISREG(mode_of(path))
    except OSError as error:
        settled.append(Outcome(str(path), None, "failed", one_line(error)))
        return False
