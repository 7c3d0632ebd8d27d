"""`enhance.train` in a process of its own, for commands that compare trainings."""

import sys
from collections.abc import Sequence
from pathlib import Path

from enhance.model.checkpoint import load_checkpoint
from enhance.training.run_state import LAST
from enhance.utils.command import wait_out


def train(settings: Sequence[str], steps: int, folder: Path, arguments: Sequence[str]) -> float:
    """Run `enhance.train` in a process of its own; return the minutes of training, those before a stop among them.

    Raises:
        RuntimeError: the training failed.
        KeyboardInterrupt: after Ctrl-C, when the training has written its checkpoint.
    """
    command = [sys.executable, "-m", "enhance.train", "--out", str(folder), *arguments, "--set", f"steps={steps}"]
    if status := wait_out([*command, *settings]):
        raise RuntimeError(f"training in '{folder}' failed with exit status {status}; see above")
    return load_checkpoint(folder / LAST)["seconds"] / 60
