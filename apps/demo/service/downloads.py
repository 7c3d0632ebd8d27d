"""Outputs for programs to fetch: each in a folder that nobody can guess, removed after a while."""

import secrets
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path


class Results:
    """Folders of outputs.

    Args:
        folder: for the folders.
        seconds: after which an output is removed.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds

    def new_folder(self) -> Path:
        """Make an empty folder. Old ones are removed first."""
        self.sweep()
        folder = self._folder / secrets.token_hex(16)
        folder.mkdir(parents=True, mode=0o700)
        return folder

    def sweep(self) -> None:
        """Remove what is old."""
        remove_old(self._folder, self._seconds)


def remove_old(folder: Path, seconds: float, keep: Collection[str] = ()) -> None:
    """Remove files and folders in a folder that did not change for so long, while others may do the same.

    Args:
        folder: need not be there.
        seconds: since the last change of a file, or of what is in a folder.
        keep: names of those that stay.
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):
            if path.name in keep or time.time() - path.stat().st_ctime <= seconds:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
