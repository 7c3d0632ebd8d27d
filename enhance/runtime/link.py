"""Whether the channels of a file are denoised together; `enhance.runtime.linked_channels` does it.

NumPy is not imported: the help of the command line needs the names only.
"""

from enum import StrEnum
from typing import NoReturn


class Link(StrEnum):
    """Which channels share one estimate of the voice.

    Example:
        >>> [Link.AUTO.joins(channels) for channels in (1, 2, 6)]
        [False, True, False]
    """

    AUTO = "auto"  # two channels do, as far as they carry the same voice
    ON = "on"  # all do; where they differ they share one mask
    OFF = "off"  # none do: each channel is denoised on its own

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"link {value!r}: expected {', '.join(cls)}")

    def joins(self, channels: int) -> bool:
        """Return whether sound of that many channels is looked at for a common voice."""
        return channels == 2 if self is Link.AUTO else channels > 1 and self is Link.ON
