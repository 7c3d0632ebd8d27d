"""Maskers with faint probes: synthetic sounds from which an emulator learns where the encoder stops hearing.

Recordings seldom hold a faint sound at every distance and level beside a strong one. These do: a masker (narrow-band
noise, low-passed noise, a harmonic complex, a few tones) and, for about four in five, a probe 10 to 65 dB below it (a
tone, a narrow band of noise or a short burst) anywhere in the spectrum, near and far from the masker. The stimuli
follow the masking experiments in Zwicker and Fastl, "Psychoacoustics" (doi:10.1007/978-3-540-68888-4), chapter 4.
"""

import math
from collections.abc import Callable

import numpy as np

RAMP_SECONDS = 0.02  # onset and end of a masker
PROBE_RAMP_SECONDS = 0.01
LOWEST_HZ = 80.0
PROBE_SHARE = 0.8  # of the stimuli that hold a probe at all
PROBE_DB = (-65.0, -10.0)  # level of a probe relative to its masker
NEAR_SHARE = 0.5  # of the probes that lie within an octave above or half an octave below the masker


def _spread(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number between the two, evenly spread in octaves."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def noise_band(samples: int, sample_rate: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """Return Gaussian noise `[samples]` between two frequencies (Hz) with an RMS of 1.

    Example:
        >>> band = noise_band(16_000, 16_000, 900, 1100, np.random.default_rng(0))
        >>> round(float(np.sqrt(np.mean(band**2))), 6)
        1.0
    """
    size = samples + samples % 2
    spectrum = np.zeros(size // 2 + 1, complex)
    first = min(max(1, round(low * size / sample_rate)), size // 2 - 1)
    last = max(first + 1, min(size // 2, round(high * size / sample_rate)))
    spectrum[first:last] = rng.standard_normal(last - first) + 1j * rng.standard_normal(last - first)
    return _unit(np.fft.irfft(spectrum, size)[:samples])


def tone(samples: int, sample_rate: int, hertz: float, rng: np.random.Generator) -> np.ndarray:
    """Return a sine `[samples]` at random phase with an RMS of 1."""
    angle = 2 * np.pi * hertz * np.arange(samples) / sample_rate + rng.uniform(0, 2 * np.pi)
    return math.sqrt(2) * np.sin(angle)


def harmonics(samples: int, sample_rate: int, base: float, highest: float, rng: np.random.Generator) -> np.ndarray:
    """Return a harmonic complex of `base` Hz up to `highest` Hz with a random slope and random phases, RMS 1."""
    slope = rng.uniform(-12.0, 0.0)  # dB per octave
    audio = np.zeros(samples)
    for number in range(1, max(2, int(highest / base) + 1)):
        audio += 10 ** (slope * math.log2(number) / 20) * tone(samples, sample_rate, number * base, rng)
    return _unit(audio)


def _unit(audio: np.ndarray) -> np.ndarray:
    return audio / max(float(np.sqrt(np.mean(np.square(audio)))), 1e-9)


def _ramped(audio: np.ndarray, ramp: int) -> np.ndarray:
    ramp = min(ramp, audio.size // 2)
    edge = np.sin(0.5 * np.pi * (np.arange(ramp) + 0.5) / max(1, ramp)) ** 2
    audio[:ramp] *= edge
    audio[audio.size - ramp :] *= edge[::-1]
    return audio


Masker = tuple[np.ndarray, float]  # sound [samples] of RMS 1, frequency (Hz) that it is centred on


def _narrow(samples: int, sample_rate: int, top: float, rng: np.random.Generator) -> Masker:
    centre, width = _spread(rng, 150.0, 0.8 * top), _spread(rng, 20.0, 600.0)
    low = max(LOWEST_HZ, centre - width / 2)
    return noise_band(samples, sample_rate, low, min(top, low + width), rng), centre


def _low_passed(samples: int, sample_rate: int, top: float, rng: np.random.Generator) -> Masker:
    high = _spread(rng, 500.0, 0.9 * top)
    return noise_band(samples, sample_rate, LOWEST_HZ / 2, high, rng), high


def _complex(samples: int, sample_rate: int, top: float, rng: np.random.Generator) -> Masker:
    base = _spread(rng, LOWEST_HZ, 500.0)
    return harmonics(samples, sample_rate, base, _spread(rng, 4 * base, top), rng), 4 * base


def _tones(samples: int, sample_rate: int, top: float, rng: np.random.Generator) -> Masker:
    frequencies = [_spread(rng, 150.0, 0.9 * top) for _ in range(rng.integers(1, 4))]
    return _unit(sum(tone(samples, sample_rate, f, rng) for f in frequencies) + np.zeros(samples)), frequencies[0]


MASKERS: tuple[Callable[[int, int, float, np.random.Generator], Masker], ...] = (
    _narrow, _narrow, _low_passed, _complex, _tones,
)  # fmt: skip


def _probe(samples: int, sample_rate: int, centre: float, top: float, rng: np.random.Generator) -> np.ndarray:
    near = rng.random() < NEAR_SHARE
    hertz = centre * 2 ** rng.uniform(-0.5, 1.0) if near else _spread(rng, LOWEST_HZ, top)
    hertz = min(max(hertz, LOWEST_HZ), 0.98 * top)
    if rng.random() < 0.5:
        probe = tone(samples, sample_rate, hertz, rng)
    else:
        width = _spread(rng, 20.0, 400.0)
        probe = noise_band(samples, sample_rate, hertz - width / 2, min(hertz + width / 2, top), rng)
    if rng.random() < 0.5:  # a burst in place of a steady sound
        length = round(samples * rng.uniform(0.05, 0.6))
        begin = rng.integers(0, samples - length + 1)
        probe[:begin] = 0
        probe[begin + length :] = 0
        _ramped(probe[begin : begin + length], round(PROBE_RAMP_SECONDS * sample_rate))
    return probe


def masker_and_probe(samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return one stimulus.

    Args:
        samples: its length.
        sample_rate: Hz.
        rng: all its randomness.

    Returns:
        float64 `[samples]`, an RMS of about 1 where it sounds, silent at both ends.

    Example:
        >>> masker_and_probe(8000, 16_000, np.random.default_rng(0)).shape
        (8000,)
    """
    top = 0.47 * sample_rate
    audio, centre = MASKERS[rng.integers(len(MASKERS))](samples, sample_rate, top, rng)
    if rng.random() < PROBE_SHARE:
        level = rng.uniform(*PROBE_DB)
        audio = audio + 10 ** (level / 20) * _probe(samples, sample_rate, centre, top, rng)
    return _ramped(audio, round(RAMP_SECONDS * sample_rate))
