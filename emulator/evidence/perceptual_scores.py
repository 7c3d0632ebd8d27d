"""What the outputs of the paper's experiment are judged by: stand-ins for listeners that no loss was trained on.

- ViSQOL in audio mode (Chinen et al., "ViSQOL v3", QoMEX 2020, arXiv:2004.09584; package `visqol-python`): MOS-LQO,
  1 to 4.73. It compares gammatone spectrograms.
- Zimtohrli (Google; package `zimtohrli`): a distance of 0 up, made for coding artefacts near the threshold of hearing.
- The total noise-to-mask ratio on the Bark scale, dB (`emulator.losses.noise_to_mask`).
- The log-spectral distance, dB (`emulator.model.spectrum`).

The first two want 48 kHz, so both signals are resampled by soxr; above 8 kHz both are empty. None of the four sees
phase. The SI-SDR stands beside them to tell what became of the waveform; it is no judge of quality.
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from emulator.losses.noise_to_mask import noise_to_mask_ratio
from emulator.model.spectrum import log_spectral_distance, power, stft, unit_window
from enhance.evaluation.metrics import si_sdr

Audio = NDArray[np.float32]

JUDGE_RATE = 48_000  # Hz, of ViSQOL's audio mode and of Zimtohrli
WORST_VISQOL = 1.0
LSD_WINDOW, LSD_HOP = 1024, 256  # samples
PACKAGES = ("visqol-python", "zimtohrli", "soxr", "numba")


@dataclass(frozen=True)
class Score:
    """Label, digits and direction of a score."""

    label: str
    unit: str
    digits: int
    higher_is_better: bool
    judges: bool = True  # takes part in the verdict


SCORES = {
    "visqol": Score("ViSQOL", "MOS", 3, True),
    "zimtohrli": Score("Zimtohrli distance", "x 1000", 2, False),
    "nmr": Score("Noise-to-mask ratio", "dB", 2, False),
    "lsd": Score("Log-spectral distance", "dB", 2, False),
    "si_sdr": Score("SI-SDR", "dB", 2, True, judges=False),
}


class Judge:
    """All scores of an estimate. It is made once for each process and is not shared between threads.

    Args:
        sample_rate: of the signals, Hz.

    Raises:
        RuntimeError: ViSQOL or Zimtohrli is not installed.

    Example:
        >>> judge = Judge(16_000)
        >>> target = 0.1 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
        >>> scores = judge(target, target)
        >>> {name: round(scores[name], 1) for name in ("visqol", "zimtohrli", "nmr", "lsd")}
        {'visqol': 4.7, 'zimtohrli': 0.0, 'nmr': -100.0, 'lsd': 0.0}
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # processes share the cores, not threads; read at import
        try:
            import zimtohrli
            from visqol import VisqolApi
        except ImportError as error:
            raise RuntimeError(f"{error}: the scores need it; pip install 'mpeace[eval]'") from error
        self._visqol: Any = VisqolApi()
        self._visqol.create(mode="audio")
        self._zimtohrli: Any = zimtohrli.Pyohrli()

    def __call__(self, estimate: Audio, target: Audio) -> dict[str, float]:
        """Return scores by the names in `SCORES`.

        Args:
            estimate: ``[time]``, full scale 1, aligned with the target.
            target: of the same shape, not silent.

        Raises:
            ValueError: the shapes differ, or a signal is not finite.
        """
        if estimate.shape != target.shape or target.ndim != 1:
            raise ValueError(f"expected two signals of one shape [time], got {estimate.shape} and {target.shape}")
        if not (np.isfinite(estimate).all() and np.isfinite(target).all()):
            raise ValueError("the signals to be judged hold NaN or infinite samples")
        ours, theirs = (_at_judge_rate(audio, self.sample_rate) for audio in (estimate, target))
        pair = torch.from_numpy(np.stack([estimate, target]).astype(np.float32))
        spectra = power(stft(pair, unit_window(LSD_WINDOW), LSD_HOP))
        return {
            "visqol": self._rate(ours, theirs) if estimate.any() else WORST_VISQOL,
            "zimtohrli": 1000 * float(self._zimtohrli.distance(theirs, ours)),
            "nmr": float(noise_to_mask_ratio(pair[0], pair[1], self.sample_rate)),
            "lsd": float(log_spectral_distance(spectra[:1], spectra[1:])),
            "si_sdr": si_sdr(estimate, target, self.sample_rate),
        }

    def _rate(self, estimate: NDArray[np.float64], target: NDArray[np.float64]) -> float:
        """Return ViSQOL's MOS; it has none for silence."""
        return float(self._visqol.measure_from_arrays(target, estimate, sample_rate=JUDGE_RATE).moslqo)


def _at_judge_rate(audio: Audio, sample_rate: int) -> NDArray[np.float64]:
    return np.asarray(soxr.resample(audio.astype(np.float64), sample_rate, JUDGE_RATE))
