"""The `mpeace` command as tests run it: in this process where they can, in one of its own where they must."""

import contextlib
import io
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import soundfile

from apps.cli import main
from enhance.io.task import PARTIAL

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def problems(self) -> list[str]:
        """The lines that tell of a problem."""
        return [line for line in self.stderr.splitlines() if line.startswith("mpeace: ")]


def mpeace(*arguments: object) -> Ended:
    """Run the command in this process; one file is also denoised in it, several are in others."""
    out, err = io.StringIO(), io.StringIO()
    here = patch("apps.batch.denoise_all.SINGLE_FILE_APART", False)
    with here, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return Ended(status, out.getvalue(), err.getvalue())


def start(*arguments: object, before: Sequence[str] = (), **options: object) -> subprocess.Popen[bytes]:
    """Start the command in a process (and process group) of its own, by the words `before` it."""
    command = [*before, sys.executable, "-m", "apps.cli", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True, **options)  # type: ignore[call-overload]


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """File permissions bind everybody but root, so root becomes somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def read(path: Path) -> np.ndarray:
    """A sound file as float32 [channels, samples]."""
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


def write(path: Path, audio: np.ndarray, sample_rate: int = 48_000, **options: str) -> Path:
    """Write [channels, samples] (or [samples]) to a sound file, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.atleast_2d(audio).T, sample_rate, **options)  # type: ignore[arg-type]
    return path


def partial_files(folder: Path) -> list[Path]:
    """Outputs that were begun and not finished."""
    return list(folder.rglob(f"*{PARTIAL}"))


def write_silence(path: Path, seconds: int) -> Path:
    """A WAV of silence, 16 bits mono at 48 kHz, that takes no room on the disk."""
    size = 2 * 48_000 * seconds
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, 48_000, 96_000, 2, 16, b"data", size
    )
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)
    return path
