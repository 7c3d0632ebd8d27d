"""Both sides of the conversation on disk: what came in and what went out, as two FLAC files of the same length.

The output is later than the input by the delay of the network; the recorder takes that out, so the files match sample
by sample. They are written in place, and handed to the system each second: whatever ends the program, the rest can be
played.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from enhance.dsp.audio_fifo import AudioFifo
from enhance.io.bitrate import Compression
from enhance.io.formats import Encoding
from enhance.io.sound.sound_file import SoundWriter
from enhance.utils.errors import FileError, one_line, problem_on_oserror

_FLAC = Encoding("FLAC", "PCM_24")


class Recorder:
    """Writes two files until it is closed.

    Args:
        folder: where.
        sample_rate: Hz.
        channels: of each side.
        delay: samples by which the output is late.

    Attributes:
        paths: of the input's file and the output's.
        frames: written to each.

    Raises:
        FileError: when the files cannot be made.
    """

    def __init__(self, folder: Path, sample_rate: int, channels: int, delay: int) -> None:
        self.paths = _free_names(folder)
        self.frames = 0
        self._unsafe = 0  # frames that are lost should this process be killed
        self._rate, self._channels = sample_rate, channels
        self._early = AudioFifo(channels)  # input whose output is not known yet
        self._skip = delay
        self._writers: list[SoundWriter] = []
        with problem_on_oserror(f"cannot record to {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            for path in self.paths:
                self._writers.append(SoundWriter(path, _FLAC, sample_rate, channels, Compression(), {}))

    @property
    def seconds(self) -> float:
        """Recorded so far."""
        return self.frames / self._rate

    def write(self, given: np.ndarray, out: np.ndarray) -> None:
        """Append both sides of the same frames, float32 [frames, channels].

        Raises:
            FileError: when the disk refuses; the recorder has then closed its files.
        """
        self._early.push(given.T)
        late = min(self._skip, len(out))
        self._skip -= late
        out = out[late:]
        if not len(out):
            return
        with self._whole():
            self._writers[0].write(self._early.pop(len(out)))
            self._writers[1].write(out.T)
            self.frames += len(out)
            self._unsafe += len(out)
            if self._unsafe >= self._rate:
                self._unsafe = 0
                for writer in self._writers:
                    writer.flush()

    def lose(self, frames: int) -> None:
        """Append silence to both sides in the place of frames that nobody has kept.

        Raises:
            FileError: as `write`.
        """
        for start in range(0, frames, self._rate):
            silence = np.zeros((min(self._rate, frames - start), self._channels), np.float32)
            self.write(silence, silence)

    def close(self) -> None:
        """Finish the files."""
        with self._whole():
            while self._writers:
                self._writers.pop().close()

    def abandon(self) -> None:
        """Close the files in whatever state they are."""
        while self._writers:
            self._writers.pop().abort()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Turn an error of the disk into a `FileError`, once the files are closed."""
        try:
            yield
        except (OSError, FileError) as error:
            self.abandon()
            raise FileError(f"recording stopped at {self.seconds:.1f} s: {one_line(error)}") from error


def _free_names(folder: Path) -> tuple[Path, Path]:
    stem = time.strftime("live-%Y-%m-%d-%H%M%S")
    for number in range(1, 1000):
        name = stem if number == 1 else f"{stem}-{number}"
        paths = folder / f"{name}-in.flac", folder / f"{name}-out.flac"
        if not any(path.exists() for path in paths):
            return paths
    raise FileError(f"cannot record to {folder}: too many recordings of the same second")
