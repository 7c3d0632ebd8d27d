"""What the person asked for, as one frozen value that is checked once and handed to every job.

Light on purpose: the command line imports it to build its help, so it must not pull in numpy or a codec.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from numbers import Integral
from typing import Any, NoReturn

from enhance.io.pipes.raw_format import RawFormat
from enhance.runtime.link import Link
from enhance.runtime.strength import Strength
from enhance.utils.errors import UsageError


class Clip(StrEnum):
    """Policy for samples over full scale in a file that cannot hold them."""

    CLAMP = "clamp"
    RESCALE = "rescale"
    FAIL = "fail"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"clip {value!r}: expected {', '.join(cls)}")


@dataclass(frozen=True)
class DenoiseOptions:
    """Strength, model and output format, checked.

    Attributes:
        model: registered name or path of an ONNX file; None for the default of streams.
        attenuation_limit_db: the most that noise is lowered, dB >= 0; None for no limit.
        mix: 0 gives the input back, 1 the denoised sound.
        container: name of the output container in `enhance.io.formats.CONTAINERS`; None keeps the input's.
        subtype: sample encoding as libsndfile names it (PCM_16, FLOAT, ...); None keeps the input's.
        sample_rate: of the output in Hz; None keeps the input's.
        clip: policy for samples over full scale.
        salvage: denoise what is there of a sound file that was cut off, instead of refusing it.
        raw: what comes on standard input, where it is no WAV; standard output is then the same.
        channels: numbers from 1 of the channels to denoise, the others stay as they are; empty for all.
        link: whether the channels share one estimate of a voice that they carry.
        tracks: sound tracks of M4A and video that are meant, by number from 1, language or title; empty for all.
        speech_threshold: of the speech probability, by which segments of speech are found; None: they are not.
        sha256: find the SHA-256 of each output, too.

    Raises:
        UsageError: on a value out of range.
    """

    model: str | None = None
    attenuation_limit_db: float | None = None
    mix: float = 1.0
    container: str | None = None
    subtype: str | None = None
    sample_rate: int | None = None
    clip: Clip = Clip.CLAMP
    salvage: bool = False
    raw: RawFormat | None = None
    channels: tuple[int, ...] = ()
    link: Link = Link.AUTO
    tracks: tuple[str, ...] = ()
    speech_threshold: float | None = None
    sha256: bool = False

    def __post_init__(self) -> None:
        try:
            Strength(self.attenuation_limit_db, self.mix)
        except ValueError as error:
            raise UsageError(f"--{error}".replace("attenuation limit", "attenuation-limit")) from None
        if self.subtype == "":
            raise UsageError("--subtype is empty: expected PCM_16, PCM_24, FLOAT, ...")
        if self.speech_threshold is not None and not 0 <= self.speech_threshold <= 1:
            raise UsageError(f"--speech-threshold {self.speech_threshold:g}: expected a probability from 0 to 1")


def checked_rate(sample_rate: int | None) -> int | None:
    """Return the sample rate that was asked for, if it is possible.

    Raises:
        UsageError: it is out of range.
    """
    if sample_rate is None:
        return None
    from enhance.dsp.rate import check_sample_rate

    try:
        return check_sample_rate(sample_rate)
    except ValueError as error:
        raise UsageError(f"--{error}".replace("sample rate", "sample-rate")) from None


def parse_channels(text: str) -> tuple[int, ...]:
    """Return the channels that a text names: numbers from 1 and the words left and right, with commas between.

    Raises:
        UsageError: it names none.

    Example:
        >>> parse_channels("left, 4")
        (1, 4)
    """
    words = [word.strip().lower() for word in text.split(",")]
    numbers = [{"left": "1", "right": "2"}.get(word, word) for word in words]
    if not all(number.isascii() and number.isdigit() and len(number) < 10 and int(number) > 0 for number in numbers):
        raise UsageError(f"--channels takes numbers from 1, left or right, with commas between, not {text!r}")
    return tuple(map(int, numbers))


def checked_channels(channels: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of channels that a program names.

    Raises:
        ValueError: they are no list of whole numbers from 1.

    Example:
        >>> checked_channels([1, 3])
        (1, 3)
    """
    numbers = _listed(channels)
    if numbers is None or not all(isinstance(number, Integral) and int(number) >= 1 for number in numbers):
        raise ValueError(f"channels {channels!r}: expected a list of whole numbers from 1, as [1, 3]; empty for all")
    return tuple(map(int, numbers))


def checked_tracks(tracks: Sequence[str]) -> tuple[str, ...]:
    """Return the sound tracks that a program names.

    Raises:
        ValueError: they are no list of texts.

    Example:
        >>> checked_tracks(["2", "eng"])
        ('2', 'eng')
    """
    names = _listed(tracks)
    if names is None or not all(isinstance(name, str) for name in names):
        what = "each a number from 1, a language or a title, as ['2', 'eng']"
        raise ValueError(f"tracks {tracks!r}: expected a list of texts, {what}; empty for all")
    return names


def _listed(values: object) -> tuple[Any, ...] | None:
    """Return the items of a list; None for what is none, and for a text, whose items are letters."""
    return tuple(values) if isinstance(values, Iterable) and not isinstance(values, str | bytes) else None
