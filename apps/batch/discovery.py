"""The input files of this machine that a person names: files, folders searched to the bottom, patterns (`*`, `?`, `[`).

Hidden names and links to folders are passed over. The tree below a folder, or below the first wildcard of a pattern, is
kept for the outputs. A file that does not exist becomes a failed outcome, and the rest goes on.

Folders may hold a hundred thousand files, so each is looked at once (`os.stat`), and what is kept of it is small.
"""

import glob
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from apps.batch.identity import identity, identity_of
from enhance.io.content import is_recording, names_recording
from enhance.io.task import Outcome, file_path
from enhance.utils.errors import one_line


@dataclass(frozen=True, slots=True)
class Found:
    """One input file.

    Attributes:
        source: its path or URL.
        below: path of its output's folder, relative to the folder of all outputs; empty for that folder itself.
        searched: found in a folder or by a pattern, not named by the person.
        identity: one text for each file, whatever path leads to it.
        modified: when it was written last, seconds since 1970; None when its store does not say.
        size: bytes.
    """

    source: str
    below: str
    searched: bool
    identity: str
    modified: float | None
    size: int


def find_here(text: str, leave_out: str | None, settled: list[Outcome], passed_over: list[str]) -> list[Found]:
    """Return the files that a path or a pattern stands for.

    Args:
        text: path of a file or a folder, or a pattern.
        leave_out: the folder of the outputs: it is not searched.
        settled: outcomes of what is not there or is shut are added here.
        passed_over: files in folders that are no sound and no video are added here.
    """
    path = str(Path(text))
    reason, items = "", []
    try:
        if glob.has_magic(text) and not os.path.lexists(path):
            items = _match(text, settled)
            reason = "no file matches this pattern"
        elif stat.S_ISDIR((status := os.stat(path)).st_mode):
            items = _search(path, leave_out, settled, passed_over)
            reason = "no sound files in this folder"
        elif stat.S_ISREG(status.st_mode):
            items = [_found(path, "", False, status)]
        else:
            reason = _not_a_file(status.st_mode)
    except OSError as error:
        reason = one_line(error)
    except ValueError as error:  # ** that is only part of a name, before Python 3.13
        reason = f"no such pattern: {error}"
    if not items:
        settled.append(Outcome(text, None, "failed", reason))
    return items


def _not_a_file(mode: int) -> str:
    """Return what is wrong with an input of this type (`st_mode`)."""
    advice = "a pipe, not a file; WAV from a program is read so: PROGRAM | mpeace denoise -"
    return advice if stat.S_ISFIFO(mode) else "not a file"


def _found(path: str, below: str, searched: bool, status: os.stat_result) -> Found:
    return Found(file_path(path), below, searched, identity_of(status), status.st_mtime, status.st_size)


def _match(pattern: str, settled: list[Outcome]) -> list[Found]:
    parts = Path(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    base = Path(*parts[:fixed])
    items = []
    for path in sorted(base.glob(str(Path(*parts[fixed:])))):
        if not path.name.startswith(".") and (status := _file(str(path), settled)):
            below = str(path.parent.relative_to(base))
            items.append(_found(str(path), "" if below == "." else below, True, status))
    return items


def _search(folder: str, leave_out: str | None, settled: list[Outcome], passed_over: list[str]) -> list[Found]:
    items: list[Found] = []
    outputs = None if leave_out is None else identity(leave_out)
    pending = [("" if folder == "." else folder, "")]
    while pending:
        place, below = pending.pop()
        try:
            with os.scandir(place or ".") as entries:
                names = sorted((entry.name, _is_folder(entry)) for entry in entries if entry.name[0] != ".")
        except OSError as error:
            settled.append(Outcome(place or ".", None, "failed", one_line(error)))
            continue
        inner = []
        for name, is_folder in names:
            path = os.path.join(place, name)
            if is_folder:
                if not os.path.islink(path) and identity(path) != outputs:
                    inner.append((path, os.path.join(below, name)))
            elif status := _file(path, settled):
                if names_recording(os.path.splitext(name)[1]) or is_recording(Path(path)):
                    items.append(_found(path, below, True, status))
                else:
                    passed_over.append(path)
        pending += inner[::-1]
    return items


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links: `_file` says so
        return False


def _file(path: str, settled: list[Outcome]) -> os.stat_result | None:
    """Return what a found name is if it is a file. One that cannot be examined becomes a failed outcome."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):  # a link that leads nowhere
        return None
    except OSError as error:
        settled.append(Outcome(path, None, "failed", one_line(error)))
        return None
    return status if stat.S_ISREG(status.st_mode) else None
