"""How raw samples in a pipe are to be read, as the person names it: `s16le:16000:1`, names as in ffmpeg.

Light on purpose: the command line imports it to read its options.
"""

from typing import NamedTuple

from enhance.utils.errors import UsageError

SUBTYPES = {
    "u8": "PCM_U8",
    "s16le": "PCM_16",
    "s24le": "PCM_24",
    "s32le": "PCM_32",
    "f32le": "FLOAT",
    "f64le": "DOUBLE",
}
MOST_CHANNELS = 64


class RawFormat(NamedTuple):
    """Sample format, rate and channels of samples without a header.

    Example:
        >>> RawFormat.parse("s16le:16000:1")
        RawFormat(name='s16le', sample_rate=16000, channels=1)
    """

    name: str  # in SUBTYPES
    sample_rate: int  # Hz
    channels: int

    @property
    def subtype(self) -> str:
        """Name of the sample format in libsndfile."""
        return SUBTYPES[self.name]

    def __str__(self) -> str:
        return f"{self.name}:{self.sample_rate}:{self.channels}"

    @classmethod
    def parse(cls, text: str) -> "RawFormat":
        """Read FORMAT:RATE:CHANNELS; without the last, one channel. S16_LE, as ALSA writes it, is s16le.

        Raises:
            UsageError: for anything else.
        """
        name, *numbers = text.split(":")
        name = name.lower().replace("_", "").replace("float", "f32")
        whole = all(number.isdecimal() and len(number) < 10 for number in numbers)
        if name not in SUBTYPES or not 1 <= len(numbers) <= 2 or not whole:
            known = ", ".join(SUBTYPES)
            raise UsageError(f"--raw {text}: expected FORMAT:RATE:CHANNELS, as s16le:16000:1, FORMAT one of {known}")
        sample_rate, channels = map(int, [*numbers, "1"][:2])
        if not 1000 <= sample_rate <= 768_000:
            raise UsageError(f"--raw {text}: the rate is {sample_rate} Hz, expected 1000 to 768000")
        if not 1 <= channels <= MOST_CHANNELS:
            raise UsageError(f"--raw {text}: {channels} channels, expected 1 to {MOST_CHANNELS}")
        return cls(name, sample_rate, channels)
