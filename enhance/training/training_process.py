"""`enhance.train` in a process of its own, for commands that compare trainings."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def train(settings: Sequence[str], steps: int, folder: Path, arguments: Sequence[str]) -> float:
    """Run `enhance.train` in a process of its own; return the minutes it took.

    Raises:
        RuntimeError: the training failed.
    """
    command = [sys.executable, "-m", "enhance.train", "--out", str(folder), *arguments, "--set", f"steps={steps}"]
    begin = time.monotonic()
    finished = subprocess.run([*command, *settings], stdout=subprocess.DEVNULL, check=False)
    if finished.returncode:
        raise RuntimeError(f"training in '{folder}' failed with exit status {finished.returncode}; see above")
    return (time.monotonic() - begin) / 60
