"""What is to be done with one file, and what became of it: plain values for other processes and for reports."""

import math
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from enhance.io.options import DenoiseOptions
from enhance.io.remote.address import is_url, shown
from enhance.runtime.speech_segments import SpeechSegment
from enhance.utils.errors import FileError, one_line

OnProgress = Callable[[float, float | None], object]  # seconds of sound that are done, and of the whole if known
Status = Literal["done", "skipped", "failed"]
PIPE = "-"  # standard input or output
PARTIAL = ".mpeace-part"  # ends the name of an output that is not finished


@dataclass(frozen=True, slots=True)
class Task:
    """One file to denoise.

    Attributes:
        source: path or URL of the input, or `PIPE`.
        target: path or URL of the output, or `PIPE`.
        partial: path to write to, in the folder of the target, which then takes the target's name in one step.
        container: name in `enhance.io.formats.CONTAINERS` that the person gave the output; None keeps the input's.
        size: bytes of the input, as far as they are known.
        spool: folder for local copies of what has a URL; empty when neither has one.
        options: for this file only; None for those of the batch.
    """

    source: str
    target: str
    partial: str
    container: str | None = None
    size: int = 0
    spool: str = ""
    options: DenoiseOptions | None = None


def file_path(path: str) -> str:
    """Return the path of a file; of one that is called `-` in a form that no library takes for a pipe.

    Example:
        >>> file_path("a.wav"), file_path("-") == os.path.abspath("-")
        ('a.wav', True)
    """
    return os.path.abspath(path) if path == PIPE else path  # noqa: PTH100


def partial_of(target: Path | str) -> str:
    """Return a path to write to until the target is whole: in its folder, under a name that no other program has."""
    folder = os.path.dirname(target)  # noqa: PTH120 - quick, for many files
    return os.path.join(folder, f".{secrets.token_hex(6)}{PARTIAL}")  # noqa: PTH118


def check_name(path: str, what: str, kind: type[FileError] = FileError) -> None:
    """Check that a text can be the path of a file on this machine.

    Args:
        path: as it was given.
        what: it is of, for the message.
        kind: of the error.

    Raises:
        FileError: it cannot.
    """
    try:
        reason = "there is a NUL in it" if b"\0" in os.fsencode(path) else ""
    except UnicodeEncodeError:
        reason = "there is half a character in it (a lone surrogate)"
    if reason:
        raise kind(f"{what} {path!r} is no name of a file: {reason}")


def check_target(target: str, kind: type[FileError] = FileError) -> None:
    """Check that an output is a file, or nothing yet: what takes the name of a folder, device or pipe destroys it.

    Args:
        target: path or URL as it was given; of a URL, which is known to its store only, the end is looked at.
        kind: of the error.

    Raises:
        FileError: it is something else, or nobody can say what it is.
    """
    if target.endswith(("/", os.sep)):
        raise kind(f"the output {shown(target)} is a folder; name a file")
    if is_url(target):
        return
    check_name(target, "the output", kind)
    try:
        is_file = stat.S_ISREG(os.stat(target).st_mode)  # noqa: PTH116 - quick, for many files
    except (FileNotFoundError, NotADirectoryError):
        is_file = not os.path.lexists(target)  # a link that leads nowhere is there
    except OSError as error:
        raise kind(f"the output {target} cannot be reached: {one_line(error)}") from None
    if not is_file:
        raise kind(f"the output {target} is there and is no file")


def decibels(energy: float, samples: int) -> float | None:
    """Return the level of samples with this sum of squares, dB relative to full scale; None for silence.

    Example:
        >>> decibels(25.0, 100), decibels(0.0, 100), decibels(0.0, 0)
        (-6.02, None, None)
    """
    return round(10 * math.log10(energy / samples), 2) if energy > 0 else None


@dataclass(slots=True)
class Outcome:
    """Result for one input.

    Attributes:
        input, output: paths, or `PIPE`.
        status: done, skipped (it was there), failed.
        message: why it failed or was skipped; one line.
        notes: what a person should know about a file that was done.
        seconds: length of the sound.
        samples: of each channel of the output.
        input_dbfs, output_dbfs: level (RMS over all channels), dB relative to full scale; None for silence.
        elapsed: seconds of work.
        cpu_seconds: of this process during the work.
        sha256: of the output, in hexadecimal digits; None when it was not asked for.
        sample_rate, channels, format, subtype: of the output.
        clamped: samples over full scale that were clamped.
        gain: factor that made the peak fit, with `--clip rescale`.
        speech: segments of speech, on the clock of the file, by the number of the sound track from 1; None where they
            were not looked for.
    """

    input: str
    output: str | None
    status: Status
    message: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    samples: int = 0
    input_dbfs: float | None = None
    output_dbfs: float | None = None
    elapsed: float = 0.0
    cpu_seconds: float = 0.0
    sha256: str | None = None
    sample_rate: int | None = None
    channels: int | None = None
    format: str | None = None
    subtype: str | None = None
    clamped: int = 0
    gain: float = 1.0
    speech: dict[int, list[SpeechSegment]] | None = None

    @property
    def speech_share(self) -> float | None:
        """Share of the time in which somebody speaks, over all sound tracks; None when it is not known."""
        if not self.speech or self.seconds <= 0:
            return None
        spoken = sum(segment.end - segment.start for track in self.speech.values() for segment in track)
        return round(spoken / (len(self.speech) * self.seconds), 4)

    @property
    def speed(self) -> float:
        """Seconds of sound per second of work."""
        return self.seconds / self.elapsed if self.elapsed > 0 else 0.0
