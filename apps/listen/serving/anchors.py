"""The low-pass anchors of MUSHRA, made from the reference.

A linear-phase FIR filter (Kaiser window), flat up to the cut-off frequency and 60 dB down from 500 Hz above it, its
delay taken out. That is within the mask that BS.1534-3 (section 5.1) gives for 3.5 kHz: 0.1 dB of ripple up to the
cut-off, 25 dB down at 4 kHz, 50 dB at 4.5 kHz. It has no mask for 7 kHz; here the same filter is moved up.
"""

import numpy as np
from scipy import signal

from enhance.utils.errors import UsageError

TRANSITION_HZ = 500
ATTENUATION_DB = 60.0


def low_pass(hertz: int, sample_rate: int) -> np.ndarray:
    """Return the coefficients of the anchor's filter, float64, an odd number of them.

    Args:
        hertz: cut-off frequency.
        sample_rate: Hz.

    Raises:
        UsageError: when the sample rate is too low for it.
    """
    stop = hertz + TRANSITION_HZ
    if 2 * stop >= sample_rate:
        raise UsageError(
            f"an anchor of {hertz} Hz needs a sample rate above {2 * stop} Hz, these sounds have {sample_rate} Hz; "
            "name other anchors with anchors_hz"
        )
    taps, beta = signal.kaiserord(ATTENUATION_DB, TRANSITION_HZ / (sample_rate / 2))
    window = ("kaiser", beta)
    return signal.firwin(taps | 1, hertz + TRANSITION_HZ / 2, window=window, fs=sample_rate)  # type: ignore[arg-type]


def anchor(reference: np.ndarray, hertz: int, sample_rate: int) -> np.ndarray:
    """Return the anchor of a reference, float32 [time, channels], as long as it and aligned with it.

    Args:
        reference: [time, channels].
        hertz: cut-off frequency.
        sample_rate: Hz.

    Raises:
        UsageError: when the sample rate is too low for it.

    Example:
        >>> tone = np.sin(2 * np.pi * 5000 * np.arange(16000) / 16000)[:, np.newaxis]
        >>> float(np.abs(anchor(tone, 3500, 16000)[1000:-1000]).max()) < 0.001
        True
    """
    taps = low_pass(hertz, sample_rate)[:, np.newaxis]
    filtered = np.asarray(signal.fftconvolve(reference, taps, mode="full", axes=0))
    delay = len(taps) // 2
    return filtered[delay : delay + len(reference)].astype(np.float32)
