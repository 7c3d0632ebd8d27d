"""Partial files, and folders of local copies, that a killed program left behind."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from enhance.io.task import PARTIAL

_ABANDONED = 3600.0  # seconds without a write after which they belong to no running program


def sweep(folder: str) -> None:
    """Remove those in a folder into which nobody writes any more."""
    with suppress(OSError), os.scandir(folder or ".") as entries:  # no such folder, or shut: who writes there says so
        for entry in entries:
            if entry.name[0] == "." and entry.name.endswith(PARTIAL):
                with suppress(OSError):  # another program has just finished or removed it
                    if time.time() - _written(entry) > _ABANDONED:
                        _remove(entry)


def _written(entry: os.DirEntry[str]) -> float:
    """Return when somebody wrote there last, seconds since 1970."""
    times = [entry.stat(follow_symlinks=False).st_mtime]
    for place, _, names in os.walk(entry.path) if entry.is_dir(follow_symlinks=False) else ():
        times += [Path(place, name).stat().st_mtime for name in names]
    return max(times)


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
    else:
        Path(entry.path).unlink()
