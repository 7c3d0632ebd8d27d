"""A denoiser that remembers: the network runs once, and another strength is a new mix of what it gave.

`CachedDenoiser` stands in for `enhance.Denoiser` in `enhance.io.denoise_file`, so that each rendering is the command
line's own job with its formats, tags and rounding. The mix is linear, out = dry + weight * (wet - dry), see
`enhance.runtime.strength`; so the samples of input (dry) and network (wet) are kept on the disk, cut as the stream gave
them, and given again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from enhance.dsp.audio_fifo import AudioFifo
from enhance.runtime.link import Link
from enhance.runtime.strength import Strength, blend

if TYPE_CHECKING:
    from enhance import Denoiser
    from enhance.runtime.stream import Stream


@dataclass
class Track:
    """The sound of one stream on the disk: float32, channels interleaved.

    Attributes:
        dry, wet: files of the input and of the network's output.
        sample_rate: Hz.
        channels: number of channels.
        pieces: samples per channel that each call of the stream gave, the flush at the end included.
    """

    dry: Path
    wet: Path
    sample_rate: int
    channels: int
    pieces: list[int] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Samples per channel."""
        return sum(self.pieces)

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return self.frames / self.sample_rate

    def sound(self) -> tuple[np.ndarray, np.ndarray]:
        """Map input and output of the network, float32 [samples, channels], from the disk."""
        if self.frames == 0:
            empty = np.zeros((0, self.channels), np.float32)
            return empty, empty
        shape = (self.frames, self.channels)
        return np.memmap(self.dry, np.float32, "r", shape=shape), np.memmap(self.wet, np.float32, "r", shape=shape)


class CachedDenoiser:
    """Stands in for a `Denoiser` while one file is denoised again and again.

    Args:
        denoiser: the model.
        folder: for the samples.
        tracks: of a file that is complete, whose samples are reused; None runs the network and notes them.
    """

    def __init__(self, denoiser: "Denoiser", folder: Path, tracks: list[Track] | None = None) -> None:
        self.info, self.path = denoiser.info, denoiser.path
        self.tracks: list[Track] = tracks or []
        self._denoiser = denoiser
        self._folder = folder
        self._complete = tracks is not None
        self._next = 0

    def stream(
        self,
        sample_rate: int,
        channels: int = 1,
        *,
        attenuation_limit_db: float | None = None,
        mix: float = 1.0,
        link: Link | str = Link.OFF,
    ) -> "_Recorder | _Player":
        """Open a stream as `Denoiser.stream` does. Of a complete file, the n-th one repeats the n-th."""
        weight = np.float32(Strength(attenuation_limit_db, mix).weight)
        if self._complete:
            self._next += 1
            return _Player(self.tracks[self._next - 1], weight)
        number = len(self.tracks)
        track = Track(self._folder / f"{number}.dry", self._folder / f"{number}.wet", sample_rate, channels)
        self.tracks.append(track)
        return _Recorder(self._denoiser.stream(sample_rate, channels, link=link), track, weight)

    def again(self, folder: Path) -> "CachedDenoiser":
        """Return a copy whose samples lie in another folder."""
        moved = [replace(track, dry=folder / track.dry.name, wet=folder / track.wet.name) for track in self.tracks]
        return CachedDenoiser(self._denoiser, folder, moved)


class _Recorder:
    """Runs the network, keeps what goes in and out, and gives their mix."""

    def __init__(self, stream: "Stream", track: Track, weight: np.float32) -> None:
        self._stream, self._track, self._weight = stream, track, weight
        self._waiting = AudioFifo(track.channels)

    def process(self, block: np.ndarray) -> np.ndarray:
        wet = self._stream.process(block)
        self._waiting.push(block)
        return self._keep(wet)

    def flush(self) -> np.ndarray:
        return self._keep(self._stream.flush())

    def _keep(self, wet: np.ndarray) -> np.ndarray:
        dry = self._waiting.pop(wet.shape[1])
        self._track.pieces.append(wet.shape[1])
        for path, samples in ((self._track.dry, dry), (self._track.wet, wet)):
            with path.open("ab") as file:  # opened anew for each piece, so that a job that fails leaves nothing open
                file.write(np.ascontiguousarray(samples.T).data)
        return blend(dry, wet, self._weight)


class _Player:
    """Gives the mix of what was kept, in the same pieces; what comes in is known already."""

    def __init__(self, track: Track, weight: np.float32) -> None:
        self._pieces = self._read(track, weight)

    def process(self, block: np.ndarray) -> np.ndarray:
        return next(self._pieces)

    def flush(self) -> np.ndarray:
        return next(self._pieces)

    @staticmethod
    def _read(track: Track, weight: np.float32) -> Iterator[np.ndarray]:
        dry, wet = track.sound()
        start = 0
        for length in track.pieces:
            piece = slice(start, start + length)
            yield blend(np.array(dry[piece].T), np.array(wet[piece].T), weight)
            start += length
