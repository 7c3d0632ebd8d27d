"""Measurements of a sound to draw: short-time spectra and levels of input (dry) and network output (wet).

Both are kept in a form from which every mix follows without the sound: spectra add as complex numbers, and the energy
of dry + weight * (wet - dry) follows from three energies. So a new strength is drawn at once, however long the file is.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from apps.demo.remix import Track

COLUMNS = 800  # of a picture at most: a longer sound is looked at in places
INTERVALS = 400  # of the level curves at most
SHORTEST_INTERVAL = 0.05  # seconds
WINDOW_SECONDS = 0.0427  # 2048 samples at 48 kHz
FLOOR_DB = -120.0


@dataclass(frozen=True)
class Shares:
    """A signal as a mix: `dry` parts of the input and `wet` parts of the network's output."""

    dry: float
    wet: float


def shares(weight: float) -> dict[str, Shares]:
    """Return the shares of input, result, and the difference between them."""
    return {"noisy": Shares(1, 0), "cleaned": Shares(1 - weight, weight), "removed": Shares(weight, -weight)}


class Analysis:
    """Spectra and levels of a track.

    Args:
        track: the sound, of any length and with any number of channels (spectra are those of their mean).
    """

    def __init__(self, track: Track) -> None:
        self.sample_rate, self.seconds = track.sample_rate, track.seconds
        self.window = 2 ** round(np.log2(max(WINDOW_SECONDS * track.sample_rate, 16)))
        dry, wet = track.sound()
        self._spectra = [self._spectrum(samples) for samples in (dry, wet)]
        self._energies = self._levels(dry, wet)

    def power(self, share: Shares) -> np.ndarray:
        """Return the power spectrogram, float32 [columns, bins]; a full-scale sine reaches about 1."""
        dry, wet = self._spectra
        return np.square(np.abs(share.dry * dry + share.wet * wet)).astype(np.float32)

    def level_db(self, share: Shares) -> np.ndarray:
        """Return the RMS over all channels in dB relative to full scale, [intervals] of equal length."""
        a, b = share.dry, share.wet
        dry, wet, cross = self._energies
        energy = a * a * dry + b * b * wet + 2 * a * b * cross
        return 10 * np.log10(np.maximum(energy, 10 ** (FLOOR_DB / 10)))

    @cached_property
    def loudest(self) -> float:
        """Highest power of the input's spectrogram: the top of the scale that all pictures share."""
        return float(max(self.power(Shares(1, 0)).max(initial=0.0), 1e-9))

    def _spectrum(self, samples: np.ndarray) -> np.ndarray:
        """Return the STFT, complex64 [columns, bins]; the columns' centres are spread evenly over the sound."""
        size = self.window
        columns = int(np.clip(len(samples) // (size // 8), 1, COLUMNS))
        shape = np.hanning(size + 1)[:-1].astype(np.float32)
        shape /= shape.sum() / 2
        frames = np.zeros((columns, size), np.float32)
        for column, centre in enumerate(np.linspace(0, len(samples), columns).astype(int)):
            start = max(0, centre - size // 2)
            piece = samples[start : centre + size // 2].mean(axis=1)
            offset = start - (centre - size // 2)
            frames[column, offset : offset + len(piece)] = piece
        return np.fft.rfft(frames * shape, axis=1).astype(np.complex64)

    def _levels(self, dry: np.ndarray, wet: np.ndarray) -> np.ndarray:
        """Return the means of dry^2, wet^2 and dry * wet in each interval, [3, intervals]."""
        intervals = int(np.clip(self.seconds / SHORTEST_INTERVAL, 1, INTERVALS))
        edges = np.linspace(0, len(dry), intervals + 1).astype(int)
        energies = np.zeros((3, intervals))
        for number, (start, end) in enumerate(pairwise(edges)):
            if end > start:
                a, b = dry[start:end].astype(np.float64), wet[start:end].astype(np.float64)
                energies[:, number] = np.mean(a * a), np.mean(b * b), np.mean(a * b)
        return energies
