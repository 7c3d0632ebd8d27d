"""Masking experiments: a masker, a probe that it masks, and a probe of the same energy that it does not mask.

After Zwicker and Fastl, "Psychoacoustics" (doi:10.1007/978-3-540-68888-4), chapter 4: narrow-band noise, low-passed
noise and a harmonic complex mask a tone near them, the more the nearer, and above their frequency further than below.
The audible probe is a tone at 3 kHz, beyond all of them.

Each seed draws centre, width and phases anew. With one fixed masker the result would hang on where its edges lie
between the encoder's scale-factor bands: a probe in a band that is empty otherwise is always coded. So the selectivity
of V9 for a noise band of fixed width around 1 kHz and a probe at 1.25 kHz is 3 dB (100 Hz wide), 8 (200 Hz), 15 to 20
(300 Hz).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from emulator.training.masking_stimuli import noise_band, tone
from enhance.dsp.int16 import FULL_SCALE

SECONDS = 1.0
RAMP_SECONDS = 0.02
MASKER_DB = -25.0  # dBFS (RMS). Under about -28 a probe at -55 dB falls under LAME's threshold in quiet, heard or not
CENTRE_HZ, WIDTH_HZ = (975.0, 1025.0), (200.0, 280.0)  # of the noise band
SPREAD_HZ = 1250.0  # the probe that the noise band masks by spreading, a critical band above its edge
NARROW_ABOVE_HZ = 100.0  # from the upper edge of the noise band to the probe close to it
LOW_NOISE_HZ = (40.0, 2000.0)
LOW_PROBE_HZ = (500.0, 1500.0)
BASE_HZ, HIGHEST_HZ, BETWEEN = (180.0, 220.0), 2000.0, 4.5  # the complex, and its probe in multiples of the base
AUDIBLE_HZ = 3000.0
DISTANCES_HZ = (700.0, 1000.0, 1150.0, 1250.0, 1400.0, 1600.0, 2000.0, 2500.0)
"""Frequencies of the probe in the experiment over distance; the masker is the noise band."""


class Trial(NamedTuple):
    """Signals `[time]`, float32."""

    masker: np.ndarray  # of 16-bit samples, whose rounding is the floor of where it is empty
    masked: np.ndarray  # masker and masked probe
    audible: np.ndarray  # masker and audible probe


@dataclass(frozen=True)
class Experiment:
    """Masker, masked probe, and the levels of the probe relative to the masker.

    Args:
        name: in tables.
        draw: (samples, sample rate, generator) to the masker of RMS 1 and the frequency of the masked probe, Hz.
        levels_db: of both probes.
    """

    name: str
    draw: Callable[[int, int, np.random.Generator], tuple[np.ndarray, float]]
    levels_db: tuple[float, ...]


def _band(samples: int, sample_rate: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return noise band, and its upper edge."""
    centre, width = rng.uniform(*CENTRE_HZ), rng.uniform(*WIDTH_HZ)
    return noise_band(samples, sample_rate, centre - width / 2, centre + width / 2, rng), centre + width / 2


def _at(hertz: float, samples: int, sample_rate: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    return _band(samples, sample_rate, rng)[0], hertz


def _narrow(samples: int, sample_rate: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    masker, edge = _band(samples, sample_rate, rng)
    return masker, edge + NARROW_ABOVE_HZ


def _low(samples: int, sample_rate: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    return noise_band(samples, sample_rate, *LOW_NOISE_HZ, rng), rng.uniform(*LOW_PROBE_HZ)


def _harmonic(samples: int, sample_rate: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    base = rng.uniform(*BASE_HZ)
    parts = [tone(samples, sample_rate, base * number, rng) for number in range(1, int(HIGHEST_HZ / base) + 1)]
    return np.sum(parts, axis=0) / np.sqrt(len(parts)), BETWEEN * base


SPREAD = Experiment("spread", partial(_at, SPREAD_HZ), (-35.0, -40.0, -45.0, -50.0, -55.0))
EXPERIMENTS = (
    SPREAD,
    Experiment("narrow", _narrow, (-25.0, -30.0)),
    Experiment("low", _low, (-25.0, -40.0)),
    Experiment("harmonic", _harmonic, (-25.0, -40.0)),
)
DISTANCES = tuple(Experiment(f"at {hertz:.0f} Hz", partial(_at, hertz), (-45.0,)) for hertz in DISTANCES_HZ)


def trial(experiment: Experiment, level_db: float, sample_rate: int, seed: int) -> Trial:
    """Return one draw of an experiment.

    Args:
        experiment: which.
        level_db: of the probes relative to the masker.
        sample_rate: Hz.
        seed: of all its randomness; one masker serves all levels.

    Example:
        >>> signals = trial(SPREAD, -35.0, 16_000, seed=0)
        >>> probes = [signals.masked - signals.masker, signals.audible - signals.masker]
        >>> [round(float(10 * np.log10(np.mean(probe**2)))) for probe in (signals.masker, *probes)]
        [-25, -60, -60]
    """
    rng = np.random.default_rng(seed)
    samples = round(SECONDS * sample_rate)
    masker, hertz = experiment.draw(samples, sample_rate, rng)
    probe = 10 ** (level_db / 20) * tone(samples, sample_rate, hertz, rng)
    control = 10 ** (level_db / 20) * tone(samples, sample_rate, AUDIBLE_HZ, rng)
    gain = 10 ** (MASKER_DB / 20) * _envelope(samples, round(RAMP_SECONDS * sample_rate))
    rounded = np.rint(gain * masker * FULL_SCALE) / FULL_SCALE
    return Trial(*(x.astype(np.float32) for x in (rounded, rounded + gain * probe, rounded + gain * control)))


def _envelope(samples: int, ramp: int) -> np.ndarray:
    rise = np.minimum(np.arange(samples) + 0.5, ramp) / ramp
    return np.sin(0.5 * np.pi * np.minimum(rise, rise[::-1])) ** 2
