"""Sample rates: that of the networks, those that signals may have, and how many samples a change of rate makes."""

SAMPLE_RATE = 48_000
"""Samples per second that every network of this package works at."""

LOWEST_RATE = 1_000  # Hz, of signals
HIGHEST_RATE = 768_000  # Hz


def check_sample_rate(sample_rate: float) -> int:
    """Return a rate in Hz as an int.

    Raises:
        ValueError: unless it is a whole number from 1 kHz to 768 kHz.
    """
    try:
        fits = LOWEST_RATE <= sample_rate <= HIGHEST_RATE and sample_rate == int(sample_rate)
    except (TypeError, ValueError):  # a text, a list
        raise ValueError(f"sample rate {sample_rate!r}: expected a number of Hz") from None
    if not fits:
        raise ValueError(
            f"sample rate {sample_rate} Hz: expected a whole number from {LOWEST_RATE} to {HIGHEST_RATE} Hz"
        )
    return int(sample_rate)


def resampled_length(samples: int, in_rate: int, out_rate: int) -> int:
    """Return the length after resampling: samples * out_rate / in_rate, rounded to the nearest, halves up.

    Example:
        >>> resampled_length(44100, 44100, 48000), resampled_length(1, 16000, 8000), resampled_length(0, 1000, 8000)
        (48000, 1, 0)
    """
    return (2 * samples * out_rate + in_rate) // (2 * in_rate)
