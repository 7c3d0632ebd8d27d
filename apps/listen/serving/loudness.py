"""Matching of loudness by a named rule, and a common gain that keeps an item from clipping.

Loudness is the integrated loudness of ITU-R BS.1770-4, gated, in LUFS, as pyloudnorm measures it. Its gate needs blocks
of 400 ms: shorter or silent sounds have no loudness, which is reported as a problem instead of guessed.
"""

import warnings
from collections.abc import Mapping

import numpy as np
import pyloudnorm

from apps.listen.design.settings import Loudness
from enhance.utils.errors import FileError

BLOCK_SECONDS = 0.4  # a gating block of BS.1770-4
HIGHEST_PEAK = 10 ** (-1 / 20)  # -1 dBFS: what the resampler of a sound card adds between samples still fits


def integrated(audio: np.ndarray, sample_rate: int) -> float:
    """Measure the integrated loudness in LUFS.

    Args:
        audio: [time, channels], 1 or 2 channels.
        sample_rate: Hz.

    Raises:
        FileError: when the sound is too short or too soft to have one.
    """
    if len(audio) < BLOCK_SECONDS * sample_rate:
        seconds = len(audio) / sample_rate
        raise FileError(
            f'{seconds:.2f} s is too short for BS.1770, which needs {BLOCK_SECONDS} s; or set loudness = "none"'
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of means over no block: silence, reported below
        level = float(pyloudnorm.Meter(sample_rate).integrated_loudness(audio.astype(np.float64)))
    if not np.isfinite(level):
        raise FileError('silent for BS.1770 (nothing above -70 LUFS): leave the item out, or set loudness = "none"')
    return level


def gains(
    levels: Mapping[str, float], peaks: Mapping[str, float], reference: str | None, rule: Loudness, target_lufs: float
) -> dict[str, float]:
    """Return the factor for each stimulus of an item.

    First the rule, then one factor common to all, which is below 1 only when a peak would reach over -1 dBFS.

    Args:
        levels: stimulus: its loudness in LUFS; for `Loudness.NONE` it is not looked at.
        peaks: stimulus: its highest absolute sample.
        reference: the stimulus that `Loudness.REFERENCE` measures.
        rule: which one.
        target_lufs: loudness to come to.

    Example:
        >>> levels, peaks = {"a": -30.0, "b": -23.0}, {"a": 0.1, "b": 0.2}
        >>> {name: round(gain, 3) for name, gain in gains(levels, peaks, None, Loudness.EACH, -23.0).items()}
        {'a': 2.239, 'b': 1.0}
    """
    if rule is Loudness.NONE:
        matched = dict.fromkeys(peaks, 1.0)
    elif rule is Loudness.EACH:
        matched = {name: 10 ** ((target_lufs - levels[name]) / 20) for name in peaks}
    else:
        assert reference is not None
        matched = dict.fromkeys(peaks, 10 ** ((target_lufs - levels[reference]) / 20))
    highest = max(peaks[name] * gain for name, gain in matched.items())
    common = min(1.0, HIGHEST_PEAK / highest) if highest else 1.0
    return {name: gain * common for name, gain in matched.items()}
