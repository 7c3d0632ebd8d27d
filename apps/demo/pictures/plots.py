"""Plots of a mix: pictures and level curves, computed once for each strength that is looked at."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from apps.demo.pictures import spectrogram_png as spectrogram
from apps.demo.pictures.spectra import Analysis, shares


@dataclass(frozen=True)
class Drawing:
    """Pictures (addresses that hold them) and levels in dB of the noisy, the cleaned and the removed sound."""

    weight: float
    pictures: dict[str, str]
    levels: dict[str, np.ndarray]


def draw(analysis: Analysis, weight: float) -> Drawing:
    """Draw the mix with this share of the network's output."""
    signals = shares(weight)
    weights = _filterbank(analysis.sample_rate, analysis.window // 2 + 1)
    pictures = {
        name: spectrogram.data_address(spectrogram.picture(analysis.power(share), weights, analysis.loudest))
        for name, share in signals.items()
    }
    return Drawing(weight, pictures, {name: analysis.level_db(share) for name, share in signals.items()})


@lru_cache(maxsize=16)
def _filterbank(sample_rate: int, bins: int) -> np.ndarray:
    return spectrogram.filterbank(sample_rate, bins)
