"""Some channels of a sound denoised, the others left as they are: for calls with one person on each side."""

from typing import Protocol

import numpy as np

from enhance.utils.errors import FileError


class BlockStream(Protocol):
    """A denoiser of blocks, float32 [channels, samples]: as many samples come out as went in, some of them later."""

    def process(self, block: np.ndarray, /) -> np.ndarray: ...

    def flush(self) -> np.ndarray: ...


class ChosenChannels:
    """A stream over all channels that denoises some; the others wait for them, and stay as they are.

    Args:
        stream: denoises the chosen channels.
        chosen: their places.
        channels: number of all channels.
    """

    def __init__(self, stream: BlockStream, chosen: list[int], channels: int) -> None:
        self._stream, self._chosen = stream, chosen
        self._waiting = np.zeros((channels, 0), np.float32)

    def process(self, block: np.ndarray) -> np.ndarray:
        """Take float32 [channels, samples], give what is ready, float32 [channels, any]."""
        self._waiting = np.concatenate([self._waiting, block], axis=1)
        return self._beside(self._stream.process(block[self._chosen]))

    def flush(self) -> np.ndarray:
        """Return the rest, float32 [channels, any]."""
        return self._beside(self._stream.flush())

    def _beside(self, denoised: np.ndarray) -> np.ndarray:
        ready, self._waiting = np.split(self._waiting, [denoised.shape[1]], axis=1)
        whole = ready.copy()
        whole[self._chosen] = denoised
        return whole


def choose_channels(wanted: tuple[int, ...], channels: int) -> list[int]:
    """Return the places of the channels to denoise, by their numbers from 1; all when none is named.

    Raises:
        FileError: when there is no such channel.
    """
    missing = next((number for number in wanted if number > channels), None)
    if missing is not None:
        raise FileError(f"--channels names channel {missing}, but it has only {channels}")
    return sorted({number - 1 for number in wanted}) or list(range(channels))
