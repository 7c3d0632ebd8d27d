"""What programs made and fetch: each output in a folder that nobody can guess, for a while."""

import secrets
import shutil
import time
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
        """An empty folder. What is old is removed before."""
        self.sweep()
        folder = self._folder / secrets.token_hex(16)
        folder.mkdir(parents=True, mode=0o700)
        return folder

    def sweep(self) -> None:
        """Remove what is old."""
        if not self._folder.is_dir():
            return
        for folder in self._folder.iterdir():
            if time.time() - folder.stat().st_mtime > self._seconds:
                shutil.rmtree(folder, ignore_errors=True)
